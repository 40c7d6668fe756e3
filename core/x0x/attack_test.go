//go:build overlay

package x0x

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/transport"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// attack is one attacker with many ids at one address.
type attack struct {
	network string
	target  MachineID
	victim  *Agent
	slots   chan struct{} // handshakes at a time
	frames  atomic.Uint64
	up      atomic.Int64

	mu  sync.Mutex
	ids map[AgentID]bool

	mostActive, mostPassive int
}

func newAttack(victim *Agent) *attack {
	return &attack{network: victim.opts.NetworkID, target: victim.MachineID(), victim: victim, slots: make(chan struct{}, 4), ids: map[AgentID]bool{}}
}

func (k *attack) connected() int { return int(k.up.Load()) }

// run is one id: it asks for a place, again and again, takes every one that it is given, and
// says nothing else.
func (k *attack) run(i int, stop <-chan struct{}) {
	machine, err := identity.GenerateKey()
	if err != nil {
		panic(err)
	}
	agent, err := identity.GenerateKey()
	if err != nil {
		panic(err)
	}
	k.mu.Lock()
	k.ids[agent.Public().AgentID()] = true
	k.mu.Unlock()
	e, err := transport.Listen(transport.Config{Machine: machine, Agent: agent, NetworkID: k.network, Bind: attackerAddr.String() + ":0"})
	if err != nil {
		panic(err)
	}
	defer e.Close(context.Background())
	for {
		k.slots <- struct{}{}
		c, err := e.Dial(context.Background(), k.victim.LocalAddrs()[0], k.target)
		<-k.slots
		if err == nil {
			k.up.Add(1)
			k.ask(c, i, stop)
			k.up.Add(-1)
		}
		select {
		case <-stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// ask sends JOIN, NEIGHBOR with high priority, an acceptance that nobody asked for, and an
// answer to probes that may not have come.
func (k *attack) ask(c *transport.Conn, i int, stop <-chan struct{}) {
	defer c.Close(transport.CloseGoodbye, "")
	s, err := c.OpenUni(context.Background(), transport.KindGossipControl)
	if err != nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	frames := [][]byte{{0x20}, {0x22, 1}, {0x23, 1}}
	for n := i; ; n++ {
		f := frames[n%len(frames)]
		s.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := s.Write(wire.AppendFrame(nil, f[0], f[1:])); err != nil {
			return
		}
		k.frames.Add(1)
		select {
		case <-tick.C:
		case <-c.Done():
			return
		case <-stop:
			return
		}
	}
}

// check looks at the views of the victim.
func (k *attack) check(t *testing.T) {
	t.Helper()
	active, passive := 0, 0
	k.mu.Lock()
	for _, id := range k.victim.Neighbors() {
		if k.ids[id] {
			active++
		}
	}
	k.mu.Unlock()
	for _, p := range k.victim.KnownPeers() {
		if len(p.Addrs) > 0 && p.Addrs[0].Addr() == attackerAddr {
			passive++
		}
	}
	require.LessOrEqual(t, active, 3, "of the active places")
	require.LessOrEqual(t, passive, 3, "of the passive ones")
	k.mostActive, k.mostPassive = max(k.mostActive, active), max(k.mostPassive, passive)
}
