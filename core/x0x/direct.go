package x0x

import (
	"context"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/direct"
	"github.com/saorsa-labs/x0x-go/core/internal/task"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// DirectMessage is one message that another agent sent to this one alone. Its sender was
// authenticated by the connection.
type DirectMessage = direct.Message

// Receipt says that the recipient's library has accepted a message into the queue that its
// application reads.
type Receipt = direct.Receipt

// SendOptions configure one send; the zero value is the default.
type SendOptions struct {
	// Timeout bounds the wait for acceptance; 0 is Options.SendTimeout. In SendDirect an
	// earlier deadline of the context counts.
	Timeout time.Duration
	// Unordered lets the message overtake earlier ones.
	Unordered bool
	// FailOnDisconnect fails the send when the peer is found disconnected, instead of waiting
	// for it to come back until the timeout.
	FailOnDisconnect bool
}

// MaxDirectPayload is the largest direct message, 16 MiB.
const MaxDirectPayload = 16 << 20

// SendDirect sends one message to one agent and returns when the recipient's library has
// accepted it. It connects if needed, survives lost connections, and keeps the order of the
// calls of one goroutine. The payload must not change until it returns.
//
// Errors: ErrBlocked (you blocked the agent), ErrTooLarge (over 16 MiB), ErrNotFound (no
// address is known), ErrUnreachable, ErrTimeout, ErrDisconnected, ErrCancelled, ErrClosed.
// Error.Delivered tells whether a failed message may have arrived.
func (a *Agent) SendDirect(ctx context.Context, to AgentID, payload []byte, o SendOptions) (Receipt, error) {
	if err := a.sendable(to, payload); err != nil {
		return Receipt{}, err
	}
	return a.direct.SendWait(ctx, to, payload, a.sendOptions(o))
}

// SendAsync is SendDirect without waiting: if err is nil, done is called exactly once, on a
// goroutine of the library, and must return soon. The payload belongs to the agent until then.
// It fails with ErrBusy when too many operations are in flight. cancel is a request: done
// tells which side won.
func (a *Agent) SendAsync(to AgentID, payload []byte, o SendOptions, done func(Receipt, error)) (cancel func(), err error) {
	if err := a.sendable(to, payload); err != nil {
		return nil, err
	}
	if err := a.begin("send direct"); err != nil {
		return nil, err
	}
	if done == nil {
		done = func(Receipt, error) {} // it is also what counts the operation out
	}
	p, err := a.direct.Send(to, payload, a.sendOptions(o), done)
	if err != nil {
		a.end()
		return nil, err
	}
	return p.Cancel, nil
}

// sent tells the application what became of a message sent by SendAsync.
func (a *Agent) sent(done func(Receipt, error), r Receipt, err error) {
	a.end()
	a.guard("send callback", func() { done(r, err) })
}

func (a *Agent) sendOptions(o SendOptions) direct.SendOptions {
	if o.Timeout == 0 {
		o.Timeout = a.opts.SendTimeout
	}
	return direct.SendOptions{Timeout: o.Timeout, Unordered: o.Unordered, OnDisconnectFail: o.FailOnDisconnect}
}

// sendable refuses what cannot be sent before it costs anything.
func (a *Agent) sendable(to AgentID, payload []byte) error {
	const op = "send direct"
	if err := a.usable(op); err != nil {
		return err
	}
	if len(payload) > MaxDirectPayload {
		return &Error{Kind: wire.KindTooLarge, Op: op, Delivered: wire.DeliveredNo, Msg: "a direct message has at most 16 MiB"}
	}
	if to == a.AgentID() || a.net.Load() != nil {
		return nil
	}
	return &Error{Kind: wire.KindUnreachable, Op: op, Delivered: wire.DeliveredNo, Msg: "not joined: call JoinNetwork first"}
}

// RecvDirect waits for the next direct message. Messages wait in the inbox until they are
// received here or through Inbox; while it is full their senders wait.
func (a *Agent) RecvDirect(ctx context.Context) (DirectMessage, error) {
	e, err := a.inbox.Recv(ctx)
	return e.Item, err
}

// RecvDirectMany waits for at least one message and returns up to max that are there.
func (a *Agent) RecvDirectMany(ctx context.Context, max int) ([]DirectMessage, error) {
	entries, err := a.inbox.RecvMany(ctx, max, nil)
	messages := make([]DirectMessage, len(entries))
	for i, e := range entries {
		messages[i] = e.Item
	}
	return messages, err
}

// Inbox returns the queue of direct messages, for batches and notifications. It never drops.
func (a *Agent) Inbox() *Feed[DirectMessage] { return &a.inbox }

// dialQueue connects to agents that messages wait for, one dial per agent at a time.
type dialQueue struct {
	agent *Agent
	tasks *task.Group

	mu      sync.Mutex
	dialing map[AgentID]bool // true: wanted again since this dial began
}

func newDialQueue(a *Agent) *dialQueue {
	return &dialQueue{agent: a, tasks: task.New(a.panicked), dialing: map[AgentID]bool{}}
}

// want makes sure that somebody tries to connect to the agent, for a message that waits. It
// comes after the message has begun to wait: a dial that was ending looks again.
func (d *dialQueue) want(to AgentID) {
	n := d.agent.net.Load()
	if n == nil || to == d.agent.AgentID() || n.peers.Conn(to) != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, dialing := d.dialing[to]; dialing {
		d.dialing[to] = true
	} else if d.tasks.Go("dial for message", func() { d.run(to) }) {
		d.dialing[to] = false
	}
}

// wantAll is want for every agent that messages wait for.
func (d *dialQueue) wantAll() {
	for _, s := range d.agent.direct.Sessions() {
		if s.Queued+s.Unanswered > 0 {
			d.want(s.Agent)
		}
	}
}

// run dials, in the network of the moment, until nobody wants it any more.
func (d *dialQueue) run(to AgentID) {
	for {
		if n := d.agent.net.Load(); n != nil {
			d.dial(n, to)
		}
		if !d.again(to) {
			return
		}
	}
}

// again ends a dial, unless it was wanted again meanwhile.
func (d *dialQueue) again(to AgentID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dialing[to] {
		d.dialing[to] = false
		return true
	}
	delete(d.dialing, to)
	return false
}

// dial tries until the agent is connected or no message waits any more. Messages that never
// had a connection fail with the first answer: nobody knows when the agent would come. Those
// of a session that was lost wait until their own timeout.
func (d *dialQueue) dial(n *network, to AgentID) {
	for {
		ctx, cancel := context.WithTimeout(n.ctx, d.agent.opts.DialTimeout)
		outcome, err := n.connectAgent(ctx, to)
		cancel()
		if err == nil && (outcome == Direct || outcome == Coordinated || outcome == AlreadyConnected) {
			return
		}
		kind, msg := wire.KindUnreachable, "the agent is known, but no path to it worked"
		if outcome == NotFound {
			kind, msg = wire.KindNotFound, "no address of this agent is known"
		}
		if !d.agent.direct.Unreachable(to, kind, msg, err) || n.ctx.Err() != nil {
			return
		}
		select {
		case <-n.ctx.Done():
			return
		case <-time.After(redialPause):
		}
	}
}

// redialPause is the pause between dials for messages of a lost session. It is short, since a
// person or a program waits, and bounded by the timeouts of the messages.
const redialPause = 250 * time.Millisecond

// close waits for all dials, which end with their network.
func (d *dialQueue) close() { d.tasks.Wait() }
