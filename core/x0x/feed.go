package x0x

import (
	"context"

	"github.com/saorsa-labs/x0x-go/core/internal/mailbox"
)

// Entry is one thing taken from a Feed: an Item, or, where Lagged is not nil, the mark of a
// gap at this position.
type Entry[T any] = mailbox.Entry[T]

// Lag says what a slow reader missed at one position: how many items, and the sequence
// numbers of the first and last of them.
type Lag = mailbox.Lag

// Feed is the read side of a bounded queue between the library and the application. What
// happens when it is full is documented where the feed comes from.
type Feed[T any] struct{ box *mailbox.Box[T] }

// Recv waits for the next entry. It fails with ErrClosed once the feed is closed and empty,
// and with ErrTimeout or ErrCancelled when ctx ends.
func (f *Feed[T]) Recv(ctx context.Context) (Entry[T], error) {
	e, err := f.box.Pop(ctx)
	return e, ended("receive", err)
}

// RecvMany waits for at least one entry and appends up to max to dst.
func (f *Feed[T]) RecvMany(ctx context.Context, max int, dst []Entry[T]) ([]Entry[T], error) {
	dst, err := f.box.PopMany(ctx, max, dst)
	return dst, ended("receive", err)
}

// TryRecv appends up to max waiting entries to dst and never waits.
func (f *Feed[T]) TryRecv(max int, dst []Entry[T]) []Entry[T] { return f.box.TryPop(max, dst) }

// SetNotify sets a function that is called when the feed turns from empty to non-empty and
// when it closes; nil removes it. It runs on a goroutine of the library, may be spurious, and
// must return at once.
func (f *Feed[T]) SetNotify(fn func()) { f.box.SetNotify(fn) }

// Len returns how many items wait, Bytes the sum of their payloads, and Dropped how many were
// lost because the reader was slow.
func (f *Feed[T]) Len() int        { return f.box.Len() }
func (f *Feed[T]) Bytes() int64    { return f.box.Bytes() }
func (f *Feed[T]) Dropped() uint64 { return f.box.Dropped() }

// Closed reports whether nothing more will enter. What waits can still be received.
func (f *Feed[T]) Closed() bool { return f.box.Closed() }
