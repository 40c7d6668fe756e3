package netns_test

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/internal/netns"
)

const inside = "X0X_TEST_INSIDE"

// The test starts itself in a namespace, where it can bind what nobody has outside.
func TestAddressesOfOnesOwn(t *testing.T) {
	addr := "10.99.200.7:0"
	if os.Getenv(inside) != "" {
		require.NoError(t, netns.Loopback(netip.MustParsePrefix("10.99.0.1/16")))
		for _, a := range []string{addr, "127.0.0.1:0"} {
			c, err := net.ListenPacket("udp4", a)
			require.NoError(t, err)
			require.NoError(t, c.Close())
		}
		return
	}
	_, err := net.ListenPacket("udp4", addr)
	require.Error(t, err, "this machine has the address")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAddressesOfOnesOwn$")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr, err = netns.Own()
	require.NoError(t, err)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
