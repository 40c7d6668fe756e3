package gossip

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// publisher signs what is to be published. A signature takes longer than all
// the rest, so whatever comes while one is made is signed together with the
// next: one signature for up to 256 messages of one topic. There is no timer; a
// message that comes alone is signed at once, by its caller.
type publisher struct {
	engine *Engine
	wake   chan struct{} // capacity 1: the goroutine should sign
	gate   chan struct{} // capacity PublishQueue: places in the queue

	mu         sync.Mutex
	queue      []*publication
	busy       bool // somebody signs, and will look at the queue again
	closed     bool
	finished   []*publication     // whose done is to be called
	sequences  map[TopicID]uint64 // last used, by topic
	signatures uint64
}

// publication is one message on its way to be signed.
type publication struct {
	topic   string
	id      TopicID
	local   bool
	payload []byte
	result  chan error  // of Publish, capacity 1
	done    func(error) // of PublishAsync
	err     error       // for done
}

func (p *publisher) init(e *Engine) {
	p.engine = e
	p.wake = make(chan struct{}, 1)
	p.gate = make(chan struct{}, e.cfg.PublishQueue)
	p.sequences = make(map[TopicID]uint64)
}

// Publish signs a message and hands it to everybody who wants it: own
// subscriptions, connected neighbours, and those who come while it is retained.
// It returns when it is signed and on its way, which says nothing about who
// gets it. While the publish queue is full it waits. payload is not kept.
//
// Errors: KindInvalidArgument for the topic, KindTooLarge for the payload,
// KindClosed, and the context's: then the message was not published.
func (e *Engine) Publish(ctx context.Context, topic string, payload []byte) error {
	p := &e.publisher
	if err := checkPublish(topic, payload); err != nil {
		return err
	}
	select {
	case p.gate <- struct{}{}:
	default:
		select {
		case p.gate <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-e.stop:
			return errClosed("publish")
		}
	}
	item := p.item(topic, payload)
	item.result = make(chan error, 1)
	first, err := p.enqueue(item)
	if err != nil {
		return err
	}
	if first {
		// Nobody signs: do it here and save the way through another goroutine.
		// What others add meanwhile is the goroutine's.
		p.signBatch()
		p.handBack()
		// Only now, since what is called there may publish as well.
		e.drain()
	}
	select {
	case err := <-item.result:
		return err
	case <-ctx.Done():
		if p.withdraw(item) {
			return context.Cause(ctx)
		}
		return <-item.result // it is being signed
	}
}

// PublishAsync is Publish that does not wait: done is called once with the
// result, from a goroutine of the engine that calls one at a time, so it must
// be quick, and must not call Close, which waits for it. payload is copied. If
// the publish queue is full it returns KindBusy, and done is not called.
func (e *Engine) PublishAsync(topic string, payload []byte, done func(error)) error {
	p := &e.publisher
	if err := checkPublish(topic, payload); err != nil {
		return err
	}
	select {
	case p.gate <- struct{}{}:
	default:
		return wire.Errorf(wire.KindBusy, "publish", "%d messages wait to be published", cap(p.gate))
	}
	item := p.item(topic, slices.Clone(payload))
	item.done = done
	first, err := p.enqueue(item)
	if err == nil && first {
		signal(p.wake)
	}
	return err
}

func checkPublish(topic string, payload []byte) error {
	if err := checkTopic("publish", topic); err != nil {
		return err
	}
	if len(payload) > MaxPayload {
		return wire.Errorf(wire.KindTooLarge, "publish", "the payload has %d bytes, at most %d are allowed", len(payload), MaxPayload)
	}
	return nil
}

func (p *publisher) item(topic string, payload []byte) *publication {
	return &publication{topic: topic, id: p.engine.router.topicID(topic), local: isLocal(topic), payload: payload}
}

// enqueue adds an item, for which a place was taken. If it returns true the
// caller has to see to it that somebody signs.
func (p *publisher) enqueue(item *publication) (first bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		<-p.gate
		return false, errClosed("publish")
	}
	p.queue = append(p.queue, item)
	first = !p.busy
	p.busy = true
	return first, nil
}

// withdraw takes an item out of the queue if nobody has begun to sign it.
func (p *publisher) withdraw(item *publication) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.queue, item)
	if i < 0 {
		return false
	}
	p.queue = slices.Delete(p.queue, i, i+1)
	<-p.gate
	return true
}

// handBack ends a caller's turn as signer.
func (p *publisher) handBack() {
	p.mu.Lock()
	more := len(p.queue) > 0
	p.busy = more
	p.mu.Unlock()
	if more {
		signal(p.wake)
	}
}

// run signs whatever has been left to it.
func (p *publisher) run() {
	for {
		select {
		case <-p.wake:
		case <-p.engine.stop:
			return
		}
		for p.signBatch() { // delivered by another goroutine, while this one signs on
		}
	}
}

// signBatch signs the oldest item together with what else waits for the same
// topic. It reports false, and gives up the signer's role, if nothing waits.
// Only one goroutine at a time is the signer.
func (p *publisher) signBatch() bool {
	p.awaitRoom()
	p.mu.Lock()
	if len(p.queue) == 0 {
		p.busy = false
		p.mu.Unlock()
		return false
	}
	batch := p.take()
	head := batch[0]
	first := p.sequences[head.id] + 1
	p.sequences[head.id] += uint64(len(batch))
	p.mu.Unlock()

	p.finish(batch, p.sign(batch, first))
	return true
}

// finish tells the publishers of a batch how it ended. The signer calls nobody's
// function itself: that function might wait for the signer.
func (p *publisher) finish(batch []*publication, err error) {
	p.mu.Lock()
	for _, item := range batch {
		if item.result != nil {
			<-p.gate
			item.result <- err
			continue
		}
		item.err = err
		p.finished = append(p.finished, item)
	}
	p.mu.Unlock()
	signal(p.engine.due)
}

// complete calls the done functions that are due. Their items keep their places
// in the queue until then, so slow functions slow the publisher down and not
// the memory up.
func (p *publisher) complete() {
	p.mu.Lock()
	finished := p.finished
	p.finished = nil
	p.mu.Unlock()
	for _, item := range finished {
		<-p.gate
		item.done(item.err)
	}
}

// take removes the oldest item and those that may share its signature. The
// order within each topic stays.
func (p *publisher) take() []*publication {
	head := p.queue[0]
	var batch []*publication
	bytes := 0
	full := false
	rest := p.queue[:0]
	for _, item := range p.queue {
		if !full && item.id == head.id && len(batch) < maxBundle && (len(batch) == 0 || bytes+len(item.payload) <= maxBundleBytes) {
			bytes += len(item.payload)
			batch = append(batch, item)
			continue
		}
		full = full || item.id == head.id
		rest = append(rest, item)
	}
	clear(p.queue[len(rest):])
	p.queue = rest
	return batch
}

func (p *publisher) sign(batch []*publication, first uint64) error {
	e := p.engine
	env := &envelope{
		sender: e.router.own,
		topic:  batch[0].id,
		epoch:  e.cfg.Epoch,
		first:  first,
		time:   e.cfg.Clock.Now(),
	}
	for _, item := range batch {
		env.payloads = append(env.payloads, item.payload)
	}
	var frame []byte
	if batch[0].local {
		for i, payload := range env.payloads { // they are kept
			env.payloads[i] = slices.Clone(payload)
		}
	} else {
		var err error
		if frame, err = sealEnvelope(e.cfg.Key, e.cfg.NetworkID, env); err != nil {
			return err
		}
		p.mu.Lock()
		p.signatures++
		p.mu.Unlock()
	}
	if !e.apply(func(r *router) { r.publish(batch[0].topic, env, frame, e.cfg.Now()) }) {
		return errClosed("publish")
	}
	return nil
}

// awaitRoom holds publishing back while neighbours are so far behind that only
// they keep messages in memory. A neighbour that takes nothing at all stops
// counting after PeerPatience, so one that hangs cannot hold everybody.
func (p *publisher) awaitRoom() {
	e := p.engine
	var timer *time.Timer
	for {
		e.mu.Lock()
		full := e.router.log.behind > e.cfg.MaxBehind && !e.closed
		e.mu.Unlock()
		if !full {
			return
		}
		if timer == nil {
			// An upper bound for whatever was not thought of: publishing goes
			// on, and the log's own limit decides.
			timer = time.NewTimer(2 * e.cfg.PeerPatience)
			defer timer.Stop()
		}
		select {
		case <-e.room:
		case <-timer.C:
			return
		case <-e.stop:
			return
		}
	}
}

func (p *publisher) stats() (queued int, signatures uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue), p.signatures
}

// close fails everything that waits.
func (p *publisher) close() {
	p.mu.Lock()
	p.closed = true
	queue := p.queue
	p.queue = nil
	p.mu.Unlock()
	p.finish(queue, errClosed("publish"))
	p.complete()
}
