package transport

import (
	"context"
	"io"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// StreamKind is the first byte of every stream: the room that reads the rest.
type StreamKind byte

const (
	KindControl    StreamKind = 0x01 // the hello
	KindDirect     StreamKind = 0x10 // one direction of a direct session
	KindDirectBody StreamKind = 0x11 // one large direct body
	KindGossip     StreamKind = 0x20 // topic messages

	// KindGossipControl carries the small frames of gossip and of the overlay, which must not
	// wait behind messages.
	KindGossipControl StreamKind = 0x21
)

func (k StreamKind) known() bool {
	switch k {
	case KindDirect, KindDirectBody, KindGossip, KindGossipControl:
		return true
	}
	return false // a second hello on one connection is unknown too
}

// Codes of RESET_STREAM and STOP_SENDING that this package sends itself.
const (
	streamUnknownKind quic.StreamErrorCode = 1
	streamUnread      quic.StreamErrorCode = 2 // the handler returned before the end
	streamNoKind      quic.StreamErrorCode = 3 // no first byte in time
)

// SendStream is the sending half of a stream. Write may block for flow control;
// one goroutine writes at a time. The peer learns of the stream with the first
// write. Errors have kinds of package wire.
type SendStream interface {
	io.Writer
	// TryWriteAll writes all of p without blocking, or nothing (wire.KindBusy).
	TryWriteAll(p []byte) error
	// Close ends the stream after what was written (FIN). It must not run
	// beside Write.
	Close() error
	// Cancel abandons the stream (RESET_STREAM): the peer sees an error, never
	// a shorter stream that looks whole. It may run beside Write.
	Cancel(code uint64)
	SetWriteDeadline(time.Time) error
}

// ReceiveStream is the receiving half. Read returns io.EOF after the last byte,
// and any other error when the stream or the connection broke.
type ReceiveStream interface {
	io.Reader
	// Cancel asks the peer to stop sending and discards what is under way.
	Cancel(code uint64)
	SetReadDeadline(time.Time) error
}

// Stream is both halves. Its two Cancels are told apart by name.
type Stream interface {
	io.ReadWriteCloser
	Cancel(code uint64) // both directions
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// The wrappers add two things to quic-go's streams: the error kinds, and the
// kind byte, which travels in the packet of the first write. Reads go straight
// through.

type sendStream struct {
	s    *quic.SendStream
	kind [1]byte
	sent bool // the kind has been written
}

func (s *sendStream) Write(p []byte) (int, error) {
	if !s.sent {
		return s.first(p)
	}
	n, err := s.s.Write(p)
	if err != nil {
		err = streamError("write stream", err)
	}
	return n, err
}

func (s *sendStream) first(p []byte) (int, error) {
	s.sent = true
	return writeFirst(s.s, s.kind[0], p)
}

// errWouldBlock is what TryWriteAll returns when nothing was written.
var errWouldBlock = &wire.Error{Kind: wire.KindBusy, Op: "write stream", Msg: "it would block", Retryable: true}

// TryWriteAll writes p if all of it can be queued at once, and otherwise nothing:
// wire.KindBusy. It never blocks.
func (s *sendStream) TryWriteAll(p []byte) error {
	if !s.sent {
		p = append(append(make([]byte, 0, 1+len(p)), s.kind[0]), p...)
	}
	err := s.s.TryWriteAll(p)
	switch err {
	case nil:
		s.sent = true
		return nil
	case quic.ErrWouldBlock:
		return errWouldBlock
	}
	return streamError("write stream", err)
}

func (s *sendStream) Close() error {
	if !s.sent {
		if _, err := s.first(nil); err != nil {
			return err
		}
	}
	return streamError("close stream", s.s.Close())
}

func (s *sendStream) Cancel(code uint64)                 { s.s.CancelWrite(quic.StreamErrorCode(code)) }
func (s *sendStream) SetWriteDeadline(t time.Time) error { return s.s.SetWriteDeadline(t) }

// writeFirst writes the kind and p as one piece, and counts p only.
func writeFirst(w io.Writer, kind byte, p []byte) (int, error) {
	// A large p is not worth copying for one byte.
	const small = 16 << 10
	head := p[:min(len(p), small)]
	n, err := w.Write(append(append(make([]byte, 0, 1+len(head)), kind), head...))
	n = max(n-1, 0)
	if err == nil && len(p) > small {
		var more int
		more, err = w.Write(p[small:])
		n += more
	}
	if err != nil {
		err = streamError("write stream", err)
	}
	return n, err
}

type receiveStream struct{ s *quic.ReceiveStream }

func (s receiveStream) Read(p []byte) (int, error) {
	n, err := s.s.Read(p)
	if err != nil {
		err = streamError("read stream", err)
	}
	return n, err
}

func (s receiveStream) Cancel(code uint64)                { s.s.CancelRead(quic.StreamErrorCode(code)) }
func (s receiveStream) SetReadDeadline(t time.Time) error { return s.s.SetReadDeadline(t) }

type bidiStream struct {
	s    *quic.Stream
	kind [1]byte
	sent bool
}

func (s *bidiStream) Read(p []byte) (int, error) {
	n, err := s.s.Read(p)
	if err != nil {
		err = streamError("read stream", err)
	}
	return n, err
}

func (s *bidiStream) Write(p []byte) (int, error) {
	if !s.sent {
		s.sent = true
		return writeFirst(s.s, s.kind[0], p)
	}
	n, err := s.s.Write(p)
	if err != nil {
		err = streamError("write stream", err)
	}
	return n, err
}

func (s *bidiStream) Close() error {
	if !s.sent {
		if _, err := s.Write(nil); err != nil {
			return err
		}
	}
	return streamError("close stream", s.s.Close())
}

func (s *bidiStream) Cancel(code uint64) {
	s.s.CancelRead(quic.StreamErrorCode(code))
	s.s.CancelWrite(quic.StreamErrorCode(code))
}

func (s *bidiStream) SetReadDeadline(t time.Time) error  { return s.s.SetReadDeadline(t) }
func (s *bidiStream) SetWriteDeadline(t time.Time) error { return s.s.SetWriteDeadline(t) }

// OpenUni opens a stream to the peer. It blocks while the peer's limit of
// streams is reached, until ctx ends.
func (c *Conn) OpenUni(ctx context.Context, kind StreamKind) (SendStream, error) {
	const op = "open stream"
	if err := c.canOpen(op); err != nil {
		return nil, err
	}
	s, err := c.quic.OpenUniStreamSync(ctx)
	if err != nil {
		return nil, c.openError(op, err)
	}
	return &sendStream{s: s, kind: [1]byte{byte(kind)}}, nil
}

// OpenBidi is [Conn.OpenUni] with an answer.
func (c *Conn) OpenBidi(ctx context.Context, kind StreamKind) (Stream, error) {
	const op = "open stream"
	if err := c.canOpen(op); err != nil {
		return nil, err
	}
	s, err := c.quic.OpenStreamSync(ctx)
	if err != nil {
		return nil, c.openError(op, err)
	}
	return &bidiStream{s: s, kind: [1]byte{byte(kind)}}, nil
}
