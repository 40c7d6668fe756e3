package bindings

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// newQueue makes a queue that must be empty of handles and surprises when the test ends.
func newQueue(t *testing.T) *Queue {
	lib := library(t)
	q, err := lib.NewQueue()
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Zero(t, q.Strays())
		require.NoError(t, q.Close())
		require.Zero(t, lib.LiveHandles(KindAny))
	})
	return q
}

// openAgent opens an agent that is closed when the test ends. Agents of one test see each
// other; joining is up to the test.
func openAgent(t *testing.T, q *Queue, o Options) *Agent {
	a, err := q.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close(testContext(t))) })
	return a
}

func network(t *testing.T) Options {
	dir, err := os.MkdirTemp(t.TempDir(), "")
	require.NoError(t, err)
	return Options{RuntimeDir: dir, NetworkID: dir}
}

// Every misuse of a handle is a status, and nobody else's object.
func TestMisuseIsAStatus(t *testing.T) {
	q := newQueue(t)
	a := openAgent(t, q, network(t))
	lib := q.lib
	var n uintptr
	var records uint32
	var handle uint64
	buf := aligned(64)
	id := ID{1}
	none := uint64(1) << 52
	for _, c := range []struct {
		name string
		got  int32
		want int32
	}{
		{"a queue as an agent", lib.AgentId(q.Handle(), unsafe.Pointer(&id)), EWrongKind},
		{"an agent as a queue", lib.QueueWait(a.Handle(), 0), EWrongKind},
		{"no handle", lib.AgentId(0, unsafe.Pointer(&id)), EBadHandle},
		{"an invented one", lib.CloseWait(none, 0), EBadHandle},
		{"credit for an agent", lib.CreditAdd(a.Handle(), 1), EWrongKind},
		{"a queue in use", lib.HandleClose(q.Handle()), EBusy},
		{"a misaligned buffer", lib.QueueDrain(q.Handle(), unsafe.Pointer(&buf[1]), 48, &n, &records), EInvalidArgument},
		{"no place for the result", lib.AgentId(a.Handle(), nil), EInvalidArgument},
		{"an unknown method", lib.Call(a.Handle(), 4242, nil, 0, 1, nil, nil), EUnsupported},
		{"an immediate method", lib.Call(a.Handle(), MPeers, nil, 0, 1, nil, nil), EInvalidArgument},
		{"an asynchronous method", lib.CallNow(a.Handle(), MJoin, nil, 0, unsafe.Pointer(&buf[0]), 64, &n, nil), EInvalidArgument},
		{"arguments that are no MessagePack", lib.CallNow(a.Handle(), MTrust, unsafe.Pointer(&[]byte{0xc1}[0]), 1, unsafe.Pointer(&buf[0]), 64, &n, nil), EInvalidArgument},
		{"a length without a pointer", lib.Subscribe(a.Handle(), nil, 5, nil, &handle, nil), EInvalidArgument},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, Kind(c.want), Kind(c.got)) })
	}
}

// A struct of a later header is served if what this library does not know in it is zero.
func TestOptionStructsMayGrow(t *testing.T) {
	q := newQueue(t)
	type longer struct {
		CSubOptions
		Tail [4]uint64
	}
	a := openAgent(t, q, network(t))
	for _, c := range []struct {
		name string
		tail uint64
		want int32
	}{{"an unknown zero", 0, Ok}, {"an unknown wish", 1, EUnsupported}} {
		t.Run(c.name, func(t *testing.T) {
			o := &longer{}
			o.Size = uint32(unsafe.Sizeof(*o))
			o.Tail[3] = c.tail
			var box = newBox(0)
			err := q.open("subscribe", box, func(handle *uint64, e *CErr) int32 {
				return q.lib.Subscribe(a.Handle(), nil, 0, &o.CSubOptions, handle, e)
			})
			require.Equal(t, c.want, StatusOf(err), "%v", err)
			if err == nil {
				require.NoError(t, (&Subscription{q, box}).Close())
				require.NoError(t, box.wait(testContext(t)))
			}
		})
	}
}

// A wait whose context ends cancels its operation, and nothing of it comes later.
func TestContextCancelsAnOperation(t *testing.T) {
	q := newQueue(t)
	o := network(t)
	a, b := openAgent(t, q, o), openAgent(t, q, o)
	ctx := testContext(t)
	require.NoError(t, a.JoinNetwork(ctx))
	require.NoError(t, b.JoinNetwork(ctx))
	bID, _, err := b.Identity()
	require.NoError(t, err)
	aID, _, err := a.Identity()
	require.NoError(t, err)
	_, err = a.SendDirect(ctx, bID, []byte("first"), SendOptions{})
	require.NoError(t, err)
	require.NoError(t, b.SetTrust(aID, TrustBlocked)) // from now on nothing is acknowledged

	short, cancel := context.WithCancel(ctx)
	op, err := a.StartSend(bID, []byte("into the silence"), SendOptions{Timeout: time.Minute})
	require.NoError(t, err)
	cancel()
	_, err = op.Receipt(short)
	require.Equal(t, int32(ECancelled), StatusOf(err), "%v", err)
	require.Equal(t, int32(EClosed), StatusOf(op.Cancel()), "it has completed")

	short, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err = a.SendDirect(short, bID, []byte("once more"), SendOptions{Timeout: time.Minute})
	require.Equal(t, int32(ETimeout), StatusOf(err), "%v", err)
	require.Zero(t, q.lib.LiveHandles(KindOperation))
}

// Closing completes what is pending: nobody waits for ever.
func TestCloseCompletesEverything(t *testing.T) {
	q := newQueue(t)
	a := openAgent(t, q, network(t))
	ctx := testContext(t)
	require.NoError(t, a.JoinNetwork(ctx))
	s, err := a.Subscribe("quiet", SubscribeOptions{})
	require.NoError(t, err)
	var all sync.WaitGroup
	results := make(chan error, 3)
	all.Go(func() { _, err := s.Recv(ctx); results <- err })
	all.Go(func() { _, err := a.RecvDirect(ctx); results <- err })
	all.Go(func() {
		for {
			if _, err := a.NextEvent(ctx); err != nil {
				results <- err
				return
			}
		}
	})
	require.NoError(t, a.Close(ctx))
	all.Wait()
	close(results)
	for err := range results {
		require.Equal(t, int32(EClosed), StatusOf(err), "%v", err)
	}
	require.NoError(t, a.Close(ctx), "twice is harmless")
	require.Equal(t, int32(EClosed), StatusOf(a.Publish(ctx, "quiet", nil)))
}

// Several goroutines share a subscription: each message goes to one, and none is read ahead.
func TestReadersShareASubscription(t *testing.T) {
	q := newQueue(t)
	a := openAgent(t, q, network(t))
	ctx := testContext(t)
	s, err := a.Subscribe("work", SubscribeOptions{})
	require.NoError(t, err)
	const readers, each = 4, 50
	got := make(chan uint64, readers*each)
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			for range each {
				m, err := s.Recv(ctx)
				if err != nil {
					t.Errorf("receive: %v", err)
					return
				}
				got <- m.Sequence
			}
		})
	}
	for range readers * each {
		require.NoError(t, a.Publish(ctx, "work", []byte("x")))
	}
	all.Wait()
	close(got)
	seen := map[uint64]bool{}
	for n := range got {
		require.False(t, seen[n], "message %d came twice", n)
		seen[n] = true
	}
	require.Len(t, seen, readers*each)

	require.NoError(t, a.Publish(ctx, "work", []byte("kept")))
	m, err := s.Recv(ctx)
	require.NoError(t, err)
	require.Equal(t, "kept", string(m.Payload))
}

// The error that the library writes beside a status says which argument is meant.
func TestErrorsSayWhat(t *testing.T) {
	q := newQueue(t)
	_, err := q.Open(Options{Name: "../evil"})
	require.ErrorIs(t, err, &Error{Status: EInvalidArgument})
	require.Contains(t, err.Error(), "name")
	_, err = q.Open(Options{Name: "a\x00b"})
	require.ErrorIs(t, err, &Error{Status: EInvalidArgument})
	a := openAgent(t, q, network(t))
	err = a.Publish(testContext(t), "t", make([]byte, MaxTopicPayload+1))
	require.ErrorIs(t, err, &Error{Status: ETooLarge})
	_, err = a.SendDirect(testContext(t), ID{1}, nil, SendOptions{})
	var e *Error
	require.ErrorAs(t, err, &e)
	require.NotEmpty(t, e.Message)
	require.NotZero(t, e.Flags&ErrfNotDelivered, "%v with flags %x", e, e.Flags)
}
