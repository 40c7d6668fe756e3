package x0x

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/internal/task"
	"github.com/saorsa-labs/x0x-go/core/lan"
	"github.com/saorsa-labs/x0x-go/core/presence"
	"github.com/saorsa-labs/x0x-go/core/rendezvous"
	"github.com/saorsa-labs/x0x-go/core/transport"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	// joinPass bounds the first look at registry and bootstrap, so that joining returns soon
	// also where nobody answers; what is left goes on in the background.
	joinPass = 2 * time.Second
	// lookAgain is the interval at which known places that are not connected are tried again.
	// Transport redials lost connections itself; this finds agents that came later.
	lookAgain = 5 * time.Second
	// newcomerHead is the start that a newcomer gets before this agent dials it, as long as its
	// first pass: it dials everybody, and two crossing dials cost one connection too many.
	newcomerHead = joinPass
	// leaveWait bounds what leaving does besides the caller's deadline.
	leaveWait = 2 * time.Second
	// neighbourDials bounds dials to neighbours at a time. All of them are on this machine, and
	// when many agents start together more at a time only means that handshakes time out.
	neighbourDials = 4
	// bootstrapDials bounds dials to bootstrap hosts at a time, each of which may be dead.
	bootstrapDials = 16
)

// network is what exists between joining and leaving.
type network struct {
	agent       *Agent
	endpoint    *transport.Endpoint
	peers       *transport.Peers
	overlay     *overlay
	presence    *presenceRoom
	revocations *revocationRoom
	rendezvous  *rendezvousRoom
	registry    *discovery.Registry         // nil without local discovery
	lan         atomic.Pointer[lan.Service] // nil without LAN discovery, and until it has started
	bootstrap   []*bootstrapHost
	tasks       *task.Group
	slots       chan struct{} // one for each dial to a neighbour
	ctx         context.Context
	cancel      context.CancelFunc
}

// JoinNetwork listens, registers in the registry of this machine, and tries once what is
// known: registry, bootstrap and cached peers, for at most two seconds. It returns nil also when there is
// nobody yet; connecting goes on in the background. Joining again does nothing. If ctx ends
// while it looks for peers it fails, but the agent has joined.
//
// Errors: ErrBusy (the explicit port is in use), ErrInvalidArgument (bind or every bootstrap
// entry malformed), ErrUnreachable (no bootstrap host has an address), ErrIO (no socket, or no
// usable runtime folder), ErrCancelled and ErrTimeout (ctx), ErrClosed.
func (a *Agent) JoinNetwork(ctx context.Context) error {
	const op = "join network"
	leave, err := a.enter(ctx, op)
	if err != nil {
		return err
	}
	defer leave()
	if a.net.Load() != nil {
		return nil
	}
	pass, cancel := context.WithTimeout(ctx, joinPass)
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)() // closing does not wait for it
	bootstrap, err := a.resolveBootstrap(pass)
	switch {
	case ctx.Err() != nil:
		return ended(op, context.Cause(ctx))
	case err != nil:
		return err
	}
	n := &network{agent: a, bootstrap: bootstrap, tasks: task.New(a.panicked), slots: make(chan struct{}, neighbourDials)}
	n.ctx, n.cancel = context.WithCancel(a.ctx)
	n.endpoint, err = transport.Listen(transport.Config{
		Machine: a.keys.machine, Agent: a.keys.agent, NetworkID: a.opts.NetworkID, Bind: a.opts.Bind,
		DialTimeout: a.opts.DialTimeout, PeerTimeout: a.opts.PeerTimeout,
		Logger: a.log, Tasks: a.tasks,
	})
	if err != nil {
		n.cancel()
		return err
	}
	n.overlay = newOverlay(n)
	n.presence = newPresenceRoom(n)
	n.revocations = newRevocationRoom(n)
	n.rendezvous = newRendezvousRoom(n)
	n.peers = transport.NewPeers(n.endpoint, handler{a, n}, transport.PeersConfig{MaxPeers: a.opts.MaxPeers, OnEvent: a.peerEvent})
	if !a.opts.NoLocalDiscovery {
		n.registry, err = discovery.OpenRegistry(discovery.RegistryOptions{
			RuntimeDir: a.opts.RuntimeDir, Euid: os.Geteuid(), NetworkID: a.opts.NetworkID,
			Machine: a.MachineID(), Port: n.endpoint.Addr().Port(), OnPanic: a.panicked,
		})
		if err != nil {
			n.leave(ctx)
			return err
		}
		n.registry.Watch(n.newcomer)
	}
	a.net.Store(n) // from here on others use it, and none of its fields changes
	a.hints.give(n)
	n.presence.watchContacts()
	n.look(pass)
	n.tasks.Go("look again", n.lookLoop)
	n.tasks.Go("save peers", func() { a.peerCache.saveLoop(n.ctx) })
	n.tasks.Go("overlay", func() { n.overlay.run(n.ctx) })
	n.tasks.Go("presence", func() { n.presence.run(n.ctx) })
	n.tasks.Go("revocations", func() { n.revocations.run(n.ctx) })
	n.tasks.Go("rendezvous", n.rendezvous.run)
	if n.wantsLAN() {
		n.tasks.Go("LAN", n.searchLAN)
	}
	a.dials.wantAll() // messages of sessions that outlived the last network
	a.log.Info("joined", "agent", a.AgentID(), "network", a.opts.NetworkID, "address", n.endpoint.Addr(), "peers", n.peers.Connected())
	if a.ctx.Err() != nil {
		return closedError(op)
	}
	if err := ctx.Err(); err != nil {
		// The caller gave up, not the network: it stays joined, and says so next time.
		return wire.Errorf(wire.KindOf(context.Cause(ctx)), op, "interrupted while looking for peers: %w", context.Cause(ctx))
	}
	return nil
}

// LeaveNetwork says goodbye to all peers and stops listening. Subscriptions, contacts and
// what was published stay; JoinNetwork comes back. Leaving twice does nothing. It waits for a
// JoinNetwork that is under way; if ctx ends before that, it fails and nothing has changed.
func (a *Agent) LeaveNetwork(ctx context.Context) error {
	leave, err := a.enter(ctx, "leave network")
	if err != nil {
		return err
	}
	defer leave()
	n := a.net.Swap(nil)
	if n == nil {
		return nil
	}
	n.leave(ctx)
	return nil
}

// leave ends everything of the network. It waits for it until ctx ends; what then still runs,
// such as a function of the application that does not return, is the agent's to wait for.
func (n *network) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveWait)
	defer cancel()
	n.rendezvous.change(func(s *rendezvous.State, now time.Time) { s.Withdraw(now) })
	n.presence.change(func(s *presence.State, now time.Time) { s.Leave(now) })
	n.overlay.leave()
	n.cancel()
	if n.registry != nil {
		if err := n.registry.Close(); err != nil {
			n.agent.log.Warn("closing the registry", "error", err)
		}
	}
	err := errors.Join(n.peers.Close(ctx), n.endpoint.Close(ctx))
	n.tasks.Wait()
	if err != nil {
		n.agent.log.Debug("leaving goes on", "error", err)
		n.agent.tasks.Go("leave network", func() {
			n.peers.Close(context.Background())
			n.endpoint.Close(context.Background())
		})
	}
}

// look tries once everything that is known and not connected.
func (n *network) look(ctx context.Context) {
	g := task.New(n.agent.panicked)
	slots := make(chan struct{}, bootstrapDials)
	for _, b := range n.bootstrap {
		try(ctx, g, slots, "dial bootstrap", func() { n.dialBootstrap(ctx, b) })
	}
	n.dialNeighbours(ctx, g)
	n.dialCached(ctx, g, slots)
	g.Wait()
}

// dialNeighbours starts a dial to every machine of the registry.
func (n *network) dialNeighbours(ctx context.Context, g *task.Group) {
	if n.registry == nil {
		return
	}
	entries, err := n.registry.Scan()
	if err != nil {
		n.agent.log.Warn("reading the registry", "error", err)
	}
	for _, e := range entries {
		try(ctx, g, n.slots, "dial neighbour", func() { n.dialNeighbour(ctx, registryHint(e)) })
	}
}

// connectAgent connects to an agent. One that is not found, or no more where it was, is looked
// for before that is said: in the registry, which names machines and not agents, and by what it
// has announced to the network.
func (n *network) connectAgent(ctx context.Context, id AgentID) (ConnectOutcome, error) {
	outcome, err := n.peers.Connect(ctx, id)
	if outcome == NotFound && err != nil && n.registry != nil {
		pass, cancel := context.WithTimeout(ctx, joinPass)
		g := task.New(n.agent.panicked)
		n.dialNeighbours(pass, g)
		g.Wait()
		cancel()
		outcome, err = n.peers.Connect(ctx, id)
		if outcome == AlreadyConnected {
			outcome = Direct // by the pass of this very call
		}
	}
	if err == nil || ctx.Err() != nil || outcome != NotFound && (outcome != Unreachable || refusal(err)) || n.peers.Connected() == 0 {
		return outcome, err
	}
	if found, findErr := n.findAndConnect(ctx, id); findErr == nil || outcome == NotFound && found == Unreachable {
		return found, findErr
	}
	return outcome, err
}

// dialPeer connects to an agent that a room has heard of, once a slot is free, and reports
// whether there is a connection then.
func (n *network) dialPeer(slots chan struct{}, hint transport.Hint) bool {
	ctx, cancel := context.WithTimeout(n.ctx, n.agent.opts.DialTimeout)
	defer cancel()
	if takeSlot(ctx, slots) {
		n.peers.AddHint(hint)
		if _, err := n.peers.Connect(ctx, hint.Agent); err != nil {
			n.agent.log.Debug("peer not reached", "room", hint.Source, "peer", hint.Agent.Short(), "error", err)
		}
		<-slots
	}
	return n.peers.Conn(hint.Agent) != nil
}

// try runs dial on a goroutine of g once a slot is free, unless ctx ends before that.
func try(ctx context.Context, g *task.Group, slots chan struct{}, name string, dial func()) {
	if takeSlot(ctx, slots) {
		g.Go(name, func() {
			defer func() { <-slots }()
			dial()
		})
	}
}

// takeSlot waits for the right to dial, and reports false when ctx ends before that.
func takeSlot(ctx context.Context, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// lookLoop looks again until the network is left.
func (n *network) lookLoop() {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
			ctx, cancel := context.WithTimeout(n.ctx, n.agent.opts.DialTimeout)
			n.look(ctx)
			cancel()
			n.rendezvous.learn()
		}
	}
}

// newcomer is called for each new entry of the registry.
func (n *network) newcomer(e discovery.Entry) {
	n.tasks.Go("dial newcomer", func() {
		head := time.NewTimer(newcomerHead)
		defer head.Stop()
		select {
		case <-n.ctx.Done():
			return
		case <-head.C:
		}
		if !takeSlot(n.ctx, n.slots) {
			return
		}
		defer func() { <-n.slots }()
		ctx, cancel := context.WithTimeout(n.ctx, n.agent.opts.DialTimeout)
		defer cancel()
		n.dialNeighbour(ctx, registryHint(e))
	})
}

func registryHint(e discovery.Entry) transport.Hint {
	return transport.Hint{Machine: e.Machine, Addrs: e.Addrs, Source: "registry"}
}

// dialNeighbour connects to a machine that was found nearby. A failure is no event: such hints
// are only that, and the registry's file of a killed process stays until it is swept.
func (n *network) dialNeighbour(ctx context.Context, h transport.Hint) {
	n.peers.AddHint(h)
	if _, err := n.peers.ConnectMachine(ctx, h.Machine); err != nil {
		n.agent.log.Debug("neighbour not reached", "machine", h.Machine.Short(), "source", h.Source, "error", err)
	}
}

// current returns the joined network or says that there is none.
func (a *Agent) current(op string) (*network, error) {
	if err := a.usable(op); err != nil {
		return nil, err
	}
	if n := a.net.Load(); n != nil {
		return n, nil
	}
	return nil, wire.Errorf(wire.KindUnreachable, op, "not joined: call JoinNetwork first")
}

// IsConnected reports whether there is at least one authenticated peer.
func (a *Agent) IsConnected() bool {
	n := a.net.Load()
	return n != nil && n.peers.Connected() > 0
}

// IsAgentConnected reports whether that agent is connected now.
func (a *Agent) IsAgentConnected(id AgentID) bool {
	n := a.net.Load()
	return n != nil && n.peers.Conn(id) != nil
}

// ConnectedAgents returns the ids of the connected peers.
func (a *Agent) ConnectedAgents() []AgentID {
	var ids []AgentID
	for _, p := range a.Peers() {
		ids = append(ids, p.AgentID)
	}
	return ids
}

// LocalAddrs returns addresses under which agents on this machine can dial this one; none
// before joining.
func (a *Agent) LocalAddrs() []netip.AddrPort {
	if n := a.net.Load(); n != nil {
		return n.endpoint.LocalAddrs()
	}
	return nil
}

// AddPeer gives a hint where a machine listens, and which agent lives there if that is known.
// Connections made from it authenticate the machine, so a wrong hint can only fail.
func (a *Agent) AddPeer(machine MachineID, agent AgentID, addrs []netip.AddrPort) error {
	n, err := a.current("add peer")
	if err != nil {
		return err
	}
	if machine.IsZero() || len(addrs) == 0 {
		return wire.Errorf(wire.KindInvalidArgument, "add peer", "a machine id and at least one address are needed")
	}
	n.peers.AddHint(transport.Hint{Machine: machine, Agent: agent, Addrs: addrs, Source: "application"})
	return nil
}

// ConnectToAgent connects to an agent through what is known of it. Unreachable and NotFound
// are outcomes and not errors; ErrAuth and ErrNetworkMismatch say that somebody else answered.
func (a *Agent) ConnectToAgent(ctx context.Context, id AgentID) (ConnectResult, error) {
	return a.connect(ctx, "connect to agent", id == a.AgentID(), func(n *network) (ConnectOutcome, error) {
		return n.connectAgent(ctx, id)
	}, func(p PeerInfo) bool { return p.AgentID == id })
}

// ConnectToMachine is ConnectToAgent by machine id.
func (a *Agent) ConnectToMachine(ctx context.Context, id MachineID) (ConnectResult, error) {
	return a.connect(ctx, "connect to machine", id == a.MachineID(), func(n *network) (ConnectOutcome, error) {
		return n.peers.ConnectMachine(ctx, id)
	}, func(p PeerInfo) bool { return p.MachineID == id })
}

func (a *Agent) connect(ctx context.Context, op string, self bool, dial func(*network) (ConnectOutcome, error), is func(PeerInfo) bool) (ConnectResult, error) {
	if self {
		return ConnectResult{}, wire.Errorf(wire.KindInvalidArgument, op, "that is this agent itself")
	}
	n, err := a.current(op)
	if err != nil {
		return ConnectResult{}, err
	}
	outcome, err := dial(n)
	r := ConnectResult{Outcome: outcome}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return r, err
	case outcome == NotFound || outcome == Unreachable && !refusal(err):
		return r, nil
	default:
		return r, err
	}
	for _, p := range a.Peers() {
		if is(p) {
			r.Addr = p.Addr
		}
	}
	return r, nil
}

// refusal reports that a peer answered and said no, which trying again will not change.
func refusal(err error) bool {
	switch wire.KindOf(err) {
	case wire.KindAuth, wire.KindNetworkMismatch, wire.KindLimit, wire.KindClosed:
		return true
	}
	return false
}

// ConnectToAddress connects to whichever agent answers at "host:port", and says who it is.
// Errors: ErrInvalidArgument, ErrUnreachable, ErrNetworkMismatch, ErrAuth, ErrTimeout.
func (a *Agent) ConnectToAddress(ctx context.Context, address string) (AgentID, MachineID, error) {
	n, err := a.current("connect to address")
	if err != nil {
		return AgentID{}, MachineID{}, err
	}
	b, err := parseHost(address)
	if err != nil {
		return AgentID{}, MachineID{}, wire.Errorf(wire.KindInvalidArgument, "connect to address", "%w", err)
	}
	c, err := n.dialHost(ctx, b)
	if err != nil {
		return AgentID{}, MachineID{}, err
	}
	return c.AgentID(), c.MachineID(), nil
}

// machineConnected reports whether there is a connection to a machine.
func (n *network) machineConnected(m MachineID) bool {
	return slices.ContainsFunc(n.peers.List(), func(p transport.PeerInfo) bool { return p.Machine == m })
}

// Peers returns the connected peers.
func (a *Agent) Peers() []PeerInfo {
	n := a.net.Load()
	if n == nil {
		return nil
	}
	list := n.peers.List()
	peers := make([]PeerInfo, len(list))
	for i, p := range list {
		peers[i] = PeerInfo{AgentID: p.Agent, MachineID: p.Machine, Addr: p.Addr, Path: p.Path, RTT: p.RTT, Dialled: p.Dialled, Connected: p.Since}
	}
	return peers
}
