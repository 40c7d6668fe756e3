package membership

import (
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// entry is a peer of the passive view, or one that is lost.
type entry struct {
	peer    Peer
	told    bool     // others say so; nobody here has been connected to it yet
	charged []origin // its own prefixes, and if it was told all who had the word in their hands
	since   time.Time
	retryAt time.Time
	doubted bool // said to have failed: verified soon, asked last, not passed on
	offered bool // was in the last shuffle: the first to make room
	tries   int  // of a lost peer
}

func (s *State) entry(a identity.AgentID) *entry { return find(s.passive, a) }

func find(list []*entry, a identity.AgentID) *entry {
	if i := slices.IndexFunc(list, func(e *entry) bool { return e.peer.Agent == a }); i >= 0 {
		return list[i]
	}
	return nil
}

// hasShare says whether each of the origins may have one more entry in a list.
func (s *State) hasShare(list []*entry, origins []origin) bool {
	for _, o := range origins {
		n := 0
		for _, e := range list {
			if slices.Contains(e.charged, o) {
				n++
			}
		}
		if n >= s.passiveShare(o) {
			return false
		}
	}
	return true
}

// heard takes an entry that a neighbour told, after a walk along path, into the
// passive view. It is charged to its own addresses, the teller and everybody on
// the path, so that one prefix never fills more than its share, with what ids
// and addresses it may invent and by whichever way it may tell them.
func (s *State) heard(p Peer, teller *peer, path []prefix) {
	p = hint(p, teller.seen)
	if p.Agent == s.cfg.Self || s.peers[p.Agent] != nil || s.entry(p.Agent) != nil || len(p.Addrs) == 0 {
		return
	}
	e := &entry{peer: p, told: true, since: s.now, charged: s.originsOf(p)}
	e.charge(teller.origin)
	if s.cfg.MaxPerPrefix > 0 {
		for _, x := range path {
			e.charge(origin{prefix: x})
		}
	}
	if !s.hasShare(s.passive, e.charged) {
		s.stats.ShareRefused++
		return
	}
	e.doubted = s.rumours.status(p.Agent) != statusAlive
	s.lost = slices.DeleteFunc(s.lost, func(e *entry) bool { return e.peer.Agent == p.Agent })
	s.insert(e, func(e *entry) bool { return e.offered })
}

func (e *entry) charge(o origin) {
	if !slices.Contains(e.charged, o) {
		e.charged = append(e.charged, o)
	}
}

// verified notes a peer that was just seen to be there. Without evict it takes
// no place from another.
func (s *State) verified(p Peer, evict bool) {
	s.lost = slices.DeleteFunc(s.lost, func(e *entry) bool { return e.peer.Agent == p.Agent })
	old := s.entry(p.Agent)
	if old != nil {
		s.passive = without(s.passive, old)
	}
	e := &entry{peer: p, since: s.now, charged: s.originsOf(p)}
	if old != nil {
		e.retryAt, e.offered = old.retryAt, old.offered
	}
	switch {
	case len(p.Addrs) == 0 || !s.hasShare(s.passive, e.charged):
		s.stats.ShareRefused++
	case len(s.passive) < s.cfg.Passive || evict:
		s.insert(e, func(e *entry) bool { return e.told })
	}
}

// insert puts an entry into the passive view, if need be in the place of a random
// one, of those first that the function picks.
func (s *State) insert(e *entry, first func(*entry) bool) {
	if len(s.passive) >= s.cfg.Passive {
		var victims []*entry
		for _, v := range s.passive {
			if first(v) {
				victims = append(victims, v)
			}
		}
		if len(victims) == 0 {
			victims = s.passive
		}
		s.passive = without(s.passive, victims[s.rnd.IntN(len(victims))])
	}
	s.passive, s.nobody = append(s.passive, e), false
}

// forget takes an agent out of the passive view.
func (s *State) forget(a identity.AgentID) {
	s.passive = slices.DeleteFunc(s.passive, func(e *entry) bool { return e.peer.Agent == a })
	s.lost = slices.DeleteFunc(s.lost, func(e *entry) bool { return e.peer.Agent == a })
}

// known picks up to n random entries that may be passed on: those that this
// agent has been connected to. So what was invented is not spread by the honest.
func (s *State) known(n int, except identity.AgentID) (list []Peer) {
	for _, i := range s.rnd.Perm(len(s.passive)) {
		e := s.passive[i]
		if len(list) == n {
			break
		}
		if e.told || e.doubted || e.peer.Agent == except {
			continue
		}
		e.offered = true
		list = append(list, e.peer)
	}
	return list
}

const (
	// A lost peer is tried again after one shuffle period, two, four, up to 32,
	// and given up after 12 times, which is some 40 minutes: a network that was
	// in two parts for less grows together again.
	maxLostTries   = 12
	maxLostBackoff = 5
)

// addLost notes a peer that vanished without goodbye.
func (s *State) addLost(p Peer) {
	e := &entry{peer: p, since: s.now, charged: s.originsOf(p), retryAt: s.now.Add(s.cfg.ShufflePeriod)}
	if len(p.Addrs) == 0 || find(s.lost, p.Agent) != nil || !s.hasShare(s.lost, e.charged) {
		return
	}
	if len(s.lost) >= s.cfg.Passive {
		i := s.rnd.IntN(len(s.lost))
		s.lost = slices.Delete(s.lost, i, i+1)
	}
	s.lost = append(s.lost, e)
}

// retryLost dials one random lost peer whose time has come.
func (s *State) retryLost() {
	for _, i := range s.rnd.Perm(len(s.lost)) {
		e := s.lost[i]
		if s.now.Before(e.retryAt) || s.peers[e.peer.Agent] != nil || s.dialling(e.peer.Agent) {
			continue
		}
		e.retryAt = s.now.Add(s.cfg.ShufflePeriod << min(e.tries, maxLostBackoff))
		e.tries++
		s.dial(e.peer, dialLost)
		return
	}
}
