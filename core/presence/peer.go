package presence

import (
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/trust"
)

// peer is an agent with a connection.
type peer struct {
	agent   identity.AgentID
	machine identity.MachineID

	sequence uint64    // of the last beacon from it over this connection
	told     uint64    // of the last beacon to it; 0: it has not heard of us, or was told goodbye
	watches  time.Time // until when it watches us
	renewAt  time.Time // when our watch of it is renewed; zero: we do not watch it

	beacons, queries allowance
}

// PeerUp tells that an authenticated connection is up, to an agent on a machine.
// Of an agent that is connected already it tells that another connection took
// the place of the old one.
func (s *State) PeerUp(a identity.AgentID, m identity.MachineID, now time.Time) {
	s.begin(now)
	if s.left || a == s.self || a.IsZero() {
		return
	}
	p := s.peers[a]
	if p == nil {
		p = &peer{agent: a}
		s.peers[a] = p
		s.linked = append(s.linked, p)
	}
	p.machine, p.sequence, p.told, p.renewAt = m, 0, 0, time.Time{}
	if w := s.watchedEntry(a); w != nil {
		w.tries = 0
	}
	if e := s.table[a]; e != nil && e.Online {
		s.extend(e, s.now.Add(e.timeout(&s.cfg)))
	}
	s.rewatch(p)
	s.tell(p)
}

// PeerDown tells that an agent has no connection any more. closed says that one
// side ended it on purpose, so that its end says nothing about the agent; a
// connection that was lost means that the agent is likely to be gone.
func (s *State) PeerDown(a identity.AgentID, closed bool, now time.Time) {
	s.begin(now)
	p := s.peers[a]
	if p == nil {
		return
	}
	delete(s.peers, a)
	s.linked = without(s.linked, p)
	s.leaveWalks(a)
	if w := s.watchedEntry(a); w != nil {
		w.tries, w.at = 0, s.now
		if closed {
			w.at = s.now.Add(s.jitter(s.cfg.BeaconInterval))
		}
	}
	if e := s.table[a]; e != nil {
		e.beacon, e.arrived = nil, time.Time{}
		if lost := s.now.Add(s.cfg.LostTimeout); e.Online && !closed && lost.Before(e.deadline) {
			s.expireAt(e, lost)
		}
	}
}

// NeighborUp tells that a connected agent became an active peer of the overlay:
// it is told of this one at once, not at the next round.
func (s *State) NeighborUp(a identity.AgentID, now time.Time) {
	s.begin(now)
	if p := s.peers[a]; p != nil && !s.left {
		s.tell(p)
	}
}

// TrustChanged tells that the user changed what Trust or Deliver say of an
// agent.
func (s *State) TrustChanged(a identity.AgentID, now time.Time) {
	s.begin(now)
	if s.left {
		return
	}
	if e := s.table[a]; e != nil {
		e.contact = s.contact(a)
		if !s.cfg.Deliver(a, e.Machine) {
			delete(s.table, a)
		} else if !e.Online {
			s.offlineSince(e)
		}
	}
	if p := s.peers[a]; p != nil {
		if s.watchers() > s.cfg.MaxWatchers { // it watched as a contact, and is none any more
			p.watches = time.Time{}
		}
		s.rewatch(p)
		s.tell(p)
	}
}

// SetVisibility changes to whom this agent says that it is online. Those who are
// not to know any more are told goodbye.
func (s *State) SetVisibility(v Visibility, now time.Time) {
	s.begin(now)
	if s.left || v == s.visibility || v >= visibilities {
		return
	}
	s.visibility, s.frame = v, nil
	neighbors := s.neighbors()
	for _, p := range s.linked {
		if s.concerned(p, neighbors) {
			s.tell(p)
		} else if !s.blocked(p.agent) {
			s.goodbye(p)
		}
	}
}

// round is once in an interval.
func (s *State) round() {
	s.frame = nil
	neighbors := s.neighbors()
	for _, p := range s.linked {
		if p.renewAt.IsZero() || !s.now.Before(p.renewAt) {
			s.rewatch(p)
		}
		if s.concerned(p, neighbors) {
			s.tellBeacon(p)
		}
	}
}

// concerned says whether a peer is to hear that this agent is online.
func (s *State) concerned(p *peer, neighbors []*peer) bool {
	level := s.cfg.Trust(p.agent)
	switch {
	case level == trust.Blocked || s.visibility == Hidden:
		return false
	case level >= trust.Known:
		return true
	}
	return s.visibility == Network && (p.watches.After(s.now) || slices.Contains(neighbors, p))
}

// tell sends the present beacon to a peer, if it is to hear it and has not.
func (s *State) tell(p *peer) {
	if s.concerned(p, s.neighbors()) {
		s.tellBeacon(p)
	}
}

func (s *State) tellBeacon(p *peer) {
	if s.frame == nil || s.now.Sub(s.framed) > s.cfg.BeaconInterval*11/10 {
		if !s.makeBeacon() {
			return
		}
	}
	if p.told != s.sequence {
		p.told = s.sequence
		s.stats.BeaconsSent++
		s.send(p, s.frame)
	}
}

// makeBeacon signs a beacon: one for all who hear it.
func (s *State) makeBeacon() bool {
	b := &beacon{
		agent: s.self, machine: s.cfg.Machine,
		sequence: max(s.sequence+1, uint64(max(s.now.UnixMilli(), 1))), sent: s.now,
		interval: s.cfg.BeaconInterval, visibility: s.visibility,
	}
	for _, a := range s.cfg.Addresses() {
		if dialable(a) && len(b.addrs) < maxAddrs {
			b.addrs = append(b.addrs, a)
		}
	}
	if err := b.sign(s.cfg.Key); err != nil { // the key was destroyed: the agent closes
		s.stats.SignFailed++
		return false
	}
	s.sequence, s.frame, s.framed = b.sequence, beaconFrame(b), s.now
	return true
}

func (s *State) goodbye(p *peer) {
	if p.told != 0 {
		p.told = 0
		s.send(p, goodbyeFrame(s.sequence))
	}
}
