package presence

import (
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// walk is a query on its way: this agent's own, or one that it passed on for
// another.
type walk struct {
	id      uint64
	own     bool
	from    identity.AgentID // not own: who is answered
	ends    time.Time
	pending []identity.AgentID        // asked, and not done
	answers int                       // frames
	had     map[identity.AgentID]bool // of whom a beacon has come
	entries []Entry                   // own
}

const (
	maxWalks   = 16  // own, at a time
	maxRoutes  = 256 // passed on, at a time: what all peers together can make this agent hold
	maxHeard   = 1024
	maxFound   = 256 // agents found by one walk of this agent
	maxPassed  = 64  // agents passed on for one walk of others
	maxAnswers = 128 // frames that answer one walk

	// leastBudget is the time that makes asking others worth it: a round trip.
	leastBudget = 100 * time.Millisecond
)

// Query begins a walk: who is online within ttl hops, 1 to 5? Zero values mean
// the configured ones. What it finds is in the Result with the id that it
// returns; each agent found is known from then on as any other. It fails with
// wire.KindBusy if 16 walks are under way.
func (s *State) Query(ttl int, timeout time.Duration, now time.Time) (uint64, error) {
	s.begin(now)
	if timeout <= 0 {
		timeout = s.cfg.FOAFTimeout
	}
	if ttl <= 0 {
		ttl = s.cfg.FOAFTTL
	}
	own := 0
	for _, w := range s.walks {
		if w.own {
			own++
		}
	}
	if own >= maxWalks {
		return 0, wire.Errorf(wire.KindBusy, "presence query", "%d queries are under way", own)
	}
	if s.left {
		return 0, wire.Errorf(wire.KindClosed, "presence query", "the agent has left")
	}
	q := query{id: s.rnd.Uint64(), ttl: min(ttl, maxTTL), budget: max(min(timeout, maxBudget), time.Millisecond)}
	s.hear(q.id)
	w := &walk{id: q.id, own: true, ends: s.now.Add(q.budget), had: make(map[identity.AgentID]bool)}
	s.walks = append(s.walks, w)
	s.stats.Queries++
	s.ask(w, q, s.neighbors())
	return q.id, nil
}

// ask sends a query to some, and ends the walk if there is nobody.
func (s *State) ask(w *walk, q query, peers []*peer) {
	frame := queryFrame(q)
	for _, p := range peers {
		w.pending = append(w.pending, p.agent)
		s.send(p, frame)
	}
	if len(w.pending) == 0 {
		s.finish(w)
	}
}

// hear notes the id of a query, and says whether it is new. The oldest is
// forgotten.
func (s *State) hear(id uint64) bool {
	if s.heard[id] {
		return false
	}
	if len(s.heards) == maxHeard {
		delete(s.heard, s.heards[0])
		s.heards = s.heards[1:]
	}
	s.heard[id] = true
	s.heards = append(s.heards, id)
	return true
}

// handleQuery answers with what this agent has heard itself, and asks others.
func (s *State) handleQuery(p *peer, body []byte) error {
	q, err := parseQuery(body)
	switch {
	case err != nil:
		return err
	case s.blocked(p.agent):
		s.stats.Ignored++
		return nil
	case !p.queries.take(paceQuery, s.now):
		s.stats.Limited++
		s.send(p, answerFrame(answer{id: q.id, final: true})) // so that nobody waits
		return nil
	case !s.hear(q.id): // it came another way, or came back
		s.stats.Duplicates++
		s.send(p, answerFrame(answer{id: q.id, final: true}))
		return nil
	}
	s.stats.QueriesHeard++
	a := answer{id: q.id, beacons: s.around(p.agent)}
	w := &walk{id: q.id, from: p.agent, ends: s.now.Add(q.budget), had: make(map[identity.AgentID]bool)}
	for i := range a.beacons {
		w.had[a.beacons[i].agent] = true
	}
	q.ttl, q.budget = q.ttl-1, q.budget*3/4 // so that answers are in time for who waits for this one's
	next := s.onward(p, q)
	a.final = len(next) == 0
	s.send(p, answerFrame(a))
	if !a.final {
		s.walks = append(s.walks, w)
		s.ask(w, q, next)
	}
	return nil
}

// onward chooses whom a walk of a peer is passed on to.
func (s *State) onward(from *peer, q query) []*peer {
	if q.ttl < 1 || q.budget < leastBudget {
		return nil
	}
	if len(s.walks) >= maxRoutes+maxWalks {
		s.stats.Limited++
		return nil
	}
	next := without(s.neighbors(), from)
	s.rnd.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
	return next[:min(len(next), s.cfg.FOAFFanout)]
}

// around returns the beacons that this agent has heard itself, from agents who
// may be told of, other than the one that asks. Beacons of Social agents are not
// among them: they were for this agent alone.
func (s *State) around(asker identity.AgentID) (list []relayed) {
	var fresh []*entry
	for _, p := range s.linked {
		e := s.table[p.agent]
		if e != nil && e.Online && e.beacon != nil && p.agent != asker && s.now.Sub(e.beacon.sent) < s.cfg.OfflineTimeout/2 {
			fresh = append(fresh, e)
		}
	}
	s.rnd.Shuffle(len(fresh), func(i, j int) { fresh[i], fresh[j] = fresh[j], fresh[i] })
	for _, e := range fresh {
		if len(list) == maxAnswer {
			break
		}
		if key, ok := s.cfg.PublicKey(e.Agent); ok && len(key) == identity.PublicKeySize {
			list = append(list, relayed{key, *e.beacon})
		}
	}
	return list
}

// handleAnswer checks what comes back before it believes it or passes it on: so
// a forged beacon is the doing of the peer that it came from.
func (s *State) handleAnswer(p *peer, body []byte) error {
	a, err := parseAnswer(body)
	if err != nil {
		return err
	}
	w := s.walkOf(a.id, p.agent)
	if w == nil || s.blocked(p.agent) {
		s.stats.Ignored++ // too late, as a rule
		return nil
	}
	if w.answers++; w.answers > maxAnswers {
		s.stats.Limited++
		return nil
	}
	room := maxPassed
	if w.own {
		room = maxFound
	}
	var fresh []relayed
	for _, r := range a.beacons {
		if w.had[r.agent] || r.agent == s.self || len(w.had) >= room {
			continue
		}
		good, err := s.credible(&r)
		if err != nil {
			s.drop(w, p.agent)
			return err
		}
		if good {
			w.had[r.agent] = true
			fresh = append(fresh, r)
		}
	}
	if w.own {
		for i := range fresh {
			if e, ok := s.learn(&fresh[i].beacon); ok {
				w.entries = append(w.entries, e)
			}
		}
	} else if from := s.peers[w.from]; from != nil && len(fresh) > 0 {
		s.stats.Passed += uint64(len(fresh))
		s.send(from, answerFrame(answer{id: w.id, beacons: fresh}))
	}
	if a.final {
		s.drop(w, p.agent)
	}
	return nil
}

// credible says whether a beacon that was passed on is genuine and fresh. What
// only came late is no fault of who passed it on; the rest is an error.
func (s *State) credible(r *relayed) (bool, error) {
	const op = "presence answer"
	switch {
	case r.visibility != Network:
		s.stats.Leaked++
		return false, wire.Errorf(wire.KindPolicy, op, "a beacon that was not to be passed on")
	case r.sent.After(s.now.Add(maxAhead)):
		s.stats.Ahead++
		return false, nil // its agent's clock, and no fault of who passed it on
	case s.now.Sub(r.sent) > s.cfg.OfflineTimeout:
		s.stats.Stale++
		return false, nil
	case !s.verify(r.key, &r.beacon):
		s.stats.Forged++
		return false, wire.Errorf(wire.KindAuth, op, "signature does not hold")
	}
	return true, nil
}

func (s *State) walkOf(id uint64, asked identity.AgentID) *walk {
	for _, w := range s.walks {
		if w.id == id && slices.Contains(w.pending, asked) {
			return w
		}
	}
	return nil
}

// drop notes that one who was asked has done.
func (s *State) drop(w *walk, asked identity.AgentID) {
	w.pending = without(w.pending, asked)
	if len(w.pending) == 0 {
		s.finish(w)
	}
}

// finish ends a walk with what has come.
func (s *State) finish(w *walk) {
	s.walks = without(s.walks, w)
	if w.own {
		s.actions = append(s.actions, Action{Kind: Result, Query: w.id, Entries: w.entries})
	} else if from := s.peers[w.from]; from != nil {
		s.send(from, answerFrame(answer{id: w.id, final: true}))
	}
}

func (s *State) expireWalks() {
	for _, w := range slices.Clone(s.walks) {
		if !s.now.Before(w.ends) {
			s.stats.QueryTimeouts++
			s.finish(w)
		}
	}
}

// leaveWalks is for an agent that is not connected any more.
func (s *State) leaveWalks(a identity.AgentID) {
	for _, w := range slices.Clone(s.walks) {
		if !w.own && w.from == a {
			s.walks = without(s.walks, w)
		} else if slices.Contains(w.pending, a) {
			s.drop(w, a)
		}
	}
}
