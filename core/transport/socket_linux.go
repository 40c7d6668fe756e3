package transport

import (
	"net"

	"golang.org/x/sys/unix"
)

// sizeBuffers asks for buffers of n bytes; past the system's limit only with
// CAP_NET_ADMIN. The kernel may grant less, which costs throughput and nothing
// else.
func sizeBuffers(c *net.UDPConn, n int) {
	_ = c.SetReadBuffer(n)
	_ = c.SetWriteBuffer(n)
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, n)
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, n)
	})
}
