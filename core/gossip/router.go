package gossip

import (
	"container/list"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	// maxStreams bounds what many senders can make us remember, at some 300
	// bytes each. Past it the stream that was quiet longest is forgotten: its
	// messages, if somebody still replays them, would count as new.
	maxStreams = 16384
	// maxPeerTopics and maxPeerHas bound what one neighbour can make us
	// remember.
	maxPeerTopics = 4096
	maxPeerHas    = 16384
	// maxControl and maxControlBytes bound control frames that wait for one
	// neighbour, beside those at the start of its connection.
	maxControl      = 1024
	maxControlBytes = 4 << 20
	// freshFor is how old an envelope may be and still go out as live.
	freshFor = 100 * time.Millisecond
)

// router decides, and does nothing else: frames and calls go in, deliveries and
// frames for neighbours come out (deliveries, outgoing). It has no goroutine,
// no clock and no lock; time is an argument. The caller serialises all calls.
type router struct {
	cfg Config
	own identity.AgentID

	topics  map[TopicID]*topicState
	streams list.List // of *stream, most recently used first
	peers   map[identity.AgentID]*peer
	order   []identity.AgentID // of peers, to serve them in turn
	log     log
	keys    keyring
	agenda  agenda

	priorities  map[TopicID]Priority
	requesting  bool   // a peer is to be asked for something, see flushRequests
	missing     int    // announced messages that are awaited, in all topics
	uses        uint64 // of streams, counted to know the latest
	asks        uint   // for gaps
	connections uint32
	nextExpiry  time.Time

	future *lru[identity.AgentID, struct{}] // senders whose clock has been reported

	deliveries []delivery
	stats      Stats
	// outside runs work that needs no state, such as verifying, and may let
	// other calls in meanwhile.
	outside func(func())
	// verify checks a signature with the public key of the sender. Tests with
	// many routers may remember the result for all of them.
	verify func(key []byte, env *envelope) bool
	// lookup returns a key that this process has parsed lately.
	lookup func(identity.AgentID) (key []byte, ok bool)
	salt   [32]byte
}

// delivery is one message on its way to one subscription.
type delivery struct {
	sub *Subscription
	msg Message
}

func newRouter(cfg Config) *router {
	r := &router{
		cfg:     cfg,
		own:     cfg.Key.Public().AgentID(),
		topics:  make(map[TopicID]*topicState),
		peers:   make(map[identity.AgentID]*peer),
		keys:    newKeyring(cfg.Key.Public()),
		future:  newLRU[identity.AgentID, struct{}](256),
		outside: func(f func()) { f() },

		priorities: make(map[TopicID]Priority),
	}
	r.verify = func(raw []byte, env *envelope) bool {
		key, err := identity.CachedPublicKey(raw)
		return err == nil && env.verify(key, cfg.NetworkID)
	}
	r.lookup = func(id identity.AgentID) ([]byte, bool) {
		key, ok := identity.LookupPublicKey(id)
		if !ok {
			return nil, false
		}
		return key.Bytes(), true
	}
	rand.Read(r.salt[:])
	return r
}

// handleFrame takes one frame from a neighbour. It keeps nothing of frame.
func (r *router) handleFrame(from identity.AgentID, frame []byte, now time.Time) {
	if len(frame) == 0 || len(frame) > MaxFrame {
		r.stats.Oversize++
		return
	}
	p := r.peers[from]
	if p == nil { // frames that were on their way when it went
		r.stats.Strays++
		return
	}
	var err error
	switch body := frame[1:]; frameType(frame[0]) {
	case frameEnvelope, frameRetained:
		err = r.handleArrival(p, frameType(frame[0]), body, now)
	case frameSubscribe:
		err = r.handleSubscribe(p, body, now)
	case frameUnsubscribe:
		err = r.handleUnsubscribe(p, body, now)
	case frameReady:
		err = r.handleReady(p, body, now)
	case frameKeyRequest:
		err = r.handleKeyRequest(p, body)
	case frameKey:
		err = r.handleKey(p, body, now)
	case frameIHave:
		err = r.handleIHave(p, body, now)
	case frameGraft:
		err = r.handleGraft(p, body, now)
	case framePrune:
		err = r.handlePrune(p, body, now)
	case frameIWant:
		err = r.handleIWant(p, body, now)
	case frameDigest:
		err = r.handleDigest(p, body, now)
	case frameGreet:
		r.handleGreet(p, now)
	default:
		r.stats.UnknownFrames++
	}
	if err != nil {
		r.stats.BadFrames++
	}
	r.flushRequests()
}

func (r *router) handleArrival(p *peer, typ frameType, body []byte, now time.Time) error {
	parse := parseRetained
	if typ == frameEnvelope {
		parse = parsePushed
	}
	a, b, err := parse(body)
	if err == nil {
		r.handleEnvelope(p.id, b, a, now)
	}
	return err
}

func (r *router) handleEnvelope(from identity.AgentID, b []byte, a arrival, now time.Time) {
	env, err := parseEnvelope(b)
	if err != nil {
		switch wire.KindOf(err) {
		case wire.KindUnsupported:
			r.stats.Unsupported++
		case wire.KindTooLarge:
			r.stats.Oversize++
		default:
			r.stats.Malformed++
		}
		return
	}
	if r.refuse(from, env, a, now) {
		return
	}
	// A key that this process has parsed lately costs nothing; a known one some
	// 60 µs; an unknown one has to be asked for.
	raw, known := r.keys.get(env.sender)
	if !known {
		if raw, known = r.lookup(env.sender); known {
			r.keys.put(env.sender, raw)
		}
	}
	if !known { // a key is what its id says, so any is right; it is kept if it is of use
		if raw, known = r.carriedKey(from, env.sender, now); known {
			r.keys.put(env.sender, raw)
		}
	}
	if !known {
		r.await(from, env, b, a, now)
		return
	}
	var genuine bool
	r.outside(func() { genuine = r.verify(raw, env) })
	if !genuine {
		r.stats.Forged++
		return
	}
	// Another neighbour may have delivered the same meanwhile.
	if r.refuse(from, env, a, now) {
		return
	}
	r.accept(from, env, a, now)
}

// refuse is everything that can be said without the signature. It counts what
// it refuses.
func (r *router) refuse(from identity.AgentID, env *envelope, a arrival, now time.Time) bool {
	t := r.topics[env.topic]
	switch {
	case !r.takes(t):
		r.stats.Unwanted++
		return true
	case env.time.Check(now, r.cfg.MaxAhead) != nil || wire.HLC(env.epoch).Check(now, r.cfg.MaxAhead) != nil:
		r.stats.Future++
		r.reportFuture(env, now)
		return true
	}
	if t == nil {
		return false
	}
	s := t.streams[env.sender]
	if s == nil {
		return false
	}
	seen, old := s.seen(env.epoch)
	switch {
	case old:
		r.stats.Replayed++
		return true
	case seen != nil && seen.covers(env.first, env.last()):
		r.stats.Duplicates++
		if p := r.peers[from]; p != nil && a.pushed {
			r.repeated(p, env, a, now)
		}
		return true
	}
	return false
}

func (r *router) reportFuture(env *envelope, now time.Time) {
	if _, reported := r.future.get(env.sender); reported {
		return
	}
	r.future.put(env.sender, struct{}{})
	r.cfg.Logger.Warn("topic messages refused: the sender's clock is ahead",
		slog.String("sender", env.sender.Short()),
		slog.Duration("ahead", time.Duration(env.time.Millis()-now.UnixMilli())*time.Millisecond))
}

// accept takes in a verified envelope: remember, retain, deliver. What is
// retained reaches the neighbours through their cursors.
func (r *router) accept(from identity.AgentID, env *envelope, a arrival, now time.Time) {
	// Make our clock later than what we have read; a time that is acceptable
	// but too far ahead to follow is left alone.
	_ = r.cfg.Clock.Observe(env.time, r.cfg.MaxAhead*3/4)
	t := r.topic(env.topic)
	stream := r.stream(t, env.sender).open(env.epoch)
	seen := &stream.seen

	frame := make([]byte, 0, envelopeAt+len(env.signed)+len(env.signature))
	frame = append(frame, byte(frameEnvelope), a.next())
	frame = append(frame, env.signed...)
	frame = append(frame, env.signature...)

	level, deliver := trust.Unknown, true
	if r.cfg.Policy != nil && env.sender != r.own {
		level, deliver = r.cfg.Policy(env.sender)
	}
	if env.sender == r.own {
		level = trust.Trusted
	}
	live := now.Add(-a.age)
	for i, payload := range env.payloads {
		n := env.first + uint64(i)
		if seen.has(n) { // a bundle that overlaps another
			continue
		}
		r.stats.Received++
		if deliver {
			r.deliver(t, payload, env, n, level, live)
		}
	}
	if !deliver {
		r.stats.Blocked++
	}
	seen.add(env.first, env.last())
	stream.gaps.top = max(stream.gaps.top, env.last())
	r.noticeGaps(t, env.sender, stream, now)
	e := &entry{
		frame: frame, topic: t, sender: env.sender, from: from, hops: a.hops,
		epoch: env.epoch, first: env.first, count: len(env.payloads), time: env.time, at: live,
	}
	r.arrived(from, e, a, now)
	r.carryKey(e)
	r.retain(e, now)
}

// arrived draws the conclusions from how a new envelope came.
func (r *router) arrived(from identity.AgentID, e *entry, a arrival, now time.Time) {
	t := e.topic
	t.turn(e.sender, now)
	p := r.peers[from]
	w := r.found(t, e.place())
	if w != nil {
		for _, h := range w.announcers {
			e.knows(h.peer)
		}
		switch {
		case a.pushed:
		case w.asked > 0:
			e.announced = w.since
		case w.early:
			r.awaitPush(e, w, now)
		}
	}
	if !a.pushed {
		r.stats.Repaired++
		return
	}
	if p != nil {
		r.brought(p, t, now)
	}
	if w == nil || a.delayed {
		return
	}
	t.late.note(now.Sub(w.since), now)
	for _, h := range w.announcers {
		r.shorten(t, p, e.hops, r.live(h.peer), h.hops, now)
	}
}

// live returns a peer whose connection still is, or nil.
func (r *router) live(p *peer) *peer {
	if r.peers[p.id] == p {
		return p
	}
	return nil
}

// publish takes in an envelope that this agent has just signed. frame is kept.
// For a local topic there is no frame.
func (r *router) publish(topic string, env *envelope, frame []byte, now time.Time) {
	t := r.named(topic)
	stream := r.stream(t, env.sender).open(env.epoch)
	stream.seen.add(env.first, env.last())
	stream.gaps.top = max(stream.gaps.top, env.last())
	for i, payload := range env.payloads {
		r.deliver(t, payload, env, env.first+uint64(i), trust.Trusted, now)
	}
	e := &entry{
		frame: frame, topic: t, sender: env.sender,
		epoch: env.epoch, first: env.first, count: len(env.payloads), time: env.time, at: now,
	}
	if t.local {
		e.local = &localMessage{payloads: env.payloads}
	}
	r.stats.Published += uint64(len(env.payloads))
	r.retain(e, now)
}

// deliver queues one message for the subscriptions of its topic, a copy for
// each: applications may change what they get. live is when the message was
// new.
func (r *router) deliver(t *topicState, payload []byte, env *envelope, sequence uint64, level trust.Level, live time.Time) {
	for _, s := range t.subs {
		if !s.replay && live.Before(s.since) {
			continue
		}
		r.deliverTo(s, payload, env.sender, env.time, env.epoch, sequence, level)
	}
}

func (r *router) deliverTo(s *Subscription, payload []byte, sender identity.AgentID, at wire.HLC, epoch, sequence uint64, level trust.Level) {
	r.stats.Delivered++
	r.deliveries = append(r.deliveries, delivery{s, Message{
		Topic:      s.topic,
		Payload:    append([]byte{}, payload...),
		Sender:     sender,
		Time:       at.Time(),
		Epoch:      epoch,
		Sequence:   sequence,
		TrustLevel: level,
	}})
}

// topic returns the state of a topic, made if needed.
func (r *router) topic(id TopicID) *topicState {
	t := r.topics[id]
	if t == nil {
		t = &topicState{id: id, streams: make(map[identity.AgentID]*stream), class: r.priorities[id].class()}
		r.topics[id] = t
	}
	return t
}

func (r *router) named(name string) *topicState {
	t := r.topic(r.topicID(name))
	t.name, t.local = name, isLocal(name)
	return t
}

// topicID salts the ids of local topics with a secret, so that nothing from
// outside can be addressed to one.
func (r *router) topicID(name string) TopicID {
	if isLocal(name) {
		return NewTopicID(string(r.salt[:]), name)
	}
	return NewTopicID(r.cfg.NetworkID, name)
}

func (r *router) forgetIfIdle(t *topicState) {
	if len(t.subs) > 0 || len(t.streams) > 0 || len(t.retained) > 0 || len(t.missing) > 0 || t.interested > 0 || t.telling {
		return
	}
	delete(r.topics, t.id)
	for _, p := range r.peers {
		delete(p.links, t.id)
	}
}

// stream returns the stream of a sender in a topic, made if needed, and marks
// it as used.
func (r *router) stream(t *topicState, sender identity.AgentID) *stream {
	r.uses++
	s := t.streams[sender]
	if s != nil {
		s.used = r.uses
		r.streams.MoveToFront(s.lru)
		return s
	}
	s = &stream{topic: t, sender: sender, used: r.uses}
	s.lru = r.streams.PushFront(s)
	t.streams[sender] = s
	if r.streams.Len() > maxStreams {
		oldest := r.streams.Back().Value.(*stream)
		r.dropStream(oldest)
		r.forgetIfIdle(oldest.topic)
	}
	return s
}

func (r *router) dropStream(s *stream) {
	r.streams.Remove(s.lru)
	delete(s.topic.streams, s.sender)
}

// subscribe adds a subscription. With replay, what is retained of the topic is
// delivered first, and neighbours are told what is here so that they send the
// rest.
func (r *router) subscribe(s *Subscription, now time.Time) {
	t := r.named(s.topic)
	s.state, s.since = t, now
	t.subs = append(t.subs, s)
	if s.replay {
		for _, e := range t.retained {
			r.replayTo(s, e)
		}
	}
	if len(t.subs) == 1 && !t.local {
		r.tell(t, now)
	}
}

func (r *router) replayTo(s *Subscription, e *entry) {
	level := trust.Trusted
	if e.sender != r.own {
		level = trust.Unknown
		if r.cfg.Policy != nil {
			var deliver bool
			if level, deliver = r.cfg.Policy(e.sender); !deliver {
				return
			}
		}
	}
	payloads := [][]byte(nil)
	if e.local != nil {
		payloads = e.local.payloads
	} else if env, err := parseEnvelope(e.frame[envelopeAt:]); err == nil {
		payloads = env.payloads
	}
	for i, p := range payloads {
		r.deliverTo(s, p, e.sender, e.time, e.epoch, e.first+uint64(i), level)
	}
}

func (r *router) unsubscribe(s *Subscription, now time.Time) {
	t := s.state
	for i, other := range t.subs {
		if other == s {
			t.subs = append(t.subs[:i:i], t.subs[i+1:]...)
			break
		}
	}
	if len(t.subs) > 0 || t.local {
		return
	}
	r.tell(t, now)
	r.forgetIfIdle(t)
}
