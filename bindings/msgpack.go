package bindings

import (
	"bytes"
	"fmt"
	"io"

	"github.com/vmihailenco/msgpack/v5"
)

// maxMeta bounds a result or the meta part of a record: the largest is the mesh of some
// thousands of topics, each with up to 64 links of some 60 bytes. It stops a broken length from
// taking the memory.
const maxMeta = 64 << 20

// pack writes arguments as the MessagePack array that the method table asks for. It takes
// ID, string, bool, []string and unsigned integers.
func pack(args ...any) ([]byte, error) {
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	e.UseCompactInts(true)
	if err := e.EncodeArrayLen(len(args)); err != nil {
		return nil, err
	}
	for _, a := range args {
		if id, ok := a.(ID); ok {
			a = id[:]
		}
		if err := e.Encode(a); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// unpacker reads one MessagePack value by the shape that the header gives it. It trusts no
// length: nothing is allocated before the bytes for it are there. The first error stays.
type unpacker struct {
	r   *bytes.Reader
	d   *msgpack.Decoder
	err error
}

func unpack(b []byte) *unpacker {
	r := bytes.NewReader(b) // the decoder reads a Reader without buffering, so Len is exact
	u := &unpacker{r: r, d: msgpack.NewDecoder(r)}
	if len(b) > maxMeta {
		u.fail(fmt.Errorf("%d bytes are over the limit of %d", len(b), maxMeta))
	}
	return u
}

func (u *unpacker) fail(err error) {
	if u.err == nil && err != nil {
		u.err = fmt.Errorf("malformed MessagePack: %w", err)
	}
}

// array returns the number of elements, which is never more than there are bytes left.
func (u *unpacker) array() int { return u.length((*msgpack.Decoder).DecodeArrayLen) }

// mapping returns the number of pairs.
func (u *unpacker) mapping() int { return u.length((*msgpack.Decoder).DecodeMapLen) }

func (u *unpacker) length(read func(*msgpack.Decoder) (int, error)) int {
	if u.err != nil {
		return 0
	}
	n, err := read(u.d)
	if err == nil && (n < 0 || n > u.r.Len()) {
		err = fmt.Errorf("%d elements in %d bytes", n, u.r.Len())
	}
	if err != nil {
		u.fail(err)
		return 0
	}
	return n
}

// raw reads a text or a byte string, after its length is known to be there.
func (u *unpacker) raw() []byte {
	n := u.length((*msgpack.Decoder).DecodeBytesLen)
	b := make([]byte, n)
	if u.err == nil {
		_, err := io.ReadFull(u.r, b)
		u.fail(err)
	}
	return b
}

func (u *unpacker) str() string { return string(u.raw()) }

func (u *unpacker) id() (id ID) {
	b := u.raw()
	if u.err == nil && len(b) != len(id) {
		u.fail(fmt.Errorf("an id of %d bytes", len(b)))
	}
	if u.err == nil {
		copy(id[:], b)
	}
	return id
}

func (u *unpacker) uint() uint64 { return scalar(u, (*msgpack.Decoder).DecodeUint64) }
func (u *unpacker) int() int64   { return scalar(u, (*msgpack.Decoder).DecodeInt64) }
func (u *unpacker) bool() bool   { return scalar(u, (*msgpack.Decoder).DecodeBool) }

// null takes a nil and reports whether there was one.
func (u *unpacker) null() bool {
	if u.err != nil {
		return false
	}
	c, err := u.d.PeekCode()
	if err == nil && c == 0xc0 {
		err = u.d.DecodeNil()
		u.fail(err)
		return true
	}
	u.fail(err)
	return false
}

func scalar[T any](u *unpacker, read func(*msgpack.Decoder) (T, error)) (v T) {
	if u.err != nil {
		return v
	}
	v, err := read(u.d)
	u.fail(err)
	return v
}

// fields reads the length of an array that has at least want elements, and returns how many
// more there are: a later version of the library may append some, which skip passes over.
func (u *unpacker) fields(want int) (more int) {
	n := u.array()
	if u.err == nil && n < want {
		u.fail(fmt.Errorf("%d elements instead of %d", n, want))
	}
	return n - want
}

func (u *unpacker) skip(n int) {
	for ; n > 0 && u.err == nil; n-- {
		u.fail(u.d.Skip())
	}
}
