package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

type frame struct {
	typ  byte
	body []byte
}

// readAll reads until an error, copies what it gets and checks Ready on the way.
func readAll(r *wire.FrameReader) (frames []frame, err error) {
	for {
		typ, body, err := r.Next()
		if err != nil {
			return frames, err
		}
		frames = append(frames, frame{typ, bytes.Clone(body)})
	}
}

func TestFrameBytes(t *testing.T) {
	require.Equal(t, []byte{1, 7}, wire.AppendFrame(nil, 7))
	require.Equal(t, []byte{0xff, 4, 7, 'a', 'b', 'c'}, wire.AppendFrame([]byte{0xff}, 7, []byte("a"), nil, []byte("bc")))
	long := wire.AppendFrame(nil, 7, make([]byte, 127))
	require.Equal(t, []byte{0x80, 0x01, 7}, long[:3])
	for _, n := range []int{0, 126, 127, 16382, 16383, 100_000} {
		require.Len(t, wire.AppendFrame(nil, 1, make([]byte, n)), wire.FrameSize(n))
	}
}

// Whatever was appended is read back, in whatever pieces it arrives.
func TestFrameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.OneOf(
			rapid.IntRange(0, 300),
			rapid.IntRange(4000, 4200), // around the small buffer
			rapid.IntRange(65_500, 65_600),
			rapid.IntRange(0, 300_000),
		)
		pieces := rapid.OneOf(rapid.IntRange(1, 50), rapid.IntRange(1000, 9000), rapid.IntRange(60_000, 200_000)).Draw(t, "pieces")
		var want []frame
		var stream []byte
		fill := byte(0)
		for _, n := range rapid.SliceOfN(sizes, 0, 12).Draw(t, "sizes") {
			fill++
			f := frame{byte(n), bytes.Repeat([]byte{fill}, n)}
			half := rapid.IntRange(0, n).Draw(t, "half")
			stream = wire.AppendFrame(stream, f.typ, f.body[:half], f.body[half:])
			want = append(want, f)
		}
		got, err := readAll(wire.NewFrameReader(&piecewise{b: stream, n: pieces}, 300_000))
		require.Equal(t, io.EOF, err)
		require.Equal(t, len(want), len(got))
		for i := range want {
			require.Equal(t, want[i].typ, got[i].typ)
			require.True(t, bytes.Equal(want[i].body, got[i].body), "frame %d", i)
		}
	})
}

// piecewise returns at most n bytes at a time, and its end together with the last.
type piecewise struct {
	b []byte
	n int
}

func (p *piecewise) Read(dst []byte) (int, error) {
	n := copy(dst[:min(len(dst), p.n)], p.b)
	p.b = p.b[n:]
	if len(p.b) == 0 {
		return n, io.EOF
	}
	return n, nil
}

func TestEveryTruncationFails(t *testing.T) {
	one := wire.AppendFrame(nil, 1, []byte("first"))
	stream := wire.AppendFrame(bytes.Clone(one), 2, make([]byte, 300))
	for cut := range stream {
		for _, r := range []io.Reader{bytes.NewReader(stream[:cut]), iotest.DataErrReader(bytes.NewReader(stream[:cut])), iotest.OneByteReader(bytes.NewReader(stream[:cut]))} {
			frames, err := readAll(wire.NewFrameReader(r, 1000))
			if cut == 0 || cut == len(one) {
				require.Equal(t, io.EOF, err, "cut at %d", cut)
			} else {
				require.Equal(t, wire.KindDisconnected, wire.KindOf(err), "cut at %d", cut)
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			}
			if cut < len(one) {
				require.Empty(t, frames)
			} else {
				require.Len(t, frames, 1)
			}
		}
	}
	large := wire.AppendFrame(nil, 1, make([]byte, 200_000))
	for _, cut := range []int{1, 3, 4, 5, 65_535, 65_536, 65_540, len(large) - 1} {
		_, err := readAll(wire.NewFrameReader(bytes.NewReader(large[:cut]), 200_000))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "cut at %d", cut)
	}
}

func TestBadLengths(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want wire.Kind
	}{
		{"no type", []byte{0}, wire.KindCorrupt},
		{"longer form", []byte{0x81, 0x00, 7}, wire.KindCorrupt},
		{"longer form of zero", []byte{0x80, 0x00, 7}, wire.KindCorrupt},
		{"more than 64 bits", bytes.Repeat([]byte{0xff}, 11), wire.KindCorrupt},
		{"without end", bytes.Repeat([]byte{0x80}, 10), wire.KindCorrupt},
		{"one over the limit", binary.AppendUvarint(nil, 102), wire.KindTooLarge},
		{"2^64-1", binary.AppendUvarint(nil, 1<<64-1), wire.KindTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			good := wire.AppendFrame(nil, 1, make([]byte, 100))
			r := wire.NewFrameReader(bytes.NewReader(append(good, tt.in...)), 100)
			frames, err := readAll(r)
			require.Len(t, frames, 1, "what came before is still good")
			require.Equal(t, tt.want, wire.KindOf(err))
			_, _, again := r.Next()
			require.Equal(t, err, again, "the error stays")
			require.True(t, r.Ready())
			require.Zero(t, r.Buffered())
		})
	}
}

func TestErrorOfTheStreamComesAfterWhatItBrought(t *testing.T) {
	broken := errors.New("broken")
	stream := append(wire.AppendFrame(nil, 1, []byte("whole")), 9, 2)
	r := wire.NewFrameReader(io.MultiReader(bytes.NewReader(stream), iotest.ErrReader(broken)), 100)
	frames, err := readAll(r)
	require.Len(t, frames, 1)
	require.Equal(t, broken, err)
}

func TestFaultyStreamsEnd(t *testing.T) {
	_, _, err := wire.NewFrameReader(readFunc(func([]byte) (int, error) { return 0, nil }), 100).Next()
	require.Equal(t, io.ErrNoProgress, err)
	for _, n := range []int{-1, 1 << 20} {
		_, _, err = wire.NewFrameReader(readFunc(func([]byte) (int, error) { return n, nil }), 100).Next()
		require.Equal(t, wire.KindIO, wire.KindOf(err))
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestReadyAndBuffered(t *testing.T) {
	stream := wire.AppendFrame(nil, 1, []byte("one"))
	stream = wire.AppendFrame(stream, 2, []byte("two"))
	stream = append(stream, 4, 3, 't')
	r := wire.NewFrameReader(io.MultiReader(bytes.NewReader(stream), bytes.NewReader([]byte("wo"))), 100)
	require.False(t, r.Ready())
	_, _, err := r.Next()
	require.NoError(t, err)
	require.True(t, r.Ready())
	require.Equal(t, 8, r.Buffered())
	_, _, err = r.Next()
	require.NoError(t, err)
	require.False(t, r.Ready(), "the third is not whole")
	require.Equal(t, 3, r.Buffered())
	_, body, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, "two", string(body))
	require.False(t, r.Owned())
}

func TestBodiesOverTheBufferBelongToTheCaller(t *testing.T) {
	first, second := bytes.Repeat([]byte("a"), 70_000), bytes.Repeat([]byte("b"), 70_000)
	stream := wire.AppendFrame(wire.AppendFrame(nil, 1, first), 1, second)
	r := wire.NewFrameReader(bytes.NewReader(stream), 1<<20)
	_, kept, err := r.Next()
	require.NoError(t, err)
	require.True(t, r.Owned())
	_, _, err = r.Next()
	require.NoError(t, err)
	require.True(t, bytes.Equal(first, kept))
}

func TestBodyCannotGrowIntoTheNextFrame(t *testing.T) {
	stream := wire.AppendFrame(wire.AppendFrame(nil, 1, []byte("a")), 2, []byte("b"))
	r := wire.NewFrameReader(bytes.NewReader(stream), 10)
	_, body, err := r.Next()
	require.NoError(t, err)
	_ = append(body, "overwrite"...)
	typ, body, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, byte(2), typ)
	require.Equal(t, "b", string(body))
}

// allocated returns how many bytes of heap fn asked for.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A length is only a claim: memory follows the bytes that arrive.
func TestDeclaredLengthCostsNothing(t *testing.T) {
	const limit = 16 << 20
	head := binary.AppendUvarint(nil, limit)
	for _, arrived := range []int{0, 100, 100_000, 1 << 20} {
		stream := append(bytes.Clone(head), make([]byte, arrived)...)
		used := allocated(func() {
			_, err := readAll(wire.NewFrameReader(bytes.NewReader(stream), limit))
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		})
		// The last step is at most four times what arrived, and all the steps before
		// it a third of that; beside them stand the buffers.
		require.Less(t, used, uint64(arrived)*16/3+300_000, "after %d bytes", arrived)
	}
}

// A reader that waits on a quiet stream holds the small buffer only, also after
// a burst.
func TestQuietReaderHoldsLittle(t *testing.T) {
	var stream []byte
	for range 5000 {
		stream = wire.AppendFrame(stream, 1, make([]byte, 100))
	}
	left := stream
	var offered []int
	r := wire.NewFrameReader(readFunc(func(p []byte) (int, error) {
		offered = append(offered, len(p))
		if len(left) == 0 {
			return 0, io.EOF
		}
		n := copy(p, left)
		left = left[n:]
		return n, nil
	}), 1000)
	frames, err := readAll(r)
	require.Equal(t, io.EOF, err)
	require.Len(t, frames, 5000)
	require.LessOrEqual(t, offered[0], 4096)
	require.LessOrEqual(t, offered[len(offered)-1], 4096)
	require.Less(t, len(offered), 20, "a busy stream is read in large pieces")
}

func TestReadingAndAppendingFramesDoesNotAllocate(t *testing.T) {
	r := wire.NewFrameReader(&endless{frame: wire.AppendFrame(nil, 1, make([]byte, 100)), piece: 1400}, 1000)
	require.Zero(t, testing.AllocsPerRun(10_000, func() {
		if _, _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}))
	buf := make([]byte, 0, 1000)
	head, body := make([]byte, 8), make([]byte, 100)
	require.Zero(t, testing.AllocsPerRun(1000, func() { buf = wire.AppendFrame(buf[:0], 1, head, body) }))
}

// endless repeats a frame, in pieces as packets bring them.
type endless struct {
	frame []byte
	piece int
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	p = p[:min(len(p), e.piece)]
	for n := 0; n < len(p); {
		m := copy(p[n:], e.frame[e.at:])
		n += m
		if e.at += m; e.at == len(e.frame) {
			e.at = 0
		}
	}
	return len(p), nil
}

// FuzzFrameReader: no input makes it panic or lie, and what it accepts is what
// AppendFrame writes.
func FuzzFrameReader(f *testing.F) {
	// pad appends that many zeros, so that frames over the buffer need no large
	// inputs, which the fuzzer handles slowly.
	seeds := []struct {
		in  []byte
		pad uint32
	}{
		{nil, 0},
		{[]byte{0}, 0},
		{[]byte{1, 7}, 0},
		{[]byte{0x80, 0x00}, 0},
		{[]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, 100},
		{bytes.Repeat([]byte{0xff}, 12), 0},
		{wire.AppendFrame(wire.AppendFrame(nil, 1, []byte("one")), 2), 0},
		{binary.AppendUvarint([]byte{1, 7}, 5000), 5000},
		{binary.AppendUvarint([]byte{1, 7}, 70_000), 70_000},
		{binary.AppendUvarint([]byte{1, 7}, 70_000), 69_999},
		{binary.AppendUvarint([]byte{1, 7}, 100_002), 100_002},
	}
	for i, seed := range seeds {
		f.Add(seed.in, seed.pad, uint16(1+i*1000), uint64(i))
	}
	f.Fuzz(func(t *testing.T, in []byte, pad uint32, piece uint16, seed uint64) {
		in = append(bytes.Clone(in), make([]byte, pad%200_000)...)
		const limit = 100_000
		rng := rand.New(rand.NewPCG(seed, 0))
		src := &piecewise{b: in}
		r := wire.NewFrameReader(readFunc(func(p []byte) (int, error) {
			src.n = 1 + rng.IntN(int(piece)+1)
			return src.Read(p)
		}), limit)
		frames, err := readAll(r)
		var again []byte
		for _, fr := range frames {
			require.LessOrEqual(t, len(fr.body), limit)
			again = wire.AppendFrame(again, fr.typ, fr.body)
		}
		require.True(t, bytes.HasPrefix(in, again), "frames have one encoding")
		rest := in[len(again):]
		switch {
		case err == io.EOF:
			require.Empty(t, rest)
		case errors.Is(err, io.ErrUnexpectedEOF):
			require.NotEmpty(t, rest)
		default:
			require.Contains(t, []wire.Kind{wire.KindCorrupt, wire.KindTooLarge}, wire.KindOf(err))
		}
	})
}

func BenchmarkAppendFrame(b *testing.B) {
	buf := make([]byte, 0, 1000)
	head, body := make([]byte, 8), make([]byte, 100)
	b.ReportAllocs()
	b.SetBytes(int64(wire.FrameSize(108)))
	for b.Loop() {
		buf = wire.AppendFrame(buf[:0], 1, head, body)
	}
}

func BenchmarkFrameReader(b *testing.B) {
	for _, bench := range []struct {
		name        string
		size, piece int
	}{{"100B-packets", 100, 1400}, {"100B-bulk", 100, 1 << 20}, {"16MiB", 16 << 20, 1 << 20}} {
		b.Run(bench.name, func(b *testing.B) {
			frame := wire.AppendFrame(nil, 1, make([]byte, bench.size))
			r := wire.NewFrameReader(&endless{frame: frame, piece: bench.piece}, bench.size)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := r.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
