package transport

import (
	"net"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The wrapped socket must take quic-go's fast path and get no smaller buffers
// than a bare one.
func TestSocketKeepsTheFastPath(t *testing.T) {
	bare, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer bare.Close()
	plain := &quic.Transport{Conn: bare}
	defer plain.Close()

	a, b := listen(t, testConfig(t, 1)), listen(t, testConfig(t, 2))
	ab, _ := pair(t, a, b, b.Addr())
	cert, err := machineCertificate(testKey(t, 1))
	require.NoError(t, err)
	q, err := plain.Dial(testContext(t), net.UDPAddrFromAddrPort(b.Addr()), baseTLS(cert), nil)
	require.NoError(t, err)
	defer q.CloseWithError(0, "")

	require.Equal(t, q.ConnectionState().GSO, ab.quic.ConnectionState().GSO)
	require.Greater(t, a.socket.asked.Load(), int32(2))
	for _, option := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF} {
		require.GreaterOrEqual(t, socketOption(t, a.socket.UDPConn, option), socketOption(t, bare, option))
	}
}

func socketOption(t *testing.T, c *net.UDPConn, option int) (value int) {
	t.Helper()
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	var optErr error
	require.NoError(t, raw.Control(func(fd uintptr) {
		value, optErr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, option)
	}))
	require.NoError(t, optErr)
	return value
}
