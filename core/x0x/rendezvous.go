package x0x

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/saorsa-labs/x0x-go/core/direct"
	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/gossip"
	"github.com/saorsa-labs/x0x-go/core/rendezvous"
	"github.com/saorsa-labs/x0x-go/core/store"
	"github.com/saorsa-labs/x0x-go/core/transport"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	// rendezvousDials bounds dials under way for lookups and holders; what finds no place fails,
	// and core/rendezvous asks somebody else.
	rendezvousDials = 8
	// bindingLife is how long the machine's word that it runs this agent holds, and
	// bindingRenewal how long before its end it is given anew.
	bindingLife    = 24 * time.Hour
	bindingRenewal = 2 * time.Hour
	// sequenceFile keeps the last sequence of the own announcements, in decimal: after a restart
	// with a clock that went back, what this agent says must still be newer.
	sequenceFile = "sequence"
)

// rendezvousRoom drives core/rendezvous: it announces this agent and finds others.
type rendezvousRoom struct {
	agent *Agent
	net   *network
	slots chan struct{}
	driver[rendezvous.Action, *rendezvous.State]

	// Guarded by acting.
	dialled  map[AgentID]bool // by this room
	binding  *discovery.Binding
	sequence uint64
	asking   *transport.Conn       // whose frame is being handled, nil if none
	speaks   map[AgentID]MachineID // the machine that an agent spoke from last; it is one, but in a conflict

	lookups map[uint64]chan []*discovery.Announcement // guarded by mu, as the state
}

func newRendezvousRoom(n *network) *rendezvousRoom {
	r := &rendezvousRoom{
		agent: n.agent, net: n,
		slots:   make(chan struct{}, rendezvousDials),
		dialled: make(map[AgentID]bool), speaks: make(map[AgentID]MachineID), lookups: make(map[uint64]chan []*discovery.Announcement),
	}
	r.driver = newDriver(rendezvous.New(rendezvous.Config{
		Self: n.agent.AgentID(), DialTimeout: n.agent.opts.DialTimeout, Verify: n.agent.verifyAnnouncement,
	}), r.carryOut)
	if dir := n.agent.keys.dir; dir != nil {
		if b, err := store.ReadFile(dir.File(sequenceFile), 32); err == nil {
			r.sequence, err = strconv.ParseUint(strings.TrimSpace(string(b)), 10, 63)
			if err != nil {
				n.agent.log.Warn("sequence of announcements not read", "error", err)
			}
		}
	}
	return r
}

func (r *rendezvousRoom) carryOut(act rendezvous.Action) {
	switch act.Kind {
	case rendezvous.Send:
		// What is not taken for lack of room is asked again of another, or after a while.
		if c := r.asking; c != nil && c.AgentID() == act.Agent {
			r.agent.links.Reply(c, gossip.ClassControl, act.Frame)
			return
		}
		r.agent.links.Send(act.Agent, gossip.ClassControl, act.Frame)
	case rendezvous.Dial:
		r.dialled[act.Peer.Agent] = true
		if !r.net.tasks.Go("dial for a lookup", func() { r.dial(act.Peer) }) {
			return // leaving
		}
	case rendezvous.Release:
		r.release(act.Agent)
	case rendezvous.Done:
		var done chan []*discovery.Announcement
		r.ask(func(*rendezvous.State) {
			done = r.lookups[act.Lookup]
			delete(r.lookups, act.Lookup)
		})
		if done != nil {
			done <- act.Found // it has room for the one result that comes
		}
	case rendezvous.Conflicts:
		r.agent.conflicts.saw(r.agent, act.Machines[1], netip.AddrPort{})
	case rendezvous.Renew:
		r.announce()
	}
}

// dial connects to a peer that a lookup or the own announcement needs. ConnUp tells of success.
func (r *rendezvousRoom) dial(p rendezvous.Peer) {
	if !r.net.dialPeer(r.slots, transport.Hint{Machine: p.Machine, Agent: p.Agent, Addrs: p.Addrs, Source: "rendezvous"}) {
		r.change(func(s *rendezvous.State, now time.Time) {
			delete(r.dialled, p.Agent)
			s.DialFailed(p.Agent, now)
		})
	}
}

// release closes a connection that was made here and that nobody else uses.
func (r *rendezvousRoom) release(id AgentID) {
	if !r.dialled[id] {
		return
	}
	delete(r.dialled, id)
	if r.net.overlay.isActive(id) || r.agent.trust.Trust(id) >= TrustKnown ||
		slices.ContainsFunc(r.agent.direct.Sessions(), func(s direct.SessionInfo) bool { return s.Agent == id }) {
		return
	}
	r.net.peers.Drop(id, transport.CloseGoodbye)
}

// announce signs a new announcement and publishes it. The caller holds acting.
func (r *rendezvousRoom) announce() {
	a, now := r.agent, time.Now()
	if r.binding == nil || now.After(r.binding.ExpiresAt.Add(-bindingRenewal)) {
		b, err := discovery.NewBinding(a.keys.machine, a.AgentID(), now, now.Add(bindingLife))
		if err != nil {
			a.log.Error("announcement not made", "error", err)
			return
		}
		r.binding = b
	}
	r.sequence = max(r.sequence+1, uint64(now.UnixMilli()))
	if dir := a.keys.dir; dir != nil {
		if err := store.WriteFile(dir.File(sequenceFile), []byte(strconv.FormatUint(r.sequence, 10)+"\n")); err != nil {
			a.log.Warn("sequence of announcements not kept", "error", err)
		}
	}
	o := discovery.AnnouncementOptions{
		Binding: r.binding, Sequence: r.sequence, IssuedAt: now, TTL: a.opts.IdentityTTL, Addrs: r.net.announcedAddrs(),
	}
	if a.disclosed.Load() {
		c, err := a.person.certificate(now)
		if err != nil {
			a.log.Warn("user not announced", "error", err)
		} else if c != nil {
			o.Certificate = c.Bare()
		}
	}
	an, err := discovery.NewAnnouncement(a.keys.agent, o)
	if err != nil {
		a.log.Error("announcement not made", "error", err)
		return
	}
	r.apply(func(s *rendezvous.State, now time.Time) { s.Publish(an, now) })
}

// announcedAddrs are the addresses of the socket. Each is shown only where it can work.
func (n *network) announcedAddrs() []netip.AddrPort {
	addrs := n.endpoint.LocalAddrs()
	at := n.endpoint.Addr()
	if !at.Addr().IsUnspecified() {
		return addrs
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		n.agent.log.Debug("addresses of interfaces not known", "error", err)
	}
	for _, i := range interfaces {
		if p, ok := i.(*net.IPNet); ok {
			ip, ok := netip.AddrFromSlice(p.IP)
			ip = ip.Unmap()
			if !ok || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.Is6() && !at.Addr().Is6() {
				continue
			}
			addrs = append(addrs, netip.AddrPortFrom(ip, at.Port()))
		}
	}
	return addrs[:min(len(addrs), discovery.MaxAddrs)]
}

func (r *rendezvousRoom) peerUp(c *transport.Conn) {
	r.change(func(s *rendezvous.State, now time.Time) { r.upLocked(s, c, now) })
}

func (r *rendezvousRoom) upLocked(s *rendezvous.State, c *transport.Conn, now time.Time) {
	r.speaks[c.AgentID()] = c.MachineID()
	at := c.RemoteAddr()
	s.PeerUp(rendezvous.Peer{Agent: c.AgentID(), Machine: c.MachineID(), Addrs: []netip.AddrPort{at}}, at, now)
}

func (r *rendezvousRoom) peerDown(id AgentID) {
	r.change(func(s *rendezvous.State, now time.Time) {
		delete(r.dialled, id)
		delete(r.speaks, id)
		s.PeerDown(id, now)
	})
}

func (r *rendezvousRoom) handleFrame(from *transport.Conn, frame []byte) (err error) {
	r.acting.Lock()
	defer r.acting.Unlock()
	r.asking = from
	defer func() { r.asking = nil }()
	r.apply(func(s *rendezvous.State, now time.Time) {
		if r.speaks[from.AgentID()] != from.MachineID() {
			r.upLocked(s, from, now)
		}
		err = s.HandleFrame(from.AgentID(), frame, now)
	})
	return err
}

// learn tells of peers that the overlay knows.
func (r *rendezvousRoom) learn() {
	r.change(func(s *rendezvous.State, now time.Time) {
		for _, p := range r.net.overlay.passive() {
			s.KnowPeer(rendezvous.Peer{Agent: p.Agent, Machine: p.Machine, Addrs: p.Addrs}, now)
		}
	})
}

func (r *rendezvousRoom) stats() (st rendezvous.Stats) {
	r.ask(func(s *rendezvous.State) { st = s.Stats() })
	return st
}

// run announces this agent and is the room's clock.
func (r *rendezvousRoom) run() {
	r.acting.Lock()
	r.announce()
	r.acting.Unlock()
	r.driver.run(r.net.ctx)
}

// find asks the network for announcements, newest first, and remembers what comes.
func (r *rendezvousRoom) find(ctx context.Context, kind rendezvous.Kind, id [32]byte) ([]*discovery.Announcement, error) {
	const op = "find"
	done := make(chan []*discovery.Announcement, 1)
	var err error
	r.change(func(s *rendezvous.State, now time.Time) {
		var lookup uint64
		if lookup, err = s.Find(kind, id, now); err == nil {
			r.lookups[lookup] = done
		}
	})
	if err != nil {
		return nil, err
	}
	select {
	case found := <-done:
		for _, an := range found {
			r.agent.discovered(an)
		}
		return found, nil
	case <-r.net.ctx.Done():
		return nil, wire.Errorf(wire.KindClosed, op, "the network was left")
	case <-ctx.Done():
		return nil, ended(op, context.Cause(ctx))
	}
}
