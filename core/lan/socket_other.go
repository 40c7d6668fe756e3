//go:build !linux

package lan

import (
	"net"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// listen is for Linux: elsewhere it is not known yet how to share port 5353 with
// the mDNS daemon of the system without taking packets from it.
func listen(*net.Interface, bool) (net.PacketConn, error) {
	return nil, wire.Errorf(wire.KindUnsupported, "lan", "mDNS on this platform")
}
