package wire_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// unhex reads bytes as the msgpack specification writes them.
func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

// nested is n arrays inside each other around a nil.
func nested(n int) []byte { return append(bytes.Repeat([]byte{0x91}, n), 0xc0) }

func TestCheckMsgpackAccepts(t *testing.T) {
	tests := []struct{ name, in string }{
		{"nil", "c0"}, {"false", "c2"}, {"true", "c3"},
		{"fixint", "7f"}, {"negative fixint", "e0"},
		{"uint8", "cc ff"}, {"uint16", "cd ffff"}, {"uint32", "ce ffffffff"}, {"uint64", "cf ffffffffffffffff"},
		{"int8", "d0 80"}, {"int16", "d1 8000"}, {"int32", "d2 80000000"}, {"int64", "d3 8000000000000000"},
		{"wide small number", "cf 0000000000000001"},
		{"float32", "ca 7fc00000"}, {"float64", "cb 7ff0000000000000"},
		{"fixstr", "a3 616263"}, {"str8", "d9 01 61"}, {"str16", "da 0001 61"}, {"str32", "db 00000001 61"},
		{"empty str", "a0"}, {"UTF-8", "a4 f09f98 80"},
		{"bin8", "c4 02 ffff"}, {"bin16", "c5 0001 ff"}, {"bin32", "c6 00000001 ff"}, {"empty bin", "c4 00"},
		{"fixarray", "92 01 02"}, {"array16", "dc 0001 c0"}, {"array32", "dd 00000001 c0"}, {"empty array", "90"},
		{"fixmap", "82 a161 01 a162 02"}, {"map16", "de 0001 a161 c0"}, {"map32", "df 00000001 a161 c0"}, {"empty map", "80"},
		{"key of str8", "81 d9 01 61 c0"}, {"same key twice", "82 a161 01 a161 02"},
		{"empty in a row", "93 90 80 90"}, {"map in array in map", "81 a161 91 81 a162 90"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := unhex(t, tt.in)
			require.NoError(t, wire.CheckMsgpack(in, len(in)))
			requireDecodes(t, in)
			for cut := range in {
				require.Equal(t, wire.KindCorrupt, wire.KindOf(wire.CheckMsgpack(in[:cut], 100)), "cut at %d", cut)
			}
			require.ErrorContains(t, wire.CheckMsgpack(append(in, 0xc0), 100), "after the end")
			require.Equal(t, wire.KindTooLarge, wire.KindOf(wire.CheckMsgpack(in, len(in)-1)))
		})
	}
}

func TestCheckMsgpackRefuses(t *testing.T) {
	deepMap := bytes.Repeat([]byte{0x81, 0xa1, 'k'}, wire.MaxMsgpackDepth+1)
	deepMap = append(deepMap, 0xc0)
	tests := []struct {
		name string
		in   []byte
		want string
	}{
		{"nothing", nil, "cut short"},
		{"array length bomb", unhex(t, "dd ffffffff"), "more elements than bytes at byte 5"},
		{"array length bomb, 16 bits", unhex(t, "dc ffff"), "more elements"},
		{"map length bomb", unhex(t, "df ffffffff"), "more elements"},
		{"map of half as many bytes", unhex(t, "82 a161 c0"), "more elements"},
		{"str length bomb", unhex(t, "db ffffffff"), "cut short"},
		{"bin length bomb", unhex(t, "c6 ffffffff"), "cut short"},
		{"bombs inside each other", bytes.Repeat(unhex(t, "dd 000000ff"), 60), "more elements"},
		{"depth bomb", nested(wire.MaxMsgpackDepth + 1), "nested too deeply"},
		{"depth bomb of empty arrays", append(bytes.Repeat([]byte{0x91}, wire.MaxMsgpackDepth), 0x90), "nested too deeply"},
		{"depth bomb of maps", deepMap, "nested too deeply"},
		{"depth bomb, long", bytes.Repeat([]byte{0x91}, 1_000_000), "nested too deeply"},
		{"never used type", unhex(t, "c1"), "never used"},
		{"never used type inside", unhex(t, "92 01 c1"), "never used"},
		{"fixext1", unhex(t, "d4 01 00"), "extension"},
		{"fixext16", unhex(t, "d8 01 00000000 00000000 00000000 00000000"), "extension"},
		{"ext8", unhex(t, "c7 01 05 00"), "extension"},
		{"ext32 bomb", unhex(t, "c9 ffffffff 05"), "extension"},
		{"timestamp", unhex(t, "d6 ff 00000000"), "extension"},
		{"text that is not UTF-8", unhex(t, "a1 ff"), "UTF-8"},
		{"surrogate", unhex(t, "a3 eda080"), "UTF-8"},
		{"key that is not UTF-8", unhex(t, "81 a1 ff c0"), "UTF-8"},
		{"number as key", unhex(t, "81 01 c0"), "key"},
		{"bin as key", unhex(t, "81 c4 01 61 c0"), "key"},
		{"array as key", unhex(t, "81 90 c0"), "key"},
		{"nil as key", unhex(t, "81 c0 c0"), "key"},
		{"second key is a number", unhex(t, "82 a161 c0 01 c0"), "key"},
		{"two values", unhex(t, "c0 c0"), "after the end"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			used := allocated(func() {
				err := wire.CheckMsgpack(tt.in, 1<<20)
				require.Equal(t, wire.KindCorrupt, wire.KindOf(err))
				require.ErrorContains(t, err, tt.want)
			})
			require.Less(t, used, uint64(200_000))
		})
	}
}

func TestCheckMsgpackDepth(t *testing.T) {
	in := nested(wire.MaxMsgpackDepth)
	require.NoError(t, wire.CheckMsgpack(in, len(in)))
	requireDecodes(t, in)
	// Depth is how many are open, not how many there are.
	row := append([]byte{0xdc, 0x01, 0x00}, bytes.Repeat([]byte{0x91, 0xc0}, 256)...)
	require.NoError(t, wire.CheckMsgpack(row, len(row)))
	requireDecodes(t, row)
}

func TestCheckMsgpackDoesNotAllocate(t *testing.T) {
	in, err := msgpack.Marshal(map[string]any{"a": []int{1, 2, 3}, "b": "text", "c": []byte("bytes"), "d": 1.5})
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if err := wire.CheckMsgpack(in, 1000); err != nil {
			t.Fatal(err)
		}
	}))
}

// What vmihailenco/msgpack writes for ordinary values passes.
func TestCheckMsgpackAcceptsWhatTheEncoderWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, err := msgpack.Marshal(values(4).Draw(t, "value"))
		require.NoError(t, err)
		require.NoError(t, wire.CheckMsgpack(in, len(in)))
		requireDecodes(t, in)
	})
}

func values(depth int) *rapid.Generator[any] {
	scalars := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Int64().AsAny(), rapid.Uint64().AsAny(),
		rapid.Float64().AsAny(), rapid.Float32().AsAny(), rapid.String().AsAny(),
		rapid.SliceOf(rapid.Byte()).AsAny(), rapid.StringN(300, 400, -1).AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(scalars...)
	}
	inner := values(depth - 1)
	return rapid.OneOf(append(scalars,
		rapid.SliceOfN(inner, 0, 20).AsAny(),
		rapid.MapOfN(rapid.String(), inner, 0, 20).AsAny())...)
}

// decodeFactor bounds what decoding into interface values may allocate per byte
// of input: an empty map of one byte is the worst.
const decodeFactor = 100

// requireDecodes decodes in as a room would that knows nothing of its shape.
func requireDecodes(t require.TestingT, in []byte) {
	before := heapAllocs()
	var v any
	require.NoError(t, msgpack.Unmarshal(in, &v))
	// The runtime counts what small objects take only now and then, so there is
	// slack; a bomb takes gigabytes.
	require.Less(t, heapAllocs()-before, uint64(len(in)*decodeFactor+4<<20))
}

func heapAllocs() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// The proof that the guard is needed: if this fails, the decoder has changed and
// the guard's reasons should be looked at again. The bomb is a small one here.
func TestDecoderAllocatesFromDeclaredLengths(t *testing.T) {
	bomb := unhex(t, "dd 00200000") // an array of 2^21 elements, none of them there
	require.Error(t, wire.CheckMsgpack(bomb, len(bomb)))
	used := allocated(func() {
		var v any
		require.Error(t, msgpack.Unmarshal(bomb, &v))
	})
	require.Greater(t, used, uint64(16<<20))
}

// Decoding costs at most a constant for each byte that arrived, for the inputs
// that cost most.
func TestAcceptedInputDecodesAtLinearCost(t *testing.T) {
	const n = 1 << 20
	head := func(code byte, count uint32) []byte {
		return []byte{code, byte(count >> 24), byte(count >> 16), byte(count >> 8), byte(count)}
	}
	uniqueKeys := head(0xdf, n/8)
	for i := range n / 8 {
		uniqueKeys = append(uniqueKeys, 0xa6)
		uniqueKeys = fmt.Appendf(uniqueKeys, "%06x", i)
		uniqueKeys = append(uniqueKeys, 0xc0)
	}
	inputs := map[string][]byte{
		"nils":        append(head(0xdd, n), bytes.Repeat([]byte{0xc0}, n)...),
		"empty maps":  append(head(0xdd, n), bytes.Repeat([]byte{0x80}, n)...),
		"empty lists": append(head(0xdd, n), bytes.Repeat([]byte{0x90}, n)...),
		"keys":        uniqueKeys,
		"lists":       append(head(0xdd, n/16), bytes.Repeat(nested(15), n/16)...),
	}
	for name, in := range inputs {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, wire.CheckMsgpack(in, 1<<24))
			used := allocated(func() {
				var v any
				require.NoError(t, msgpack.Unmarshal(in, &v))
			})
			t.Logf("%d bytes cost %.1f bytes each", len(in), float64(used)/float64(len(in)))
			require.Less(t, used, uint64(len(in)*decodeFactor))
		})
	}
}

// FuzzCheckMsgpack: whatever passes decodes without an error and without a large
// allocation.
func FuzzCheckMsgpack(f *testing.F) {
	for _, seed := range []string{
		"", "c0", "dd ffffffff", "df ffffffff", "db ffffffff", "c6 ffffffff", "c9 ffffffff 05",
		"d6 ff 00000000", "a1 ff", "c0 c0", "81 01 c0", "81 90 c0", "dc 0002 c0",
		"93 01 a3 616263 c4 02 ffff", "82 a161 01 a162 92 cb 3ff8000000000000 c3",
		"91 91 91 91 91 91 91 91 91 91 91 91 91 91 91 91 c0",
		"91 91 91 91 91 91 91 91 91 91 91 91 91 91 91 91 91 c0",
		"de 0001 a161 df 00000001 a162 cf ffffffffffffffff",
	} {
		f.Add(unhex(f, seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		err := wire.CheckMsgpack(in, 1<<16)
		if err != nil {
			require.Contains(t, []wire.Kind{wire.KindCorrupt, wire.KindTooLarge}, wire.KindOf(err))
			return
		}
		requireDecodes(t, in)
	})
}

func BenchmarkCheckMsgpack(b *testing.B) {
	type args struct {
		_msgpack struct{} `msgpack:",as_array"`
		ID       []byte
		Topic    string
		At       int64
		Options  []any
	}
	in, err := msgpack.Marshal(args{ID: make([]byte, 32), Topic: "a/topic", At: time.Unix(1, 0).UnixMilli(), Options: []any{true, 1.5, int64(math.MaxInt64)}})
	require.NoError(b, err)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if err := wire.CheckMsgpack(in, 1<<10); err != nil {
			b.Fatal(err)
		}
	}
}
