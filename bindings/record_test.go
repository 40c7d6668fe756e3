package bindings

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// message is a record as the library writes it.
func message(t testing.TB) []byte {
	meta, err := pack(ID{1}, uint64(7), uint8(TrustKnown), "topic")
	require.NoError(t, err)
	const payload = "hello"
	size := (recordHeader + len(meta) + len(payload) + 7) / 8 * 8
	b := make([]byte, size)
	le := binary.LittleEndian
	le.PutUint32(b, uint32(size))
	le.PutUint16(b[4:], RMessage)
	le.PutUint64(b[8:], 5)
	le.PutUint64(b[16:], 3)
	le.PutUint64(b[24:], 1000)
	le.PutUint32(b[32:], uint32(len(meta)))
	le.PutUint32(b[36:], uint32(len(payload)))
	copy(b[recordHeader:], meta)
	copy(b[recordHeader+len(meta):], payload)
	return b
}

func TestParseRecord(t *testing.T) {
	b := message(t)
	r, rest, err := parseRecord(append(b, 1, 2))
	require.NoError(t, err)
	require.Equal(t, []byte{1, 2}, rest)
	m, err := r.message()
	require.NoError(t, err)
	require.Equal(t, Message{Topic: "topic", Payload: []byte("hello"), Sender: ID{1}, Time: unixMilli(1000),
		Epoch: 7, Sequence: 3, TrustLevel: TrustKnown}, m)
	for n := range b {
		_, _, err := parseRecord(b[:n])
		require.Error(t, err, "%d of %d bytes", n, len(b))
	}
}

// A result is read by its shape; elements that a later version appends are passed over, and
// what is too short, of another type or longer than its input is an error.
func TestUnpack(t *testing.T) {
	two := func(b []byte) error {
		u := unpack(b)
		u.skip(u.fields(2))
		return u.err
	}
	longer, err := pack("a", true, uint64(3))
	require.NoError(t, err)
	u := unpack(longer)
	more := u.fields(2)
	require.Equal(t, "a", u.str())
	require.True(t, u.bool())
	u.skip(more)
	require.NoError(t, u.err)
	require.Zero(t, u.r.Len())

	short, err := pack("a")
	require.NoError(t, err)
	require.Error(t, two(short))
	require.Error(t, two(nil))
	require.Error(t, two([]byte{0xdd, 0xff, 0xff, 0xff, 0xff}), "an array of 2^32-1 elements")
	u = unpack([]byte{0x91, 0xc6, 0xff, 0xff, 0xff, 0xff})
	u.fields(1)
	require.Zero(t, len(u.str()))
	require.Error(t, u.err, "a string of 4 GiB")
	u = unpack(longer)
	u.fields(3)
	require.Zero(t, u.id())
	require.Error(t, u.err, "an id of one byte")
}

// What is packed is what every other reader of the project accepts.
func FuzzPack(f *testing.F) {
	f.Add([]byte{1}, "topic", uint64(1), true)
	f.Add([]byte(nil), "", uint64(1<<63), false)
	f.Fuzz(func(t *testing.T, id []byte, text string, n uint64, yes bool) {
		var x ID
		copy(x[:], id)
		b, err := pack(x, n, yes, []string{"a", "b"})
		require.NoError(t, err)
		require.NoError(t, wire.CheckMsgpack(b, len(b)))
		var back []any
		require.NoError(t, msgpack.Unmarshal(b, &back))
		require.Equal(t, x[:], back[0])
		u := unpack(b)
		u.fields(4)
		require.Equal(t, x, u.id())
		require.Equal(t, n, u.uint())
		require.Equal(t, yes, u.bool())
		require.NoError(t, u.err)
	})
}

// Whatever a record holds, reading it ends with a value or an error, and takes no more memory
// than the record is long.
func FuzzRecord(f *testing.F) {
	f.Add(message(f))
	for kind := uint16(RCompletion); kind <= RFatal; kind++ {
		b := message(f)
		binary.LittleEndian.PutUint16(b[4:], kind)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, rest, err := parseRecord(b)
		if err != nil {
			return
		}
		require.Less(t, len(rest), len(b))
		r.event()
		r.direct()
		if m, err := r.message(); err == nil {
			require.LessOrEqual(t, len(m.Topic)+len(m.Payload), len(b))
		}
		o := &Operation{done: make(chan struct{})}
		o.complete(r)
		<-o.done
	})
}
