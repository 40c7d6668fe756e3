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
	// maxControl bounds control frames that wait for one neighbour.
	maxControl = 256
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
	future  *lru[identity.AgentID, struct{}] // senders whose clock has been reported

	deliveries []delivery
	stats      Stats
	// outside runs work that needs no state, such as verifying, and may let
	// other calls in meanwhile.
	outside func(func())
	salt    [32]byte
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
	body := frame[1:]
	var err error
	switch frameType(frame[0]) {
	case frameEnvelope:
		r.handleEnvelope(from, body, 0, now)
	case frameRetained:
		var age time.Duration
		if age, body, err = parseRetained(body); err == nil {
			r.handleEnvelope(from, body, age, now)
		}
	case frameSubscribe:
		err = r.handleSubscribe(from, body)
	case frameUnsubscribe:
		err = r.handleUnsubscribe(from, body)
	case frameReady:
		err = r.handleReady(from, body)
	case frameKeyRequest:
		err = r.handleKeyRequest(from, body)
	case frameKey:
		err = r.handleKey(body, now)
	default:
		r.stats.UnknownFrames++
	}
	if err != nil {
		r.stats.BadFrames++
	}
}

func (r *router) handleEnvelope(from identity.AgentID, b []byte, age time.Duration, now time.Time) {
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
	if r.refuse(env, now) {
		return
	}
	// A key that this process has parsed lately costs nothing; a known one some
	// 60 µs; an unknown one has to be asked for.
	raw, known := r.keys.get(env.sender)
	if !known {
		if p, ok := identity.LookupPublicKey(env.sender); ok {
			raw, known = p.Bytes(), true
			r.keys.put(env.sender, raw)
		}
	}
	if !known {
		r.await(from, env, b, age, now)
		return
	}
	var genuine bool
	r.outside(func() {
		key, err := identity.CachedPublicKey(raw)
		genuine = err == nil && env.verify(key, r.cfg.NetworkID)
	})
	if !genuine {
		r.stats.Forged++
		return
	}
	// Another neighbour may have delivered the same meanwhile.
	if r.refuse(env, now) {
		return
	}
	r.accept(from, env, age, now)
}

// refuse is everything that can be said without the signature. It counts what
// it refuses.
func (r *router) refuse(env *envelope, now time.Time) bool {
	t := r.topics[env.topic]
	switch {
	case r.cfg.NoRelay && (t == nil || len(t.subs) == 0):
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
func (r *router) accept(from identity.AgentID, env *envelope, age time.Duration, now time.Time) {
	// Make our clock later than what we have read; a time that is acceptable
	// but too far ahead to follow is left alone.
	_ = r.cfg.Clock.Observe(env.time, r.cfg.MaxAhead*3/4)
	t := r.topic(env.topic)
	seen := r.stream(t, env.sender).open(env.epoch)

	frame := make([]byte, 0, 1+len(env.signed)+len(env.signature))
	frame = append(frame, byte(frameEnvelope))
	frame = append(frame, env.signed...)
	frame = append(frame, env.signature...)

	level, deliver := trust.Unknown, true
	if r.cfg.Policy != nil && env.sender != r.own {
		level, deliver = r.cfg.Policy(env.sender)
	}
	if env.sender == r.own {
		level = trust.Trusted
	}
	live := now.Add(-age)
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
	r.retain(&entry{
		frame: frame, topic: t, sender: env.sender, from: from,
		epoch: env.epoch, first: env.first, count: len(env.payloads), time: env.time, at: live,
	}, now)
}

// publish takes in an envelope that this agent has just signed. frame is kept.
// For a local topic there is no frame.
func (r *router) publish(topic string, env *envelope, frame []byte, now time.Time) {
	t := r.named(topic)
	r.stream(t, env.sender).open(env.epoch).add(env.first, env.last())
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
		t = &topicState{id: id, streams: make(map[identity.AgentID]*stream)}
		r.topics[id] = t
	}
	return t
}

func (r *router) named(name string) *topicState {
	t := r.topic(r.topicID(name))
	t.local = isLocal(name)
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
	if len(t.subs) == 0 && len(t.streams) == 0 && len(t.retained) == 0 {
		delete(r.topics, t.id)
	}
}

// stream returns the stream of a sender in a topic, made if needed, and marks
// it as used.
func (r *router) stream(t *topicState, sender identity.AgentID) *stream {
	s := t.streams[sender]
	if s != nil {
		r.streams.MoveToFront(s.lru)
		return s
	}
	s = &stream{topic: t, sender: sender}
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
		for _, f := range subscribeFrames([]interest{r.interest(t, true)}) {
			for _, id := range r.order {
				r.control(r.peers[id], f)
			}
		}
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
	} else if env, err := parseEnvelope(e.frame[1:]); err == nil {
		payloads = env.payloads
	}
	for i, p := range payloads {
		r.deliverTo(s, p, e.sender, e.time, e.epoch, e.first+uint64(i), level)
	}
}

func (r *router) unsubscribe(s *Subscription) {
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
	for _, id := range r.order {
		r.control(r.peers[id], unsubscribeFrame(t.id))
	}
	r.forgetIfIdle(t)
}

// interest is one topic as told to a neighbour.
func (r *router) interest(t *topicState, wanted bool) interest {
	in := interest{topic: t.id, wanted: wanted}
	for sender, s := range t.streams {
		for i := range s.epochs {
			if len(in.streams) == maxFrameStreams {
				return in
			}
			e := &s.epochs[i]
			has := streamHas{sender: sender, epoch: e.epoch}
			has.seen.floor = e.seen.floor
			has.seen.spans = append(has.seen.spans, e.seen.spans...)
			in.streams = append(in.streams, has)
		}
	}
	return in
}
