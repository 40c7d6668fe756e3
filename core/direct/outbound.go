package direct

import (
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// outbound is the half of a session that sends. A message goes
//
//	queue ──position given──▶ sent ──accepted──▶ gone
//
// and is written to the stream whenever the cursor passes its position: once as a
// rule, again after a new connection. Positions are given only at the first
// writing, so what waits needs no new number when the session starts anew.
type outbound struct {
	queue ring[*Pending]
	// sent holds positions base to next-1. An element that is done stands for a
	// message that was given up, and nil for one accepted out of order.
	sent   ring[*Pending]
	base   uint64
	next   uint64
	cursor uint64 // position to write next, base ≤ cursor ≤ next once the stream is ready

	live      int // elements of sent that are not done: what an answer is awaited for
	tombs     int // elements of queue that are done
	window    uint64
	credit    uint64    // payload bytes that the current stream may carry
	written   uint64    // payload bytes that it has carried
	voids     []uint64  // positions to declare void that were written before
	ready     bool      // messages may be written to the current stream
	answered  bool      // the peer's STATE for the current stream has come
	restarts  int       // how often startAnew was called
	bound     sessionID // the peer's session that the positions are for, once it has answered
	firstLink [16]byte  // the link that messages were first written on without an answer
	// The process at the other end of that link, and of the current one; zero if not known.
	firstProcess, process [16]byte
}

func newOutbound() outbound {
	return outbound{base: 1, next: 1, cursor: 1, window: 1 + windowMessages, credit: windowBytes}
}

// fresh reports that no position was ever given out, so that there is nothing to
// resume.
func (o *outbound) fresh() bool { return o.next == 1 }

// linkUp prepares for a new stream.
func (o *outbound) linkUp() {
	o.ready, o.answered = o.fresh(), false
	o.cursor = o.base // until STATE says more
	o.written, o.credit = 0, 0
	if o.ready {
		o.credit = windowBytes
	}
	o.voids = o.voids[:0]
}

// waiting reports that append would write something if the peer gave credit.
func (o *outbound) waiting() bool {
	return len(o.voids) > 0 || o.cursor < o.next || o.queue.len() > o.tombs
}

// appendMessages appends frames while they fit into limit bytes in all (the first
// may be larger than a whole batch). more reports that something was left for lack of space, not of
// credit.
func (o *outbound) appendMessages(dst []byte, limit int, link [16]byte) (_ []byte, more bool) {
	if !o.ready {
		return dst, false
	}
	for len(o.voids) > 0 {
		if len(dst) > 0 && len(dst)+16 > limit {
			return dst, true
		}
		dst = appendVoid(dst, o.voids[0])
		o.voids = o.voids[1:]
	}
	push := -1 // where the flags of the last message are
	for {
		var p *Pending
		if o.cursor < o.next {
			p = *o.sent.at(int(o.cursor - o.base))
			if p == nil || p.phase == done {
				if len(dst) > 0 && len(dst)+16 > limit {
					more = true
					break
				}
				dst = appendVoid(dst, o.cursor)
				o.cursor++
				continue
			}
		} else {
			for o.queue.len() > 0 && (*o.queue.at(0)).phase == done {
				o.queue.pop()
				o.tombs--
			}
			if o.queue.len() == 0 || o.next >= o.window {
				break
			}
			p = *o.queue.at(0)
		}
		n := len(p.payload)
		if p.big() {
			n = 0
		}
		if o.written+uint64(n) > o.credit {
			break
		}
		if len(dst)+n+messageHeader > limit && (len(dst) > 0 || limit < batchBytes) {
			more = true
			break
		}
		if o.cursor == o.next {
			o.queue.pop()
			if o.fresh() {
				o.firstLink, o.firstProcess = link, o.process
			}
			p.seq, p.phase = o.next, sent
			o.sent.push(p)
			o.next++
			o.live++
		}
		o.cursor++
		o.written += uint64(n)
		var flags byte
		if p.unordered {
			flags = flagUnordered
		}
		start := len(dst)
		if p.big() {
			dst = appendOffer(dst, flags, p.seq, uint64(len(p.payload)))
		} else {
			dst = appendData(dst, flags, p.seq, p.payload)
		}
		push = flagsOffset(dst, start)
	}
	if push >= 0 {
		dst[push] |= flagPush
	}
	return dst, more
}

// flagsOffset returns where the flags of the DATA or OFFER that starts at start
// are: behind the length and the type.
func flagsOffset(b []byte, start int) int {
	for b[start]&0x80 != 0 {
		start++
	}
	return start + 2
}

// accept takes note of what the peer has accepted. It fails if the peer claims
// what was never written.
func (o *outbound) accept(p positions, fx *effects) error {
	if p.accepted < o.base || p.accepted > o.next {
		return protocolError("accepted %d, but %d to %d are on their way", p.accepted, o.base, o.next)
	}
	if n := len(p.early); n > 0 && p.early[n-1] >= o.next {
		return protocolError("accepted %d, which was never sent", p.early[n-1])
	}
	for o.base < p.accepted {
		if m := o.sent.pop(); m != nil {
			o.complete(m, nil, fx)
		}
		o.base++
	}
	for _, seq := range p.early {
		e := o.sent.at(int(seq - o.base))
		if m := *e; m != nil {
			*e = nil
			o.complete(m, nil, fx)
		}
	}
	o.cursor = max(o.cursor, o.base)
	return nil
}

// allow takes the receiver's credit. It never shrinks on one stream.
func (o *outbound) allow(p positions) {
	o.window = max(o.window, p.window)
	o.credit = max(o.credit, p.credit)
}

// state takes the answer of the peer's session to OPEN, or its wish to have messages written
// again. rewind reports that a second OPEN must mark the place on the stream.
func (o *outbound) state(peer sessionID, received uint64, flags byte, p positions, fx *effects) (rewind bool, err error) {
	first := !o.answered
	o.answered = true
	// The peer's process can be the one that was first written to, and remember all: then it
	// does not know the session because nothing has arrived.
	untouched := flags&flagKeeps != 0 && o.firstProcess == o.process && o.process != [16]byte{}
	if first && !o.ready && o.bound != peer && flags&flagSame == 0 && !untouched {
		o.startAnew(fx)
		if received != 1 || p.accepted != 1 {
			return false, protocolError("a new session starts at %d", received)
		}
	}
	o.bound = peer
	if received < p.accepted || received > o.next {
		return false, protocolError("received %d of %d", received, o.next)
	}
	if err := o.accept(p, fx); err != nil {
		return false, err
	}
	o.allow(p)
	if first && o.ready {
		return false, nil // what was written behind OPEN is on its way
	}
	if received > o.cursor && !first {
		return false, protocolError("received %d, written up to %d", received, o.cursor)
	}
	o.cursor, o.ready = received, true
	o.voids = o.voids[:0]
	for seq := o.base; seq < received; seq++ {
		if m := *o.sent.at(int(seq - o.base)); m != nil && m.phase == done {
			o.voids = append(o.voids, seq)
		}
	}
	return !first, nil
}

// startAnew begins with position 1 at a peer that knows nothing of this session.
// What was written may have been accepted by a process that is gone.
func (o *outbound) startAnew(fx *effects) {
	o.restarts++
	for o.sent.len() > 0 {
		if m := o.sent.pop(); m != nil && m.phase != done {
			o.complete(m, m.failure(wire.KindDisconnected, "the peer's session is gone", nil), fx)
		}
	}
	o.base, o.next, o.cursor = 1, 1, 1
	o.live = 0
	o.window = 1 + windowMessages
	o.firstLink, o.firstProcess, o.bound = [16]byte{}, [16]byte{}, sessionID{}
	o.voids = o.voids[:0]
}

// fail gives m up, which may be anywhere on its way.
func (o *outbound) fail(m *Pending, err error, fx *effects) {
	switch m.phase {
	case done:
		return
	case queued:
		o.tombs++
	case sent:
		if o.ready && m.seq < o.cursor {
			o.voids = append(o.voids, m.seq)
		}
	}
	o.complete(m, err, fx)
}

// compact forgets what was given up before it was sent, once that is most of the
// queue: a caller that sends and cancels at a peer that takes nothing must not
// fill the memory with the remains.
func (o *outbound) compact() {
	if o.tombs > 64 && o.tombs > o.queue.len()/2 {
		o.queue.keep(func(m *Pending) bool { return m.phase != done })
		o.tombs = 0
	}
}

// complete ends m with err, or with success if it is nil.
func (o *outbound) complete(m *Pending, err error, fx *effects) {
	if m.phase == done {
		return
	}
	if m.phase == sent {
		o.live--
	}
	m.phase, m.err = done, err
	if m.out != nil {
		m.out.granted = false
		if m.out.active {
			// Its goroutine still reads the payload, which is ours until completion.
			fx.stop = append(fx.stop, m)
			return
		}
	}
	fx.completed = append(fx.completed, m)
}

// failIf gives up the messages that ok names. It returns the earliest deadline of
// the others, or 0 if there are none.
func (o *outbound) failIf(match func(*Pending) error, fx *effects) (next time.Duration) {
	visit := func(m *Pending) {
		if m == nil || m.phase == done {
			return
		}
		if err := match(m); err != nil {
			o.fail(m, err, fx)
		} else if next == 0 || m.deadline < next {
			next = m.deadline
		}
	}
	for i := range o.sent.len() {
		visit(*o.sent.at(i))
	}
	for i := range o.queue.len() {
		visit(*o.queue.at(i))
	}
	o.compact()
	return next
}

// grant takes the peer's leave to send a body from offset on. It reports whether
// there is something to send.
func (o *outbound) grant(seq, offset uint64, fx *effects) error {
	if seq >= o.next {
		return protocolError("grant for %d, which was never sent", seq)
	}
	if seq < o.base {
		return nil
	}
	m := *o.sent.at(int(seq - o.base))
	if m == nil || m.phase == done {
		return nil // VOID is on its way
	}
	if !m.big() || offset >= uint64(len(m.payload)) {
		return protocolError("grant for %d from byte %d", seq, offset)
	}
	m.out.offset, m.out.granted = offset, true
	fx.send = append(fx.send, m)
	return nil
}
