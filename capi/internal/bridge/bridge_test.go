package bridge

import (
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/handle"
	"github.com/saorsa-labs/x0x-go/core/wire"
	"github.com/saorsa-labs/x0x-go/core/x0x"
)

func args(t testing.TB, values ...any) []byte {
	if len(values) == 0 {
		return nil
	}
	b, err := msgpack.Marshal(values)
	require.NoError(t, err)
	return b
}

func TestDirectMessages(t *testing.T) {
	b := newBench(t)
	alice, bob := b.agent(), b.agent()
	inbox, err := b.library.OpenInbox(bob, abi.CreditUnlimited)
	require.NoError(t, err)
	to, err := b.library.ID(bob)
	require.NoError(t, err)
	from, err := b.library.ID(alice)
	require.NoError(t, err)

	require.NoError(t, b.library.Send(alice, to, []byte("hello"), SendOptions{}, 77, nil))
	c := b.completion(77)
	require.Equal(t, []any{int8(0), []any{"direct", int8(1), int8(1)}}, c.meta)
	require.Zero(t, c.Flags)
	m := b.await("message", func(r rec) bool { return r.Kind == abi.RDirect })
	require.Equal(t, inbox, m.ID)
	require.EqualValues(t, 1, m.Seq)
	require.Equal(t, "hello", m.payload)
	require.Equal(t, []any{from[:], from[:], int8(0)}, m.meta)

	_, err = b.library.OpenInbox(bob, 0)
	require.Equal(t, wire.KindBusy, wire.KindOf(err))
}

func TestTopicMessages(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	sub, err := b.library.Subscribe(a, "news", SubscribeOptions{}, abi.CreditUnlimited)
	require.NoError(t, err)
	require.NoError(t, b.library.Publish(a, []byte("news"), []byte("hello"), 0, 1, nil))
	require.EqualValues(t, abi.Ok, b.completion(1).status())
	m := b.await("message", func(r rec) bool { return r.Kind == abi.RMessage })
	from, err := b.library.ID(a)
	require.NoError(t, err)
	require.Equal(t, sub, m.ID)
	require.Equal(t, []any{from[:], int8(1), int8(0), "news"}, m.meta)
	require.Equal(t, "hello", m.payload)

	for name, topic := range map[string]string{"too long": strings.Repeat("t", 257), "not UTF-8": "\xff", "with NUL": "a\x00b"} {
		_, err = b.library.Subscribe(a, topic, SubscribeOptions{}, 0)
		require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err), name)
		require.Equal(t, wire.KindInvalidArgument, wire.KindOf(b.library.Publish(a, []byte(topic), nil, 0, 2, nil)), name)
	}
}

// One wake comes for the step from empty to non-empty, by each of the three ways, and
// the drain that empties the queue arms it again.
func TestWakesOncePerBatch(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	fd, err := b.queue.FD()
	require.NoError(t, err)
	again, err := b.queue.FD()
	require.NoError(t, err)
	require.Equal(t, fd, again)
	wakes := make(chan struct{}, 100)
	require.NoError(t, b.queue.SetWake(func() bool { wakes <- struct{}{}; return true }))

	ready, err := b.queue.Wait(0)
	require.NoError(t, err)
	require.False(t, ready)
	require.False(t, readable(t, fd))
	for round := range 3 {
		for i := range 10 {
			require.NoError(t, b.library.Publish(a, []byte("t"), nil, 0, uint64(i), nil))
		}
		require.True(t, readable(t, fd))
		ready, err = b.queue.Wait(Forever)
		require.NoError(t, err)
		require.True(t, ready)
		require.Len(t, wakes, 1, "round %d", round)
		<-wakes

		small, err := b.queue.Drain(b.buf[:100])
		require.NoError(t, err)
		require.True(t, small.More)
		require.True(t, readable(t, fd), "records remain")
		require.Len(t, b.drain(), 10-small.Records)
		require.Empty(t, wakes)
		require.False(t, readable(t, fd))
		ready, err = b.queue.Wait(time.Millisecond)
		require.NoError(t, err)
		require.False(t, ready)
	}
}

func readable(t testing.TB, fd int) bool {
	t.Helper()
	// A copy, so that reading does not disturb: an eventfd has one counter, so poll.
	var set syscall.FdSet
	set.Bits[fd/64] |= 1 << (fd % 64)
	n, err := syscall.Select(fd+1, &set, nil, nil, &syscall.Timeval{})
	require.NoError(t, err)
	return n == 1
}

func TestSetWakeWithRecordsWaiting(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	require.NoError(t, b.library.Publish(a, []byte("t"), nil, 0, 1, nil))
	woken := make(chan struct{})
	require.NoError(t, b.queue.SetWake(func() bool { close(woken); return true }))
	select {
	case <-woken:
	case <-time.After(soon):
		t.Fatal("no wake came")
	}
}

// A callback that cannot run on this thread is called again from another.
func TestWakeIsHandedOver(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	var calls atomic.Int32
	woken := make(chan struct{})
	require.NoError(t, b.queue.SetWake(func() bool {
		if calls.Add(1) == 1 {
			return false
		}
		close(woken)
		return true
	}))
	require.NoError(t, b.library.Publish(a, []byte("t"), nil, 0, 1, nil))
	select {
	case <-woken:
	case <-time.After(soon):
		t.Fatal("no wake came")
	}
}

// When SetWake returns, the callback before is not running and does not run again.
func TestSetWakeWaitsForTheOneBefore(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	running, proceed := make(chan struct{}), make(chan struct{})
	var freed atomic.Bool
	require.NoError(t, b.queue.SetWake(func() bool {
		close(running)
		<-proceed
		if freed.Load() {
			t.Error("the callback runs after SetWake returned")
		}
		return true
	}))
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.library.Publish(a, []byte("t"), nil, 0, 1, nil) })
	<-running
	wg.Go(func() {
		if err := b.queue.SetWake(nil); err != nil {
			t.Error(err)
		}
		freed.Store(true)
	})
	close(proceed)
	wg.Wait()
}

func TestManyWaitersWake(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if ready, err := b.queue.Wait(soon); !ready || err != nil {
				t.Errorf("Wait: %v, %v", ready, err)
			}
		})
	}
	require.NoError(t, b.library.Publish(a, []byte("t"), nil, 0, 1, nil))
	wg.Wait()
}

func TestTooSmallLosesNothing(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	sub, err := b.library.Subscribe(a, "t", SubscribeOptions{}, 0)
	require.NoError(t, err)
	for i := range 20 {
		payload := strings.Repeat("x", i*100)
		require.NoError(t, b.library.Publish(a, []byte("t"), []byte(payload), 0, uint64(i), nil))
	}
	var got []rec
	for size := 0; ; {
		d, err := b.queue.Drain(b.buf[:size])
		if wire.KindOf(err) == wire.KindTooSmall {
			require.Greater(t, d.Bytes, size)
			_, err = b.queue.Drain(b.buf[:d.Bytes-8])
			require.Equal(t, wire.KindTooSmall, wire.KindOf(err), "the size that was asked for is not the least")
			size = d.Bytes
			continue
		}
		require.NoError(t, err)
		got = append(got, parseRecords(t, b.buf[:d.Bytes])...)
		if !d.More {
			break
		}
		size = 0
	}
	var seqs []uint64
	completions := 0
	for _, r := range got {
		switch r.Kind {
		case abi.RMessage:
			require.Equal(t, sub, r.ID)
			seqs = append(seqs, r.Seq)
			require.Len(t, r.payload, int(r.Seq-1)*100)
		case abi.RCompletion:
			completions++
		}
	}
	require.Len(t, seqs, 20)
	require.IsIncreasing(t, seqs)
	require.Equal(t, 20, completions)
}

func TestOneThreadDrains(t *testing.T) {
	b := newBench(t)
	b.queue.draining.Lock()
	_, err := b.queue.Drain(b.buf)
	b.queue.draining.Unlock()
	require.Equal(t, wire.KindBusy, wire.KindOf(err))
}

// Messages have their turn while completions never end, and the reverse.
func TestNobodyStarves(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	_, err := b.library.Subscribe(a, "t", SubscribeOptions{MaxMessages: 4096}, 0)
	require.NoError(t, err)
	for i := range 3000 {
		require.NoError(t, b.library.Publish(a, []byte("t"), nil, 0, uint64(i), nil))
	}
	d, err := b.queue.Drain(b.buf[:64<<10])
	require.NoError(t, err)
	kinds := map[uint16]int{}
	for _, r := range parseRecords(t, b.buf[:d.Bytes]) {
		kinds[r.Kind]++
	}
	require.Greater(t, kinds[abi.RMessage], 100)
	require.Greater(t, kinds[abi.RCompletion], 100)
}

func TestOperationsAreLimitedUntilDrained(t *testing.T) {
	b := newBench(t)
	h, err := b.library.OpenAgent(Options{MaxOperations: 3}, b.queue.handle)
	require.NoError(t, err)
	for token := range uint64(3) {
		require.NoError(t, b.library.Publish(h, []byte("t"), nil, 0, token, nil))
	}
	err = b.library.Publish(h, []byte("t"), nil, 0, 4, nil)
	require.Equal(t, wire.KindBusy, wire.KindOf(err))
	require.EqualValues(t, abi.ErrfRetryable, ErrorFlags(err))
	require.Len(t, b.drain(), 3)
	require.NoError(t, b.library.Publish(h, []byte("t"), nil, 0, 5, nil))
	require.EqualValues(t, abi.Ok, b.completion(5).status())
}

func TestCancel(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	var op uint64
	require.NoError(t, b.library.Call(a, abi.MConnectAgent, args(t, make([]byte, 32)), 9, &op))
	kind, err := b.library.Kind(op)
	require.NoError(t, err)
	require.Equal(t, abi.KindOperation, kind)
	require.NoError(t, b.library.CancelOperation(op))
	c := b.completion(9)
	require.EqualValues(t, abi.ECancelled, c.status())
	require.EqualValues(t, abi.RfError, c.Flags)
	require.Equal(t, handle.ErrClosed, b.library.CancelOperation(op))
	require.Equal(t, handle.ErrClosed, b.library.Close(op))
	require.Zero(t, b.library.Live(abi.KindOperation))
}

func TestForgottenOperationCompletes(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	var op uint64
	require.NoError(t, b.library.Call(a, abi.MConnectAgent, args(t, make([]byte, 32), 20), 9, &op))
	require.NoError(t, b.library.Close(op))
	require.EqualValues(t, abi.ETimeout, b.completion(9).status())
}

// A publish that does not wait is busy where there is no room, and nothing else.
func TestNoWait(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	require.NoError(t, b.library.Publish(a, []byte("t"), nil, NoWait, 1, nil))
	require.EqualValues(t, abi.Ok, b.completion(1).status())

	b.net.full = true
	var op uint64
	for token := range uint64(3) {
		require.NoError(t, b.library.Publish(a, []byte("t"), nil, NoWait, token+2, &op))
		c := b.completion(token + 2)
		require.EqualValues(t, abi.EBusy, c.status())
		require.EqualValues(t, abi.ErrfRetryable, toInt(c.meta[1]))
		require.Equal(t, handle.ErrClosed, b.library.CancelOperation(op))
	}
	require.NoError(t, b.library.Publish(a, []byte("t"), nil, time.Minute, 9, &op))
	require.NoError(t, b.library.CancelOperation(op))
	require.EqualValues(t, abi.ECancelled, b.completion(9).status(), "who waits and is cancelled was not refused")
	require.Zero(t, b.library.Live(abi.KindOperation))
}

// An operation whose completion comes before the call that started it returns has a
// handle that is closed.
func TestCompletionBeforeReturn(t *testing.T) {
	b := newBench(t)
	b.net.inline = true
	a := b.agent()
	id, err := b.library.ID(a)
	require.NoError(t, err)
	var op uint64
	require.NoError(t, b.library.Send(a, id, nil, SendOptions{}, 1, &op))
	require.NotZero(t, op)
	require.Equal(t, handle.ErrClosed, b.library.CancelOperation(op))
	for token := range uint64(100) {
		require.NoError(t, b.library.Send(a, id, nil, SendOptions{}, token+2, nil))
	}
	require.EqualValues(t, abi.Ok, b.completion(101).status())
}

func TestAFailedStartHasNoCompletion(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	var op uint64
	err := b.library.Send(a, AgentID{1}, nil, SendOptions{}, 1, &op)
	require.Equal(t, wire.KindNotFound, wire.KindOf(err))
	require.Zero(t, op)
	require.Empty(t, b.drain())
	require.Zero(t, b.library.Live(abi.KindOperation))
}

// Closing an agent completes what is pending, and its closing record is the last.
func TestClosingOrder(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		b := newBench(t)
		b.net.stuck = stuck
		a, full := b.agent(), b.agent()
		sub, err := b.library.Subscribe(a, "t", SubscribeOptions{}, 0)
		require.NoError(t, err)
		inbox, err := b.library.OpenInbox(a, 0)
		require.NoError(t, err)
		require.NoError(t, b.library.Publish(a, []byte("t"), []byte("kept"), 0, 1, nil))
		require.NoError(t, b.library.Call(a, abi.MConnectAgent, args(t, make([]byte, 32)), 2, nil))
		to := b.core(full)
		to.inbox.max = 0
		var op uint64
		require.NoError(t, b.library.Send(a, to.id, nil, SendOptions{}, 3, &op))

		_, err = b.library.CloseAgent(a, time.Millisecond)
		require.NoError(t, err)
		for _, h := range []uint64{a, sub, inbox} {
			require.Equal(t, handle.ErrClosed, b.library.Close(h))
		}
		ok, err := b.library.CloseAgentWait(a, soon)
		require.True(t, ok || wire.KindOf(err) == wire.KindClosed)
		b.closed(a)
		// Everything of a that came before stands in held; nothing may follow.
		require.Empty(t, b.drain())
		at := map[string]int{}
		for i, r := range b.held {
			switch {
			case r.Kind == abi.RMessage:
				at["message"] = i
				require.Equal(t, "kept", r.payload)
			case r.Kind == abi.RClosed && r.ID == sub:
				at["sub"] = i
			case r.Kind == abi.RClosed && r.ID == inbox:
				at["inbox"] = i
			case r.Kind == abi.RCompletion && r.ID > 1:
				at["completions"]++
				require.EqualValues(t, abi.EClosed, r.status())
			}
		}
		require.Equal(t, 2, at["completions"])
		require.Contains(t, at, "inbox")
		require.Less(t, at["message"], at["sub"], "the message was there before the agent was closed")
		require.Equal(t, handle.ErrClosed, b.library.CancelOperation(op))
	}
}

func TestClosingASubscription(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	sub, err := b.library.Subscribe(a, "t", SubscribeOptions{}, 0)
	require.NoError(t, err)
	require.NoError(t, b.library.Publish(a, []byte("t"), []byte("not drained"), 0, 1, nil))
	require.NoError(t, b.library.Close(sub))
	require.NoError(t, b.library.Publish(a, []byte("t"), []byte("too late"), 0, 2, nil))
	b.closed(sub)
	b.completion(2)
	for _, r := range append(b.held, b.drain()...) {
		require.NotEqual(t, uint16(abi.RMessage), r.Kind)
	}
	require.Equal(t, handle.ErrClosed, b.library.Close(sub))
}

func TestSubscriptionsAreLimitedUntilDrained(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	for range maxSubscriptions {
		sub, err := b.library.Subscribe(a, "t", SubscribeOptions{}, 0)
		require.NoError(t, err)
		require.NoError(t, b.library.Close(sub))
	}
	_, err := b.library.Subscribe(a, "t", SubscribeOptions{}, 0)
	require.Equal(t, wire.KindLimit, wire.KindOf(err))
	require.Len(t, b.drain(), maxSubscriptions)
	_, err = b.library.Subscribe(a, "t", SubscribeOptions{}, 0)
	require.NoError(t, err)
}

func TestCredit(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	sub, err := b.library.Subscribe(a, "t", SubscribeOptions{}, abi.CreditNone)
	require.NoError(t, err)
	for i := range 10 {
		require.NoError(t, b.library.Publish(a, []byte("t"), nil, 0, uint64(i), nil))
	}
	require.Len(t, b.drain(), 10, "only completions")
	ready, err := b.queue.Wait(0)
	require.NoError(t, err)
	require.False(t, ready)
	require.NoError(t, b.library.AddCredit(sub, 3))
	ready, err = b.queue.Wait(0)
	require.NoError(t, err)
	require.True(t, ready)
	require.Len(t, b.drain(), 3)
	require.NoError(t, b.library.AddCredit(sub, 100))
	require.Len(t, b.drain(), 7)
	info, err := b.library.CallNow(sub, abi.MSubscriptionInfo, nil, 100)
	require.NoError(t, err)
	require.Equal(t, args(t, "t", 0, 0, 10), info)
	for range 3 {
		require.NoError(t, b.library.AddCredit(sub, 1<<32-1))
	}
	require.Equal(t, errWrongKind, b.library.AddCredit(a, 1))

	// A subscription that is closed with its agent while it has no credit says so at once.
	paused, err := b.library.Subscribe(a, "t", SubscribeOptions{}, abi.CreditNone)
	require.NoError(t, err)
	require.NoError(t, b.library.Publish(a, []byte("t"), nil, 0, 1, nil))
	_, err = b.library.CloseAgent(a, 0)
	require.NoError(t, err)
	b.closed(paused)
	b.closed(a)
}

func TestLag(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	sub, err := b.library.Subscribe(a, "t", SubscribeOptions{MaxMessages: 10}, abi.CreditNone)
	require.NoError(t, err)
	for i := range 25 {
		require.NoError(t, b.library.Publish(a, []byte("t"), nil, 0, uint64(i), nil))
	}
	b.drain()
	info, err := b.library.CallNow(sub, abi.MSubscriptionInfo, nil, 100)
	require.NoError(t, err)
	require.Equal(t, args(t, "t", 10, 15, 0), info)
	require.NoError(t, b.library.AddCredit(sub, 10))
	got := b.drain()
	require.Len(t, got, 11)
	require.EqualValues(t, abi.RLagged, got[0].Kind)
	require.Equal(t, sub, got[0].ID)
	require.Equal(t, []any{int8(15), int8(1), int8(15)}, got[0].meta)
	require.EqualValues(t, 16, got[1].Seq)
}

// What was taken for a record that did not fit is not lost when the inbox closes.
func TestInboxOpensAgain(t *testing.T) {
	b := newBench(t)
	b.net.inline = true
	a := b.agent()
	id, err := b.library.ID(a)
	require.NoError(t, err)
	inbox, err := b.library.OpenInbox(a, abi.CreditUnlimited)
	require.NoError(t, err)
	for i := range 20 {
		require.NoError(t, b.library.Send(a, id, []byte(strings.Repeat("x", 100)), SendOptions{}, uint64(i), nil))
	}
	first, err := b.queue.Drain(b.buf[:2500])
	require.NoError(t, err)
	require.True(t, first.More)
	info, err := b.library.CallNow(inbox, abi.MInboxInfo, nil, 100)
	require.NoError(t, err)
	var pending []uint64
	require.NoError(t, msgpack.Unmarshal(info, &pending))
	require.NoError(t, b.library.Close(inbox))
	again, err := b.library.OpenInbox(a, abi.CreditUnlimited)
	require.NoError(t, err)
	var seqs []uint64
	for _, r := range append(parseRecords(t, b.buf[:first.Bytes]), b.drain()...) {
		if r.Kind == abi.RDirect {
			seqs = append(seqs, r.Seq)
		}
	}
	require.Len(t, seqs, 20)
	require.IsIncreasing(t, seqs)
	require.NotEqual(t, inbox, again)
	require.LessOrEqual(t, pending[0], uint64(20))
}

// A panic poisons the agent that was called, tells it once, and no other agent notices.
func TestPanicPoisonsOneAgent(t *testing.T) {
	b := newBench(t)
	bad, good := b.agent(), b.agent()
	sub, err := b.library.Subscribe(bad, "t", SubscribeOptions{}, 0)
	require.NoError(t, err)
	core := b.core(bad)
	core.explode.Store(true)
	err = b.library.Publish(bad, []byte("t"), nil, 0, 1, nil)
	require.Equal(t, wire.KindPanic, wire.KindOf(err))
	require.EqualValues(t, abi.ErrfFatal, ErrorFlags(err)&abi.ErrfFatal)
	fatal := b.await("fatal record", func(r rec) bool { return r.Kind == abi.RFatal })
	require.Equal(t, bad, fatal.ID)
	require.EqualValues(t, abi.EPanic, fatal.status())

	require.Equal(t, wire.KindPoisoned, wire.KindOf(b.library.Publish(bad, []byte("t"), nil, 0, 2, nil)))
	_, err = b.library.ID(bad)
	require.Equal(t, wire.KindPoisoned, wire.KindOf(err))
	require.Equal(t, wire.KindPoisoned, wire.KindOf(b.library.Call(bad, abi.MJoin, nil, 3, nil)))
	require.NoError(t, b.library.Close(sub))
	require.NoError(t, b.library.Publish(good, []byte("t"), nil, 0, 4, nil))
	require.EqualValues(t, abi.Ok, b.completion(4).status())

	// In a call that runs on a goroutine, the operation still completes.
	b.core(good).explode.Store(true)
	require.NoError(t, b.library.Call(good, abi.MJoin, nil, 5, nil))
	require.EqualValues(t, abi.EPanic, b.completion(5).status())

	for _, h := range []uint64{bad, good} {
		ok, err := b.library.CloseAgentWait(h, soon)
		require.NoError(t, err)
		require.True(t, ok)
		b.closed(h)
	}
	for _, r := range b.held {
		if r.Kind == abi.RFatal {
			require.Equal(t, good, r.ID, "a second fatal record")
		}
	}
}

func TestQueueClosesLast(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	require.Equal(t, wire.KindBusy, wire.KindOf(b.library.Close(b.queue.handle)))
	waiting := make(chan error, 1)
	h, err := b.library.NewQueue(QueueOptions{})
	require.NoError(t, err)
	other, err := b.library.Queue(h)
	require.NoError(t, err)
	_, err = other.FD()
	require.NoError(t, err)
	go func() {
		_, err := other.Wait(Forever)
		waiting <- err
	}()
	require.NoError(t, b.library.Close(h))
	require.Equal(t, wire.KindClosed, wire.KindOf(<-waiting))
	_, err = other.Drain(b.buf)
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
	_, err = other.FD()
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
	require.Equal(t, wire.KindClosed, wire.KindOf(other.SetWake(func() bool { return true })))
	_, err = b.library.OpenAgent(Options{}, h)
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
	require.NoError(t, b.library.Close(a))
}

func TestLimits(t *testing.T) {
	b := newBench(t)
	for b.library.queues.Live() < maxQueues {
		_, err := b.library.NewQueue(QueueOptions{})
		require.NoError(t, err)
	}
	_, err := b.library.NewQueue(QueueOptions{})
	require.Equal(t, wire.KindLimit, wire.KindOf(err))
	for range maxAgents {
		h := b.agent()
		require.NoError(t, b.library.Close(h))
	}
	_, err = b.library.OpenAgent(Options{}, b.queue.handle)
	require.Equal(t, wire.KindLimit, wire.KindOf(err))
	require.True(t, b.library.Shutdown(soon))
	require.Zero(t, b.library.agentsKept.Load(), "closing the queue forgets closing records that nobody read")

	// The library can be used again.
	h, err := b.library.NewQueue(QueueOptions{})
	require.NoError(t, err)
	b.queue, err = b.library.Queue(h)
	require.NoError(t, err)
	b.agent()
}

func TestAFailedOpenLeavesNothing(t *testing.T) {
	b := newBench(t)
	_, err := b.library.OpenAgent(Options{Name: "corrupt"}, b.queue.handle)
	require.Equal(t, wire.KindCorrupt, wire.KindOf(err))
	require.NoError(t, b.library.Close(b.queue.handle))
}

func TestImmediateMethods(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	sub, err := b.library.Subscribe(a, "t", SubscribeOptions{}, 0)
	require.NoError(t, err)
	id := AgentID{7}
	now := func(method uint32, values ...any) any {
		t.Helper()
		b, err := b.library.CallNow(a, method, args(t, values...), 1<<20)
		require.NoError(t, err)
		var v any
		require.NoError(t, msgpack.Unmarshal(b, &v))
		return v
	}
	own := b.core(a).id
	require.Equal(t, []any{own[:], own[:], nil}, now(abi.MIdentity))
	require.Equal(t, []any{true}, now(abi.MIsConnected))
	require.Equal(t, []any{false}, now(abi.MIsAgentConnected, id[:]))
	require.Nil(t, now(abi.MSetTrust, id[:], abi.TrustKnown))
	require.Equal(t, []any{int8(abi.TrustKnown)}, now(abi.MTrust, id[:]))
	require.Len(t, now(abi.MContacts), 1)
	require.Len(t, now(abi.MPeers).([]any)[0], 7)
	require.Equal(t, []any{"127.0.0.1:1"}, now(abi.MLocalAddresses))
	require.Contains(t, now(abi.MStats), "fake.calls")
	require.Nil(t, now(abi.MSetEvents, 3))
	require.Nil(t, now(abi.MAddPeer, id[:], []string{"127.0.0.1:5", "[::1]:6"}))
	require.Empty(t, now(abi.MTopicMesh))
	require.Nil(t, now(abi.MSetTopicPriority, "t", abi.PriorityLow))
	require.Equal(t, []any{[]any{idBytes(9), "t", int8(abi.PriorityLow), int8(1), int8(2), uint16(300), []any{
		[]any{own[:], true, true, int8(0), uint16(5000), uint64(1 << 40), int8(7)},
		[]any{idBytes(8), false, false, nil, int8(0), int8(0), int8(0)},
	}}}, now(abi.MTopicMesh))
	require.Equal(t, []any{own[:]}, now(abi.MNeighbors))
	require.Equal(t, []any{[]any{idBytes(5), idBytes(6), []any{"[::1]:7"}}}, now(abi.MKnownPeers))

	require.Nil(t, now(abi.MAddContact, id[:], abi.TrustTrusted, "g"))
	require.Nil(t, now(abi.MAddMachine, id[:], idBytes(9)))
	require.Nil(t, now(abi.MAddMachine, id[:], idBytes(9), "desk"))
	require.Nil(t, now(abi.MPinMachine, id[:], idBytes(9)))
	require.Nil(t, now(abi.MSetIdentityType, id[:], abi.IdentityPinned))
	row := []any{id[:], int8(abi.TrustTrusted), "g", int8(5), int8(abi.IdentityPinned), int8(0), []any{
		[]any{idBytes(9), "desk", int8(0), int8(0), true}}}
	require.Equal(t, []any{row}, now(abi.MContact, id[:]))
	require.Equal(t, []any{row}, now(abi.MContacts))
	require.Equal(t, []any{}, now(abi.MContact, idBytes(8)))
	require.Equal(t, []any{int8(abi.DecisionAccept)}, now(abi.MEvaluateTrust, id[:], idBytes(9)))
	require.Equal(t, []any{int8(abi.DecisionUnknown)}, now(abi.MEvaluateTrust, id[:]))
	require.Nil(t, now(abi.MUnpinMachine, id[:], idBytes(9)))
	require.Nil(t, now(abi.MRemoveMachine, id[:], idBytes(9)))
	require.Nil(t, now(abi.MSetLabel, id[:], ""))
	require.Equal(t, []any{[]any{id[:], int8(abi.TrustTrusted), "", int8(5), int8(abi.IdentityPinned), int8(0), []any{}}}, now(abi.MContact, id[:]))

	require.Equal(t, []any{[]byte("cp")}, now(abi.MSign, "c", []byte("p")))
	require.Len(t, strings.Fields(now(abi.MIdentityWords, id[:]).([]any)[0].(string)), 4)
	require.Equal(t, []any{nil, nil, int8(0), int8(0)}, now(abi.MCertificate))
	little, err := b.library.CallNow(a, abi.MImportCard, args(t, "link"), 100)
	require.NoError(t, err)
	require.Greater(t, len(little), 100, "an import runs when its result is sure to fit")
	require.Equal(t, []any{idBytes(4), true, int8(abi.TrustKnown), "link", idBytes(5), nil, []any{"[::1]:7"}, []any{[]any{"g", "i"}}, []any{}, int8(1), int8(2)},
		now(abi.MImportCard, "link"))
	_, err = b.library.CallNow(a, abi.MCard, args(t, "Ada", []string{}, [][]string{{"g", "i"}}, nil, 60, true, true), 1<<20)
	require.ErrorContains(t, err, "{DisplayName:Ada Addresses:[] Groups:[{Name:g InviteLink:i}] Stores:[] Lifetime:1m0s IncludeUser:true HumanConsent:true}")
	require.Equal(t, []any{[]any{idBytes(5), idBytes(6), []any{"[2001:db8::1]:7"}, int8(9), int8(abi.SourceDirect), true}}, now(abi.MPresence))
	require.Equal(t, []any{idBytes(5), idBytes(6), []any{}, int8(0), int8(abi.SourceFoaf), false}, now(abi.MPresenceStatus, idBytes(5)))
	require.Nil(t, now(abi.MPresenceStatus, idBytes(6)))
	require.Nil(t, now(abi.MWatchPresence, idBytes(5)))
	require.Nil(t, now(abi.MUnwatchPresence, idBytes(5)))

	// A method that changes something does not run when its result does not fit.
	small, err := b.library.CallNow(a, abi.MRemoveContact, args(t, id[:]), 1)
	require.NoError(t, err)
	require.Greater(t, len(small), 1)
	require.Equal(t, []any{true}, now(abi.MRemoveContact, id[:]))
	require.Equal(t, []any{false}, now(abi.MRemoveContact, id[:]))

	for _, tt := range []struct {
		name   string
		h      uint64
		method uint32
		args   []byte
		want   wire.Kind
	}{
		{"unknown method", a, 55, nil, wire.KindUnsupported},
		{"asynchronous method", a, abi.MJoin, nil, wire.KindInvalidArgument},
		{"of a subscription on an agent", a, abi.MSubscriptionInfo, nil, wire.KindWrongKind},
		{"of an agent on a subscription", sub, abi.MIdentity, nil, wire.KindWrongKind},
		{"no handle", 0, abi.MIdentity, nil, wire.KindBadHandle},
		{"too many arguments", a, abi.MIdentity, args(t, 1), wire.KindInvalidArgument},
		{"too few arguments", a, abi.MTrust, nil, wire.KindInvalidArgument},
		{"no signature", a, abi.MVerify, args(t, id[:], "c", []byte("p"), []byte{1}), wire.KindCorrupt},
		{"no context", a, abi.MVerify, args(t, id[:], "", []byte("p"), []byte("x")), wire.KindInvalidArgument},
		{"a text to sign", a, abi.MSign, args(t, "c", "p"), wire.KindInvalidArgument},
		{"half a group", a, abi.MCard, args(t, "", nil, [][]string{{"g"}}), wire.KindInvalidArgument},
		{"a group that is none", a, abi.MCard, args(t, "", nil, []string{"g"}), wire.KindInvalidArgument},
		{"no address", a, abi.MCard, args(t, "", []string{"here"}), wire.KindInvalidArgument},
		{"consent of 1", a, abi.MCard, args(t, "", nil, nil, nil, 0, 1), wire.KindInvalidArgument},
		{"no machine", a, abi.MPinMachine, args(t, id[:]), wire.KindInvalidArgument},
		{"no such level", a, abi.MAddContact, args(t, id[:], 4), wire.KindInvalidArgument},
		{"no such identity type", a, abi.MSetIdentityType, args(t, id[:], 4), wire.KindInvalidArgument},
		{"a label that is a number", a, abi.MAddContact, args(t, id[:], 1, 5), wire.KindInvalidArgument},
		{"level out of range", a, abi.MSetTrust, args(t, id[:], 4), wire.KindInvalidArgument},
		{"mask out of range", a, abi.MSetEvents, args(t, 4), wire.KindInvalidArgument},
		{"priority out of range", a, abi.MSetTopicPriority, args(t, "t", 3), wire.KindInvalidArgument},
		{"bad address", a, abi.MAddPeer, args(t, id[:], []string{"localhost"}), wire.KindInvalidArgument},
		{"garbage", a, abi.MTrust, []byte{0xdd, 0xff, 0xff, 0xff, 0xff}, wire.KindInvalidArgument},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := b.library.CallNow(tt.h, tt.method, tt.args, 1<<20)
			require.Equal(t, tt.want, wire.KindOf(err))
		})
	}
	if Features&abi.FeatureTestPanic == 0 {
		_, err = b.library.CallNow(a, abi.MTestPanic, nil, 1)
		require.Equal(t, wire.KindUnsupported, wire.KindOf(err))
	}
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(b.library.Call(a, abi.MIdentity, nil, 1, nil)))
}

// Every method of the header is in one of the two switches.
func TestEveryMethodIsThere(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	for method, row := range abi.Methods {
		if method == abi.MTestPanic {
			continue
		}
		var err error
		if row.Async {
			err = b.library.Call(a, method, args(t, "x", "x", "x", "x"), 1, nil)
		} else {
			_, err = b.library.CallNow(a, method, args(t, "x", "x", "x", "x"), 0)
		}
		require.NotEqual(t, wire.KindUnsupported, wire.KindOf(err), row.Name)
		require.Error(t, err, row.Name)
	}
}

func TestEvents(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	core := b.core(a)
	when := time.UnixMilli(1234567890123)
	failure := wire.Errorf(wire.KindTimeout, "dial", "no answer")
	m := Message{Topic: "t", Payload: []byte("p"), Sender: core.id, Time: when, Epoch: 2, Sequence: 3, TrustLevel: 1}
	for _, tt := range []struct {
		event x0x.Event
		kind  uint16
		meta  []any
	}{
		{Event{Type: x0x.Connected, Agent: AgentID{1}, Machine: MachineID{2}, Addr: "1.2.3.4:5", Path: "direct"}, abi.RConnected,
			[]any{idBytes(1), idBytes(2), "1.2.3.4:5", "direct"}},
		{Event{Type: x0x.Disconnected, Agent: AgentID{1}, Machine: MachineID{2}, Err: failure}, abi.RDisconnected,
			[]any{idBytes(1), idBytes(2), int16(abi.ETimeout), "dial: no answer"}},
		{Event{Type: x0x.Disconnected, Agent: AgentID{1}, Machine: MachineID{2}}, abi.RDisconnected,
			[]any{idBytes(1), idBytes(2), int8(0), ""}},
		{Event{Type: x0x.PeerJoined, Agent: AgentID{1}, Machine: MachineID{2}, Addr: "a"}, abi.RPeerJoined,
			[]any{idBytes(1), idBytes(2), "a"}},
		{Event{Type: x0x.MessageEvent, Message: &m}, abi.REventMessage, []any{core.id[:], int8(2), int8(1), "t"}},
		{Event{Type: x0x.SessionReset, Agent: AgentID{1}}, abi.RSessionReset, []any{idBytes(1)}},
		{Event{Type: x0x.ContactChanged, Agent: AgentID{1}}, abi.RContactChanged, []any{idBytes(1)}},
		{Event{Type: x0x.EventType(200)}, 0, nil}, // is no error, and nothing else either
		{Event{Type: x0x.IdentityConflict, Agent: AgentID{1}, Machine: MachineID{2}, Addr: "a"}, abi.RIdentityConflict, []any{idBytes(1), idBytes(2), "a"}},
		{Event{Type: x0x.AgentOnline, Agent: AgentID{1}, Machine: MachineID{2}, Addr: "a"}, abi.RAgentOnline, []any{idBytes(1), idBytes(2), "a"}},
		{Event{Type: x0x.AgentOnline, Agent: AgentID{1}, Machine: MachineID{2}}, abi.RAgentOnline, []any{idBytes(1), idBytes(2), nil}},
		{Event{Type: x0x.AgentOffline, Agent: AgentID{1}, Machine: MachineID{2}}, abi.RAgentOffline, []any{idBytes(1), idBytes(2)}},
		{Event{Type: x0x.ErrorEvent, Err: failure, Agent: AgentID{3}}, abi.RError, []any{int16(abi.ETimeout), "dial: no answer", idBytes(3)}},
		{Event{Type: x0x.ErrorEvent, Err: failure}, abi.RError, []any{int16(abi.ETimeout), "dial: no answer", nil}},
	} {
		tt.event.Time = when
		core.events.push(tt.event, 0, 1)
		if tt.meta == nil {
			continue
		}
		r := b.await("event", func(rec) bool { return true })
		require.Equal(t, tt.kind, r.Kind)
		require.Equal(t, a, r.ID)
		require.Equal(t, tt.meta, r.meta)
		require.EqualValues(t, 1234567890123, r.UnixMs)
	}
}

// No type of event is left out: each has a record of its own.
func TestEveryEventHasARecord(t *testing.T) {
	b := newBench(t)
	core := b.core(b.agent())
	kinds := map[uint16]bool{}
	for typ := x0x.Connected; typ <= x0x.AgentOffline; typ++ {
		core.events.push(Event{Type: typ, Message: &Message{}, Time: time.UnixMilli(1)}, 0, 1)
		kinds[b.await("event", func(rec) bool { return true }).Kind] = true
	}
	require.Len(t, kinds, int(x0x.AgentOffline))
}

func TestPresenceWalk(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	walk := func(token uint64, values ...any) rec {
		t.Helper()
		require.NoError(t, b.library.Call(a, abi.MPresenceFoaf, args(t, values...), token, nil))
		return b.await("walk", func(r rec) bool { return r.ID == token })
	}
	found := func(ms any) []any {
		return []any{[]any{idBytes(8), make([]byte, 32), []any{}, ms, int8(abi.SourceFoaf), true}}
	}
	require.Equal(t, []any{int8(abi.Ok), found(int8(0))}, walk(1).meta) // 0: the default of the façade
	require.Equal(t, []any{int8(abi.Ok), found(uint16(2000))}, walk(2, 5, 2000).meta)
	require.EqualValues(t, int16(abi.EInvalidArgument), walk(3, 6).meta[0])
	err := b.library.Call(a, abi.MPresenceFoaf, args(t, 256), 4, nil)
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err))

	var op uint64
	require.NoError(t, b.library.Call(a, abi.MPresenceFoaf, args(t, nil, abi.NoTimeout), 5, &op))
	require.NoError(t, b.library.CancelOperation(op))
	r := b.await("walk", func(r rec) bool { return r.ID == 5 })
	require.EqualValues(t, int16(abi.ECancelled), r.meta[0])
}

func idBytes(first byte) []byte {
	id := [32]byte{first}
	return id[:]
}

func TestOutcomes(t *testing.T) {
	for o, want := range map[x0x.ConnectOutcome]uint64{
		x0x.Direct: abi.OutcomeDirect, x0x.Coordinated: abi.OutcomeCoordinated, x0x.AlreadyConnected: abi.OutcomeAlreadyConnected,
		x0x.Unreachable: abi.OutcomeUnreachable, x0x.NotFound: abi.OutcomeNotFound,
	} {
		require.Equal(t, want, outcome(o))
	}
	// Those that are passed as they are.
	require.EqualValues(t, abi.TrustTrusted, x0x.TrustTrusted)
	require.EqualValues(t, abi.TrustBlocked, x0x.TrustBlocked)
	require.EqualValues(t, abi.EventsMessage, x0x.EventsMessage)
	require.EqualValues(t, abi.PriorityNormal, x0x.PriorityNormal)
	require.EqualValues(t, abi.PriorityHigh, x0x.PriorityHigh)
	require.EqualValues(t, abi.PriorityLow, x0x.PriorityLow)
	require.EqualValues(t, abi.VisibleNetwork, x0x.VisibleToNetwork)
	require.EqualValues(t, abi.VisibleContacts, x0x.VisibleToContacts)
	require.EqualValues(t, abi.VisibleNobody, x0x.Invisible)
	sources := map[string]int{}
	for e := (x0x.PresenceEntry{}); e.Source <= abi.SourceFoaf; e.Source++ {
		sources[e.Source.String()] = int(e.Source)
	}
	require.Equal(t, map[string]int{"none": 0, "direct": abi.SourceDirect, "foaf": abi.SourceFoaf}, sources)
	for decision, text := range map[int]string{abi.DecisionUnknown: "Unknown", abi.DecisionAccept: "Accept", abi.DecisionAcceptWithFlag: "AcceptWithFlag",
		abi.DecisionRejectBlocked: "RejectBlocked", abi.DecisionRejectMachineMismatch: "RejectMachineMismatch"} {
		require.Equal(t, text, x0x.TrustDecision(decision).String())
	}
	for _, k := range wire.Kinds() {
		require.Equal(t, k.Symbol(), abi.StatusNames[int32(k)])
	}
}

func TestLogs(t *testing.T) {
	b := newBench(t)
	log := b.library.Logger()
	log.Error("nobody listens")
	require.NoError(t, b.library.LogTo(b.queue.handle, abi.LogInfo))
	log.Debug("below the level")
	log.With("a", 1).WithGroup("g").Info("hello\xff", "b", true, "c", 1.5, "d", "text", "e", time.Second, "id", AgentID{})
	r := b.await("log", func(r rec) bool { return r.Kind == abi.RLog })
	require.Equal(t, b.queue.handle, r.ID)
	require.Equal(t, int8(0), r.meta[0])
	require.Equal(t, "hello\uFFFD", r.meta[1])
	require.Equal(t, map[string]any{"a": int8(1), "g.b": true, "g.c": 1.5, "g.d": "text", "g.e": "1s", "g.id": AgentID{}.String()}, r.meta[2])

	for i := range defaultLogLimit + 10 {
		log.Info("many", "i", i)
	}
	got := b.drain()
	require.Len(t, got, defaultLogLimit+1)
	require.EqualValues(t, abi.RLagged, got[0].Kind)
	require.EqualValues(t, 10, toInt(got[0].meta[0]))
	require.EqualValues(t, 2, toInt(got[0].meta[1]))
	require.EqualValues(t, 11, toInt(got[0].meta[2]))

	require.NoError(t, b.library.LogTo(b.queue.handle, abi.LogOff))
	log.Error("nobody listens any more")
	require.Empty(t, b.drain())
}

func TestShutdownInTime(t *testing.T) {
	b := newBench(t)
	a := b.agent()
	require.NoError(t, b.library.Call(a, abi.MConnectAgent, args(t, make([]byte, 32)), 1, nil))
	require.True(t, b.library.Shutdown(soon))
	require.Zero(t, b.library.Live(abi.KindAny))
	_, err := b.library.Queue(b.queue.handle)
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
}

func BenchmarkDrainMessages(b *testing.B) {
	w := newBench(b)
	a := w.agent()
	_, err := w.library.Subscribe(a, "topic", SubscribeOptions{MaxMessages: 1 << 20}, 0)
	require.NoError(b, err)
	var feed *fakeFeed[Message]
	for t := range w.core(a).subs {
		feed = t.feed
	}
	m := Message{Topic: "topic", Payload: make([]byte, 100), Time: time.Now(), Epoch: 1 << 60, Sequence: 1}
	b.ReportAllocs()
	for n := 0; n < b.N; {
		b.StopTimer()
		batch := min(b.N-n, 100_000)
		for range batch {
			feed.push(m, 100, 1)
		}
		b.StartTimer()
		for {
			d, err := w.queue.Drain(w.buf)
			if err != nil {
				b.Fatal(err)
			}
			n += d.Records
			if !d.More {
				break
			}
		}
	}
}

func BenchmarkPublishAndDrain(b *testing.B) {
	w := newBench(b)
	a := w.agent()
	payload := make([]byte, 100)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if err := w.library.Publish(a, []byte("topic"), payload, 0, uint64(n), nil); err != nil {
			b.Fatal(err)
		}
		if n%1000 == 999 {
			for {
				d, err := w.queue.Drain(w.buf)
				if err != nil {
					b.Fatal(err)
				}
				if !d.More {
					break
				}
			}
		}
	}
}
