package gossip

import (
	"bytes"
	"slices"
	"time"
)

const (
	// readyPatience is how long a greeting may take before it counts as lost;
	// then twice as long, up to readyMost.
	readyPatience = 5 * time.Second
	readyMost     = time.Minute
	// greetPause is how often a neighbour can have itself greeted: a greeting is
	// large, and to ask for one costs nothing.
	greetPause = 4 * time.Second
)

// awaitReady greets a neighbour again, and asks it to do the same, until its own
// greeting has come: without that it is sent no messages. Connections lose
// nothing, but one end may count as a neighbour sooner than the other.
func (r *router) awaitReady(p *peer, patience time.Duration, now time.Time) {
	r.agenda.add(now.Add(patience), func(now time.Time) {
		if r.peers[p.id] != p || p.ready {
			return
		}
		r.greetAgain(p, now)
		r.control(p, []byte{byte(frameGreet)})
		r.awaitReady(p, min(2*patience, readyMost), now)
	})
}

// greetAgain repeats what a neighbour was told, with what it need no longer send,
// as far as that is known: what it sends in vain is counted as Unwanted.
func (r *router) greetAgain(p *peer, now time.Time) {
	r.stats.GreetedAgain++
	p.greeted = now
	var over []TopicID
	for id := range p.links {
		if t := r.topics[id]; t != nil && r.distance(t, p) == nowhere {
			r.link(p, t).told = nowhere
			over = append(over, id)
		}
	}
	slices.SortFunc(over, func(a, b TopicID) int { return bytes.Compare(a[:], b[:]) })
	for part := range slices.Chunk(over, maxFrameTopics) {
		r.control(p, unsubscribeFrame(part...))
	}
	for _, f := range r.greet(p) {
		r.control(p, f)
	}
}

// handleGreet: the neighbour has not got the greeting.
func (r *router) handleGreet(p *peer, now time.Time) {
	if now.Sub(p.greeted) < greetPause {
		r.stats.RequestsRefused++
		return
	}
	r.greetAgain(p, now)
}

// drained is told that nothing waits for a neighbour any more. If something was
// dropped because too much waited, it may have been its interest.
func (r *router) drained(p *peer, now time.Time) {
	if p.lostControl && now.Sub(p.greeted) >= greetPause {
		p.lostControl = false
		r.greetAgain(p, now)
	}
}
