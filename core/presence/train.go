package presence

import (
	"math"
	"time"
)

// A train is how the beacons of an agent have come: the last intervals between
// two of them.
type train struct {
	intervals []uint32 // ms; a ring once it is full
	next      int
}

const (
	// trainWindow is half an hour of beacons: long enough to have seen what
	// loss there is, short enough to forget a bad night.
	trainWindow = 64
	// trainLeast is how many say something about their deviation.
	trainLeast = 8
	// slackBeacons is how many beacons in a row may be missing beyond what has
	// been usual.
	slackBeacons = 3
)

func (t *train) add(d time.Duration) {
	ms := uint32(min(max(d.Milliseconds(), 0), math.MaxUint32))
	if len(t.intervals) < trainWindow {
		t.intervals = append(t.intervals, ms)
		return
	}
	t.intervals[t.next] = ms
	t.next = (t.next + 1) % trainWindow
}

// expects returns the mean and the deviation, and whether they mean anything.
func (t *train) expects() (mean, sigma time.Duration, ok bool) {
	n := float64(len(t.intervals))
	if n < trainLeast {
		return 0, 0, false
	}
	var sum, squares float64
	for _, ms := range t.intervals {
		sum += float64(ms)
	}
	m := sum / n
	for _, ms := range t.intervals {
		squares += (float64(ms) - m) * (float64(ms) - m)
	}
	s := math.Sqrt(squares / n)
	return time.Duration(m * float64(time.Millisecond)), time.Duration(s * float64(time.Millisecond)), true
}

// timeout is the silence after which an agent is offline: what its beacons have
// been like, and slack; at least slack, at most OfflineTimeout, however often
// an agent says that it will be heard.
func (e *entry) timeout(cfg *Config) time.Duration {
	mean, sigma, ok := e.train.expects()
	if !ok {
		return cfg.OfflineTimeout
	}
	return min(mean+4*sigma+slackBeacons*e.interval, cfg.OfflineTimeout)
}
