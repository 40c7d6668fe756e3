package bindings

import (
	"context"
	"fmt"
	"sync"
	"unsafe"
)

// Queue is where the library tells everything: completions, messages, events. One goroutine
// of it waits and drains; make one Queue for any number of agents.
type Queue struct {
	lib    *Library
	handle uint64
	done   chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex // held while the library makes what a record may concern, so that none comes too early
	token  uint64
	ops    map[uint64]*Operation // by token
	boxes  map[uint64]*box       // by handle: agents, subscriptions, inboxes
	strays uint64
	broken error
}

// NewQueue makes a queue and starts its goroutine, which Close ends.
func (l *Library) NewQueue() (*Queue, error) {
	q := &Queue{lib: l, done: make(chan struct{}), ops: map[uint64]*Operation{}, boxes: map[uint64]*box{}}
	var e CErr
	e.Size = uint32(unsafe.Sizeof(e))
	if err := failure("new queue", l.QueueNew(nil, &q.handle, &e), &e); err != nil {
		return nil, err
	}
	go q.run()
	return q, nil
}

// Handle returns the number of the queue in the ABI.
func (q *Queue) Handle() uint64 { return q.handle }

// Strays returns how many records concerned nothing that is known here: zero, unless the
// library tells something twice or too late.
func (q *Queue) Strays() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.strays
}

// Close closes the queue and waits for its goroutine. It fails with EBUSY while an agent is
// attached, and with an error of the goroutine if that met what it could not read.
func (q *Queue) Close() error {
	if err := failure("close queue", q.lib.HandleClose(q.handle), nil); err != nil {
		return err
	}
	<-q.done
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.broken
}

// maxRecord is more than any record can need: the largest payload, its meta, the header.
const maxRecord = MaxDirectPayload + maxMeta + recordHeader

// run waits for records and hands them out until the queue is closed.
func (q *Queue) run() {
	defer close(q.done)
	defer func() {
		if v := recover(); v != nil { // a defect here must not leave everybody waiting
			q.end(fmt.Errorf("panic: %v", v))
		}
	}()
	buf := aligned(DrainHint)
	for {
		if st := q.lib.QueueWait(q.handle, NoTimeout); st != Ok && st != SAgain {
			q.end(failure("wait", st, nil))
			return
		}
		for more := true; more; {
			var n uintptr
			var records uint32
			switch st := q.lib.QueueDrain(q.handle, unsafe.Pointer(&buf[0]), uintptr(len(buf)), &n, &records); st {
			case Ok, SMore:
				if err := q.dispatch(buf[:n], int(records)); err != nil {
					q.end(err)
					return
				}
				more = st == SMore
				if len(buf) > DrainHint && !more {
					buf = aligned(DrainHint) // one large message must not pin its size for ever
				}
			case ETooSmall:
				if n > maxRecord {
					q.end(fmt.Errorf("a record needs %d bytes, at most %d are possible", n, maxRecord))
					return
				}
				buf = aligned(int(n))
			default:
				q.end(failure("drain", st, nil))
				return
			}
		}
	}
}

// aligned returns a buffer of at least n bytes that starts at a multiple of 8.
func aligned(n int) []byte {
	words := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)
}

// dispatch hands out all records of a drained buffer.
func (q *Queue) dispatch(b []byte, want int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	records := 0
	for len(b) > 0 {
		r, rest, err := parseRecord(b)
		if err != nil {
			return err
		}
		b = rest
		records++
		if r.Kind == RCompletion {
			if op := q.ops[r.ID]; op != nil {
				delete(q.ops, r.ID)
				op.complete(r)
			} else {
				q.strays++
			}
			continue
		}
		box := q.boxes[r.ID]
		if box == nil {
			if r.Kind != RLog {
				q.strays++
			}
			continue
		}
		if r.Kind == RClosed {
			delete(q.boxes, r.ID) // its last record
		}
		box.push(r)
	}
	if records != want {
		return fmt.Errorf("%d records where %d were announced", records, want)
	}
	return nil
}

// end fails everything that still waits. Closing a queue is its ordinary end, and leaves
// nothing waiting, since no agent is attached any more.
func (q *Queue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if StatusOf(err) != EClosed {
		q.broken = err
	}
	for token, op := range q.ops {
		delete(q.ops, token)
		op.fail(err)
	}
	for handle, b := range q.boxes {
		delete(q.boxes, handle)
		b.close()
	}
}

// open calls make, which makes a handle, and gives the handle a box before any record of it
// is handed out.
func (q *Queue) open(op string, b *box, make func(handle *uint64, e *CErr) int32) error {
	e := newErr()
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := failure(op, make(&b.handle, e), e); err != nil {
		return err
	}
	q.boxes[b.handle] = b
	return nil
}

func newErr() *CErr {
	e := &CErr{}
	e.Size = uint32(unsafe.Sizeof(*e))
	return e
}

// box is the bounded queue of the records of one handle on this side.
type box struct {
	handle uint64
	limit  int // the oldest is dropped beyond; 0 where credit is the bound
	credit func(n uint32)

	mu      sync.Mutex
	records []Record
	dropped uint64
	waiting int // calls of pop that wait
	allowed int // messages that the library may let out but has not yet
	changed chan struct{}
	closed  bool
}

func newBox(limit int) *box { return &box{limit: limit, changed: make(chan struct{})} }

func (b *box) push(r Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch r.Kind {
	case RClosed:
		b.closed = true
	case RMessage, RDirect:
		b.allowed--
		fallthrough
	default:
		if b.limit > 0 && len(b.records) == b.limit {
			b.records = b.records[1:]
			b.dropped++
		}
		b.records = append(b.records, r)
	}
	b.wake()
}

func (b *box) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.wake()
}

// wake tells everybody who waits to look again.
func (b *box) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// pop waits for the next record. With credit it first allows as many messages out of the
// library as calls wait for one.
func (b *box) pop(ctx context.Context, op string) (Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting++
	defer func() { b.waiting-- }()
	for {
		if len(b.records) > 0 {
			r := b.records[0]
			b.records = b.records[1:]
			return r, nil
		}
		if b.closed {
			return Record{}, errorf(op, EClosed, "it is closed")
		}
		if err := ctx.Err(); err != nil {
			return Record{}, ended(op, ctx)
		}
		if n := b.waiting - b.allowed; b.credit != nil && n > 0 {
			b.allowed += n
			b.credit(uint32(n))
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		b.mu.Lock()
	}
}

// wait waits until the last record has come.
func (b *box) wait(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.closed {
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		b.mu.Lock()
		if !b.closed && ctx.Err() != nil {
			return ended("close", ctx)
		}
	}
	return nil
}
