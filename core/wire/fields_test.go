package wire_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestBuilderBytes(t *testing.T) {
	got := wire.NewBuilder([]byte{0xee}).
		U8(1).U16(0x0203).U32(0x04050607).U64(0x08090a0b0c0d0e0f).
		Uvarint(300).Bytes([]byte("ab")).String("é").Fixed([]byte{0xf0, 0xf1}).Build()
	require.Equal(t, []byte{0xee,
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
		0xac, 0x02, 2, 'a', 'b', 2, 0xc3, 0xa9, 0xf0, 0xf1}, got)
	var zero wire.Builder
	require.Equal(t, []byte{7}, zero.U8(7).Build())
	require.Equal(t, 1, zero.Len())
}

// field is one step of a record, in both directions.
type field struct {
	write func(*wire.Builder)
	check func(*rapid.T, *wire.Parser)
}

func fields() *rapid.Generator[field] {
	return rapid.Custom(func(t *rapid.T) field {
		v := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 300), rapid.Just(uint64(math.MaxUint64))).Draw(t, "v")
		b := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "b")
		s := rapid.String().Draw(t, "s")
		all := []field{
			{func(w *wire.Builder) { w.U8(uint8(v)) }, func(t *rapid.T, p *wire.Parser) { require.Equal(t, uint8(v), p.U8()) }},
			{func(w *wire.Builder) { w.U16(uint16(v)) }, func(t *rapid.T, p *wire.Parser) { require.Equal(t, uint16(v), p.U16()) }},
			{func(w *wire.Builder) { w.U32(uint32(v)) }, func(t *rapid.T, p *wire.Parser) { require.Equal(t, uint32(v), p.U32()) }},
			{func(w *wire.Builder) { w.U64(v) }, func(t *rapid.T, p *wire.Parser) { require.Equal(t, v, p.U64()) }},
			{func(w *wire.Builder) { w.Uvarint(v) }, func(t *rapid.T, p *wire.Parser) { require.Equal(t, v, p.Uvarint()) }},
			{func(w *wire.Builder) { w.Bytes(b) }, func(t *rapid.T, p *wire.Parser) { require.True(t, bytes.Equal(b, p.Bytes(len(b)))) }},
			{func(w *wire.Builder) { w.String(s) }, func(t *rapid.T, p *wire.Parser) { require.Equal(t, s, p.String(len(s))) }},
			{func(w *wire.Builder) { w.Fixed(b) }, func(t *rapid.T, p *wire.Parser) { require.True(t, bytes.Equal(b, p.Fixed(len(b)))) }},
			{func(w *wire.Builder) { w.Fixed(b) }, func(t *rapid.T, p *wire.Parser) {
				dst := make([]byte, len(b))
				p.Into(dst)
				require.True(t, bytes.Equal(b, dst))
			}},
		}
		return rapid.SampledFrom(all).Draw(t, "field")
	})
}

func TestFieldsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		record := rapid.SliceOfN(fields(), 0, 10).Draw(t, "record")
		var w wire.Builder
		for _, f := range record {
			f.write(&w)
		}
		p := wire.NewParser("record", w.Build())
		for _, f := range record {
			f.check(t, p)
			require.NoError(t, p.Err())
		}
		require.NoError(t, p.Done())
	})
}

// parseSample reads one record with every kind of field.
func parseSample(b []byte) ([]byte, error) {
	p := wire.NewParser("sample", b)
	var id [4]byte
	v8, v16, v32, v64, uv := p.U8(), p.U16(), p.U32(), p.U64(), p.Uvarint()
	body, name := p.Bytes(1000), p.String(64)
	fixed := p.Fixed(3)
	p.Into(id[:])
	if err := p.Done(); err != nil {
		return nil, err
	}
	return wire.NewBuilder(nil).U8(v8).U16(v16).U32(v32).U64(v64).Uvarint(uv).
		Bytes(body).String(name).Fixed(fixed).Fixed(id[:]).Build(), nil
}

func sample() []byte {
	return wire.NewBuilder(nil).U8(1).U16(2).U32(3).U64(4).Uvarint(1 << 40).
		Bytes(make([]byte, 200)).String("name").Fixed([]byte("abc")).Fixed([]byte("dcba")).Build()
}

func TestEveryTruncationOfARecordFails(t *testing.T) {
	whole := sample()
	got, err := parseSample(whole)
	require.NoError(t, err)
	require.Equal(t, whole, got)
	for cut := range whole {
		_, err := parseSample(whole[:cut])
		require.Equal(t, wire.KindCorrupt, wire.KindOf(err), "cut at %d", cut)
	}
	_, err = parseSample(append(whole, 0))
	require.ErrorContains(t, err, "sample: 1 bytes after the end")
}

func TestParserErrorsStick(t *testing.T) {
	p := wire.NewParser("op", []byte{1, 2, 3})
	require.Zero(t, p.U32())
	first := p.Err()
	require.Equal(t, wire.KindCorrupt, wire.KindOf(first))
	require.Zero(t, p.U8(), "what was left is not read in another way")
	require.Nil(t, p.Fixed(1))
	require.Nil(t, p.Bytes(10))
	require.Empty(t, p.String(10))
	require.Zero(t, p.Uvarint())
	require.Nil(t, p.Rest())
	require.Zero(t, p.Len())
	p.Failf("later")
	require.Equal(t, first, p.Err())
	require.Equal(t, first, p.Done())
}

func TestParserLimits(t *testing.T) {
	five := wire.NewBuilder(nil).String("12345").Build()
	tests := []struct {
		name string
		in   []byte
		read func(*wire.Parser)
	}{
		{"bytes over max", five, func(p *wire.Parser) { p.Bytes(4) }},
		{"string over max", five, func(p *wire.Parser) { p.String(4) }},
		{"negative max", five, func(p *wire.Parser) { p.Bytes(-1) }},
		{"length 2^64-1", binary.AppendUvarint(nil, math.MaxUint64), func(p *wire.Parser) { p.Bytes(math.MaxInt) }},
		{"length of more than is there", binary.AppendUvarint(nil, 1<<30), func(p *wire.Parser) { p.Bytes(math.MaxInt) }},
		{"text that is not UTF-8", []byte{1, 0xff}, func(p *wire.Parser) { p.String(4) }},
		{"surrogate in text", []byte{3, 0xed, 0xa0, 0x80}, func(p *wire.Parser) { p.String(4) }},
		{"longer uvarint", []byte{0x81, 0x00}, func(p *wire.Parser) { p.Uvarint() }},
		{"negative fixed", []byte{1}, func(p *wire.Parser) { p.Fixed(-1) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := wire.NewParser("op", tt.in)
			used := allocated(func() { tt.read(p) })
			require.Equal(t, wire.KindCorrupt, wire.KindOf(p.Err()))
			require.Less(t, used, uint64(100_000))
		})
	}
}

func TestParserTakesPartsOfTheInput(t *testing.T) {
	p := wire.NewParser("op", []byte{2, 'a', 'b', 'c', 'd'})
	ab := p.Bytes(2)
	rest := p.Rest()
	_ = append(ab, 'X')
	require.Equal(t, "cd", string(rest), "a part cannot grow into the next")
	require.NoError(t, p.Done())
	empty := wire.NewParser("op", nil)
	require.NotNil(t, empty.Fixed(0), "nil would say that there was an error")
	require.NoError(t, empty.Done())
}

func TestUvarintHasOneForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.OneOf(
			rapid.SliceOfN(rapid.Byte(), 0, 12),
			rapid.Map(rapid.Uint64(), func(v uint64) []byte { return binary.AppendUvarint(nil, v) }),
			rapid.Map(rapid.IntRange(0, 12), func(n int) []byte { return bytes.Repeat([]byte{0x80}, n) }),
		).Draw(t, "in")
		v, n := wire.Uvarint(in)
		switch {
		case n > 0:
			require.Equal(t, binary.AppendUvarint(nil, v), in[:n])
		case n == 0:
			require.Less(t, len(in), 10)
			for _, b := range in {
				require.GreaterOrEqual(t, b, byte(0x80))
			}
		}
	})
}

func TestSignedBytes(t *testing.T) {
	require.Equal(t, []byte("\x07x0x/t/1\x02ab\x00\x01c"), wire.SignedBytes("x0x/t/1", []byte("ab"), nil, []byte("c")))
	require.Equal(t, []byte("\xee\x01d\x01f"), wire.AppendSigned([]byte{0xee}, "d", []byte("f")))
}

// Two different lists never have the same bytes, else a signature over one would
// hold for the other.
func TestSignedBytesAreInjective(t *testing.T) {
	list := rapid.SliceOfN(rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 'a'}), 0, 3), func(b []byte) string { return string(b) }), 1, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := list.Draw(t, "a"), list.Draw(t, "b")
		sign := func(l []string) []byte {
			var fields [][]byte
			for _, f := range l[1:] {
				fields = append(fields, []byte(f))
			}
			return wire.SignedBytes(l[0], fields...)
		}
		same := len(a) == len(b)
		for i := 0; same && i < len(a); i++ {
			same = a[i] == b[i]
		}
		require.Equal(t, same, bytes.Equal(sign(a), sign(b)))
	})
}

// FuzzParser: what a record's parser accepts is exactly what its builder writes.
func FuzzParser(f *testing.F) {
	for _, seed := range [][]byte{nil, sample(), sample()[:20], append(sample(), 0), bytes.Repeat([]byte{0xff}, 40)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		again, err := parseSample(in)
		if err != nil {
			require.Equal(t, wire.KindCorrupt, wire.KindOf(err))
			return
		}
		require.Equal(t, in, again)
	})
}

func BenchmarkParser(b *testing.B) {
	in := sample()
	b.ReportAllocs()
	for b.Loop() {
		p := wire.NewParser("sample", in)
		p.U8()
		p.U16()
		p.U32()
		p.U64()
		p.Uvarint()
		p.Bytes(1000)
		p.Bytes(64)
		p.Fixed(7)
		if err := p.Done(); err != nil {
			b.Fatal(err)
		}
	}
}
