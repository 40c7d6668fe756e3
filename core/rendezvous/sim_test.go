package rendezvous

import (
	"testing"
	"time"

	"github.com/saorsa-labs/x0x-go/core/discovery"
)

// simSize is how large a swarm is: the race detector makes all ten times slower.
func simSize(n int) int {
	if raceDetector {
		return min(n, 100)
	}
	return n
}

// In a network of which a fifth is replaced per hour, whoever looks for an agent
// that it never met finds it, soon, and nobody finds one that is dead for longer
// than its announcement lived.
func TestSwarmFindsWhoeverIsThere(t *testing.T) {
	t.Parallel()
	n, hour := simSize(1000), simHour
	w := newSwarm(t, 1)
	w.grow(n)
	var agents, machines result
	w.churn(0.2, hour)
	for at := time.Second; at < hour; at += 2 * time.Second {
		w.after(at, func() { w.lookUp(&agents, Agent) })
		w.after(at+time.Second, func() { w.lookUp(&machines, Machine) })
	}
	gone := 0
	for at := simTTL + time.Minute; at < hour; at += 20 * time.Second {
		w.after(at, func() {
			for _, o := range w.nodes {
				if dead := w.net.Now().Sub(o.died); !o.died.IsZero() && dead > simTTL && w.rnd.IntN(4) == 0 {
					gone++
					w.find(w.one(w.alive()), Agent, o.Self(), func([]*discovery.Announcement, time.Time) {})
					break
				}
			}
		})
	}
	l := w.measure(hour)
	w.run(15 * time.Second)
	t.Logf("%d nodes, %v: agents %d of %d found, p50 %v, p99 %v; machines %d of %d, p99 %v; %d dead ones looked for",
		n, hour, agents.answered, agents.asked, agents.p(0.5), agents.p(0.99), machines.answered, machines.asked, machines.p(0.99), gone)
	t.Logf("bytes per node and minute with lookups: %.0f, of which frames %.0f; %.1f handshakes per hour, %.1f connections; store: most %d, mean %.0f bytes",
		l.perMinute, l.frames, l.handshakes, l.connections, l.most, l.mean)
	for what, r := range map[string]*result{"agents": &agents, "machines": &machines} {
		if r.asked < int(hour/time.Second)/4 {
			t.Errorf("%s: only %d lookups", what, r.asked)
		}
		if float64(r.answered) < 0.99*float64(r.asked) {
			t.Errorf("%s: %d of %d found", what, r.answered, r.asked)
		}
		if p := r.p(0.99); p > 5*time.Second {
			t.Errorf("%s: p99 %v", what, p)
		}
	}
	if float64(l.most) > 12*l.mean {
		t.Errorf("a node stores %d bytes, the mean is %.0f", l.most, l.mean)
	}
}

// What an agent sends when nobody looks for anything does not grow with the network.
func TestSwarmCostsTheSameWhateverItsSize(t *testing.T) {
	t.Parallel()
	sizes := []int{10, 100, 1000}
	if raceDetector {
		sizes = sizes[:2]
	}
	var loads []load
	for _, n := range sizes {
		w := newSwarm(t, 2)
		w.grow(n)
		w.churn(0.2, simHour)
		w.run(4 * time.Minute)
		l := w.measure(simHour - 4*time.Minute)
		t.Logf("%4d nodes: %.0f bytes per node and minute, of which frames %.0f; %.1f handshakes per hour, %.1f connections; store: most %d, mean %.0f bytes",
			n, l.perMinute, l.frames, l.handshakes, l.connections, l.most, l.mean)
		for typ := range w.bytes {
			if w.bytes[typ] > 0 {
				t.Logf("      0x%02x: %d bytes per node", typ, w.bytes[typ]/uint64(n))
			}
		}
		loads = append(loads, l)
	}
	if len(loads) == 3 && loads[2].perMinute > 1.3*loads[1].perMinute {
		t.Errorf("%.0f bytes per node and minute at %d, %.0f at %d", loads[2].perMinute, sizes[2], loads[1].perMinute, sizes[1])
	}
}

// The same seed gives the same run.
func TestSwarmIsReproducible(t *testing.T) {
	t.Parallel()
	run := func() [32]byte {
		w := newSwarm(t, 3)
		w.grow(40)
		w.churn(2, 5*time.Minute)
		var r result
		for at := time.Second; at < 5*time.Minute; at += 2 * time.Second {
			w.after(at, func() { w.lookUp(&r, Agent) })
		}
		w.run(5 * time.Minute)
		return w.net.Trace()
	}
	if a, b := run(), run(); a != b {
		t.Errorf("two runs of one seed: %x and %x", a, b)
	}
}
