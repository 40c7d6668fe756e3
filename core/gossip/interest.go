package gossip

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

// interestPause is how often a neighbour can make us tell the others that a
// topic is wanted, or no longer: what changes more often is told together.
const interestPause = 200 * time.Millisecond

// distance returns how far the nearest subscriber of a topic is from here, other
// than by way of one neighbour: what that neighbour is told. If it were told of
// itself, two neighbours would keep a topic alive that nobody wants.
func (r *router) distance(t *topicState, except *peer) uint8 {
	switch {
	case t.local:
		return nowhere
	case len(t.subs) > 0:
		return 0
	case r.cfg.NoRelay || t.interested == 0:
		return nowhere
	}
	least := nowhere
	for _, p := range r.peers {
		if l := p.links[t.id]; p != except && l != nil {
			least = min(least, int(l.distance))
		}
	}
	if least >= r.cfg.MaxInterestHops {
		return nowhere
	}
	return uint8(least + 1)
}

// greet returns what a new neighbour is told: the topics that are wanted here or
// behind other neighbours, and what is here of them and of those only relayed.
// The nearest come first: a neighbour remembers a bounded number.
func (r *router) greet(p *peer) [][]byte {
	var list []interest
	for _, t := range r.topics {
		d := r.distance(t, p)
		if t.local || d == nowhere && (r.cfg.NoRelay || len(t.streams) == 0) {
			continue
		}
		if d != nowhere {
			r.link(p, t).told = d
		}
		list = append(list, r.interest(t, d))
	}
	slices.SortFunc(list, func(a, b interest) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), bytes.Compare(a.topic[:], b.topic[:]))
	})
	return append(subscribeFrames(list), readyFrame(!r.cfg.NoRelay))
}

// interest is one topic as told to a neighbour. Of more streams than one frame
// takes, it has those that were active last.
func (r *router) interest(t *topicState, distance uint8) interest {
	in := interest{topic: t.id, distance: distance}
	streams := make([]*stream, 0, len(t.streams))
	for _, s := range t.streams {
		streams = append(streams, s)
	}
	slices.SortFunc(streams, func(a, b *stream) int { return cmp.Compare(b.used, a.used) })
	for _, s := range streams {
		for i := range s.epochs {
			if len(in.streams) == maxFrameStreams {
				return in
			}
			e := &s.epochs[i]
			has := streamHas{sender: s.sender, epoch: e.epoch}
			has.seen.floor = e.seen.floor
			has.seen.spans = append(has.seen.spans, e.seen.spans...)
			in.streams = append(in.streams, has)
		}
	}
	return in
}

// tell says to every neighbour for which it has changed how far the nearest
// subscriber of a topic is.
func (r *router) tell(t *topicState, now time.Time) {
	t.interest = now
	for _, id := range r.order {
		p := r.peers[id]
		d := r.distance(t, p)
		was := uint8(nowhere)
		if l := p.links[t.id]; l != nil {
			was = l.told
		}
		if d == was {
			continue
		}
		r.link(p, t).told = d
		switch {
		case d == nowhere:
			r.control(p, unsubscribeFrame(t.id))
		case was == nowhere:
			for _, f := range subscribeFrames([]interest{r.interest(t, d)}) {
				r.control(p, f)
			}
		default:
			for _, f := range subscribeFrames([]interest{{topic: t.id, distance: d}}) {
				r.control(p, f)
			}
		}
	}
}

// interestChanged is told that a neighbour has changed its mind about a topic.
func (r *router) interestChanged(t *topicState, now time.Time) {
	if t.telling {
		return
	}
	next := t.interest.Add(interestPause)
	if t.interest.IsZero() || !next.After(now) {
		r.tell(t, now)
		return
	}
	t.telling = true
	r.agenda.add(next, func(now time.Time) {
		t.telling = false
		r.tell(t, now)
		r.forgetIfIdle(t)
	})
}

// wanted notes how far the nearest subscriber behind a neighbour is.
func (r *router) wanted(p *peer, t *topicState, distance uint8, now time.Time) {
	l := p.links[t.id]
	was := uint8(nowhere)
	if l != nil {
		was = l.distance
	}
	if was == distance {
		return
	}
	l = r.link(p, t)
	l.distance = distance
	switch {
	case was == nowhere:
		t.interested++
		p.wants++
	case distance == nowhere:
		t.interested--
		p.wants--
	}
	r.interestChanged(t, now)
}

func (r *router) handleSubscribe(p *peer, body []byte, now time.Time) error {
	list, err := parseSubscribe(body)
	if err != nil {
		return err
	}
	for _, in := range list {
		t, news := r.topics[in.topic], false
		switch l := p.links[in.topic]; {
		case t != nil && t.local:
			continue
		case in.distance != nowhere && (l == nil || l.distance == nowhere) && p.wants >= maxPeerTopics:
			// Rather than to forget one of its topics, send it all.
			p.wild = true
		case in.distance != nowhere:
			t = r.topic(in.topic)
			news = l == nil || l.distance == nowhere
			r.wanted(p, t, in.distance, now)
		}
		has := p.has
		if p.ready {
			if !news || t == nil {
				continue // nothing but a change of distance
			}
			has = make(map[streamKey]ranges)
		}
		for _, s := range in.streams {
			if len(has) < maxPeerHas {
				has[streamKey{in.topic, s.sender, s.epoch}] = s.seen
			}
		}
		if p.ready {
			r.fill(p, t.retained, has, now)
		}
	}
	return nil
}

func (r *router) handleUnsubscribe(p *peer, body []byte, now time.Time) error {
	list, err := parseUnsubscribe(body)
	if err != nil {
		return err
	}
	for _, id := range list {
		if t := r.topics[id]; t != nil && !t.local {
			r.wanted(p, t, nowhere, now)
			r.forgetIfIdle(t)
		}
	}
	return nil
}

// forgetLinks is told that a neighbour is gone.
func (r *router) forgetLinks(p *peer, now time.Time) {
	topics := make([]*topicState, 0, len(p.links))
	for id := range p.links {
		topics = append(topics, r.topics[id])
	}
	slices.SortFunc(topics, func(a, b *topicState) int { return bytes.Compare(a.id[:], b.id[:]) })
	for _, t := range topics {
		if p.links[t.id].distance != nowhere {
			t.interested--
		}
	}
	for _, t := range topics {
		l := p.links[t.id]
		if l.distance != nowhere {
			r.interestChanged(t, now)
		}
		if !l.lazy {
			r.reattach(t, now)
		}
		r.forgetIfIdle(t)
	}
}
