package gossip

import (
	"bytes"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// maxAnnouncing is how many announcements for one neighbour wait at most; then
// they go at once.
const maxAnnouncing = 512

// announce puts an envelope on the list of those that a neighbour is told of. Of
// the two ends of a link the one with the greater id waits twice as long: both
// got the message at about the same time, and what one announces the other need
// not.
func (r *router) announce(p *peer, e *entry, now time.Time) {
	p.announcing = append(p.announcing, e)
	if len(p.announcing) >= maxAnnouncing {
		r.flushAnnouncements(p)
		return
	}
	if !p.announceAt.IsZero() {
		return
	}
	delay := r.cfg.IHaveDelay
	if bytes.Compare(r.own[:], p.id[:]) > 0 {
		delay *= 2
	}
	p.announceAt = now.Add(delay)
	r.agenda.add(p.announceAt, func(time.Time) {
		p.announceAt = time.Time{}
		if r.peers[p.id] == p {
			r.flushAnnouncements(p)
		}
	})
}

// flushAnnouncements sends the list, without what the neighbour has meanwhile
// announced or pushed itself.
func (r *router) flushAnnouncements(p *peer) {
	var list []mark
	for _, e := range p.announcing {
		if r.way(p, e) != skip {
			list = append(list, mark{topic: e.topic.id, sender: e.sender, epoch: e.epoch, from: e.first, to: e.last(), hops: e.hops})
		}
	}
	p.announcing = nil
	r.stats.IHaveSent += uint64(len(list))
	for _, f := range iHaveFrames(list) {
		r.control(p, f)
	}
}

// iHaveFrames: 0x08 | marks with hops. Each mark is one envelope.
func iHaveFrames(list []mark) [][]byte { return markFrames([]byte{byte(frameIHave)}, true, list) }

func parseIHave(body []byte) ([]mark, error) { return parseMarks("parse announcements", body, true) }

func (r *router) handleIHave(p *peer, body []byte, now time.Time) error {
	list, err := parseIHave(body)
	if err != nil {
		return err
	}
	for i := range list {
		m := &list[i]
		t := r.topics[m.topic]
		if m.from == 0 || m.to-m.from >= maxBundle || !r.takes(t) ||
			wire.HLC(m.epoch).Check(now, r.cfg.MaxAhead) != nil {
			r.stats.IHaveDropped++
			continue
		}
		if t == nil {
			if r.crowded(p) {
				r.stats.IHaveDropped++
				continue
			}
			t = r.topic(m.topic)
		}
		r.stats.IHaveReceived++
		if l := p.links[t.id]; l != nil && !l.lazy && !l.changed.IsZero() && now.Sub(l.changed) > settleTime {
			l.set(true, now) // the other end holds it to be lazy
		}
		r.heard(p, t, m, now)
	}
	return nil
}

// heard takes in one announcement.
func (r *router) heard(p *peer, t *topicState, m *mark, now time.Time) {
	at := place{m.sender, m.epoch, m.from}
	s := t.streams[m.sender]
	if s != nil {
		seen, old := s.seen(m.epoch)
		if old {
			return
		}
		if seen != nil && seen.covers(m.from, m.to) {
			if e := t.index[at]; e != nil {
				e.knows(p)
				if e.frame[1]&isDelayed != 0 {
					return // its hops say nothing about the tree
				}
				r.shorten(t, r.peers[e.from], e.hops, p, m.hops, now)
			}
			return
		}
	}
	r.miss(p, t, at, m, now)
}
