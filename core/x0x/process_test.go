package x0x

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A child is an agent in a process of its own, which the test can kill and stop. It is this
// test binary, started with its configuration in the environment; it obeys commands on its
// standard input, one JSON object a line, and answers each in order.

const childEnv = "X0X_TEST_CHILD"

type childConfig struct {
	NetworkID, RuntimeDir string
	Key                   byte // of the identity, so that a new process can have the same
	InboxMessages         int
	Queue                 int           // messages that a subscription holds; 0 is the default
	Lifetime              time.Duration // 2 minutes if zero: a child that is forgotten ends
}

type command struct {
	Do    string // recv, send, subscribe, next, publish, gather, stats
	To    AgentID
	Topic string
	Count int
	Size  int
	Rate  int // of publish, messages a second; 0 is as fast as it goes
}

type answer struct {
	Agent   AgentID
	Machine MachineID
	Stats   map[string]uint64
	Active  []AgentID // its neighbours in the overlay
	Got     uint64    // messages of the subscription so far
	Lagged  uint64    // and those that it told to be missing
	Error   string
}

// publication is one process that publishes a topic.
type publication struct {
	sender AgentID
	epoch  uint64
}

// arrivals notes which sequences came, in a bit each: the memory of a soak is the agent's.
type arrivals map[publication][]uint64

// add reports whether a message comes for the first time.
func (a arrivals) add(m Message) bool {
	p, word, bit := publication{m.Sender, m.Epoch}, m.Sequence/64, uint64(1)<<(m.Sequence%64)
	bits := a[p]
	for uint64(len(bits)) <= word {
		bits = append(bits, 0)
	}
	fresh := bits[word]&bit == 0
	bits[word] |= bit
	a[p] = bits
	return fresh
}

// numbered is a payload that starts with its number.
func numbered(i, size int) []byte {
	b := make([]byte, max(size, 8))
	binary.BigEndian.PutUint64(b, uint64(i))
	return b
}

func number(payload []byte) int { return int(binary.BigEndian.Uint64(payload)) }

func keyOf(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func runChild(config string, in io.Reader, out io.Writer) error {
	var c childConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(c.Lifetime, 2*time.Minute))
	defer cancel()
	a, err := New(Options{
		NetworkID: c.NetworkID, RuntimeDir: c.RuntimeDir, InboxMessages: c.InboxMessages,
		AgentKey: keyOf(c.Key), MachineKey: keyOf(c.Key + 1),
	})
	if err != nil {
		return err
	}
	defer a.Close(ctx)
	if err := a.JoinNetwork(ctx); err != nil {
		return err
	}
	answers := json.NewEncoder(out)
	answers.Encode(answer{Agent: a.AgentID(), Machine: a.MachineID()})
	commands := json.NewDecoder(in)
	received := 0
	seen := map[int]bool{}
	var topic, all answer // the sums of next and gather
	gathered := arrivals{}
	published := 0
	var sub *Subscription
	for {
		var cmd command
		if err := commands.Decode(&cmd); err == io.EOF {
			return nil // the test has ended
		} else if err != nil {
			return err
		}
		r := topic
		err := func() error {
			switch cmd.Do {
			case "recv": // Count messages, numbered on from the last
				for range cmd.Count {
					m, err := a.RecvDirect(ctx)
					if err != nil {
						return err
					}
					if number(m.Payload) != received {
						return fmt.Errorf("expected message %d, got %d", received, number(m.Payload))
					}
					received++
				}
			case "send":
				for i := range cmd.Count {
					if _, err := a.SendDirect(ctx, cmd.To, numbered(i, cmd.Size), SendOptions{}); err != nil {
						return err
					}
				}
			case "subscribe":
				sub, err = a.Subscribe(cmd.Topic, SubscribeOptions{MaxMessages: c.Queue})
				return err
			case "next": // messages until number Count-1 has come and nothing more is there
				for last := false; !last || r.Got+r.Lagged < a.Stats()["gossip.delivered"]; {
					m, err := sub.Recv(ctx)
					var lag *LaggedError
					switch {
					case errors.As(err, &lag):
						r.Lagged += lag.Lag.Count
					case err != nil:
						return err
					case seen[number(m.Payload)]:
						return fmt.Errorf("message %d came twice", number(m.Payload))
					default:
						seen[number(m.Payload)] = true
						r.Got++
						last = last || number(m.Payload) == cmd.Count-1
					}
				}
				topic = r
			case "publish": // Count messages of a topic, numbered on from the last
				start := time.Now()
				for i := range cmd.Count {
					if cmd.Rate > 0 {
						time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(cmd.Rate))))
					}
					if err := a.Publish(ctx, cmd.Topic, numbered(published, cmd.Size)); err != nil {
						return err
					}
					published++
				}
			case "gather": // Count messages of the subscription in all, each once, whoever sent them
				for all.Got+all.Lagged < uint64(cmd.Count) {
					wait, cancel := context.WithTimeout(ctx, 30*time.Second)
					m, err := sub.Recv(wait)
					cancel()
					var lag *LaggedError
					switch {
					case errors.As(err, &lag):
						all.Lagged += lag.Lag.Count
					case err != nil:
						return fmt.Errorf("after %d of %d messages: %w (%v)", all.Got, cmd.Count, err, a.Stats())
					case !gathered.add(m):
						return fmt.Errorf("%s %d.%d came twice", m.Sender.Short(), m.Epoch, m.Sequence)
					default:
						all.Got++
					}
				}
				r.Got, r.Lagged = all.Got, all.Lagged
			case "stats":
				r.Stats, r.Active = a.Stats(), a.net.Load().overlay.active()
			default:
				return fmt.Errorf("unknown command %q", cmd.Do)
			}
			return nil
		}()
		if err != nil {
			r.Error = err.Error()
		}
		if err := answers.Encode(r); err != nil {
			return err
		}
	}
}

// child is a running one, as the test sees it.
type child struct {
	k       *kit
	cmd     *exec.Cmd
	in      *json.Encoder
	answers *json.Decoder
	AgentID AgentID
	end     func()
}

func (k *kit) child(c childConfig) *child {
	k.t.Helper()
	c.NetworkID, c.RuntimeDir = k.t.Name(), k.dir
	config, err := json.Marshal(c)
	require.NoError(k.t, err)
	p := &child{k: k, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), childEnv+"="+string(config))
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe()
	require.NoError(k.t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(k.t, err)
	require.NoError(k.t, p.cmd.Start())
	p.end = sync.OnceFunc(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
	k.t.Cleanup(p.end)
	// A child that says nothing must not hold the test for ever.
	stop := context.AfterFunc(k.ctx, func() { p.cmd.Process.Kill() })
	k.t.Cleanup(func() { stop() })
	p.in, p.answers = json.NewEncoder(stdin), json.NewDecoder(bufio.NewReader(out))
	p.AgentID = p.answer().Agent
	return p
}

// tell gives a command; answer waits for its end.
func (p *child) tell(c command) {
	p.k.t.Helper()
	require.NoError(p.k.t, p.in.Encode(c))
}

func (p *child) answer() (r answer) {
	p.k.t.Helper()
	require.NoError(p.k.t, p.answers.Decode(&r), "the child has ended")
	require.Empty(p.k.t, r.Error)
	return r
}

func (p *child) do(c command) answer {
	p.k.t.Helper()
	p.tell(c)
	return p.answer()
}

func (p *child) signal(s syscall.Signal) { require.NoError(p.k.t, p.cmd.Process.Signal(s)) }

// connected waits until a is connected to the child.
func (k *kit) connected(a *Agent, p *child) {
	for !a.IsAgentConnected(p.AgentID) {
		k.event(a, Connected)
	}
}

func TestAKilledPeer(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{})
	require.NoError(t, a.JoinNetwork(k.ctx))
	b := k.child(childConfig{Key: 1, InboxMessages: 1})
	k.connected(a, b)
	type result struct {
		r   Receipt
		err error
	}
	send := func(o SendOptions) chan result {
		c := make(chan result, 1)
		o.Timeout = 50 * time.Second
		_, err := a.SendAsync(b.AgentID, numbered(0, 100), o, func(r Receipt, err error) { c <- result{r, err} })
		require.NoError(t, err)
		return c
	}
	require.NoError(t, (<-send(SendOptions{})).err, "fills its inbox")
	patient, hasty := send(SendOptions{}), send(SendOptions{FailOnDisconnect: true})
	b.end() // SIGKILL
	require.Equal(t, b.AgentID, k.event(a, Disconnected).Agent)
	require.ErrorIs(t, (<-hasty).err, ErrDisconnected)
	select {
	case r := <-patient:
		require.Fail(t, "it waits for its session", "%v", r.err)
	default:
	}
	require.False(t, a.IsAgentConnected(b.AgentID))

	again := k.child(childConfig{Key: 1})
	require.Equal(t, b.AgentID, again.AgentID)
	require.Equal(t, b.AgentID, k.event(a, SessionReset).Agent, "a new process is a new session")
	r := <-patient
	require.ErrorIs(t, r.err, ErrDisconnected, "it may have reached the process that is gone")
	var e *Error
	require.ErrorAs(t, r.err, &e)
	require.Equal(t, DeliveredUnknown, e.Delivered)
	for i := range 50 {
		_, err := a.SendDirect(k.ctx, b.AgentID, numbered(i, 100), SendOptions{})
		require.NoError(t, err)
	}
	again.do(command{Do: "recv", Count: 50})
	again.do(command{Do: "send", To: a.AgentID(), Count: 50})
	for i := range 50 {
		m, err := a.RecvDirect(k.ctx)
		require.NoError(t, err)
		require.Equal(t, i, number(m.Payload))
	}
}
