package transport

import (
	"context"
	"encoding/hex"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// ConnID names one connection, on both sides the same. It comes from the TLS
// exporter, so nobody else knows or can choose it.
type ConnID [16]byte

// IsZero reports that no connection is meant.
func (id ConnID) IsZero() bool { return id == ConnID{} }

// String returns 32 hex digits.
func (id ConnID) String() string { return hex.EncodeToString(id[:]) }

// Conn is an authenticated connection to one agent on one machine.
type Conn struct {
	quic     *quic.Conn
	endpoint *Endpoint
	session  session

	dialled  bool
	agent    identity.AgentID
	agentKey [identity.PublicKeySize]byte // raw: the parsed 40 KiB live in a shared cache
	since    time.Time

	// For the choice between two connections. The first three are the
	// dialler's, so both sides hold the same.
	instance     [16]byte
	seq          uint64
	gaveUp       ConnID
	peerInstance [16]byte // the process at the other end

	unknownKinds atomic.Uint64
	draining     atomic.Bool

	upped chan struct{} // closed when the table's handler knows of it

	watch   watched
	unwatch func()

	mu       sync.Mutex
	closeErr error // why we closed it, first reason stands
}

func (e *Endpoint) newConn(q *quic.Conn, s *session, dialled bool) *Conn {
	c := &Conn{quic: q, endpoint: e, session: *s, dialled: dialled, since: time.Now(), upped: make(chan struct{})}
	c.unwatch = c.watch.leave
	return c
}

// AgentID returns the agent at the other end, proved by its signature.
func (c *Conn) AgentID() identity.AgentID { return c.agent }

// MachineID returns the machine at the other end, proved by TLS.
func (c *Conn) MachineID() identity.MachineID { return c.session.machine }

// AgentKey returns the agent's parsed key, from the process's bounded cache.
func (c *Conn) AgentKey() *identity.PublicKey {
	key, err := identity.CachedPublicKey(c.agentKey[:])
	if err != nil {
		panic("transport: a key of the right size does not parse: " + err.Error())
	}
	return key
}

// RemoteAddr returns where the peer's packets come from now.
func (c *Conn) RemoteAddr() netip.AddrPort { return udpAddr(c.quic.RemoteAddr()) }

// Dialled reports that this side opened the connection.
func (c *Conn) Dialled() bool { return c.dialled }

// ID names the connection, the same on both sides.
func (c *Conn) ID() [16]byte { return c.session.id }

// RTT returns the smoothed round-trip time, 0 before the first sample.
func (c *Conn) RTT() time.Duration { return c.quic.ConnectionStats().SmoothedRTT }

// Resumed reports that the handshake resumed an earlier session.
func (c *Conn) Resumed() bool { return c.session.resumed }

// Path names how packets travel: "direct".
func (c *Conn) Path() string { return "direct" }

// Process names the process at the other end by bytes that are new with every start of its
// endpoint, signed in the peer's hello.
func (c *Conn) Process() [16]byte { return c.peerInstance }

// Since returns when the connection was made.
func (c *Conn) Since() time.Time { return c.since }

// UnknownKinds counts streams cancelled for an unknown first byte.
func (c *Conn) UnknownKinds() uint64 { return c.unknownKinds.Load() }

// Stats returns packet and byte counts.
func (c *Conn) Stats() ConnStats {
	s := c.quic.ConnectionStats()
	return ConnStats{
		BytesSent: s.BytesSent, BytesReceived: s.BytesReceived,
		PacketsSent: s.PacketsSent, PacketsReceived: s.PacketsReceived, PacketsLost: s.PacketsLost,
	}
}

// ConnStats are UDP payload bytes and packets of one connection.
type ConnStats struct {
	BytesSent, BytesReceived                  uint64
	PacketsSent, PacketsReceived, PacketsLost uint64
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.quic.Context().Done() }

// Err returns nil while the connection lives, and then why it ended:
// wire.KindClosed if this side closed it, wire.KindDisconnected if the peer did
// or it was lost.
func (c *Conn) Err() error {
	if c.quic.Context().Err() == nil {
		return nil
	}
	c.mu.Lock()
	err := c.closeErr
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return wireError("connection", context.Cause(c.quic.Context()))
}

// CloseCode returns the code that the connection ended with, of whichever side,
// or 0 if it was lost.
func (c *Conn) CloseCode() CloseCode {
	if app, ok := errors.AsType[*quic.ApplicationError](context.Cause(c.quic.Context())); ok {
		return CloseCode(app.ErrorCode)
	}
	return 0
}

// Close ends the connection at once: what was written and not yet acknowledged
// may be lost. The peer gets code and reason. It waits only for its own packet
// to be written. The first Close decides; more are harmless.
func (c *Conn) Close(code CloseCode, reason string) {
	kind := wire.KindClosed
	if code == CloseSilent || code == CloseReplaced {
		kind = wire.KindDisconnected // nobody asked for it
	}
	c.closeWith(code, wire.Errorf(kind, "connection", "%s: %s", code, reason), reason)
}

func (c *Conn) closeWith(code CloseCode, err error, reason string) {
	c.mu.Lock()
	if c.closeErr == nil && c.quic.Context().Err() == nil {
		c.closeErr = err
	}
	c.mu.Unlock()
	c.quic.CloseWithError(quic.ApplicationErrorCode(code), reason[:min(len(reason), maxReason)])
}

// canOpen refuses new streams on a connection that is about to be replaced.
func (c *Conn) canOpen(op string) error {
	if c.draining.Load() {
		return wire.Errorf(wire.KindDisconnected, op, "another connection to the peer has taken over")
	}
	return nil
}

func (c *Conn) openError(op string, err error) error {
	if ended := c.Err(); ended != nil {
		return ended
	}
	return wireError(op, err)
}

// Serve accepts the peer's streams and runs fn for each on a goroutine of its
// own, until the connection ends; then it returns Err, while the last fn may still
// be at work. A stream of an unknown kind is cancelled and counted. When fn
// returns, the rest of the stream is discarded; a [Stream] it must have closed or
// cancelled itself. Call it once. Peers does it for its connections.
func (c *Conn) Serve(fn func(kind StreamKind, s ReceiveStream)) error {
	ctx, tasks := c.quic.Context(), c.endpoint.tasks
	tasks.Go("accept bidirectional streams", func() {
		for {
			s, err := c.quic.AcceptStream(ctx)
			if err != nil {
				return
			}
			tasks.Go("stream", func() { c.serveStream(&bidiStream{s: s, sent: true}, fn) })
		}
	})
	for {
		s, err := c.quic.AcceptUniStream(ctx)
		if err != nil {
			break
		}
		tasks.Go("stream", func() { c.serveStream(receiveStream{s}, fn) })
	}
	<-c.Done() // its streams end a moment before the connection does
	return c.Err()
}

func (c *Conn) serveStream(s ReceiveStream, fn func(StreamKind, ReceiveStream)) {
	// Runs after a panic too: no stream stays open unread.
	defer s.(unreader).unread()
	_ = s.SetReadDeadline(time.Now().Add(c.endpoint.cfg.HelloTimeout))
	var kind [1]byte
	if n, err := s.Read(kind[:]); n == 0 {
		if err != nil && wire.KindOf(err) == wire.KindTimeout {
			s.Cancel(uint64(streamNoKind))
		}
		return
	}
	_ = s.SetReadDeadline(time.Time{})
	if k := StreamKind(kind[0]); k.known() {
		fn(k, s)
		return
	}
	c.unknownKinds.Add(1)
	c.endpoint.stats.unknownKinds.Add(1)
	s.Cancel(uint64(streamUnknownKind))
}

type unreader interface{ unread() }

func (s receiveStream) unread() { s.s.CancelRead(streamUnread) }
func (s *bidiStream) unread()   { s.s.CancelRead(streamUnread) }
