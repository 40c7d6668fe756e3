package transporttest

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers every datagram and reports the source ports it saw.
func echo(t *testing.T) (netip.AddrPort, <-chan uint16) {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	ports, done := make(chan uint16, 4096), make(chan struct{})
	t.Cleanup(func() { c.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			ports <- from.Port()
			c.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort(), ports
}

func client(t *testing.T, p *Proxy) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(p.Addr()))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c *net.UDPConn, i uint32) {
	t.Helper()
	_, err := c.Write(binary.BigEndian.AppendUint32(nil, i))
	require.NoError(t, err)
}

func recv(t *testing.T, c *net.UDPConn) uint32 {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	buf := make([]byte, 16)
	n, err := c.Read(buf)
	require.NoError(t, err)
	require.Equal(t, 4, n)
	return binary.BigEndian.Uint32(buf)
}

func TestProxyForwardsInOrderAndCountsFlights(t *testing.T) {
	target, _ := echo(t)
	p := NewProxy(t, target, 1)
	p.SetDelay(5 * time.Millisecond)
	c := client(t, p)
	for i := range uint32(20) {
		send(t, c, i)
	}
	for i := range uint32(20) {
		require.Equal(t, i, recv(t, c))
	}
	send(t, c, 99)
	require.Equal(t, uint32(99), recv(t, c))
	s := p.Stats()
	require.Equal(t, uint64(21), s.ToTarget.Forwarded)
	require.Equal(t, uint64(21), s.ToClient.Forwarded)
	require.Equal(t, 3, s.ToTarget.Flights)
	require.Equal(t, 4, s.ToClient.Flights)
	require.Equal(t, 1, s.Clients)
}

func TestProxyLosesBySeed(t *testing.T) {
	lost := func(seed uint64) uint64 {
		target, _ := echo(t)
		p := NewProxy(t, target, seed)
		c := client(t, p)
		p.SetLoss(30)
		for i := range uint32(500) {
			send(t, c, i)
		}
		require.Eventually(t, func() bool { return p.Stats().ToTarget.Received == 500 }, 10*time.Second, time.Millisecond)
		return p.Stats().ToTarget.Lost
	}
	a, b := lost(7), lost(7)
	require.Equal(t, a, b, "one seed, one fate")
	require.InDelta(t, 150, a, 50)
}

func TestProxyReorders(t *testing.T) {
	target, _ := echo(t)
	p := NewProxy(t, target, 3)
	p.SetReorder(20, 20*time.Millisecond)
	c := client(t, p)
	inversions, highest := 0, uint32(0)
	for i := range uint32(100) {
		send(t, c, i)
	}
	for range 100 {
		got := recv(t, c)
		if got < highest {
			inversions++
		}
		highest = max(highest, got)
	}
	require.Positive(t, inversions)
	require.Positive(t, p.Stats().ToTarget.Reordered)
}

func TestProxyBlackholeAndRebind(t *testing.T) {
	target, ports := echo(t)
	p := NewProxy(t, target, 4)
	c := client(t, p)
	send(t, c, 1)
	require.Equal(t, uint32(1), recv(t, c))
	first := <-ports

	p.Blackhole(Forever)
	send(t, c, 2)
	require.Eventually(t, func() bool { return p.Stats().ToTarget.Blackholed == 1 }, 10*time.Second, time.Millisecond)
	p.Blackhole(0)
	send(t, c, 3)
	require.Equal(t, uint32(3), recv(t, c))
	require.Equal(t, first, <-ports)

	require.NoError(t, p.Rebind())
	send(t, c, 4)
	require.Equal(t, uint32(4), recv(t, c))
	require.NotEqual(t, first, <-ports)
	require.Equal(t, 1, p.Stats().Rebinds)

	p.Close()
	require.ErrorIs(t, p.Rebind(), net.ErrClosed)
}
