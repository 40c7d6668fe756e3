package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// transcript checks and prints what the processes report. A message counts when both ends
// agree: the receiver names as its sender the id that the sender printed as its own.
type transcript struct {
	list  []*process
	kill  string
	start time.Time
	ready int
	seen  map[string]bool // "greeting go>c", "sent …", "received …", once each
	rtts  []int64
}

func newTranscript(list []*process, kill string) *transcript {
	return &transcript{list: list, kill: kill, start: time.Now(), seen: map[string]bool{}}
}

func (t *transcript) print(format string, args ...any) {
	fmt.Printf("%6.3fs  %s\n", time.Since(t.start).Seconds(), fmt.Sprintf(format, args...))
}

// byID returns the process that owns an agent id.
func (t *transcript) byID(id string) *process {
	for _, p := range t.list {
		if p.id != "" && p.id == id {
			return p
		}
	}
	return nil
}

func (t *transcript) handle(e event) error {
	p := e.process
	if e.ended != nil {
		if errors.Is(e.ended, io.EOF) {
			return fmt.Errorf("%s ended early: %s", p.name, p.err.String())
		}
		return fmt.Errorf("%s ended early with %w: %s", p.name, e.ended, p.err.String())
	}
	switch e.Event {
	case "open":
		if len(e.ID) != 64 || t.byID(e.ID) != nil || p.id != "" {
			return fmt.Errorf("%s reports the id %q", p.name, e.ID)
		}
		p.id = e.ID
		t.print("%-6s is agent %s…", p.name, e.ID[:16])
		if t.ready++; t.ready == len(t.list) {
			return t.begin()
		}
	case "greeting":
		from := t.byID(e.From)
		if from == nil || from == p || e.Name != from.name {
			return fmt.Errorf("%s heard a greeting of %q from %q, which is not its id", p.name, e.Name, e.From)
		}
		return t.once("greeting "+from.name+">"+p.name, "%-6s heard the greeting of %s", p.name, from.name)
	case "sent":
		to := t.byID(e.To)
		if to == nil || to == p || e.Path == "" || e.RTT <= 0 {
			return fmt.Errorf("%s reports a bad receipt: to %q, path %q, rtt %d µs", p.name, e.To, e.Path, e.RTT)
		}
		t.rtts = append(t.rtts, e.RTT)
		return t.once("sent "+p.name+">"+to.name, "%-6s → %-6s acknowledged, path %s, round trip %.2f ms", p.name, to.name, e.Path, float64(e.RTT)/1000)
	case "received":
		from := t.byID(e.From)
		if from == nil || from == p {
			return fmt.Errorf("%s received a message from %q, which is nobody's id", p.name, e.From)
		}
		if want := fmt.Sprintf("hello %s, this is %s", p.name, from.name); e.Text != want {
			return fmt.Errorf("%s received %q from %s, want %q", p.name, e.Text, from.name, want)
		}
		return t.once("received "+from.name+">"+p.name, "%-6s ← %-6s %q", p.name, from.name, e.Text)
	case "done":
		p.done = true
	default:
		return fmt.Errorf("%s printed what is no event: %q", p.name, e.Text)
	}
	return nil
}

// begin sends the start word to all, or kills the chosen process instead.
func (t *transcript) begin() error {
	for _, p := range t.list {
		if p.name == t.kill {
			t.print("%-6s is killed before it sends", p.name)
			if err := p.cmd.Process.Kill(); err != nil {
				return err
			}
			continue
		}
		if _, err := io.WriteString(p.stdin, "start\n"); err != nil {
			return fmt.Errorf("starting %s: %w", p.name, err)
		}
	}
	return nil
}

func (t *transcript) once(key, format string, args ...any) error {
	if t.seen[key] {
		return fmt.Errorf("%s came twice", key)
	}
	t.seen[key] = true
	t.print(format, args...)
	return nil
}

// expected lists everything that must happen, once.
func (t *transcript) expected() (keys []string) {
	for _, a := range t.list {
		for _, b := range t.list {
			if a != b {
				keys = append(keys, "greeting "+a.name+">"+b.name, "sent "+a.name+">"+b.name, "received "+a.name+">"+b.name)
			}
		}
	}
	return keys
}

func (t *transcript) complete() bool {
	return len(t.seen) == len(t.expected()) && !slices.ContainsFunc(t.list, func(p *process) bool { return !p.done })
}

func (t *transcript) missing() string {
	var list []string
	for _, key := range t.expected() {
		if !t.seen[key] {
			list = append(list, key)
		}
	}
	for _, p := range t.list {
		if !p.done {
			list = append(list, "done of "+p.name)
		}
	}
	return "missing " + strings.Join(list, ", ")
}

func (t *transcript) summary() {
	slices.Sort(t.rtts)
	n := len(t.list) * (len(t.list) - 1)
	fmt.Printf("\n%d processes, %d greetings heard, %d direct messages acknowledged and received, median round trip %.2f ms\n",
		len(t.list), n, n, float64(t.rtts[len(t.rtts)/2])/1000)
}
