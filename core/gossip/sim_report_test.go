package gossip

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/internal/simnet"
)

// report keeps results in a folder: results.jsonl, results.txt, and plots. What
// is there already stays, so that it can be made in parts.
type report struct {
	t       testing.TB
	dir     string
	results []simResult
}

func newSimReport(t testing.TB, dir string) *report {
	require.NoError(t, os.MkdirAll(dir, 0o755))
	p := &report{t: t, dir: dir}
	lines, err := os.ReadFile(p.path("results.jsonl"))
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	for d := json.NewDecoder(bytes.NewReader(lines)); d.More(); {
		var r simResult
		require.NoError(t, d.Decode(&r))
		p.results = append(p.results, r)
	}
	return p
}

func (p *report) path(file string) string { return filepath.Join(p.dir, file) }

// add takes in a result, in place of an older one of the same run.
func (p *report) add(r simResult) {
	p.results = append(slices.DeleteFunc(p.results, func(o simResult) bool {
		return o.Scenario == r.Scenario && o.Nodes == r.Nodes && o.Seed == r.Seed
	}), r)
	var lines bytes.Buffer
	for i := range p.results {
		require.NoError(p.t, json.NewEncoder(&lines).Encode(&p.results[i]))
	}
	p.write("results.jsonl", lines.Bytes())
	p.write("results.txt", []byte(simTable(p.results)))
	for file, plot := range p.plots() {
		p.write(file, plot.SVG())
	}
}

func (p *report) write(file string, b []byte) {
	require.NoError(p.t, os.WriteFile(p.path(file), b, 0o644))
}

// simPlots are the quantities that are drawn against the number of nodes.
var simPlots = []struct {
	file, title, y string
	logY           bool
	value          func(*simResult) float64
}{
	{"everyone_p50", "Until everybody has a message, half of the messages", "ms", true, func(r *simResult) float64 { return r.EveryoneP50 }},
	{"everyone_p99", "Until everybody has a message, 99 % of the messages", "ms", true, func(r *simResult) float64 { return r.EveryoneP99 }},
	{"delivery_p50", "From publishing to a delivery, half of them", "ms", false, func(r *simResult) float64 { return r.DeliveryP50 }},
	{"delivery_p99", "From publishing to a delivery, 99 % of them", "ms", true, func(r *simResult) float64 { return r.DeliveryP99 }},
	{"recovery", "The longest wait for a message, once nothing happens any more", "ms", false, func(r *simResult) float64 { return r.Recovery }},
	{"copies", "Copies of a message for each delivery", "copies", false, func(r *simResult) float64 { return r.Copies }},
	{"bytes", "Bytes on the interface for each byte delivered", "bytes", true, func(r *simResult) float64 { return r.BytesPerByte }},
	{"hops_p50", "Depth of the tree: hops, half of the deliveries", "hops", false, func(r *simResult) float64 { return float64(r.HopsP50) }},
	{"hops_most", "Depth of the tree: hops, the most", "hops", false, func(r *simResult) float64 { return float64(r.HopsMost) }},
	{"membership", "Bytes of the membership", "bytes per node and second", false, func(r *simResult) float64 { return r.Membership }},
}

func (p *report) plots() map[string]simnet.Plot {
	plots := make(map[string]simnet.Plot)
	for _, q := range simPlots {
		plot := simnet.Plot{Title: q.title, X: "nodes", Y: q.y, LogX: true, LogY: q.logY}
		for _, s := range scenarios {
			series := simnet.Series{Name: s.name}
			for i := range p.results {
				if r := &p.results[i]; r.Scenario == s.name {
					series.Points = append(series.Points, simnet.Point{X: float64(r.Nodes), Y: q.value(r)})
				}
			}
			plot.Series = append(plot.Series, series)
		}
		plots[q.file+".svg"] = plot
	}
	return plots
}

const simHead = `
one50, one99: milliseconds from publishing to a delivery, median and 99 %. all50, all99: to the last delivery of a message.
wait: the longest that anybody waited for a message, from when it was published, subscribed to, and nothing happened to the network any more.
copies: of a message, for each delivery. wire/B, msg/B, ctl/B: bytes on the interface, of messages and of their control for each byte delivered.
memb/s, idle/s: bytes for each node and second of the membership, and on the interface at rest. hops, degree: median/most, least/median/most.
`

// simTable is results for people to read.
func simTable(results []simResult) string {
	var b strings.Builder
	b.WriteString("\n")
	for _, s := range scenarios {
		fmt.Fprintf(&b, "%-9s %s\n", s.name, s.what)
	}
	b.WriteString(simHead)
	fmt.Fprintf(&b, "%-9s %6s %4s %6s %4s | %6s %6s %6s %6s %6s | %6s %6s %5s %5s %6s %6s | %-6s %-6s | %6s %6s %6s %6s %5s %5s | %6s %6s %7s | %6s %6s %5s\n",
		"scenario", "nodes", "seed", "subs", "msgs", "one50", "one99", "all50", "all99", "wait",
		"copies", "wire/B", "msg/B", "ctl/B", "memb/s", "idle/s", "hops", "degree", "prune", "graft", "iwant", "repair", "optim", "given",
		"susp", "links", "news", "wall s", "Mevent", "MB")
	sorted := slices.Clone(results)
	order := func(name string) int {
		return slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
	}
	slices.SortStableFunc(sorted, func(a, b simResult) int {
		return cmp.Or(cmp.Compare(order(a.Scenario), order(b.Scenario)), cmp.Compare(a.Nodes, b.Nodes))
	})
	for i := range sorted {
		b.WriteString(simRow(&sorted[i]) + "\n")
	}
	return b.String()
}

func simRow(r *simResult) string {
	failed := ""
	if !r.Passed {
		failed = "  FAILED"
	}
	return fmt.Sprintf("%-9s %6d %4d %6d %4d | %6.0f %6.0f %6.0f %6.0f %6.0f | %6.2f %6.2f %5.2f %5.2f %6.0f %6.0f | %2d/%-3d %d/%d/%-2d | %6d %6d %6d %6d %5d %5d | %6d %6d %7d | %6.1f %6.2f %5.0f%s",
		r.Scenario, r.Nodes, r.Seed, r.Subscribers, r.Messages, r.DeliveryP50, r.DeliveryP99, r.EveryoneP50, r.EveryoneP99, r.Recovery,
		r.Copies, r.BytesPerByte, r.Payload, r.Control, r.Membership, r.Idle, r.HopsP50, r.HopsMost, r.DegreeLeast, r.DegreeMedian, r.DegreeMost,
		r.Pruned, r.Grafts, r.IWants, r.Repaired, r.Optimised, r.GivenUp, r.Suspected, r.LinksUp, r.News,
		r.Wall, float64(r.Events)/1e6, r.HeapMB, failed)
}
