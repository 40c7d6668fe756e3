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
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// hello is the first line of a child: where and who it is.
type hello struct {
	Addr    string `json:"addr"`
	Agent   string `json:"agent"`
	Machine string `json:"machine"`
	RSS     int64  `json:"rss"` // bytes, after a garbage collection
}

// process is a child that runs until Close.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Scanner
	hello hello
}

func startChild(role string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(exec.Command(self, append([]string{"child", role}, args...)...))
}

func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd}
	cmd.Stderr = os.Stderr
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(out)
	if err := p.line(&p.hello); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// line reads the next line of the child.
func (p *process) line(v any) error {
	if !p.out.Scan() {
		return fmt.Errorf("%v ended early", p.cmd.Args)
	}
	return json.Unmarshal(p.out.Bytes(), v)
}

// ask sends a line and reads the answer.
func (p *process) ask(word string, v any) error {
	if _, err := io.WriteString(p.stdin, word+"\n"); err != nil {
		return err
	}
	return p.line(v)
}

// Close ends the child by the end of its input, and kills it if it stays.
func (p *process) Close() {
	p.stdin.Close()
	t := time.AfterFunc(10*time.Second, func() { p.cmd.Process.Kill() })
	defer t.Stop()
	p.cmd.Wait()
}

func say(v any) error { return json.NewEncoder(os.Stdout).Encode(v) }

// child runs one role until its input ends.
func child(role string, args []string) error {
	switch role {
	case "raw":
		return rawServer()
	case "raw-dials":
		return rawDialServer()
	case "dials":
		return dialServer()
	case "echo":
		return echoAgent(args)
	case "rest":
		return restingAgent(args)
	case "raw-rest":
		return restingRaw()
	case "spokes":
		return spokes(args)
	case "raw-spokes":
		return rawSpokes(args)
	case "swarm":
		return swarm(args)
	}
	return errors.New("unknown role")
}

// where are the flags that every agent of a benchmark takes.
func where(args []string) (network, dir string, rest []string, err error) {
	f := flag.NewFlagSet("child", flag.ContinueOnError)
	f.StringVar(&network, "network", "", "network id")
	f.StringVar(&dir, "runtime-dir", "", "folder of the registry")
	err = f.Parse(args)
	return network, dir, f.Args(), err
}

// openAgent opens and joins an agent of a benchmark.
func openAgent(network, dir string) (*x0x.Agent, error) {
	a, err := x0x.New(x0x.Options{NetworkID: network, RuntimeDir: dir, MaxPeers: 4096})
	if err != nil {
		return nil, err
	}
	return a, a.JoinNetwork(context.Background())
}

// echoAgent is the far end of every benchmark of messages. The first byte of a message says
// what to do with it:
//
//	e  send it back
//	s  count it
//	f  send back the count as a message "f", and begin anew
//	g  send as many messages as the number behind it says, of as many bytes each
func echoAgent(args []string) error {
	network, dir, _, err := where(args)
	if err != nil {
		return err
	}
	a, err := openAgent(network, dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer a.Close(ctx)
	go func() { // input ends: so do we
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	say(hello{Addr: a.LocalAddrs()[0].String(), Agent: a.AgentID().String(), Machine: a.MachineID().String()})
	count := 0
	var batch []x0x.Entry[x0x.DirectMessage]
	for {
		clear(batch)
		if batch, err = a.Inbox().RecvMany(ctx, 256, batch[:0]); err != nil {
			return nil
		}
		for _, e := range batch {
			m := e.Item
			switch m.Payload[0] {
			case 'e':
				if _, err := a.SendAsync(m.Sender, m.Payload, x0x.SendOptions{}, func(x0x.Receipt, error) {}); err != nil {
					return err
				}
			case 's':
				count++
			case 'f':
				reply := fmt.Appendf(nil, "f %d", count)
				count = 0
				if _, err := a.SendDirect(ctx, m.Sender, reply, x0x.SendOptions{}); err != nil {
					return err
				}
			case 'g':
				var n, size int
				if _, err := fmt.Sscanf(string(m.Payload), "g %d %d", &n, &size); err != nil || size < 1 || n > 1<<22 || size > 1<<20 {
					return fmt.Errorf("bad order %q", m.Payload)
				}
				if err := pour(ctx, a, m.Sender, n, make([]byte, size)); err != nil && ctx.Err() == nil {
					return err
				}
			}
		}
	}
}

// pour sends n messages with at most 4,000 in flight, and waits for the last acknowledgement.
func pour(ctx context.Context, a *x0x.Agent, to x0x.AgentID, n int, payload []byte) error {
	const inFlight = 4000
	var failed atomic.Pointer[error]
	var acked atomic.Int64
	progress := make(chan struct{}, 1)
	done := func(_ x0x.Receipt, err error) {
		if err != nil {
			failed.CompareAndSwap(nil, &err)
		}
		if acked.Add(1)%256 == 0 {
			select {
			case progress <- struct{}{}:
			default:
			}
		}
	}
	for sent := int64(0); sent < int64(n); sent++ {
		for sent-acked.Load() >= inFlight {
			<-progress
		}
		if _, err := a.SendAsync(to, payload, x0x.SendOptions{Timeout: time.Minute}, done); err != nil {
			return err
		}
	}
	for acked.Load() < int64(n) {
		select {
		case <-progress:
		case <-time.After(time.Millisecond): // the last ones make no full 256
		}
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return ctx.Err()
}
