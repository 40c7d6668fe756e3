package presence

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
	// Beacons that a peer has this agent verify.
	paceBeacon = pace{250 * time.Millisecond, 16}
	// Walks that a peer begins or passes on, each of which is answered with up
	// to 16 beacons and asked of others.
	paceQuery = pace{500 * time.Millisecond, 8}
)
