package direct

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// peer drives the session with one agent. Its locks are taken in the order submit,
// mu, and neither is held while the application's or the link's owner's functions
// run.
type peer struct {
	m     *Manager
	agent identity.AgentID
	alone bool // the peer is this agent itself

	submit   submission
	up       atomic.Bool            // there is a link
	busy     atomic.Bool            // something is unanswered: link.Watch is held
	gate     gate                   // who may write to the stream
	carry    []byte                 // frames that were not written yet, in small; belongs to the writer
	carryFor SendStream             // the stream that they are for
	small    [inlineBytes + 64]byte // for what is written inline; belongs to the writer

	mu       sync.Mutex
	s        session
	link     Link // nil when down
	machine  identity.MachineID
	stream   SendStream // of this link, nil until it is opened
	broken   bool       // the stream failed before the link did
	reading  bool       // this link's message stream is being read
	unwatch  func()
	swap     []*Pending // spare memory for submit
	share    share
	pushing  bool          // a goroutine hands messages to the inbox
	missed   bool          // another came to do so meanwhile, and left
	gaveAt   time.Duration // when the inbox last took something
	flushing chan struct{} // closed by FLUSHED; nil unless closing waits for it
	flushDue bool          // as soon as who pushes has noted what the inbox took
	stranger atomic.Bool   // counted as one
	opinions atomic.Uint64 // changes of the policy, see judge
	charged  int           // bytes in the room that the manager knows of
	downAt   time.Duration // since when there is no link
	gone     bool          // forgotten by the manager

	inLine    bool          // guarded by starved.mu
	heapAt    time.Duration // guarded by clock.mu
	heapIndex int           // likewise; 0 = not in the heap
}

// gate admits one writer at a time. Who finds it taken leaves word instead, and the
// writer looks again before it goes: nobody waits.
type gate struct{ v atomic.Uint32 }

const (
	gateOpen uint32 = iota
	gateTaken
	gateAgain
)

// enter reports whether the caller is now the writer.
func (g *gate) enter() bool {
	for {
		switch g.v.Load() {
		case gateOpen:
			if g.v.CompareAndSwap(gateOpen, gateTaken) {
				return true
			}
		case gateTaken:
			if g.v.CompareAndSwap(gateTaken, gateAgain) {
				return false
			}
		case gateAgain:
			return false
		}
	}
}

// leave reports whether the writer may go. If not, word was left.
func (g *gate) leave() bool {
	if g.v.CompareAndSwap(gateTaken, gateOpen) {
		return true
	}
	g.v.Store(gateTaken)
	return false
}

// lock locks the session and moves to it what was submitted.
func (p *peer) lock() {
	p.mu.Lock()
	if p.submit.waiting.Load() == 0 {
		return
	}
	p.swap = p.submit.takeAll(p.swap)
	for i, s := range p.swap {
		p.s.out.queue.push(s)
		p.swap[i] = nil
	}
	p.swap = p.swap[:0]
}

// unlock unlocks the session and does what fx says. It is called with no other
// lock held.
func (p *peer) unlock(fx *effects) {
	for _, s := range fx.stop {
		if s.out.cancel != nil {
			s.out.cancel()
		}
		if s.out.stream != nil {
			s.out.stream.Cancel(codeStale)
		}
	}
	for _, b := range fx.unread {
		if b.stream != nil {
			b.stream.Cancel(codeStale)
		}
	}
	for _, b := range fx.ask {
		b.peer = p
	}
	p.watch()
	if fx.flushed && p.flushing != nil {
		close(p.flushing)
		p.flushing = nil
	}
	var r Receipt
	if len(fx.completed) > 0 && p.link != nil {
		r.Path, r.RTT = p.link.Path(), p.link.RTT()
	}
	p.mu.Unlock()

	if len(fx.completed) > 0 {
		p.complete(fx.completed, r)
	}
	if len(fx.free) > 0 {
		grant(p.m.room.release(fx.free))
	}
	if len(fx.ask) > 0 {
		grant(p.m.room.ask(&p.share, p.stranger.Load(), fx.ask))
		p.m.watchRoom()
	}
	for _, s := range fx.send {
		p.startBody(s)
	}
	if fx.reset {
		p.m.stats.resets.Add(1)
		p.m.event(SessionReset, p.agent)
	}
	if fx.resumed {
		p.m.stats.resumes.Add(1)
	}
	fx.clear()
}

func (fx *effects) clear() {
	clear(fx.completed)
	fx.completed = fx.completed[:0]
	if len(fx.send)+len(fx.stop)+len(fx.ask)+len(fx.free)+len(fx.unread) > 0 || fx.reset || fx.resumed || fx.flushed {
		*fx = effects{completed: fx.completed}
	}
}

func (m *Manager) event(t EventType, agent identity.AgentID) {
	if m.cfg.OnEvent != nil {
		m.cfg.OnEvent(Event{Type: t, Agent: agent})
	}
}

// watch holds the link's watch exactly while something is unanswered.
func (p *peer) watch() {
	if awaits := p.s.awaits(); awaits == (p.unwatch != nil) {
		return
	} else if awaits {
		p.unwatch = p.link.Watch()
	} else {
		p.unwatch()
		p.unwatch = nil
	}
	p.busy.Store(p.unwatch != nil)
}

// complete tells senders what became of their messages.
func (p *peer) complete(all []*Pending, r Receipt) {
	var size int64
	var failed uint64
	for _, s := range all {
		size += int64(len(s.payload))
		if s.err != nil {
			failed++
		}
	}
	p.submit.release(len(all), size)
	p.m.stats.acknowledged.Add(uint64(len(all)) - failed)
	p.m.stats.failed.Add(failed)
	for _, s := range all {
		s.payload = nil
		r := Receipt{Path: r.Path, RTT: r.RTT, Sequence: s.seq}
		if s.err != nil {
			r = Receipt{}
		}
		switch {
		case s.waiter != nil:
			s.waiter.receipt, s.waiter.err = r, s.err
			s.waiter.ch <- struct{}{}
		case s.done == nil:
		case p.m.cfg.Complete != nil:
			p.m.cfg.Complete(s.done, r, s.err)
		default:
			s.done(r, s.err)
		}
	}
}

// linkUp reports false if p is forgotten.
func (p *peer) linkUp(l Link) bool {
	var fx effects
	p.lock()
	if p.gone {
		p.mu.Unlock()
		return false
	}
	p.dropLink(&fx)
	p.link, p.machine = l, l.Machine()
	p.s.linkUp(l.ID())
	p.s.out.process = [16]byte{}
	if l, ok := l.(processLink); ok {
		p.s.out.process = l.Process()
	}
	p.up.Store(true)
	p.unlock(&fx)
	p.pump()
	return true
}

func (p *peer) linkDown(l Link) {
	var fx effects
	p.lock()
	if p.link != l {
		p.mu.Unlock()
		return
	}
	p.dropLink(&fx)
	p.downAt = p.m.now()
	idle := p.s.idle()
	at := p.downAt + p.m.cfg.SessionTTL
	if idle {
		at = p.downAt
	}
	p.unlock(&fx)
	p.wake(at)
}

// dropLink leaves the current link, with p.mu held.
func (p *peer) dropLink(fx *effects) {
	if p.link == nil {
		return
	}
	if p.unwatch != nil {
		p.unwatch()
		p.unwatch = nil
		p.busy.Store(false)
	}
	if p.stream != nil {
		p.stream.Cancel(codeStale)
	}
	p.link, p.stream, p.broken, p.reading = nil, nil, false, false
	p.up.Store(false)
	p.s.linkDown()
	for i := range p.s.out.sent.len() {
		if s := *p.s.out.sent.at(i); s != nil && s.out != nil && s.out.active {
			s.out.granted = false
			fx.stop = append(fx.stop, s)
		}
	}
	for i := range p.s.in.slots.len() {
		if b := p.s.in.slots.at(i).body; b != nil && b.active {
			fx.unread = append(fx.unread, b)
		}
	}
}

// wake has tick run at the time at, or earlier.
func (p *peer) wake(at time.Duration) { p.m.clock.arm(p, at) }

// tick fails what is overdue, and ends the session when its time has come.
func (p *peer) tick() {
	now := p.m.now()
	var fx effects
	p.lock()
	p.submit.wakeAt.Store(int64(never))
	next := p.s.out.failIf(func(s *Pending) error {
		if s.deadline <= now {
			return s.failure(wire.KindTimeout, "not acknowledged in time", nil)
		}
		return nil
	}, &fx)
	if p.link == nil && !p.alone && !p.gone {
		end := p.downAt + p.m.cfg.SessionTTL
		if now >= end || p.s.idle() && next == 0 {
			p.expire(&fx, next)
		} else if next == 0 || end < next {
			next = end
		}
	}
	p.unlock(&fx)
	p.pump()
	if next != 0 {
		p.submit.wakeBy(next)
		p.wake(next)
	}
}

// expire ends the session, with p.mu held. The peer stays only for what was never
// written.
func (p *peer) expire(fx *effects, next time.Duration) {
	p.s.out.startAnew(fx)
	fx.reset = false
	if p.s.in.next > 1 {
		p.s.in.keeps = false
		p.m.forgets(p.agent)
	}
	p.s.in.startAnew(sessionID{}, fx)
	p.s.in.opened, p.s.in.stateDue = false, false
	p.s.links = [8][16]byte{}
	if id, err := p.m.newID(); err == nil {
		p.s.local = id // a peer that knows the old one must not take us for what remembers it
	}
	if next == 0 && p.submit.closeIfIdle() {
		p.gone = true
		p.m.forget(p)
	}
}

func (m *Manager) forget(p *peer) {
	m.mu.Lock()
	if m.peers[p.agent] == p {
		delete(m.peers, p.agent)
		if p.stranger.Load() {
			m.strangers--
		}
	}
	m.mu.Unlock()
}

func (p *peer) failIf(match func(*Pending) error) {
	var fx effects
	p.lock()
	p.s.out.failIf(match, &fx)
	p.unlock(&fx)
	p.pump()
}

// cancel gives up one message.
func (s *Pending) cancel(kind wire.Kind, msg string, cause error) {
	p := s.peer
	var fx effects
	p.lock()
	if s.phase != done {
		p.s.out.fail(s, s.failure(kind, msg, cause), &fx)
		p.s.out.compact()
	}
	p.unlock(&fx)
	p.pump()
}

// judge locks p with what the policy decides. The policy is asked without the lock; if it has
// changed by the time that the lock is held, it is asked again, so that the last word is never
// that of whoever waited longest.
func (p *peer) judge(machine identity.MachineID) (d trust.Decision, deliver bool) {
	for {
		seen := p.opinions.Load()
		d, deliver, _ = p.m.cfg.Policy(p.agent, machine)
		p.lock()
		if p.opinions.Load() == seen {
			return d, deliver
		}
		p.mu.Unlock()
	}
}

// policyChanged asks the policy again.
func (p *peer) policyChanged() {
	p.opinions.Add(1)
	p.mu.Lock()
	machine := p.machine
	p.mu.Unlock()
	var fx effects
	_, deliver := p.judge(machine)
	p.admit(deliver, &fx)
	p.s.in.due()
	p.unlock(&fx)
	p.turn()
}

// drain waits until what is under way on a living link is acknowledged.
func (p *peer) drain(ctx context.Context) {
	for {
		p.lock()
		busy := p.link != nil && (p.s.out.live > 0 || p.s.out.queue.len() > p.s.out.tombs)
		p.mu.Unlock()
		if !busy {
			return
		}
		idle := p.submit.whenIdle()
		select {
		case <-idle:
		case <-ctx.Done():
			return
		}
	}
}

// flushWithin is how old an acknowledgement may be and still be worth waiting for: an older
// one has arrived, or its link is as good as gone.
const flushWithin = 2 * time.Second

// flush has the peer confirm the last acknowledgements. It returns nil if there is nothing to
// confirm; otherwise the wait is over when the channel is closed or the link has ended.
func (p *peer) flush() (confirmed, ended <-chan struct{}) {
	p.lock()
	if p.link == nil || p.broken || !p.pushing && (p.s.in.base == 1 || p.m.now()-p.gaveAt > flushWithin) {
		p.mu.Unlock()
		return nil, nil
	}
	if p.flushing == nil {
		p.flushing = make(chan struct{})
	}
	if p.pushing {
		// The application may have what the inbox took, but nobody has noted that yet: a FLUSH
		// would go out before its acknowledgement.
		p.flushDue = true
	} else {
		p.askFlush()
	}
	confirmed, ended = p.flushing, p.link.Done()
	p.mu.Unlock()
	p.pump()
	return confirmed, ended
}

// askFlush asks for a FLUSH behind the acknowledgement, with p.mu held.
func (p *peer) askFlush() {
	p.s.flush = true
	p.s.in.ackDue = p.s.in.ackDue || p.s.in.fresh > 0
}

// close fails everything.
func (p *peer) close() {
	var fx effects
	p.submit.close()
	p.lock()
	p.s.out.failIf(func(s *Pending) error {
		return s.failure(wire.KindClosed, "closed", nil)
	}, &fx)
	p.dropLink(&fx)
	p.s.in.startAnew(sessionID{}, &fx)
	p.gone = true
	p.unlock(&fx)
}
