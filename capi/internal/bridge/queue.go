package bridge

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/capi/internal/record"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// turn is how many records one source, or the completions, may write before the
// others have their turn.
const turn = 256

// Defaults of QueueOptions.
const (
	defaultEventLimit = 1024
	defaultLogLimit   = 1024
	maxLimit          = 1 << 20 // of either: what a reader can hope to catch up with
)

// QueueOptions bound what of a queue has no bound of its own.
type QueueOptions struct {
	EventLimit int // lifecycle events kept per agent, 0 = 1,024
	LogLimit   int // log records kept, 0 = 1,024
}

// Queue is where everything that the library has to tell arrives. See
// Library.NewQueue.
type Queue struct {
	library *Library
	handle  uint64
	options QueueOptions
	logs    logSource

	// draining is held by the one who drains, and guards what sources share then.
	draining sync.Mutex
	writer   record.Writer
	scratch  struct {
		messages []Entry[Message]
		directs  []Entry[DirectMessage]
		events   []Entry[Event]
	}

	mu          sync.Mutex
	completions ring[completion]
	ready       ring[source] // each source at most once
	raised      bool         // it is announced that records wait
	closed      bool
	agents      int           // attached: not gone yet
	kept        int           // whose closing record was not drained
	bell        chan struct{} // closed to wake those in Wait; nil if there is nobody
	fd          eventFD

	wake waker
}

// source is something that has records of its own kind to tell.
type source interface {
	link() *node
	// pending reports whether fill would write something. It is called with
	// Queue.mu held, from any goroutine, and may take locks of feeds only.
	pending() bool
	// fill writes records, at most about a turn, and reports false if w refused
	// one. Only the one who drains calls it.
	fill(q *Queue, w *record.Writer) bool
}

// node is the part of a source that its queue owns.
type node struct{ queued bool }

func (n *node) link() *node { return n }

// errBusyDrain carries no text of its own making, since it is made often by races.
var (
	errBusyDrain = wire.Errorf(wire.KindBusy, "drain", "another thread drains this queue")
	errAttached  = wire.Errorf(wire.KindBusy, "close queue", "an agent is attached to this queue")
	errClosed    = &wire.Error{Kind: wire.KindClosed, Op: "queue", Msg: "closed"}
)

// NewQueue makes a queue and returns its handle. It fails with wire.KindLimit when
// there are maxQueues already.
func (l *Library) NewQueue(o QueueOptions) (uint64, error) {
	if o.EventLimit == 0 {
		o.EventLimit = defaultEventLimit
	}
	if o.LogLimit == 0 {
		o.LogLimit = defaultLogLimit
	}
	if o.EventLimit < 0 || o.EventLimit > maxLimit || o.LogLimit < 0 || o.LogLimit > maxLimit {
		return 0, wire.Errorf(wire.KindInvalidArgument, "new queue", "a limit is over %d", maxLimit)
	}
	q := &Queue{library: l, options: o, fd: noEventFD}
	q.logs.limit = o.LogLimit
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queues.Live() >= maxQueues {
		return 0, wire.Errorf(wire.KindLimit, "new queue", "%d queues are open", maxQueues)
	}
	err := l.queues.Open(q, &q.handle)
	return q.handle, err
}

// Close ends the queue: waiters and later calls get wire.KindClosed, and when it
// returns, no wake callback runs. What was not drained is gone. It fails with
// wire.KindBusy while an agent is attached.
func (q *Queue) close() error {
	q.mu.Lock()
	if q.agents > 0 {
		q.mu.Unlock()
		return errAttached
	}
	if _, err := q.library.queues.Close(q.handle); err != nil {
		q.mu.Unlock()
		return err
	}
	q.closed = true
	q.ready, q.completions = ring[source]{}, ring[completion]{}
	q.library.agentsKept.Add(int64(-q.kept))
	q.kept = 0
	q.ringBell()
	q.fd.close()
	q.fd = noEventFD
	q.mu.Unlock()
	q.library.forgetLogs(q)
	q.wake.set(nil)
	return nil
}

// FD returns a descriptor that is readable while records wait. The queue owns it.
func (q *Queue) FD() (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return -1, errClosed
	}
	if q.fd == noEventFD {
		fd, err := newEventFD()
		if err != nil {
			return -1, err
		}
		q.fd = fd
		if q.raised {
			q.fd.raise()
		}
	}
	return int(q.fd), nil
}

// Forever is the timeout of those who wait without limit.
const Forever time.Duration = -1

// Wait waits until records wait. It reports false if the time is over before, and
// fails with wire.KindClosed when the queue is closed.
func (q *Queue) Wait(timeout time.Duration) (bool, error) {
	var timer *time.Timer
	var expired <-chan time.Time
	for {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return false, errClosed
		}
		if q.raised {
			q.mu.Unlock()
			return true, nil
		}
		if timeout == 0 {
			q.mu.Unlock()
			return false, nil
		}
		if q.bell == nil {
			q.bell = make(chan struct{})
		}
		bell := q.bell
		q.mu.Unlock()
		if timer == nil && timeout != Forever {
			timer = time.NewTimer(timeout)
			defer timer.Stop()
			expired = timer.C
		}
		select {
		case <-bell:
		case <-expired:
			timeout = 0 // look once more
		}
	}
}

// SetWake sets the function that is called when the queue turns from empty to
// non-empty, and soon once if records wait already; nil removes it. When SetWake
// returns, the one before is not running and will not run again.
//
// The function reports false if it cannot run on this thread; then it is called
// again on one of the library's.
func (q *Queue) SetWake(fn func() bool) error {
	q.wake.set(fn)
	q.mu.Lock()
	closed, raised := q.closed, q.raised
	q.mu.Unlock()
	if closed {
		q.wake.set(nil)
		return errClosed
	}
	if raised && fn != nil {
		q.wakeLater()
	}
	return nil
}

func (q *Queue) callWake() {
	if !q.wake.call() {
		q.wakeLater()
	}
}

func (q *Queue) wakeLater() { q.library.start("wake", nil, func() { q.wake.call() }) }

// waker holds the wake callback. The lock is held while it runs, which is what
// makes set wait for it.
type waker struct {
	given atomic.Bool // whether there is one, to be asked without the lock
	mu    sync.Mutex
	fn    func() bool
}

func (w *waker) set(fn func() bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fn = fn
	w.given.Store(fn != nil)
}

func (w *waker) call() bool {
	if !w.given.Load() {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fn == nil || w.fn()
}

// complete adds the completion of an operation.
func (q *Queue) complete(c completion) {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return
	}
	q.completions.push(c)
	raised := q.raise()
	q.mu.Unlock()
	if raised {
		q.callWake()
	}
}

// notify makes the queue look at s.
func (q *Queue) notify(s source) {
	q.mu.Lock()
	raised := false
	if n := s.link(); !n.queued && !q.closed && s.pending() {
		n.queued = true
		q.ready.push(s)
		raised = q.raise()
	}
	q.mu.Unlock()
	if raised {
		q.callWake()
	}
}

// raise announces that records wait. It reports whether that is news, and then
// callWake must be called without the lock.
func (q *Queue) raise() bool {
	if q.raised {
		return false
	}
	q.raised = true
	q.fd.raise()
	q.ringBell()
	return true
}

func (q *Queue) ringBell() {
	if q.bell != nil {
		close(q.bell)
		q.bell = nil
	}
}

// Drained is the result of a drain.
type Drained struct {
	Bytes   int
	Records int
	More    bool // records remain
}

// Drain moves as many whole records as fit into buf. If not even the first fits,
// it fails with wire.KindTooSmall and Bytes is the size that is needed. It fails
// with wire.KindBusy while another goroutine drains.
func (q *Queue) Drain(buf []byte) (Drained, error) {
	if !q.draining.TryLock() {
		return Drained{}, errBusyDrain
	}
	defer q.draining.Unlock()
	q.writer = record.NewWriter(buf)
	w := &q.writer
	for {
		if !q.drainCompletions(w) {
			break
		}
		s, err := q.next()
		if err != nil {
			return Drained{}, err
		}
		if s == nil {
			return Drained{Bytes: w.Bytes(), Records: w.Records()}, nil
		}
		ok := s.fill(q, w)
		q.putBack(s, ok)
		if !ok {
			break
		}
	}
	if w.Records() == 0 {
		return Drained{Bytes: w.Need(), More: true}, errTooSmall
	}
	return Drained{Bytes: w.Bytes(), Records: w.Records(), More: true}, nil
}

var errTooSmall = &wire.Error{Kind: wire.KindTooSmall, Op: "drain", Msg: "the first record does not fit"}

// next takes the next source, or declares the queue empty and returns nil.
func (q *Queue) next() (source, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, errClosed
	}
	if q.ready.len() > 0 {
		s := q.ready.front(1)[0]
		q.ready.advance(1)
		s.link().queued = false
		return s, nil
	}
	if q.completions.len() > 0 {
		return nothing{}, nil // came just now: the loop goes round once more
	}
	if q.raised {
		q.raised = false
		q.fd.lower()
	}
	return nil, nil
}

// putBack queues s again if it has more to tell; at the front if its next record
// was refused, so that a caller who comes back with more room gets that one.
func (q *Queue) putBack(s source, written bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := s.link()
	if n == nil || n.queued || q.closed {
		return
	}
	switch {
	case !written:
		q.ready.pushFront(s)
		n.queued = true
	case s.pending():
		q.ready.push(s)
		n.queued = true
	}
}

// nothing is a source without records.
type nothing struct{}

func (nothing) link() *node                      { return nil }
func (nothing) pending() bool                    { return false }
func (nothing) fill(*Queue, *record.Writer) bool { return true }

// drainCompletions writes a turn of completions and reports false if w refused one.
func (q *Queue) drainCompletions(w *record.Writer) bool {
	q.mu.Lock()
	waiting := q.completions.front(turn)
	q.mu.Unlock()
	if len(waiting) == 0 {
		return true
	}
	n := 0
	for n < len(waiting) && waiting[n].put(w) {
		n++
	}
	// Those of one agent usually stand together: count them out at once.
	for i := 0; i < n; {
		a, from := waiting[i].agent, i
		for i < n && waiting[i].agent == a {
			i++
		}
		a.settled(i - from)
	}
	refused := n < len(waiting)
	q.mu.Lock()
	if !q.closed {
		q.completions.advance(n)
	}
	q.mu.Unlock()
	return !refused
}

// attach and detach count the agents that the queue must outlive.
func (q *Queue) attach() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errClosed
	}
	q.agents++
	q.kept++
	return nil
}

func (q *Queue) detach() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.agents--
}

// unkeep counts out an agent whose closing record was drained.
func (q *Queue) unkeep() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.kept--
		q.library.agentsKept.Add(-1)
	}
}
