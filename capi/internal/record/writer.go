package record

import "encoding/binary"

// HeaderSize is sizeof(x0x_record).
const HeaderSize = 40

// Header is the fixed part of a record:
//
//	0        4     6     8               16       24       32        36           40
//	| bytes  |kind |flags| handle/token  | seq    | unix_ms | meta_len| payload_len | meta | payload | pad
//
// Numbers are little-endian and a record is padded with zeros to a multiple of 8.
type Header struct {
	Kind, Flags uint16
	ID          uint64 // token or handle
	Seq         uint64
	UnixMs      uint64
}

// Writer puts records into one buffer. The buffer is memory of the caller, which
// may be anything: the Writer never reads from it.
type Writer struct {
	buf     []byte
	n       int
	records int
	need    int
}

// NewWriter returns a Writer into buf.
func NewWriter(buf []byte) Writer { return Writer{buf: buf} }

// Meta returns an empty slice to which the meta array of the next record is to be
// appended. Its capacity is the place in the buffer where the meta will stand, so
// that appending usually writes it there; if it does not fit, append moves it to
// memory of its own and Put refuses the record.
func (w *Writer) Meta() []byte {
	at := w.n + HeaderSize
	if at >= len(w.buf) {
		return nil
	}
	return w.buf[at:at:len(w.buf)]
}

// Put completes the record whose meta was appended to Meta. It reports false, and
// leaves the Writer as it was, if the record does not fit into what is left.
func (w *Writer) Put(h Header, meta, payload []byte) bool {
	length := HeaderSize + len(meta) + len(payload)
	size := (length + 7) &^ 7
	if size > len(w.buf)-w.n {
		w.need = size
		return false
	}
	b := w.buf[w.n : w.n+size : w.n+size]
	binary.LittleEndian.PutUint32(b[0:], uint32(size))
	binary.LittleEndian.PutUint16(b[4:], h.Kind)
	binary.LittleEndian.PutUint16(b[6:], h.Flags)
	binary.LittleEndian.PutUint64(b[8:], h.ID)
	binary.LittleEndian.PutUint64(b[16:], h.Seq)
	binary.LittleEndian.PutUint64(b[24:], h.UnixMs)
	binary.LittleEndian.PutUint32(b[32:], uint32(len(meta)))
	binary.LittleEndian.PutUint32(b[36:], uint32(len(payload)))
	if len(meta) > 0 && &meta[0] != &b[HeaderSize] {
		copy(b[HeaderSize:], meta)
	}
	copy(b[HeaderSize+len(meta):], payload)
	clear(b[length:])
	w.n += size
	w.records++
	return true
}

// Bytes returns how much of the buffer is filled, Records by how many records.
func (w *Writer) Bytes() int   { return w.n }
func (w *Writer) Records() int { return w.records }

// Room returns how many bytes are left.
func (w *Writer) Room() int { return len(w.buf) - w.n }

// Need returns the size of the record that Put refused last, 0 if it refused none.
func (w *Writer) Need() int { return w.need }
