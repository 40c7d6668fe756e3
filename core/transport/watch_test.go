package transport

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/transport/transporttest"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// looks waits until the watcher has looked at its list for about n PeerTimeouts:
// another connection of the endpoint, watched and in a blackhole, tells the time.
func (e *Endpoint) peerTimeoutPasses(t *testing.T, b *Endpoint) {
	t.Helper()
	proxy := transporttest.NewProxy(t, b.Addr(), 1)
	c, err := e.Dial(testContext(t), proxy.Addr(), b.MachineID())
	require.NoError(t, err)
	_, err = b.Accept(testContext(t))
	require.NoError(t, err)
	defer c.Watch()()
	proxy.Blackhole(transporttest.Forever)
	waitDone(t, c)
}

func TestWatchNoticesSilenceAndNothingElse(t *testing.T) {
	a, b := listen(t, quick(t, 1)), listen(t, quick(t, 2))

	proxy := transporttest.NewProxy(t, b.Addr(), 1)
	silent, err := a.Dial(testContext(t), proxy.Addr(), b.MachineID())
	require.NoError(t, err)
	_, err = b.Accept(testContext(t))
	require.NoError(t, err)
	silent.Watch()() // held no longer
	idle, _ := pair(t, a, b, b.Addr())
	release := idle.Watch()
	proxy.Blackhole(transporttest.Forever)
	a.peerTimeoutPasses(t, b)
	a.peerTimeoutPasses(t, b)
	require.NoError(t, silent.Err(), "nobody watches")
	require.NoError(t, idle.Err(), "an idle peer answers probes")

	defer silent.Watch()()
	err = waitDone(t, silent)
	require.Equal(t, wire.KindDisconnected, wire.KindOf(err))
	require.Equal(t, uint64(3), a.Stats().GivenUp)
	release()
}

// A peer whose application does not read is not silent, although it takes no more
// bytes, on this stream or any other.
func TestClosedWindowIsNotSilence(t *testing.T) {
	cfg := quick(t, 2)
	cfg.MaxReceiveWindow = initialConnWindow
	a, b := listen(t, quick(t, 1)), listen(t, cfg)
	ab, ba := pair(t, a, b, b.Addr())
	hold := make(chan struct{})
	served := make(chan error, 1)
	go func() {
		served <- ba.Serve(func(_ StreamKind, s ReceiveStream) {
			<-hold
			_, _ = io.Copy(io.Discard, s)
		})
	}()
	s, err := ab.OpenUni(testContext(t), KindDirect)
	require.NoError(t, err)
	release := ab.Watch()
	const size = 4 * initialConnWindow
	written := make(chan error, 1)
	go func() {
		_, err := s.Write(make([]byte, size))
		if err == nil {
			err = s.Close()
		}
		written <- err
	}()
	for range 3 {
		a.peerTimeoutPasses(t, b)
	}
	require.NoError(t, ab.Err())
	select {
	case err := <-written:
		t.Fatal("the window was open:", err)
	default:
	}
	close(hold)
	require.NoError(t, <-written)
	release()
	ab.Close(CloseGoodbye, "")
	<-served
}

func TestWatchIsReleasedOnce(t *testing.T) {
	a, b := listen(t, quick(t, 1)), listen(t, quick(t, 2))
	ab, _ := pair(t, a, b, b.Addr())
	release, second := ab.Watch(), ab.Watch()
	release()
	second()
	require.Panics(t, release)
	ab.watch.holders.Store(0)
}

// Two messages of every round trip watch and release.
func TestWatchIsCheap(t *testing.T) {
	a, b := listen(t, testConfig(t, 1)), listen(t, testConfig(t, 2))
	ab, _ := pair(t, a, b, b.Addr())
	ab.Watch()()
	require.Zero(t, testing.AllocsPerRun(1000, func() { ab.Watch()() }))
}

func BenchmarkWatch(b *testing.B) {
	x, y := listen(b, testConfig(b, 1)), listen(b, testConfig(b, 2))
	xy, _ := pair(b, x, y, y.Addr())
	for b.Loop() {
		xy.Watch()()
	}
}

// A change of the peer's address, as behind a NAT that forgot it, keeps the
// connection.
func TestConnectionSurvivesANewSourcePort(t *testing.T) {
	a, b := startNode(t, quick(t, 1), PeersConfig{}), startNode(t, quick(t, 2), PeersConfig{})
	proxy := throughProxy(t, a, b)
	c := a.Peers.Conn(b.Endpoint.AgentID())
	echo(t, c)
	before := b.Peers.Conn(a.Endpoint.AgentID()).RemoteAddr()
	defer c.Watch()()
	require.NoError(t, proxy.Rebind())
	for range 10 {
		echo(t, c)
	}
	require.NoError(t, c.Err())
	eventually(t, "b sees the new address", func() bool {
		return b.Peers.Conn(a.Endpoint.AgentID()).RemoteAddr() != before
	})
	require.Equal(t, uint64(1), a.Endpoint.Stats().Dials)
}

// Lost and reordered packets change nothing but the time it takes.
func TestLossyPath(t *testing.T) {
	a, b := startNode(t, testConfig(t, 1), PeersConfig{}), startNode(t, testConfig(t, 2), PeersConfig{})
	proxy := transporttest.NewProxy(t, b.Addr(), 7)
	proxy.SetLoss(10)
	proxy.SetReorder(10, 3*time.Millisecond)
	a.hintTo(b, proxy.Addr())
	_, err := a.Connect(testContext(t), b.Endpoint.AgentID())
	require.NoError(t, err)
	for range 20 {
		echo(t, a.Peers.Conn(b.Endpoint.AgentID()))
	}
	require.Positive(t, proxy.Stats().ToTarget.Lost)
}
