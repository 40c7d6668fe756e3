package direct

import (
	"context"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// SendOptions are the options of one message.
type SendOptions struct {
	Timeout   time.Duration // until it is accepted; Config.Timeout if not positive
	Unordered bool          // it may overtake messages sent before it
	// OnDisconnectFail fails the message as soon as the peer is disconnected, instead
	// of letting it wait for another connection until the timeout.
	OnDisconnectFail bool
}

// Send sends a message and never blocks. done is called once, without locks held
// and on a goroutine of the manager or of the caller, when the recipient's library
// has accepted the message into the queue of its application, or with an error;
// acknowledgements come in batches, so done must be quick, but it may send. It may
// be nil. The payload must not be changed before that.
//
// Errors returned are of wire.KindBusy when too much is under way to that peer
// already (nothing was sent; done is not called), KindTooLarge, KindBlocked for an
// agent that is blocked here, KindLimit and KindClosed. Errors given to done are of
// KindTimeout, KindDisconnected, KindCancelled and KindClosed, and say in Delivered
// what is known.
func (m *Manager) Send(to identity.AgentID, payload []byte, o SendOptions, done func(Receipt, error)) (*Pending, error) {
	s, err := m.prepare(to, payload, o)
	if err != nil {
		return nil, err
	}
	s.done = done
	if full, err := m.submit(to, s); full || err != nil {
		if full {
			m.stats.busy.Add(1)
			err = errBusy
		}
		return nil, err
	}
	return s, nil
}

// SendWait sends a message and waits until it is accepted. While too much is under
// way to that peer, it waits for room: that is the back-pressure. When ctx ends, the
// message is cancelled. Errors are those of Send and its done, but for KindBusy.
func (m *Manager) SendWait(ctx context.Context, to identity.AgentID, payload []byte, o SendOptions) (Receipt, error) {
	if err := ctx.Err(); err != nil {
		return Receipt{}, sendError(context.Cause(ctx))
	}
	s, err := m.prepare(to, payload, o)
	if err != nil {
		return Receipt{}, err
	}
	w := waiters.Get().(*waiter)
	defer func() {
		w.receipt, w.err = Receipt{}, nil
		waiters.Put(w)
	}()
	s.waiter = w
	if full, err := m.submit(to, s); err != nil {
		return Receipt{}, err
	} else if full {
		if err := m.submitWait(ctx, to, s, w); err != nil {
			return Receipt{}, err
		}
	}
	select {
	case <-w.ch:
	case <-ctx.Done():
		cause := context.Cause(ctx)
		s.cancel(wire.KindOf(sendError(cause)), "given up by the caller", cause)
		<-w.ch
	}
	return w.receipt, w.err
}

// submitWait submits s when there is room, within the time of s and of ctx.
func (m *Manager) submitWait(ctx context.Context, to identity.AgentID, s *Pending, w *waiter) error {
	late := &wire.Error{Kind: wire.KindTimeout, Op: "send direct", Msg: "no room to send in time", Retryable: true, Delivered: wire.DeliveredNo}
	ctx, cancel := context.WithTimeoutCause(ctx, s.deadline-m.now(), late)
	defer cancel()
	for {
		if err := s.peer.submit.waitRoom(ctx, w, int64(len(s.payload))); err != nil {
			return sendError(err)
		}
		if full, err := m.submit(to, s); err != nil || !full {
			return err
		}
	}
}

var errBusy = &wire.Error{Kind: wire.KindBusy, Op: "send direct", Msg: "too many messages under way to this agent", Retryable: true, Delivered: wire.DeliveredNo}

// sendError makes the end of a context an error of a message that has not left.
func sendError(err error) error {
	if e, ok := err.(*wire.Error); ok {
		return e
	}
	return &wire.Error{Kind: wire.KindOf(err), Op: "send direct", Msg: "given up by the caller", Delivered: wire.DeliveredNo, Err: err}
}

func (m *Manager) prepare(to identity.AgentID, payload []byte, o SendOptions) (*Pending, error) {
	if len(payload) > m.cfg.MaxBody {
		e := wire.Errorf(wire.KindTooLarge, "send direct", "payload of %d bytes, limit %d", len(payload), m.cfg.MaxBody)
		e.Delivered = wire.DeliveredNo
		return nil, e
	}
	if m.cfg.Outbound != nil {
		if err := m.cfg.Outbound(to); err != nil {
			return nil, wire.Undelivered(err)
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = m.cfg.Timeout
	}
	s := &Pending{
		payload:   payload,
		deadline:  m.now() + o.Timeout,
		unordered: o.Unordered,
		failFast:  o.OnDisconnectFail,
	}
	if len(payload) > m.cfg.BodyInline {
		s.out = new(outBody)
	}
	return s, nil
}

// submit gives s to its peer and has it written. noRoom reports that there is no
// room.
func (m *Manager) submit(to identity.AgentID, s *Pending) (noRoom bool, err error) {
	for {
		p, err := m.peer(to)
		if err != nil {
			return false, err
		}
		s.peer = p
		switch p.submit.put(s) {
		case full:
			return true, nil
		case shut:
			// The peer was forgotten in this moment, or all is being closed.
			m.mu.RLock()
			closed := m.closed
			m.mu.RUnlock()
			if closed {
				return false, errClosed
			}
			continue
		}
		if p.submit.wakeBy(s.deadline) {
			p.wake(s.deadline)
		}
		p.send()
		return false, nil
	}
}

// send has what was submitted written: by this goroutine if the session is at rest,
// which is fastest for one message, and otherwise by the writer, which takes
// together what comes together.
func (p *peer) send() {
	switch {
	case p.alone:
		p.loop()
	case !p.up.Load():
		if p.m.cfg.Dial != nil {
			p.m.cfg.Dial(p.agent)
		}
		p.pump() // a link may have come up just now
	case p.busy.Load():
		if p.gate.enter() {
			p.startWriter()
		}
	default:
		p.pump()
	}
}
