package gossip

import (
	"math"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// link is one topic on the way to one neighbour. It begins eager: messages are
// pushed. When a message comes that another neighbour has brought already, both
// ends make the link lazy (PRUNE): messages are announced. When an announced
// message does not come otherwise, both make it eager again (GRAFT). What stays
// eager is a tree that all publishers of the topic share (Leitão, Pereira,
// Rodrigues: Epidemic Broadcast Trees, 2007).
type link struct {
	distance uint8 // of the nearest subscriber behind the neighbour, as it says
	told     uint8 // the distance that it was told last
	lazy     bool
	changed  time.Time // when lazy changed last
	pruned   time.Time // when one end told the other last that the link is lazy
	digested time.Time // when a hash was answered with all positions last
	doubted  time.Time // when duplicates make it lazy at the earliest; zero: none came

	first, duplicates uint64 // messages that it brought first, and too late
}

// settleTime is how long after a change of a link its ends may disagree, since
// frames are on their way. Evidence that they still do counts only later: then
// a repeated PRUNE, or agreeing with the other end, heals it.
const settleTime = time.Second

// way is what happens to an envelope at the cursor of a peer.
type way uint8

const (
	skip     way = iota // it has it, or wants nothing of it
	push                // eager
	announce            // lazy
)

// way is the forwarding rule.
func (r *router) way(p *peer, e *entry) way {
	t := e.topic
	if t.local || e.from == p.id || e.sender == p.id || slices.Contains(e.known, p.number) || !r.carries(p, t) {
		return skip
	}
	if l := p.links[t.id]; l != nil && l.lazy {
		return announce
	}
	return push
}

// carries reports whether a topic is sent to a peer at all: it wants it, for
// itself or for others, or it relays and too few others want it.
func (r *router) carries(p *peer, t *topicState) bool {
	if t.local || !p.ready {
		return false
	}
	if l := p.links[t.id]; l != nil && l.distance != nowhere {
		return true
	}
	return p.wild || p.relay && t.interested < r.cfg.MinInterested
}

// carriers returns the neighbours that a topic is sent to, in their order.
func (r *router) carriers(t *topicState) (list []*peer) {
	for _, id := range r.order {
		if p := r.peers[id]; r.carries(p, t) {
			list = append(list, p)
		}
	}
	return list
}

// takes reports whether this node accepts messages of a topic.
func (r *router) takes(t *topicState) bool {
	return !r.cfg.NoRelay || t != nil && len(t.subs) > 0
}

// link returns a neighbour's link in a topic, made if needed.
func (r *router) link(p *peer, t *topicState) *link {
	l := p.links[t.id]
	if l == nil {
		l = &link{distance: nowhere, told: nowhere}
		p.links[t.id] = l
	}
	return l
}

func (l *link) set(lazy bool, now time.Time) {
	if !lazy {
		l.pruned = time.Time{}
	}
	if l.lazy != lazy {
		l.lazy, l.changed = lazy, now
	}
}

// brought notes that a neighbour pushed a message that is new.
func (r *router) brought(p *peer, t *topicState, now time.Time) {
	l := r.link(p, t)
	l.first++
	// It holds the link to be eager. If that is not because our PRUNE is still
	// on its way, so do we.
	if l.lazy && now.Sub(l.pruned) > settleTime {
		l.set(false, now)
	}
}

// repeated notes that a neighbour pushed a message that is known here.
func (r *router) repeated(p *peer, env *envelope, a arrival, now time.Time) {
	t := r.topics[env.topic]
	l := r.link(p, t)
	l.duplicates++
	if e := t.index[place{env.sender, env.epoch, env.first}]; e != nil {
		e.knows(p)
		if !e.announced.IsZero() && !a.delayed { // it would have come without GRAFT
			t.late.note(now.Sub(e.announced), now)
		}
		if e.early { // the first to push it: so the tree is whole
			e.early = false
			return
		}
	}
	if (!l.lazy || now.Sub(l.pruned) > settleTime) && r.superfluous(t, l, now) {
		r.prune(p, t, now)
	}
}

const (
	// pruneSpread is over how long the cuts of a loop are spread.
	pruneSpread = time.Second
	// mixedFor is longer than a message is on its way.
	mixedFor = 500 * time.Millisecond
)

// turn notes that a message of a sender came.
func (t *topicState) turn(sender identity.AgentID, now time.Time) {
	if sender != t.sender && !t.came.IsZero() {
		t.turned = now
		if now.Sub(t.came) <= mixedFor {
			t.mixed = now
		}
	}
	t.sender, t.came = sender, now
}

// superfluous reports whether a duplicate makes its link lazy. With one
// publisher at a time, be it another each time, yes: everybody cuts the same
// loops at the same places. The messages of several that publish at once meet at
// several places of a loop, and if it were cut at all of them, the tree would
// fall apart. So each place waits for a random time, and the first cut makes the
// others needless. In the first second of a topic, while every link is eager,
// nobody waits.
func (r *router) superfluous(t *topicState, l *link, now time.Time) bool {
	if t.looped.IsZero() {
		t.looped = now
	}
	if now.Sub(t.looped) < settleTime || now.Sub(t.mixed) > mixedFor {
		return true
	}
	if l.doubted.IsZero() || now.Sub(l.doubted) > mixedFor {
		l.doubted = now.Add(time.Duration(r.cfg.Rand.Int64N(int64(pruneSpread))))
		return false
	}
	return !now.Before(l.doubted)
}

// prune makes a link lazy at both ends.
func (r *router) prune(p *peer, t *topicState, now time.Time) {
	l := r.link(p, t)
	l.set(true, now)
	l.pruned, l.doubted = now, time.Time{}
	r.stats.Pruned++
	r.control(p, pruneFrame(t.id))
}

func (r *router) handlePrune(p *peer, body []byte, now time.Time) error {
	topics, err := parsePrune(body)
	if err != nil {
		return err
	}
	for _, id := range topics {
		if t := r.topics[id]; t != nil {
			l := r.link(p, t)
			l.set(true, now)
			l.pruned = now
		}
	}
	return nil
}

// reattach makes a link eager if the loss of a neighbour has left none in a
// topic: what comes next need not wait until it is missed.
func (r *router) reattach(t *topicState, now time.Time) {
	if !r.takes(t) || !t.needs() && len(t.streams) == 0 {
		return
	}
	var best *peer
	for _, p := range r.carriers(t) {
		if l := p.links[t.id]; l == nil || !l.lazy {
			return
		}
		if best == nil || r.rtt(p) < r.rtt(best) {
			best = p
		}
	}
	if best != nil {
		t.grafted = now
		r.graft(best, mark{topic: t.id}, now)
	}
}

// Shortening the tree for one publisher may lengthen it for another. So that
// they do not go on for ever, a topic waits longer after each time, until its
// neighbourhood changes.
const (
	optimiseFirst = time.Second
	optimiseMost  = 10 * time.Minute
	// oneVoice is for how long one sender must have had the topic to itself:
	// what is short for it is long for the next.
	oneVoice = 30 * time.Second
)

// shorten takes announcer in place of the eager parent that pushed a message
// over so many hops, if that saves enough of them.
func (r *router) shorten(t *topicState, parent *peer, hops uint8, announcer *peer, announced uint8, now time.Time) {
	if parent == nil || announcer == nil || parent == announcer || r.cfg.OptimiseBy < 0 {
		return
	}
	if int(announced)+1+r.cfg.OptimiseBy > int(hops) || now.Before(t.optimise.until) {
		return
	}
	if now.Sub(t.turned) < oneVoice {
		return
	}
	if now.Sub(t.grafted) < graftPause || now.Sub(t.looped) < settleTime || r.link(parent, t).lazy || !r.link(announcer, t).lazy || !r.carries(announcer, t) {
		return
	}
	o := &t.optimise
	o.pause = min(max(4*o.pause, optimiseFirst), optimiseMost)
	o.until = now.Add(o.pause/2 + time.Duration(r.cfg.Rand.Int64N(int64(o.pause))))
	t.grafted = now
	r.stats.OptimisedLinks++
	r.graft(announcer, mark{topic: t.id}, now)
	r.prune(parent, t, now)
}

const (
	// maxLate is how late the tree may be at most without being mended.
	maxLate = time.Second
	// maxUsual is how long a message is awaited at most before it is asked for,
	// if no round trip takes longer.
	maxUsual = 150 * time.Millisecond
	// lateFor is how long it takes to forget how late it has been.
	lateFor = 5 * time.Minute
)

// lateness is how far pushes have been behind announcements. A tree that all
// publishers share is short for some and long for others; to mend it whenever an
// announcement was faster would change it for ever.
type lateness struct {
	most  time.Duration
	at    time.Time
	usual time.Duration // a moving average
}

func (l *lateness) note(d time.Duration, now time.Time) {
	l.usual += (min(d, maxLate) - l.usual) / 8
	if d = min(d, maxLate); d >= l.now(now) {
		l.most, l.at = d, now
	}
}

// now returns the most, less with time.
func (l *lateness) now(now time.Time) time.Duration {
	age := now.Sub(l.at)
	if age >= lateFor {
		return 0
	}
	return l.most - time.Duration(float64(l.most)*float64(max(age, 0))/float64(lateFor))
}

// rtt returns the round-trip time to a neighbour, 0 if unknown.
func (r *router) rtt(p *peer) time.Duration {
	if r.cfg.RTT == nil {
		return 0
	}
	return max(r.cfg.RTT(p.id), 0)
}

// budget is a bucket of tokens. What is taken may overdraw it once.
type budget struct {
	left float64
	at   time.Time
}

func (b *budget) take(n, rate, burst int64, now time.Time) bool {
	if b.at.IsZero() {
		b.left = float64(burst)
	} else if d := now.Sub(b.at); d > 0 {
		b.left = math.Min(float64(burst), b.left+d.Seconds()*float64(rate))
	}
	b.at = now
	if b.left <= 0 {
		return false
	}
	b.left -= float64(n)
	return true
}
