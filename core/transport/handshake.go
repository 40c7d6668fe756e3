package transport

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// newHello returns our hello, not yet signed.
func (e *Endpoint) newHello() *hello {
	return &hello{network: e.network, instance: e.instance, agentKey: e.agentKey}
}

// bind returns what a proof on this connection is bound to, for one role.
func (c *Conn) bind(role byte) *binding {
	b := &binding{exporter: c.session.exporter, role: role}
	b.dialler, b.acceptor = c.endpoint.machine, c.session.machine
	if !c.dialled {
		b.dialler, b.acceptor = b.acceptor, b.dialler
	}
	return b
}

// introduce is the dialler's half of the hello. It returns when the peer has
// acknowledged it; a refusal is an error that wraps *refusal.
func (c *Conn) introduce(ctx context.Context, gaveUp ConnID) error {
	const op = "say hello"
	e := c.endpoint
	h := e.newHello()
	h.seq, h.gaveUp = e.seq.Add(1), gaveUp
	c.instance, c.seq, c.gaveUp = e.instance, h.seq, gaveUp
	if err := h.sign(e.cfg.Agent, c.bind(roleDialler)); err != nil {
		return err
	}
	s, err := c.quic.OpenStream()
	if err != nil {
		return c.helloError(op, err)
	}
	defer s.CancelRead(streamUnread)
	if deadline, ok := ctx.Deadline(); ok {
		_ = s.SetDeadline(deadline)
	}
	defer context.AfterFunc(ctx, func() { _ = s.SetDeadline(time.Unix(1, 0)) })()
	if _, err := s.Write(wire.AppendFrame([]byte{byte(KindControl)}, frameHello, h.marshal())); err != nil {
		return c.helloError(op, err)
	}
	s.Close()

	typ, body, err := readHelloFrame(s)
	if err != nil {
		return c.helloError(op, err)
	}
	switch typ {
	case frameRefuse:
		r, err := parseRefusal(body)
		if err != nil {
			return err
		}
		return wire.Errorf(r.kind(), op, "refused: %w", r)
	case frameWelcome:
		h, err := parseHello(body)
		if err != nil {
			return err
		}
		if h.network != e.network {
			return wire.Errorf(wire.KindNetworkMismatch, op, "the peer is on another network")
		}
		return c.prove(h, roleAcceptor)
	}
	return wire.Errorf(wire.KindCorrupt, op, "frame of type %#x instead of an answer", typ)
}

// readHelloFrame reads one frame and nothing behind it. A wire.FrameReader would
// borrow 64 KiB to read ahead, on a stream that has one frame.
func readHelloFrame(r io.Reader) (typ byte, body []byte, err error) {
	const op = "read hello frame"
	var head [3]byte // enough for the length of maxHelloFrame
	n := 0
	for n == 0 || head[n-1] >= 0x80 {
		if n == len(head) {
			return 0, nil, wire.Errorf(wire.KindTooLarge, op, "a frame of more than %d bytes", maxHelloFrame)
		}
		if _, err := io.ReadFull(r, head[n:n+1]); err != nil {
			return 0, nil, err
		}
		n++
	}
	size, used := wire.Uvarint(head[:n])
	switch {
	case used != n || size == 0:
		return 0, nil, wire.Errorf(wire.KindCorrupt, op, "malformed length")
	case size > maxHelloFrame:
		return 0, nil, wire.Errorf(wire.KindTooLarge, op, "a frame of %d bytes, limit %d", size, maxHelloFrame)
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(r, frame); err != nil {
		return 0, nil, err
	}
	return frame[0], frame[1:], nil
}

// helloError prefers why the connection ended over what the stream saw of it. At
// this stage a rejection of our certificate arrives too: for the dialler the
// handshake was over before the acceptor looked at it.
func (c *Conn) helloError(op string, err error) error {
	if ended := c.Err(); ended != nil {
		return ended
	}
	return wireError(op, err)
}

// prove checks the peer's hello and takes over who it is.
func (c *Conn) prove(h *hello, role byte) error {
	agent, err := h.verify(c.bind(role))
	if err != nil {
		return err
	}
	c.agent, c.agentKey = agent, h.agentKey
	if !c.dialled {
		c.instance, c.seq, c.gaveUp = h.instance, h.seq, h.gaveUp
	}
	c.peerInstance = h.instance
	return nil
}

// welcome is the acceptor's half: it owns the connection until the hello is
// answered.
func (e *Endpoint) welcome(q *quic.Conn) {
	ctx, cancel := context.WithTimeout(q.Context(), e.cfg.HelloTimeout)
	defer cancel()
	if err := proveAddress(q); err != nil {
		q.CloseWithError(quic.ApplicationErrorCode(CloseRefused), "too many half-open connections")
		return
	}
	s, err := newSession(q.ConnectionState().TLS)
	if err != nil {
		e.stats.badHellos.Add(1)
		q.CloseWithError(quic.ApplicationErrorCode(CloseProtocol), "no session")
		return
	}
	c := e.newConn(q, s, false)
	if err := e.answer(ctx, c); err != nil {
		e.stats.badHellos.Add(1)
		e.cfg.Logger.Debug("hello failed", "from", c.RemoteAddr(), "machine", s.machine.Short(), "error", err)
		c.Close(CloseProtocol, "hello failed: "+err.Error())
	}
}

// answer reads the hello and answers it.
func (e *Endpoint) answer(ctx context.Context, c *Conn) error {
	const op = "read hello"
	// Our half depends on the TLS session alone. Signed now, while the dialler
	// signs its own, it costs the dial no time.
	ours := e.newHello()
	if err := ours.sign(e.cfg.Agent, c.bind(roleAcceptor)); err != nil {
		return err
	}
	s, err := c.quic.AcceptStream(ctx)
	if err != nil {
		return wireError(op, err)
	}
	deadline, _ := ctx.Deadline()
	_ = s.SetDeadline(deadline)
	var kind [1]byte
	if _, err := s.Read(kind[:]); err != nil {
		return wireError(op, err)
	}
	if StreamKind(kind[0]) != KindControl {
		return wire.Errorf(wire.KindAuth, op, "stream of kind %#x before the hello", kind[0])
	}
	typ, body, err := readHelloFrame(s)
	if err != nil {
		return wireError(op, err)
	}
	if typ != frameHello {
		return wire.Errorf(wire.KindAuth, op, "frame of type %#x instead of a hello", typ)
	}
	s.CancelRead(streamUnread)
	if r := e.judge(c, body); r != nil {
		e.stats.refusedHellos.Add(1)
		return e.refuse(ctx, c, s, r)
	}
	g := e.gate.Load()
	if g != nil {
		if r := g.admit(c); r != nil {
			e.stats.refusedHellos.Add(1)
			return e.refuse(ctx, c, s, r)
		}
	}
	if err := acknowledge(s, ours); err != nil {
		if g != nil {
			g.down(c, err)
		}
		return err
	}
	leaveHalfOpen(c.quic)
	if g != nil {
		g.up(c)
		return nil
	}
	select {
	case e.accepted <- c:
	default:
		c.Close(CloseRefused, "nobody accepts connections here")
	}
	return nil
}

// judge checks all that does not depend on other connections.
func (e *Endpoint) judge(c *Conn, body []byte) *refusal {
	h, err := parseHello(body)
	switch {
	case errors.Is(err, errHelloVersion):
		return &refusal{code: refuseVersion, reason: "this endpoint speaks version 1"}
	case err != nil:
		return &refusal{code: refuseMalformed, reason: err.Error()}
	case h.network != e.network:
		return &refusal{code: refuseNetwork, reason: "another network"}
	}
	if err := c.prove(h, roleDialler); err != nil {
		return &refusal{code: refuseAuth, reason: "the agent's proof does not hold for this connection"}
	}
	if c.agent == e.agent && c.session.machine == e.machine {
		return &refusal{code: refuseSelf, reason: "this is the dialler itself"}
	}
	return nil
}

func acknowledge(s *quic.Stream, ours *hello) error {
	if _, err := s.Write(wire.AppendFrame(nil, frameWelcome, ours.marshal())); err != nil {
		return wireError("answer hello", err)
	}
	s.Close() // fails if the dialler has already read all that it needs
	return nil
}

// refuse sends the reason and lets the dialler close, so that it arrives. The
// place among the half-open stays taken meanwhile.
func (e *Endpoint) refuse(ctx context.Context, c *Conn, s *quic.Stream, r *refusal) error {
	if _, err := s.Write(wire.AppendFrame(nil, frameRefuse, r.marshal())); err != nil {
		return wireError("refuse hello", err)
	}
	s.Close()
	select {
	case <-c.Done():
	case <-ctx.Done():
	case <-e.closing.Done():
	}
	c.Close(CloseRefused, r.reason)
	return nil
}
