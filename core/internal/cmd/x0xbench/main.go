// Command x0xbench is `make bench`: it measures each promise about speed and size beside the
// raw layer below it, in the same run, and prints one JSON object a line.
//
// The machine is shared and noisy, so raw and x0x take turns, each figure is the median of
// several rounds, and only ratios (and memory, which does not depend on time) are judged:
// with -check the exit code is 1 where one misses its target.
//
// Both ends run in processes of their own: x0xbench starts itself with "child ROLE".
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
)

func main() {
	defer profile(os.Getenv(profileDir))()
	if len(os.Args) > 2 && os.Args[1] == "child" {
		if err := child(os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, os.Args[2]+":", err)
			os.Exit(1)
		}
		return
	}
	check := flag.Bool("check", false, "exit with 1 where a ratio misses its target")
	only := flag.String("rows", "", "comma-separated rows; empty is all")
	rounds := flag.Int("rounds", 7, "rounds of each figure")
	root := flag.String("root", ".", "top of the repository, for the languages")
	python := flag.String("python", "", "Python interpreter that can import x0x; empty leaves its rows out")
	node := flag.String("node", "", "Node; empty leaves its rows out")
	cbench := flag.String("c", "", "the C benchmark; empty leaves its rows out")
	flag.Parse()

	b := &bench{rounds: *rounds, root: *root, python: *python, node: *node, c: *cbench}
	missed := []string{}
	for _, g := range groups {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), g.name) {
			continue
		}
		if err := g.run(b); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", g.name, err)
			os.Exit(1)
		}
	}
	for _, r := range b.rows {
		if r.OK != nil && !*r.OK {
			missed = append(missed, r.Row+" "+r.Lang)
		}
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"go": runtime.Version(), "cpus": runtime.NumCPU(), "rows": len(b.rows), "missed": missed})
	if *check && len(missed) > 0 {
		fmt.Fprintln(os.Stderr, "missed:", strings.Join(missed, ", "))
		os.Exit(1)
	}
}

// profileDir is the variable that names a folder for CPU profiles of this process and its
// children, for whoever makes something faster.
const profileDir = "X0XBENCH_PROFILE"

func profile(dir string) (stop func()) {
	if dir == "" {
		return func() {}
	}
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("cpu-%s-%d.pprof", strings.Join(os.Args[1:min(3, len(os.Args))], "-"), os.Getpid())))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return func() {}
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return func() { pprof.StopCPUProfile(); f.Close() }
}

// groups are the rows by name, in the order of the report.
var groups = []struct {
	name string
	run  func(*bench) error
}{
	{"direct_rtt_64", directRTT},
	{"direct_oneway_100", directOneWay},
	{"bulk_16m", bulk},
	{"handshake", handshake},
	{"memory", memory},
	{"gossip_2nodes", gossipTwo},
	{"gossip_32nodes", gossipSwarm},
	{"languages", languages},
	{"abi", abi},
}

// row is one line of the report.
type row struct {
	Row     string  `json:"row"`
	Lang    string  `json:"lang"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Raw     float64 `json:"raw,omitempty"`
	RawWhat string  `json:"raw_what,omitempty"`
	Ratio   float64 `json:"ratio,omitempty"`
	Target  string  `json:"target,omitempty"`
	OK      *bool   `json:"ok,omitempty"` // nil: reported only
	Note    string  `json:"note,omitempty"`
}

type bench struct {
	rounds          int
	root            string
	python, node, c string
	rows            []row
	raw             map[string]float64 // figures that later rows build on
}

func (b *bench) add(r row) {
	b.rows = append(b.rows, r)
	json.NewEncoder(os.Stdout).Encode(r)
}

// keep remembers a figure for later rows.
func (b *bench) keep(name string, v float64) {
	if b.raw == nil {
		b.raw = map[string]float64{}
	}
	b.raw[name] = v
}

// most and least judge a ratio.
func (r row) most(limit float64) row {
	ok := r.Ratio <= limit
	r.Target, r.OK = fmt.Sprintf("<= %g", limit), &ok
	return r
}

func (r row) least(limit float64) row {
	ok := r.Ratio >= limit
	r.Target, r.OK = fmt.Sprintf(">= %g", limit), &ok
	return r
}

// compare runs raw and x0x in turns and returns the medians of both and of their ratio.
func compare(rounds int, raw, x0x func() (float64, error)) (x, r, ratio float64, err error) {
	var xs, rs, ratios []float64
	for round := range rounds + 1 {
		rv, err := raw()
		if err != nil {
			return 0, 0, 0, fmt.Errorf("raw: %w", err)
		}
		xv, err := x0x()
		if err != nil {
			return 0, 0, 0, err
		}
		if round > 0 { // the first warms up
			xs, rs, ratios = append(xs, xv), append(rs, rv), append(ratios, xv/rv)
		}
	}
	return median(xs), median(rs), median(ratios), nil
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
