package x0x

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/gossip"
	"github.com/saorsa-labs/x0x-go/core/presence"
	"github.com/saorsa-labs/x0x-go/core/transport"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// PresenceEntry is what is known of one agent: where it was seen last, when, and whether it is
// online.
type PresenceEntry = presence.Entry

// Visibility is to whom an agent says that it is online.
type Visibility = presence.Visibility

const (
	VisibleToNetwork  = presence.Network // to its neighbours, who tell those who ask, and to contacts
	VisibleToContacts = presence.Social  // to contacts only
	Invisible         = presence.Hidden  // to nobody
)

// presenceDials bounds connections under way to contacts who are not connected. Each is asked
// for again later, so none is lost when all are taken.
const presenceDials = 4

// maxWalk is how many hops a walk can have: each multiplies its answers.
const maxWalk = 5

// presenceRoom drives core/presence.
type presenceRoom struct {
	agent *Agent
	net   *network
	slots chan struct{}
	driver[presence.Action, *presence.State]
	walks map[uint64]chan []PresenceEntry // guarded by mu, as the state
	asked map[AgentID]struct{}            // by WatchPresence; likewise
}

func newPresenceRoom(n *network) *presenceRoom {
	a := n.agent
	r := &presenceRoom{
		agent: a, net: n,
		slots: make(chan struct{}, presenceDials),
		walks: make(map[uint64]chan []PresenceEntry), asked: make(map[AgentID]struct{}),
	}
	r.driver = newDriver(presence.New(presence.Config{
		Key: a.keys.agent, Machine: a.MachineID(), Visibility: a.opts.Visibility,
		BeaconInterval: a.opts.PresenceInterval, OfflineTimeout: a.opts.PresenceTimeout,
		Trust: a.trust.Trust,
		Deliver: func(id AgentID, m MachineID) bool {
			_, deliver := a.policy.Inbound(trust.PathPresence, id, m)
			return deliver
		},
		PublicKey: func(id AgentID) ([]byte, bool) {
			if c := a.links.conn(id); c != nil {
				return c.AgentKey().Bytes(), true
			}
			return nil, false
		},
		Neighbors: n.overlay.active,
		Addresses: n.publicAddrs,
	}), r.carryOut)
	return r
}

// publicAddrs are the addresses that mean the same to everybody.
func (n *network) publicAddrs() []netip.AddrPort {
	return slices.DeleteFunc(n.endpoint.LocalAddrs(), func(a netip.AddrPort) bool {
		return !a.Addr().IsGlobalUnicast() || a.Addr().IsPrivate()
	})
}

func (r *presenceRoom) carryOut(act presence.Action) {
	switch act.Kind {
	case presence.Send:
		// What is not taken for lack of room is a beacon, and the next one is on its way.
		r.agent.links.Send(act.Agent, gossip.ClassControl, act.Frame)
	case presence.Want:
		r.net.tasks.Go("connect to a contact", func() { r.connect(act.Agent) }) // false: leaving
	case presence.Online, presence.Offline:
		e := Event{Type: AgentOnline, Agent: act.Agent, Machine: act.Entry.Machine}
		if act.Kind == presence.Offline {
			e.Type = AgentOffline
		} else if len(act.Entry.Addresses) > 0 {
			e.Addr = act.Entry.Addresses[0].String()
		}
		r.agent.events.push(e)
	case presence.Result:
		var done chan []PresenceEntry
		r.ask(func(*presence.State) {
			done = r.walks[act.Query]
			delete(r.walks, act.Query)
		})
		if done != nil {
			done <- act.Entries // it has room for the one result that comes
		}
	}
}

// connect connects to a contact that is to be watched, wherever it is found.
func (r *presenceRoom) connect(id AgentID) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		return
	}
	ctx, cancel := context.WithTimeout(r.net.ctx, r.agent.opts.DialTimeout)
	defer cancel()
	if _, err := r.net.connectAgent(ctx, id); err != nil {
		r.agent.log.Debug("contact not reached", "agent", id.Short(), "error", err)
	}
}

func (r *presenceRoom) handleFrame(from AgentID, frame []byte) (err error) {
	r.change(func(s *presence.State, now time.Time) { err = s.HandleFrame(from, frame, now) })
	return err
}

func (r *presenceRoom) peerUp(id AgentID, m MachineID) {
	r.change(func(s *presence.State, now time.Time) { s.PeerUp(id, m, now) })
}

// peerDown tells that a connection is gone. That a peer wanted no more of it says nothing about
// whether the peer is online; that it was lost, or the peer's process ends, does.
func (r *presenceRoom) peerDown(c *transport.Conn) {
	closed := c.CloseCode() == transport.CloseGoodbye
	r.change(func(s *presence.State, now time.Time) { s.PeerDown(c.AgentID(), closed, now) })
}

// watchContacts has every contact watched, wherever it is.
func (r *presenceRoom) watchContacts() {
	for _, c := range r.agent.trust.List() {
		r.trustChanged(c.AgentID)
	}
}

// trustChanged carries a change of the contacts to whom is watched.
func (r *presenceRoom) trustChanged(id AgentID) {
	r.change(func(s *presence.State, now time.Time) {
		s.TrustChanged(id, now)
		switch _, asked := r.asked[id]; {
		case r.agent.trust.Trust(id) < TrustKnown && !asked:
			s.Unwatch(id, now)
		case r.agent.trust.Trust(id) >= TrustKnown:
			if err := s.Watch(id, now); err != nil {
				r.agent.log.Warn("contact not watched", "agent", id.Short(), "error", err)
			}
		}
	})
}

func (r *presenceRoom) stats() (st presence.Stats) {
	r.ask(func(s *presence.State) { st = s.Stats() })
	return st
}

// Presence returns the agents that are online, as far as this agent has heard: its neighbours,
// its contacts, and whom a PresenceFOAF has found. Ordered by id; empty before joining.
func (a *Agent) Presence() (list []PresenceEntry) {
	n := a.net.Load()
	if n == nil {
		return nil
	}
	n.presence.ask(func(s *presence.State) { list = s.Online() })
	return list
}

// PresenceStatus returns what is known of one agent, and whether anything is. Contacts are
// remembered when they are offline.
func (a *Agent) PresenceStatus(id AgentID) (e PresenceEntry, known bool) {
	n := a.net.Load()
	if n == nil {
		return PresenceEntry{}, false
	}
	n.presence.ask(func(s *presence.State) { e, known = s.Status(id) })
	return e, known
}

// WatchPresence has an agent watched that is no contact: AgentOnline and AgentOffline tell of
// it, wherever in the network it is found. Contacts (TrustKnown and TrustTrusted) are watched
// without it. ErrLimit at 1,024 agents; it ends with UnwatchPresence or LeaveNetwork.
func (a *Agent) WatchPresence(id AgentID) error {
	n, err := a.current("watch presence")
	if err != nil {
		return err
	}
	n.presence.change(func(s *presence.State, now time.Time) {
		if err = s.Watch(id, now); err == nil {
			n.presence.asked[id] = struct{}{}
		}
	})
	return err
}

// UnwatchPresence ends WatchPresence. A contact stays watched.
func (a *Agent) UnwatchPresence(id AgentID) error {
	n, err := a.current("unwatch presence")
	if err != nil {
		return err
	}
	n.presence.change(func(s *presence.State, now time.Time) {
		delete(n.presence.asked, id)
		if a.trust.Trust(id) < TrustKnown {
			s.Unwatch(id, now)
		}
	})
	return nil
}

// PresenceFOAF asks friends of friends who is online within ttl hops (1 to 5, 0 is 2), and
// returns what has come when all have answered, or after timeout (0 is 5 s), or when ctx ends.
// ErrBusy if 16 such walks are under way.
func (a *Agent) PresenceFOAF(ctx context.Context, ttl int, timeout time.Duration) ([]PresenceEntry, error) {
	const op = "presence foaf"
	n, err := a.current(op)
	if err != nil {
		return nil, err
	}
	if ttl < 0 || ttl > maxWalk || timeout < 0 {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "a walk has 1 to %d hops and a timeout that is not negative", maxWalk)
	}
	done := make(chan []PresenceEntry, 1)
	n.presence.change(func(s *presence.State, now time.Time) {
		var id uint64
		if id, err = s.Query(ttl, timeout, now); err == nil {
			n.presence.walks[id] = done
		}
	})
	if err != nil {
		return nil, err
	}
	select {
	case found := <-done:
		return found, nil
	case <-n.ctx.Done():
		return nil, closedError(op)
	case <-ctx.Done():
		return nil, ended(op, context.Cause(ctx))
	}
}
