//go:build overlay && linux

package x0x

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	soakFor    = flag.Duration("soak.for", 15*time.Second, "how long the soak test goes on; memory is judged from 10 minutes on")
	soakReport = flag.String("soak.report", "", "file for the memory of each process, CSV")
)

const (
	soakRate  = 50 // messages a second
	soakBytes = 4096
	soakNodes = 4 // that subscribe, besides the one that publishes
)

// rss is the resident memory of a process in MiB.
func rss(t *testing.T, pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	require.NoError(t, err)
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	require.NoError(t, err)
	return float64(pages*os.Getpagesize()) / (1 << 20)
}

// TestSoak publishes at an even pace for a long time. Everybody gets everything, and nobody's
// memory grows once retention is full.
func TestSoak(t *testing.T) {
	k := newKitFor(t, *soakFor+3*time.Minute)
	lifetime := *soakFor + 2*time.Minute
	publisher := k.child(childConfig{Key: 200, Lifetime: lifetime})
	all := []*child{publisher}
	for i := range soakNodes {
		p := k.child(childConfig{Key: byte(2 * i), Queue: 1024, Lifetime: lifetime})
		p.do(command{Do: "subscribe", Topic: "t"})
		all = append(all, p)
	}
	count := int(soakFor.Seconds() * soakRate)
	for _, p := range all[1:] {
		p.tell(command{Do: "gather", Count: count})
	}
	publisher.tell(command{Do: "publish", Topic: "t", Count: count, Size: soakBytes, Rate: soakRate})

	var curve [][]float64 // by time and process
	sample := max(*soakFor/180, time.Second)
	tick := time.NewTicker(sample)
	defer tick.Stop()
	for end := time.Now().Add(*soakFor); time.Now().Before(end); <-tick.C {
		now := make([]float64, len(all))
		for i, p := range all {
			now[i] = rss(t, p.cmd.Process.Pid)
		}
		curve = append(curve, now)
	}
	publisher.answer()
	for i, p := range all[1:] {
		r := p.answer()
		require.Equal(t, uint64(count), r.Got, "process %d", i+1)
		require.Zero(t, r.Lagged)
	}
	report := "seconds"
	for i := range all {
		report += fmt.Sprintf(",process %d MiB", i)
	}
	report += "\n"
	for i, now := range curve {
		report += strconv.Itoa(int((time.Duration(i) * sample).Seconds()))
		for _, v := range now {
			report += fmt.Sprintf(",%.1f", v)
		}
		report += "\n"
	}
	if *soakReport != "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(*soakReport), 0o755))
		require.NoError(t, os.WriteFile(*soakReport, []byte(report), 0o644))
	}
	for i := range all {
		third := func(n int) float64 {
			var v []float64
			for _, now := range curve[len(curve)*n/3 : len(curve)*(n+1)/3] {
				v = append(v, now[i])
			}
			slices.Sort(v)
			return v[len(v)/2]
		}
		t.Logf("process %d: %.1f, %.1f, %.1f MiB (medians of the thirds of %v, %d messages)", i, third(0), third(1), third(2), *soakFor, count)
		if *soakFor >= 10*time.Minute {
			require.Less(t, third(2), 1.2*third(1)+2, "the memory of process %d grows", i)
		}
	}
}
