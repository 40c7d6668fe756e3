//go:build overlay

package x0x

import (
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/saorsa-labs/x0x-go/core/internal/netns"
	"github.com/saorsa-labs/x0x-go/core/internal/task"
	"github.com/stretchr/testify/require"
)

// The tests of what one address may take run in a network namespace of their own, whose
// loopback interface has a network of addresses that are not loopback addresses, and so do not
// fall under the exemption.

const (
	namespaceEnv = "X0X_TEST_NAMESPACE"
	honestNodes  = 10
	attackerIDs  = 1000
)

var attackerAddr = netip.MustParseAddr("10.77.66.66")

func honestAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(i + 1), 1}) }

// TestEclipse runs the test below in a namespace.
func TestEclipse(t *testing.T) {
	if os.Getenv(namespaceEnv) != "" {
		testEclipse(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEclipse$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), namespaceEnv+"=1")
	attr, err := netns.Own()
	require.NoError(t, err)
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}

// testEclipse: an attacker with one address and many ids asks one node, the victim, again and
// again for every place. It gets its share of the active and of the passive view and no more,
// and honest nodes hear everything.
func testEclipse(t *testing.T) {
	require.NoError(t, netns.Loopback(netip.MustParsePrefix("10.77.0.1/16")))
	k := newKitFor(t, 3*time.Minute)
	open := func(addr netip.Addr, bootstrap ...string) *Agent {
		a := k.agent(Options{Bind: addr.String() + ":0", NoLocalDiscovery: true, Bootstrap: bootstrap})
		require.NoError(t, a.JoinNetwork(k.ctx))
		return a
	}
	honest := []*Agent{open(honestAddr(0))}
	entry := honest[0].LocalAddrs()[0].String()
	for i := 1; i < honestNodes/2; i++ {
		honest = append(honest, open(honestAddr(i), entry))
	}
	victim := honest[0]

	var attackers task.Group
	stop := make(chan struct{})
	defer attackers.Wait()
	defer close(stop)
	attack := newAttack(victim)
	for i := range attackerIDs {
		attackers.Go("attacker", func() { attack.run(i, stop) })
	}
	for attack.connected() < attackerIDs*9/10 {
		attack.check(t)
		require.NoError(t, k.ctx.Err(), "%d attackers are connected", attack.connected())
	}
	for i := honestNodes / 2; i < honestNodes; i++ { // more come, through the victim, in the attack
		honest = append(honest, open(honestAddr(i), entry))
	}
	subs := make([]*Subscription, len(honest))
	for i, a := range honest {
		var err error
		subs[i], err = a.Subscribe("t", SubscribeOptions{})
		require.NoError(t, err)
	}
	const messages = 100
	for i := range messages {
		require.NoError(t, honest[i%len(honest)].Publish(k.ctx, "t", numbered(i, 100)))
		attack.check(t)
	}
	for i, sub := range subs {
		seen := map[int]bool{}
		for len(seen) < messages {
			m, err := sub.Recv(k.ctx)
			require.NoError(t, err, "node %d has %d of %d", i, len(seen), messages)
			seen[number(m.Payload)] = true
			attack.check(t)
		}
	}
	t.Logf("%d ids at one address: at most %d of %d active places, %d of %d passive ones; %d frames sent",
		attackerIDs, attack.mostActive, 6, attack.mostPassive, 30, attack.frames.Load())
	require.NotZero(t, attack.mostActive, "the attack reached nobody")
}
