package transport

import (
	"context"
	"flag"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/transport/transporttest"
)

var chaosSeed = flag.Uint64("chaos.seed", 1, "seed of TestChaos")

// Whatever two peers do to each other and the network does to them, in any order:
// afterwards they agree on one connection that works, callbacks came in order (the
// recorder checks that), and nothing is left behind (goleak does).
func TestChaos(t *testing.T) {
	rng := rand.New(rand.NewPCG(*chaosSeed, 0))
	pc := PeersConfig{
		BackoffMin: 20 * time.Millisecond, BackoffMax: 100 * time.Millisecond,
		RedialTimeout: 200 * time.Millisecond, DrainTime: 20 * time.Millisecond,
	}
	config := func(n uint64) Config {
		cfg := testConfig(t, n)
		cfg.PeerTimeout, cfg.DialTimeout = 100*time.Millisecond, 500*time.Millisecond
		return cfg
	}
	a, b := startNode(t, config(1), pc), startNode(t, config(2), pc)
	toB, toA := transporttest.NewProxy(t, b.Addr(), 1), transporttest.NewProxy(t, a.Addr(), 2)
	a.hintTo(b, toB.Addr())
	b.hintTo(a, toA.Addr())
	nodes := [2]*node{a, b}
	other := func(i int) *node { return nodes[1-i] }

	var wg sync.WaitGroup
	defer wg.Wait()
	ctx := testContext(t)
	for range 120 {
		i := rng.IntN(2)
		n, peer := nodes[i], other(i).Endpoint.AgentID()
		switch rng.IntN(13) {
		case 0, 1, 2:
			wg.Go(func() {
				try, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
				defer cancel()
				_, _ = n.Connect(try, peer) // may fail: the network is what it is
			})
		case 3:
			n.Drop(peer, CloseGoodbye)
		case 4:
			n.Keep(peer, rng.IntN(2) == 0)
		case 5:
			toB.Blackhole(time.Duration(rng.IntN(400)) * time.Millisecond)
		case 6:
			toA.Blackhole(time.Duration(rng.IntN(400)) * time.Millisecond)
		case 7:
			require.NoError(t, toB.Rebind())
		case 8:
			loss := float64(rng.IntN(30))
			toA.SetLoss(loss)
			toB.SetLoss(loss)
		default:
			if c := n.Peers.Conn(peer); c != nil {
				release := c.Watch()
				wg.Go(func() {
					defer release()
					s, err := c.OpenBidi(ctx, KindDirect)
					if err != nil {
						return
					}
					_ = s.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
					_, _ = s.Write([]byte("x"))
					_ = s.Close()
					_, _ = s.Read(make([]byte, 1))
					s.Cancel(0)
				})
			}
		}
		// Let some of it happen: without a pause the network would change faster
		// than any packet travels.
		pause := time.NewTimer(time.Duration(rng.IntN(30)) * time.Millisecond)
		<-pause.C
	}
	wg.Wait()
	for _, p := range []*transporttest.Proxy{toA, toB} {
		p.Blackhole(0)
		p.SetLoss(0)
	}
	a.Keep(b.Endpoint.AgentID(), true)
	b.Keep(a.Endpoint.AgentID(), true)
	// A zombie is only found out by who watches.
	var releases []func()
	eventually(t, "agreement", func() bool {
		for i, n := range nodes {
			if c := n.Peers.Conn(other(i).Endpoint.AgentID()); c != nil {
				releases = append(releases, c.Watch())
			}
		}
		return agreed(a, b)
	})
	for _, release := range releases {
		release()
	}
	echo(t, a.Peers.Conn(b.Endpoint.AgentID()))
	echo(t, b.Peers.Conn(a.Endpoint.AgentID()))
	for _, n := range nodes {
		n.rec.mu.Lock()
		up, down := n.rec.count(Connected), n.rec.count(Disconnected)
		require.Equal(t, up, down+1, "every Connected but the last has its Disconnected")
		t.Logf("%d connections, %d times connected, %d given up", len(n.rec.ups), up, n.Endpoint.Stats().GivenUp)
		n.rec.mu.Unlock()
	}
}
