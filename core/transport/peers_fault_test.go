package transport

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/transport/transporttest"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// agreed reports that both tables hold the same single connection and that no
// other is open.
func agreed(a, b *node) bool {
	ab, ba := a.Peers.Conn(b.Endpoint.AgentID()), b.Peers.Conn(a.Endpoint.AgentID())
	return ab != nil && ba != nil && ab.ID() == ba.ID() && ab.Err() == nil && ba.Err() == nil &&
		a.Endpoint.Stats().Open == 1 && b.Endpoint.Stats().Open == 1
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, patience, time.Millisecond, what)
}

func TestSimultaneousOpenEndsWithOneConnection(t *testing.T) {
	a, b := startNode(t, testConfig(t, 1), PeersConfig{}), startNode(t, testConfig(t, 2), PeersConfig{})
	a.hintTo(b, b.Addr())
	b.hintTo(a, a.Addr())
	ctx := testContext(t)
	const rounds = 100
	both := 0
	for i := range rounds {
		start := make(chan struct{})
		var wg sync.WaitGroup
		outcomes := [2]Outcome{}
		for side, pairOf := range [][2]*node{{a, b}, {b, a}} {
			wg.Go(func() {
				<-start
				out, err := pairOf[0].Connect(ctx, pairOf[1].Endpoint.AgentID())
				if err != nil {
					t.Errorf("round %d: %v", i, err)
				}
				outcomes[side] = out
			})
		}
		close(start)
		wg.Wait()
		if outcomes == [2]Outcome{Direct, Direct} {
			both++
		}
		eventually(t, "one connection, the same on both sides", func() bool { return agreed(a, b) })
		echo(t, a.Peers.Conn(b.Endpoint.AgentID()))
		echo(t, b.Peers.Conn(a.Endpoint.AgentID()))

		a.Drop(b.Endpoint.AgentID(), CloseGoodbye)
		for _, n := range []*node{a, b} {
			n.rec.wait(t, "the peer is gone", func(r *recorder) bool { return r.count(Disconnected) == i+1 })
		}
	}
	t.Logf("%d of %d rounds had two dials that both came up", both, rounds)
	for _, n := range []*node{a, b} {
		n.rec.mu.Lock()
		require.Equal(t, rounds, n.rec.count(Connected), "replacements are silent")
		require.Equal(t, 1, n.rec.count(PeerJoined))
		n.rec.mu.Unlock()
	}
}

// quick is a configuration whose patience is short, so that faults show soon.
func quick(t testing.TB, n uint64) Config {
	cfg := testConfig(t, n)
	cfg.PeerTimeout = 200 * time.Millisecond
	return cfg
}

// throughProxy connects a to b by way of a proxy and waits until both are up.
func throughProxy(t testing.TB, a, b *node) *transporttest.Proxy {
	t.Helper()
	proxy := transporttest.NewProxy(t, b.Addr(), 1)
	a.hintTo(b, proxy.Addr())
	_, err := a.Connect(testContext(t), b.Endpoint.AgentID())
	require.NoError(t, err)
	b.rec.wait(t, "b up", func(r *recorder) bool { return len(r.ups) > 0 })
	return proxy
}

// age waits until the connection is old enough to be worth an immediate redial.
func age(t testing.TB, c *Conn) {
	t.Helper()
	eventually(t, "the connection ages", func() bool { return time.Since(c.Since()) > 300*time.Millisecond })
}

func TestBlackholeEndsInAReplacementThatNobodyHears(t *testing.T) {
	pc := PeersConfig{RedialTimeout: patience} // the redial outlasts the blackhole
	a, b := startNode(t, quick(t, 1), pc), startNode(t, quick(t, 2), pc)
	proxy := throughProxy(t, a, b)
	old := a.Peers.Conn(b.Endpoint.AgentID())
	age(t, old)

	// Only a watches: b still holds on to the old connection when the new hello
	// comes, and learns from gave_up that it is dead.
	release := old.Watch()
	defer release()
	proxy.Blackhole(transporttest.Forever)
	err := waitDone(t, old)
	require.Equal(t, wire.KindDisconnected, wire.KindOf(err))
	require.ErrorContains(t, err, "heard nothing")
	require.NoError(t, b.Peers.Conn(a.Endpoint.AgentID()).Err(), "b has not noticed")
	proxy.Blackhole(0)

	for _, n := range []*node{a, b} {
		n.rec.wait(t, "replaced", func(r *recorder) bool { return len(r.ups) == 2 && len(r.downs) == 1 })
	}
	eventually(t, "agreement", func() bool { return agreed(a, b) })
	require.NotEqual(t, old.ID(), a.Peers.Conn(b.Endpoint.AgentID()).ID())
	echo(t, a.Peers.Conn(b.Endpoint.AgentID()))
	for _, n := range []*node{a, b} {
		n.rec.mu.Lock()
		require.Zero(t, n.rec.count(Disconnected))
		require.Equal(t, 1, n.rec.count(Connected))
		n.rec.mu.Unlock()
	}
}

func TestBothGiveUpAndBothRedial(t *testing.T) {
	pc := PeersConfig{RedialTimeout: patience}
	a, b := startNode(t, quick(t, 1), pc), startNode(t, quick(t, 2), pc)
	proxy := throughProxy(t, a, b)
	for range 5 {
		ab, ba := a.Peers.Conn(b.Endpoint.AgentID()), b.Peers.Conn(a.Endpoint.AgentID())
		age(t, ab)
		defer ab.Watch()()
		defer ba.Watch()()
		proxy.Blackhole(transporttest.Forever)
		waitDone(t, ab)
		waitDone(t, ba)
		proxy.Blackhole(0)
		eventually(t, "agreement", func() bool { return agreed(a, b) })
	}
	require.Zero(t, a.rec.count(Disconnected))
}

func TestDeadPeerIsDisconnectedAfterOneRedial(t *testing.T) {
	a, b := startNode(t, quick(t, 1), PeersConfig{}), startNode(t, quick(t, 2), PeersConfig{})
	proxy := throughProxy(t, a, b)
	c := a.Peers.Conn(b.Endpoint.AgentID())
	age(t, c)
	defer c.Watch()()
	proxy.Blackhole(transporttest.Forever) // as a killed process
	a.rec.wait(t, "disconnected", func(r *recorder) bool { return r.count(Disconnected) == 1 })
	require.Nil(t, a.Peers.Conn(b.Endpoint.AgentID()))
	require.Zero(t, a.Connected())
	require.Equal(t, uint64(2), a.Endpoint.Stats().Dials, "one redial")
	a.rec.mu.Lock()
	defer a.rec.mu.Unlock()
	last := a.rec.events[len(a.rec.events)-1]
	require.Equal(t, Disconnected, last.Type)
	require.Equal(t, wire.KindDisconnected, wire.KindOf(last.Err))
}

func TestKeptPeerComesBack(t *testing.T) {
	pc := PeersConfig{BackoffMin: 20 * time.Millisecond}
	a, b := startNode(t, quick(t, 1), pc), startNode(t, quick(t, 2), pc)
	a.Keep(b.Endpoint.AgentID(), true)
	require.Nil(t, a.Peers.Conn(b.Endpoint.AgentID()), "nothing known yet")

	// A hint is enough, and wakes the loop at once.
	a.hintTo(b, b.Addr())
	connected := func(n int) {
		a.rec.wait(t, "connected", func(r *recorder) bool { return r.count(Connected) == n })
	}
	connected(1)
	// A goodbye, by either side, does not end interest.
	b.Drop(a.Endpoint.AgentID(), CloseGoodbye)
	connected(2)
	a.Drop(b.Endpoint.AgentID(), CloseGoodbye)
	connected(3)

	a.Keep(b.Endpoint.AgentID(), false)
	a.Drop(b.Endpoint.AgentID(), CloseGoodbye)
	a.rec.wait(t, "disconnected", func(r *recorder) bool { return r.count(Disconnected) == 3 })
	dials := a.Endpoint.Stats().Dials
	require.Never(t, func() bool { return a.Endpoint.Stats().Dials != dials }, 200*time.Millisecond, 10*time.Millisecond)
}

func TestRestartedPeerReplacesItsZombie(t *testing.T) {
	a := startNode(t, testConfig(t, 1), PeersConfig{})
	first := startNode(t, testConfig(t, 2), PeersConfig{})
	// The first process of b dialled, and its packets stop without a goodbye.
	proxy := transporttest.NewProxy(t, a.Addr(), 1)
	first.hintTo(a, proxy.Addr())
	_, err := first.Connect(testContext(t), a.Endpoint.AgentID())
	require.NoError(t, err)
	a.rec.wait(t, "a up", func(r *recorder) bool { return len(r.ups) == 1 })
	zombie := a.Peers.Conn(first.Endpoint.AgentID())
	proxy.Blackhole(transporttest.Forever)

	// The second process has the same keys and knows of nothing.
	second := startNode(t, testConfig(t, 2), PeersConfig{})
	second.hintTo(a, a.Addr())
	_, err = second.Connect(testContext(t), a.Endpoint.AgentID())
	require.NoError(t, err)
	waitDone(t, zombie)
	eventually(t, "agreement", func() bool {
		c := a.Peers.Conn(second.Endpoint.AgentID())
		return c != nil && c.ID() == second.Peers.Conn(a.Endpoint.AgentID()).ID()
	})
	// Dialled by the other side, too: the zombie must not win the tie.
	third := startNode(t, testConfig(t, 2), PeersConfig{})
	a.hintTo(third, third.Addr())
	c, err := a.ConnectAddr(testContext(t), third.Addr())
	require.NoError(t, err)
	require.Equal(t, third.Peers.Conn(a.Endpoint.AgentID()).ID(), c.ID())
}

func TestConcurrentConnectsShareOneDial(t *testing.T) {
	a, b := startNode(t, testConfig(t, 1), PeersConfig{}), startNode(t, testConfig(t, 2), PeersConfig{})
	proxy := transporttest.NewProxy(t, b.Addr(), 1)
	proxy.SetDelay(20 * time.Millisecond)
	a.hintTo(b, proxy.Addr())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := a.Connect(testContext(t), b.Endpoint.AgentID()); err != nil {
				t.Error(err)
			}
		})
	}
	// One caller that leaves early takes nothing from the others.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := a.Connect(ctx, b.Endpoint.AgentID())
	require.Equal(t, wire.KindCancelled, wire.KindOf(err))
	wg.Wait()
	require.Equal(t, uint64(1), a.Endpoint.Stats().Dials)
}

func TestSecondAddressIsTriedWhileTheFirstIsSilent(t *testing.T) {
	a, b := startNode(t, testConfig(t, 1), PeersConfig{Stagger: 10 * time.Millisecond}), startNode(t, testConfig(t, 2), PeersConfig{})
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer silent.Close()
	agent, machine := b.ids()
	a.AddHint(Hint{Machine: machine, Agent: agent, Addrs: []netip.AddrPort{
		silent.LocalAddr().(*net.UDPAddr).AddrPort(), b.Addr(),
	}})
	out, err := a.Connect(testContext(t), agent)
	require.NoError(t, err)
	require.Equal(t, Direct, out)
	// What worked comes first from now on.
	require.Equal(t, b.Addr(), a.book.addrs(machine)[0])
}

func TestUnreachablePeer(t *testing.T) {
	cfg := testConfig(t, 1)
	cfg.DialTimeout = 50 * time.Millisecond
	a, b := startNode(t, cfg, PeersConfig{}), startNode(t, testConfig(t, 2), PeersConfig{})
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer silent.Close()
	a.hintTo(b, silent.LocalAddr().(*net.UDPAddr).AddrPort())
	out, err := a.Connect(testContext(t), b.Endpoint.AgentID())
	require.Equal(t, Unreachable, out)
	require.Equal(t, wire.KindUnreachable, wire.KindOf(err))
}

func TestTooManyPeers(t *testing.T) {
	hub := startNode(t, testConfig(t, 1), PeersConfig{MaxPeers: 2})
	ctx := testContext(t)
	for i := range uint64(3) {
		n := startNode(t, testConfig(t, 2+i), PeersConfig{})
		n.hintTo(hub, hub.Addr())
		out, err := n.Connect(ctx, hub.Endpoint.AgentID())
		if i < 2 {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, Unreachable, out)
		require.Equal(t, wire.KindLimit, wire.KindOf(err))
		require.ErrorContains(t, err, "too many peers")
		// Room again: the same dial succeeds.
		hub.Drop(hub.List()[0].Agent, CloseGoodbye)
		hub.rec.wait(t, "room", func(r *recorder) bool { return r.count(Disconnected) == 1 })
		_, err = n.Connect(ctx, hub.Endpoint.AgentID())
		require.NoError(t, err)
	}
}
