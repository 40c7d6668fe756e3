package bridge

import (
	"math"
	"slices"
	"sync/atomic"

	"github.com/saorsa-labs/x0x-go/capi/internal/record"
)

// puller moves entries from a feed of the core into records.
type puller[T any] struct {
	feed Feed[T]
	// put writes one item, and reports false if w refused it.
	put func(w *record.Writer, item *T) bool
	// lagged writes that items are missing, and reports the same.
	lagged func(w *record.Writer, lag *Lag) bool
	credit credit

	// stash holds what was taken from the feed and did not fit. Only the one who
	// drains touches it; stashed is its length for everybody.
	stash   []Entry[T]
	stashed atomic.Int64
	// rest is set when the feed gave as much as was asked for, so that it may hold
	// more, if only a gap, which Len does not count.
	rest atomic.Bool

	delivered atomic.Uint64
}

// pending reports whether fill would find something that the credit allows.
func (p *puller[T]) pending() bool {
	return p.credit.some() && (p.stashed.Load() > 0 || p.rest.Load() || p.feed.Len() > 0)
}

// waiting returns how many items wait.
func (p *puller[T]) waiting() int { return int(p.stashed.Load()) + p.feed.Len() }

// fill writes at most a turn of entries and reports false if w refused one.
// scratch is where a batch is put meanwhile.
func (p *puller[T]) fill(w *record.Writer, scratch *[]Entry[T]) bool {
	if len(p.stash) > 0 {
		n, ok := p.write(w, p.stash[:min(len(p.stash), p.credit.atMost(turn))])
		clear(p.stash[:n])
		p.stash = p.stash[n:]
		if len(p.stash) == 0 {
			p.stash = nil
		}
		p.stashed.Store(int64(len(p.stash)))
		if !ok || len(p.stash) > 0 {
			return ok
		}
	}
	ask := p.credit.atMost(p.batch(w.Room()))
	if ask == 0 {
		return true
	}
	batch := p.feed.TryRecv(ask, (*scratch)[:0])
	p.rest.Store(len(batch) == ask)
	n, ok := p.write(w, batch)
	if n < len(batch) {
		p.stash = slices.Clone(batch[n:])
		p.stashed.Store(int64(len(p.stash)))
	}
	clear(batch) // the payloads are copied: let go of them
	*scratch = batch[:0]
	return ok
}

// batch returns how many entries to take for room bytes: by the average of what
// waits about as many as fit, so that little is taken out of the feed, and so out
// of its bounds, that must then wait in the stash.
func (p *puller[T]) batch(room int) int {
	const overhead = record.HeaderSize + 64
	n := p.feed.Len()
	if n == 0 {
		return turn
	}
	return min(max(room/(int(p.feed.Bytes())/n+overhead), 1), turn)
}

// write puts entries until w refuses one, and returns how many it took.
func (p *puller[T]) write(w *record.Writer, entries []Entry[T]) (n int, ok bool) {
	items := 0
	ok = true
	for n < len(entries) && ok {
		e := &entries[n]
		if e.Lagged != nil {
			ok = p.lagged(w, e.Lagged)
		} else if ok = p.put(w, &e.Item); ok {
			items++
		}
		if ok {
			n++
		}
	}
	p.credit.use(items)
	p.delivered.Add(uint64(items))
	return n, ok
}

// credit is how many more items may be drained. The zero value allows none.
type credit struct{ left atomic.Int64 }

// unlimited is far more than can be used or added.
const unlimited = math.MaxInt64

func (c *credit) some() bool { return c.left.Load() > 0 }

func (c *credit) atMost(n int) int { return int(min(int64(n), c.left.Load())) }

func (c *credit) use(n int) {
	if n > 0 && c.left.Load() != unlimited {
		c.left.Add(int64(-n))
	}
}

// add allows n more. It saturates below unlimited, which stays what it is.
func (c *credit) add(n uint32) {
	for {
		left := c.left.Load()
		if left == unlimited || c.left.CompareAndSwap(left, min(left+int64(n), unlimited-1)) {
			return
		}
	}
}

// set gives the credit that x0x.h writes as one number: 0 is unlimited, the largest
// is none.
func (c *credit) set(n uint32) {
	switch n {
	case 0:
		c.left.Store(unlimited)
	case math.MaxUint32:
		c.left.Store(0)
	default:
		c.left.Store(int64(n))
	}
}
