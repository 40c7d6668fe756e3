package gossip

import (
	"slices"
	"time"
)

// recovery is how long after a fault has ended everybody has everything.
const recovery = 30 * time.Second

// maxCopies is how many copies of a message one delivery may take in a network
// in which nothing happens.
const maxCopies = 1.3

// trial is the part of a run that is measured.
type trial struct {
	calm   time.Time // since when nothing happens to the network; zero: it never did, or does to the end
	first  int       // message
	before snapshot
	idle   float64 // bytes on the interface per second of the whole swarm, without messages
	result simResult
}

// rest measures what the network carries while nobody publishes.
func (w *swarm) rest() {
	const d = 5 * time.Second
	before := w.net.Stats().Total.Wire
	w.run(d)
	w.trial.idle = float64(w.net.Stats().Total.Wire-before) / d.Seconds()
}

// begin begins to measure.
func (w *swarm) begin() {
	w.trial.first, w.trial.before = len(w.messages), w.snapshot()
}

// stream has k messages published, one each interval, by whom publisher says.
func (w *swarm) stream(k int, interval time.Duration, publisher func() *swarmNode) {
	for i := range k {
		w.after(time.Duration(i)*interval, func() { w.publish(publisher(), swarmTopic) })
	}
}

// calms says that from now on nothing happens to the network.
func (w *swarm) calms() { w.trial.calm = w.net.Now() }

// ends runs for d, and then until everybody has everything, which it demands.
func (w *swarm) ends(d time.Duration) {
	w.run(d)
	for range int(recovery / (500 * time.Millisecond)) {
		if w.whole() {
			break
		}
		w.run(500 * time.Millisecond)
	}
	w.demand()
	w.measure()
	w.agree()
}

// held reports whether somebody who lives could give a message to others.
func (w *swarm) held(m *swarmMessage) bool {
	return slices.ContainsFunc(w.nodes, func(n *swarmNode) bool { return !n.dead && n.holds(m) })
}

// whole reports whether nobody who lives lacks a message that another one holds.
func (w *swarm) whole() bool {
	for _, m := range w.messages {
		for _, n := range w.nodes {
			if !n.dead && n.subscribes(m.topic) && !n.has(m.number) && w.held(m) {
				return false
			}
		}
	}
	return true
}

// demand is what has to hold at the end.
func (w *swarm) demand() {
	failures := 0
	for _, m := range w.messages {
		held := false
		for _, n := range w.nodes {
			if n.dead || !n.subscribes(m.topic) || n.has(m.number) {
				continue
			}
			if held = held || w.held(m); !held {
				break
			}
			if failures++; failures <= 5 {
				w.t.Errorf("%v: node %d (born at %v, %d neighbours) lacks message %d, published by node %d at %v, which %d others have, at %v",
					w, n.id, n.born.Sub(w.start), len(n.state.ActiveView()), m.number, m.by, m.sent.Sub(w.start), m.reached, w.since())
			}
		}
	}
	if failures > 5 {
		w.t.Errorf("%v: and so on, %d times", w, failures)
	}
	after := w.snapshot()
	if bad := after.router.BadFrames; bad > 0 {
		w.t.Errorf("%v: %d frames of topics were refused", w, bad)
	}
}
