package transport

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/task"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Endpoint is one agent's UDP socket: it dials and accepts. Make it with
// [Listen].
type Endpoint struct {
	cfg      Config
	machine  identity.MachineID
	agent    identity.AgentID
	agentKey [identity.PublicKeySize]byte
	network  [32]byte
	instance [16]byte // of this endpoint: a restart is another one

	socket   *socket
	quic     *quic.Transport
	listener *quic.Listener
	cert     tls.Certificate
	sessions *sessionCache
	tickets  *ticketTable
	accept   *quic.Config
	dialling *quic.Config

	admission *admission
	watcher   *watcher
	tasks     *task.Group
	accepted  chan *Conn
	gate      atomic.Pointer[gate]
	seq       atomic.Uint64
	stats     endpointStats

	closing context.Context // done when Close begins
	close   context.CancelFunc
	mu      sync.Mutex
	open    map[*quic.Conn]struct{} // every connection, half-open ones too
	closed  chan struct{}           // closed when Close has finished
	once    sync.Once
}

// gate lets Peers decide about a connection before it is acknowledged.
type gate struct {
	// admit decides about a proved dialler; a *refusal refuses.
	admit func(*Conn) *refusal
	// up takes an acknowledged connection that admit let in.
	up func(*Conn)
	// down is called instead of up when the acknowledgement did not go out.
	down func(*Conn, error)
	// failed is called when the socket has ended without Close.
	failed func(error)
}

// maxAccepted bounds connections that wait for [Endpoint.Accept]. Beyond it a
// dialler is refused: nobody here takes connections.
const maxAccepted = 64

type endpointStats struct {
	unknownKinds, givenUp, refusedHellos, badHellos, dials, failedDials atomic.Uint64
}

// EndpointStats counts since Listen.
type EndpointStats struct {
	Open, HalfOpen int    // connections now; those without a finished hello
	Turned         uint64 // newcomers turned away since MaxHalfOpen was reached
	BadHellos      uint64 // hellos malformed, late, or with a false proof
	RefusedHellos  uint64 // hellos answered with a reason
	UnknownKinds   uint64 // streams cancelled for their first byte
	GivenUp        uint64 // watched connections that fell silent
	Dials, Failed  uint64
	// SocketErrors counts errors of the socket that pass: ICMP messages, and
	// packets lost since the kernel was short of memory.
	SocketErrors uint64
	// BytesSent and BytesReceived are UDP payload, whatever for.
	BytesSent, BytesReceived uint64
}

// Listen opens the socket and starts to accept.
func Listen(cfg Config) (*Endpoint, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	cert, err := machineCertificate(cfg.Machine)
	if err != nil {
		return nil, err
	}
	return listenWith(cfg, cert)
}

func listenWith(cfg Config, cert tls.Certificate) (*Endpoint, error) {
	udp, err := listenUDP(cfg.Bind, net.ListenUDP)
	if err != nil {
		return nil, err
	}
	socket := newSocket(udp)
	e := &Endpoint{
		cfg:      cfg,
		machine:  cfg.Machine.Public().MachineID(),
		agent:    cfg.Agent.Public().AgentID(),
		network:  networkDigest(cfg.NetworkID),
		socket:   socket,
		cert:     cert,
		sessions: newSessionCache(cfg.NetworkID),
		tickets:  newTicketTable(),
		accepted: make(chan *Conn, maxAccepted),
		open:     make(map[*quic.Conn]struct{}),
		closed:   make(chan struct{}),
	}
	copy(e.agentKey[:], cfg.Agent.Public().Bytes())
	var onPanic func(string, any, []byte)
	if cfg.Tasks != nil {
		onPanic = cfg.Tasks.OnPanic
	}
	e.tasks = task.New(onPanic)
	e.closing, e.close = context.WithCancel(context.Background())
	e.watcher = newWatcher(cfg.PeerTimeout, e.closing.Done())
	e.admission = newAdmission(cfg.MaxHalfOpen)
	e.accept, e.dialling = e.quicConfig(cfg.HelloTimeout), e.quicConfig(cfg.DialTimeout)

	e.quic = &quic.Transport{
		Conn:                socket,
		StatelessResetKey:   new(quic.StatelessResetKey),
		VerifySourceAddress: e.admission.suspicious,
		ConnContext:         e.admission.admit,
	}
	// A peer whose connection we gave up learns it from its next packet, also
	// when our CONNECTION_CLOSE was lost (RFC 9000, section 10.3).
	_, err = rand.Read(e.quic.StatelessResetKey[:])
	if err == nil {
		_, err = rand.Read(e.instance[:])
	}
	if err == nil {
		e.listener, err = e.quic.Listen(serverTLS(cert, e.tickets), e.accept)
	}
	if err != nil {
		e.close()
		e.quic.Close()
		socket.Close()
		return nil, wireError("listen", err)
	}
	e.tasks.Go("accept connections", e.acceptLoop)
	e.tasks.Go("watch connections", e.watcher.run)
	return e, nil
}

func (e *Endpoint) quicConfig(handshake time.Duration) *quic.Config {
	return &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		HandshakeIdleTimeout:           handshake,
		MaxIdleTimeout:                 e.cfg.IdleTimeout,
		KeepAlivePeriod:                e.cfg.IdleProbe,
		InitialStreamReceiveWindow:     initialStreamWindow,
		InitialConnectionReceiveWindow: initialConnWindow,
		MaxStreamReceiveWindow:         min(maxStreamWindow, e.cfg.MaxReceiveWindow),
		MaxConnectionReceiveWindow:     e.cfg.MaxReceiveWindow,
		MaxIncomingStreams:             int64(e.cfg.MaxStreams),
		MaxIncomingUniStreams:          int64(e.cfg.MaxStreams),
		EnableDatagrams:                true, // probes
	}
}

// MachineID returns the machine that this endpoint proves.
func (e *Endpoint) MachineID() identity.MachineID { return e.machine }

// AgentID returns the agent that this endpoint proves.
func (e *Endpoint) AgentID() identity.AgentID { return e.agent }

// Addr returns the address that the socket is bound to, which may be the
// unspecified one. See LocalAddrs.
func (e *Endpoint) Addr() netip.AddrPort {
	ap := e.socket.LocalAddr().(*net.UDPAddr).AddrPort()
	if ap.Addr().Is4In6() {
		ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return ap
}

// LocalAddrs returns addresses that reach the endpoint from this host.
func (e *Endpoint) LocalAddrs() []netip.AddrPort {
	at := e.Addr()
	if !at.Addr().IsUnspecified() {
		return []netip.AddrPort{at}
	}
	local := []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())}
	if at.Addr().Is6() && hasIPv6Loopback() {
		local = append(local, netip.AddrPortFrom(netip.IPv6Loopback(), at.Port()))
	}
	return local
}

// Stats returns the counters.
func (e *Endpoint) Stats() EndpointStats {
	e.mu.Lock()
	open := len(e.open)
	e.mu.Unlock()
	half, turned := e.admission.counts()
	return EndpointStats{
		Open: open, HalfOpen: half, Turned: turned,
		BadHellos:     e.stats.badHellos.Load(),
		RefusedHellos: e.stats.refusedHellos.Load(),
		UnknownKinds:  e.stats.unknownKinds.Load(),
		GivenUp:       e.stats.givenUp.Load(),
		Dials:         e.stats.dials.Load(),
		Failed:        e.stats.failedDials.Load(),
		SocketErrors:  e.socket.readErrors.Load() + e.socket.writeErrors.Load(),
		BytesSent:     e.socket.sent.Load(),
		BytesReceived: e.socket.received.Load(),
	}
}

// Dial connects to addr and returns when the peer has acknowledged the hello. A
// peer other than the expected machine fails with wire.KindAuth; a zero machine
// takes any, which is only right for a bootstrap address. Other kinds: KindTimeout
// and KindCancelled for ctx, KindUnreachable when nothing answers within
// DialTimeout, KindNetworkMismatch, KindLimit, KindClosed.
func (e *Endpoint) Dial(ctx context.Context, addr netip.AddrPort, expect identity.MachineID) (*Conn, error) {
	return e.dial(ctx, addr, expect, func(identity.MachineID) ConnID { return ConnID{} })
}

// dial asks gaveUp for the last dead connection to the machine that answers.
func (e *Endpoint) dial(ctx context.Context, addr netip.AddrPort, expect identity.MachineID, gaveUp func(identity.MachineID) ConnID) (*Conn, error) {
	const op = "dial"
	if !addr.IsValid() || addr.Port() == 0 {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "%s is not an address to dial", addr)
	}
	e.stats.dials.Add(1)
	c, err := e.tryDial(ctx, addr, expect, gaveUp)
	if err == nil {
		return c, nil
	}
	e.stats.failedDials.Add(1)
	switch {
	case e.closing.Err() != nil:
		return nil, wire.Errorf(wire.KindClosed, op, "the endpoint is closed: %w", err)
	case ctx.Err() != nil:
		return nil, wireError(op, ctx.Err())
	case wire.KindOf(err) == wire.KindTimeout:
		return nil, wire.Errorf(wire.KindUnreachable, op, "no answer from %s within %v: %w", addr, e.cfg.DialTimeout, err)
	}
	return nil, err
}

func (e *Endpoint) tryDial(ctx context.Context, addr netip.AddrPort, expect identity.MachineID, gaveUp func(identity.MachineID) ConnID) (*Conn, error) {
	const op = "dial"
	ctx, cancel := context.WithTimeout(ctx, e.cfg.DialTimeout)
	defer cancel()
	defer context.AfterFunc(e.closing, cancel)()

	q, err := e.quic.Dial(ctx, net.UDPAddrFromAddrPort(addr), clientTLS(e.cert, e.sessions, expect), e.dialling)
	if _, silent := errors.AsType[*quic.IdleTimeoutError](err); silent { // a handshake's patience
		return nil, wire.Errorf(wire.KindUnreachable, op, "no answer from %s: %w", addr, err)
	}
	if err != nil {
		return nil, wireError(op, err)
	}
	if !e.track(q) {
		return nil, wire.Errorf(wire.KindClosed, op, "the endpoint is closed")
	}
	s, err := newSession(q.ConnectionState().TLS)
	if err != nil {
		q.CloseWithError(quic.ApplicationErrorCode(CloseProtocol), "no session")
		return nil, err
	}
	c := e.newConn(q, s, true)
	if err := c.introduce(ctx, gaveUp(s.machine)); err != nil {
		code := CloseRefused
		if _, refused := errors.AsType[*refusal](err); !refused {
			code = CloseProtocol
		}
		c.Close(code, "hello failed")
		return nil, err
	}
	return c, nil
}

// Accept returns the next connection whose hello is done. With [NewPeers] on the
// endpoint, Peers takes them all and Accept waits until ctx ends.
func (e *Endpoint) Accept(ctx context.Context) (*Conn, error) {
	select {
	case c := <-e.accepted:
		return c, nil
	case <-ctx.Done():
		return nil, wireError("accept", ctx.Err())
	case <-e.closing.Done():
		return nil, wire.Errorf(wire.KindClosed, "accept", "the endpoint is closed")
	}
}

func (e *Endpoint) acceptLoop() {
	for {
		q, err := e.listener.Accept(e.closing)
		if err != nil {
			if e.closing.Err() == nil {
				e.fail(wireError("accept", err))
			}
			return
		}
		if e.track(q) {
			e.tasks.Go("welcome", func() { e.welcome(q) })
		}
	}
}

// fail reports that the endpoint has ended by itself: the socket is gone, and so
// are its connections.
func (e *Endpoint) fail(err error) {
	e.cfg.Logger.Error("the socket has failed", "error", err)
	if g := e.gate.Load(); g != nil {
		g.failed(err)
	}
}

// track remembers a connection for Close, until it ends. It reports false, with
// the connection closed, when Close has begun.
func (e *Endpoint) track(q *quic.Conn) bool {
	e.mu.Lock()
	if e.closing.Err() != nil {
		e.mu.Unlock()
		q.CloseWithError(quic.ApplicationErrorCode(CloseShutdown), "")
		return false
	}
	e.open[q] = struct{}{}
	e.mu.Unlock()
	context.AfterFunc(q.Context(), func() {
		e.mu.Lock()
		delete(e.open, q)
		e.mu.Unlock()
	})
	return true
}

// Close says goodbye to every peer, closes the socket and waits, until ctx ends,
// for every goroutine of the endpoint, handlers of streams included. A second
// Close waits for the first.
func (e *Endpoint) Close(ctx context.Context) error {
	e.once.Do(func() {
		e.mu.Lock()
		e.close()
		all := make([]*quic.Conn, 0, len(e.open))
		for q := range e.open {
			all = append(all, q)
		}
		e.mu.Unlock()
		for _, q := range all {
			q.CloseWithError(quic.ApplicationErrorCode(CloseShutdown), "")
		}
		e.listener.Close()
		e.quic.Close()
		e.socket.Close()
		var waiter task.Group
		waiter.Go("wait for goroutines", func() {
			e.tasks.Wait()
			close(e.closed)
		})
	})
	select {
	case <-e.closed:
		return nil
	case <-ctx.Done():
		return wire.Errorf(wire.KindOf(ctx.Err()), "close endpoint", "handlers are still running: %w", ctx.Err())
	}
}
