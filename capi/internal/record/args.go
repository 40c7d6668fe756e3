package record

import (
	"encoding/binary"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// MaxArgs is the size over which arguments are refused. The largest that has a use
// is a list of addresses; the limit keeps a mistaken length from reading a program's
// whole memory.
const MaxArgs = 1 << 20

// Args reads the argument array of a call, in order. The first error sticks and is
// what Done returns. A missing argument reads as its zero value if it is optional.
//
// It reads the widths that encoders choose freely: an integer may have any.
type Args struct {
	b    []byte
	left int
	at   int // arguments that were read
	err  error
}

// ParseArgs begins reading b, the MessagePack array of arguments; no bytes at all
// are no arguments. b must stay unchanged until the last read.
func ParseArgs(b []byte) *Args {
	a := &Args{b: b}
	if len(b) == 0 {
		return a
	}
	if err := wire.CheckMsgpack(b, MaxArgs); err != nil {
		kind := wire.KindInvalidArgument
		if wire.KindOf(err) == wire.KindTooLarge {
			kind = wire.KindTooLarge
		}
		a.err = wire.Errorf(kind, "read arguments", "%w", err)
		return a
	}
	n, ok := a.head(0x90, 0xdc)
	if !ok {
		a.err = wire.Errorf(wire.KindInvalidArgument, "read arguments", "they are not an array")
	}
	a.left = n
	return a
}

// More reports whether arguments are left.
func (a *Args) More() bool { return a.err == nil && a.left > 0 }

// Done returns the first error, or one that says that arguments are left over.
func (a *Args) Done() error {
	if a.err == nil && a.left > 0 {
		a.fail("%d arguments too many", a.left)
	}
	return a.err
}

func (a *Args) fail(format string, args ...any) {
	if a.err == nil {
		a.err = wire.Errorf(wire.KindInvalidArgument, "read arguments", format, args...)
	}
	a.left = 0
}

// next counts one argument in and reports whether there is one.
func (a *Args) next(want string) bool {
	if a.err != nil {
		return false
	}
	if a.left == 0 {
		a.fail("argument %d is missing: %s", a.at+1, want)
		return false
	}
	a.left--
	a.at++
	return true
}

func (a *Args) wrong(want string) { a.fail("argument %d is not %s", a.at, want) }

// Uint reads an unsigned integer of at most max.
func (a *Args) Uint(max uint64) uint64 {
	const want = "an unsigned integer"
	if !a.next(want) {
		return 0
	}
	v, ok := a.uint()
	if !ok {
		a.wrong(want)
		return 0
	}
	if v > max {
		a.fail("argument %d is over %d", a.at, max)
		return 0
	}
	return v
}

// OptionalUint is Uint for an argument that may be left out or nil.
func (a *Args) OptionalUint(max uint64) uint64 {
	if !a.More() || a.isNil() {
		return 0
	}
	return a.Uint(max)
}

// ID reads 32 bytes of bin.
func (a *Args) ID() (id [32]byte) {
	const want = "32 bytes of bin"
	if !a.next(want) {
		return id
	}
	if len(a.b) < 2+32 || a.b[0] != 0xc4 || a.b[1] != 32 {
		// An encoder may have chosen a wider length.
		n, ok := a.bin()
		if !ok || n != 32 {
			a.wrong(want)
			return id
		}
	} else {
		a.b = a.b[2:]
	}
	copy(id[:], a.b)
	a.b = a.b[32:]
	return id
}

// OptionalID is ID for an argument that may be left out or nil.
func (a *Args) OptionalID() (id [32]byte) {
	if !a.More() || a.isNil() {
		return id
	}
	return a.ID()
}

// String reads text.
func (a *Args) String() string {
	const want = "text"
	if !a.next(want) {
		return ""
	}
	s, ok := a.text()
	if !ok {
		a.wrong(want)
	}
	return s
}

// OptionalString is String for an argument that may be left out or nil.
func (a *Args) OptionalString() string {
	if !a.More() || a.isNil() {
		return ""
	}
	return a.String()
}

// Strings reads an array of at most max texts.
func (a *Args) Strings(max int) []string {
	const want = "an array of texts"
	if !a.next(want) {
		return nil
	}
	n, ok := a.head(0x90, 0xdc)
	if !ok {
		a.wrong(want)
		return nil
	}
	if n > max {
		a.fail("argument %d has %d elements, at most %d are allowed", a.at, n, max)
		return nil
	}
	list := make([]string, n)
	for i := range list {
		if list[i], ok = a.text(); !ok {
			a.wrong(want)
			return nil
		}
	}
	return list
}

// OptionalStrings is Strings for an argument that may be left out or nil, which reads as nil;
// an empty array does not.
func (a *Args) OptionalStrings(max int) []string {
	if !a.More() || a.isNil() {
		return nil
	}
	return a.Strings(max)
}

// OptionalPairs reads an array of at most max arrays of two texts; it may be left out or nil.
func (a *Args) OptionalPairs(max int) [][2]string {
	const want = "an array of pairs of texts"
	if !a.More() || a.isNil() || !a.next(want) {
		return nil
	}
	n, ok := a.head(0x90, 0xdc)
	if !ok || n > max {
		a.fail("argument %d is not %s, at most %d", a.at, want, max)
		return nil
	}
	list := make([][2]string, n)
	for i := range list {
		if len(a.b) == 0 {
			a.wrong(want)
			return nil
		}
		if two, ok := a.head(0x90, 0xdc); !ok || two != 2 {
			a.wrong(want)
			return nil
		}
		for k := range list[i] {
			if list[i][k], ok = a.text(); !ok {
				a.wrong(want)
				return nil
			}
		}
	}
	return list
}

// Bytes reads bytes, and copies them.
func (a *Args) Bytes() []byte {
	const want = "bin"
	if !a.next(want) {
		return nil
	}
	n, ok := a.bin()
	if !ok {
		a.wrong(want)
		return nil
	}
	return append([]byte{}, a.take(n)...)
}

// OptionalBool reads true or false; it may be left out or nil.
func (a *Args) OptionalBool() bool {
	if !a.More() || a.isNil() || !a.next("a bool") {
		return false
	}
	c := a.b[0]
	if c != 0xc2 && c != 0xc3 {
		a.wrong("a bool")
		return false
	}
	a.b = a.b[1:]
	return c == 0xc3
}

// isNil takes a nil.
func (a *Args) isNil() bool {
	if a.b[0] != 0xc0 {
		return false
	}
	a.b = a.b[1:]
	a.left--
	a.at++
	return true
}

// The rest reads one value at the start of b, whose structure has been checked: a
// head is whole, and what it announces is there.

func (a *Args) take(n int) []byte {
	v := a.b[:n]
	a.b = a.b[n:]
	return v
}

func (a *Args) uint() (uint64, bool) {
	c := a.b[0]
	switch {
	case c <= 0x7f:
		a.b = a.b[1:]
		return uint64(c), true
	case c >= 0xcc && c <= 0xcf:
		width := 1 << (c - 0xcc)
		return bigEndian(a.take(1 + width)[1:]), true
	case c >= 0xd0 && c <= 0xd3: // signed, as some encoders write positive numbers too
		width := 1 << (c - 0xd0)
		v := bigEndian(a.take(1 + width)[1:])
		return v, v>>(8*width-1) == 0
	}
	return 0, false
}

func (a *Args) text() (string, bool) {
	if len(a.b) == 0 {
		return "", false
	}
	c := a.b[0]
	n := 0
	switch {
	case c >= 0xa0 && c <= 0xbf:
		a.b = a.b[1:]
		n = int(c & 0x1f)
	case c >= 0xd9 && c <= 0xdb:
		n = int(bigEndian(a.take(1 + 1<<(c-0xd9))[1:]))
	default:
		return "", false
	}
	return string(a.take(n)), true
}

// bin takes the head of bin and returns its length.
func (a *Args) bin() (int, bool) {
	if c := a.b[0]; c < 0xc4 || c > 0xc6 {
		return 0, false
	}
	return int(bigEndian(a.take(1 + 1<<(a.b[0]-0xc4))[1:])), true
}

// head takes the head of an array or map and returns its length.
func (a *Args) head(fix, wide byte) (int, bool) {
	switch c := a.b[0]; {
	case c&0xf0 == fix:
		a.b = a.b[1:]
		return int(c & 0x0f), true
	case c == wide:
		return int(bigEndian(a.take(3)[1:])), true
	case c == wide+1:
		return int(bigEndian(a.take(5)[1:])), true
	}
	return 0, false
}

func bigEndian(b []byte) uint64 {
	var v [8]byte
	copy(v[8-len(b):], b)
	return binary.BigEndian.Uint64(v[:])
}
