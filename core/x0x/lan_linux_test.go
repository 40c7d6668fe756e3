package x0x

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/internal/netns"
)

// lanEnv says in which namespace this copy of the program is: "near" or "far".
const lanEnv = "X0X_TEST_LAN"

// Two agents that share nothing but an Ethernet cable meet and talk: each is a process in a
// network namespace of its own, with a registry of its own.
func TestAgentsMeetOnTheLAN(t *testing.T) {
	again := func(ctx context.Context, where string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestAgentsMeetOnTheLAN$", "-test.v", "-test.timeout=2m")
		cmd.Env = append(os.Environ(), lanEnv+"="+where)
		return cmd
	}
	switch os.Getenv(lanEnv) {
	case "":
		var err error
		cmd := again(t.Context(), "near")
		cmd.SysProcAttr, err = netns.Own()
		require.NoError(t, err)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: TestAgentsMeetOnTheLAN")
		t.Logf("%s", out)
	case "far":
		a := lanAgent(t)
		sub, err := a.Subscribe("hello", SubscribeOptions{})
		require.NoError(t, err)
		_, err = sub.Recv(newKit(t).ctx)
		require.NoError(t, err)
		require.NoError(t, a.Publish(t.Context(), "answer", []byte("hello too")))
		require.Eventually(t, func() bool { return !a.IsConnected() }, 30*time.Second, 5*time.Millisecond)
	case "near":
		var cmd *exec.Cmd
		require.NoError(t, netns.Inside(func(fd int) error {
			near := make(chan error)
			go func() { near <- netns.Cable("near", "far", fd) }()
			if err := <-near; err != nil {
				return err
			}
			if err := netns.Up("far", netip.MustParsePrefix("10.78.0.2/24")); err != nil {
				return err
			}
			cmd = again(t.Context(), "far") // started from this thread, and so in its namespace
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
			return cmd.Start()
		}))
		require.NoError(t, netns.Up("near", netip.MustParsePrefix("10.78.0.1/24")))
		a := lanAgent(t)
		sub, err := a.Subscribe("answer", SubscribeOptions{})
		require.NoError(t, err)
		require.NoError(t, a.Publish(t.Context(), "hello", []byte("hello")))
		m, err := sub.Recv(newKit(t).ctx)
		require.NoError(t, err)
		require.Equal(t, "hello too", string(m.Payload))
		require.NotZero(t, a.Stats()["lan.found"])
		require.NoError(t, a.Close(t.Context()))
		require.NoError(t, cmd.Wait())
	}
}

func lanAgent(t *testing.T) *Agent {
	a := newKit(t).agent(Options{LAN: true, NetworkID: "lan test"})
	start := time.Now()
	require.NoError(t, a.JoinNetwork(t.Context()))
	joined := time.Since(start)
	require.Eventually(t, a.IsConnected, 30*time.Second, 5*time.Millisecond)
	t.Logf("joined in %v, connected after %v", joined, time.Since(start))
	return a
}

func TestLANIsOnlyForWhoWantsIt(t *testing.T) {
	k := newKit(t)
	for name, o := range map[string]Options{
		"not asked for":      {Bind: "0.0.0.0:0"},
		"no local discovery": {LAN: true, NoLocalDiscovery: true},
		"bound to loopback":  {LAN: true, Bind: "127.0.0.1:0"},
		"bound to ::1":       {LAN: true, Bind: "[::1]:0"},
	} {
		o.NetworkID = name // they are not to look for each other
		a := k.agent(o)
		require.NoError(t, a.JoinNetwork(k.ctx), name)
		require.False(t, a.net.Load().wantsLAN(), name)
	}
}
