package wire_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// hand is a wall clock that tests move.
type hand struct {
	mu sync.Mutex
	at time.Time
}

func (h *hand) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *hand) add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func TestTimeParts(t *testing.T) {
	h := wire.At(noon.Add(123_456 * time.Microsecond))
	require.Equal(t, noon.UnixMilli()+123, h.Millis())
	require.Zero(t, h.Counter())
	require.True(t, noon.Add(123*time.Millisecond).Equal(h.Time()))
	require.Equal(t, wire.HLC(noon.UnixMilli()<<16|3), wire.At(noon)+3)
	require.Zero(t, wire.At(time.Unix(-5, 0)), "before 1970")
}

func TestClockFollowsTheWallAndNeverGoesBack(t *testing.T) {
	wall := &hand{at: noon}
	c := wire.NewClock(wall.now)
	first := c.Now()
	require.Equal(t, wire.At(noon), first)
	require.Equal(t, first+1, c.Now(), "within a millisecond the counter counts")
	wall.add(time.Second)
	require.Equal(t, wire.At(noon.Add(time.Second)), c.Now())
	wall.add(-time.Hour)
	require.Equal(t, wire.At(noon.Add(time.Second))+1, c.Now())
}

func TestCounterCarriesOver(t *testing.T) {
	c := wire.NewClock(func() time.Time { return noon })
	last := c.Now()
	for range 70_000 {
		next := c.Now()
		require.Greater(t, next, last)
		last = next
	}
	require.Equal(t, noon.UnixMilli()+1, last.Millis())
}

func TestObserve(t *testing.T) {
	const maxAhead = time.Minute
	tests := []struct {
		name   string
		remote wire.HLC
		want   wire.Kind
	}{
		{"past", wire.At(noon.Add(-time.Hour)), 0},
		{"none", 0, 0},
		{"now", wire.At(noon) + 5, 0},
		{"at the limit", wire.At(noon.Add(maxAhead)) + 0xffff, 0},
		{"over it", wire.At(noon.Add(maxAhead + time.Millisecond)), wire.KindPolicy},
		{"the end of time", math.MaxUint64, wire.KindPolicy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := wire.NewClock(func() time.Time { return noon })
			require.Equal(t, tt.want, wire.KindOf(c.Observe(tt.remote, maxAhead)))
			if tt.want != 0 {
				require.Equal(t, wire.At(noon), c.Now(), "a refused time changes nothing")
				return
			}
			require.Greater(t, c.Now(), tt.remote)
		})
	}
}

// Along every chain of messages between clocks that disagree, times grow.
func TestTimesRespectCausality(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const nodes = 3
		walls := make([]*hand, nodes)
		clocks := make([]*wire.Clock, nodes)
		latest := make([]wire.HLC, nodes) // the greatest time that each knows of
		for i := range nodes {
			off := rapid.Int64Range(-5000, 5000).Draw(t, "offset")
			walls[i] = &hand{at: noon.Add(time.Duration(off) * time.Millisecond)}
			clocks[i] = wire.NewClock(walls[i].now)
		}
		node := rapid.IntRange(0, nodes-1)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			from, to := node.Draw(t, "from"), node.Draw(t, "to")
			walls[from].add(time.Duration(rapid.Int64Range(-20, 50).Draw(t, "pass")) * time.Millisecond)
			sent := clocks[from].Now()
			require.Greater(t, sent, latest[from])
			latest[from] = sent
			require.NoError(t, clocks[to].Observe(sent, time.Hour))
			latest[to] = max(latest[to], sent)
		}
	})
}

func TestClockIsSafeForConcurrentUse(t *testing.T) {
	c := wire.NewClock(func() time.Time { return noon })
	const workers, each = 4, 2000
	var mu sync.Mutex
	all := map[wire.HLC]bool{}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			var mine []wire.HLC
			for range each {
				mine = append(mine, c.Now())
			}
			mu.Lock()
			defer mu.Unlock()
			for _, h := range mine {
				all[h] = true
			}
		})
	}
	wg.Wait()
	require.Len(t, all, workers*each, "no time twice")
}

func BenchmarkClock(b *testing.B) {
	c := wire.NewClock(time.Now)
	b.ReportAllocs()
	for b.Loop() {
		c.Now()
	}
}
