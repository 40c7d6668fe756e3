package gossip

import (
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

const (
	// maxGaps bounds the gaps that one request asks for.
	maxGaps = 32
	// gapTries bounds how many neighbours are asked to fill a gap.
	gapTries = 8
)

// gaps is the repair of one stream: positions up to top that have not come.
// Sequences are dense, so every hole is a loss, or reordering on the way.
type gaps struct {
	top    uint64 // the last position that is known to exist
	floor  uint64 // up to here nothing is asked for any more
	round  uint64 // top when this round began
	open   uint64 // positions missing when last asked
	tries  int
	active bool
}

// holes returns the missing positions, at most limit spans, and how many
// positions are missing in them.
func (e *epochSeen) holes(limit int) (list []span, count uint64) {
	from := max(e.seen.floor, e.gaps.floor) + 1
	add := func(to uint64) {
		if from <= to && len(list) < limit {
			list = append(list, span{from, to})
			count += to - from + 1
		}
	}
	for _, s := range e.seen.spans {
		if s.to < from {
			continue
		}
		add(s.from - 1)
		from = max(from, s.to+1)
	}
	add(e.gaps.top)
	return list, count
}

// needs reports whether somebody here or behind a neighbour wants a topic, so
// that what is missing of it is worth asking for.
func (t *topicState) needs() bool { return len(t.subs) > 0 || t.interested > 0 }

// noticeGaps plans the repair of a stream if it has gaps.
func (r *router) noticeGaps(t *topicState, sender identity.AgentID, e *epochSeen, now time.Time) {
	if e.gaps.active {
		return
	}
	if list, _ := e.holes(1); len(list) == 0 {
		return
	}
	e.gaps.active, e.gaps.tries, e.gaps.open, e.gaps.round = true, 0, 0, 0
	epoch := e.epoch
	r.agenda.add(now.Add(r.cfg.GapDelay), func(now time.Time) { r.fillGaps(t, sender, epoch, now) })
}

// fillGaps asks the next neighbour for what is missing in a stream.
func (r *router) fillGaps(t *topicState, sender identity.AgentID, epoch uint64, now time.Time) {
	e := t.streams[sender].epoch(epoch)
	if e == nil {
		return
	}
	g := &e.gaps
	list, count := e.holes(maxGaps)
	if len(list) == 0 || !t.needs() || !r.takes(t) {
		g.active = false
		return
	}
	if g.open == 0 || count < g.open {
		g.tries = 0 // somebody has some of it
	}
	if g.round == 0 {
		g.round = max(g.top, list[len(list)-1].to)
	}
	g.open = count
	ask := r.carriers(t)
	if g.tries >= min(gapTries, len(ask)+1) {
		r.stats.GapsGivenUp++
		g.floor, g.active = g.round, false
		r.noticeGaps(t, sender, e, now) // of what came since
		return
	}
	wait := r.cfg.GapDelay
	if len(ask) > 0 {
		p := ask[(g.tries+int(r.asks))%len(ask)]
		for _, s := range list {
			r.want(p, mark{topic: t.id, sender: sender, epoch: epoch, from: s.from, to: s.to})
		}
		wait = max(wait, 2*r.rtt(p))
	}
	g.tries++
	if g.tries == 1 {
		r.asks++ // not always the same neighbour first
	}
	r.agenda.add(now.Add(wait), func(now time.Time) { r.fillGaps(t, sender, epoch, now) })
}

// iWantFrames: 0x0B | marks. They ask for messages once, and change no link.
func iWantFrames(list []mark) [][]byte { return markFrames([]byte{byte(frameIWant)}, false, list) }

func parseIWant(body []byte) ([]mark, error) { return parseMarks("parse request", body, false) }

func (r *router) handleIWant(p *peer, body []byte, now time.Time) error {
	list, err := parseIWant(body)
	if err != nil {
		return err
	}
	if !r.affords(p, 1+len(list), now) {
		return nil
	}
	for i := range list {
		if t := r.topics[list[i].topic]; t != nil && !t.local && list[i].from > 0 {
			r.answerRange(p, t, &list[i], now)
		}
	}
	return nil
}

// answerRange sends what is retained of some positions.
func (r *router) answerRange(p *peer, t *topicState, m *mark, now time.Time) {
	if t.streams[m.sender] == nil {
		return
	}
	for _, e := range t.retained {
		if e.sender == m.sender && e.epoch == m.epoch && e.first <= m.to && m.from <= e.last() {
			r.answer(p, e, now)
		}
	}
}

// answer queues an envelope for a neighbour that lacks it. How much of that one
// neighbour may cause is bounded, since a request of some bytes brings a
// message of up to a megabyte, and so is what waits for one that does not read;
// what is over the bound, it has to ask for later.
func (r *router) answer(p *peer, e *entry, now time.Time) {
	if _, queued := p.queued[e]; queued {
		return
	}
	if p.queuedBytes+e.size > r.cfg.MaxLogBytes/4 || !p.answers.take(e.size, r.cfg.RepairRate, r.cfg.MaxLogBytes, now) {
		r.stats.AnswersRefused++
		return
	}
	if p.queued == nil {
		p.queued = make(map[*entry]struct{})
	}
	p.queued[e] = struct{}{}
	p.queuedBytes += e.size
	lane := &p.lanes[e.class]
	lane.backfill = append(lane.backfill, e)
	r.stats.Answered++
}
