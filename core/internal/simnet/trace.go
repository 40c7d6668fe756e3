package simnet

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"hash/crc32"
)

// trace hashes records of 32 bytes:
//
//	0        8    9     10  12     16   20      24        28   32
//	| time   |kind|class| 0 | from | to | bytes | content | 0  |
//
// all little-endian: time in ns since the start, content the CRC-32C of the
// frame or 0. The CRC is there to notice a difference, not an adversary.
type trace struct {
	content bool
	hash    hash.Hash
	buf     []byte // records not hashed yet
}

const (
	traceRecord = 32
	traceBatch  = 128 * traceRecord // hashing in batches costs a third less
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newTrace(content bool) trace {
	return trace{content: content, hash: sha256.New(), buf: make([]byte, 0, traceBatch)}
}

func (t *trace) add(at int64, kind eventKind, class int, from, to int32, frame []byte) {
	var content uint32
	if t.content {
		content = crc32.Checksum(frame, castagnoli)
	}
	t.record(at, kind, class, from, to, uint32(len(frame)), content)
}

func (t *trace) record(at int64, kind eventKind, class int, from, to int32, n, content uint32) {
	if len(t.buf) == traceBatch {
		t.hash.Write(t.buf)
		t.buf = t.buf[:0]
	}
	i := len(t.buf)
	t.buf = t.buf[:i+traceRecord]
	r := t.buf[i:]
	binary.LittleEndian.PutUint64(r[0:], uint64(at))
	binary.LittleEndian.PutUint64(r[8:], uint64(kind)|uint64(class)<<8|uint64(uint32(from))<<32)
	binary.LittleEndian.PutUint64(r[16:], uint64(uint32(to))|uint64(n)<<32)
	binary.LittleEndian.PutUint64(r[24:], uint64(content))
}

func (t *trace) sum() (h [32]byte) {
	t.hash.Write(t.buf)
	t.buf = t.buf[:0]
	t.hash.Sum(h[:0])
	return h
}

// Trace returns a hash over all that has happened so far: every call of a Node
// and every change to the network, with its time, its kind, who, to whom and
// how many bytes. Two runs with the same trace did the same.
func (n *Net) Trace() [32]byte { return n.trace.sum() }
