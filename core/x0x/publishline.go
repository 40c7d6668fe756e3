package x0x

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// lineBytes bounds the payloads that stand in line behind a full publish queue. Beyond it a
// publish is refused with ErrBusy, so that a caller who never waits cannot take all memory.
const lineBytes = 64 << 20

// publishLine is where publishes wait, in order, while the publish queue of gossip is full. A
// goroutine serves it while it is not empty.
type publishLine struct {
	agent *Agent

	mu      sync.Mutex
	waiting []*publish
	bytes   int
	serving bool
	head    *publish // being served
	cancel  context.CancelCauseFunc
}

// publish is one message in line. Whoever takes it out of the line calls done.
type publish struct {
	topic    string
	payload  []byte
	deadline time.Time
	done     func(error)
}

var (
	errWithdrawn = &Error{Kind: wire.KindCancelled, Op: "publish", Msg: "cancelled before it was signed"}
	errNoRoom    = &Error{Kind: wire.KindTimeout, Op: "publish", Msg: "no room in the publish queue in time", Retryable: true}
)

// standing reports whether a message that is published now has to get in line.
func (l *publishLine) standing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.serving
}

// size returns what stands in line.
func (l *publishLine) size() (messages, bytes uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.waiting)), uint64(l.bytes)
}

// submit hands a message to gossip, or puts it in line if no more than limit bytes wait there.
func (l *publishLine) submit(p *publish, limit int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.serving {
		err := l.agent.gossip.PublishAsync(p.topic, p.payload, p.done)
		if wire.KindOf(err) != wire.KindBusy {
			return err
		}
	}
	if len(l.waiting) > 0 && l.bytes+len(p.payload) > limit {
		return &Error{Kind: wire.KindBusy, Op: "publish", Retryable: true, Msg: "64 MiB of messages wait to be published"}
	}
	if !l.serving {
		if !l.agent.tasks.Go("publish line", l.serve) {
			return closedError("publish")
		}
		l.serving = true
	}
	l.waiting = append(l.waiting, p)
	l.bytes += len(p.payload)
	return nil
}

// wait stands in line with a message of a caller who waits, and so bounds the line himself.
func (l *publishLine) wait(ctx context.Context, topic string, payload []byte) error {
	result := make(chan error, 1)
	p := &publish{topic: topic, payload: payload, deadline: time.Now().Add(math.MaxInt64), done: func(err error) { result <- err }}
	if err := l.submit(p, math.MaxInt); err != nil {
		return err
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		l.withdraw(p, ended("publish", context.Cause(ctx)))
		return <-result // at once, or with its signature
	}
}

// withdraw takes a message out of the line, if it is still there, and completes it.
func (l *publishLine) withdraw(p *publish, why error) {
	l.mu.Lock()
	if l.head == p {
		l.cancel(why)
	}
	i := slices.Index(l.waiting, p)
	if i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		l.bytes -= len(p.payload)
	}
	l.mu.Unlock()
	if i >= 0 {
		p.done(why)
	}
}

// next takes the head of the line, or ends the service. ctx ends with its time, with its
// withdrawal, and with the agent.
func (l *publishLine) next() (p *publish, ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		l.cancel(nil)
		l.head, l.cancel = nil, nil
	}
	if len(l.waiting) == 0 {
		l.waiting, l.serving = nil, false
		return nil, nil
	}
	p = l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	l.bytes -= len(p.payload)
	ctx, l.cancel = context.WithCancelCause(l.agent.ctx)
	l.head = p
	return p, ctx
}

func (l *publishLine) serve() {
	for p, ctx := l.next(); p != nil; p, ctx = l.next() {
		err := l.agent.gossip.PublishAsync(p.topic, p.payload, p.done)
		if err == nil {
			continue
		}
		if wire.KindOf(err) == wire.KindBusy {
			// No room: wait for it, and for the signature of this one, with the others behind.
			ctx, cancel := context.WithDeadlineCause(ctx, p.deadline, errNoRoom)
			err = l.agent.gossip.Publish(ctx, p.topic, p.payload)
			cancel()
		}
		p.done(err)
	}
}
