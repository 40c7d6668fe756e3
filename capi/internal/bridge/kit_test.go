package bridge

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"go.uber.org/goleak"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/record"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon is how long a test waits for what must happen. It is never how long it takes.
const soon = 20 * time.Second

// bench is a library over the fake network, with one queue.
type bench struct {
	t       testing.TB
	net     *fakeNet
	library *Library
	queue   *Queue
	buf     []byte
	held    []rec // drained and not yet asked for
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t, net: newFakeNet(), buf: make([]byte, abi.DrainHint)}
	b.library = New(b.net.open)
	h, err := b.library.NewQueue(QueueOptions{})
	require.NoError(t, err)
	b.queue, err = b.library.Queue(h)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.True(t, b.library.Shutdown(soon), "shutdown does not end")
		require.Zero(t, b.library.Live(abi.KindAny), "handles are left")
		require.Zero(t, b.library.agentsKept.Load())
	})
	return b
}

func (b *bench) agent() uint64 {
	b.t.Helper()
	h, err := b.library.OpenAgent(Options{}, b.queue.handle)
	require.NoError(b.t, err)
	return h
}

func (b *bench) core(h uint64) *fakeAgent {
	id, err := b.library.ID(h)
	require.NoError(b.t, err)
	return b.net.get(id)
}

// rec is a record, read as a program would.
type rec struct {
	record.Header
	meta    []any
	payload string
}

func (r rec) status() int32 { return int32(toInt(r.meta[0])) }

func toInt(v any) int64 {
	switch v := v.(type) {
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case int64:
		return v
	case uint8:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	case uint64:
		return int64(v)
	}
	return -1 << 60
}

func parseRecords(t testing.TB, b []byte) (list []rec) {
	t.Helper()
	for len(b) > 0 {
		size := binary.LittleEndian.Uint32(b)
		require.Zero(t, size%8)
		require.LessOrEqual(t, int(size), len(b))
		r := rec{Header: record.Header{
			Kind: binary.LittleEndian.Uint16(b[4:]), Flags: binary.LittleEndian.Uint16(b[6:]),
			ID: binary.LittleEndian.Uint64(b[8:]), Seq: binary.LittleEndian.Uint64(b[16:]), UnixMs: binary.LittleEndian.Uint64(b[24:]),
		}}
		meta := b[record.HeaderSize:][:binary.LittleEndian.Uint32(b[32:])]
		require.NoError(t, wire.CheckMsgpack(meta, 1<<20))
		require.NoError(t, msgpack.Unmarshal(meta, &r.meta))
		r.payload = string(b[record.HeaderSize+len(meta):][:binary.LittleEndian.Uint32(b[36:])])
		list = append(list, r)
		b = b[size:]
	}
	return list
}

// drain returns all records that wait.
func (b *bench) drain() (list []rec) {
	b.t.Helper()
	for {
		d, err := b.queue.Drain(b.buf)
		require.NoError(b.t, err)
		list = append(list, parseRecords(b.t, b.buf[:d.Bytes])...)
		if !d.More {
			return list
		}
	}
}

// await drains until match has accepted a record, and returns that one. Records before
// it are kept for later calls, in their order.
func (b *bench) await(what string, match func(rec) bool) rec {
	b.t.Helper()
	deadline := time.Now().Add(soon)
	for {
		for i, r := range b.held {
			if match(r) {
				b.held = append(b.held[:i:i], b.held[i+1:]...)
				return r
			}
		}
		ready, err := b.queue.Wait(time.Until(deadline))
		require.NoError(b.t, err)
		require.True(b.t, ready, "no %s came", what)
		b.held = append(b.held, b.drain()...)
	}
}

func (b *bench) completion(token uint64) rec {
	b.t.Helper()
	return b.await("completion", func(r rec) bool { return r.Kind == abi.RCompletion && r.ID == token })
}

func (b *bench) closed(h uint64) rec {
	b.t.Helper()
	return b.await("closing record", func(r rec) bool { return r.Kind == abi.RClosed && r.ID == h })
}
