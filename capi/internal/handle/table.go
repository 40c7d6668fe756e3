// Package handle gives objects numbers that C programs can hold.
//
// A [Table] holds the objects of one kind: [Table.Open] gives an object a handle,
// [Table.Get] finds it, [Table.Close] ends the handle. A handle is never a pointer
// and no number is given out twice, so a stale, foreign or invented one is an
// error, never somebody else's object:
//
//	 52  48 47        28 27                    0
//	+------+------------+-----------------------+
//	| kind | generation |         index         |   < 2^53: a JavaScript number holds it
//	+------+------------+-----------------------+
//
// The index is a slot, and the generation counts how often the slot was opened. A
// slot that has used up its generations is retired: at a million handles a second
// that costs 24 bytes a second, and aliasing never happens.
//
// The package knows nothing of what an object is. All methods may be called from
// any goroutine; Get takes no lock.
package handle

import (
	"sync"
	"sync/atomic"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	indexBits      = 28
	generationBits = 20
	maxIndex       = 1<<indexBits - 1
	maxGeneration  = 1<<generationBits - 1

	chunkBits = 10
	chunkSize = 1 << chunkBits
)

// MaxKind is the largest kind that fits.
const MaxKind = 1<<5 - 1

// The errors of a table. They carry no detail, so that the calls that fail most
// often, on purpose or by a race with closing, cost nothing.
var (
	ErrBad    = &wire.Error{Kind: wire.KindBadHandle, Op: "handle", Msg: "no such handle"}
	ErrClosed = &wire.Error{Kind: wire.KindClosed, Op: "handle", Msg: "closed"}
	ErrFull   = wire.Errorf(wire.KindLimit, "handle", "all handles of this kind are in use")
)

// KindOf returns the kind that is written in h; it may be none that exists.
func KindOf(h uint64) int {
	if h>>(indexBits+generationBits) > MaxKind {
		return 0
	}
	return int(h >> (indexBits + generationBits))
}

// Table holds the open objects of one kind. It is made by New.
type Table[T any] struct {
	kind   uint64
	chunks atomic.Pointer[[]*chunk[T]] // replaced to grow; chunks stay where they are
	live   atomic.Int64

	mu   sync.Mutex // orders Open and Close
	free []uint32
	used uint32 // slots that were ever opened
}

type chunk[T any] [chunkSize]slot[T]

// slot is one place. state is generation<<1, plus 1 while it is open. Open stores
// the object before the state and Close the state before the object, so that a
// reader who sees the same open state before and after reading the object has the
// object of that state.
type slot[T any] struct {
	state  atomic.Uint64
	object atomic.Pointer[T]
}

// New returns an empty table for handles of the given kind, 1 to MaxKind.
func New[T any](kind int) *Table[T] {
	t := &Table[T]{kind: uint64(kind)}
	t.chunks.Store(new([]*chunk[T]))
	return t
}

// Open gives object a handle, which it stores in *name before anyone can find the
// object by it. It fails with ErrFull after 2^28 slots.
func (t *Table[T]) Open(object *T, name *uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var index uint32
	if n := len(t.free); n > 0 {
		index = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		if t.used > maxIndex {
			return ErrFull
		}
		index = t.used
		t.used++
		if chunks := *t.chunks.Load(); int(index>>chunkBits) == len(chunks) {
			grown := append(chunks[:len(chunks):len(chunks)], new(chunk[T]))
			t.chunks.Store(&grown)
		}
	}
	s := t.slot(index)
	generation := s.state.Load()>>1 + 1
	*name = t.kind<<(indexBits+generationBits) | generation<<indexBits | uint64(index)
	s.object.Store(object)
	s.state.Store(generation<<1 | 1)
	t.live.Add(1)
	return nil
}

// Get returns the object of an open handle. It fails with ErrClosed for one that
// was open once, and with ErrBad for any other number.
func (t *Table[T]) Get(h uint64) (*T, error) {
	s, state, err := t.find(h)
	if err != nil {
		return nil, err
	}
	object := s.object.Load()
	if object == nil || s.state.Load() != state {
		return nil, ErrClosed
	}
	return object, nil
}

// Close ends a handle and returns its object; exactly one of several callers gets
// it. The errors are those of Get.
func (t *Table[T]) Close(h uint64) (*T, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, state, err := t.find(h)
	if err != nil {
		return nil, err
	}
	s.state.Store(state &^ 1)
	object := s.object.Swap(nil)
	if state>>1 < maxGeneration {
		t.free = append(t.free, uint32(h&maxIndex))
	}
	t.live.Add(-1)
	return object, nil
}

// Live returns how many handles are open.
func (t *Table[T]) Live() int { return int(t.live.Load()) }

// All returns the objects that are open.
func (t *Table[T]) All() []*T {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*T
	for i := range t.used {
		if object := t.slot(i).object.Load(); object != nil {
			all = append(all, object)
		}
	}
	return all
}

func (t *Table[T]) slot(index uint32) *slot[T] {
	return &(*t.chunks.Load())[index>>chunkBits][index&(chunkSize-1)]
}

// find returns the slot of h and the state in which h is open there.
func (t *Table[T]) find(h uint64) (*slot[T], uint64, error) {
	index, generation := h&maxIndex, h>>indexBits&maxGeneration
	chunks := *t.chunks.Load()
	if h>>(indexBits+generationBits) != t.kind || generation == 0 || index>>chunkBits >= uint64(len(chunks)) {
		return nil, 0, ErrBad
	}
	s := &chunks[index>>chunkBits][index&(chunkSize-1)]
	switch state := s.state.Load(); {
	case generation > state>>1:
		return nil, 0, ErrBad
	case generation < state>>1 || state&1 == 0:
		return nil, 0, ErrClosed
	default:
		return s, state, nil
	}
}
