//go:build !linux

package transport

import "net"

// sizeBuffers asks for buffers of n bytes. The kernel may grant less, which costs
// throughput and nothing else.
func sizeBuffers(c *net.UDPConn, n int) {
	_ = c.SetReadBuffer(n)
	_ = c.SetWriteBuffer(n)
}
