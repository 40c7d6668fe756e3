package gossip

import (
	"bytes"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// maxAnnouncing is how many announcements for one neighbour wait at most; then
// they go at once.
const maxAnnouncing = 512

// announcement is an envelope that a neighbour is told of.
type announcement struct {
	entry *entry
	ready time.Time // when its size no longer keeps it; then it waits for others
}

// A large envelope is under way for longer, and costs more if it comes twice.
// So it is announced later, and missed later, by a millisecond for each KiB over
// what a message alone has; but nobody can keep others from mending the tree for
// long by its size.
const (
	aloneSize    = 8 << 10
	bytesPerMs   = 1 << 10
	maxSizeDelay = 250 * time.Millisecond
)

func sizeDelay(size int64) time.Duration {
	return time.Duration(min(max(size-aloneSize, 0)/bytesPerMs, maxSizeDelay.Milliseconds())) * time.Millisecond
}

// announce puts an envelope on the list of those that a neighbour is told of. Of
// the two ends of a link the one with the greater id waits twice as long: both
// got the message at about the same time, and what one announces the other need
// not.
func (r *router) announce(p *peer, e *entry, now time.Time) {
	a := announcement{e, now.Add(sizeDelay(e.size))}
	p.announcing = append(p.announcing, a)
	if len(p.announcing) >= maxAnnouncing {
		r.flushAnnouncements(p, now.Add(maxSizeDelay))
		return
	}
	r.announceAfter(p, a.ready)
}

// announceAfter plans when the list is looked at for one that is ready.
func (r *router) announceAfter(p *peer, ready time.Time) {
	delay := r.cfg.IHaveDelay
	if bytes.Compare(r.own[:], p.id[:]) > 0 {
		delay *= 2
	}
	at := ready.Add(delay)
	if !p.announceAt.IsZero() && !at.Before(p.announceAt) {
		return
	}
	p.announceAt = at
	r.agenda.add(at, func(now time.Time) {
		if r.peers[p.id] == p && p.announceAt.Equal(at) {
			p.announceAt = time.Time{}
			r.flushAnnouncements(p, now)
		}
	})
}

// flushAnnouncements sends what is ready of the list, without what the neighbour
// has meanwhile announced or pushed itself.
func (r *router) flushAnnouncements(p *peer, now time.Time) {
	var list []mark
	var later []announcement
	for _, a := range p.announcing {
		switch e := a.entry; {
		case r.way(p, e) == skip:
		case a.ready.After(now):
			later = append(later, a)
		default:
			list = append(list, e.mark())
		}
	}
	p.announcing = later
	for _, a := range later {
		r.announceAfter(p, a.ready)
	}
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
