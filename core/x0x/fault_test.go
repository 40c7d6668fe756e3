//go:build faults

// The proof of the promise of direct messages, run by `make test` as a part of its own (build
// tag faults): two processes behind a faulty path exchange 100,000 messages each way.

package x0x

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/transport"
	"github.com/saorsa-labs/x0x-go/core/transport/transporttest"
)

var (
	faultSeed     = flag.Uint64("faults.seed", 0, "seed of the faults; 0 takes one from the clock and prints it")
	faultMessages = flag.Int("faults.messages", 100_000, "messages each way")
	faultRounds   = flag.Int("faults.rounds", 20, "how often each fault happens")
	faultChild    = flag.Bool("faults.child", false, "be one of the two processes")
)

// largeEvery places three bodies of 16 MiB among the messages of each side.
func large(index, messages int) bool {
	return index == messages/5 || index == messages/2 || index == messages*4/5
}

// faultBody is the payload of message index: its number, then bytes that follow from it.
func faultBody(index, messages int) []byte {
	size := 16 + index%113
	if large(index, messages) {
		size = MaxDirectPayload
	}
	b := make([]byte, size)
	binary.BigEndian.PutUint64(b, uint64(index))
	for i := 8; i < size; i++ {
		b[i] = byte(index*31 + i*7)
	}
	return b
}

// report is what a child prints, one JSON object a line.
type report struct {
	Event    string // ready, progress, done
	Agent    string
	Machine  string
	Addr     string
	Sent     int    // acknowledged
	Received int    // in order, from 0
	Problem  string // the first thing that was wrong
	Resumes  uint64
	Resets   uint64
	State    string // of the session, when asked for
}

// TestFaults is the parent. It knows nothing of the protocol: it forwards packets, badly, and
// reads what the two processes report.
func TestFaults(t *testing.T) {
	if *faultChild {
		require.NoError(t, faultProcess(os.Stdin, os.Stdout))
		return
	}
	seed := *faultSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	ctx, cancel := context.WithTimeout(context.Background(), 14*time.Minute)
	defer cancel()

	a, b := startFaultChild(t, ctx, "a"), startFaultChild(t, ctx, "b")
	children := []*faultChildProcess{a, b}
	for _, c := range children {
		c.wait(t, func(r report) bool { return r.Event == "ready" }, a, b)
	}
	proxyA := transporttest.NewProxy(t, netip.MustParseAddrPort(a.report().Addr), seed)
	proxyB := transporttest.NewProxy(t, netip.MustParseAddrPort(b.report().Addr), seed+1)
	proxies := []*transporttest.Proxy{proxyA, proxyB}
	for _, p := range proxies {
		p.SetLoss(5)
		p.SetReorder(5, 5*time.Millisecond)
	}
	a.tell("peer", b.report().Agent, b.report().Machine, proxyB.Addr().String())
	b.tell("peer", a.report().Agent, a.report().Machine, proxyA.Addr().String())
	a.tell("go")
	b.tell("go")

	// Faults come in rounds, each waiting for progress of both sides, so that none falls into
	// the silence of another and all of them meet traffic.
	faults := map[string]int{}
	for range *faultRounds {
		for _, name := range []string{"blackhole", "rebind", "close a", "close b"} {
			switch name {
			case "blackhole":
				d := 500*time.Millisecond + time.Duration(rng.Int64N(int64(4500*time.Millisecond)))
				for _, p := range proxies {
					p.Blackhole(d)
				}
			case "rebind":
				for _, p := range proxies {
					require.NoError(t, p.Rebind())
				}
			case "close a":
				a.tell("close")
			case "close b":
				b.tell("close")
			}
			faults[name]++
			for _, c := range children {
				next := min(c.report().Received+*faultMessages/(5*(*faultRounds)), *faultMessages)
				c.wait(t, func(r report) bool { return r.Received >= next }, a, b)
			}
		}
	}
	for _, c := range children {
		c.wait(t, func(r report) bool { return r.Event == "done" }, a, b)
	}
	for _, c := range children {
		c.tell("stop")
		require.NoError(t, c.cmd.Wait(), "%s: %s", c.name, c.stderr.String())
		r := c.report()
		require.Empty(t, r.Problem)
		require.Equal(t, *faultMessages, r.Received, "%s received", c.name)
		require.Equal(t, *faultMessages, r.Sent, "%s sent", c.name)
		require.Zero(t, r.Resets, "a session was reset although no process ended")
		require.NotZero(t, r.Resumes, "the faults caused no resume")
		t.Logf("%s: %d messages received once and in order, %d sends acknowledged, %d resumes", c.name, r.Received, r.Sent, r.Resumes)
	}
	t.Logf("faults: %v, 5 %% loss and 5 %% reordering throughout; %+v %+v", faults, proxyA.Stats(), proxyB.Stats())
	fmt.Printf("fault proof: 2x%d messages passed, %d+%d resumes\n", *faultMessages, a.report().Resumes, b.report().Resumes)
}

// faultChildProcess is one of the two, as the parent sees it. What it prints is read at once,
// whoever waits for what: a child that cannot print would stand still.
type faultChildProcess struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr bytes.Buffer
	news   chan struct{} // capacity 1: last has changed
	state  chan string   // answers to dump

	mu   sync.Mutex
	last report
	gone bool
}

func startFaultChild(t *testing.T, ctx context.Context, name string) *faultChildProcess {
	c := &faultChildProcess{name: name, news: make(chan struct{}, 1), state: make(chan string, 1)}
	c.cmd = exec.CommandContext(ctx, os.Args[0], "-test.run=^TestFaults$", "-test.count=1", "-faults.child", fmt.Sprintf("-faults.messages=%d", *faultMessages))
	c.cmd.Stderr = &c.stderr
	var err error
	c.stdin, err = c.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() { c.cmd.Process.Kill() })
	go c.read(out)
	return c
}

func (c *faultChildProcess) read(out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var r report
		if json.Unmarshal(lines.Bytes(), &r) != nil || r.Event == "" {
			continue // what the testing package prints
		}
		if r.State != "" {
			c.state <- r.State
			continue
		}
		c.mu.Lock()
		c.last = r
		c.mu.Unlock()
		c.tellNews()
	}
	c.mu.Lock()
	c.gone = true
	c.mu.Unlock()
	c.tellNews()
}

func (c *faultChildProcess) tellNews() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (c *faultChildProcess) report() report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

func (c *faultChildProcess) tell(words ...string) {
	line, _ := json.Marshal(words)
	c.stdin.Write(append(line, '\n')) // a child that is gone is noticed by its reports
}

// dump asks for the state of the session.
func (c *faultChildProcess) dump() string {
	c.tell("dump")
	select {
	case s := <-c.state:
		return fmt.Sprintf("%s: %s, last report %+v", c.name, s, c.report())
	case <-time.After(10 * time.Second):
		return c.name + " does not answer: " + c.stderr.String()
	}
}

// stallLimit is how long a child may make no progress. The longest blackhole is 5 s.
const stallLimit = time.Minute

// wait waits until the last report is good enough.
func (c *faultChildProcess) wait(t *testing.T, enough func(report) bool, a, b *faultChildProcess) {
	for {
		c.mu.Lock()
		r, gone := c.last, c.gone
		c.mu.Unlock()
		require.Empty(t, r.Problem, "%s after %d messages", c.name, r.Received)
		if enough(r) {
			return
		}
		require.False(t, gone, "%s ended: %s", c.name, c.stderr.String())
		select {
		case <-c.news:
		case <-time.After(stallLimit):
			require.FailNow(t, "no progress", "%s\n%s", a.dump(), b.dump())
		}
	}
}

// faultProcess is a child: it sends its messages with 2,048 in flight, checks what it receives,
// and obeys commands.
func faultProcess(in io.Reader, out io.Writer) error {
	messages := *faultMessages
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	agent, err := New(Options{NoLocalDiscovery: true, NetworkID: "faults", Bind: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	defer agent.Close(ctx)
	if err := agent.JoinNetwork(ctx); err != nil {
		return err
	}
	var mu sync.Mutex
	var state report
	say := func(event string) {
		mu.Lock()
		defer mu.Unlock()
		state.Event = event
		s := agent.Stats()
		state.Resumes, state.Resets = s["direct.resumes"], s["direct.resets"]
		line, _ := json.Marshal(state)
		out.Write(append(line, '\n'))
	}
	problem := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if state.Problem == "" {
			state.Problem = fmt.Sprintf(format, args...)
		}
	}
	state.Agent, state.Machine, state.Addr = agent.AgentID().String(), agent.MachineID().String(), agent.LocalAddrs()[0].String()
	say("ready")

	var peer AgentID
	var work sync.WaitGroup
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var words []string
		if err := json.Unmarshal(lines.Bytes(), &words); err != nil {
			return err
		}
		switch words[0] {
		case "peer":
			peer, _ = identity.ParseAgentID(words[1])
			machine, _ := identity.ParseMachineID(words[2])
			if err := agent.AddPeer(machine, peer, []netip.AddrPort{netip.MustParseAddrPort(words[3])}); err != nil {
				return err
			}
		case "go":
			work.Add(2)
			go func() {
				defer work.Done()
				slots := make(chan struct{}, 2048)
				for i := range messages {
					slots <- struct{}{}
					_, err := agent.SendAsync(peer, faultBody(i, messages), SendOptions{Timeout: 5 * time.Minute}, func(_ Receipt, err error) {
						if err != nil {
							problem("send %d failed: %v", i, err)
						} else {
							mu.Lock()
							state.Sent++
							mu.Unlock()
						}
						<-slots
					})
					if err != nil {
						problem("send %d refused: %v", i, err)
						<-slots
					}
				}
				for range cap(slots) {
					slots <- struct{}{}
				}
			}()
			go func() {
				defer work.Done()
				for i := range messages {
					m, err := agent.RecvDirect(ctx)
					if err != nil {
						problem("receive %d: %v", i, err)
						return
					}
					if m.Sender != peer || len(m.Payload) < 8 || binary.BigEndian.Uint64(m.Payload) != uint64(i) {
						problem("expected message %d, got %d of %s", i, binary.BigEndian.Uint64(m.Payload), m.Sender.Short())
						return
					}
					if !bytes.Equal(m.Payload, faultBody(i, messages)) {
						problem("message %d arrived changed", i)
						return
					}
					mu.Lock()
					state.Received++
					mu.Unlock()
					if i%100 == 99 {
						say("progress")
					}
				}
				extra, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
				if m, err := agent.RecvDirect(extra); err == nil {
					problem("message of %d bytes after the last one", len(m.Payload))
				}
			}()
			go func() {
				work.Wait()
				say("done")
			}()
		case "close": // abruptly, whatever is being written
			if c := agent.net.Load().peers.Conn(peer); c != nil {
				c.Close(transport.CloseSilent, "fault")
			}
		case "dump":
			mu.Lock()
			state.State = fmt.Sprintf("%+v %v", agent.direct.Sessions(), agent.Peers())
			mu.Unlock()
			say("dump")
		case "stop":
			return nil
		}
	}
	return fmt.Errorf("the parent is gone")
}
