//go:build overlay

package x0x

import (
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/saorsa-labs/x0x-go/core/internal/task"
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
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 { // as root of a user namespace one may have a network of one's own
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}

// manyAddresses gives the loopback interface the network 10.77.0.0/16.
func manyAddresses(t *testing.T) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(s)
	for _, step := range []struct {
		request uint
		set     func(*unix.Ifreq)
	}{
		{unix.SIOCSIFADDR, func(r *unix.Ifreq) { require.NoError(t, r.SetInet4Addr([]byte{10, 77, 0, 1})) }},
		{unix.SIOCSIFNETMASK, func(r *unix.Ifreq) { require.NoError(t, r.SetInet4Addr([]byte{255, 255, 0, 0})) }},
		{unix.SIOCSIFFLAGS, func(r *unix.Ifreq) { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING) }},
	} {
		r, err := unix.NewIfreq("lo")
		require.NoError(t, err)
		step.set(r)
		require.NoError(t, unix.IoctlIfreq(s, step.request, r))
	}
}

// testEclipse: an attacker with one address and many ids asks one node, the victim, again and
// again for every place. It gets its share of the active and of the passive view and no more,
// and honest nodes hear everything.
func testEclipse(t *testing.T) {
	manyAddresses(t)
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
	attack := newAttack(t, victim)
	for i := range attackerIDs {
		attackers.Go("attacker", func() { attack.run(i, stop) })
	}
	for attack.connected() < attackerIDs*9/10 {
		attack.check(t, victim)
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
		attack.check(t, victim)
	}
	for i, sub := range subs {
		seen := map[int]bool{}
		for len(seen) < messages {
			m, err := sub.Recv(k.ctx)
			require.NoError(t, err, "node %d has %d of %d", i, len(seen), messages)
			seen[number(m.Payload)] = true
			attack.check(t, victim)
		}
	}
	t.Logf("%d ids at one address: at most %d of %d active places, %d of %d passive ones; %d frames sent",
		attackerIDs, attack.mostActive, 6, attack.mostPassive, 30, attack.frames.Load())
	require.NotZero(t, attack.mostActive, "the attack reached nobody")
}
