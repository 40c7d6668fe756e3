package bindings

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Record is one record of a queue, as x0x.h draws it. Meta and Payload are copies.
type Record struct {
	Kind, Flags uint16
	ID          uint64 // the token of a completion, otherwise the handle
	Seq, UnixMs uint64
	Meta        []byte // MessagePack array
	Payload     []byte
}

const recordHeader = 40

// parseRecord reads the first record of b and returns what follows it.
//
//	0        4     6     8               16       24       32        36           40
//	| bytes  |kind |flags| handle/token  | seq    | unix_ms | meta_len| payload_len | meta | payload | pad
func parseRecord(b []byte) (r Record, rest []byte, err error) {
	if len(b) < recordHeader {
		return r, nil, fmt.Errorf("record of %d bytes", len(b))
	}
	le := binary.LittleEndian
	size, meta, payload := uint64(le.Uint32(b)), uint64(le.Uint32(b[32:])), uint64(le.Uint32(b[36:]))
	if size%8 != 0 || size > uint64(len(b)) || recordHeader+meta+payload > size {
		return r, nil, fmt.Errorf("record of %d bytes with %d of meta and %d of payload, in %d", size, meta, payload, len(b))
	}
	body := b[recordHeader:size]
	return Record{
		Kind: le.Uint16(b[4:]), Flags: le.Uint16(b[6:]),
		ID: le.Uint64(b[8:]), Seq: le.Uint64(b[16:]), UnixMs: le.Uint64(b[24:]),
		Meta: bytes.Clone(body[:meta]), Payload: bytes.Clone(body[meta : meta+payload]),
	}, b[size:], nil
}
