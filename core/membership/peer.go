package membership

import (
	"net/netip"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// Peer is an agent and where it may be found: where its packets come from if it
// is connected, a hint otherwise, for which somebody else's word may be all
// there is. Whoever dials it pins the machine.
type Peer struct {
	Agent   identity.AgentID
	Machine identity.MachineID
	Addrs   []netip.AddrPort
}

// peer is an agent with a connection.
type peer struct {
	Peer
	seen     netip.AddrPort
	origin   origin
	active   bool
	ask      *ask
	retryAt  time.Time // it refused, or was dropped: not asked before
	refusals int       // since it was active
	idle     time.Time // since when nothing here needs it
	released bool

	health      health
	heard       time.Time
	probe       probe
	vouched     int // times in a row that others said it was alive
	suspectEnds time.Time
	incarnation uint64

	walks, shuffles, requests, news allowance
}

// PeerUp tells that an authenticated connection is up, and from where its
// packets come. Of an agent that is connected already it tells that this has
// changed.
func (s *State) PeerUp(info Peer, seen netip.AddrPort, now time.Time) {
	s.begin(now)
	if info.Agent == s.cfg.Self || info.Agent.IsZero() {
		return
	}
	seen = netip.AddrPortFrom(seen.Addr().Unmap(), seen.Port())
	p := s.peers[info.Agent]
	fresh := p == nil
	if fresh {
		p = &peer{idle: s.now}
		s.peers[info.Agent] = p
		s.linked = append(s.linked, p)
	}
	p.Peer = Peer{Agent: info.Agent, Machine: info.Machine}
	if seen.IsValid() {
		p.Addrs = []netip.AddrPort{seen}
	}
	p.seen, p.heard = seen, s.now
	if o := s.originOf(p.Agent, seen); o != p.origin {
		p.origin = o
		if p.active { // it moved to a prefix that may have its share
			s.active = without(s.active, p)
			fits := s.roomFor(o)
			s.active = append(s.active, p)
			if !fits {
				s.drop(p, false)
			}
		}
	}
	s.alive(p)
	if fresh {
		s.connected(p)
	}
	s.settle()
}

// PeerDown tells that the connection ended.
func (s *State) PeerDown(a identity.AgentID, now time.Time) {
	s.begin(now)
	p := s.peers[a]
	if p == nil {
		return
	}
	s.endAsk(p)
	wasActive := p.active
	s.deactivate(p)
	delete(s.peers, a)
	s.linked, s.suspects = without(s.linked, p), without(s.suspects, p)
	if (wasActive || p.health == suspected || p.health == failed) && !s.left {
		// Without a goodbye: it may be dead, or only out of reach.
		s.forget(a)
		s.addLost(p.Peer)
		s.stats.Failed++
		s.report(newsItem{status: statusFailed, incarnation: p.incarnation, agent: a})
	} else if e := s.entry(a); e != nil {
		e.retryAt = p.retryAt
	}
	s.settle()
}

// DialFailed tells that a Dial came to nothing.
func (s *State) DialFailed(a identity.AgentID, now time.Time) {
	s.begin(now)
	if i := slices.IndexFunc(s.dials, func(d *dial) bool { return d.agent == a }); i >= 0 {
		s.dialFailed(s.dials[i])
	}
	s.settle()
}
