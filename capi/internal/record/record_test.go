package record

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestLayout(t *testing.T) {
	buf := make([]byte, 64)
	w := NewWriter(buf)
	meta := AppendString(AppendArray(w.Meta(), 1), "ab")
	require.True(t, w.Put(Header{Kind: 0x0201, Flags: 0x0403, ID: 5, Seq: 6, UnixMs: 7}, meta, []byte("xyz")))
	require.Equal(t, "30000000"+"0102"+"0304"+"0500000000000000"+"0600000000000000"+"0700000000000000"+
		"04000000"+"03000000"+"91a26162"+"78797a"+"00", hex.EncodeToString(buf[:48]))
	require.Equal(t, 48, w.Bytes())
	require.Equal(t, 1, w.Records())
	require.Equal(t, 16, w.Room())
}

// A record is written whole or not at all, at every size of the buffer, and the size
// that is asked for is the size that suffices.
func TestEverySizeOfBuffer(t *testing.T) {
	meta := AppendString(AppendArray(nil, 1), "some meta")
	payload := []byte("some payload")
	const want = HeaderSize + 11 + 12 + 1 // padded
	for size := range 2*want + 9 {
		buf := make([]byte, size+8)
		for i := range buf {
			buf[i] = 0xEE
		}
		w := NewWriter(buf[:size])
		for w.Put(Header{Kind: 2}, append(w.Meta(), meta...), payload) {
		}
		require.Equal(t, size/want, w.Records())
		require.Equal(t, w.Records()*want, w.Bytes())
		require.Equal(t, want, w.Need())
		require.Equal(t, "\xee\xee\xee\xee\xee\xee\xee\xee", string(buf[size:]), "written past the end of the buffer")
	}
}

func TestMetaIsWrittenInPlace(t *testing.T) {
	buf := make([]byte, 128)
	w := NewWriter(buf)
	meta := append(w.Meta(), 1, 2, 3)
	require.Same(t, &buf[HeaderSize], unsafe.SliceData(meta))
	allocs := testing.AllocsPerRun(100, func() {
		w := NewWriter(buf)
		w.Put(Header{}, AppendUint(AppendArray(w.Meta(), 1), 7), buf[:10])
	})
	require.Zero(t, allocs)
}

// What is appended reads back with another implementation.
func TestMsgpackAgainstVmihailenco(t *testing.T) {
	lengths := []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536}
	for _, n := range lengths {
		s := strings.Repeat("ü", n)[:n&^1]
		require.NoError(t, wire.CheckMsgpack(AppendString(nil, s), 1<<20))
		var got string
		require.NoError(t, msgpack.Unmarshal(AppendString(nil, s), &got))
		require.Equal(t, s, got)

		var bin []byte
		require.NoError(t, msgpack.Unmarshal(AppendBytes(nil, []byte(s)), &bin))
		require.Equal(t, s, string(bin))

		array := AppendArray(nil, n)
		for i := range n {
			array = AppendUint(array, uint64(i))
		}
		var list []uint64
		require.NoError(t, msgpack.Unmarshal(array, &list))
		require.Len(t, list, n)
	}
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.Int64().Draw(t, "int")
		u := rapid.Uint64().Draw(t, "uint")
		f := rapid.Float64().Draw(t, "float")
		b := AppendMap(nil, 5)
		b = AppendInt(AppendString(b, "i"), i)
		b = AppendUint(AppendString(b, "u"), u)
		b = AppendFloat(AppendString(b, "f"), f)
		b = AppendBool(AppendString(b, "t"), true)
		b = AppendNil(AppendString(b, "n"))
		var got struct {
			I int64   `msgpack:"i"`
			U uint64  `msgpack:"u"`
			F float64 `msgpack:"f"`
			T bool    `msgpack:"t"`
			N *int    `msgpack:"n"`
		}
		require.NoError(t, msgpack.Unmarshal(b, &got))
		require.Equal(t, i, got.I)
		require.Equal(t, u, got.U)
		require.Equal(t, math.Float64bits(f), math.Float64bits(got.F))
		require.True(t, got.T)
		require.Nil(t, got.N)
	})
}

func pack(t testing.TB, values ...any) []byte {
	b, err := msgpack.Marshal(values)
	require.NoError(t, err)
	return b
}

func TestArgs(t *testing.T) {
	id := [32]byte{1, 2, 31: 9}
	args := ParseArgs(pack(t, id[:], uint64(70_000), "text", []string{"a", "b"}, nil, 7))
	require.Equal(t, id, args.ID())
	require.EqualValues(t, 70_000, args.Uint(70_000))
	require.Equal(t, "text", args.String())
	require.Equal(t, []string{"a", "b"}, args.Strings(2))
	require.Zero(t, args.OptionalID())
	require.True(t, args.More())
	require.EqualValues(t, 7, args.OptionalUint(7))
	require.False(t, args.More())
	require.Zero(t, args.OptionalUint(7))
	require.NoError(t, args.Done())
}

func TestLateArgs(t *testing.T) {
	args := ParseArgs(pack(t, []byte("bytes"), []byte{}, [][]string{{"a", "b"}, {"", "c"}}, []string{}, nil, true, "x"))
	require.Equal(t, []byte("bytes"), args.Bytes())
	require.Equal(t, []byte{}, args.Bytes())
	require.Equal(t, [][2]string{{"a", "b"}, {"", "c"}}, args.OptionalPairs(2))
	require.Equal(t, []string{}, args.OptionalStrings(2), "none are another thing than nothing said")
	require.Nil(t, args.OptionalStrings(2))
	require.True(t, args.OptionalBool())
	require.Equal(t, "x", args.OptionalString())
	require.Empty(t, args.OptionalString())
	require.False(t, args.OptionalBool())
	require.Nil(t, args.OptionalPairs(2))
	require.NoError(t, args.Done())
}

func TestArgsErrors(t *testing.T) {
	id := make([]byte, 32)
	tests := []struct {
		name string
		args []byte
		read func(*Args)
		kind wire.Kind
	}{
		{"missing", nil, func(a *Args) { a.ID() }, wire.KindInvalidArgument},
		{"left over", pack(t, 1), func(*Args) {}, wire.KindInvalidArgument},
		{"not an array", []byte{0x81, 0xa1, 'a', 1}, func(*Args) {}, wire.KindInvalidArgument},
		{"cut short", pack(t, id)[:20], func(a *Args) { a.ID() }, wire.KindInvalidArgument},
		{"bytes after", append(pack(t, 1), 1), func(a *Args) { a.Uint(1) }, wire.KindInvalidArgument},
		{"length bomb", []byte{0xdd, 0xff, 0xff, 0xff, 0xff}, func(*Args) {}, wire.KindInvalidArgument},
		{"depth bomb", []byte(strings.Repeat("\x91", 1000)), func(*Args) {}, wire.KindInvalidArgument},
		{"extension", []byte{0x91, 0xc7, 1, 1, 1}, func(*Args) {}, wire.KindInvalidArgument},
		{"short id", pack(t, id[:31]), func(a *Args) { a.ID() }, wire.KindInvalidArgument},
		{"id as text", pack(t, string(id)), func(a *Args) { a.ID() }, wire.KindInvalidArgument},
		{"negative", pack(t, -1), func(a *Args) { a.Uint(10) }, wire.KindInvalidArgument},
		{"over the limit", pack(t, 11), func(a *Args) { a.Uint(10) }, wire.KindInvalidArgument},
		{"too many texts", pack(t, []string{"a", "b"}), func(a *Args) { a.Strings(1) }, wire.KindInvalidArgument},
		{"a number among texts", pack(t, []any{"a", 1}), func(a *Args) { _ = a.Strings(2) }, wire.KindInvalidArgument},
		{"nil for text", pack(t, nil), func(a *Args) { _ = a.String() }, wire.KindInvalidArgument},
		{"text for bytes", pack(t, "a"), func(a *Args) { a.Bytes() }, wire.KindInvalidArgument},
		{"no bytes", nil, func(a *Args) { a.Bytes() }, wire.KindInvalidArgument},
		{"a number for a bool", pack(t, 1), func(a *Args) { a.OptionalBool() }, wire.KindInvalidArgument},
		{"texts for pairs", pack(t, []string{"a"}), func(a *Args) { a.OptionalPairs(2) }, wire.KindInvalidArgument},
		{"three of a pair", pack(t, [][]string{{"a", "b", "c"}}), func(a *Args) { a.OptionalPairs(2) }, wire.KindInvalidArgument},
		{"too many pairs", pack(t, [][]string{{"a", "b"}, {"a", "b"}}), func(a *Args) { a.OptionalPairs(1) }, wire.KindInvalidArgument},
		{"too large", make([]byte, MaxArgs+1), func(*Args) {}, wire.KindTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := ParseArgs(tt.args)
			tt.read(args)
			require.Equal(t, tt.kind, wire.KindOf(args.Done()))
		})
	}
}

// No bytes make reading panic, read out of bounds or allocate more than they are.
func FuzzArgs(f *testing.F) {
	f.Add(pack(f, make([]byte, 32), 5, "text", []string{"a"}), []byte{0, 1, 2, 3})
	f.Add(pack(f, nil, nil), []byte{4, 5})
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff}, []byte{3})
	f.Add(pack(f, []byte("b"), true, [][]string{{"a", "b"}}, []string{"c"}, "d"), []byte{6, 7, 8, 9, 10})
	f.Fuzz(func(t *testing.T, b []byte, order []byte) {
		args := ParseArgs(b)
		n := 0
		for _, o := range order {
			switch o % 11 {
			case 0:
				args.ID()
			case 1:
				args.Uint(math.MaxUint64)
			case 2:
				n += len(args.String())
			case 3:
				for _, s := range args.Strings(1 << 20) {
					n += len(s)
				}
			case 4:
				args.OptionalID()
			case 5:
				args.OptionalUint(math.MaxUint32)
			case 6:
				n += len(args.Bytes())
			case 7:
				args.OptionalBool()
			case 8:
				for _, p := range args.OptionalPairs(1 << 20) {
					n += len(p[0]) + len(p[1])
				}
			case 9:
				for _, s := range args.OptionalStrings(1 << 20) {
					n += len(s)
				}
			case 10:
				n += len(args.OptionalString())
			}
		}
		if n > len(b) {
			t.Fatalf("read %d bytes of text from %d", n, len(b))
		}
		if args.Done() == nil && wire.CheckMsgpack(b, MaxArgs) != nil && len(b) > 0 {
			t.Fatal("accepted what the guard refuses")
		}
	})
}

func BenchmarkPutMessage(b *testing.B) {
	buf := make([]byte, 1<<18)
	payload := make([]byte, 100)
	var id [32]byte
	w := NewWriter(buf)
	for b.Loop() {
		m := AppendArray(w.Meta(), 4)
		m = AppendID(m, id)
		m = AppendUint(m, 1<<60)
		m = AppendUint(m, 1)
		m = AppendString(m, "a topic")
		if !w.Put(Header{Kind: 2, ID: 1, Seq: 2, UnixMs: 3}, m, payload) {
			w = NewWriter(buf)
		}
	}
}
