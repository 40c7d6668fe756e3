package wire

import (
	"encoding/binary"
	"unicode/utf8"
)

// MaxMsgpackDepth is how many arrays and maps may stand inside each other in
// foreign msgpack. A decoder recurses once for each.
const MaxMsgpackDepth = 16

// CheckMsgpack walks msgpack from outside before anything decodes it, since
// decoders allocate from lengths that the input merely declares: dd ff ff ff ff,
// an array of 2^32-1 elements, costs vmihailenco/msgpack about 34 GiB.
//
// It returns nil exactly if b is one value with nothing after it, and in it no
// array or map declares more elements than there are bytes left, nesting is at
// most MaxMsgpackDepth, text is UTF-8, map keys are text, and no extension type
// occurs (timestamps among them). Integers and lengths may have any width, since
// encoders differ there. What passes can be decoded into interface values
// without an error and at a cost linear in len(b).
//
// Errors are of KindTooLarge if b is longer than maxBytes, and else of
// KindCorrupt. CheckMsgpack does not allocate unless it fails.
func CheckMsgpack(b []byte, maxBytes int) error {
	if len(b) > maxBytes {
		return Errorf(KindTooLarge, "check msgpack", "%d bytes, limit %d", len(b), maxBytes)
	}
	w := msgpackWalk{b: b}
	if msg := w.walk(); msg != "" {
		return Errorf(KindCorrupt, "check msgpack", "%s at byte %d", msg, len(b)-len(w.b))
	}
	return nil
}

type msgpackWalk struct {
	b     []byte // what is left
	depth int
	open  [MaxMsgpackDepth]struct {
		left  int  // values still to come
		isMap bool // every second value is a key, starting with the first
	}
}

// walk goes through one value without recursion, and returns what is wrong.
func (w *msgpackWalk) walk() string {
	for {
		key := false
		if w.depth > 0 {
			top := &w.open[w.depth-1]
			key = top.isMap && top.left%2 == 0
			top.left--
		}
		if msg := w.value(key); msg != "" {
			return msg
		}
		for w.depth > 0 && w.open[w.depth-1].left == 0 {
			w.depth--
		}
		if w.depth == 0 {
			break
		}
	}
	if len(w.b) > 0 {
		return "bytes after the end"
	}
	return ""
}

// value takes one scalar, or the head of one array or map, by its first byte:
//
//	00-7f  positive fixint       c4-c6  bin, length 1, 2, 4    d4-d8  fixext
//	80-8f  fixmap                c7-c9  ext                    d9-db  str, length 1, 2, 4
//	90-9f  fixarray              ca cb  float 4, 8             dc dd  array, length 2, 4
//	a0-bf  fixstr                cc-cf  uint 1, 2, 4, 8        de df  map, length 2, 4
//	c0 nil, c2 false, c3 true    d0-d3  int 1, 2, 4, 8         e0-ff  negative fixint
//	c1     never used
func (w *msgpackWalk) value(key bool) string {
	if len(w.b) == 0 {
		return "cut short"
	}
	c := w.b[0]
	if key && (c < 0xa0 || c > 0xbf) && (c < 0xd9 || c > 0xdb) {
		return "map key that is not text"
	}
	w.b = w.b[1:]
	switch {
	case c <= 0x7f, c >= 0xe0, c == 0xc0, c == 0xc2, c == 0xc3:
		return ""
	case c <= 0x8f:
		return w.enter(uint64(c&0x0f), true)
	case c <= 0x9f:
		return w.enter(uint64(c&0x0f), false)
	case c <= 0xbf:
		return w.text(uint64(c & 0x1f))
	}
	switch c {
	case 0xc4, 0xc5, 0xc6:
		n, ok := w.length(1 << (c - 0xc4))
		if !ok {
			return "cut short"
		}
		return w.skip(n)
	case 0xca, 0xcb:
		return w.skip(4 << (c - 0xca))
	case 0xcc, 0xcd, 0xce, 0xcf:
		return w.skip(1 << (c - 0xcc))
	case 0xd0, 0xd1, 0xd2, 0xd3:
		return w.skip(1 << (c - 0xd0))
	case 0xd9, 0xda, 0xdb:
		n, ok := w.length(1 << (c - 0xd9))
		if !ok {
			return "cut short"
		}
		return w.text(n)
	case 0xdc, 0xdd, 0xde, 0xdf:
		n, ok := w.length(2 << (c & 1))
		if !ok {
			return "cut short"
		}
		return w.enter(n, c >= 0xde)
	case 0xc1:
		return "type c1, which is never used"
	}
	return "extension type"
}

// length takes a big-endian length of 1, 2 or 4 bytes.
func (w *msgpackWalk) length(size int) (n uint64, ok bool) {
	if size > len(w.b) {
		return 0, false
	}
	switch size {
	case 1:
		n = uint64(w.b[0])
	case 2:
		n = uint64(binary.BigEndian.Uint16(w.b))
	default:
		n = uint64(binary.BigEndian.Uint32(w.b))
	}
	w.b = w.b[size:]
	return n, true
}

func (w *msgpackWalk) skip(n uint64) string {
	if n > uint64(len(w.b)) {
		return "cut short"
	}
	w.b = w.b[n:]
	return ""
}

func (w *msgpackWalk) text(n uint64) string {
	if n > uint64(len(w.b)) {
		return "cut short"
	}
	if !utf8.Valid(w.b[:n]) {
		return "text that is not UTF-8"
	}
	w.b = w.b[n:]
	return ""
}

func (w *msgpackWalk) enter(n uint64, isMap bool) string {
	if isMap {
		n *= 2 // n < 2^32
	}
	switch {
	case n > uint64(len(w.b)): // every element takes a byte
		return "more elements than bytes"
	case w.depth == MaxMsgpackDepth: // also when empty: the decoder enters it
		return "nested too deeply"
	}
	top := &w.open[w.depth]
	top.left, top.isMap = int(n), isMap
	w.depth++
	return ""
}
