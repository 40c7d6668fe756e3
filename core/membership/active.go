package membership

import (
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// askKind is how a place in the view of another is asked for.
type askKind uint8

const (
	askJoin     askKind = iota // JOIN: the contact makes room
	askNeighbor                // NEIGHBOR, for a free place here
	askWalk                    // NEIGHBOR at the end of a walk: room is made here
	askRejoin                  // NEIGHBOR to a lost peer found again: room is made on both sides
)

// ask is a JOIN or NEIGHBOR without answer yet.
type ask struct {
	peer *peer
	kind askKind
	ends time.Time
}

// connected says what to do with a connection that has just come up.
func (s *State) connected(p *peer) {
	s.nobody = false
	d := s.endDial(p.Agent)
	s.verified(p.Peer, d != nil)
	switch {
	case s.left:
	case p.Agent == s.contact && len(s.active) == 0:
		s.ask(p, askJoin)
	case d != nil && d.why == dialWalk:
		s.ask(p, askWalk)
	case d != nil && d.why == dialLost:
		// The network may have been in two parts, each with full views. One
		// more neighbour than there is room for joins them again.
		s.ask(p, askRejoin)
	}
	// Otherwise fill asks it if there is a free place.
}

// ask asks a connected peer to be a neighbour.
func (s *State) ask(p *peer, kind askKind) {
	a := &ask{peer: p, kind: kind}
	if kind == askJoin {
		a.ends = s.now.Add(s.cfg.JoinTimeout)
		s.send(p, joinFrame())
	} else {
		a.ends = s.now.Add(s.cfg.NeighborTimeout)
		s.send(p, neighborFrame(s.lonely() || kind == askRejoin))
	}
	p.ask = a
	s.asks = append(s.asks, a)
	s.stats.Asked++
}

// lonely is when a request has high priority. The paper says with no neighbour;
// but two or three that only have each other are as cut off as one that has
// none, and whoever has a full view can spare more than one who has half.
func (s *State) lonely() bool { return len(s.active) < (s.cfg.Active+1)/2 }

func (s *State) endAsk(p *peer) *ask {
	a := p.ask
	if a != nil {
		p.ask, s.nobody = nil, false
		p.idle, p.released = s.now, false
		s.asks = without(s.asks, a)
	}
	return a
}

func (s *State) expireAsks() {
	for _, a := range slices.Clone(s.asks) {
		if s.now.Before(a.ends) {
			continue
		}
		s.endAsk(a.peer)
		s.stats.AskTimeouts++
		if a.kind != askJoin {
			s.refused(a.peer)
		}
	}
}

// refused puts off the next request to a peer: by one probe period, since those
// who lost the same neighbour notice within one, then by two, up to eight.
func (s *State) refused(p *peer) {
	p.retryAt = s.now.Add(s.cfg.ProbePeriod << min(p.refusals, 3))
	p.refusals++
}

// accept answers a request of a peer. A yes stands before Up in the actions:
// what the owner sends to a neighbour on Up must not overtake what makes this
// agent a neighbour over there.
func (s *State) accept(p *peer, evict bool) {
	if p.active || !s.activate(p, evict, answerFrame(true)) {
		s.send(p, answerFrame(p.active))
	}
}

// activate makes a connected peer a neighbour, if its origin has not its share
// already, and sends it a frame first, if there is one. With a full view it
// needs evict, which drops somebody else.
func (s *State) activate(p *peer, evict bool, first []byte) bool {
	if p.active {
		return true
	}
	if s.left || !s.roomFor(p.origin) {
		if !s.left {
			s.stats.PrefixRefused++
		}
		return false
	}
	if len(s.active) >= s.cfg.Active {
		if !evict {
			return false
		}
		s.stats.Evicted++
		s.drop(s.active[s.rnd.IntN(len(s.active))], true)
	}
	s.endAsk(p)
	s.forget(p.Agent)
	p.active = true
	p.heard, p.probe, p.vouched, p.refusals = s.now, probe{}, 0, 0
	s.active = append(s.active, p)
	if first != nil {
		s.send(p, first)
	}
	s.actions = append(s.actions, Action{Kind: Up, Agent: p.Agent})
	return true
}

// deactivate ends being a neighbour on this side.
func (s *State) deactivate(p *peer) {
	if !p.active {
		return
	}
	p.active, p.probe, s.nobody = false, probe{}, false
	p.idle, p.released = s.now, false
	s.active = without(s.active, p)
	s.actions = append(s.actions, Action{Kind: Down, Agent: p.Agent})
}

// drop ends being a neighbour on both sides. The peer is still a good one, for
// later.
func (s *State) drop(p *peer, keep bool) {
	s.send(p, disconnectFrame(false))
	s.deactivate(p)
	p.retryAt = s.now.Add(s.cfg.ShufflePeriod)
	if keep {
		s.verified(p.Peer, true)
	}
}

// free is how many more neighbours should be looked for.
func (s *State) free() int {
	n := s.cfg.Active - len(s.active)
	for _, a := range s.asks {
		if a.kind == askJoin || a.kind == askNeighbor {
			n--
		}
	}
	for _, d := range s.dials {
		if d.why == dialPlace {
			n--
		}
	}
	return n
}

// fill looks for neighbours for the free places: first among the connected, who
// cost one frame, then in the passive view.
func (s *State) fill() {
	if s.left || s.nobody {
		return
	}
	for n := s.free(); n > 0; n-- {
		if p := s.candidate(); p != nil {
			kind := askNeighbor
			if p.Agent == s.contact && len(s.active) == 0 {
				kind = askJoin
			}
			s.ask(p, kind)
			continue
		}
		if !s.dialPassive() {
			s.nobody = true // until something changes, or the next tick
			return
		}
	}
}

// candidate picks a connected peer that can be asked.
func (s *State) candidate() *peer {
	var found *peer
	n := 0
	for _, p := range s.linked {
		if p.active || p.ask != nil || p.health != healthy || s.now.Before(p.retryAt) || !s.roomFor(p.origin) {
			continue
		}
		n++
		if s.rnd.IntN(n) == 0 { // each of n with the same probability
			found = p
		}
	}
	return found
}

// releaseIdle tells of connections that nothing here has needed for a shuffle
// period.
func (s *State) releaseIdle() {
	for _, p := range s.linked {
		if p.active || p.ask != nil || p.released || p.health == suspected || s.now.Sub(p.idle) < s.cfg.ShufflePeriod {
			continue
		}
		p.released = true
		s.actions = append(s.actions, Action{Kind: Release, Agent: p.Agent})
	}
}

// randomActive picks n different neighbours that are none of except.
func (s *State) randomActive(n int, except ...identity.AgentID) []*peer {
	var list []*peer
	for _, p := range s.active {
		if !slices.Contains(except, p.Agent) {
			list = append(list, p)
		}
	}
	s.rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:min(n, len(list))]
}
