package direct

import "sync/atomic"

// inBody is a large payload that is being received. It waits for room, is
// announced to the sender by GRANT, and arrives on a stream of its own, or on
// several if links are lost; it then waits in its slot like any message.
type inBody struct {
	peer *peer
	seq  uint64
	size int
	have int
	buf  []byte

	stream    ReceiveStream // of the goroutine that reads it
	asked     bool          // room was asked for, or is held
	granted   bool          // room is held
	announced bool          // GRANT was written on the current stream
	active    bool          // a goroutine reads it
	dead      bool          // given up
	revoked   bool          // must begin again: the room was taken back
	got       atomic.Int64  // bytes that came, counted while they do
	seen      int64         // got, when the room's keeper last looked; -1 at first

	share    *share // who is charged for the room; guarded by room.mu, as are
	stranger bool   // which part of the room
	held     bool   // that it is held
}

// grant notes that room is held for b.
func (in *inbound) grant(b *inBody) {
	b.granted, b.seen = true, -1
	in.announce(b)
}

// startBody finds the body that a stream is for.
func (in *inbound) startBody(h bodyHeader) (*inBody, error) {
	if !in.opened || h.session != in.peer {
		return nil, protocolError("body of another session")
	}
	if h.seq < in.base || h.seq >= in.next {
		return nil, protocolError("body of message %d, which is not expected", h.seq)
	}
	b := in.slots.at(int(h.seq - in.base)).body
	switch {
	case b == nil || !b.granted || !b.announced || b.active:
		return nil, protocolError("body of message %d, which was not granted", h.seq)
	case h.total != uint64(b.size) || h.offset != uint64(b.have):
		return nil, protocolError("body of message %d at byte %d of %d, expected %d of %d", h.seq, h.offset, h.total, b.have, b.size)
	}
	b.active = true
	return b, nil
}

// endBody notes that b's stream has ended, with b.have bytes there.
func (in *inbound) endBody(b *inBody, at int64, fx *effects) {
	b.active, b.stream = false, nil
	switch {
	case b.dead:
		b.buf = nil
		fx.release(b)
	case b.revoked:
		in.restart(b, fx)
	case b.have == b.size:
		s := in.slots.at(int(b.seq - in.base))
		s.state, s.payload, s.at = ready, b.buf, at
		if s.unordered {
			in.overtake = append(in.overtake, b.seq)
		}
		b.buf = nil
	default:
		// A new link came meanwhile, or this stream was for an earlier grant and the one
		// for the latest was refused while it was read.
		b.announced = false
		in.announce(b)
	}
}

// revoke takes the room of b back; what has come of it is thrown away.
func (in *inbound) revoke(b *inBody, fx *effects) {
	if b.dead || !b.granted {
		return
	}
	s := in.slots.at(int(b.seq - in.base))
	if s.pushing {
		return
	}
	b.revoked = true
	if b.active {
		fx.unread = append(fx.unread, b)
		return
	}
	s.state, s.payload = incomplete, nil
	in.restart(b, fx)
}

func (in *inbound) restart(b *inBody, fx *effects) {
	fx.release(b)
	b.buf, b.have = nil, 0
	b.got.Store(0)
	b.asked, b.granted, b.announced, b.revoked = false, false, false, false
	if !in.blocked {
		b.asked = true
		fx.ask = append(fx.ask, b)
	}
}

// block stops or resumes the taking of messages. A blocked sender holds no room
// for bodies.
func (in *inbound) block(blocked bool, fx *effects) {
	if blocked == in.blocked {
		return
	}
	in.blocked = blocked
	if in.bodies == 0 {
		return
	}
	for i := range in.slots.len() {
		b := in.slots.at(i).body
		switch {
		case b == nil:
		case blocked:
			in.revoke(b, fx)
		case !b.asked:
			b.asked = true
			fx.ask = append(fx.ask, b)
		}
	}
}
