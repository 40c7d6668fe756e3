package direct

import (
	"errors"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	// maxBatch bounds the frames that are handled under one lock, and so how long others
	// wait for it.
	maxBatch = 256
	// slabBytes is how much memory small payloads share, so that many messages cost
	// one allocation. A message that the application keeps holds its whole slab, so
	// payloads that are large beside it have their own.
	slabBytes    = 64 << 10
	slabMaxShare = slabBytes / 8
	// freeShare is what each peer may always have waiting for the inbox, however
	// full the room common to all is.
	freeShare = 64 << 10
	// headerTime is how long a body stream may take to say what it is.
	headerTime = 10 * time.Second
)

// HandleStream reads a stream of l until it ends; it blocks. Streams of links that
// are not up are cancelled.
func (m *Manager) HandleStream(l Link, kind byte, s ReceiveStream) {
	p := m.lookup(l.Agent())
	if p == nil || p.alone {
		s.Cancel(codeLimit)
		return
	}
	var err error
	switch kind {
	case KindDirect:
		err = p.readMessages(l, s)
	case KindDirectBody:
		err = p.readBody(l, s)
	default:
		err = errStale
	}
	if err == nil {
		return
	}
	s.Cancel(codeStale)
	switch wire.KindOf(err) {
	case wire.KindCorrupt, wire.KindTooLarge:
		m.stats.protocolErrors.Add(1)
		l.Fail(err.Error())
		m.event(ProtocolError, l.Agent())
	}
}

// errStale ends the reading of a stream that nobody waits for any more.
var errStale = errors.New("direct: stale stream")

// readMessages reads the message stream of l.
func (p *peer) readMessages(l Link, s ReceiveStream) error {
	_, _, stranger := p.m.cfg.Policy(p.agent, l.Machine())
	if !p.m.countStranger(p, stranger) {
		p.m.stats.refused.Add(1)
		s.Cancel(codeLimit)
		return nil
	}
	p.mu.Lock()
	if p.link != l {
		p.mu.Unlock()
		return errStale
	}
	if p.reading {
		p.mu.Unlock()
		return protocolError("a second message stream")
	}
	p.reading = true
	p.mu.Unlock()

	b := batch{r: wire.NewFrameReader(s, maxFrame)}
	for {
		typ, body, err := b.r.Next()
		if err == nil {
			err = p.handle(l, &b, typ, body)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// batch is the state of reading a message stream.
type batch struct {
	r    *wire.FrameReader
	slab []byte // for payloads, with len of it given out
	fx   effects
}

// keep copies a payload out of the reader's buffer, in which more bytes follow.
func keep(payload, slab []byte, more int) (kept, rest []byte) {
	n := len(payload)
	if n > slabMaxShare {
		return append([]byte(nil), payload...), slab
	}
	if n > cap(slab)-len(slab) {
		slab = make([]byte, 0, min(n+more, slabBytes))
	}
	start := len(slab)
	slab = append(slab, payload...)
	return slab[start:len(slab):len(slab)], slab
}

// handle takes a frame that was read from l, and those that are at hand behind it,
// gives the inbox what is complete, and acknowledges.
func (p *peer) handle(l Link, b *batch, typ byte, body []byte) error {
	at := p.m.wall().UnixNano()
	d, deliver := p.judge(l.Machine())
	if p.link != l {
		p.mu.Unlock()
		return errStale
	}
	p.admit(deliver, &b.fx)
	dropped := p.s.in.dropped
	err := p.handleFrames(b, typ, body, at)
	if n := p.s.in.dropped - dropped; n > 0 {
		p.m.stats.dropped.Add(n)
	}
	gave := p.deliver(d, false, &b.fx)
	p.s.in.due()
	wants := p.s.wants()
	p.unlock(&b.fx)
	if b.r.Buffered() == 0 {
		b.slab = nil // perhaps at rest: hold nothing
	}
	if wants {
		if gave {
			// The application, which was just woken, often answers at once: its answer
			// and the acknowledgement then share a packet.
			runtime.Gosched()
		}
		p.pump()
	}
	return err
}

// handleFrames is the part of handle that runs under p.mu. It never waits: it goes on
// only while the next frame is at hand.
func (p *peer) handleFrames(b *batch, typ byte, body []byte, at int64) error {
	for n := 1; ; n++ {
		f, err := parseFrame(typ, body)
		if err != nil {
			return err
		}
		if typ == frameData && !b.r.Owned() && !p.s.in.refuse {
			f.payload, b.slab = keep(f.payload, b.slab, b.r.Buffered())
		}
		if err := p.s.handle(&f, at, &b.fx); err != nil {
			return err
		}
		if n == maxBatch || !b.r.Ready() {
			return nil
		}
		if typ, body, err = b.r.Next(); err != nil {
			return err
		}
	}
}

// admit decides whether messages are taken at all, with p.mu held: not from one who
// is blocked, and not when the room common to all is full, beyond a small share of
// its own.
func (p *peer) admit(deliver bool, fx *effects) {
	in := &p.s.in
	in.block(!deliver, fx)
	p.charge()
	in.refuse = !deliver || in.bytes > freeShare && p.m.inline.Load() > p.m.cfg.RoomAgent/2
}

// charge tells the manager how much waits for the inbox.
func (p *peer) charge() {
	if n := p.s.in.bytes; n != p.charged {
		p.m.inline.Add(int64(n - p.charged))
		p.charged = n
	}
}

var messageBatches = sync.Pool{New: func() any {
	b := make([]Message, 0, 128)
	return &b
}}

// deliver gives the inbox what it takes. It is called with p.mu held, and releases
// it while pushing. turn says that it is this peer's turn although others wait. It
// reports whether the inbox took anything.
func (p *peer) deliver(d trust.Decision, turn bool, fx *effects) (gave bool) {
	if p.pushing {
		p.missed = true // who pushes will look again
		return false
	}
	p.pushing, p.missed = true, false
	defer func() {
		p.pushing = false
		if p.flushDue {
			p.flushDue = false
			p.askFlush()
		}
		p.charge()
	}()
	q := &p.m.queue
	buf := messageBatches.Get().(*[]Message)
	defer messageBatches.Put(buf)
	for rounds := 0; ; rounds++ {
		if q.n.Load() > 0 && (!turn || rounds >= turnRounds) && p.s.in.base < p.s.in.next {
			q.wait(p, p.stranger.Load())
			p.m.feed()
			return gave
		}
		msgs := p.s.in.take((*buf)[:0], cap(*buf))
		if len(msgs) == 0 {
			return gave
		}
		gen, link := p.s.in.gen, p.machine
		p.mu.Unlock()
		for i := range msgs {
			msg := &msgs[i]
			msg.Sender, msg.Machine, msg.Decision = p.agent, link, d
			msg.ReceivedAt = time.Unix(0, msg.at)
		}
		n := p.push(msgs)
		full := n < len(msgs)
		p.lock()
		p.s.in.settle(n, gen, fx)
		if n > 0 {
			p.gaveAt = p.m.now()
		}
		gave = gave || n > 0
		if full && !p.missed {
			return gave // p is in line, and gets its turn when the inbox has room
		}
		// The inbox had room while we pushed, and p's turn came and went: nobody else looks.
		p.missed = false
	}
}

// turnRounds is how many batches of messages a peer may put into the inbox while
// others wait for it.
const turnRounds = 2

// push puts messages into the inbox. If it is full, the peer gets into line.
func (p *peer) push(msgs []Message) int {
	n := p.m.inbox.PushBatch(msgs, messageSize, messageSeq)
	if n < len(msgs) {
		p.m.queue.wait(p, p.stranger.Load())
		// The inbox may have got room before we were in line, and told nobody; a second
		// refusal makes sure that it will tell.
		more := p.m.inbox.PushBatch(msgs[n:], messageSize, messageSeq)
		n += more
		if n == len(msgs) {
			p.m.feed()
		}
	}
	p.m.stats.received.Add(uint64(n))
	return n
}

// turn gives the inbox what waits, when it has room again. It reports whether the
// inbox took all.
func (p *peer) turn() bool {
	p.mu.Lock()
	machine := p.machine
	p.mu.Unlock()
	d, deliver := trust.Accept, true
	var fx effects
	if p.alone {
		p.lock()
	} else {
		d, deliver = p.judge(machine)
	}
	p.admit(deliver, &fx)
	p.deliver(d, true, &fx)
	p.admit(deliver, &fx)
	p.s.in.due()
	p.unlock(&fx)
	p.pump()
	p.m.queue.mu.Lock()
	waits := p.inLine
	p.m.queue.mu.Unlock()
	return !waits
}

// countStranger counts p once if it is a stranger, and reports whether it may have
// a session.
func (m *Manager) countStranger(p *peer, stranger bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case stranger == p.stranger.Load():
	case !stranger:
		m.strangers--
		p.stranger.Store(false)
	case m.strangers >= m.cfg.Strangers:
		return false
	default:
		m.strangers++
		p.stranger.Store(true)
	}
	return true
}
