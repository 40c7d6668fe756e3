package wire

import (
	"sync"
	"time"
)

// HLC is a time of the hybrid logical clock of Kulkarni et al., "Logical Physical
// Clocks and Consistent Snapshots in Globally Distributed Databases" (2014):
//
//	 63                            16 15          0
//	+--------------------------------+-------------+
//	|  milliseconds since 1970, UTC  |   counter   |
//	+--------------------------------+-------------+
//
// Compared as integers, times respect causality: what is made after something was
// observed is greater than it. Two clocks can make the same time, so a total
// order needs the name of the maker as well. 0 is no time. A counter that runs
// over carries into the milliseconds, which keeps the order.
type HLC uint64

const counterBits = 16

// At returns the first time of t's millisecond; 0 before 1970.
func At(t time.Time) HLC { return HLC(max(t.UnixMilli(), 0)) << counterBits }

// Millis returns the milliseconds since 1970.
func (h HLC) Millis() int64 { return int64(h >> counterBits) }

// Time returns the wall time, to the millisecond.
func (h HLC) Time() time.Time { return time.UnixMilli(h.Millis()) }

// Counter returns what orders times within one millisecond.
func (h HLC) Counter() uint16 { return uint16(h) }

// Check returns an error of KindPolicy if h is more than maxAhead after now: a
// time from far ahead would win every comparison, and drag along the clocks that
// observe it.
func (h HLC) Check(now time.Time, maxAhead time.Duration) error {
	if ahead := h.Millis() - now.UnixMilli(); ahead > maxAhead.Milliseconds() {
		return Errorf(KindPolicy, "check time", "%d ms ahead of this clock, limit %d", ahead, maxAhead.Milliseconds())
	}
	return nil
}

// Clock makes times that grow. It is made by NewClock.
type Clock struct {
	now func() time.Time

	mu   sync.Mutex
	last HLC
}

// NewClock returns a Clock over the wall clock now, which may jump and may be
// called from any goroutine that uses the Clock.
func NewClock(now func() time.Time) *Clock { return &Clock{now: now} }

// Now returns a time greater than all that this Clock returned or observed.
func (c *Clock) Now() HLC {
	wall := At(c.now())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(wall, c.last+1)
	return c.last
}

// Observe takes note of a time made elsewhere, so that Now returns greater ones.
// It refuses, as Check does, one that is more than maxAhead after the wall clock.
//
// Readers must accept times a little further ahead than writers observe: a clock
// that was pulled to the limit makes times that are over it for a peer whose own
// clock is behind.
func (c *Clock) Observe(remote HLC, maxAhead time.Duration) error {
	if err := remote.Check(c.now(), maxAhead); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last, remote)
	return nil
}
