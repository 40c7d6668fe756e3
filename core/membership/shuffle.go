package membership

import (
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// route is the way back of a shuffle that was sent on.
type route struct {
	nonce     uint64
	to        identity.AgentID // who alone may answer
	back      identity.AgentID // zero: the shuffle began here
	backNonce uint64
	ends      time.Time
}

// maxRoutes bounds the ways back that are remembered: some eighteen times what
// passes an average agent in one period. The oldest is forgotten, so a flood of
// shuffles costs entries, not memory.
const maxRoutes = 128

// paceShuffle is how many shuffles a neighbour may send or pass on. Each
// neighbour has about (ShuffleTTL+1)/Active of them a period.
func (s *State) paceShuffle() pace { return pace{s.cfg.ShufflePeriod / 4, 8} }

// shuffle exchanges some of what is known with an agent some steps away.
func (s *State) shuffle() {
	for _, e := range s.passive {
		e.offered = false
	}
	next := s.randomActive(1)
	if len(next) == 0 {
		return
	}
	var entries []Peer
	for _, p := range s.randomActive(s.cfg.ShuffleActive, next[0].Agent) {
		entries = append(entries, p.Peer)
	}
	entries = append(entries, s.known(s.cfg.ShufflePassive, next[0].Agent)...)
	s.stats.Shuffles++
	s.sendShuffle(next[0], shuffle{walk: walk{ttl: s.cfg.ShuffleTTL}, entries: entries}, route{})
}

func (s *State) sendShuffle(p *peer, sh shuffle, r route) {
	sh.nonce = s.rnd.Uint64()
	r.nonce, r.to, r.ends = sh.nonce, p.Agent, s.now.Add(s.cfg.ShufflePeriod)
	s.routes = slices.DeleteFunc(s.routes, func(r route) bool { return !s.now.Before(r.ends) })
	if len(s.routes) >= maxRoutes {
		s.routes = slices.Delete(s.routes, 0, 1)
	}
	s.routes = append(s.routes, r)
	s.send(p, shuffleFrame(sh))
}

func (s *State) handleShuffle(p *peer, body []byte) error {
	sh, err := parseShuffle(body)
	if err != nil {
		return err
	}
	if !p.active {
		s.stats.Ignored++
		return nil
	}
	if !p.shuffles.take(s.paceShuffle(), s.now) {
		s.stats.Limited++
		return nil
	}
	origin := p.Peer
	if sh.origin != nil {
		origin = hint(*sh.origin, p.seen)
	}
	if ttl := min(sh.walk.ttl, s.cfg.ShuffleTTL) - 1; ttl > 0 {
		if next := s.randomActive(1, p.Agent, origin.Agent); len(next) == 1 {
			on := shuffle{walk: walk{ttl: ttl, path: onward(sh.walk.path, p)}, origin: &origin, entries: sh.entries}
			s.sendShuffle(next[0], on, route{back: p.Agent, backNonce: sh.nonce})
			return nil
		}
	}
	// It ends here: as many entries go back as came.
	s.stats.ShufflesAnswered++
	s.send(p, shuffleReplyFrame(shuffleReply{nonce: sh.nonce, entries: s.known(min(len(sh.entries)+1, maxEntries), origin.Agent)}))
	s.merge(append(sh.entries, origin), p, sh.walk.path)
	return nil
}

func (s *State) handleShuffleReply(p *peer, body []byte) error {
	reply, err := parseShuffleReply(body)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(s.routes, func(r route) bool {
		return r.nonce == reply.nonce && r.to == p.Agent && s.now.Before(r.ends)
	})
	if i < 0 {
		s.stats.Ignored++
		return nil
	}
	r := s.routes[i]
	s.routes = slices.Delete(s.routes, i, i+1)
	if r.back.IsZero() {
		s.merge(reply.entries, p, reply.path)
	} else if back := s.peers[r.back]; back != nil {
		s.send(back, shuffleReplyFrame(shuffleReply{nonce: r.backNonce, path: onward(reply.path, p), entries: reply.entries}))
	}
	return nil
}

func (s *State) merge(entries []Peer, teller *peer, path []prefix) {
	for _, e := range entries {
		s.heard(e, teller, path)
	}
}
