package direct

import (
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Receipt says that the recipient's library has accepted a message.
type Receipt struct {
	Path     string        // the path of the connection on which the news came, "direct"
	RTT      time.Duration // the smoothed round-trip time of that connection
	Sequence uint64        // the message's position in the session
}

// Pending is a message on its way. Its methods may be called from any goroutine.
type Pending struct {
	peer    *peer // whose lock guards the rest; nil in tests of the pure machine
	payload []byte
	done    func(Receipt, error)
	waiter  *waiter // instead of done

	deadline  time.Duration // since the manager's start
	seq       uint64        // position, 0 until one is given out
	phase     phase
	unordered bool
	failFast  bool // fails when the peer becomes disconnected
	err       error
	out       *outBody // for payloads that take a stream of their own
}

type phase uint8

const (
	queued phase = iota // no byte has left
	sent                // has a position; bytes may have left
	done                // completed, or about to be
)

// outBody is the sending of a large payload.
type outBody struct {
	offset  uint64     // where the last grant begins
	granted bool       // a grant waits for the sending goroutine
	active  bool       // the sending goroutine uses the payload
	whole   bool       // the last byte was handed to the connection at least once
	stream  SendStream // of the sending goroutine, to cancel
	cancel  func()     // ends its opening of a stream
}

// big reports that the payload takes a stream of its own.
func (p *Pending) big() bool { return p.out != nil }

// delivered tells what a failure of p means.
func (p *Pending) delivered() wire.Delivered {
	if p.seq == 0 || p.big() && !p.out.whole {
		return wire.DeliveredNo
	}
	return wire.DeliveredUnknown
}

// failure returns the error of p for a kind.
func (p *Pending) failure(kind wire.Kind, msg string, cause error) error {
	return &wire.Error{
		Kind: kind, Op: "send direct", Msg: msg, Err: cause,
		Retryable: kind == wire.KindTimeout || kind == wire.KindDisconnected,
		Delivered: p.delivered(),
	}
}

// Cancel gives the message up. It completes with wire.KindCancelled unless it has
// completed already; what the error says of delivery holds. Calling it again does
// nothing.
func (p *Pending) Cancel() { p.cancel(wire.KindCancelled, "cancelled", nil) }
