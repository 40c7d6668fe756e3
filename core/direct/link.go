package direct

import (
	"context"
	"io"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// Link is an authenticated connection to one agent, as this package needs it.
// None of its methods but OpenUni may block, and none may call the Manager.
type Link interface {
	Agent() identity.AgentID
	Machine() identity.MachineID
	ID() [16]byte // the same on both sides, different for each connection
	RTT() time.Duration
	Path() string
	// OpenUni opens a stream whose other end goes to the peer's HandleStream with
	// the same kind. It fails when the link ends.
	OpenUni(ctx context.Context, kind byte) (SendStream, error)
	// Watch asks for a peer that is silent to be noticed soon, until release is
	// called.
	Watch() (release func())
	// Done is closed when the link has ended.
	Done() <-chan struct{}
	// Fail ends the link: the peer breaks the protocol.
	Fail(reason string)
}

// SendStream is one direction of a stream.
//
// A stream that also has TryWriteAll (all or nothing, without blocking, as quic-go
// has it) lets a send into an idle session be written by its caller, without a
// change of goroutine.
type SendStream interface {
	io.Writer
	Close() error
	Cancel(code uint64) // resets the stream: what was written may be lost
	SetWriteDeadline(t time.Time) error
}

// A Link that also has Process names the process at its other end, by bytes that change with
// every start. With it, messages that were written to a link which the peer never took up are
// written again, instead of counting as lost in a restart.
type processLink interface {
	Process() [16]byte
}

type tryWriter interface {
	TryWriteAll(p []byte) error
}

// ReceiveStream is the other direction.
type ReceiveStream interface {
	io.Reader
	Cancel(code uint64)
	SetReadDeadline(t time.Time) error
}

// The kinds of streams that are for a Manager. They are those of package
// transport.
const (
	KindDirect     byte = 0x10 // frames of one direction, one stream per link
	KindDirectBody byte = 0x11 // one large payload
)

// Codes of cancelled streams, for people who read packet traces.
const (
	codeStale    = 1 // the link or the message is gone
	codeProtocol = 2 // the peer breaks the protocol
	codeLimit    = 3 // no session is free
)
