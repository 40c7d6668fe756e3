// Command x0xdemo is `make demo`: it starts four processes, one in each language, that find
// each other with no configuration, greet on a topic and send each other acknowledged direct
// messages; and prints what happened. With the argument "peer" it is the Go one of the four.
//
// It passes to the four a network id, an empty folder for the registry of this machine, and
// the word "start" once all of them are ready; no id and no address. It exits with 1 when any
// message is missing, a process fails, or the time is over.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/saorsa-labs/x0x-go/core/internal/task"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "peer" {
		os.Exit(peerMain(os.Args[2:]))
	}
	root := flag.String("root", ".", "top of the repository")
	python := flag.String("python", "python3", "Python interpreter that can import x0x")
	node := flag.String("node", "node", "Node that can load the x0x package")
	timeout := flag.Duration("timeout", 30*time.Second, "time for everything")
	kill := flag.String("kill", "", "kill this process (go, c, python or node) before it sends; the demo must then fail")
	flag.Parse()
	if err := run(*root, *python, *node, *timeout, *kill); err != nil {
		fmt.Fprintln(os.Stderr, "demo failed:", err)
		os.Exit(1)
	}
}

// event is one line that a process prints.
type event struct {
	Event string `json:"event"`
	Name  string `json:"name"`
	ID    string `json:"id"`
	From  string `json:"from"`
	To    string `json:"to"`
	Text  string `json:"text"`
	Path  string `json:"path"`
	RTT   int64  `json:"rtt_us"`

	process *process
	ended   error // set when the output ended
}

type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	id    string
	done  bool
	err   strings.Builder
}

func run(root, python, node string, timeout time.Duration, kill string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	runtimeDir, err := os.MkdirTemp("", "x0x-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(runtimeDir)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()

	commands := map[string][]string{
		"go":     {self, "peer"},
		"c":      {filepath.Join(root, ".build/bin/demo_peer")},
		"python": {python, filepath.Join(root, "python/examples/demo_peer.py")},
		"node":   {node, filepath.Join(root, "node/examples/demo_peer.js")},
	}
	names := []string{"go", "c", "python", "node"}
	if kill != "" && !slices.Contains(names, kill) {
		return fmt.Errorf("-kill %q: no such process", kill)
	}
	network := "demo-" + strconv.Itoa(os.Getpid())
	events := make(chan event, 64)
	var readers, closer task.Group
	var list []*process
	defer func() {
		for _, p := range list {
			p.stdin.Close()
		}
		cancel() // kills what still runs
		closer.Go("close events", func() {
			readers.Wait()
			close(events)
		})
		for range events {
		}
		closer.Wait()
	}()
	for _, name := range names {
		args := append(commands[name][1:], name, "--network", network, "--runtime-dir", runtimeDir,
			"--peers", strconv.Itoa(len(names)-1), "--timeout", strconv.Itoa(int(timeout.Seconds())))
		p, err := start(ctx, name, commands[name][0], args, events, &readers)
		if err != nil {
			return err
		}
		list = append(list, p)
	}
	t := newTranscript(list, kill)
	for !t.complete() {
		select {
		case e := <-events:
			if err := t.handle(e); err != nil {
				return err
			}
		case <-ctx.Done():
			return fmt.Errorf("not complete after %v: %s", timeout, t.missing())
		}
	}
	for _, p := range list { // end of input is the sign to leave
		p.stdin.Close()
	}
	for remaining := len(list); remaining > 0; {
		select {
		case e := <-events:
			if e.ended == nil {
				continue
			}
			if !errors.Is(e.ended, io.EOF) {
				return fmt.Errorf("%s ended with %w: %s", e.process.name, e.ended, e.process.err.String())
			}
			remaining--
		case <-ctx.Done():
			return fmt.Errorf("the processes did not end within %v", timeout)
		}
	}
	t.summary()
	return nil
}

// start runs one process and sends what it prints, and finally its end, to events.
func start(ctx context.Context, name, path string, args []string, events chan<- event, readers *task.Group) (*process, error) {
	p := &process{name: name, cmd: exec.CommandContext(ctx, path, args...)}
	p.cmd.Stderr = &p.err
	p.cmd.WaitDelay = 2 * time.Second
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	readers.Go("read "+name, func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			e := event{process: p}
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				e.Event, e.Text = "garbage", lines.Text()
			}
			events <- e
		}
		end := p.cmd.Wait()
		if end == nil {
			end = io.EOF
		}
		events <- event{process: p, ended: end}
	})
	return p, nil
}
