package direct

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

var (
	simSeed  = flag.Uint64("direct.seed", 0, "run the simulation with this seed alone")
	simSeeds = flag.Int("direct.seeds", 20, "how many seeds to run the simulation with")
)

// simSide is one session of a simulation with its driver: no goroutines, no clock,
// and streams that are slices of bytes.
type simSide struct {
	name  string
	s     session
	other *simSide

	opened  bool   // our stream exists on this link
	stream  []byte // written by us, not yet read by the other
	unread  []byte // read by the other, not yet a whole frame
	written []*simMessage
	fx      effects

	bodies []*simBody // being sent by us
	grants []*inBody  // waiting for room
	inbox  []Message
	limit  int
	got    []uint64 // ids in the order of delivery
	resets int
}

type simMessage struct {
	id        uint64
	p         *Pending
	cancelled bool
	completed int
	orphan    bool // its process has ended
	err       error
}

// simBody is a body stream of a side.
type simBody struct {
	m  *Pending
	h  bodyHeader
	at uint64
	b  *inBody // at the receiver, once its header was read
}

type sim struct {
	t     *testing.T
	seed  uint64
	r     *rand.Rand
	a, b  *simSide
	up    bool
	links byte
	ids   uint64
	cuts  int
	byMsg map[*Pending]*simMessage

	restarts int // of processes
}

func (s *sim) fatal(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("seed %d: %s", s.seed, fmt.Sprintf(format, args...))
}

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 1)), byMsg: make(map[*Pending]*simMessage)}
	s.a = &simSide{name: "a", s: newSession(sessionID{1}, 16<<20), limit: 1 + s.r.IntN(50)}
	s.b = &simSide{name: "b", s: newSession(sessionID{2}, 16<<20), limit: 1 + s.r.IntN(50)}
	s.a.other, s.b.other = s.b, s.a
	return s
}

func (s *sim) linkUp() {
	s.links++
	var id [16]byte
	id[0], id[1] = s.links, byte(s.cuts>>8)
	for _, e := range []*simSide{s.a, s.b} {
		e.stream, e.unread, e.opened = nil, nil, false
		e.s.linkUp(id)
	}
	s.up = true
}

// cut loses all that is on the way.
func (s *sim) cut() {
	s.cuts++
	s.up = false
	for _, e := range []*simSide{s.a, s.b} {
		e.s.linkDown()
		e.stream, e.unread = nil, nil
		for _, body := range e.bodies {
			s.endBody(e, body)
		}
		e.bodies = nil
	}
	s.effects(s.a)
	s.effects(s.b)
}

func (s *sim) endBody(e *simSide, body *simBody) {
	body.m.out.active = false
	if body.m.phase == done {
		e.fx.completed = append(e.fx.completed, body.m)
	}
	if body.b != nil {
		e.other.s.in.endBody(body.b, 0, &e.other.fx)
		body.b = nil
	}
}

// effects does what sessions ask for.
func (s *sim) effects(e *simSide) {
	fx := e.fx
	e.fx = effects{}
	for _, p := range fx.completed {
		m := s.byMsg[p]
		m.completed++
		m.err = p.err
	}
	for _, p := range fx.stop {
		for i, body := range e.bodies {
			if body.m == p {
				s.endBody(e, body)
				e.bodies = append(e.bodies[:i], e.bodies[i+1:]...)
				break
			}
		}
	}
	for _, b := range fx.unread {
		for i, body := range e.other.bodies {
			if body.b == b {
				s.endBody(e.other, body)
				e.other.bodies = append(e.other.bodies[:i], e.other.bodies[i+1:]...)
				break
			}
		}
	}
	for _, b := range fx.free {
		e.grants = slicesDelete(e.grants, b)
		b.held = false
	}
	e.grants = append(e.grants, fx.ask...)
	for _, p := range fx.send {
		if p.phase == done || !p.out.granted || p.out.active {
			continue
		}
		p.out.granted, p.out.active = false, true
		e.bodies = append(e.bodies, &simBody{m: p, at: p.out.offset,
			h: bodyHeader{session: e.s.local, seq: p.seq, offset: p.out.offset, total: uint64(len(p.payload))}})
	}
	if fx.reset {
		e.resets++
	}
	if len(e.fx.completed)+len(e.fx.free)+len(e.fx.ask) > 0 {
		s.effects(e)
	}
	if o := e.other; len(o.fx.completed)+len(o.fx.free)+len(o.fx.ask) > 0 {
		s.effects(o)
	}
}

func slicesDelete(list []*inBody, b *inBody) []*inBody {
	for i, x := range list {
		if x == b {
			return append(list[:i], list[i+1:]...)
		}
	}
	return list
}

func (s *sim) send(e *simSide) {
	s.ids++
	n := s.r.IntN(60)
	if s.r.IntN(20) == 0 {
		n = s.r.IntN(100 << 10)
	}
	payload := make([]byte, 8+n)
	binary.BigEndian.PutUint64(payload, s.ids)
	p := &Pending{payload: payload, unordered: s.r.IntN(5) == 0}
	if s.r.IntN(15) == 0 {
		p.out = new(outBody)
	}
	m := &simMessage{id: s.ids, p: p}
	e.written = append(e.written, m)
	s.byMsg[p] = m
	e.s.out.queue.push(p)
}

func (s *sim) produce(e *simSide) {
	if !s.up || len(e.stream) > 300<<10 {
		return
	}
	limit := inlineBytes
	if s.r.IntN(2) == 0 {
		limit = batchBytes
	}
	e.stream, _ = e.s.produce(e.stream, len(e.stream)+limit)
}

// read moves n bytes of e's stream to the other side, which handles whole frames.
func (s *sim) read(e *simSide, n int) {
	n = min(n, len(e.stream))
	e.unread = append(e.unread, e.stream[:n]...)
	e.stream = e.stream[n:]
	r := wire.NewFrameReader(bytes.NewReader(e.unread), maxFrame)
	used := 0
	for {
		typ, body, err := r.Next()
		if err != nil {
			break
		}
		used += wire.FrameSize(len(body))
		f, err := parseFrame(typ, bytes.Clone(body))
		if err != nil {
			s.fatal("%s: %v", e.name, err)
		}
		o := e.other
		if err := o.s.handle(&f, 0, &o.fx); err != nil {
			s.fatal("%s refuses what %s wrote: frame %d: %v", o.name, e.name, typ, err)
		}
		s.effects(o)
	}
	e.unread = bytes.Clone(e.unread[used:])
	e.other.s.in.due()
	s.bounds(e.other)
}

func (s *sim) bounds(e *simSide) {
	in := &e.s.in
	if in.bytes > windowBytes || in.slots.len() > windowMessages {
		s.fatal("%s holds %d bytes, %d messages", e.name, in.bytes, in.slots.len())
	}
}

// deliver lets the inbox of e take some.
func (s *sim) deliver(e *simSide) {
	in := &e.s.in
	gen := in.gen
	msgs := in.take(nil, 1+s.r.IntN(20))
	n := min(len(msgs), e.limit-len(e.inbox))
	for _, m := range msgs[:n] {
		e.got = append(e.got, binary.BigEndian.Uint64(m.Payload))
	}
	e.inbox = append(e.inbox, msgs[:n]...)
	in.settle(n, gen, &e.fx)
	in.due()
	s.effects(e)
}

// body moves a part of one of e's bodies.
func (s *sim) body(e *simSide) {
	if !s.up || len(e.bodies) == 0 {
		return
	}
	i := s.r.IntN(len(e.bodies))
	body := e.bodies[i]
	o := e.other
	if body.b == nil {
		b, err := o.s.in.startBody(body.h)
		if err != nil { // its message was given up
			s.endBody(e, body)
			e.bodies = append(e.bodies[:i], e.bodies[i+1:]...)
			s.effects(e)
			return
		}
		body.b = b
		if b.buf == nil {
			b.buf = make([]byte, b.size)
		}
	}
	n := min(uint64(1+s.r.IntN(20<<10)), body.h.total-body.at)
	copy(body.b.buf[body.at:], body.m.payload[body.at:body.at+n])
	body.at += n
	body.b.have = int(body.at)
	if body.at == body.h.total {
		body.m.out.whole = true
		s.endBody(e, body)
		e.bodies = append(e.bodies[:i], e.bodies[i+1:]...)
		o.s.in.due()
		s.effects(e)
		s.effects(o)
	}
}

func (s *sim) room(e *simSide) {
	if len(e.grants) == 0 {
		return
	}
	b := e.grants[0]
	e.grants = e.grants[1:]
	b.held = true
	e.s.in.grant(b)
}

// restart replaces e by a new process, which knows nothing.
func (s *sim) restart(e *simSide) {
	if s.up {
		s.cut()
	}
	s.restarts++
	for _, m := range e.written {
		m.orphan = m.orphan || m.completed == 0
	}
	e.s = newSession(sessionID{e.name[0], byte(s.restarts), byte(s.restarts >> 8)}, 16<<20)
	e.fx = effects{}
	e.grants, e.inbox = nil, nil
}

func (s *sim) step(cancels, blocks bool) {
	e := s.a
	if s.r.IntN(2) == 0 {
		e = s.b
	}
	switch n := s.r.IntN(100); {
	case n < 20:
		for range 1 + s.r.IntN(30) {
			s.send(e)
		}
	case n < 40:
		s.produce(e)
	case n < 65:
		if s.up {
			s.read(e, 1+s.r.IntN(3000)*s.r.IntN(20))
		}
	case n < 80:
		s.deliver(e)
	case n < 87:
		e.inbox = e.inbox[:s.r.IntN(len(e.inbox)+1)]
	case n < 92:
		s.body(e)
	case n < 95:
		s.room(e)
	case n < 97:
		if s.up {
			s.cut()
		} else {
			s.linkUp()
		}
	case n < 98 && cancels:
		for range 1 + s.r.IntN(4) {
			if len(e.written) == 0 {
				break
			}
			m := e.written[s.r.IntN(len(e.written))]
			if m.p.phase != done && !m.orphan {
				m.cancelled = true
				e.s.out.fail(m.p, m.p.failure(wire.KindCancelled, "cancelled", nil), &e.fx)
				e.s.out.compact()
				s.effects(e)
			}
		}
	case n < 99 && blocks:
		blocked := !e.s.in.blocked
		e.s.in.block(blocked, &e.fx)
		e.s.in.refuse = blocked
		e.s.in.due()
		s.effects(e)
	case n < 100 && blocks: // the common room is full for a moment
		e.s.in.refuse = e.s.in.blocked || !e.s.in.refuse
		e.s.in.due()
	}
}

// settle lets everything arrive.
func (s *sim) settle() {
	for _, e := range []*simSide{s.a, s.b} {
		e.s.in.block(false, &e.fx)
		e.s.in.refuse = false
		e.s.in.due()
		s.effects(e)
	}
	if !s.up {
		s.linkUp()
	}
	open := func(e *simSide) int {
		n := 0
		for _, m := range e.written {
			if m.completed == 0 && !m.orphan {
				n++
			}
		}
		return n
	}
	for range 200_000 {
		if open(s.a)+open(s.b) == 0 && !s.a.s.wants() && !s.b.s.wants() {
			return
		}
		for _, e := range []*simSide{s.a, s.b} {
			s.produce(e)
			s.read(e, 1<<20)
			e.inbox = e.inbox[:0]
			s.deliver(e)
			s.room(e)
			s.body(e)
		}
	}
	s.fatal("%d and %d messages never complete", open(s.a), open(s.b))
}

// check compares what one side wrote with what the other got.
func (s *sim) check(e *simSide) {
	place := make(map[uint64]int)
	for i, id := range e.other.got {
		if j, twice := place[id]; twice {
			s.fatal("message %d of %s delivered as number %d and %d", id, e.name, j, i)
		}
		place[id] = i
	}
	last := -1
	for _, m := range e.written {
		at, delivered := place[m.id]
		delete(place, m.id)
		if m.completed != 1 && !m.orphan {
			s.fatal("message %d of %s completed %d times", m.id, e.name, m.completed)
		}
		switch {
		case m.err == nil && !delivered && !m.orphan:
			s.fatal("message %d of %s was acknowledged and not delivered", m.id, e.name)
		case m.orphan:
		case m.err != nil && s.restarts > 0 && wire.KindOf(m.err) == wire.KindDisconnected:
			// its delivery is checked below
		case m.err != nil && !m.cancelled:
			s.fatal("message %d of %s failed: %v", m.id, e.name, m.err)
		case m.err != nil && delivered && m.err.(*wire.Error).Delivered == wire.DeliveredNo:
			s.fatal("message %d of %s was delivered, and failed with delivered=no", m.id, e.name)
		}
		if delivered && !m.p.unordered {
			if at < last {
				s.fatal("message %d of %s delivered out of order", m.id, e.name)
			}
			last = at
		}
	}
	if len(place) != 0 {
		s.fatal("%s got messages that %s never sent", e.other.name, e.name)
	}
	if e.resets > s.restarts {
		s.fatal("%s saw %d resets", e.name, e.resets)
	}
	if o := &e.s.out; o.live != 0 || o.sent.len() != 0 && o.next != o.base {
		s.fatal("%s still has %d live, %d sent", e.name, o.live, o.sent.len())
	}
	if in := &e.s.in; in.bytes != 0 || in.bodies != 0 || len(in.overtake) != 0 {
		s.fatal("%s still holds %d bytes, %d bodies, %d overtaking", e.name, in.bytes, in.bodies, len(in.overtake))
	}
}

func simulate(t *testing.T, seeds int, steps int, cancels, blocks bool, restart int) {
	cuts, messages := 0, 0
	for i := range uint64(seeds) {
		seed := i + 1
		if *simSeed != 0 {
			seed = *simSeed
		}
		s := newSim(t, seed)
		for range steps {
			s.step(cancels, blocks)
			if restart > 0 && s.r.IntN(restart) == 0 {
				if s.r.IntN(2) == 0 {
					s.restart(s.a)
				} else {
					s.restart(s.b)
				}
			}
		}
		s.settle()
		s.check(s.a)
		s.check(s.b)
		if *simSeed != 0 {
			break
		}
		cuts += s.cuts
		messages += len(s.a.got) + len(s.b.got)
	}
	t.Logf("%d messages over %d cuts", messages, cuts)
}

// Links are cut at random bytes, hundreds of times in all: every message arrives
// exactly once and in order, no acknowledgement lies, and the room keeps its bounds.
func TestSimulationCuts(t *testing.T)   { simulate(t, *simSeeds, 1500, false, false, 0) }
func TestSimulationCancel(t *testing.T) { simulate(t, *simSeeds, 1500, true, false, 0) }
func TestSimulationBlock(t *testing.T)  { simulate(t, *simSeeds, 1500, true, true, 0) }

// Processes end and begin at random: nothing is delivered twice, and what fails says
// so honestly.
func TestSimulationRestart(t *testing.T) { simulate(t, *simSeeds, 1500, true, false, 150) }
