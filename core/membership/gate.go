package membership

import "time"

// pace lets an average of one thing per interval pass, and burst of them at once
// after a rest.
type pace struct {
	interval time.Duration
	burst    int
}

// allowance is how one origin stands with a pace: the time at which it will have
// rested. The zero value has.
type allowance struct{ rested time.Time }

func (a *allowance) take(p pace, now time.Time) bool {
	if a.rested.Before(now) {
		a.rested = now
	}
	if a.rested.Sub(now) > time.Duration(p.burst-1)*p.interval {
		return false
	}
	a.rested = a.rested.Add(p.interval)
	return true
}

// The paces of what others can make this agent do.
var (
	// An id costs nothing, so what new neighbours cause (evictions, walks,
	// news of leaving) is counted per prefix, not per agent.
	paceEvict = pace{time.Second, 4}
	// All joins together: each starts walks through the network.
	paceJoin = pace{100 * time.Millisecond, 50}
	// Walks that a neighbour passes on, each of which may end in a dial.
	paceWalk = pace{100 * time.Millisecond, 50}
	// Dials to addresses that somebody else named, all together: a network of
	// agents must not become a way to knock at a third party's door.
	paceHearsay = pace{500 * time.Millisecond, 8}
	// Probes that a neighbour has others make.
	paceRelay = pace{100 * time.Millisecond, 8}
	// News that a neighbour brings. The burst carries the end of some hundred
	// agents at once; what is more is found by dialling.
	paceNews = pace{100 * time.Millisecond, 256}
)

// maxGate bounds how many origins a gate tells apart. An attacker with more
// addresses than this gets the allowance of each, as any other crowd.
const maxGate = 256

// gate is a pace for each origin. The oldest is forgotten.
type gate struct {
	pace
	of    map[origin]*allowance
	order []origin
}

func newGate(p pace) *gate { return &gate{pace: p, of: make(map[origin]*allowance)} }

func (g *gate) take(o origin, now time.Time) bool {
	a := g.of[o]
	if a == nil {
		if len(g.order) == maxGate {
			delete(g.of, g.order[0])
			g.order = g.order[1:]
		}
		a = new(allowance)
		g.of[o] = a
		g.order = append(g.order, o)
	}
	return a.take(g.pace, now)
}
