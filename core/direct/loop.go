package direct

import (
	"bytes"

	"github.com/saorsa-labs/x0x-go/core/trust"
)

// loop delivers messages that an agent sends to itself: the two halves of its
// session with itself are joined without streams.
func (p *peer) loop() {
	var fx effects
	at := p.m.wall().UnixNano()
	p.lock()
	for {
		before := p.s.out.next
		p.s.loop(at, &fx)
		p.deliver(trust.Accept, false, &fx)
		p.s.loopAccept(&fx)
		if p.s.out.next == before {
			break
		}
	}
	p.unlock(&fx)
}

// loop moves messages from one half to the other, within the window.
func (s *session) loop(at int64, fx *effects) {
	o, in := &s.out, &s.in
	in.opened, in.peer = true, s.local
	in.window = in.base + windowMessages
	o.ready = true
	for _, seq := range o.voids {
		in.void(seq, fx) // cannot fail: the position is there
	}
	o.voids = o.voids[:0]
	for o.queue.len() > 0 && o.next < in.window {
		m := *o.queue.at(0)
		if m.phase != done && in.bytes > 0 && in.bytes+len(m.payload) > windowBytes {
			break
		}
		o.queue.pop()
		if m.phase == done {
			o.tombs--
			continue
		}
		m.seq, m.phase = o.next, sent
		o.sent.push(m)
		o.next++
		o.cursor = o.next
		o.live++
		in.slots.push(slot{state: ready, unordered: m.unordered, payload: bytes.Clone(m.payload), at: at})
		in.next++
		in.bytes += len(m.payload)
		if m.unordered {
			in.overtake = append(in.overtake, m.seq)
		}
	}
}

// loopAccept completes what the inbox has taken.
func (s *session) loopAccept(fx *effects) {
	s.out.accept(positions{accepted: s.in.base, early: s.in.earlyAccepted()}, fx) // its own numbers are right
	s.in.early = s.in.early[:0]
}
