// Package mailbox is the one bounded queue between rooms, and between the core
// and applications.
//
// Begin with [New]; a producer calls [Box.Push], a consumer [Box.TryPop] after a
// notification or [Box.PopMany] to wait. A box is bounded in items and in bytes,
// so that a peer that sends faster than an application reads costs a known
// amount of memory; [Policy] says who pays when it is full, and what is lost is
// counted and shown to the reader at the place where it is missing.
//
// A box starts no goroutine, keeps no time and does not copy what it carries.
//
// Every method may be called from any goroutine. Items leave in the order in
// which they entered, also with several consumers, and each leaves once.
package mailbox

import (
	"context"
	"math/bits"
	"sync"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Policy says what a full box does with one more item.
type Policy uint8

const (
	Block      Policy = iota // Push refuses it: nothing is lost, the producer waits (SetRoom)
	DropOldest               // the oldest items make room: readers of a feed want the newest
	DropNewest               // it is lost: what was promised first is kept
)

// DefaultItems is the bound on items of a box whose options name none.
const DefaultItems = 1024

// Options bound a box.
type Options struct {
	MaxItems int    // DefaultItems if not positive
	MaxBytes int64  // no bound beside MaxItems if not positive
	Policy   Policy // Block if not set
}

// Entry is what a consumer gets: an item, or, when Lagged is not nil, the news
// that items are missing at this place.
type Entry[T any] struct {
	Item   T
	Lagged *Lag
}

// Lag tells of items dropped at one place, with the sequence numbers that Push
// was given for the first and the last of them.
type Lag struct {
	Count, FirstSeq, LastSeq uint64
}

func (l *Lag) add(seq uint64) {
	if l.Count == 0 {
		l.FirstSeq = seq
	}
	l.Count++
	l.LastSeq = seq
}

// Box is a bounded first-in first-out queue. It is made by New.
type Box[T any] struct {
	maxItems uint64
	maxBytes int64
	policy   Policy

	wake chan struct{} // one token: a sleeping consumer should look again
	done chan struct{} // closed by Close

	mu sync.Mutex // guards what follows; never held while a callback runs

	// ring holds the items numbered head to tail-1, item i in ring[i&mask]. The
	// numbers only grow, which also makes them the places of gaps.
	ring       []slot[T]
	mask       uint64
	head, tail uint64
	bytes      int64

	// gaps are ordered by place and never adjacent, so there is at most one more
	// of them than of items.
	gaps     []gap
	firstGap [1]gap // where gaps starts: DropOldest never has more than one

	sleepers int  // consumers in Pop and PopMany
	refused  bool // a Push was refused since onRoom was last called
	closed   bool
	dropped  uint64
	pushed   uint64
	onItem   func()
	onRoom   func()
}

type slot[T any] struct {
	item T
	seq  uint64
	size int64
}

// gap stands just before item number at.
type gap struct {
	at  uint64
	lag Lag
}

// New returns an empty box.
func New[T any](o Options) *Box[T] {
	if o.MaxItems <= 0 {
		o.MaxItems = DefaultItems
	}
	return &Box[T]{
		maxItems: uint64(o.MaxItems),
		maxBytes: max(o.MaxBytes, 0),
		policy:   o.Policy,
		wake:     make(chan struct{}, 1),
		done:     make(chan struct{}),
	}
}

// Push adds an item of size bytes, as the application counts them. seq is the
// number by which a Lag names it. Push never waits.
//
// It reports whether the item was dealt with. With Block it is false when the
// box is full, and nothing has changed; with the other policies it is true even
// if the item was dropped. It is always false on a closed box. An item larger
// than MaxBytes is admitted into an empty box, so that nothing is too large to
// pass.
func (b *Box[T]) Push(item T, size int, seq uint64) bool {
	b.mu.Lock()
	wasEmpty := b.empty()
	ok := b.push(&item, int64(size), seq)
	notify := b.woken(wasEmpty)
	b.mu.Unlock()
	call(notify)
	return ok
}

// PushBatch pushes items in order in one critical section, and returns how many
// were dealt with as Push has it: with Block it stops at the first that does not
// fit. size and seq are called while the box is locked: they must be quick and
// must not use the box.
func (b *Box[T]) PushBatch(items []T, size func(*T) int, seq func(*T) uint64) int {
	b.mu.Lock()
	wasEmpty := b.empty()
	n := 0
	for n < len(items) && b.push(&items[n], int64(size(&items[n])), seq(&items[n])) {
		n++
	}
	notify := b.woken(wasEmpty)
	b.mu.Unlock()
	call(notify)
	return n
}

// TryPop appends what is there to dst, at most max entries, and returns it. It
// never waits. Drops that stand next to each other are one entry.
//
// A consumer that relies on SetNotify goes on until TryPop adds nothing: what it
// leaves is not announced again.
func (b *Box[T]) TryPop(max int, dst []Entry[T]) []Entry[T] {
	b.mu.Lock()
	dst = b.pop(max, dst)
	room := b.roomed()
	b.passOn()
	b.mu.Unlock()
	call(room)
	return dst
}

// Pop waits for one entry. Its error is of wire.KindClosed when the box is
// closed and empty, and otherwise the cause of ctx's end. What is there is
// returned even if ctx has ended.
func (b *Box[T]) Pop(ctx context.Context) (Entry[T], error) {
	var one [1]Entry[T]
	_, err := b.PopMany(ctx, 1, one[:0])
	return one[0], err
}

// PopMany waits until there is at least one entry and then is TryPop. Errors are
// those of Pop; dst comes back unchanged with one. It returns at once if max is
// not positive.
func (b *Box[T]) PopMany(ctx context.Context, max int, dst []Entry[T]) ([]Entry[T], error) {
	if max <= 0 {
		return dst, nil
	}
	b.mu.Lock()
	for b.empty() {
		if b.closed {
			b.mu.Unlock()
			return dst, errClosed
		}
		b.sleepers++
		b.mu.Unlock()
		var err error
		select {
		case <-b.wake:
		case <-b.done:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		b.mu.Lock()
		b.sleepers--
		if err != nil && b.empty() {
			b.mu.Unlock()
			return dst, err
		}
	}
	dst = b.pop(max, dst)
	room := b.roomed()
	b.passOn()
	b.mu.Unlock()
	call(room)
	return dst, nil
}

var errClosed error = &wire.Error{Kind: wire.KindClosed, Op: "mailbox", Msg: "closed"}

// SetNotify sets the function to call when the box goes from empty to not empty,
// and on Close. It is called without locks held, by the goroutine that pushed or
// closed, possibly by several at once, and sometimes for items that are gone
// again; it must be quick. What is in the box already is not announced, so look
// once after setting it. Nil removes it; a call that is under way may still end
// after SetNotify has returned.
func (b *Box[T]) SetNotify(fn func()) {
	b.mu.Lock()
	b.onItem = fn
	b.mu.Unlock()
}

// SetRoom sets the function to call when a box that refused a Push is at least
// half free again, in items and in bytes, or is closed. The conditions of
// SetNotify hold.
func (b *Box[T]) SetRoom(fn func()) {
	b.mu.Lock()
	b.onRoom = fn
	b.mu.Unlock()
}

// Len returns the number of items, gaps not counted.
func (b *Box[T]) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(b.tail - b.head)
}

// Bytes returns the sum of the sizes of the items.
func (b *Box[T]) Bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// Dropped returns how many items were lost, to the policy or to CloseDiscard.
func (b *Box[T]) Dropped() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}

// Pushed returns how many items have entered, also those that DropOldest took
// out again.
func (b *Box[T]) Pushed() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pushed
}

// Closed reports whether Close or CloseDiscard was called.
func (b *Box[T]) Closed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// Close lets nothing more in. What is in can still be popped; after that, Pop
// fails. It may be called more than once.
func (b *Box[T]) Close() { b.close(false) }

// CloseDiscard is Close and drops what is in.
func (b *Box[T]) CloseDiscard() { b.close(true) }

func (b *Box[T]) close(discard bool) {
	b.mu.Lock()
	if discard {
		b.dropped += b.tail - b.head
		b.head, b.bytes = b.tail, 0
		b.ring, b.mask, b.gaps = nil, 0, nil
	}
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.closed = true
	close(b.done)
	item, room := b.onItem, b.onRoom
	if !b.refused {
		room = nil
	}
	b.mu.Unlock()
	call(item)
	call(room)
}

func call(fn func()) {
	if fn != nil {
		fn()
	}
}

// The rest runs with b.mu held.

// empty reports that there is neither an item nor a gap to pop.
func (b *Box[T]) empty() bool { return b.head == b.tail && len(b.gaps) == 0 }

func (b *Box[T]) fits(size int64) bool {
	n := b.tail - b.head
	return n == 0 || n < b.maxItems && (b.maxBytes == 0 || size <= b.maxBytes-b.bytes)
}

// push copies *item into the ring, once: items can be large.
func (b *Box[T]) push(item *T, size int64, seq uint64) bool {
	if b.closed {
		return false
	}
	size = max(size, 0)
	if !b.fits(size) {
		switch b.policy {
		case Block:
			b.refused = true
			return false
		case DropNewest:
			b.lose(b.tail, seq)
			return true
		case DropOldest:
			for !b.fits(size) {
				b.dropHead()
			}
		}
	}
	if b.tail-b.head == uint64(len(b.ring)) {
		b.grow()
	}
	s := &b.ring[b.tail&b.mask]
	s.item, s.seq, s.size = *item, seq, size
	b.tail++
	b.bytes += size
	b.pushed++
	return true
}

// dropHead moves the oldest item into the gap before it.
func (b *Box[T]) dropHead() {
	s := &b.ring[b.head&b.mask]
	b.bytes -= s.size
	b.lose(b.head, s.seq)
	*s = slot[T]{}
	b.head++
	b.gaps[len(b.gaps)-1].at = b.head
}

// lose counts an item that is dropped at place at.
func (b *Box[T]) lose(at, seq uint64) {
	b.dropped++
	if n := len(b.gaps); n == 0 || b.gaps[n-1].at != at {
		b.gaps = append(b.gaps, gap{at: at})
	}
	b.gaps[len(b.gaps)-1].lag.add(seq)
}

func (b *Box[T]) pop(max int, dst []Entry[T]) []Entry[T] {
	for ; max > 0; max-- {
		if len(b.gaps) > 0 && b.gaps[0].at == b.head {
			lag := b.gaps[0].lag
			if b.gaps = b.gaps[1:]; len(b.gaps) == 0 {
				b.gaps = b.firstGap[:0]
			}
			dst = append(dst, Entry[T]{Lagged: &lag})
			continue
		}
		if b.head == b.tail {
			break
		}
		s := &b.ring[b.head&b.mask]
		dst = append(dst, Entry[T]{Item: s.item})
		b.bytes -= s.size
		*s = slot[T]{} // let go of what the item points to
		b.head++
	}
	return dst
}

// grow doubles the ring, so that a box that is never full stays small.
func (b *Box[T]) grow() {
	const first = 16
	limit := uint64(1) << bits.Len64(b.maxItems-1)
	ring := make([]slot[T], min(max(2*uint64(len(b.ring)), first), max(limit, 1)))
	mask := uint64(len(ring) - 1)
	for i := b.head; i != b.tail; i++ {
		ring[i&mask] = b.ring[i&b.mask]
	}
	b.ring, b.mask = ring, mask
}

// woken wakes one sleeping consumer if the box was empty and is no longer, and
// returns the function to call for the same reason.
func (b *Box[T]) woken(wasEmpty bool) func() {
	if !wasEmpty || b.empty() {
		return nil
	}
	b.passOn()
	return b.onItem
}

// passOn wakes a sleeping consumer if there is something for it: one that was
// woken and took only a part must wake the next.
func (b *Box[T]) passOn() {
	if b.sleepers > 0 && !b.empty() {
		select {
		case b.wake <- struct{}{}:
		default: // a token is there already
		}
	}
}

// roomed returns the function to call when a refused producer may try again.
func (b *Box[T]) roomed() func() {
	if !b.refused || b.tail-b.head > b.maxItems/2 || b.maxBytes > 0 && b.bytes > b.maxBytes/2 {
		return nil
	}
	b.refused = false
	return b.onRoom
}
