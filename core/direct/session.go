package direct

import (
	"fmt"
	"slices"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// session is both halves of the conversation with one peer: a state machine
// without I/O, clock or lock. Frames read go in by handle; frames to write come
// out by produce; what else is to be done comes out in effects.
//
// Its numbers live for as long as the session does; streams come and go with
// links, and each begins with
//
//	us                         peer
//	OPEN ───────────────────▶
//	     ◀─────────────────── OPEN
//	     ◀─────────────────── STATE  "I have received up to n"
//	DATA n … ───────────────▶
//
// A session that has never written a message does not wait for STATE: there is
// nothing to go on from.
type session struct {
	local   sessionID
	maxBody int

	linked         bool
	opened         bool        // our OPEN was written on the current stream
	mark           bool        // OPEN is due again, to mark a rewind
	flush, flushed bool        // FLUSH and FLUSHED are due
	link           [16]byte    // the current link
	links          [8][16]byte // the last links, newest first: see same

	told sessionID // the peer's session that a reset was told of

	out outbound
	in  inbound
}

// effects is what a step of the session asks its driver to do once the lock is
// released. A driver may keep one and reset it after use.
type effects struct {
	completed []*Pending // to be told to their senders
	send      []*Pending // bodies to start sending
	stop      []*Pending // bodies to stop sending; they complete when that is done
	ask       []*inBody  // bodies that want room
	free      []*inBody  // bodies that give their room back
	unread    []*inBody  // bodies to stop reading
	reset     bool       // the peer's session, or ours at the peer, is a new one
	resumed   bool       // the session goes on after an earlier link
	flushed   bool       // the peer has handled everything up to our FLUSH
}

func (fx *effects) release(b *inBody) {
	if b.asked {
		fx.free = append(fx.free, b)
	}
}

func protocolError(format string, args ...any) error {
	return &wire.Error{Kind: wire.KindCorrupt, Op: "direct", Msg: fmt.Sprintf(format, args...)}
}

func newSession(local sessionID, maxBody int) session {
	return session{local: local, maxBody: maxBody, out: newOutbound(), in: newInbound()}
}

// linkUp begins a new stream in each direction on a link.
func (s *session) linkUp(link [16]byte) {
	s.linked, s.opened, s.mark = true, false, false
	s.flush, s.flushed = false, false
	s.link = link
	if !slices.Contains(s.links[:], link) {
		copy(s.links[1:], s.links[:])
		s.links[0] = link
	}
	s.out.linkUp()
	s.in.linkUp()
}

func (s *session) linkDown() {
	s.linked, s.out.ready = false, false
}

// awaits reports that an answer is due, without which the link is to be doubted.
func (s *session) awaits() bool {
	return s.linked && (s.out.live > 0 || s.opened && !s.out.answered)
}

// wants reports that produce may have something to write.
func (s *session) wants() bool {
	return s.linked && (s.in.waiting() || s.mark || s.flush || s.flushed || s.out.waiting() && (!s.opened || s.out.ready))
}

// produce appends frames to dst while they fit into limit bytes in all. more
// reports that some were left for lack of space.
func (s *session) produce(dst []byte, limit int) (_ []byte, more bool) {
	if !s.wants() {
		return dst, false
	}
	if !s.opened || s.mark {
		dst = appendOpen(dst, openFrame{session: s.local, link: s.out.firstLink})
		s.opened, s.mark = true, false
	}
	dst = s.in.appendControl(dst)
	if s.flush {
		dst, s.flush = wire.AppendFrame(dst, frameFlush), false
	}
	if s.flushed {
		dst, s.flushed = wire.AppendFrame(dst, frameFlushed), false
	}
	return s.out.appendMessages(dst, limit, s.link)
}

// handle takes one frame that was read from the peer's stream at the time at. An
// error means that the peer breaks the protocol, and the link must go.
func (s *session) handle(f *frame, at int64, fx *effects) error {
	if !s.in.opened && f.typ != frameOpen {
		return protocolError("frame %d before OPEN", f.typ)
	}
	if !s.out.answered && (f.typ == frameAck || f.typ == frameGrant) {
		return protocolError("frame %d before STATE", f.typ)
	}
	switch f.typ {
	case frameData:
		return s.in.data(f, at)
	case frameAck:
		if err := s.out.accept(*f.pos, fx); err != nil {
			return err
		}
		s.out.allow(*f.pos)
	case frameOpen:
		replaced, err := s.in.open(f.open, s.same(f.open), fx)
		if err != nil {
			return err
		}
		if replaced {
			s.links = [8][16]byte{s.link} // what the old process was sent says nothing of the new one
			s.reset(fx)
		}
	case frameState:
		if f.open.session != s.local {
			return protocolError("STATE for another session")
		}
		restarts := s.out.restarts
		rewind, err := s.out.state(s.in.peer, f.seq, f.flags, *f.pos, fx)
		if err != nil {
			return err
		}
		if s.out.restarts != restarts {
			s.reset(fx)
		}
		s.mark = s.mark || rewind
		fx.resumed = !rewind && s.links[1] != [16]byte{} // the first STATE on a later link
	case frameOffer:
		return s.in.offer(f, s.maxBody, fx)
	case frameVoid:
		return s.in.void(f.seq, fx)
	case frameGrant:
		return s.out.grant(f.seq, f.size, fx)
	case frameFlush:
		s.flushed = true
	case frameFlushed:
		fx.flushed = true
	}
	return nil
}

// reset tells, once for each, that the peer's session is another one than before.
func (s *session) reset(fx *effects) {
	if s.told != s.in.peer {
		s.told = s.in.peer
		fx.reset = true
	}
}

// same reports that this session was there when the peer's, which is new here, first
// wrote messages, so that nobody else can have received any: it has written nothing
// yet, or it wrote on a link that ended here. The links before a peer's restart are
// forgotten, as is all of this with the session.
func (s *session) same(o *openFrame) bool {
	return o.link == [16]byte{} || slices.Contains(s.links[:], o.link)
}

// idle reports that nothing would be lost with the session.
func (s *session) idle() bool { return s.out.fresh() && s.in.peer == sessionID{} }
