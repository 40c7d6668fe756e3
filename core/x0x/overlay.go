package x0x

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/direct"
	"github.com/saorsa-labs/x0x-go/core/gossip"
	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/membership"
	"github.com/saorsa-labs/x0x-go/core/presence"
	"github.com/saorsa-labs/x0x-go/core/revocation"
	"github.com/saorsa-labs/x0x-go/core/transport"
)

// overlayDials bounds dials that the overlay asked for at a time. It wants a replacement for
// one lost neighbour now and then; more at once is an attacker's list of dead addresses.
const overlayDials = 4

// joinAgain is how long one contact has to answer before the next that connects is asked too.
const joinAgain = 5 * time.Second

// overlay chooses, of the agents that this one is connected to, the few through which topics
// go, and has others dialled when it lacks some. It drives core/membership: connections,
// frames and time go in, and what comes out is carried out here, in order.
//
// Everybody who is connected is known to it; who is chosen, and has chosen this agent, is a
// neighbour of core/gossip.
type overlay struct {
	agent   *Agent
	net     *network
	slots   chan struct{} // one for each dial
	dropped atomic.Uint64 // frames for peers that take none

	driver[membership.Action, *membership.State]
	dialled map[identity.AgentID]bool // by the overlay; guarded by acting
	joined  time.Time                 // when JOIN was last sent; guarded by acting
}

func newOverlay(n *network) *overlay {
	opts := n.agent.opts
	o := &overlay{
		agent: n.agent,
		net:   n,
		slots: make(chan struct{}, overlayDials),

		dialled: make(map[identity.AgentID]bool),
	}
	o.driver = newDriver(membership.New(membership.Config{
		Self: n.agent.AgentID(), Active: opts.ActivePeers, Passive: opts.PassivePeers,
		MaxPerPrefix: opts.MaxPeersPerAddress, DialTimeout: opts.DialTimeout,
	}), o.carryOut)
	return o
}

func (o *overlay) carryOut(a membership.Action) {
	switch a.Kind {
	case membership.Send:
		if !o.agent.links.Send(a.Agent, gossip.ClassControl, a.Frame) {
			o.dropped.Add(1) // its answer does not come, which is what the timers are for
		}
	case membership.Dial:
		o.dialled[a.Agent] = true
		o.net.tasks.Go("dial for the overlay", func() { o.dial(a.Peer) }) // false: leaving
	case membership.Release:
		o.release(a.Agent)
	case membership.Up:
		o.agent.gossip.PeerUp(a.Agent)
		o.net.presence.change(func(s *presence.State, now time.Time) { s.NeighborUp(a.Agent, now) })
		o.net.revocations.change(func(s *revocation.State, now time.Time) { s.PeerUp(a.Agent, now) })
	case membership.Down:
		o.agent.gossip.PeerDown(a.Agent)
		o.net.revocations.change(func(s *revocation.State, now time.Time) { s.PeerDown(a.Agent, now) })
	}
}

// release closes a connection that was made for the overlay alone, and that nobody has talked
// over since.
func (o *overlay) release(id identity.AgentID) {
	if !o.dialled[id] {
		return
	}
	delete(o.dialled, id)
	if !slices.ContainsFunc(o.agent.direct.Sessions(), func(s direct.SessionInfo) bool { return s.Agent == id }) {
		o.net.peers.Drop(id, transport.CloseGoodbye)
	}
}

// dial connects to a peer of which only hearsay is known. ConnUp tells of success.
func (o *overlay) dial(p membership.Peer) {
	if !o.net.dialPeer(o.slots, transport.Hint{Machine: p.Machine, Agent: p.Agent, Addrs: p.Addrs, Source: "overlay"}) {
		o.change(func(s *membership.State, now time.Time) {
			delete(o.dialled, p.Agent)
			s.DialFailed(p.Agent, now)
		})
	}
}

// peerUp tells of a connection. If it replaces another one to a neighbour, gossip begins anew
// on it: frames may have been lost with the old one.
func (o *overlay) peerUp(c *transport.Conn) {
	id, at := c.AgentID(), c.RemoteAddr()
	o.acting.Lock()
	defer o.acting.Unlock()
	neighbour := o.isActive(id)
	o.apply(func(s *membership.State, now time.Time) {
		if len(s.ActiveView()) == 0 && now.Sub(o.joined) > joinAgain {
			// The way into the network: it makes room for us and tells others, where a
			// mere request would be refused by all who have enough neighbours.
			o.joined = now
			s.Join(id, now)
		}
		s.PeerUp(membership.Peer{Agent: id, Machine: c.MachineID(), Addrs: []netip.AddrPort{at}}, at, now)
	})
	if neighbour && o.isActive(id) {
		o.agent.gossip.PeerUp(id)
	}
}

func (o *overlay) peerDown(id identity.AgentID) {
	o.change(func(s *membership.State, now time.Time) {
		delete(o.dialled, id)
		s.PeerDown(id, now)
	})
}

// heardPause is how often topic messages count as a sign of life: much more often than a
// silent neighbour is probed.
const heardPause = 500 * time.Millisecond

// heard tells that something else than a frame of the overlay came from a peer.
func (o *overlay) heard(id identity.AgentID) {
	o.change(func(s *membership.State, now time.Time) { s.Heard(id, now) })
}

func (o *overlay) handleFrame(from identity.AgentID, frame []byte) (err error) {
	o.change(func(s *membership.State, now time.Time) { err = s.HandleFrame(from, frame, now) })
	return err
}

// leave says goodbye to the neighbours.
func (o *overlay) leave() {
	o.change(func(s *membership.State, now time.Time) { s.Leave(now) })
}

func (o *overlay) isActive(id identity.AgentID) bool { return slices.Contains(o.active(), id) }

// active returns the neighbours that topics go through.
func (o *overlay) active() (ids []identity.AgentID) {
	o.ask(func(s *membership.State) { ids = s.ActiveView() })
	return ids
}

// passive returns those that take the place of a lost neighbour.
func (o *overlay) passive() (peers []membership.Peer) {
	o.ask(func(s *membership.State) { peers = s.PassiveView() })
	return peers
}

func (o *overlay) stats() (st membership.Stats) {
	o.ask(func(s *membership.State) { st = s.Stats() })
	return st
}
