package direct

import "slices"

// inbound is the half of a session that receives. Positions move through it as
//
//	       accepted           received
//	──────────┤ base            ┤ next
//	  in the  │  waiting here:  │  not yet
//	  inbox   │  the room       │  on the stream
//
// A message waits while the inbox is full or while an earlier one is incomplete,
// and is acknowledged when the inbox takes it.
type inbound struct {
	peer    sessionID // zero until the peer's first OPEN
	base    uint64
	next    uint64
	slots   ring[slot] // positions base to next-1
	bytes   int        // payloads in slots that came on the message stream
	offered uint64     // next ordered position to hand to the inbox
	// overtake lists unordered messages that are complete and not accepted: these
	// do not wait for what is before them.
	overtake []uint64
	pushing  []uint64 // handed to the inbox, which has not answered
	gen      uint64   // changes when the session starts anew

	streamBytes uint64 // payload bytes read from the current stream
	window      uint64 // as last told to the peer
	credit      uint64

	opened    bool // the peer's OPEN on the current stream was read
	stateDue  bool
	keeps     bool // this process has never forgotten a session of the peer's
	same      bool // see session.same; as it was when the peer's session was first met
	ackDue    bool
	pushed    bool     // the sender waits for an answer
	fresh     int      // accepted since the last ACK
	freshSize int      // their bytes
	early     []uint64 // of these, those above base

	// refuse drops messages: the sender is blocked, or the common room is full.
	// From the first dropped one on all are, until the peer has begun again.
	refuse    bool
	blocked   bool
	dropping  bool
	rewinding bool // STATE was sent to make the peer begin again

	grants []*inBody // to announce
	bodies int       // slots that wait for a body or hold one

	dropped, duplicates uint64
}

type slotState uint8

const (
	incomplete slotState = iota // the body is on its way
	ready
	taken // accepted
	void
)

type slot struct {
	state     slotState
	unordered bool
	pushing   bool
	payload   []byte
	body      *inBody
	at        int64 // when it was complete, Unix nanoseconds
}

func newInbound() inbound {
	return inbound{base: 1, next: 1, offered: 1, window: 1 + windowMessages, credit: windowBytes}
}

func (in *inbound) linkUp() {
	in.opened, in.stateDue, in.ackDue = false, false, false
	in.dropping, in.rewinding = false, false
	in.streamBytes = 0
	in.credit = in.room() // less what waits here still: links that come and go must not fill the memory
	in.early = in.early[:0]
	in.grants = in.grants[:0]
	for i := range in.slots.len() {
		if b := in.slots.at(i).body; b != nil {
			b.announced = false
		}
	}
}

// open takes the peer's OPEN. The first on a stream is to be answered by STATE; a
// later one ends dropping. started reports that a session was replaced.
func (in *inbound) open(o *openFrame, same bool, fx *effects) (replaced bool, err error) {
	if in.opened {
		if o.session != in.peer || !in.rewinding {
			return false, protocolError("OPEN twice")
		}
		in.rewinding, in.dropping = false, false
		return false, nil
	}
	in.opened = true
	in.stateDue = true
	if o.session != in.peer {
		replaced = in.peer != sessionID{}
		in.startAnew(o.session, fx)
		in.same = same
	}
	in.regrant()
	return replaced, nil
}

// regrant lists the bodies for which room is held and no stream is under way.
func (in *inbound) regrant() {
	in.grants = in.grants[:0]
	for i := range in.slots.len() {
		if b := in.slots.at(i).body; b != nil {
			in.announce(b)
		}
	}
}

// announce makes GRANT due for b if it can be.
func (in *inbound) announce(b *inBody) {
	if in.opened && b.granted && !b.announced && !b.active && !b.dead && b.have < b.size {
		b.announced = true
		in.grants = append(in.grants, b)
	}
}

// startAnew forgets a session: what waits here was never acknowledged, and who
// sent it is gone.
func (in *inbound) startAnew(peer sessionID, fx *effects) {
	for in.slots.len() > 0 {
		s := in.slots.pop()
		in.drop(&s, fx)
	}
	fresh := newInbound()
	fresh.peer, fresh.gen, fresh.keeps = peer, in.gen+1, in.keeps
	fresh.opened, fresh.stateDue = in.opened, in.stateDue
	fresh.refuse, fresh.blocked = in.refuse, in.blocked
	fresh.dropped, fresh.duplicates = in.dropped, in.duplicates
	*in = fresh
}

// drop frees what a slot holds.
func (in *inbound) drop(s *slot, fx *effects) {
	if b := s.body; b != nil {
		in.bodies--
		b.dead = true
		if b.active {
			fx.unread = append(fx.unread, b)
		} else {
			b.buf = nil
			fx.release(b)
		}
		s.body = nil
	} else {
		in.bytes -= len(s.payload)
	}
	s.payload = nil
}

// position checks a new message's number. skip reports that the message is to be
// dropped without an error.
func (in *inbound) position(seq uint64) (skip bool, err error) {
	if !in.opened {
		return false, protocolError("message before OPEN")
	}
	if seq >= in.window {
		return false, protocolError("message %d, window ends at %d", seq, in.window)
	}
	if in.refuse {
		in.dropping = true
	}
	switch {
	case in.dropping:
		in.dropped++
		return true, nil
	case seq < in.next:
		in.duplicates++
		return true, nil
	case seq > in.next:
		return false, protocolError("message %d, expected %d", seq, in.next)
	}
	return false, nil
}

// data takes a message from the stream. The payload is kept.
func (in *inbound) data(f *frame, at int64) error {
	in.streamBytes += uint64(len(f.payload))
	if in.streamBytes > in.credit {
		return protocolError("%d bytes, credit is %d", in.streamBytes, in.credit)
	}
	if f.flags&flagPush != 0 {
		in.pushed = true
	}
	if skip, err := in.position(f.seq); skip || err != nil {
		return err
	}
	unordered := f.flags&flagUnordered != 0
	in.slots.push(slot{state: ready, unordered: unordered, payload: f.payload, at: at})
	in.next++
	in.bytes += len(f.payload)
	if unordered {
		in.overtake = append(in.overtake, f.seq)
	}
	return nil
}

// offer takes the announcement of a body.
func (in *inbound) offer(f *frame, maxBody int, fx *effects) error {
	if f.size == 0 || f.size > uint64(maxBody) {
		return protocolError("body of %d bytes, limit %d", f.size, maxBody)
	}
	if f.flags&flagPush != 0 {
		in.pushed = true
	}
	if skip, err := in.position(f.seq); skip || err != nil {
		return err
	}
	b := &inBody{seq: f.seq, size: int(f.size), asked: true}
	in.slots.push(slot{unordered: f.flags&flagUnordered != 0, body: b})
	in.next++
	in.bodies++
	fx.ask = append(fx.ask, b)
	return nil
}

// void fills a position whose message was given up.
func (in *inbound) void(seq uint64, fx *effects) error {
	in.pushed = true
	if seq >= in.next {
		if skip, err := in.position(seq); skip || err != nil {
			return err
		}
		in.slots.push(slot{state: void})
		in.next++
	} else if seq >= in.base {
		s := in.slots.at(int(seq - in.base))
		if s.pushing || s.state == taken || s.state == void {
			return nil
		}
		in.drop(s, fx)
		s.state = void
	}
	in.fresh++
	in.advance()
	return nil
}

// advance moves base over what is settled.
func (in *inbound) advance() {
	for in.slots.len() > 0 {
		if s := in.slots.at(0); s.state != taken && s.state != void {
			break
		}
		in.slots.pop()
		in.base++
	}
	in.offered = max(in.offered, in.base)
}

// take appends up to limit messages that the inbox may have now. The caller must
// report with settle how many it took before calling take again.
func (in *inbound) take(dst []Message, limit int) []Message {
	if in.blocked || len(in.pushing) > 0 {
		return dst
	}
	if len(in.overtake) > 0 {
		kept := in.overtake[:0]
		for _, seq := range in.overtake { // those voided since are gone
			if seq >= in.base && in.slots.at(int(seq-in.base)).state == ready {
				kept = append(kept, seq)
			}
		}
		in.overtake = kept
		for _, seq := range kept {
			if len(dst) == limit {
				return dst
			}
			dst = in.hand(dst, seq)
		}
	}
	for in.offered < in.next && len(dst) < limit {
		s := in.slots.at(int(in.offered - in.base))
		if !s.unordered && s.state == incomplete {
			break
		}
		if !s.unordered && s.state == ready {
			dst = in.hand(dst, in.offered)
		}
		in.offered++
	}
	return dst
}

func (in *inbound) hand(dst []Message, seq uint64) []Message {
	s := in.slots.at(int(seq - in.base))
	s.pushing = true
	in.pushing = append(in.pushing, seq)
	return append(dst, Message{Payload: s.payload, Sequence: seq, at: s.at})
}

// settle notes that the first n of the messages handed out by take are in the
// inbox. gen is that of the time of take.
func (in *inbound) settle(n int, gen uint64, fx *effects) {
	if gen != in.gen {
		return
	}
	for i, seq := range in.pushing {
		s := in.slots.at(int(seq - in.base))
		s.pushing = false
		if i >= n {
			if !s.unordered {
				in.offered = min(in.offered, seq)
			}
			continue
		}
		in.freshSize += len(s.payload)
		in.drop(s, fx)
		s.state = taken
		if s.unordered {
			in.overtake = in.overtake[1:]
		}
	}
	for _, seq := range in.pushing[:n] {
		if in.slots.len() > 0 && seq > in.base {
			in.early = append(in.early, seq)
		}
		if seq == in.base {
			in.advance()
		}
	}
	in.pushing = in.pushing[:0]
	in.fresh += n
}

// due decides whether to acknowledge now: when the sender has nothing more to
// write, so that nobody waits and no timer is needed, or has used up a good part
// of its credit.
func (in *inbound) due() {
	if !in.opened || in.blocked {
		return
	}
	if in.fresh > 0 && (in.pushed || in.fresh >= windowMessages/4 || in.freshSize >= windowBytes/4) {
		in.ackDue = true
	}
	if in.dropping {
		in.rewind()
		return
	}
	if in.window-in.next < windowMessages/2 && in.base+windowMessages > in.window ||
		in.credit-in.streamBytes < windowBytes/2 && in.room() > in.credit {
		in.ackDue = true
	}
}

// rewind asks for what was dropped once there is room for it, and once the STATE
// that answers OPEN is out.
func (in *inbound) rewind() {
	if in.dropping && !in.refuse && !in.rewinding && !in.stateDue {
		in.rewinding, in.stateDue = true, true
	}
}

// room returns how many bytes the stream may carry in all for now.
func (in *inbound) room() uint64 {
	return in.streamBytes + uint64(max(0, windowBytes-in.bytes))
}

// waiting reports that appendControl would write something.
func (in *inbound) waiting() bool { return in.stateDue || in.ackDue || len(in.grants) > 0 }

// appendControl appends STATE or ACK, and GRANT.
func (in *inbound) appendControl(dst []byte) []byte {
	if in.stateDue || in.ackDue {
		if !in.blocked && !(in.dropping && in.refuse) {
			in.window = max(in.window, in.base+windowMessages)
			in.credit = max(in.credit, in.room())
		}
		pos := positions{accepted: in.base, window: in.window, credit: in.credit}
		if in.stateDue {
			for i := range in.slots.len() {
				if in.slots.at(i).state == taken {
					pos.early = append(pos.early, in.base+uint64(i))
				}
			}
			var flags byte
			if in.same {
				flags = flagSame
			}
			if in.keeps {
				flags |= flagKeeps
			}
			dst = appendState(dst, in.peer, flags, in.next, pos)
		} else {
			pos.early = in.earlyAccepted()
			dst = appendAck(dst, pos)
		}
		in.stateDue, in.ackDue = false, false
		in.fresh, in.freshSize = 0, 0
		in.early = in.early[:0]
		in.pushed = in.base < in.next
		in.rewind()
	}
	for _, b := range in.grants {
		if !b.dead {
			dst = appendGrant(dst, b.seq, uint64(b.have))
		}
	}
	in.grants = in.grants[:0]
	return dst
}

// earlyAccepted returns the positions above base accepted since the last ACK.
func (in *inbound) earlyAccepted() []uint64 {
	if len(in.early) == 0 {
		return nil
	}
	slices.Sort(in.early)
	i, _ := slices.BinarySearch(in.early, in.base)
	return in.early[i:]
}
