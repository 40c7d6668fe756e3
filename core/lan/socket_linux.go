package lan

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// listen binds to the group itself on one interface. Package net binds a
// multicast socket to the wildcard address, which would take the unicast packets
// of port 5353 away from the mDNS daemon of this machine.
func listen(ifi *net.Interface, six bool) (net.PacketConn, error) {
	family := unix.AF_INET
	if six {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "mdns")
	defer f.Close() // the connection has a descriptor of its own
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return nil, err
	}
	if six { // the zone binds it to the interface
		err = first(
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1),
			unix.Bind(fd, &unix.SockaddrInet6{Port: mdnsPort, Addr: group6.As16(), ZoneId: uint32(ifi.Index)}),
		)
	} else { // without IP_MULTICAST_ALL = 0 it would hear interfaces that other sockets joined on
		err = first(
			unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0),
			unix.Bind(fd, &unix.SockaddrInet4{Port: mdnsPort, Addr: group4.As4()}),
		)
	}
	if err != nil {
		return nil, err
	}
	return net.FilePacketConn(f)
}
