//go:build overlay

// The proof of the promise of topics, run by `make test` as a part of its own (build tag
// overlay): twenty processes on UDP, more than an agent has neighbours, so that messages are
// relayed.

package x0x

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// swarm is n child processes that subscribe to topic "t" and have found neighbours.
func (k *kit) swarm(n int) []*child {
	k.t.Helper()
	children := make([]*child, n)
	for i := range children {
		children[i] = k.child(childConfig{Key: byte(2 * i), Queue: 100_000})
	}
	k.all(children, command{Do: "subscribe", Topic: "t"})
	for _, p := range children {
		for {
			now := p.do(command{Do: "stats"}).Stats["gossip.peers_now"]
			if now >= uint64(min(n-1, 4)) {
				break
			}
			require.NoError(k.t, k.ctx.Err(), "%d neighbours", now)
			time.Sleep(20 * time.Millisecond) // the other process has no event to wait for
		}
	}
	return children
}

// all has every child do the same at the same time.
func (k *kit) all(children []*child, c command) (answers []answer) {
	k.t.Helper()
	for _, p := range children {
		p.tell(c)
	}
	for _, p := range children {
		answers = append(answers, p.answer())
	}
	return answers
}

// complete has every child gather n messages, and looks at what it took.
func (k *kit) complete(children []*child, n int) {
	k.t.Helper()
	for _, p := range children {
		p.tell(command{Do: "gather", Count: n})
	}
	failed := false
	for i, p := range children {
		var r answer
		require.NoError(k.t, p.answers.Decode(&r))
		if r.Error != "" || r.Got != uint64(n) || r.Lagged != 0 {
			failed = true
			k.t.Logf("process %d (%s): %d of %d, %s", i, p.AgentID.Short(), r.Got, n, r.Error)
		}
	}
	if failed {
		for i, r := range k.all(children, command{Do: "stats"}) {
			var to []string
			for _, id := range r.Active {
				to = append(to, id.Short())
			}
			k.t.Logf("process %d (%s): neighbours %v", i, children[i].AgentID.Short(), to)
			for name, v := range r.Stats {
				if v > 0 && (strings.HasPrefix(name, "gossip.") || strings.HasPrefix(name, "overlay.")) {
					to = append(to, fmt.Sprintf("%s=%d", name, v))
				}
			}
			slices.Sort(to)
			k.t.Log(to)
		}
		k.t.FailNow()
	}
}

// copies returns how many envelopes came for each message: they are published one at a time.
func (k *kit) copies(children []*child) float64 {
	var fresh, duplicates uint64
	for _, r := range k.all(children, command{Do: "stats"}) {
		fresh += r.Stats["gossip.received"]
		duplicates += r.Stats["gossip.duplicates"]
	}
	return 1 + float64(duplicates)/float64(max(fresh, 1))
}

const swarmSize = 20

func TestOverlayAtFullSpeed(t *testing.T) {
	k := newKitFor(t, 3*time.Minute)
	children := k.swarm(swarmSize)
	start := time.Now()
	children[0].tell(command{Do: "publish", Topic: "t", Count: 1000, Size: 100})
	children[0].answer()
	k.complete(children, 1000)
	t.Logf("1,000 messages reached %d processes in %v, %.2f copies per delivery", len(children), time.Since(start), k.copies(children))

	start = time.Now()
	for _, p := range children[1:4] {
		p.tell(command{Do: "publish", Topic: "t", Count: 200, Size: 100})
	}
	for _, p := range children[1:4] {
		p.answer()
	}
	k.complete(children, 1600)
	t.Logf("a burst of 200 from each of 3 took %v, %.2f copies per delivery", time.Since(start), k.copies(children))
}

func TestOverlayWhileNodesDie(t *testing.T) {
	k := newKitFor(t, 3*time.Minute)
	children := k.swarm(swarmSize)
	k.complete(children, 0)
	publisher := children[0]
	total := 0
	publish := func(n int) {
		publisher.do(command{Do: "publish", Topic: "t", Count: n, Size: 200})
		total += n
	}
	publish(50)
	rng := rand.New(rand.NewPCG(1, 2))
	living := func() (l []*child) {
		for _, p := range children {
			if p != nil {
				l = append(l, p)
			}
		}
		return l
	}
	for range 3 {
		victims := []int{1 + rng.IntN(swarmSize-1), 1 + rng.IntN(swarmSize-1)}
		publisher.tell(command{Do: "publish", Topic: "t", Count: 100, Size: 200})
		total += 100
		for _, v := range victims {
			if children[v] != nil {
				children[v].end() // SIGKILL, in traffic
				children[v] = nil
			}
		}
		publisher.answer()
		publish(50)
		for _, v := range victims {
			if children[v] == nil {
				children[v] = k.child(childConfig{Key: byte(2 * v), Queue: 100_000})
				children[v].do(command{Do: "subscribe", Topic: "t"})
			}
		}
	}
	publish(50)
	k.complete(living(), total) // the restarted have caught up
	t.Logf("%d messages, %.2f copies per delivery", total, k.copies(living()))
}
