package direct

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// submission is where senders leave messages for a peer's session. It has a lock of
// its own, held for nanoseconds, so that senders never wait for the session while
// frames are made or parsed. It also counts what is under way, to bound it.
type submission struct {
	waiting atomic.Int32 // len(items), to look without the lock
	wakeAt  atomic.Int64 // when the peer's tick runs at the latest

	mu      sync.Mutex
	items   []*Pending
	count   int // not completed, here or in the session
	size    int64
	limit   Options
	closed  bool
	waiters ring[*waiter]
	idle    chan struct{} // closed when count is 0; nil unless somebody waits
}

// waiter is a goroutine in SendWait: first for room, then for completion.
type waiter struct {
	ch      chan struct{} // one token per wake-up
	receipt Receipt
	err     error
}

var waiters = sync.Pool{New: func() any { return &waiter{ch: make(chan struct{}, 1)} }}

type admission uint8

const (
	admitted admission = iota
	full
	shut
)

func (q *submission) init(limit Options) {
	q.limit = limit
	q.wakeAt.Store(int64(never))
}

// put adds a message if there is room.
func (q *submission) put(s *Pending) admission {
	size := int64(len(s.payload))
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return shut
	}
	if !q.fits(size) {
		q.mu.Unlock()
		return full
	}
	q.count++
	q.size += size
	q.items = append(q.items, s)
	q.waiting.Store(int32(len(q.items)))
	q.mu.Unlock()
	return admitted
}

// fits reports whether one more may enter; a message larger than the limit may, when
// it is alone.
func (q *submission) fits(size int64) bool {
	return q.count == 0 || q.count < q.limit.Messages && q.size+size <= q.limit.Bytes
}

// takeAll returns what waits and leaves spare in its place.
func (q *submission) takeAll(spare []*Pending) []*Pending {
	q.mu.Lock()
	items := q.items
	q.items = spare[:0]
	q.waiting.Store(0)
	q.mu.Unlock()
	return items
}

// release notes the end of n messages, and wakes as many who wait for room.
func (q *submission) release(n int, size int64) {
	q.mu.Lock()
	q.count -= n
	q.size -= size
	for ; n > 0 && q.waiters.len() > 0; n-- {
		q.waiters.pop().ch <- struct{}{}
	}
	if q.count == 0 && q.idle != nil {
		close(q.idle)
		q.idle = nil
	}
	q.mu.Unlock()
}

// waitRoom waits until there may be room for size bytes.
func (q *submission) waitRoom(ctx context.Context, w *waiter, size int64) error {
	q.mu.Lock()
	if q.closed || q.fits(size) {
		q.mu.Unlock()
		return nil
	}
	q.waiters.push(w)
	q.mu.Unlock()
	select {
	case <-w.ch:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	before := q.waiters.len()
	q.waiters.keep(func(o *waiter) bool { return o != w })
	if q.waiters.len() == before { // woken at the same time: it is another's turn
		<-w.ch
		if q.waiters.len() > 0 {
			q.waiters.pop().ch <- struct{}{}
		}
	}
	q.mu.Unlock()
	return context.Cause(ctx)
}

// wakeBy notes that tick runs at the time at, and reports whether that is news.
func (q *submission) wakeBy(at time.Duration) bool {
	for {
		old := q.wakeAt.Load()
		if old <= int64(at) {
			return false
		}
		if q.wakeAt.CompareAndSwap(old, int64(at)) {
			return true
		}
	}
}

// whenIdle returns a channel that is closed when nothing is under way.
func (q *submission) whenIdle() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count == 0 {
		c := make(chan struct{})
		close(c)
		return c
	}
	if q.idle == nil {
		q.idle = make(chan struct{})
	}
	return q.idle
}

// closeIfIdle closes if nothing is under way, and reports so.
func (q *submission) closeIfIdle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count > 0 || q.waiters.len() > 0 {
		return false
	}
	q.closed = true
	return true
}

// close lets nothing more in.
func (q *submission) close() {
	q.mu.Lock()
	q.closed = true
	for q.waiters.len() > 0 {
		q.waiters.pop().ch <- struct{}{}
	}
	q.mu.Unlock()
}
