package membership

import (
	"github.com/saorsa-labs/x0x-go/core/identity"
)

// status is what is said of an agent, in the order of precedence at the same
// incarnation (SWIM section 4.2).
type status uint8

const (
	statusAlive     status = iota
	statusSuspected        // SUSPECT
	statusFailed           // CONFIRM
)

// newsItem is one update. It is said once to each neighbour, since links are
// reliable, and goes on from there as long as it is new to somebody.
//
// News of others is hearsay: it removes nobody. It makes an agent look for
// itself, sooner than it would have: an active peer is probed, a passive one
// dialled.
type newsItem struct {
	status      status
	hops        uint8
	incarnation uint64
	agent       identity.AgentID
}

func (n newsItem) newer(than newsItem) bool {
	if n.incarnation != than.incarnation {
		return n.incarnation > than.incarnation
	}
	return n.status > than.status
}

// maxNewsHops is how far news goes: to the neighbours of those who saw it, and
// theirs. With six neighbours each of whom reports it, that is some two hundred
// agents however large the network is, so that its traffic grows with the
// failures around an agent and not with those in the world. Others who have the
// failed one in their passive view find out when they verify it.
const maxNewsHops = 1

// freshNews is an item to be sent to all neighbours but the one it came from.
type freshNews struct {
	item newsItem
	from identity.AgentID
}

// maxRumours bounds the agents of whom the last news is remembered, against
// inventors of agents. What was forgotten may go round once more.
const maxRumours = 512

// rumours are the newest news of each agent.
type rumours struct {
	items map[identity.AgentID]newsItem
	order []identity.AgentID
}

func newRumours() rumours { return rumours{items: make(map[identity.AgentID]newsItem)} }

// note keeps an item if it is newer than what is there, and says whether it was.
func (r *rumours) note(it newsItem) bool {
	old, ok := r.items[it.agent]
	if ok && !it.newer(old) {
		return false
	}
	if !ok {
		if len(r.order) == maxRumours {
			delete(r.items, r.order[0])
			r.order = r.order[1:]
		}
		r.order = append(r.order, it.agent)
	}
	r.items[it.agent] = it
	return true
}

func (r *rumours) status(a identity.AgentID) status { return r.items[a].status }

// report tells all neighbours what this agent knows itself.
func (s *State) report(it newsItem) {
	if s.rumours.note(it) {
		s.fresh = append(s.fresh, freshNews{item: it})
	}
}

func (s *State) flushNews() {
	if len(s.fresh) == 0 {
		return
	}
	for _, p := range s.active {
		var items []newsItem
		for _, f := range s.fresh {
			// Its subject is told too: only that can refute it.
			if f.from != p.Agent {
				items = append(items, f.item)
			}
		}
		for len(items) > 0 {
			n := min(len(items), maxNews)
			s.stats.NewsSent += uint64(n)
			s.send(p, newsFrame(items[:n]))
			items = items[n:]
		}
	}
	s.fresh = nil
}

func (s *State) handleNews(p *peer, body []byte) error {
	items, err := parseNews(body)
	if err != nil {
		return err
	}
	for _, it := range items {
		if !p.news.take(paceNews, s.now) {
			s.stats.Limited++
			return nil
		}
		switch {
		case !s.credible(it.incarnation):
			s.stats.Ignored++
		case it.agent == s.cfg.Self:
			s.refute(p, it)
		case !p.active && it.agent != p.Agent:
			s.stats.Ignored++ // hearsay is for neighbours
		case it.agent == p.Agent && it.status != statusAlive:
			s.stats.Ignored++ // it is speaking
		case s.rumours.note(it):
			s.stats.NewsHeard++
			s.believe(p, it)
			if it.hops < maxNewsHops {
				it.hops++
				s.fresh = append(s.fresh, freshNews{item: it, from: p.Agent})
			}
		}
	}
	return nil
}

// refute answers those who say that this agent has failed.
func (s *State) refute(p *peer, it newsItem) {
	if it.status == statusAlive {
		return
	}
	if it.incarnation >= s.incarnation {
		s.incarnation = it.incarnation + 1
		s.stats.Refutations++
		s.report(newsItem{incarnation: s.incarnation, agent: s.cfg.Self})
	}
	s.send(p, newsFrame([]newsItem{{incarnation: s.incarnation, agent: s.cfg.Self}}))
}

// believe does what a new item of another agent calls for.
func (s *State) believe(teller *peer, it newsItem) {
	alive := it.status == statusAlive
	if q := s.peers[it.agent]; q != nil {
		switch {
		case q == teller:
			q.incarnation = max(q.incarnation, it.incarnation)
		case alive && q.health == suspected && it.incarnation > q.incarnation:
			s.lift(q)
		case !alive && q.active && q.probe.sequence == 0:
			s.sendProbe(q)
		}
		return
	}
	if e := s.entry(it.agent); e != nil {
		e.doubted = !alive
	}
	if e := find(s.lost, it.agent); e != nil && alive {
		e.retryAt = s.now
	}
}
