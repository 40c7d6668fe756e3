package gossip

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/mailbox"
	"github.com/saorsa-labs/x0x-go/core/internal/task"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Sender carries frames to neighbours. Who is one, the owner tells the engine.
type Sender interface {
	// Send queues a frame and returns at once. Frames of one class to one peer
	// arrive in order. False means that there is no room: nothing was queued,
	// and the frame is offered again (see Engine.PeerReady). The frame must not
	// be modified and may be kept.
	Send(to identity.AgentID, class Class, frame []byte) bool
}

// Retention says what of each topic is kept for those who come later.
type Retention struct {
	Messages int           // if zero, 1,024
	Bytes    int64         // if zero, 4 MiB, frames and bookkeeping counted
	Age      time.Duration // if zero, 5 minutes
}

// Config holds what an Engine needs. Key, NetworkID and Sender are required.
type Config struct {
	Key       *identity.Key
	NetworkID string
	Sender    Sender

	// Policy judges an author; it is asked for each envelope and must be quick.
	// If deliver is false the messages are not delivered here; they are relayed
	// all the same. If nil, everybody is delivered as trust.Unknown.
	Policy func(author identity.AgentID) (level trust.Level, deliver bool)

	// NoRelay takes only the topics that are subscribed here. Otherwise this
	// agent carries every topic for its neighbours.
	NoRelay bool

	Retention    Retention
	PublishQueue int           // messages; if zero, 1,024
	MaxLogBytes  int64         // of all topics and all slow peers together; if zero, 64 MiB
	MaxBehind    int64         // bytes held for slow peers alone at which publishing waits; if zero, 4 MiB
	PeerPatience time.Duration // how long a peer that takes nothing can make publishing wait; if zero, 1 s
	MaxAhead     time.Duration // of a sender's clock; if zero, 60 s

	// RTT returns the round-trip time to a neighbour, 0 if unknown. It must be
	// quick and must not call the Engine. If nil, all are unknown.
	RTT func(identity.AgentID) time.Duration

	// The overlay. See the package comment.
	IHaveDelay   time.Duration // how long an announcement waits for others; if zero, 20 ms
	GraftDelay   time.Duration // the least time before an announced message is asked for; if zero, 50 ms
	GraftTries   int           // how often it is asked for; if zero, 8
	OptimiseBy   int           // hops that a shorter link must save; if zero, 3; negative: none is taken
	GapDelay     time.Duration // how long a hole in a stream may be reordering; if zero, 500 ms
	DigestPeriod time.Duration // how often a topic is compared with a neighbour; if zero, 10 s; negative: never
	// MinInterested: with fewer interested neighbours, relays are sent a topic
	// as well; if zero, 2.
	MinInterested int
	// MaxInterestHops is how far from a subscriber its interest is known; if
	// zero, 8. Groups of subscribers that are further apart may not reach each
	// other, so it should be about the diameter of the overlay; 8 is that of
	// 10,000 nodes with 6 neighbours each.
	MaxInterestHops int
	RepairRate      int64 // bytes of answers per second and neighbour; if zero, 8 MiB

	Rand   *rand.Rand  // if nil, seeded at random
	Clock  *wire.Clock // if nil, one over Now
	Epoch  uint64      // if zero, the clock's time at New
	Now    func() time.Time
	Logger *slog.Logger // if nil, silent
	// OnPanic receives a panic of the engine's goroutines; if nil, it is raised
	// again.
	OnPanic func(name string, value any, stack []byte)
}

func (c *Config) fill() {
	setDefault(&c.Retention.Messages, 1024)
	setDefault(&c.Retention.Bytes, 4<<20)
	setDefault(&c.Retention.Age, 5*time.Minute)
	setDefault(&c.PublishQueue, 1024)
	setDefault(&c.MaxLogBytes, 64<<20)
	setDefault(&c.MaxBehind, 4<<20)
	setDefault(&c.PeerPatience, time.Second)
	setDefault(&c.MaxAhead, time.Minute)
	setDefault(&c.IHaveDelay, 20*time.Millisecond)
	setDefault(&c.GraftDelay, 50*time.Millisecond)
	setDefault(&c.GraftTries, 8)
	setDefault(&c.GapDelay, 500*time.Millisecond)
	setDefault(&c.MinInterested, 2)
	setDefault(&c.MaxInterestHops, 8)
	setDefault(&c.RepairRate, 8<<20)
	if c.OptimiseBy == 0 {
		c.OptimiseBy = 3
	}
	if c.DigestPeriod == 0 {
		c.DigestPeriod = 10 * time.Second
	}
	c.MaxInterestHops = min(c.MaxInterestHops, nowhere-1)
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Clock == nil {
		c.Clock = wire.NewClock(c.Now)
	}
	if c.Epoch == 0 {
		c.Epoch = uint64(c.Clock.Now())
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// resendAfter is how long a frame that the Sender had no room for waits before
// it is offered again, unless PeerReady comes first.
const resendAfter = 20 * time.Millisecond

// Engine is one agent's part in gossip: a router, its lock, and what carries
// out its decisions. Create it with [New].
type Engine struct {
	cfg   Config
	tasks *task.Group
	stop  chan struct{}
	wake  chan struct{} // capacity 1: the timer may have to be earlier
	due   chan struct{} // capacity 1: there may be something to drain
	room  chan struct{} // capacity 1: publishing may go on

	publisher publisher

	mu       sync.Mutex
	drained  sync.Cond // of mu: deliveries were handed over
	router   *router
	draining bool
	closed   bool
	nextTick time.Time // when the timer fires
}

// New returns a running Engine that has no neighbours yet.
func New(cfg Config) *Engine {
	cfg.fill()
	e := &Engine{
		cfg:    cfg,
		tasks:  task.New(cfg.OnPanic),
		stop:   make(chan struct{}),
		wake:   make(chan struct{}, 1),
		due:    make(chan struct{}, 1),
		room:   make(chan struct{}, 1),
		router: newRouter(cfg),
	}
	e.drained.L = &e.mu
	e.nextTick = time.Now().Add(idleTick)
	// Verifying takes longer than everything else; other neighbours' frames are
	// handled meanwhile.
	e.router.outside = e.unlocked
	e.publisher.init(e)
	e.tasks.Go("gossip: timer", e.runTimer)
	e.tasks.Go("gossip: publisher", e.publisher.run)
	return e
}

// maxDeliveries is how many messages may be on their way to subscriptions
// before those who bring more have to wait.
const maxDeliveries = 4096

// HandleFrame takes a frame that a neighbour sent. It blocks while it verifies
// and while deliveries are behind; it keeps nothing of frame. Frames of one
// neighbour must come one at a time, in order, and after PeerUp.
func (e *Engine) HandleFrame(from identity.AgentID, frame []byte) {
	e.change(func(r *router) {
		for e.draining && len(r.deliveries) > maxDeliveries && !e.closed {
			e.drained.Wait()
		}
		r.handleFrame(from, frame, e.cfg.Now())
	})
}

// PeerUp tells that a neighbour is connected, also if it is a new connection in
// place of an old one.
func (e *Engine) PeerUp(agent identity.AgentID) {
	e.change(func(r *router) { r.peerUp(agent, e.cfg.Now()) })
}

// PeerDown tells that a neighbour is gone.
func (e *Engine) PeerDown(agent identity.AgentID) {
	e.change(func(r *router) { r.peerDown(agent, e.cfg.Now()) })
}

// PeerReady tells that a neighbour for which Send had no room has some again.
// Calling it is optional: without it frames are offered again a little later.
func (e *Engine) PeerReady(agent identity.AgentID) {
	e.change(func(r *router) {
		if p := r.peers[agent]; p != nil {
			p.refusing = false
		}
	})
}

// change lets f change the router, and carries out what follows. It does
// nothing and returns false on a closed engine.
func (e *Engine) change(f func(*router)) bool {
	ok := e.apply(f)
	e.drain()
	return ok
}

// apply is change without carrying out.
func (e *Engine) apply(f func(*router)) bool {
	e.mu.Lock()
	defer e.mu.Unlock() // also if f panics: the panic of one frame must not block all others
	if !e.closed {
		f(e.router)
	}
	return !e.closed
}

// unlocked runs f without the lock, which is held.
func (e *Engine) unlocked(f func()) {
	e.mu.Unlock()
	defer e.mu.Lock()
	f()
}

// Subscribe returns a subscription of a topic, own publications included.
// Several subscriptions of one topic are independent. A topic that begins with
// "local:" stays in this process. Errors: KindInvalidArgument, KindClosed.
func (e *Engine) Subscribe(topic string, o SubscribeOptions) (*Subscription, error) {
	const op = "subscribe"
	if err := checkTopic(op, topic); err != nil {
		return nil, err
	}
	setDefault(&o.Messages, defaultQueueMessages)
	setDefault(&o.Bytes, defaultQueueBytes)
	if o.Policy == mailbox.Block {
		o.Policy = mailbox.DropOldest
	}
	s := &Subscription{
		topic:  topic,
		box:    mailbox.New[Message](mailbox.Options{MaxItems: o.Messages, MaxBytes: o.Bytes, Policy: o.Policy}),
		replay: o.Replay == nil || *o.Replay,
		engine: e,
	}
	if !e.change(func(r *router) { r.subscribe(s, e.cfg.Now()) }) {
		return nil, errClosed(op)
	}
	return s, nil
}

func (e *Engine) unsubscribe(s *Subscription) {
	e.change(func(r *router) { r.unsubscribe(s, e.cfg.Now()) })
	s.box.Close()
}

// Stats returns the counters.
func (e *Engine) Stats() Stats {
	queued, signatures := e.publisher.stats()
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.router
	s := r.stats
	s.Signatures, s.PublishQueue = signatures, queued
	s.Topics, s.Peers, s.Streams = len(r.topics), len(r.peers), r.streams.Len()
	s.AwaitingKey = r.keys.count
	s.RetainedBytes = r.log.bytes
	s.Missing = r.missing
	s.EagerLinks, s.LazyLinks = r.countLinks()
	for _, t := range r.topics {
		s.Retained += len(t.retained)
		s.Subscriptions += len(t.subs)
		for _, sub := range t.subs {
			s.Lagged += sub.box.Dropped()
		}
	}
	return s
}

// Close ends every subscription, fails what waits to be published with
// KindClosed, and waits for the engine's goroutines or ctx. Idempotent.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	first := !e.closed
	e.closed = true
	var boxes []*mailbox.Box[Message]
	if first {
		for _, t := range e.router.topics {
			for _, s := range t.subs {
				boxes = append(boxes, s.box)
			}
		}
		close(e.stop)
	}
	e.drained.Broadcast()
	e.mu.Unlock()
	for _, b := range boxes {
		b.Close()
	}
	e.publisher.close()
	done := make(chan struct{})
	waiter := task.New(e.cfg.OnPanic)
	waiter.Go("gossip: close", func() {
		e.tasks.Wait()
		e.publisher.complete() // of what was being signed
		close(done)
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return wire.Errorf(wire.KindTimeout, "close gossip", "goroutines are still running: %w", context.Cause(ctx))
	}
}

func errClosed(op string) error { return wire.Errorf(wire.KindClosed, op, "the agent is closed") }

// drain carries out what the router has decided. One goroutine does it at a
// time and does it for all, which keeps every order; the others go on. Neither
// subscriptions nor the Sender are called with the lock held, so they may call
// the Engine.
func (e *Engine) drain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining {
		return
	}
	e.draining = true
	defer func() { e.draining = false }()
	for !e.closed && (e.handOver() || e.offer()) {
	}
	if d := e.interval(); d > 0 && time.Now().Add(d).Before(e.nextTick) {
		e.nextTick = time.Now().Add(d)
		signal(e.wake)
	}
	signal(e.room)
}

// signal leaves one token in a channel of capacity 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// handOver gives deliveries to their subscriptions. It unlocks meanwhile.
func (e *Engine) handOver() bool {
	batch := e.router.deliveries
	if len(batch) == 0 {
		return false
	}
	e.router.deliveries = nil
	e.unlocked(func() {
		for i := range batch {
			d := &batch[i]
			d.sub.count++
			d.sub.box.Push(d.msg, len(d.msg.Payload), d.sub.count)
		}
	})
	e.drained.Broadcast()
	return true
}

// offerAtOnce bounds what is offered to one peer before others have their turn.
const offerAtOnce = 16

// offer sends what is due to every neighbour with room. It unlocks meanwhile
// and reports whether anything was sent.
func (e *Engine) offer() bool {
	now := e.cfg.Now()
	progress := false
	for _, id := range slices.Clone(e.router.order) {
		p := e.router.peers[id]
		if p == nil || p.refusing {
			continue
		}
		out := e.router.outgoingFor(p, offerAtOnce, now)
		if len(out) == 0 {
			continue
		}
		n := 0
		e.unlocked(func() {
			for n < len(out) && e.cfg.Sender.Send(id, out[n].class, out[n].frame) {
				n++
			}
		})
		if e.router.peers[id] != p { // a new connection meanwhile
			continue
		}
		e.router.sent(p, out, n, now)
		progress = progress || n > 0
	}
	return progress
}

// interval is how soon the timer is needed, 0 if not at all. Called with the
// lock held.
func (e *Engine) interval() time.Duration {
	d := e.router.interval(e.cfg.Now())
	for _, p := range e.router.peers {
		if p.refusing && (d == 0 || d > resendAfter) {
			return resendAfter
		}
	}
	return d
}

// runTimer serves what has a time (retries, keys, retention), and what the
// publisher has signed.
func (e *Engine) runTimer() {
	timer := time.NewTimer(idleTick)
	defer timer.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-e.due:
		case <-e.wake: // earlier, but not now: what was refused must not be offered without a pause
			timer.Reset(e.untilTick())
			continue
		case <-timer.C:
			timer.Reset(e.tick())
		}
		e.publisher.complete()
		e.drain()
	}
}

func (e *Engine) untilTick() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return time.Until(e.nextTick)
}

// idleTick is the timer's period while nothing waits for it.
const idleTick = time.Hour

func (e *Engine) tick() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.cfg.Now()
	e.router.tick(now)
	for _, p := range e.router.peers {
		if p.refusing && now.Sub(p.refusingSince) > e.cfg.PeerPatience {
			e.router.stall(p)
		}
		if now.Sub(p.refusedAt) >= resendAfter {
			p.refusing = false // offered again
		}
	}
	next := e.interval()
	if next == 0 {
		next = idleTick
	}
	e.nextTick = time.Now().Add(next)
	return next
}
