package transport

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// openUDP is net.ListenUDP, which a test replaces to be a host without IPv6.
type openUDP func(network string, at *net.UDPAddr) (*net.UDPConn, error)

// listenUDP opens the one socket of an endpoint.
func listenUDP(bind string, open openUDP) (*net.UDPConn, error) {
	const op = "listen"
	if bind == "" {
		c, err := open("udp", &net.UDPAddr{IP: net.IPv6unspecified})
		if err != nil { // IPv6 is off
			c, err = open("udp4", &net.UDPAddr{IP: net.IPv4zero})
		}
		if err != nil {
			return nil, wire.Errorf(wire.KindIO, op, "%w", err)
		}
		return c, nil
	}
	addr, err := netip.ParseAddrPort(bind)
	if err != nil {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "bind address %q is not a literal address with a port", bind)
	}
	network := "udp"
	if addr.Addr().Is4() {
		network = "udp4" // 0.0.0.0 is IPv4 alone; "udp" would make it dual-stack
	}
	c, err := open(network, net.UDPAddrFromAddrPort(addr))
	if errors.Is(err, syscall.EAFNOSUPPORT) && addr.Addr() == netip.IPv6Unspecified() { // IPv6 is off
		c, err = open("udp4", &net.UDPAddr{IP: net.IPv4zero, Port: int(addr.Port())})
	}
	switch {
	case err == nil:
		return c, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, wire.Errorf(wire.KindBusy, op, "%s is in use: %w", bind, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "no interface has %s: %w", bind, err)
	}
	return nil, wire.Errorf(wire.KindIO, op, "bind %s: %w", bind, err)
}

// udpAddr returns the address of a packet, with IPv4 as IPv4.
func udpAddr(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := u.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// hasIPv6Loopback reports whether ::1 exists: the socket may be dual-stack on a
// host whose IPv6 has no addresses.
func hasIPv6Loopback() bool {
	c, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		return false
	}
	c.Close()
	return true
}
