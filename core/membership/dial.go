package membership

import (
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// dialWhy is what a dial is for.
type dialWhy uint8

const (
	dialPlace  dialWhy = iota // a free place in the active view
	dialWalk                  // the new agent at the end of a FORWARDJOIN
	dialFeeler                // to see whether a passive peer is there
	dialLost                  // to see whether a lost peer is back
)

type dial struct {
	agent identity.AgentID
	why   dialWhy
	ends  time.Time
}

// maxFeelers is how many passive peers are verified at a time.
const maxFeelers = 3

func (s *State) dialling(a identity.AgentID) bool {
	return slices.ContainsFunc(s.dials, func(d *dial) bool { return d.agent == a })
}

func (s *State) dial(p Peer, why dialWhy) {
	s.stats.Dials++
	s.dials = append(s.dials, &dial{agent: p.Agent, why: why, ends: s.now.Add(s.cfg.DialTimeout)})
	p.Addrs = slices.Clone(p.Addrs)
	s.actions = append(s.actions, Action{Kind: Dial, Agent: p.Agent, Peer: p})
}

// endDial forgets a dial of an agent, if there is one, and returns it.
func (s *State) endDial(a identity.AgentID) *dial {
	for i, d := range s.dials {
		if d.agent == a {
			s.dials = slices.Delete(s.dials, i, i+1)
			return d
		}
	}
	return nil
}

// dialFailed takes the peer out of the passive view. If it was ever there it is
// lost, otherwise it may be an invention.
func (s *State) dialFailed(d *dial) {
	s.endDial(d.agent)
	s.stats.DialsFailed++
	if e := s.entry(d.agent); e != nil {
		s.passive = without(s.passive, e)
		if !e.told {
			s.addLost(e.peer)
		}
	}
	if e := find(s.lost, d.agent); e != nil && e.tries >= maxLostTries {
		s.lost = without(s.lost, e)
	}
}

func (s *State) expireDials() {
	for _, d := range slices.Clone(s.dials) {
		if !s.now.Before(d.ends) {
			s.stats.DialTimeouts++
			s.dialFailed(d)
		}
	}
}

// mayDial says whether an entry can be dialled now.
func (s *State) mayDial(e *entry) bool {
	return s.peers[e.peer.Agent] == nil && !s.now.Before(e.retryAt) && !s.dialling(e.peer.Agent)
}

// pacePlaces is how often an agent that has neighbours dials to have more. In a
// network whose views are full nearly all refuse.
func (s *State) pacePlaces() pace { return pace{s.cfg.ShufflePeriod / 4, 2 * s.cfg.Active} }

// dialPassive dials a random passive peer for a free place: one that is doubted
// only if there is no other.
func (s *State) dialPassive() bool {
	for _, doubted := range []bool{false, true} {
		for _, i := range s.rnd.Perm(len(s.passive)) {
			e := s.passive[i]
			if e.doubted != doubted || !s.mayDial(e) {
				continue
			}
			if slices.ContainsFunc(e.charged, func(o origin) bool { return !e.told && !s.roomFor(o) }) {
				continue
			}
			if e.told && !s.hearsay.take(paceHearsay, s.now) {
				continue
			}
			if !s.lonely() && !s.places.take(s.pacePlaces(), s.now) {
				return false
			}
			s.dial(e.peer, dialPlace)
			return true
		}
	}
	return false
}

// feel verifies a passive peer by dialling it. With doubts it takes one that is
// said to have failed. Otherwise it takes in turn one that was only told of and
// the one that was verified the longest time ago: shuffles tell of new ones all
// the time, and those that died since they were verified would never be found.
func (s *State) feel(doubted bool) {
	n := 0
	for _, d := range s.dials {
		if d.why == dialFeeler {
			n++
		}
	}
	if n >= maxFeelers || s.left {
		return
	}
	var best *entry
	if !doubted {
		s.feelTold = !s.feelTold
	}
	better := func(e *entry) bool {
		if best == nil || e.told != best.told {
			return best == nil || e.told == s.feelTold
		}
		return e.since.Before(best.since)
	}
	for _, e := range s.passive {
		if p := s.peers[e.peer.Agent]; p != nil {
			e.since, e.told = s.now, false
			continue
		}
		if doubted && !e.doubted || !s.mayDial(e) {
			continue
		}
		if better(e) {
			best = e
		}
	}
	if best == nil || best.told && !s.hearsay.take(paceHearsay, s.now) {
		return
	}
	s.dial(best.peer, dialFeeler)
}
