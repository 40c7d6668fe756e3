package x0x

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/transport"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// works shows that two agents still do everything for each other.
func (k *kit) works(a, b *Agent) {
	k.t.Helper()
	_, err := a.SendDirect(k.ctx, b.AgentID(), []byte("direct"), SendOptions{})
	require.NoError(k.t, err)
	m, err := b.RecvDirect(k.ctx)
	require.NoError(k.t, err)
	require.Equal(k.t, "direct", string(m.Payload))
	sub, err := b.Subscribe("works", SubscribeOptions{NoReplay: true})
	require.NoError(k.t, err)
	defer sub.Close()
	require.NoError(k.t, a.Publish(k.ctx, "works", []byte("topic")))
	got, err := sub.Recv(k.ctx)
	require.NoError(k.t, err)
	require.Equal(k.t, "topic", string(got.Payload))
	require.NoError(k.t, a.Poisoned())
	require.NoError(k.t, b.Poisoned())
}

func TestNoiseOnTheSocket(t *testing.T) {
	k := newKit(t)
	pair := k.joined(2)
	target := pair[0].LocalAddrs()[0]
	c, err := net.Dial("udp", target.String())
	require.NoError(t, err)
	defer c.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		b := make([]byte, rng.IntN(1400))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		if len(b) > 5 && rng.IntN(2) == 0 { // as a QUIC version 1 Initial begins
			copy(b, []byte{0xc3, 0, 0, 0, 1})
		}
		c.Write(b) // what the kernel refuses is as good as lost
	}
	k.works(pair[0], pair[1])
	k.works(pair[1], pair[0])
}

// A client that has an identity of its own and speaks transport correctly says nonsense on
// every kind of stream.
func TestNonsenseOnEveryStream(t *testing.T) {
	k := newKit(t)
	pair := k.joined(2)
	rng := rand.New(rand.NewPCG(3, 4))
	agent, err := identity.GenerateKey()
	require.NoError(t, err)
	machine, err := identity.GenerateKey()
	require.NoError(t, err)
	e, err := transport.Listen(transport.Config{Machine: machine, Agent: agent, NetworkID: t.Name(), Bind: "127.0.0.1:0"})
	require.NoError(t, err)
	defer e.Close(k.ctx)
	target := pair[0].LocalAddrs()[0]
	dial := func() *transport.Conn {
		for { // the target dials as well when it loses us, and one of the two stays
			c, err := e.Dial(k.ctx, target, pair[0].MachineID())
			if wire.KindOf(err) == wire.KindBusy {
				c, err = e.Accept(k.ctx)
			}
			if wire.KindOf(err) != wire.KindDisconnected {
				require.NoError(t, err)
				return c
			}
		}
	}
	c := dial()
	for i := range 300 {
		if c.Err() != nil {
			c = dial()
		}
		b := make([]byte, rng.IntN(3000))
		for j := range b {
			b[j] = byte(rng.Uint32())
		}
		if i%3 == 0 && len(b) > 6 { // a frame whose length is plausible, with nonsense in it
			copy(b, []byte{0, 0, byte(len(b) >> 8), byte(len(b)), byte(rng.IntN(48))})
		}
		kind := []transport.StreamKind{transport.KindDirect, transport.KindDirectBody, transport.KindGossip, transport.KindGossipControl, transport.KindControl, 0x77}[i%6]
		s, err := c.OpenUni(k.ctx, kind)
		if err != nil {
			continue // it was closed for the last one
		}
		s.SetWriteDeadline(time.Now().Add(time.Second))
		s.Write(b)
		if i%2 == 0 {
			s.Close()
		} else {
			s.Cancel(1)
		}
	}
	k.works(pair[1], pair[0])
	require.Zero(t, pair[0].Stats()["inbox.messages_now"])
}

func TestAnotherNetworkInTheSameFolder(t *testing.T) {
	k := newKit(t)
	pair := k.joined(2)
	other := k.agent(Options{NetworkID: "another"})
	require.NoError(t, other.JoinNetwork(k.ctx))
	r, err := other.ConnectToMachine(k.ctx, pair[0].MachineID())
	require.NoError(t, err)
	require.Equal(t, NotFound, r.Outcome, "entries of another network are not looked at")
	require.NoError(t, other.AddPeer(pair[0].MachineID(), pair[0].AgentID(), pair[0].LocalAddrs()))
	_, err = other.ConnectToAgent(k.ctx, pair[0].AgentID())
	require.ErrorIs(t, err, ErrNetworkMismatch)
	_, err = other.SendDirect(k.ctx, pair[0].AgentID(), nil, SendOptions{})
	require.Error(t, err)
	k.works(pair[0], pair[1])
}

func TestLargeBodiesAmongThree(t *testing.T) {
	k := newKit(t)
	agents := k.joined(3)
	var work sync.WaitGroup
	problems := make(chan error, 100)
	for i, a := range agents {
		for j, b := range agents {
			if i != j {
				work.Go(func() {
					body := bytes.Repeat([]byte{byte(10*i + j)}, MaxDirectPayload)
					if _, err := a.SendDirect(k.ctx, b.AgentID(), body, SendOptions{Timeout: 50 * time.Second}); err != nil {
						problems <- fmt.Errorf("%d to %d: %w", i, j, err)
					}
				})
			}
		}
		work.Go(func() {
			for range 2 {
				m, err := a.RecvDirect(k.ctx)
				if err != nil {
					problems <- err
					return
				}
				from := 0
				for agents[from].AgentID() != m.Sender {
					from++
				}
				if len(m.Payload) != MaxDirectPayload || len(bytes.Trim(m.Payload, string(rune(10*from+i)))) != 0 {
					problems <- fmt.Errorf("the body from %d to %d is damaged", from, i)
				}
			}
		})
	}
	work.Wait()
	close(problems)
	for err := range problems {
		t.Error(err)
	}
	for _, a := range agents {
		require.Zero(t, a.Stats()["direct.room_bodies_now"], "room is given back")
	}
}

func TestManyAgentsJoinAtOnce(t *testing.T) {
	k := newKit(t)
	const n = 16
	agents := make([]*Agent, n)
	var joining sync.WaitGroup
	for i := range agents {
		agents[i] = k.agent(Options{})
		joining.Go(func() {
			if err := agents[i].JoinNetwork(k.ctx); err != nil {
				t.Error(err)
			}
		})
	}
	joining.Wait()
	// Connections to all take longer, most of all under the race detector; to be one network
	// does not.
	require.NoError(t, agents[0].Publish(k.ctx, "t", []byte("to all")))
	for i, a := range agents {
		sub, err := a.Subscribe("t", SubscribeOptions{})
		require.NoError(t, err)
		_, err = sub.Recv(k.ctx)
		require.NoError(t, err, "agent %d", i)
		require.True(t, a.IsConnected())
	}
	var closing sync.WaitGroup
	for _, a := range agents {
		closing.Go(func() {
			if err := a.Close(k.ctx); err != nil {
				t.Error(err)
			}
		})
	}
	closing.Wait()
}

func TestABlockedAgentSeesOnlySilence(t *testing.T) {
	k := newKit(t)
	pair := k.joined(2)
	a, b := pair[0], pair[1]
	results := make(chan error, 1000)
	sent := 0
	send := func(n int) {
		for range n {
			_, err := b.SendAsync(a.AgentID(), numbered(sent, 100), SendOptions{Timeout: time.Minute}, func(_ Receipt, err error) { results <- err })
			require.NoError(t, err)
			sent++
		}
	}
	got := 0
	recv := func(n int) {
		for range n {
			m, err := a.RecvDirect(k.ctx)
			require.NoError(t, err)
			require.Equal(t, got, number(m.Payload))
			got++
		}
	}
	send(100)
	recv(100)
	for range 100 {
		require.NoError(t, <-results)
	}
	require.NoError(t, a.Block(b.AgentID()))
	send(200)
	_, err := b.SendDirect(k.ctx, a.AgentID(), numbered(0, 8), SendOptions{Timeout: 1500 * time.Millisecond, Unordered: true})
	require.ErrorIs(t, err, ErrTimeout, "silence, for longer than the peer timeout")
	require.Empty(t, results)
	require.True(t, b.IsAgentConnected(a.AgentID()), "the connection stays")
	require.Zero(t, a.Inbox().Len())
	require.NotZero(t, a.Stats()["direct.dropped"])
	require.NoError(t, a.SetTrust(b.AgentID(), TrustKnown))
	recv(200)
	for range 200 {
		require.NoError(t, <-results)
	}
	for {
		batch := b.Events().TryRecv(10, nil)
		if len(batch) == 0 {
			break
		}
		for _, e := range batch {
			require.NotEqual(t, Disconnected, e.Item.Type)
		}
	}
}

func TestRestartStorm(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{})
	require.NoError(t, a.JoinNetwork(k.ctx))
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			for round := range 5 {
				b, err := New(Options{NetworkID: t.Name(), RuntimeDir: k.dir, AgentKey: keyOf(byte(20 + i)), MachineKey: keyOf(byte(30 + i)), CloseGrace: 100 * time.Millisecond})
				if err != nil {
					t.Error(err)
					return
				}
				err = b.JoinNetwork(k.ctx)
				if err == nil {
					_, err = b.SendDirect(k.ctx, a.AgentID(), []byte("here again"), SendOptions{})
				}
				if err == nil {
					_, err = a.SendDirect(k.ctx, b.AgentID(), []byte("welcome"), SendOptions{})
				}
				if err != nil {
					t.Errorf("agent %d, round %d: %v", i, round, err)
				}
				b.Close(k.ctx)
			}
		})
	}
	work.Wait()
	for range 4 * 5 {
		_, err := a.RecvDirect(k.ctx)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return len(a.Peers()) == 0 }, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, a.Poisoned())
}
