package transport

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hub is an endpoint in a process of its own.
type hub struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

func startHub(t testing.TB) *hub {
	t.Helper()
	h := &hub{cmd: exec.Command(os.Args[0], "-test.run=^TestHubProcess$")}
	h.cmd.Env = append(os.Environ(), hubVariable+"="+t.Name())
	h.cmd.Stderr = os.Stderr
	in, err := h.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := h.cmd.StdoutPipe()
	require.NoError(t, err)
	h.in, h.lines = in, bufio.NewScanner(out)
	require.NoError(t, h.cmd.Start())
	t.Cleanup(h.stop)
	return h
}

// report asks for the hub's address and resident bytes.
func (h *hub) report(t testing.TB) (netip.AddrPort, int) {
	t.Helper()
	fmt.Fprintln(h.in, "report")
	require.True(t, h.lines.Scan())
	addr, rss, _ := strings.Cut(h.lines.Text(), " ")
	at, err := netip.ParseAddrPort(addr)
	require.NoError(t, err, h.lines.Text())
	bytes, err := strconv.Atoi(rss)
	require.NoError(t, err, h.lines.Text())
	return at, bytes
}

// stop kills the hub. It may be called twice.
func (h *hub) stop() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

// A peer that is killed says nothing, and its port answers with ICMP.
func TestKilledProcess(t *testing.T) {
	h := startHub(t)
	at, _ := h.report(t)
	a := startNode(t, quick(t, 3), PeersConfig{})
	c, err := a.ConnectAddr(testContext(t), at)
	require.NoError(t, err)
	age(t, c)
	defer c.Watch()()
	h.stop()
	a.rec.wait(t, "disconnected", func(r *recorder) bool { return r.count(Disconnected) == 1 })
	require.ErrorContains(t, c.Err(), "heard nothing")
	require.Equal(t, uint64(1), a.Endpoint.Stats().GivenUp)
	require.Equal(t, uint64(1), a.Peers.Stats().RedialsFailed)
	require.Zero(t, a.Peers.Stats().Connected)
}

const hubVariable = "X0X_TRANSPORT_TEST_HUB"

// TestHubProcess is not a test: startHub runs it as a process.
func TestHubProcess(t *testing.T) {
	network := os.Getenv(hubVariable)
	if network == "" {
		return
	}
	cfg := testConfig(t, 1)
	cfg.NetworkID = network
	e := listen(t, cfg)
	// Without a table: the clients have few identities, and it would keep one
	// connection for each.
	go func() {
		for {
			c, err := e.Accept(context.Background())
			if err != nil {
				return
			}
			go c.Serve(func(StreamKind, ReceiveStream) {})
		}
	}()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		for range 3 {
			runtime.GC()
			debug.FreeOSMemory()
		}
		fmt.Println(e.Addr().String(), residentBytes(t))
	}
	os.Exit(0)
}

func residentBytes(t *testing.T) int {
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			require.NoError(t, err)
			return kib << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
