package gossip

import (
	"flag"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	simSeed   = flag.Uint64("sim.seed", 1, "seed of the simulations")
	simMost   = flag.Int("sim.nodes", 0, "nodes of a simulation, or of the largest with -sim.report; 0: 100, or 1,000 with the build tag sim")
	simReport = flag.String("sim.report", "", "folder for what simulations of several sizes have measured; empty: they are not run")
)

// nodes is how many nodes a simulation has.
func simNodes() int {
	switch {
	case *simMost > 0:
		return *simMost
	case simLarge && !raceDetector:
		return 1000
	}
	return 100
}

// TestSimScenarios plays every scenario. To see one of them again:
//
//	go test -run 'TestSimScenarios/churn' -v ./core/gossip -sim.nodes 100 -sim.seed 7
func TestSimScenarios(t *testing.T) {
	if *simReport != "" {
		t.Skip("the report plays them")
	}
	playAll(t, simNodes(), func(simResult) {})
}

// playAll plays every scenario with n nodes.
func playAll(t *testing.T, n int, each func(simResult)) {
	var mu sync.Mutex
	var results []simResult
	t.Cleanup(func() { t.Log("\n" + simTable(results)) }) // after the scenarios, which are parallel
	for i := range scenarios {
		s := &scenarios[i]
		t.Run(strings.ReplaceAll(s.name, " ", ""), func(t *testing.T) {
			if n <= swarmLarge { // memory
				t.Parallel()
			} else {
				defer debug.SetGCPercent(debug.SetGCPercent(50))
			}
			r := s.play(t, n, *simSeed)
			mu.Lock()
			defer mu.Unlock()
			results = append(results, r)
			t.Log("\n" + simRow(&r))
			each(r)
		})
	}
}

// TestSimReport plays every scenario with 100, 316, 1,000 … nodes up to
// -sim.nodes, and writes what it measures to -sim.report: results.jsonl, a table
// and plots. 10,000 nodes take three quarters of an hour; a part of it can be run alone:
//
//	go test -timeout 0 -run 'TestSimReport/10000/(one|failure)' -v ./core/gossip -sim.nodes 10000 -sim.report DIR
func TestSimReport(t *testing.T) {
	if *simReport == "" {
		t.Skip("no -sim.report")
	}
	report := newSimReport(t, *simReport)
	for _, n := range []int{100, 316, 1000, 3162, 10000} {
		if n > simNodes() {
			break
		}
		t.Run(fmt.Sprint(n), func(t *testing.T) { playAll(t, n, report.add) })
	}
}

// The same seed gives the same run, byte for byte, and another seed another.
func TestSimSameSeedSameTrace(t *testing.T) {
	run := func(seed uint64) [32]byte {
		w := newSwarm(t, "trace", seed)
		w.grow(100, func(i int) bool { return i%3 > 0 })
		w.stream(10, 200*time.Millisecond, w.talker)
		w.after(time.Second, func() {
			w.net.SetLoss(0.1)
			for _, n := range w.some(w.alive(), 10) {
				w.kill(n)
			}
		})
		w.run(20 * time.Second)
		return w.net.Trace()
	}
	first := run(1)
	require.Equal(t, first, run(1))
	require.NotEqual(t, first, run(2))
}
