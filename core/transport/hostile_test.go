package transport

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/transport/transporttest"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// friend is a stranger whose hello was accepted.
func newFriend(t testing.TB, b *Endpoint) *stranger {
	t.Helper()
	s := newStranger(t, b, testKey(t, 2))
	typ, _, err := s.sayHello(t, s.hello(t, b, testKey(t, 3)))
	require.NoError(t, err)
	require.Equal(t, byte(frameWelcome), typ)
	return s
}

func TestUnknownStreamKindsAreCancelledAndCounted(t *testing.T) {
	b := startNode(t, testConfig(t, 2), PeersConfig{})
	s := newFriend(t, b.Endpoint)
	ctx := testContext(t)
	n := uint64(0)
	for _, kind := range []byte{0x00, 0x02, 0x12, 0xff, byte(KindControl)} {
		n++
		st, err := s.OpenStreamSync(ctx)
		require.NoError(t, err)
		_, err = st.Write([]byte{kind, 1, 2, 3})
		require.NoError(t, err)
		_, err = st.Read(make([]byte, 1))
		var reset *quic.StreamError
		require.ErrorAs(t, err, &reset)
		require.Equal(t, streamUnknownKind, reset.ErrorCode)
		require.Equal(t, n, b.Endpoint.Stats().UnknownKinds)

		u, err := s.OpenUniStreamSync(ctx)
		require.NoError(t, err)
		_, err = u.Write([]byte{kind, 1, 2, 3})
		require.NoError(t, err)
		n++
		<-u.Context().Done() // told to stop sending
		require.Equal(t, n, b.Endpoint.Stats().UnknownKinds)
	}
	// The connection is none the worse.
	st, err := s.OpenStreamSync(ctx)
	require.NoError(t, err)
	_, err = st.Write([]byte{byte(KindGossip), 'h', 'i'})
	require.NoError(t, err)
	require.NoError(t, st.Close())
	got, err := io.ReadAll(st)
	require.NoError(t, err)
	require.Equal(t, "hi", string(got))
}

// Everything a peer can do to a stream: noise, cuts, resets, nothing at all.
func TestStreamsSurviveNoiseCutsAndResets(t *testing.T) {
	b := startNode(t, testConfig(t, 2), PeersConfig{})
	s := newFriend(t, b.Endpoint)
	ctx := testContext(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		st, err := s.OpenUniStreamSync(ctx)
		require.NoError(t, err)
		_, err = st.Write(noise(rng.IntN(3000)))
		var reset *quic.StreamError
		if err != nil {
			require.ErrorAs(t, err, &reset, "only streams end, not the connection")
			continue
		}
		if i%3 == 0 {
			st.CancelWrite(quic.StreamErrorCode(rng.Uint64N(1 << 20)))
		} else {
			_ = st.Close() // fails if the kind was already refused
		}
	}
	require.NoError(t, context.Cause(s.Context()))
	st, err := s.OpenStreamSync(ctx)
	require.NoError(t, err)
	_, err = st.Write([]byte{byte(KindGossip)})
	require.NoError(t, err)
	require.NoError(t, st.Close())
	_, err = io.ReadAll(st)
	require.NoError(t, err)
}

// A stream that never says its kind does not hold a goroutine for ever, and a
// peer cannot hold more of them than its limit.
func TestStreamsWithoutAKind(t *testing.T) {
	cfg := testConfig(t, 2)
	cfg.HelloTimeout, cfg.MaxStreams = 200*time.Millisecond, 4
	b := startNode(t, cfg, PeersConfig{})
	s := newFriend(t, b.Endpoint)
	var streams []*quic.SendStream
	for range 4 {
		st, err := s.OpenUniStream()
		require.NoError(t, err)
		streams = append(streams, st)
	}
	_, err := s.OpenUniStream()
	require.ErrorIs(t, err, &quic.StreamLimitReachedError{})
	// The last one opens those below it (RFC 9000, section 3.2), which say nothing.
	_, err = streams[3].Write([]byte{byte(KindGossip)})
	require.NoError(t, err)
	for _, st := range streams[:3] {
		<-st.Context().Done()
		var stop *quic.StreamError
		require.ErrorAs(t, context.Cause(st.Context()), &stop)
		require.Equal(t, streamNoKind, stop.ErrorCode)
	}
	require.NoError(t, context.Cause(s.Context()))
}

func TestSilentStrangersAreThrownOut(t *testing.T) {
	cfg := testConfig(t, 2)
	cfg.HelloTimeout = 100 * time.Millisecond
	b := listen(t, cfg)
	s := newStranger(t, b, testKey(t, 2))
	<-s.Context().Done()
	var app *quic.ApplicationError
	require.ErrorAs(t, context.Cause(s.Context()), &app)
	require.Equal(t, quic.ApplicationErrorCode(CloseProtocol), app.ErrorCode)
	require.Equal(t, uint64(1), b.Stats().BadHellos)
	eventually(t, "the place is free", func() bool { return b.Stats().HalfOpen == 0 })
}

func TestHalfOpenConnectionsAreBounded(t *testing.T) {
	cfg := testConfig(t, 2)
	cfg.MaxHalfOpen = 4
	cfg.HelloTimeout = patience
	a, b := listen(t, testConfig(t, 1)), listen(t, cfg)
	var strangers []*stranger
	for range 4 {
		strangers = append(strangers, newStranger(t, b, testKey(t, 2)))
	}
	require.Equal(t, 4, b.Stats().HalfOpen)
	_, err := a.Dial(testContext(t), b.Addr(), b.MachineID())
	require.Equal(t, wire.KindLimit, wire.KindOf(err))
	require.Positive(t, b.Stats().Turned)

	strangers[0].CloseWithError(0, "")
	eventually(t, "a place is free", func() bool { return b.Stats().HalfOpen < 4 })
	pair(t, a, b, b.Addr())
	require.Equal(t, 3, b.Stats().HalfOpen, "who said hello takes no place")
}

// Initial packets from addresses that never answer (as forged ones do not) take at
// most half of the room; then newcomers must prove their address, and real ones
// can.
func TestForgedInitialsLeaveRoom(t *testing.T) {
	cfg := testConfig(t, 2)
	cfg.MaxHalfOpen = 8
	b := listen(t, cfg)
	flood := testConfig(t, 3)
	flood.DialTimeout = 500 * time.Millisecond
	forger := listen(t, flood)
	proxy := transporttest.NewProxy(t, b.Addr(), 1)
	proxy.BlackholeOne(transporttest.ToClient, transporttest.Forever)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() { _, _ = forger.Dial(context.Background(), proxy.Addr(), b.MachineID()) })
	}
	eventually(t, "the flood arrives", func() bool { return proxy.Stats().ToTarget.Received >= 40 })
	require.LessOrEqual(t, b.Stats().HalfOpen, 5)
	pair(t, listen(t, testConfig(t, 1)), b, b.Addr())
	wg.Wait()
	require.Zero(t, b.Stats().Turned)
}

// Noise on the socket is nobody's connection.
func TestNoiseOnTheSocket(t *testing.T) {
	a, b := listen(t, testConfig(t, 1)), listen(t, testConfig(t, 2))
	ab, ba := pair(t, a, b, b.Addr())
	go ba.Serve(func(_ StreamKind, s ReceiveStream) {
		_, _ = io.Copy(s.(Stream), s)
		_ = s.(Stream).Close()
	})
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(b.Addr()))
	require.NoError(t, err)
	defer c.Close()
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 2000 {
		p := noise(rng.IntN(1400))
		if len(p) > 5 && i%2 == 0 {
			copy(p, []byte{0xc0 | p[0]&0x3f, 0, 0, 0, 1}) // a long header, QUIC 1
		}
		_, _ = c.Write(p)
	}
	echo(t, ab)
}

// Packets to a closed port come back as ICMP errors. They must not touch other
// connections of the same socket, nor its ability to dial and accept.
func TestICMPUnreachableDoesNotWedgeTheEndpoint(t *testing.T) {
	cfg := testConfig(t, 1)
	cfg.Bind = "" // dual-stack, where both kinds of ICMP arrive
	cfg.DialTimeout = 100 * time.Millisecond
	a, b := startNode(t, cfg, PeersConfig{}), startNode(t, testConfig(t, 2), PeersConfig{})
	a.hintTo(b, b.Addr())
	_, err := a.Connect(testContext(t), b.Endpoint.AgentID())
	require.NoError(t, err)
	c := a.Peers.Conn(b.Endpoint.AgentID())
	var wg sync.WaitGroup
	for _, host := range []string{"127.0.0.1", "::1"} {
		for range 20 {
			closed := netip.AddrPortFrom(netip.MustParseAddr(host), closedPort(t))
			wg.Go(func() {
				_, err := a.Endpoint.Dial(context.Background(), closed, b.MachineID())
				if err == nil {
					t.Error("dialled a closed port")
				}
			})
		}
	}
	for range 20 {
		echo(t, c)
	}
	wg.Wait()
	echo(t, c)
	third := startNode(t, testConfig(t, 3), PeersConfig{})
	third.hintTo(a, a.LocalAddrs()[0])
	_, err = third.Connect(testContext(t), a.Endpoint.AgentID())
	require.NoError(t, err)
}

// closedPort returns a UDP port that nobody listens on.
func closedPort(t testing.TB) uint16 {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

func TestOneAddressFamilyOnly(t *testing.T) {
	a, b := listen(t, testConfig(t, 1)), listen(t, testConfig(t, 2))
	_, err := a.Dial(testContext(t), netip.AddrPortFrom(netip.IPv6Loopback(), b.Addr().Port()), b.MachineID())
	require.Error(t, err)
	require.NotEqual(t, wire.KindClosed, wire.KindOf(err))
	pair(t, a, b, b.Addr())
}

func TestBind(t *testing.T) {
	a := listen(t, testConfig(t, 1))
	for _, tt := range []struct {
		bind string
		kind wire.Kind
	}{
		{a.Addr().String(), wire.KindBusy},
		{"localhost:0", wire.KindInvalidArgument},
		{"127.0.0.1", wire.KindInvalidArgument},
		{"127.0.0.1:99999", wire.KindInvalidArgument},
		{"192.0.2.1:0", wire.KindInvalidArgument}, // of nobody: RFC 5737
	} {
		cfg := testConfig(t, 2)
		cfg.Bind = tt.bind
		_, err := Listen(cfg)
		require.Equal(t, tt.kind, wire.KindOf(err), "%s: %v", tt.bind, err)
	}

	cfg := testConfig(t, 2)
	cfg.Bind = ""
	b := listen(t, cfg)
	require.True(t, b.Addr().Addr().IsUnspecified())
	for _, at := range b.LocalAddrs() {
		cfg := testConfig(t, 3)
		cfg.Bind = ""
		c, err := listen(t, cfg).Dial(testContext(t), at, b.MachineID())
		require.NoError(t, err, "%s", at)
		require.Equal(t, at, c.RemoteAddr())
	}
}

func TestHostWithoutIPv6(t *testing.T) {
	for _, bind := range []string{"", "[::]:0"} {
		tried := []string{}
		c, err := listenUDP(bind, func(network string, at *net.UDPAddr) (*net.UDPConn, error) {
			tried = append(tried, network)
			if at.IP.To4() == nil {
				return nil, &net.OpError{Op: "listen", Err: syscall.EAFNOSUPPORT}
			}
			return net.ListenUDP(network, at)
		})
		require.NoError(t, err)
		defer c.Close()
		require.Equal(t, []string{"udp", "udp4"}, tried)
		require.True(t, udpAddr(c.LocalAddr()).Addr().Is4())
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, edit := range map[string]func(*Config){
		"no machine":       func(c *Config) { c.Machine = nil },
		"no agent":         func(c *Config) { c.Agent = nil },
		"no network":       func(c *Config) { c.NetworkID = "" },
		"a long network":   func(c *Config) { c.NetworkID = fmt.Sprint(make([]byte, 300)) },
		"negative timeout": func(c *Config) { c.PeerTimeout = -1 },
	} {
		cfg := testConfig(t, 1)
		edit(&cfg)
		_, err := Listen(cfg)
		require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err), name)
	}
}

func TestCloseReachesPeersAndIsIdempotent(t *testing.T) {
	a, b := listen(t, testConfig(t, 1)), listen(t, testConfig(t, 2))
	ab, ba := pair(t, a, b, b.Addr())
	ctx := testContext(t)
	accepting := make(chan error, 1)
	go func() { _, err := a.Accept(ctx); accepting <- err }()
	require.NoError(t, a.Close(ctx))
	require.NoError(t, a.Close(ctx))
	waitDone(t, ba)
	require.Equal(t, CloseShutdown, ba.CloseCode())
	require.Equal(t, wire.KindClosed, wire.KindOf(waitDone(t, ab)))
	require.Equal(t, wire.KindClosed, wire.KindOf(<-accepting))
	_, err := a.Dial(ctx, b.Addr(), b.MachineID())
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
	_, err = ab.OpenUni(ctx, KindDirect)
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
}

// A handler that does not return holds Close up until its context ends, and no
// longer.
func TestCloseIsBounded(t *testing.T) {
	a, b := listen(t, testConfig(t, 1)), listen(t, testConfig(t, 2))
	ab, ba := pair(t, a, b, b.Addr())
	entered, leave := make(chan struct{}), make(chan struct{})
	go ba.Serve(func(StreamKind, ReceiveStream) { close(entered); <-leave })
	s, err := ab.OpenUni(testContext(t), KindDirect)
	require.NoError(t, err)
	_, err = s.Write([]byte{1})
	require.NoError(t, err)
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	require.Equal(t, wire.KindTimeout, wire.KindOf(b.Close(ctx)))
	close(leave)
	require.NoError(t, b.Close(testContext(t)))
}

// Failed dials leave neither goroutines (goleak at the end) nor memory.
func TestFailedDialsLeakNothing(t *testing.T) {
	cfg := testConfig(t, 1)
	cfg.DialTimeout = 30 * time.Millisecond
	a := listen(t, cfg)
	nobody := testKey(t, 4).Public().MachineID()
	closed := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), closedPort(t))
	dials := func(n int) {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for range n / 50 {
					if _, err := a.Dial(context.Background(), closed, nobody); wire.KindOf(err) != wire.KindUnreachable {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // what pools let go at the first
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	dials(200)
	before := heap()
	const n = 1000
	dials(n)
	grown := heap() - before
	t.Logf("%d failed dials left %d bytes each", n, grown/n)
	require.Less(t, grown/n, int64(2<<10))
	require.Zero(t, a.Stats().Open)
}
