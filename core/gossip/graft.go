package gossip

import (
	"slices"
	"time"
)

const (
	// Announced messages that are awaited, per neighbour, topic and in all: one
	// that announces what does not exist fills its own share.
	maxMissingPeer  = 2048
	maxMissingTopic = 8192
	maxMissing      = 32768
	// maxAnnouncers bounds whom one message is asked of.
	maxAnnouncers = 8
	// maxEarly is up to which size an envelope is asked for while the tree may
	// still bring it: large ones come in bursts, when everything is late, and to
	// get them twice makes it later.
	maxEarly = 16 << 10
	// What a neighbour may ask for (marks of GRAFT and IWANT, and frames) per
	// second, and at once: it costs us searching.
	requestRate  = 1000
	requestBurst = 5000
)

// affords takes the cost of a request from what a neighbour may ask for, and
// counts it as refused if that does not suffice.
func (r *router) affords(p *peer, cost int, now time.Time) bool {
	if p.requests.take(int64(cost), requestRate, requestBurst, now) {
		return true
	}
	r.stats.RequestsRefused++
	return false
}

// missing is a message that was announced and has not come.
type missing struct {
	topic      *topicState
	at         place
	last       uint64
	owner      *peer // who announced it first, and whose share it is of
	announcers []announcer
	since      time.Time
	patience   time.Duration // until the tree is to be changed for it
	next       int           // of announcers
	asked      int           // times, with the tree having failed
	early      bool          // it has been asked for before that
	due        time.Time
}

type announcer struct {
	peer *peer
	hops uint8
}

// miss notes that an announced message is missing, and when it is asked for.
func (r *router) miss(p *peer, t *topicState, at place, m *mark, now time.Time) {
	if w := t.missing[at]; w != nil {
		if len(w.announcers) < maxAnnouncers && !w.announcedBy(p) {
			w.announcers = append(w.announcers, announcer{p, m.hops})
		}
		return
	}
	if len(t.missing) >= maxMissingTopic || r.crowded(p) {
		r.stats.IHaveDropped++
		return
	}
	w := &missing{topic: t, at: at, last: m.to, owner: p, announcers: []announcer{{p, m.hops}}, since: now}
	if t.missing == nil {
		t.missing = make(map[place]*missing)
	}
	t.missing[at] = w
	p.waiting++
	r.missing++
	// The tree gets as long as it has lately been behind, else it would be
	// changed for ever without anything being broken. A random part, so that of
	// the many nodes behind a broken link one mends it for all. The message
	// itself is wanted sooner, and asking for it changes nothing.
	size := t.likelySize(m)
	soon := max(2*r.rtt(p), r.cfg.GraftDelay) + sizeDelay(size)
	w.patience = soon
	if late := t.late.now(now); late > 0 {
		w.patience = max(soon, late+time.Duration(r.cfg.Rand.Int64N(int64(late))))
	}
	soon = max(soon, min(2*t.late.usual, maxUsual))
	if size > maxEarly {
		soon = w.patience
	}
	r.askAfter(w, min(soon, w.patience), now)
}

// likelySize is the size of an announced envelope, if its messages are like the
// others of the topic. What the announcer says of it could not be trusted more.
func (t *topicState) likelySize(m *mark) int64 {
	if t.messages == 0 {
		return 0
	}
	return t.bytes / int64(t.messages) * int64(m.to-m.from+1)
}

// crowded reports whether nothing more that a neighbour announces is awaited.
func (r *router) crowded(p *peer) bool {
	return p.waiting >= maxMissingPeer || r.missing >= maxMissing
}

func (r *router) askAfter(w *missing, wait time.Duration, now time.Time) {
	w.due = now.Add(wait)
	r.agenda.add(w.due, func(now time.Time) {
		if w.topic.missing[w.at] == w && !now.Before(w.due) {
			r.ask(w, now)
		}
	})
}

// found ends the waiting for a message, and returns what was known of it.
func (r *router) found(t *topicState, at place) *missing {
	w := t.missing[at]
	if w != nil {
		delete(t.missing, at)
		w.owner.waiting--
		r.missing--
	}
	return w
}

// graftPause is how long a topic has to be mended by one GRAFT. What else is
// missing meanwhile is asked for without another, or one broken link would make
// many new ones, and each a loop.
const graftPause = 500 * time.Millisecond

// ask asks the next that announced a message for it: with IWANT while the tree
// may still bring it, then with GRAFT, and then for whatever else of the topic
// that neighbour has announced as well.
func (r *router) ask(w *missing, now time.Time) {
	t := w.topic
	e := t.streams[w.at.sender].epoch(w.at.epoch)
	if e != nil && e.seen.covers(w.at.first, w.last) || !r.takes(t) {
		r.found(t, w.at)
		return
	}
	w.announcers = slices.DeleteFunc(w.announcers, func(a announcer) bool { return r.peers[a.peer.id] != a.peer })
	if len(w.announcers) == 0 || w.asked >= r.cfg.GraftTries {
		r.found(t, w.at)
		r.giveUp(w, now)
		r.forgetIfIdle(t)
		return
	}
	p := w.announcers[w.next%len(w.announcers)].peer
	w.next++
	if now.Sub(w.since) < w.patience {
		r.askAfter(w, max(2*r.rtt(p), r.cfg.GraftDelay), now)
		w.early = true
		r.want(p, w.mark())
		return
	}
	first := w.asked == 0
	r.asking(w, p, now)
	if first && now.Sub(t.grafted) < graftPause {
		r.want(p, w.mark())
		return
	}
	t.grafted = now
	r.graft(p, w.mark(), now)
	if !first {
		return
	}
	var more []*missing
	for _, o := range t.missing {
		if o != w && o.asked == 0 && now.Sub(o.since) >= r.cfg.GraftDelay && o.announcedBy(p) {
			more = append(more, o)
		}
	}
	slices.SortFunc(more, func(a, b *missing) int { return compareMarks(a.mark(), b.mark()) })
	for _, o := range more {
		r.asking(o, p, now)
		r.graft(p, o.mark(), now)
	}
}

// asking notes that p is asked for a message, and plans the next time.
func (r *router) asking(w *missing, p *peer, now time.Time) {
	w.asked++
	r.askAfter(w, max(r.rtt(p), r.cfg.GraftDelay)<<min(w.asked/max(len(w.announcers), 1), 4), now)
}

// awaitPush notes that a message has come by asking for it early. If the tree does
// not bring it in the time that it should need, it is mended.
func (r *router) awaitPush(e *entry, w *missing, now time.Time) {
	e.announced, e.early = w.since, true
	r.agenda.add(w.since.Add(w.patience), func(now time.Time) {
		t := e.topic
		if !e.early || r.topics[t.id] != t || !r.takes(t) {
			return
		}
		e.early = false
		if now.Sub(t.grafted) < graftPause {
			return
		}
		for _, a := range w.announcers {
			p := r.live(a.peer)
			if p == nil {
				continue
			}
			if r.link(p, t).lazy { // else it has been mended
				t.grafted = now
				r.graft(p, mark{topic: t.id}, now)
			}
			return
		}
	})
}

func (w *missing) announcedBy(p *peer) bool {
	return slices.ContainsFunc(w.announcers, func(a announcer) bool { return a.peer == p })
}

func (w *missing) mark() mark {
	return mark{topic: w.topic.id, sender: w.at.sender, epoch: w.at.epoch, from: w.at.first, to: w.last}
}

// giveUp leaves a message that no announcer has sent to the repair of gaps, if
// it belongs to a stream that is known here.
func (r *router) giveUp(w *missing, now time.Time) {
	if e := w.topic.streams[w.at.sender].epoch(w.at.epoch); e != nil {
		e.gaps.top = max(e.gaps.top, w.last)
		r.noticeGaps(w.topic, w.at.sender, e, now)
		return
	}
	r.stats.GapsGivenUp++
}

// graft makes a link eager at both ends, and asks for messages if the mark has
// any. What is asked of one neighbour in one tick goes in one frame.
func (r *router) graft(p *peer, m mark, now time.Time) {
	r.link(p, r.topics[m.topic]).set(false, now)
	p.grafting = append(p.grafting, m)
	r.requesting = true
}

// want asks for messages without changing a link, likewise.
func (r *router) want(p *peer, marks ...mark) {
	if len(marks) > 0 {
		p.wanting = append(p.wanting, marks...)
		r.requesting = true
	}
}

// flushRequests sends what this tick or frame has led to.
func (r *router) flushRequests() {
	if !r.requesting { // after most frames
		return
	}
	r.requesting = false
	for _, id := range r.order {
		p := r.peers[id]
		if len(p.grafting) > 0 {
			for _, f := range graftFrames(p.grafting) {
				r.stats.GraftsSent++
				r.control(p, f)
			}
			p.grafting = nil
		}
		if len(p.wanting) > 0 {
			for _, f := range iWantFrames(p.wanting) {
				r.stats.IWantSent++
				r.control(p, f)
			}
			p.wanting = nil
		}
	}
}

// graftFrames: 0x09 | marks. A topic alone asks for no message.
func graftFrames(list []mark) [][]byte { return markFrames([]byte{byte(frameGraft)}, false, list) }

func parseGraft(body []byte) ([]mark, error) { return parseMarks("parse graft", body, false) }

func (r *router) handleGraft(p *peer, body []byte, now time.Time) error {
	list, err := parseGraft(body)
	if err != nil {
		return err
	}
	if !r.affords(p, 1+len(list), now) {
		return nil
	}
	for i := range list {
		m := &list[i]
		t := r.topics[m.topic]
		if t == nil || t.local {
			continue
		}
		if l := r.link(p, t); l.lazy {
			l.set(false, now)
			r.stats.Grafted++
		}
		if m.from == 0 {
			continue
		}
		if e := t.index[place{m.sender, m.epoch, m.from}]; e != nil && e.last() == m.to {
			r.answer(p, e, now)
		} else {
			r.answerRange(p, t, m, now)
		}
	}
	return nil
}
