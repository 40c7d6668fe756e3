package transport

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/task"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Handler takes what happens on connections. For one peer, ConnUp and ConnDown
// are never called concurrently, and in order: ConnUp of a connection comes before
// any of its streams and before its ConnDown. A replacement is brought up before
// or after the old connection goes down; whichever ConnUp came last is current.
// ConnUp and ConnDown should be quick, and must not wait for a Connect.
type Handler interface {
	ConnUp(c *Conn)
	ConnDown(c *Conn, err error)
	// Stream runs on a goroutine of its own and may block. s is a [Stream] if
	// the peer opened it bidirectional. See [Conn.Serve].
	Stream(c *Conn, kind StreamKind, s ReceiveStream)
}

// PeersConfig tunes the connection table. Zero values mean the defaults named.
type PeersConfig struct {
	// MaxPeers bounds connected peers, 1,024; further ones are refused with
	// wire.KindLimit.
	MaxPeers int
	// DrainTime is how long the loser of a simultaneous open may finish its
	// streams: 1 s.
	DrainTime time.Duration
	// RedialTimeout bounds the immediate redial of a lost connection; after it
	// the peer is Disconnected. Default: the endpoint's PeerTimeout or 16 round
	// trips, whatever is longer.
	RedialTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause between redials of a kept peer:
	// 0.25 s, doubling to 30 s, each shortened at random by up to half.
	BackoffMin, BackoffMax time.Duration
	// Stagger is the head start of one address before the next is tried too:
	// 250 ms (RFC 8305, section 5).
	Stagger time.Duration
	// OnEvent gets the events. But for Error, those of one peer come in order and
	// never concurrently: Connected after its ConnUp, Disconnected after its
	// ConnDown. It should not block: it delays that peer's callbacks.
	OnEvent func(Event)
}

func (c PeersConfig) withDefaults() PeersConfig {
	set := func(d *time.Duration, std time.Duration) {
		if *d <= 0 {
			*d = std
		}
	}
	if c.MaxPeers <= 0 {
		c.MaxPeers = 1024
	}
	set(&c.DrainTime, time.Second)
	set(&c.BackoffMin, 250*time.Millisecond)
	set(&c.BackoffMax, 30*time.Second)
	set(&c.Stagger, 250*time.Millisecond)
	if c.OnEvent == nil {
		c.OnEvent = func(Event) {}
	}
	return c
}

// Peers keeps at most one connection to each (agent, machine): it breaks the tie
// when both dial, replaces dead connections, redials lost ones and says who comes
// and goes. Make it with [NewPeers].
type Peers struct {
	cfg      PeersConfig
	endpoint *Endpoint
	handler  Handler
	book     *book
	tasks    *task.Group
	closing  context.Context // done when Close begins
	close    context.CancelFunc
	serving  sync.WaitGroup // connections between ConnUp and the end of ConnDown

	replaced, duplicates, redials, redialsFailed atomic.Uint64

	mu      sync.Mutex
	peers   map[peerKey]*peer
	agents  map[identity.AgentID][]*peer
	count   int // peers with a connection
	flights map[identity.MachineID]*flight
	kept    map[identity.AgentID]*keeper
	dead    map[identity.MachineID]ConnID // the last current connection that ended
	joined  map[identity.AgentID]struct{}
}

// maxRemembered bounds the two maps that only make things better (dead, joined).
const maxRemembered = 4096

type peerKey struct {
	agent   identity.AgentID
	machine identity.MachineID
}

// peer is one (agent, machine) that has or recently had a connection. Peers.mu
// guards it.
type peer struct {
	peerKey
	current    *Conn
	announced  bool // Connected was said and not taken back
	redialling bool
	serving    int      // connections between ConnUp and ConnDown
	calls      []func() // callbacks in order
	calling    bool     // a goroutine works through calls
}

// NewPeers takes over the endpoint's connections. It does not dial by itself.
func NewPeers(e *Endpoint, h Handler, cfg PeersConfig) *Peers {
	p := &Peers{
		cfg:      cfg.withDefaults(),
		endpoint: e,
		handler:  h,
		book:     newBook(),
		tasks:    task.New(e.tasks.OnPanic),
		peers:    make(map[peerKey]*peer),
		agents:   make(map[identity.AgentID][]*peer),
		flights:  make(map[identity.MachineID]*flight),
		kept:     make(map[identity.AgentID]*keeper),
		dead:     make(map[identity.MachineID]ConnID),
		joined:   make(map[identity.AgentID]struct{}),
	}
	p.closing, p.close = context.WithCancel(e.closing)
	e.gate.Store(&gate{
		admit:  func(c *Conn) *refusal { _, r := p.install(c); return r },
		up:     p.up,
		down:   func(c *Conn, err error) { p.lost(c, err, false) },
		failed: func(err error) { p.cfg.OnEvent(Event{Type: Error, Err: err}) },
	})
	p.tasks.Go("adopt connections", p.adopt)
	return p
}

// adopt takes connections that came in before the gate was there.
func (p *Peers) adopt() {
	for {
		c, err := p.endpoint.Accept(p.closing)
		if err != nil {
			return
		}
		if _, r := p.install(c); r != nil {
			c.Close(CloseRefused, r.reason)
			continue
		}
		p.up(c)
	}
}

// Conn returns the current connection to the agent, or nil.
func (p *Peers) Conn(agent identity.AgentID) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connLocked(agent)
}

func (p *Peers) connLocked(agent identity.AgentID) *Conn {
	for _, pr := range p.agents[agent] {
		if pr.current != nil {
			return pr.current
		}
	}
	return nil
}

// connTo returns the current connection to a machine, or nil.
func (p *Peers) connTo(m identity.MachineID) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, pr := range p.peers {
		if key.machine == m && pr.current != nil {
			return pr.current
		}
	}
	return nil
}

// Connected returns how many peers have a connection.
func (p *Peers) Connected() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// PeersStats counts since NewPeers.
type PeersStats struct {
	Connected, Kept, Known int    // peers now: with a connection, to stay connected to, in the book
	Replaced               uint64 // connections that a newer one took the place of
	Duplicates             uint64 // connections refused since another stays
	Redials, RedialsFailed uint64 // of lost connections, at once
}

// Stats returns the counters.
func (p *Peers) Stats() PeersStats {
	s := PeersStats{
		Known:    p.book.len(),
		Replaced: p.replaced.Load(), Duplicates: p.duplicates.Load(),
		Redials: p.redials.Load(), RedialsFailed: p.redialsFailed.Load(),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Connected, s.Kept = p.count, len(p.kept)
	return s
}

// List describes the connected peers, in order of their ids.
func (p *Peers) List() []PeerInfo {
	p.mu.Lock()
	conns := make([]*Conn, 0, p.count)
	for _, pr := range p.peers {
		if pr.current != nil {
			conns = append(conns, pr.current)
		}
	}
	p.mu.Unlock()
	infos := make([]PeerInfo, 0, len(conns))
	for _, c := range conns {
		infos = append(infos, PeerInfo{
			Agent: c.agent, Machine: c.session.machine, Addr: c.RemoteAddr(), Path: c.Path(),
			RTT: c.RTT(), Dialled: c.dialled, Resumed: c.session.resumed, Since: c.since,
		})
	}
	slices.SortFunc(infos, func(a, b PeerInfo) int {
		if n := a.Agent.Compare(b.Agent); n != 0 {
			return n
		}
		return a.Machine.Compare(b.Machine)
	})
	return infos
}

// AddHint adds to the bounded book of addresses. News of a kept agent that is not
// connected are tried at once.
func (p *Peers) AddHint(h Hint) {
	if h.Machine == p.endpoint.machine && (h.Agent.IsZero() || h.Agent == p.endpoint.agent) {
		return
	}
	if !p.book.hint(h) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for agent, k := range p.kept {
		if agent == h.Agent || slices.Contains(p.book.machinesOf(agent), h.Machine) {
			k.nudge()
		}
	}
}

// Drop closes the connections to an agent, with CloseGoodbye unless code is as
// final. Nobody redials at once; if the agent is kept, after a pause.
func (p *Peers) Drop(agent identity.AgentID, code CloseCode) {
	p.mu.Lock()
	var conns []*Conn
	for _, pr := range p.agents[agent] {
		if pr.current != nil {
			conns = append(conns, pr.current)
		}
	}
	p.mu.Unlock()
	if !code.final() {
		code = CloseGoodbye
	}
	for _, c := range conns {
		c.Close(code, "")
	}
}

// Close says goodbye to every peer and waits, until ctx ends, for callbacks and
// dials. The endpoint stays open.
func (p *Peers) Close(ctx context.Context) error {
	p.mu.Lock()
	p.close()
	var conns []*Conn
	for _, pr := range p.peers {
		if pr.current != nil {
			conns = append(conns, pr.current)
		}
	}
	p.mu.Unlock()
	for _, c := range conns {
		c.Close(CloseShutdown, "")
	}
	done := make(chan struct{})
	var waiter task.Group
	waiter.Go("wait for peers", func() {
		p.serving.Wait()
		p.tasks.Wait()
		close(done)
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return wire.Errorf(wire.KindOf(ctx.Err()), "close peers", "callbacks are still running: %w", ctx.Err())
	}
}
