package mailbox_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/saorsa-labs/x0x-go/core/internal/mailbox"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds a wait for something that must happen.
const patience = 30 * time.Second

// seen is what came out, gaps as nil items.
func seen(entries []mailbox.Entry[int]) (items []int, lags []mailbox.Lag) {
	for _, e := range entries {
		if e.Lagged != nil {
			lags = append(lags, *e.Lagged)
			continue
		}
		items = append(items, e.Item)
	}
	return items, lags
}

func TestBlockRefusesAndLosesNothing(t *testing.T) {
	box := mailbox.New[int](mailbox.Options{MaxItems: 2})
	require.True(t, box.Push(1, 0, 1))
	require.True(t, box.Push(2, 0, 2))
	require.False(t, box.Push(3, 0, 3))
	require.Equal(t, 2, box.Len())
	require.Equal(t, uint64(2), box.Pushed())

	items, lags := seen(box.TryPop(10, nil))
	require.Equal(t, []int{1, 2}, items)
	require.Empty(t, lags)
	require.True(t, box.Push(3, 0, 3))
}

func TestByteLimit(t *testing.T) {
	box := mailbox.New[int](mailbox.Options{MaxItems: 10, MaxBytes: 100})
	require.True(t, box.Push(1, 1000, 1), "a large item enters an empty box")
	require.False(t, box.Push(2, 0, 2), "and keeps it full, even for an item of no size")
	require.Equal(t, int64(1000), box.Bytes())
	box.TryPop(1, nil)
	require.True(t, box.Push(3, 60, 3))
	require.False(t, box.Push(4, 41, 4))
	require.True(t, box.Push(5, 40, 5))
	require.Equal(t, int64(100), box.Bytes())
	require.True(t, mailbox.New[int](mailbox.Options{MaxItems: 1}).Push(1, -5, 1), "a negative size counts as none")
}

func TestDropOldestShowsOneGapInFront(t *testing.T) {
	box := mailbox.New[int](mailbox.Options{MaxItems: 3, Policy: mailbox.DropOldest})
	for i := range 10 {
		require.True(t, box.Push(i, 1, uint64(100+i)))
	}
	entries := box.TryPop(10, nil)
	require.NotNil(t, entries[0].Lagged)
	items, lags := seen(entries)
	require.Equal(t, []int{7, 8, 9}, items)
	require.Equal(t, []mailbox.Lag{{Count: 7, FirstSeq: 100, LastSeq: 106}}, lags)
	require.Equal(t, uint64(7), box.Dropped())
	require.Equal(t, uint64(10), box.Pushed())
}

func TestDropOldestMakesRoomInBytes(t *testing.T) {
	box := mailbox.New[int](mailbox.Options{MaxItems: 10, MaxBytes: 10, Policy: mailbox.DropOldest})
	for i := range 5 {
		box.Push(i, 2, uint64(i))
	}
	box.Push(5, 5, 5)   // drops 0, 1, 2
	box.Push(6, 500, 6) // drops all, and enters
	items, lags := seen(box.TryPop(10, nil))
	require.Equal(t, []int{6}, items)
	require.Equal(t, []mailbox.Lag{{Count: 6, FirstSeq: 0, LastSeq: 5}}, lags)
	require.Zero(t, box.Bytes())
}

func TestDropNewestShowsGapsWhereTheyAre(t *testing.T) {
	box := mailbox.New[int](mailbox.Options{MaxItems: 2, Policy: mailbox.DropNewest})
	for i := range 5 { // 2, 3, 4 are lost
		require.True(t, box.Push(i, 1, uint64(i)))
	}
	box.TryPop(1, nil)
	box.Push(5, 1, 5)
	box.Push(6, 1, 6) // lost

	var order []any
	for _, e := range box.TryPop(10, nil) {
		if e.Lagged != nil {
			order = append(order, *e.Lagged)
		} else {
			order = append(order, e.Item)
		}
	}
	require.Equal(t, []any{
		1,
		mailbox.Lag{Count: 3, FirstSeq: 2, LastSeq: 4},
		5,
		mailbox.Lag{Count: 1, FirstSeq: 6, LastSeq: 6},
	}, order)
	require.Equal(t, uint64(4), box.Dropped())
	require.Equal(t, uint64(3), box.Pushed())
	require.Empty(t, box.TryPop(10, nil), "a gap is told once")
}

func TestPushBatchStopsAtTheFirstThatDoesNotFit(t *testing.T) {
	size := func(i *int) int { return *i }
	seq := func(i *int) uint64 { return uint64(*i) }
	box := mailbox.New[int](mailbox.Options{MaxItems: 10, MaxBytes: 10})
	require.Equal(t, 2, box.PushBatch([]int{4, 6, 3, 1}, size, seq))
	require.Equal(t, 2, box.Len())
	require.Zero(t, box.PushBatch(nil, size, seq))

	feed := mailbox.New[int](mailbox.Options{MaxItems: 2, Policy: mailbox.DropOldest})
	require.Equal(t, 4, feed.PushBatch([]int{4, 6, 3, 1}, size, seq))
	items, _ := seen(feed.TryPop(10, nil))
	require.Equal(t, []int{3, 1}, items)
}

func TestCloseLetsOutWhatIsIn(t *testing.T) {
	box := mailbox.New[int](mailbox.Options{MaxItems: 4})
	box.Push(1, 1, 1)
	box.Close()
	box.Close()
	require.True(t, box.Closed())
	require.False(t, box.Push(2, 1, 2))
	e, err := box.Pop(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, e.Item)
	_, err = box.Pop(t.Context())
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestClosedDropBoxRefuses(t *testing.T) {
	for _, policy := range []mailbox.Policy{mailbox.DropOldest, mailbox.DropNewest} {
		box := mailbox.New[int](mailbox.Options{MaxItems: 1, Policy: policy})
		box.Close()
		require.False(t, box.Push(1, 1, 1))
		require.Zero(t, box.Dropped(), "the producer was told, so nothing was lost unseen")
	}
}

func TestCloseDiscard(t *testing.T) {
	box := mailbox.New[int](mailbox.Options{MaxItems: 2, Policy: mailbox.DropOldest})
	for i := range 3 {
		box.Push(i, 10, uint64(i))
	}
	box.Close()
	box.CloseDiscard() // also after Close
	require.Zero(t, box.Len())
	require.Zero(t, box.Bytes())
	require.Equal(t, uint64(3), box.Dropped())
	_, err := box.Pop(t.Context())
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
}

func TestNotifyOnlyFromEmptyAndOnClose(t *testing.T) {
	box := mailbox.New[int](mailbox.Options{MaxItems: 4})
	calls := 0
	box.SetNotify(func() {
		calls++
		box.Len() // must not deadlock: no lock is held
	})
	box.Push(1, 1, 1)
	box.Push(2, 1, 2)
	require.Equal(t, 1, calls)
	box.TryPop(1, nil)
	box.Push(3, 1, 3)
	require.Equal(t, 1, calls, "not empty in between")
	box.TryPop(10, nil)
	box.PushBatch([]int{4, 5}, func(*int) int { return 1 }, func(*int) uint64 { return 1 })
	require.Equal(t, 2, calls)
	box.Close()
	require.Equal(t, 3, calls)
	box.Close()
	require.Equal(t, 3, calls)
}

func TestRoomAfterARefusalAtHalf(t *testing.T) {
	box := mailbox.New[int](mailbox.Options{MaxItems: 4, MaxBytes: 100})
	calls := 0
	box.SetRoom(func() { calls++; box.Len() })
	for i := range 4 {
		box.Push(i, 20, uint64(i))
	}
	box.TryPop(4, nil)
	require.Zero(t, calls, "nobody was refused")

	for i := range 5 {
		box.Push(i, 20, uint64(i))
	}
	box.TryPop(1, nil)
	require.Zero(t, calls, "three of four are left")
	box.TryPop(1, nil)
	require.Equal(t, 1, calls)
	box.TryPop(2, nil)
	require.Equal(t, 1, calls, "once for each refusal")

	box.Push(1, 60, 1)
	box.Push(2, 10, 2)
	require.False(t, box.Push(3, 60, 3))
	box.TryPop(1, nil)
	require.Equal(t, 2, calls)

	box.Push(3, 90, 3)
	require.False(t, box.Push(4, 90, 4))
	box.Close()
	require.Equal(t, 3, calls, "a waiting producer learns of the end")
}

func TestPopWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := mailbox.New[int](mailbox.Options{MaxItems: 4})
		got := make(chan int)
		go func() {
			e, err := box.Pop(t.Context())
			if err != nil {
				t.Error(err)
			}
			got <- e.Item
		}()
		synctest.Wait() // it sleeps
		box.Push(7, 1, 7)
		require.Equal(t, 7, <-got)
	})
}

func TestPopEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := mailbox.New[int](mailbox.Options{MaxItems: 4})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := box.Pop(ctx)
		require.Equal(t, wire.KindTimeout, wire.KindOf(err))

		reason := errors.New("no longer interested")
		ctx, stop := context.WithCancelCause(t.Context())
		stop(reason)
		_, err = box.Pop(ctx)
		require.ErrorIs(t, err, reason)

		box.Push(1, 1, 1)
		e, err := box.Pop(ctx)
		require.NoError(t, err, "what is there is not lost to a late reader")
		require.Equal(t, 1, e.Item)
	})
}

func TestOneBatchWakesAllSleepers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sleepers = 5
		box := mailbox.New[int](mailbox.Options{MaxItems: sleepers})
		var sum atomic.Int64
		var wg sync.WaitGroup
		for range sleepers {
			wg.Go(func() {
				e, err := box.Pop(t.Context())
				if err != nil {
					t.Error(err)
				}
				sum.Add(int64(e.Item))
			})
		}
		synctest.Wait()
		box.PushBatch([]int{1, 2, 3, 4, 5}, func(*int) int { return 1 }, func(*int) uint64 { return 1 })
		wg.Wait()
		require.Equal(t, int64(15), sum.Load())
	})
}

func TestCloseWakesAllSleepers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := mailbox.New[int](mailbox.Options{MaxItems: 1})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				_, err := box.PopMany(t.Context(), 10, nil)
				if wire.KindOf(err) != wire.KindClosed {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		box.Close()
		wg.Wait()
	})
}

// A sleeper whose context ends must not take the wake-up of another with it.
func TestCancelledSleeperLeavesTheWakeUp(t *testing.T) {
	for range 200 {
		box := mailbox.New[int](mailbox.Options{MaxItems: 1})
		quitter, quit := context.WithCancel(t.Context())
		out := make(chan int, 2)
		for _, ctx := range []context.Context{quitter, t.Context()} {
			go func() {
				e, err := box.Pop(ctx)
				if err != nil {
					out <- -1
				} else {
					out <- e.Item
				}
			}()
		}
		go quit()
		box.Push(42, 1, 1)
		first := recv(t, out)
		if first == 42 { // the quitter got it first: the other waits for one more
			box.Push(42, 1, 2)
			second := recv(t, out)
			if second == -1 {
				continue // it was the patient one that got the first
			}
			require.Equal(t, 42, second)
			continue
		}
		require.Equal(t, 42, recv(t, out))
	}
}

func recv(t *testing.T, ch <-chan int) int {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nobody was woken")
		return 0
	}
}

func TestPopManyOfNothingReturns(t *testing.T) {
	box := mailbox.New[int](mailbox.Options{})
	got, err := box.PopMany(t.Context(), 0, nil)
	require.NoError(t, err)
	require.Empty(t, got)
}

// Several producers that wait for room and several consumers, one of each driven
// by callbacks: every item arrives once, and those of a producer in order.
func TestConcurrentUse(t *testing.T) {
	type item struct{ producer, n int }
	const producers, consumers, each = 4, 3, 5000
	box := mailbox.New[item](mailbox.Options{MaxItems: 16, MaxBytes: 64})

	var mu sync.Mutex
	room := sync.NewCond(&mu)
	rooms := 0
	box.SetRoom(func() {
		mu.Lock()
		rooms++
		mu.Unlock()
		room.Broadcast()
	})
	var producing sync.WaitGroup
	for p := range producers {
		producing.Go(func() {
			for i := 0; i < each; i++ {
				mu.Lock()
				before := rooms
				mu.Unlock()
				if box.Push(item{p, i}, i%7, uint64(i)) {
					continue
				}
				i--
				mu.Lock()
				for rooms == before {
					room.Wait()
				}
				mu.Unlock()
			}
		})
	}

	got := make([][]item, consumers)
	var consuming sync.WaitGroup
	for c := range consumers - 1 {
		consuming.Go(func() {
			var buf []mailbox.Entry[item]
			for {
				var err error
				if buf, err = box.PopMany(t.Context(), 5, buf[:0]); err != nil {
					return
				}
				for _, e := range buf {
					got[c] = append(got[c], e.Item)
				}
			}
		})
	}
	consuming.Go(func() { // driven by notifications
		wake := make(chan struct{}, 1)
		box.SetNotify(func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		})
		for {
			entries := box.TryPop(7, nil)
			for _, e := range entries {
				got[consumers-1] = append(got[consumers-1], e.Item)
			}
			if len(entries) > 0 {
				continue
			}
			if box.Closed() && box.Len() == 0 {
				return
			}
			<-wake
		}
	})
	producing.Wait()
	box.Close()
	consuming.Wait()

	count := map[item]int{}
	for _, items := range got {
		last := map[int]int{}
		for _, it := range items {
			count[it]++
			if prev, ok := last[it.producer]; ok {
				require.Greater(t, it.n, prev, "order of producer %d", it.producer)
			}
			last[it.producer] = it.n
		}
	}
	require.Len(t, count, producers*each)
	for it, n := range count {
		require.Equal(t, 1, n, "item %v", it)
	}
}

func TestPoppedItemsAreLetGo(t *testing.T) {
	box := mailbox.New[*[1024]byte](mailbox.Options{MaxItems: 2, Policy: mailbox.DropOldest})
	watch := func() weak.Pointer[[1024]byte] {
		p := new([1024]byte)
		box.Push(p, 1, 1)
		return weak.Make(p)
	}
	dropped, popped := watch(), watch()
	kept := watch()
	box.TryPop(2, nil) // the gap and popped
	runtime.GC()
	require.Nil(t, dropped.Value(), "a dropped item is still held")
	require.Nil(t, popped.Value(), "a popped item is still held")
	require.NotNil(t, kept.Value())
	runtime.KeepAlive(box)
}

func TestNoAllocationPerItem(t *testing.T) {
	for _, policy := range []mailbox.Policy{mailbox.Block, mailbox.DropOldest, mailbox.DropNewest} {
		box := mailbox.New[message](mailbox.Options{MaxItems: 64, Policy: policy})
		dst := make([]mailbox.Entry[message], 0, 64)
		src := make([]message, 32)
		size := func(m *message) int { return len(m.body) }
		seq := func(m *message) uint64 { return m.seq }
		ctx := t.Context()
		cycle := func() {
			for i := range 32 {
				box.Push(message{}, 100, uint64(i))
			}
			box.PushBatch(src, size, seq)
			_, _ = box.Pop(ctx)
			dst = box.TryPop(64, dst[:0])
		}
		cycle() // grows the ring
		require.Zero(t, testing.AllocsPerRun(100, cycle), "policy %d", policy)
	}
}
