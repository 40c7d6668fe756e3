package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// figures is what a benchmark of a language prints as its last line.
type figures struct {
	RTT      float64 `json:"rtt_us"`      // 64 B to the echo agent and back
	Wake     float64 `json:"wake_us"`     // an asynchronous call that completes at once
	Batch    float64 `json:"batch_per_s"` // 100 B messages received by the batch call
	One      float64 `json:"one_per_s"`   // the same through the iterator
	Call     float64 `json:"call_us"`     // a call into the library and back
	NullCall float64 `json:"null_us"`     // a call of an empty C function
	Event    float64 `json:"event_us"`    // a drained record, of a large batch
}

// languages measures the packages for Python and Node against a Go process.
func languages(b *bench) error {
	for _, l := range []struct{ name, program, script string }{
		{"python", b.python, "python/bench/bench.py"},
		{"node", b.node, "node/bench/bench.js"},
	} {
		if l.program == "" {
			continue
		}
		f, err := runLanguage(filepath.Join(b.root, l.script), l.program)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		raw := b.raw["raw_rtt_us"]
		if raw == 0 {
			return fmt.Errorf("the row direct_rtt_64 must run before languages")
		}
		b.add(row{Row: "direct_rtt_64", Lang: l.name, Value: f.RTT, Unit: "us", Raw: raw + f.Wake, RawWhat: "quic-go stream + one empty queue wake", Ratio: f.RTT / (raw + f.Wake)}.most(1.5))
		rate := b.raw["oneway_per_s"]
		batch := row{Row: "direct_oneway_100_batch", Lang: l.name, Value: f.Batch, Unit: "msg/s", Raw: rate, RawWhat: "Go to Go", Ratio: f.Batch / rate, Note: "target 500,000"}
		one := row{Row: "direct_oneway_100_iterator", Lang: l.name, Value: f.One, Unit: "msg/s", Raw: rate, RawWhat: "Go to Go", Ratio: f.One / rate, Note: "target 200,000"}
		b.add(batch.least(0.4))
		b.add(one.least(0.15))
		b.add(row{Row: "abi_call", Lang: l.name, Value: f.Call, Unit: "us", Raw: f.NullCall, RawWhat: "an empty C function", Ratio: f.Call / f.NullCall})
		b.add(row{Row: "abi_event", Lang: l.name, Value: f.Event, Unit: "us", Note: "per record of a large drain"})
	}
	return nil
}

func runLanguage(script, program string) (f figures, err error) {
	dir, err := os.MkdirTemp("", "x0x-bench-")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	network := "bench-" + filepath.Ext(script)[1:] + "-" + strconv.Itoa(os.Getpid())
	echo, err := startChild("echo", "-network", network, "-runtime-dir", dir)
	if err != nil {
		return f, err
	}
	defer echo.Close()
	cmd := exec.Command(program, script, "--network", network, "--runtime-dir", dir, "--echo", echo.hello.Agent)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(out, &f)
}

// abi is the cost of the C ABI seen from C: capi/ctest/bench.c prints a line for each figure.
func abi(b *bench) error {
	if b.c == "" {
		return nil
	}
	dir, err := os.MkdirTemp("", "x0x-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command(b.c)
	cmd.Env = append(os.Environ(), "X0X_TEST_RUNTIME_DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	us := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var line struct {
			Bench string
			NS    float64
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("%s printed %q: %w", b.c, lines.Text(), err)
		}
		us[strings.TrimPrefix(line.Bench, "capi/")] = line.NS / 1000
	}
	call, null, event := us["call into Go and back"], us["call without Go"], us["drained message of 100 bytes"]
	if call == 0 || null == 0 || event == 0 {
		return fmt.Errorf("%s printed no figure for a call or a drained message: %q", b.c, out)
	}
	b.add(row{Row: "abi_call", Lang: "c", Value: call, Unit: "us", Raw: null, RawWhat: "a function of the library that does not enter Go", Ratio: call / null})
	b.add(row{Row: "abi_event", Lang: "c", Value: event, Unit: "us", Note: "per drained message of 100 B"})
	return nil
}
