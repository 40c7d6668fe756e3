package x0x

import (
	"context"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// lineBytes bounds the payloads that stand in line behind a full publish queue. Beyond it a
// publish is refused with ErrBusy, so that a caller who never waits cannot take all memory.
const lineBytes = 64 << 20

// publishLine is where asynchronous publishes wait, in order, while the publish queue of
// gossip is full. A goroutine serves it while it is not empty.
type publishLine struct {
	agent *Agent

	mu      sync.Mutex
	waiting []*publish
	bytes   int
	serving bool
}

// publish is one message in line. Whoever takes it out of the line calls done.
type publish struct {
	topic    string
	payload  []byte
	deadline time.Time
	done     func(error)
}

// submit hands a message to gossip, or puts it in line.
func (l *publishLine) submit(p *publish) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 && !l.serving {
		err := l.agent.gossip.PublishAsync(p.topic, p.payload, p.done)
		if wire.KindOf(err) != wire.KindBusy {
			return err
		}
	}
	if len(l.waiting) > 0 && l.bytes+len(p.payload) > lineBytes {
		return &Error{Kind: wire.KindBusy, Op: "publish", Retryable: true, Msg: "64 MiB of messages wait to be published"}
	}
	l.waiting = append(l.waiting, p)
	l.bytes += len(p.payload)
	if !l.serving {
		l.serving = l.agent.tasks.Go("publish line", l.serve)
	}
	return nil
}

// withdraw takes a message out of the line, if it is still there, and completes it.
func (l *publishLine) withdraw(p *publish) {
	l.mu.Lock()
	found := false
	for i, w := range l.waiting {
		if w == p {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			l.bytes -= len(p.payload)
			found = true
			break
		}
	}
	l.mu.Unlock()
	if found {
		p.done(&Error{Kind: wire.KindCancelled, Op: "publish", Msg: "cancelled before it was signed"})
	}
}

// next takes the head of the line, or ends the service.
func (l *publishLine) next() *publish {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.waiting, l.serving = nil, false
		return nil
	}
	p := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	l.bytes -= len(p.payload)
	return p
}

func (l *publishLine) serve() {
	for p := l.next(); p != nil; p = l.next() {
		err := l.agent.gossip.PublishAsync(p.topic, p.payload, p.done)
		if err == nil {
			continue
		}
		if wire.KindOf(err) == wire.KindBusy {
			// No room: wait for it, and for the signature of this one, with the others behind.
			ctx, cancel := context.WithDeadline(l.agent.ctx, p.deadline)
			err = l.agent.gossip.Publish(ctx, p.topic, p.payload)
			cancel()
			if l.agent.ctx.Err() != nil && err != nil {
				err = closedError("publish")
			}
		}
		p.done(err)
	}
}
