package bindings

import (
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// The descriptor of a queue becomes readable when records wait, and is not when they are
// drained. This queue has no goroutine, so that nothing but the test drains it.
func TestQueueDescriptor(t *testing.T) {
	lib := library(t)
	q := &Queue{lib: lib, ops: map[uint64]*Operation{}, boxes: map[uint64]*box{}}
	require.Equal(t, int32(Ok), lib.QueueNew(nil, &q.handle, nil))
	var fd int32
	require.Equal(t, int32(Ok), lib.QueueFd(q.handle, &fd))
	epoll, err := syscall.EpollCreate1(0)
	require.NoError(t, err)
	defer syscall.Close(epoll)
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: fd}
	require.NoError(t, syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, int(fd), &event))
	readable := func(ms int) bool {
		var events [1]syscall.EpollEvent
		for {
			n, err := syscall.EpollWait(epoll, events[:], ms)
			if err != syscall.EINTR {
				require.NoError(t, err)
				return n == 1
			}
		}
	}
	buf := aligned(DrainHint)
	drain := func() {
		for {
			var n uintptr
			var records uint32
			st := lib.QueueDrain(q.handle, unsafe.Pointer(&buf[0]), uintptr(len(buf)), &n, &records)
			require.GreaterOrEqual(t, st, int32(Ok))
			require.NoError(t, q.dispatch(buf[:n], int(records)))
			if st == Ok {
				return
			}
		}
	}

	require.False(t, readable(0), "nothing has happened yet")
	require.Equal(t, int32(SAgain), lib.QueueWait(q.handle, 0))
	a, err := q.Open(network(t))
	require.NoError(t, err)
	op, err := a.StartPublish("t", []byte("x"), 0)
	require.NoError(t, err)
	require.True(t, readable(10_000), "a completion waits")
	drain()
	select {
	case <-op.Done():
	default:
		t.Fatal("the record was not the completion")
	}
	require.False(t, readable(0), "the drain took everything")

	require.Equal(t, int32(Ok), lib.CloseWait(a.Handle(), 10_000))
	require.True(t, readable(10_000), "the closing record waits")
	drain()
	require.NoError(t, a.events.wait(testContext(t)))
	require.Equal(t, int32(Ok), lib.HandleClose(q.handle))
	require.Zero(t, lib.LiveHandles(KindAny))
}
