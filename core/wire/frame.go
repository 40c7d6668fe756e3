package wire

import (
	"encoding/binary"
	"io"
	"sync"
)

// A frame on a stream:
//
//	+-----------------+--------+----------------------+
//	| length: uvarint | type:1 | body: length-1 bytes |
//	+-----------------+--------+----------------------+
//
// The length counts the type and the body, so it is never 0, and is in its
// shortest form.

// AppendFrame appends one frame to dst. The body is the concatenation of the
// parts, so that a header need not be copied in front of a payload first.
func AppendFrame(dst []byte, typ byte, body ...[]byte) []byte {
	n := 1
	for _, part := range body {
		n += len(part)
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = append(dst, typ)
	for _, part := range body {
		dst = append(dst, part...)
	}
	return dst
}

// FrameSize returns how many bytes AppendFrame adds for a body of n bytes.
func FrameSize(n int) int {
	return uvarintLen(uint64(n)+1) + 1 + n
}

const (
	// A reader at rest holds only this much: a node keeps a reader for each stream
	// of each idle connection.
	smallBuffer = 4 << 10
	// While a stream is busy its reader borrows one of these, so that many frames
	// cost one read.
	largeBuffer = 64 << 10
	// A body that fits no buffer gets memory in steps, each so many times the bytes
	// that have really arrived: a peer that declares 16 MiB and sends nothing
	// holds no memory, and one that stops halfway at most this multiple.
	growth = 4
	// The first step, a little over the buffer so that a body of 16 MiB and its
	// header take four more and not five.
	firstStep = largeBuffer + 8<<10
)

var largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// FrameReader splits a stream into frames. It reads ahead, so nothing else may
// read from the stream.
type FrameReader struct {
	r       io.Reader
	max     int
	readErr error // what the stream ended with; frames read before it still count
	err     error // what Next returns from now on

	// buf[start:end] has been read and not yet returned. buf is small, or the
	// whole of large.
	buf        []byte
	start, end int
	small      []byte
	large      *[largeBuffer]byte
	full       bool // the last read filled all that it was offered, so more is likely waiting
	owned      bool
}

// MaxFrame is the most that a FrameReader can be told to accept, 1 GiB, which
// keeps its sums within 32 bits.
const MaxFrame = 1 << 30

// NewFrameReader returns a reader of frames from r with bodies of at most max
// bytes.
func NewFrameReader(r io.Reader, max int) *FrameReader {
	small := make([]byte, smallBuffer)
	return &FrameReader{r: r, max: min(max, MaxFrame), small: small, buf: small}
}

// Next waits for the next frame. The body is valid until the next call, or for
// good if Owned reports so.
//
// The error is io.EOF when the stream ends between frames; of KindDisconnected,
// wrapping io.ErrUnexpectedEOF, when it ends inside one; of KindTooLarge for a
// body over the limit and of KindCorrupt for a bad length, before any of it is
// read; and otherwise what the stream returned. All further calls return the
// same error.
func (f *FrameReader) Next() (typ byte, body []byte, err error) {
	f.owned = false
	for f.err == nil {
		head, size, err := f.header()
		switch total := head + size; {
		case err != nil:
			f.fail(err)
		case head > 0 && total <= f.end-f.start:
			frame := f.buf[f.start+head : f.start+total : f.start+total]
			f.start += total
			return frame[0], frame[1:], nil
		case total > largeBuffer:
			if frame := f.readLarge(head, size); frame != nil {
				f.owned = true
				return frame[0], frame[1:], nil
			}
			f.failRead(true)
		case f.readErr != nil:
			f.failRead(f.start < f.end)
		default:
			f.fill(total)
		}
	}
	return 0, nil, f.err
}

// Buffered returns how many bytes have been read ahead.
func (f *FrameReader) Buffered() int { return f.end - f.start }

// Ready reports that Next will return without reading from the stream, so more
// is at hand and an acknowledgement or a flush can wait for it.
func (f *FrameReader) Ready() bool {
	if f.err != nil {
		return true
	}
	head, size, err := f.header()
	return err != nil || head > 0 && head+size <= f.end-f.start
}

// Owned reports that the body returned last has memory of its own, which the
// reader will not touch again. That is so for bodies over 64 KiB.
func (f *FrameReader) Owned() bool { return f.owned }

// header looks at the length at the start of the buffer. It returns how many
// bytes the length takes, 0 if they are not all there, and the size of the rest.
func (f *FrameReader) header() (head, size int, err error) {
	length, head := Uvarint(f.buf[f.start:f.end])
	switch {
	case head == 0:
		return 0, 0, nil
	case head < 0 || length == 0:
		return 0, 0, Errorf(KindCorrupt, "read frame", "malformed length")
	case length-1 > uint64(max(f.max, 0)):
		return 0, 0, Errorf(KindTooLarge, "read frame", "body of %d bytes, limit %d", length-1, f.max)
	}
	return head, int(length), nil
}

// fill reads more, with room for at least need bytes from start on.
func (f *FrameReader) fill(need int) {
	if f.start == f.end {
		// At rest the large buffer is given back.
		f.start, f.end = 0, 0
		f.use(f.full || need > smallBuffer)
	} else if f.full || need > smallBuffer {
		f.use(true)
	}
	if f.start > 0 && (f.start+need > len(f.buf) || f.end == len(f.buf)) {
		f.end = copy(f.buf, f.buf[f.start:f.end])
		f.start = 0
	}
	f.end += f.read(f.buf[f.end:])
	f.full = f.end == len(f.buf)
}

// use changes to the large or the small buffer and takes along what is unread.
// It may go to small only with nothing unread.
func (f *FrameReader) use(large bool) {
	if large == (f.large != nil) {
		return
	}
	if !large {
		f.buf = f.small
		largeBuffers.Put(f.large)
		f.large = nil
		return
	}
	f.large = largeBuffers.Get().(*[largeBuffer]byte)
	f.end = copy(f.large[:], f.buf[f.start:f.end])
	f.start = 0
	f.buf = f.large[:]
}

// readLarge reads a frame that fits no buffer into memory of its own. It returns
// nil if the stream ends before the frame does.
func (f *FrameReader) readLarge(head, size int) []byte {
	frame := make([]byte, min(size, firstStep))
	have := copy(frame, f.buf[f.start+head:f.end])
	f.start, f.end = 0, 0
	for {
		for have < len(frame) {
			if f.readErr != nil {
				return nil
			}
			have += f.read(frame[have:])
		}
		if have == size {
			return frame
		}
		longer := make([]byte, min(size, growth*have))
		copy(longer, frame)
		frame = longer
	}
}

// maxEmptyReads is how often in a row a stream may return nothing and no error
// before it is given up, so that a faulty one cannot spin.
const maxEmptyReads = 100

// read reads once and keeps the error for when all that came before it is used.
func (f *FrameReader) read(p []byte) int {
	for range maxEmptyReads {
		n, err := f.r.Read(p)
		if n < 0 || n > len(p) {
			n, err = 0, Errorf(KindIO, "read frame", "the stream counted %d bytes into room for %d", n, len(p))
		}
		if n > 0 || err != nil {
			f.readErr = err
			return n
		}
	}
	f.readErr = io.ErrNoProgress
	return 0
}

// failRead ends the reader with what the stream ended with.
func (f *FrameReader) failRead(insideFrame bool) {
	err := f.readErr
	if insideFrame && (err == io.EOF || err == io.ErrUnexpectedEOF) {
		err = Errorf(KindDisconnected, "read frame", "the stream ended inside a frame: %w", io.ErrUnexpectedEOF)
	}
	f.fail(err)
}

func (f *FrameReader) fail(err error) {
	f.err = err
	f.start, f.end = 0, 0
	f.use(false)
}
