package direct

import (
	"encoding/binary"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// The frames on a message stream. Each stands in a frame of package wire (length,
// type, body); integers are shortest-form uvarints unless a width is given, and a
// session id is 16 bytes.
//
//	OPEN   version:1 ‖ session ‖ link:16
//	STATE  session ‖ flags:1 ‖ received ‖ positions
//	ACK    positions
//	DATA   flags:1 ‖ seq ‖ payload
//	OFFER  flags:1 ‖ seq ‖ size
//	VOID   seq
//	GRANT  seq ‖ offset
//	FLUSH
//	FLUSHED
//
//	positions = accepted ‖ window ‖ credit ‖ count ‖ count × gap
//
// OPEN is the first frame of a stream: which session speaks, and the link on which it
// first wrote messages (zeroes: it has not). Later on the same stream it marks the place
// from which messages are written again.
//
// STATE answers an OPEN: the session that it answers, whether positions given before
// any answer came can only be meant for this side, the next position that it expects
// on the stream, and how far it has accepted. One more STATE asks for everything from
// received on to be written again.
//
// accepted is the first position that was not yet accepted; the gaps list, in
// rising order, positions above it that were: the first counts from accepted, each
// other from the one before, less 1. window is the first position that the
// receiver has no room for, and credit the number of payload bytes that this
// stream may carry in all.
//
// DATA, OFFER and VOID take positions 1, 2, 3 … of a session. VOID fills the
// position of a message that was given up, also of one written before.
//
// FLUSH asks for FLUSHED, which says that everything before FLUSH was handled: whoever
// closes waits for it, so that its last acknowledgements are not lost with the link.
const (
	frameOpen byte = 1 + iota
	frameState
	frameAck
	frameData
	frameOffer
	frameVoid
	frameGrant
	frameFlush
	frameFlushed
)

const protocolVersion = 1

const (
	flagUnordered byte = 1 << 0 // may overtake what is before it
	flagPush      byte = 1 << 1 // nothing follows at once: acknowledge now
	flagsMessage       = flagUnordered | flagPush

	flagSame   byte = 1 << 0 // STATE: nobody but this session ever received any of what it answers
	flagKeeps  byte = 1 << 1 // STATE: this process has never forgotten a session of the peer's
	flagsState      = flagSame | flagKeeps
)

const (
	// maxInline is the largest payload that travels on the message stream.
	maxInline = 256 << 10
	// maxFrame bounds a frame's body: the payload, its flags and its number. It is
	// what a peer can make a reader hold for one frame.
	maxFrame = maxInline + 16
	// maxGaps bounds the list of positions accepted out of order, and so the work
	// that one frame can ask for.
	maxGaps = windowMessages
)

type sessionID [16]byte

// positions is what a receiver tells about the messages it gets.
type positions struct {
	accepted uint64
	window   uint64
	credit   uint64
	early    []uint64 // accepted out of order, rising, above accepted
}

// frame is any frame, parsed. It is small, since busy streams handle hundreds at a
// time, and nearly all of them are DATA. Payload is a part of the parsed bytes.
type frame struct {
	typ   byte
	flags byte
	// seq is the position of DATA, OFFER, VOID and GRANT, and received of STATE.
	seq     uint64
	size    uint64 // OFFER: size; GRANT: offset
	payload []byte
	open    *openFrame // OPEN and STATE
	pos     *positions // STATE and ACK
}

// openFrame holds the ids of OPEN; STATE uses session alone.
type openFrame struct {
	session sessionID
	link    [16]byte
}

func appendOpen(dst []byte, o openFrame) []byte {
	var b [1 + 16 + 16]byte
	b[0] = protocolVersion
	copy(b[1:], o.session[:])
	copy(b[17:], o.link[:])
	return wire.AppendFrame(dst, frameOpen, b[:])
}

func appendState(dst []byte, session sessionID, flags byte, received uint64, p positions) []byte {
	body := make([]byte, 0, 64+2*len(p.early))
	body = append(body, session[:]...)
	body = append(body, flags)
	body = binary.AppendUvarint(body, received)
	body = appendPositions(body, p)
	return wire.AppendFrame(dst, frameState, body)
}

func appendAck(dst []byte, p positions) []byte {
	var scratch [64]byte
	return wire.AppendFrame(dst, frameAck, appendPositions(scratch[:0], p))
}

func appendPositions(b []byte, p positions) []byte {
	b = binary.AppendUvarint(b, p.accepted)
	b = binary.AppendUvarint(b, p.window)
	b = binary.AppendUvarint(b, p.credit)
	b = binary.AppendUvarint(b, uint64(len(p.early)))
	from := p.accepted
	for _, seq := range p.early {
		b = binary.AppendUvarint(b, seq-from-1)
		from = seq
	}
	return b
}

// messageHeader is the most that DATA adds to its payload: length, type, flags and
// number.
const messageHeader = 4 + 1 + 1 + 10

func appendData(dst []byte, flags byte, seq uint64, payload []byte) []byte {
	var head [11]byte
	head[0] = flags
	n := 1 + binary.PutUvarint(head[1:], seq)
	return wire.AppendFrame(dst, frameData, head[:n], payload)
}

func appendOffer(dst []byte, flags byte, seq, size uint64) []byte {
	var b [21]byte
	b[0] = flags
	n := 1 + binary.PutUvarint(b[1:], seq)
	n += binary.PutUvarint(b[n:], size)
	return wire.AppendFrame(dst, frameOffer, b[:n])
}

func appendVoid(dst []byte, seq uint64) []byte {
	var b [10]byte
	n := binary.PutUvarint(b[:], seq)
	return wire.AppendFrame(dst, frameVoid, b[:n])
}

func appendGrant(dst []byte, seq, offset uint64) []byte {
	var b [20]byte
	n := binary.PutUvarint(b[:], seq)
	n += binary.PutUvarint(b[n:], offset)
	return wire.AppendFrame(dst, frameGrant, b[:n])
}

// maxSeq bounds numbers from a peer so that sums with them never wrap.
const maxSeq = 1 << 62

// parseFrame parses one frame's body. Its errors have wire.KindCorrupt.
func parseFrame(typ byte, body []byte) (frame, error) {
	f := frame{typ: typ}
	if typ == frameData && len(body) >= 2 { // nearly all frames
		f.flags = body[0]
		seq, n := wire.Uvarint(body[1:])
		if n > 0 && f.flags&^flagsMessage == 0 && seq > 0 && seq < maxSeq {
			f.seq = seq
			f.payload = body[1+n:]
			return f, nil
		}
	}
	p := wire.NewParser("direct frame", body)
	switch typ {
	case frameOpen:
		f.open = new(openFrame)
		if v := p.U8(); p.Err() == nil && v != protocolVersion {
			p.Failf("version %d", v)
		}
		p.Into(f.open.session[:])
		p.Into(f.open.link[:])
		if p.Err() == nil && f.open.session == (sessionID{}) {
			p.Failf("session of zeroes")
		}
	case frameState:
		f.open = new(openFrame)
		p.Into(f.open.session[:])
		f.flags = parseFlags(p, flagsState)
		f.seq = parseSeq(p)
		f.pos = parsePositions(p)
	case frameAck:
		f.pos = parsePositions(p)
	case frameData:
		f.flags = parseFlags(p, flagsMessage)
		f.seq = parseSeq(p)
		f.payload = p.Rest()
	case frameOffer:
		f.flags = parseFlags(p, flagsMessage)
		f.seq = parseSeq(p)
		f.size = p.Uvarint()
	case frameVoid:
		f.seq = parseSeq(p)
	case frameGrant:
		f.seq = parseSeq(p)
		f.size = p.Uvarint()
	case frameFlush, frameFlushed:
	default:
		p.Failf("unknown type %d", typ)
	}
	return f, p.Done()
}

func parseFlags(p *wire.Parser, known byte) byte {
	flags := p.U8()
	if flags&^known != 0 {
		p.Failf("unknown flags %#x", flags)
	}
	return flags
}

func parseSeq(p *wire.Parser) uint64 {
	seq := p.Uvarint()
	if p.Err() == nil && (seq == 0 || seq >= maxSeq) {
		p.Failf("position %d", seq)
	}
	return seq
}

func parsePositions(p *wire.Parser) *positions {
	pos := new(positions)
	pos.accepted = parseSeq(p)
	pos.window = p.Uvarint()
	pos.credit = p.Uvarint()
	n := p.Uvarint()
	if n > maxGaps || n > uint64(p.Len()) {
		p.Failf("%d positions in %d bytes", n, p.Len())
	}
	if p.Err() != nil || n == 0 {
		return pos
	}
	pos.early = make([]uint64, 0, n)
	from := pos.accepted
	for range n {
		gap := p.Uvarint()
		if gap >= maxSeq-from {
			p.Failf("gap %d", gap)
		}
		if p.Err() != nil {
			return nil
		}
		from += gap + 1
		pos.early = append(pos.early, from)
	}
	return pos
}

// A body stream carries one large payload, or the rest of it:
//
//	+------------+--------+-----------+----------+---------------+
//	| session:16 | seq:u64| offset:u64| total:u64| total − offset |
//	+------------+--------+-----------+----------+---------------+
type bodyHeader struct {
	session            sessionID
	seq, offset, total uint64
}

const bodyHeaderSize = 16 + 3*8

func appendBodyHeader(dst []byte, h bodyHeader) []byte {
	return wire.NewBuilder(dst).Fixed(h.session[:]).U64(h.seq).U64(h.offset).U64(h.total).Build()
}

func parseBodyHeader(b []byte) (h bodyHeader, err error) {
	p := wire.NewParser("direct body", b)
	p.Into(h.session[:])
	h.seq, h.offset, h.total = p.U64(), p.U64(), p.U64()
	if p.Err() == nil && (h.seq == 0 || h.seq >= maxSeq || h.total >= maxSeq || h.offset >= h.total) {
		p.Failf("position %d, bytes %d of %d", h.seq, h.offset, h.total)
	}
	return h, p.Done()
}
