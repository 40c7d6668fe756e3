package gossip

import (
	"slices"
	"testing"
	"time"
)

// scenario is something that happens to a swarm of n nodes.
type scenario struct {
	name   string
	what   string
	stable bool // nothing happens but messages: there are bounds for their cost
	run    func(w *swarm, n int)
}

// scenarios begin with a network that has settled, and a tree for the topic
// that a few messages have formed.
var scenarios = []scenario{
	{name: "one", stable: true, what: "one publishes, all subscribe", run: func(w *swarm, n int) {
		w.grow(n, everybody)
		w.talkers = w.some(w.nodes, 1)
		w.prepare()
		w.stream(w.count(20), 500*time.Millisecond, w.talker)
		w.ends(w.lasts(20, 500*time.Millisecond))
	}},
	{name: "many", stable: true, what: "twenty publish in turn, all subscribe", run: func(w *swarm, n int) {
		w.grow(n, everybody)
		w.ripen(w.count(100), 500*time.Millisecond)
		w.stream(w.count(20), 500*time.Millisecond, w.talker)
		w.ends(w.lasts(20, 500*time.Millisecond))
	}},
	{name: "slow", stable: true, what: "the same, but one message in three seconds", run: func(w *swarm, n int) {
		w.grow(n, everybody)
		w.ripen(w.count(40), 3*time.Second)
		w.stream(w.count(10), 3*time.Second, w.talker)
		w.ends(w.lasts(10, 3*time.Second))
	}},
	{name: "strangers", what: "each message is the first of its publisher", run: func(w *swarm, n int) {
		w.grow(n, everybody)
		w.prepare()
		published := w.talkers
		w.stream(w.count(20), 500*time.Millisecond, func() *swarmNode {
			p := slices.DeleteFunc(w.some(w.nodes, n), func(n *swarmNode) bool { return slices.Contains(published, n) })
			if len(p) == 0 { // there are few
				return w.talker()
			}
			published = append(published, p[0])
			return p[0]
		})
		w.ends(w.lasts(20, 500*time.Millisecond))
	}},
	{name: "loss 1 %", what: "one packet of a hundred is lost, to the end", run: loss(0.01)},
	{name: "loss 10 %", what: "one packet of ten is lost, to the end", run: loss(0.1)},
	{name: "loss 30 %", what: "three packets of ten are lost, to the end", run: loss(0.3)},
	{name: "churn", what: "for a minute, a tenth of the nodes are killed and as many join", run: func(w *swarm, n int) {
		w.grow(n, everybody)
		w.prepare()
		k := max(n/10, 1)
		for i := range k {
			at := time.Minute * time.Duration(i) / time.Duration(k)
			w.after(at, func() { w.kill(w.one(w.alive())) })
			w.after(at, func() {
				node := w.add()
				w.subscribe(node, swarmTopic)
				w.join(node, func() int { return w.one(w.alive()).id })
			})
		}
		w.stream(w.count(30), time.Minute/time.Duration(w.count(30)), w.talker)
		w.after(time.Minute, w.calms)
		w.ends(time.Minute)
	}},
	{name: "partition", what: "two halves are apart for 30 s, in each some publish", run: partition(30 * time.Second)},
	{name: "apart", what: "the same for two minutes", run: partition(2 * time.Minute)},
	{name: "failure", what: "30 % of the nodes die at once while some publish", run: func(w *swarm, n int) {
		w.grow(n, everybody)
		w.prepare()
		w.stream(w.count(20), 10*time.Second/time.Duration(w.count(20)), w.talker)
		w.after(3*time.Second+time.Millisecond, func() {
			for _, n := range w.some(w.nodes, n*3/10) {
				w.kill(n)
			}
			w.calms()
		})
		w.ends(10 * time.Second)
	}},
	{name: "late", what: "half of the nodes subscribe after the messages", run: func(w *swarm, n int) {
		w.grow(n, func(i int) bool { return i%2 == 0 })
		w.prepare()
		w.stream(w.count(20), 500*time.Millisecond, w.talker)
		w.run(w.lasts(20, 500*time.Millisecond))
		for i := 1; i < n; i += 2 {
			w.after(5*time.Second*time.Duration(i)/time.Duration(n), func() { w.subscribe(w.nodes[i], swarmTopic) })
		}
		w.ends(5 * time.Second)
	}},
	{name: "few", what: "a twentieth of the nodes subscribe", run: func(w *swarm, n int) {
		w.grow(n, func(i int) bool { return i%20 == 7 })
		// Some of the publishers do not subscribe.
		w.talkers = append(w.some(w.subscribers(), 15), w.some(w.nodes, 5)...)
		w.prepare()
		w.stream(w.count(20), 500*time.Millisecond, w.talker)
		w.ends(w.lasts(20, 500*time.Millisecond))
	}},
}

func partition(d time.Duration) func(*swarm, int) {
	return func(w *swarm, n int) {
		w.grow(n, everybody)
		w.prepare()
		w.net.Partition(func(id int) int { return id % 2 })
		w.stream(w.count(20), d/time.Duration(w.count(20)), w.talker)
		w.after(d, func() { w.net.Heal(); w.calms() })
		w.ends(d)
	}
}

func loss(p float64) func(*swarm, int) {
	return func(w *swarm, n int) {
		w.grow(n, everybody)
		w.prepare()
		w.net.SetLoss(p)
		w.stream(w.count(20), 500*time.Millisecond, w.talker)
		w.ends(w.lasts(20, 500*time.Millisecond))
	}
}

// talkers is how many publish, where it is not said otherwise.
const talkers = 20

// talker returns one of those who publish, and somebody else when all are dead.
func (w *swarm) talker() *swarmNode {
	if w.talkers == nil {
		w.talkers = w.some(w.nodes, talkers)
	}
	w.talkers = slices.DeleteFunc(w.talkers, func(n *swarmNode) bool { return n.dead })
	if len(w.talkers) == 0 {
		return w.one(w.alive())
	}
	return w.one(w.talkers)
}

// subscribers returns those who live and subscribe.
func (w *swarm) subscribers() []*swarmNode {
	return slices.DeleteFunc(w.alive(), func(n *swarmNode) bool { return !n.subscribes(swarmTopic) })
}

// prepare forms the tree, and looks at the network at rest. Every talker that
// has published is known to all.
func (w *swarm) prepare() { w.ripen(talkers, 300*time.Millisecond) }

// ripen has the talkers publish k messages in turn. Some four for each of them
// make a tree that suits all.
func (w *swarm) ripen(k int, interval time.Duration) {
	w.talker()
	next := 0
	w.stream(k, interval, func() *swarmNode {
		next++
		return w.talkers[next%len(w.talkers)]
	})
	w.run(time.Duration(k)*interval + 4*time.Second)
	w.rest()
	w.begin()
}

// count makes messages fewer where nodes are many.
func (w *swarm) count(k int) int {
	switch n := w.trial.result.Nodes; {
	case n > swarmLarge:
		return k / 2
	case n >= 1000:
		return k * 3 / 5
	}
	return k
}

func (w *swarm) lasts(k int, interval time.Duration) time.Duration {
	return time.Duration(w.count(k)) * interval
}

// play runs a scenario, and returns what it has measured.
func (s *scenario) play(t testing.TB, n int, seed uint64) simResult {
	begin := time.Now()
	w := newSwarm(t, s.name, seed)
	w.trial.result.Nodes = n
	s.run(w, n)
	r := &w.trial.result
	r.Wall = time.Since(begin).Seconds()
	if s.stable && r.Copies > maxCopies {
		t.Errorf("%v: %.2f copies of a message for each delivery", w, r.Copies)
	}
	r.Passed = !t.Failed()
	return *r
}
