package gossip

import (
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// peerUp begins with a neighbour, or begins again on a new connection: it is
// told what is wanted here and what is here already.
func (r *router) peerUp(id identity.AgentID, now time.Time) {
	r.peerDown(id, now)
	r.connections++
	p := &peer{id: id, number: r.connections, links: make(map[TopicID]*link), has: make(map[streamKey]ranges)}
	r.peers[id] = p
	r.order = append(r.order, id)
	r.calm()
	if key, ok := r.lookup(id); ok {
		// The handshake parsed it, so its messages need no key request.
		r.keys.put(id, key)
	}
	p.greeted = now
	r.awaitReady(p, readyPatience, now)
	p.control = r.greet(p)
	for _, f := range p.control {
		p.controlBytes += len(f)
	}
}

func (r *router) peerDown(id identity.AgentID, now time.Time) {
	p := r.peers[id]
	if p == nil {
		return
	}
	delete(r.peers, id)
	r.order = slices.DeleteFunc(r.order, func(o identity.AgentID) bool { return o == id })
	r.calm()
	r.forgetLinks(p, now)
	r.askOthers(id)
	r.release()
	r.flushRequests()
}

// calm lets topics shorten their trees again: the neighbourhood is another.
func (r *router) calm() {
	for _, t := range r.topics {
		t.optimise.pause, t.optimise.until = 0, time.Time{}
	}
}

// handleReady is where messages begin to flow to a neighbour: first what is
// retained here and missing there, then what comes.
func (r *router) handleReady(p *peer, body []byte, now time.Time) error {
	relay, err := parseReady(body)
	if err != nil || p.ready {
		return err
	}
	p.ready, p.relay = true, relay
	for c := range r.log.lanes {
		var all []*entry
		for e := r.log.lanes[c].head; e != nil; e = e.next {
			if e.retained {
				all = append(all, e)
			}
		}
		r.fill(p, all, p.has, now)
	}
	p.has = nil
	return nil
}

// fill answers with what a peer lacks of some entries, which are in log order.
// Those at its cursor and after it come without that.
func (r *router) fill(p *peer, entries []*entry, has map[streamKey]ranges, now time.Time) {
	for _, e := range entries {
		if c := p.lanes[e.class].cursor; c != nil && e.index >= c.index {
			continue
		}
		if r.way(p, e) == skip {
			continue
		}
		seen, ok := has[streamKey{e.topic.id, e.sender, e.epoch}]
		if ok && seen.covers(e.first, e.last()) {
			continue
		}
		r.answer(p, e, now)
	}
}

func (r *router) control(p *peer, frame []byte) {
	if len(p.control) >= maxControl || p.controlBytes > maxControlBytes {
		r.stats.ControlDropped++
		p.lostControl = true
		return
	}
	p.control = append(p.control, frame)
	p.controlBytes += len(frame)
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
	// Entries at a cursor that are not pushed are passed for good; what that
	// announces is control. Not while that is waiting itself.
	for c := range p.lanes {
		lane := &p.lanes[c]
		for p.ready && len(p.control) < limit && lane.cursor != nil && r.way(p, lane.cursor) != push {
			r.pass(p, lane, now)
		}
	}
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
	for c := range p.lanes {
		lane := &p.lanes[c]
		for _, e := range lane.backfill {
			if len(out) == limit {
				return out
			}
			out = append(out, outgoing{class: ClassBulk, frame: appendRetained(e.frame, now.Sub(e.at), true), entry: e})
		}
		for e := lane.cursor; e != nil && len(out) < limit; e = e.next {
			if r.way(p, e) != push {
				continue
			}
			frame := e.frame
			if age := now.Sub(e.at); age > freshFor {
				frame = appendRetained(e.frame, age, false)
			}
			out = append(out, outgoing{class: ClassBulk, frame: frame, entry: e, live: true})
		}
	}
	return out
}

// sent says that of what outgoingFor returned the first n frames are on their
// way, and that for the rest, if any, the Sender has no room.
func (r *router) sent(p *peer, out []outgoing, n int, now time.Time) {
	for _, o := range out[:n] {
		if o.class == ClassControl {
			p.control = p.control[1:]
			p.controlBytes -= len(o.frame)
			continue
		}
		r.stats.Forwarded++
		lane := &p.lanes[o.entry.class]
		if !o.live {
			lane.backfill = lane.backfill[1:]
			delete(p.queued, o.entry)
			p.queuedBytes -= o.entry.size
			if len(lane.backfill) == 0 {
				lane.backfill = nil
			}
			continue
		}
		for lane.cursor != nil && lane.cursor.index < o.entry.index {
			r.pass(p, lane, now)
		}
		if lane.cursor == o.entry {
			r.advance(lane)
		}
	}
	if n > 0 {
		p.stalled, p.refusingSince = false, time.Time{}
	}
	if n < len(out) {
		p.refusing, p.refusedAt = true, now
		if p.refusingSince.IsZero() {
			p.refusingSince = now
		}
	}
	if len(p.control) == 0 {
		p.control = nil
		r.drained(p, now)
	}
}

// pass moves a cursor over an envelope that is not pushed: it is announced,
// unless the peer has it or wants nothing of it.
func (r *router) pass(p *peer, lane *lane, now time.Time) {
	if r.way(p, lane.cursor) != skip {
		r.announce(p, lane.cursor, now)
	}
	r.advance(lane)
}

// advance moves a cursor by one and lets go of what it alone held.
func (r *router) advance(lane *lane) {
	e := lane.cursor
	lane.cursor = e.next
	if !e.retained && !r.held(e) {
		r.remove(e)
	}
}

// held reports whether a cursor is at e or before it. A stalled peer holds
// nothing.
func (r *router) held(e *entry) bool {
	for _, p := range r.peers {
		if c := p.lanes[e.class].cursor; c != nil && !p.stalled && c.index <= e.index {
			return true
		}
	}
	return false
}

// remove takes e out of the log. Cursors on it move on, which for a peer that
// it would have been pushed to is a loss.
func (r *router) remove(e *entry) {
	for _, p := range r.peers {
		lane := &p.lanes[e.class]
		if lane.cursor != nil && lane.cursor.index <= e.index && r.way(p, e) == push {
			r.stats.PeerDropped++
		}
		if lane.cursor == e {
			lane.cursor = e.next
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
	t := e.topic
	e.class = t.class
	r.log.push(e)
	for _, p := range r.peers {
		if lane := &p.lanes[e.class]; p.ready && lane.cursor == nil {
			lane.cursor = e
		}
	}
	t.retained = append(t.retained, e)
	if t.index == nil {
		t.index = make(map[place]*entry)
	}
	t.index[e.place()] = e
	t.messages += e.count
	t.bytes += e.size
	ret := &r.cfg.Retention
	for len(t.retained) > 0 && (t.messages > ret.Messages || t.bytes > ret.Bytes || now.Sub(t.retained[0].at) > ret.Age) {
		r.unretain(t.retained[0])
	}
	r.shed()
	if len(t.retained) > 0 {
		r.planDigest(t, now)
	}
}

// unretain ends the retention of an envelope, usually the oldest of its topic.
func (r *router) unretain(e *entry) {
	t := e.topic
	i := slices.Index(t.retained, e)
	if i == 0 {
		t.retained[0] = nil
		t.retained = t.retained[1:]
	} else {
		t.retained = slices.Delete(t.retained, i, i+1)
	}
	if t.index[e.place()] == e {
		delete(t.index, e.place())
	}
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
	for c := range r.log.lanes {
		for e := r.log.lanes[c].head; e != nil && r.log.behind > 0; {
			next := e.next
			if !e.retained {
				if r.held(e) {
					break // and so is everything after it
				}
				r.remove(e)
			}
			e = next
		}
	}
}

// stall is told that a peer has taken nothing for a while: its cursors no
// longer keep anything in the log, nor publishers waiting.
func (r *router) stall(p *peer) {
	p.stalled = true
	r.release()
}

// tick does what is due, and ends what has a time.
func (r *router) tick(now time.Time) {
	r.agenda.run(now)
	r.flushRequests()
	if !now.Before(r.nextExpiry) {
		r.nextExpiry = now.Add(r.expiry())
		for _, t := range r.topics {
			for len(t.retained) > 0 && now.Sub(t.retained[0].at) > r.cfg.Retention.Age {
				r.unretain(t.retained[0])
			}
			r.forgetIfIdle(t)
		}
	}
	r.tickKeys(now)
}

// expiry is how often retention is looked at.
func (r *router) expiry() time.Duration { return max(r.cfg.Retention.Age/10, time.Second) }

// interval is how soon the next tick is needed at the latest, 0 if not before
// something happens.
func (r *router) interval(now time.Time) time.Duration {
	d := time.Duration(0)
	sooner := func(next time.Duration) {
		if next = max(next, time.Millisecond); d == 0 || next < d {
			d = next
		}
	}
	if at, ok := r.agenda.next(); ok {
		sooner(at.Sub(now))
	}
	if len(r.keys.waiting) > 0 {
		sooner(keyRetry)
	}
	if !r.log.empty() {
		sooner(r.expiry())
	}
	return d
}
