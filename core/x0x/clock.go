package x0x

import (
	"context"
	"time"
)

// runClock is the clock of a state machine: it calls tick at the time that next names, zero
// being never, until ctx ends. wake says that next may have changed.
func runClock(ctx context.Context, wake <-chan struct{}, next func() time.Time, tick func()) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-timer.C:
			tick()
		}
		at := next()
		if at.IsZero() {
			timer.Stop()
			continue
		}
		timer.Reset(time.Until(at))
	}
}
