package gossip

import (
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// peerUp begins with a neighbour, or begins again on a new connection: it is
// told what is wanted here and what is here already.
func (r *router) peerUp(id identity.AgentID) {
	r.peerDown(id)
	p := &peer{id: id, topics: make(map[TopicID]struct{}), has: make(map[streamKey]ranges)}
	r.peers[id] = p
	r.order = append(r.order, id)
	if key, ok := identity.LookupPublicKey(id); ok {
		// The handshake parsed it, so its messages need no key request.
		r.keys.put(id, key.Bytes())
	}
	var list []interest
	for _, t := range r.topics {
		wanted := len(t.subs) > 0
		if !t.local && (wanted || !r.cfg.NoRelay) {
			list = append(list, r.interest(t, wanted))
		}
	}
	p.control = append(subscribeFrames(list), readyFrame(!r.cfg.NoRelay))
}

func (r *router) peerDown(id identity.AgentID) {
	if r.peers[id] == nil {
		return
	}
	delete(r.peers, id)
	r.order = slices.DeleteFunc(r.order, func(o identity.AgentID) bool { return o == id })
	r.askOthers(id)
	r.release()
}

// wants reports whether an envelope goes to a peer. The forwarding rule of the
// overlay belongs here.
func (r *router) wants(p *peer, e *entry) bool {
	if e.topic.local || e.from == p.id || e.sender == p.id {
		return false
	}
	_, interested := p.topics[e.topic.id]
	return interested || p.relay
}

func (r *router) handleSubscribe(from identity.AgentID, body []byte) error {
	list, err := parseSubscribe(body)
	p := r.peers[from]
	if err != nil || p == nil {
		return err
	}
	for _, in := range list {
		if in.wanted && len(p.topics) < maxPeerTopics {
			p.topics[in.topic] = struct{}{}
		}
		has := p.has
		if p.ready {
			has = make(map[streamKey]ranges)
		}
		for _, s := range in.streams {
			if len(has) < maxPeerHas {
				has[streamKey{in.topic, s.sender, s.epoch}] = s.seen
			}
		}
		if t := r.topics[in.topic]; p.ready && t != nil {
			r.fill(p, t.retained, has)
		}
	}
	return nil
}

func (r *router) handleUnsubscribe(from identity.AgentID, body []byte) error {
	list, err := parseUnsubscribe(body)
	if p := r.peers[from]; err == nil && p != nil {
		for _, t := range list {
			delete(p.topics, t)
		}
	}
	return err
}

// handleReady is where messages begin to flow to a neighbour: first what is
// retained here and missing there, then what comes.
func (r *router) handleReady(from identity.AgentID, body []byte) error {
	relay, err := parseReady(body)
	p := r.peers[from]
	if err != nil || p == nil || p.ready {
		return err
	}
	p.ready, p.relay = true, relay
	var all []*entry
	for e := r.log.head; e != nil; e = e.next {
		if e.retained {
			all = append(all, e)
		}
	}
	r.fill(p, all, p.has)
	p.has = nil
	return nil
}

// fill adds to a peer's backfill what it lacks of some entries, which are in
// log order. Those at its cursor and after it come without that.
func (r *router) fill(p *peer, entries []*entry, has map[streamKey]ranges) {
	for _, e := range entries {
		if p.cursor != nil && e.index >= p.cursor.index {
			return
		}
		if !r.wants(p, e) {
			continue
		}
		seen, ok := has[streamKey{e.topic.id, e.sender, e.epoch}]
		if ok && seen.covers(e.first, e.first+uint64(e.count)-1) {
			continue
		}
		p.backfill = append(p.backfill, e)
	}
}

func (r *router) control(p *peer, frame []byte) {
	if len(p.control) >= maxControl {
		r.stats.ControlDropped++
		return
	}
	p.control = append(p.control, frame)
}

// outgoing is one frame for a neighbour, with what sent needs to know.
type outgoing struct {
	class Class
	frame []byte
	entry *entry
	live  bool
}

// outgoingFor returns up to limit frames that should go to a peer next. They
// stay due until sent says otherwise.
func (r *router) outgoingFor(p *peer, limit int, now time.Time) []outgoing {
	var out []outgoing
	for _, f := range p.control {
		if len(out) == limit {
			return out
		}
		out = append(out, outgoing{class: ClassControl, frame: f})
	}
	if !p.ready {
		return out
	}
	for _, e := range p.backfill {
		if len(out) == limit {
			return out
		}
		out = append(out, outgoing{class: ClassBulk, frame: appendRetained(e.frame, now.Sub(e.at)), entry: e})
	}
	// Entries at the cursor that are not for this peer are passed for good.
	for p.cursor != nil && !r.wants(p, p.cursor) {
		r.pass(p)
	}
	for e := p.cursor; e != nil && len(out) < limit; e = e.next {
		if !r.wants(p, e) {
			continue
		}
		frame := e.frame
		if age := now.Sub(e.at); age > freshFor {
			frame = appendRetained(e.frame, age)
		}
		out = append(out, outgoing{class: ClassBulk, frame: frame, entry: e, live: true})
	}
	return out
}

// sent says that of what outgoingFor returned the first n frames are on their
// way, and that for the rest, if any, the Sender has no room.
func (r *router) sent(p *peer, out []outgoing, n int, now time.Time) {
	for _, o := range out[:n] {
		switch {
		case o.class == ClassControl:
			p.control = p.control[1:]
		case !o.live:
			p.backfill = p.backfill[1:]
			r.stats.Forwarded++
		default:
			r.stats.Forwarded++
			for p.cursor != nil && p.cursor.index <= o.entry.index {
				r.pass(p)
			}
		}
	}
	if n > 0 {
		p.stalled, p.refusingSince = false, time.Time{}
	}
	if n < len(out) {
		p.refusing = true
		if p.refusingSince.IsZero() {
			p.refusingSince = now
		}
	}
	if len(p.control) == 0 {
		p.control = nil
	}
	if len(p.backfill) == 0 {
		p.backfill = nil
	}
}

// pass moves a cursor by one and lets go of what it alone held.
func (r *router) pass(p *peer) {
	e := p.cursor
	p.cursor = e.next
	if !e.retained && !r.held(e) {
		r.remove(e)
	}
}

// held reports whether a cursor is at e or before it. A stalled peer holds
// nothing.
func (r *router) held(e *entry) bool {
	for _, p := range r.peers {
		if p.cursor != nil && !p.stalled && p.cursor.index <= e.index {
			return true
		}
	}
	return false
}

// remove takes e out of the log. Cursors on it move on, which for a peer that
// wanted it is a loss.
func (r *router) remove(e *entry) {
	for _, p := range r.peers {
		if p.cursor != nil && p.cursor.index <= e.index && r.wants(p, e) {
			r.stats.PeerDropped++
		}
		if p.cursor == e {
			p.cursor = e.next
		}
	}
	r.log.unlink(e)
}

// retain appends to the log and keeps the limits of the topic and of the log.
func (r *router) retain(e *entry, now time.Time) {
	e.size = int64(len(e.frame)) + entryOverhead
	if e.local != nil {
		for _, p := range e.local.payloads {
			e.size += int64(len(p))
		}
	}
	r.log.push(e)
	for _, p := range r.peers {
		if p.ready && p.cursor == nil {
			p.cursor = e
		}
	}
	t := e.topic
	t.retained = append(t.retained, e)
	t.messages += e.count
	t.bytes += e.size
	ret := &r.cfg.Retention
	for len(t.retained) > 0 && (t.messages > ret.Messages || t.bytes > ret.Bytes || now.Sub(t.retained[0].at) > ret.Age) {
		r.expire(t)
	}
	for r.log.bytes > r.cfg.MaxLogBytes && r.log.head != nil {
		oldest := r.log.head
		if !oldest.retained {
			r.remove(oldest)
			continue
		}
		r.expire(oldest.topic) // the oldest of the log is the oldest of its topic
		if !oldest.removed {
			r.remove(oldest)
		}
	}
}

// expire ends the retention of the oldest envelope of a topic.
func (r *router) expire(t *topicState) {
	e := t.retained[0]
	t.retained[0] = nil
	t.retained = t.retained[1:]
	t.messages -= e.count
	t.bytes -= e.size
	e.retained = false
	r.log.behind += e.size
	r.stats.Expired++
	if !r.held(e) {
		r.remove(e)
	}
}

// release removes what only cursors that are gone or stalled held.
func (r *router) release() {
	for e := r.log.head; e != nil && r.log.behind > 0; {
		next := e.next
		if !e.retained {
			if r.held(e) {
				return // and so is everything after it
			}
			r.remove(e)
		}
		e = next
	}
}

// stall is told that a peer has taken nothing for a while: its cursor no longer
// keeps anything in the log, nor publishers waiting.
func (r *router) stall(p *peer) {
	p.stalled = true
	r.release()
}

// tick ends what has a time.
func (r *router) tick(now time.Time) {
	for _, t := range r.topics {
		for len(t.retained) > 0 && now.Sub(t.retained[0].at) > r.cfg.Retention.Age {
			r.expire(t)
		}
		r.forgetIfIdle(t)
	}
	r.tickKeys(now)
}

// interval is how soon the next tick is needed at the latest, 0 if not before
// something happens.
func (r *router) interval() time.Duration {
	switch {
	case len(r.keys.waiting) > 0:
		return keyRetry
	case r.log.head != nil:
		return max(r.cfg.Retention.Age/10, time.Second)
	}
	return 0
}
