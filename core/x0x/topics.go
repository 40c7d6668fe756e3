package x0x

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/gossip"
	"github.com/saorsa-labs/x0x-go/core/internal/mailbox"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Message is one message of a topic. Its author's signature was verified.
type Message = gossip.Message

// DropPolicy says what a full subscription queue loses; each loss is seen as a Lag.
type DropPolicy uint8

const (
	DropOldest DropPolicy = iota // the default: the newest messages survive
	DropNewest
)

// publishTimeout is the default wait for room in the publish queue.
const publishTimeout = 10 * time.Second

// SubscribeOptions configure a subscription; the zero value is the default.
type SubscribeOptions struct {
	NoReplay    bool  // only messages from now on, not those retained (5 min, 1,024 messages, 4 MiB)
	MaxMessages int   // that wait for the reader; 1,024
	MaxBytes    int64 // of their payloads; 8 MiB
	Policy      DropPolicy
}

// Subscription delivers the messages of one topic, this agent's own included.
type Subscription struct {
	sub  *gossip.Subscription
	feed Feed[Message]
	end  func() // once: the topic has one subscription less
}

// Subscribe opens a subscription. It works before joining, too.
// Errors: ErrInvalidArgument (topic over 256 bytes, not UTF-8, or with a NUL), ErrLimit, ErrClosed.
func (a *Agent) Subscribe(topic string, o SubscribeOptions) (*Subscription, error) {
	if err := a.usable("subscribe"); err != nil {
		return nil, err
	}
	replay, policy := !o.NoReplay, mailbox.DropOldest
	switch o.Policy {
	case DropOldest:
	case DropNewest:
		policy = mailbox.DropNewest
	default:
		return nil, wire.Errorf(wire.KindInvalidArgument, "subscribe", "unknown drop policy %d", o.Policy)
	}
	sub, err := a.gossip.Subscribe(topic, gossip.SubscribeOptions{
		Replay: &replay, Messages: o.MaxMessages, Bytes: o.MaxBytes, Policy: policy,
	})
	if err != nil {
		return nil, err
	}
	a.copies.subscribed(topic)
	end := sync.OnceFunc(func() { a.copies.unsubscribed(topic) })
	return &Subscription{sub: sub, feed: Feed[Message]{sub.Box()}, end: end}, nil
}

// Topic returns the name.
func (s *Subscription) Topic() string { return s.sub.Topic() }

// Feed returns the queue, for batches and notifications. When it is full it drops by the
// policy and marks the gap.
func (s *Subscription) Feed() *Feed[Message] { return &s.feed }

// Recv waits for the next message. After a gap it fails once with ErrLagged, whose text says
// how many messages are missing, and then goes on. It fails with ErrClosed at the end.
func (s *Subscription) Recv(ctx context.Context) (Message, error) {
	e, err := s.feed.Recv(ctx)
	if err != nil {
		return Message{}, err
	}
	if e.Lagged != nil {
		return Message{}, &LaggedError{*e.Lagged}
	}
	return e.Item, nil
}

// LaggedError is an ErrLagged that says what is missing. The sequence numbers of its Lag count
// the messages of the subscription from 1.
type LaggedError struct{ Lag Lag }

func (e *LaggedError) Error() string {
	return fmt.Sprintf("receive: %d messages were dropped because this reader was slow", e.Lag.Count)
}

// Unwrap makes errors.Is(err, ErrLagged) true.
func (e *LaggedError) Unwrap() error { return ErrLagged }

// All iterates over the messages until ctx ends or the subscription closes. A gap is one
// iteration with an ErrLagged.
func (s *Subscription) All(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			m, err := s.Recv(ctx)
			switch {
			case wire.KindOf(err) == wire.KindClosed || ctx.Err() != nil:
				return
			case !yield(m, err):
				return
			}
		}
	}
}

// Close ends the subscription. What waits can still be received. Closing twice is harmless.
func (s *Subscription) Close() {
	s.sub.Close()
	s.end()
}

// Publish signs a message and hands it to the peers. It returns when the message is signed and
// queued, waiting while the publish queue is full. It works before joining: peers that come
// within the retention time get it. Topics that start with "local:" stay in this agent.
//
// Errors: ErrInvalidArgument, ErrTooLarge (over 1 MiB), ErrTimeout, ErrCancelled, ErrClosed.
func (a *Agent) Publish(ctx context.Context, topic string, payload []byte) error {
	if err := a.usable("publish"); err != nil {
		return err
	}
	if a.line.standing() {
		return a.line.wait(ctx, topic, payload) // behind what this goroutine sent into the line
	}
	return ended("publish", a.gossip.Publish(ctx, topic, payload))
}

// PublishAsync is Publish without waiting: done is called exactly once if err is nil, on any
// goroutine, and must return soon. The payload belongs to the agent until then. timeout 0
// means 10 s. cancel is a request that takes effect while the message waits for room. It fails
// with ErrBusy when too many operations are in flight or too much waits.
func (a *Agent) PublishAsync(topic string, payload []byte, timeout time.Duration, done func(error)) (cancel func(), err error) {
	if err := a.begin("publish"); err != nil {
		return nil, err
	}
	if timeout <= 0 {
		timeout = publishTimeout
	}
	p := &publish{topic: topic, payload: payload, deadline: time.Now().Add(timeout), done: func(err error) {
		a.end()
		a.guard("publish callback", func() { done(err) })
	}}
	if err := a.line.submit(p, lineBytes); err != nil {
		a.end()
		return nil, err
	}
	return func() { a.line.withdraw(p, errWithdrawn) }, nil
}
