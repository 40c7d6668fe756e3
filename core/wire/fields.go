package wire

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Uvarint reads a length at the start of b as encoding/binary writes it, and
// accepts only the shortest form. It returns the value and the number of bytes
// read: 0 if b ends too early, and negative if no bytes that could follow would
// make it valid.
func Uvarint(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 { // nearly every length on the wire
		return uint64(b[0]), 1
	}
	v, n = binary.Uvarint(b)
	switch {
	case n > 1 && b[n-1] == 0: // a last group of zero bits: a shorter form exists
		return 0, -n
	case n == 0 && len(b) >= binary.MaxVarintLen64:
		return 0, -len(b)
	}
	return v, n
}

func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// Builder appends fields to a byte slice. The zero value is ready, and the
// methods return the Builder so that a record can be written as one expression
// in the order of its drawing.
type Builder struct {
	b []byte
}

// NewBuilder returns a Builder that appends to dst.
func NewBuilder(dst []byte) *Builder { return &Builder{dst} }

// U8 appends one byte.
func (b *Builder) U8(v uint8) *Builder {
	b.b = append(b.b, v)
	return b
}

// U16 appends two bytes, big-endian.
func (b *Builder) U16(v uint16) *Builder {
	b.b = binary.BigEndian.AppendUint16(b.b, v)
	return b
}

// U32 appends four bytes, big-endian.
func (b *Builder) U32(v uint32) *Builder {
	b.b = binary.BigEndian.AppendUint32(b.b, v)
	return b
}

// U64 appends eight bytes, big-endian.
func (b *Builder) U64(v uint64) *Builder {
	b.b = binary.BigEndian.AppendUint64(b.b, v)
	return b
}

// Uvarint appends v in 1 to 10 bytes.
func (b *Builder) Uvarint(v uint64) *Builder {
	b.b = binary.AppendUvarint(b.b, v)
	return b
}

// Bytes appends the length of p as a uvarint, and p.
func (b *Builder) Bytes(p []byte) *Builder {
	b.b = binary.AppendUvarint(b.b, uint64(len(p)))
	b.b = append(b.b, p...)
	return b
}

// String is Bytes of s.
func (b *Builder) String(s string) *Builder {
	b.b = binary.AppendUvarint(b.b, uint64(len(s)))
	b.b = append(b.b, s...)
	return b
}

// Fixed appends p as it is: its length is part of the format.
func (b *Builder) Fixed(p []byte) *Builder {
	b.b = append(b.b, p...)
	return b
}

// Len returns how long the record is so far, dst included.
func (b *Builder) Len() int { return len(b.b) }

// Build returns the record. The Builder must not be used afterwards.
func (b *Builder) Build() []byte { return b.b }

// Parser takes fields from a byte slice in the order in which a Builder wrote
// them. The first error sticks: from then on every field is zero, so a record is
// read as a straight list of fields, and its error is asked for once, by Done.
//
//	p := wire.NewParser("hello", b)
//	version, nonce := p.U8(), p.Fixed(32)
//	name := p.String(64)
//	if err := p.Done(); err != nil {
//		return err
//	}
//
// A value must not decide anything (a loop, an allocation) before Err or Done was
// asked.
type Parser struct {
	op  string
	b   []byte
	err error
}

// NewParser returns a Parser of b. Its errors have KindCorrupt and op as Op.
func NewParser(op string, b []byte) *Parser { return &Parser{op: op, b: b} }

// U8 takes one byte.
func (p *Parser) U8() uint8 {
	if b := p.take(1, "u8"); b != nil {
		return b[0]
	}
	return 0
}

// U16 takes two bytes, big-endian.
func (p *Parser) U16() uint16 {
	if b := p.take(2, "u16"); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// U32 takes four bytes, big-endian.
func (p *Parser) U32() uint32 {
	if b := p.take(4, "u32"); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// U64 takes eight bytes, big-endian.
func (p *Parser) U64() uint64 {
	if b := p.take(8, "u64"); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// Uvarint takes a uvarint in its shortest form.
func (p *Parser) Uvarint() uint64 {
	if p.err != nil {
		return 0
	}
	v, n := Uvarint(p.b)
	switch {
	case n == 0:
		p.Failf("uvarint cut short")
		return 0
	case n < 0:
		p.Failf("malformed uvarint")
		return 0
	}
	p.b = p.b[n:]
	return v
}

// Bytes takes a length and that many bytes, at most max. The result is a part of
// the input, not a copy.
func (p *Parser) Bytes(max int) []byte {
	n := p.Uvarint()
	switch {
	case p.err != nil:
		return nil
	case max < 0 || n > uint64(max):
		p.Failf("field of %d bytes, limit %d", n, max)
		return nil
	case n > uint64(len(p.b)):
		p.Failf("field of %d bytes cut short at %d", n, len(p.b))
		return nil
	}
	return p.take(int(n), "bytes")
}

// String is Bytes that must be UTF-8, copied.
func (p *Parser) String(max int) string {
	b := p.Bytes(max)
	if !utf8.Valid(b) {
		p.Failf("text is not UTF-8")
		return ""
	}
	return string(b)
}

// Fixed takes n bytes. The result is a part of the input, not a copy, and nil
// after an error.
func (p *Parser) Fixed(n int) []byte { return p.take(n, "fixed field") }

// Into fills dst, which suits ids and other arrays: p.Into(id[:]).
func (p *Parser) Into(dst []byte) { copy(dst, p.take(len(dst), "fixed field")) }

// Rest takes everything that is left.
func (p *Parser) Rest() []byte { return p.take(len(p.b), "rest") }

// Len returns how many bytes are left, 0 after an error.
func (p *Parser) Len() int { return len(p.b) }

// Failf makes the Parser fail, for a value that the format does not allow. The
// first failure stands.
func (p *Parser) Failf(format string, args ...any) {
	if p.err == nil {
		p.err = Errorf(KindCorrupt, p.op, format, args...)
		p.b = nil
	}
}

// Err returns the first error.
func (p *Parser) Err() error { return p.err }

// Done returns the first error, or one if anything is left.
func (p *Parser) Done() error {
	if p.err == nil && len(p.b) > 0 {
		p.Failf("%d bytes after the end", len(p.b))
	}
	return p.err
}

// take returns n bytes, never nil without an error.
func (p *Parser) take(n int, what string) []byte {
	if p.err != nil {
		return nil
	}
	if n < 0 || n > len(p.b) {
		p.Failf("%s cut short: %d of %d bytes", what, len(p.b), n)
		return nil
	}
	b := p.b[:n:n]
	if b == nil {
		b = []byte{}
	}
	p.b = p.b[n:]
	return b
}

// SignedBytes returns what every signature in x0x covers:
//
//	+-----------------+--------+-----------------+-------+----
//	| length: uvarint | domain | length: uvarint | field | ...
//	+-----------------+--------+-----------------+-------+----
//
// The domain names the format and its version, so that a signature made for one
// purpose never holds for another, and the lengths keep two lists of fields from
// having the same bytes.
func SignedBytes(domain string, fields ...[]byte) []byte {
	return AppendSigned(nil, domain, fields...)
}

// AppendSigned appends SignedBytes to dst.
func AppendSigned(dst []byte, domain string, fields ...[]byte) []byte {
	if dst == nil {
		n := uvarintLen(uint64(len(domain))) + len(domain)
		for _, f := range fields {
			n += uvarintLen(uint64(len(f))) + len(f)
		}
		dst = make([]byte, 0, n)
	}
	b := Builder{dst}
	b.String(domain)
	for _, f := range fields {
		b.Bytes(f)
	}
	return b.b
}
