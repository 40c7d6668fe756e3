package bindings

import (
	"context"
	"time"
	"unsafe"
)

// Publish publishes to a topic and returns when the message is signed and queued.
func (a *Agent) Publish(ctx context.Context, topic string, payload []byte) error {
	o, err := a.StartPublish(topic, payload, 0)
	if err != nil {
		return err
	}
	_, err = o.wait(ctx)
	return err
}

// AtOnce is the timeout of a publish that would rather be refused, with EBusy, than wait for
// room; see X0X_NO_WAIT.
const AtOnce time.Duration = -1

// StartPublish is Publish without waiting for the result: use Wait for that. timeout bounds the
// wait for room; 0 is the default.
func (a *Agent) StartPublish(topic string, payload []byte, timeout time.Duration) (*Operation, error) {
	name := []byte(topic)
	ms := millis(timeout)
	if timeout == AtOnce {
		ms = NoWait
	}
	return a.queue.start("publish", func(token uint64, opOut *uint64, e *CErr) int32 {
		return a.queue.lib.Publish(a.Handle(), pointer(name), uintptr(len(name)),
			pointer(payload), uintptr(len(payload)), ms, token, opOut, e)
	})
}

// Wait waits for a publish to complete. When ctx ends the operation is cancelled.
func (o *Operation) Wait(ctx context.Context) error {
	_, err := o.wait(ctx)
	return err
}

// SendOptions configure a send; the zero value is the default.
type SendOptions struct {
	Timeout                     time.Duration
	Unordered, FailOnDisconnect bool
}

// SendDirect sends one message to one agent and returns when its library has accepted it.
func (a *Agent) SendDirect(ctx context.Context, to ID, payload []byte, o SendOptions) (Receipt, error) {
	op, err := a.StartSend(to, payload, o)
	if err != nil {
		return Receipt{}, err
	}
	return op.Receipt(ctx)
}

// StartSend is SendDirect without waiting. Use Receipt for the result.
func (a *Agent) StartSend(to ID, payload []byte, o SendOptions) (*Operation, error) {
	var flags uint32
	if o.Unordered {
		flags |= SendUnordered
	}
	if o.FailOnDisconnect {
		flags |= SendFailOnDisconnect
	}
	return a.queue.start("send direct", func(token uint64, opOut *uint64, e *CErr) int32 {
		return a.queue.lib.Send(a.Handle(), unsafe.Pointer(&to), pointer(payload), uintptr(len(payload)),
			flags, millis(o.Timeout), token, opOut, e)
	})
}

// Receipt waits for a send to complete. When ctx ends the operation is cancelled.
func (o *Operation) Receipt(ctx context.Context) (Receipt, error) {
	b, err := o.wait(ctx)
	if err != nil {
		return Receipt{}, err
	}
	u := unpack(b)
	u.fields(3)
	return result(u, o.op, Receipt{Path: u.str(), RTT: time.Duration(u.uint()) * time.Microsecond, Sequence: u.uint()})
}

// SubscribeOptions configure a subscription as x0x_sub_options does.
type SubscribeOptions struct {
	NoReplay    bool
	MaxMessages uint32
	MaxBytes    uint64
	Policy      uint32 // DropOldest or DropNewest
}

// Subscription delivers the messages of one topic.
type Subscription struct {
	queue *Queue
	box   *box
}

// Subscribe opens a subscription.
func (a *Agent) Subscribe(topic string, o SubscribeOptions) (*Subscription, error) {
	c := &CSubOptions{MaxMessages: o.MaxMessages, MaxBytes: o.MaxBytes, Policy: o.Policy, Credit: CreditNone}
	c.Size = uint32(unsafe.Sizeof(*c))
	if o.NoReplay {
		c.Flags = SubNoReplay
	}
	name := []byte(topic)
	s := &Subscription{queue: a.queue, box: newBox(0)}
	s.box.credit = func(n uint32) { a.queue.lib.CreditAdd(s.box.handle, n) } // closed meanwhile: the closing record wakes
	err := a.queue.open("subscribe", s.box, func(handle *uint64, e *CErr) int32 {
		return a.queue.lib.Subscribe(a.Handle(), pointer(name), uintptr(len(name)), c, handle, e)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Recv waits for the next message. After a gap it fails once with a LaggedError, and with
// EClosed at the end.
func (s *Subscription) Recv(ctx context.Context) (Message, error) {
	r, err := s.box.pop(ctx, "receive")
	switch {
	case err != nil:
		return Message{}, err
	case r.Kind == RLagged:
		return Message{}, r.lagged()
	}
	return r.message()
}

// SubscriptionInfo says where a subscription stands.
type SubscriptionInfo struct {
	Topic                       string
	Pending, Dropped, Delivered uint64
}

// Info returns where the subscription stands.
func (s *Subscription) Info() (SubscriptionInfo, error) {
	u, err := s.queue.callNow("subscription info", s.box.handle, MSubscriptionInfo)
	if err != nil {
		return SubscriptionInfo{}, err
	}
	u.fields(4)
	return result(u, "subscription info", SubscriptionInfo{Topic: u.str(), Pending: u.uint(), Dropped: u.uint(), Delivered: u.uint()})
}

// Close ends the subscription. Closing twice is harmless.
func (s *Subscription) Close() error {
	st := s.queue.lib.HandleClose(s.box.handle)
	if st == EClosed {
		return nil
	}
	return failure("close subscription", st, nil)
}

// openInbox opens the inbox once, without letting a message out.
func (a *Agent) openInbox() (*box, error) {
	a.inboxMu.Lock()
	defer a.inboxMu.Unlock()
	if a.inbox != nil {
		return a.inbox, nil
	}
	b := newBox(0)
	b.credit = func(n uint32) { a.queue.lib.CreditAdd(b.handle, n) }
	err := a.queue.open("open inbox", b, func(handle *uint64, e *CErr) int32 {
		return a.queue.lib.InboxOpen(a.Handle(), CreditNone, handle, e)
	})
	if err != nil {
		return nil, err
	}
	a.inbox = b
	return b, nil
}

// RecvDirect waits for the next direct message.
func (a *Agent) RecvDirect(ctx context.Context) (DirectMessage, error) {
	b, err := a.openInbox()
	if err != nil {
		return DirectMessage{}, err
	}
	r, err := b.pop(ctx, "receive direct")
	if err != nil {
		return DirectMessage{}, err
	}
	return r.direct()
}

// InboxInfo returns how many direct messages, and bytes of them, wait in the library.
func (a *Agent) InboxInfo() (messages, bytes uint64, err error) {
	b, err := a.openInbox()
	if err != nil {
		return 0, 0, err
	}
	u, err := a.queue.callNow("inbox info", b.handle, MInboxInfo)
	if err != nil {
		return 0, 0, err
	}
	u.fields(2)
	n, err := result(u, "inbox info", [2]uint64{u.uint(), u.uint()})
	return n[0], n[1], err
}
