package lan

import (
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	mdnsPort = 5353
	// onLink is the TTL of every packet, ours and theirs: no router passes one
	// on without lowering it, so what arrives with it was sent on this link.
	onLink = 255
	// writeWait bounds a send into a full socket; the packet is lost then, as on
	// any wire.
	writeWait = time.Second
)

var (
	group4 = netip.MustParseAddr("224.0.0.251")
	group6 = netip.MustParseAddr("ff02::fb")
)

type linkID struct {
	index int // of the interface
	six   bool
}

// link is a socket of one interface and address family. One for each, because a
// socket that is bound to the group does not take unicast packets from the mDNS
// daemon of this machine, and only so hears one interface alone.
type link struct {
	id    linkID
	name  string
	addr  netip.Addr // of the interface, for A or AAAA; unset if it has none now
	group *net.UDPAddr
	conn  net.PacketConn
	p4    *ipv4.PacketConn // one of the two
	p6    *ipv6.PacketConn

	// Of the service's loop, under its lock.
	announce time.Time // when the next answer is due; zero: none
	again    int       // announcements after that one
	last     time.Time // when the last one went out
}

// openLink joins the group on an interface.
func openLink(ifi *net.Interface, six bool, addr netip.Addr) (l *link, err error) {
	l = &link{id: linkID{ifi.Index, six}, name: ifi.Name, addr: addr.WithZone("")}
	g := group4
	if six {
		g = group6.WithZone(ifi.Name)
	}
	l.group = net.UDPAddrFromAddrPort(netip.AddrPortFrom(g, mdnsPort))
	if l.conn, err = listen(ifi, six); err != nil {
		return nil, wire.Errorf(kindOf(err), "lan", "listen for mDNS on %s: %w", ifi.Name, err)
	}
	if six {
		l.p6 = ipv6.NewPacketConn(l.conn)
		err = first(
			l.p6.JoinGroup(ifi, l.group),
			l.p6.SetMulticastInterface(ifi),
			l.p6.SetMulticastHopLimit(onLink),
			l.p6.SetMulticastLoopback(true), // for agents of other users on this machine
			l.p6.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagDst, true),
		)
	} else {
		l.p4 = ipv4.NewPacketConn(l.conn)
		err = first(
			l.p4.JoinGroup(ifi, l.group),
			l.p4.SetMulticastInterface(ifi),
			l.p4.SetMulticastTTL(onLink),
			l.p4.SetMulticastLoopback(true),
			l.p4.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst, true),
		)
	}
	if err != nil {
		l.conn.Close()
		return nil, wire.Errorf(wire.KindIO, "lan", "join the mDNS group on %s: %w", ifi.Name, err)
	}
	return l, nil
}

// kindOf keeps what is not supported apart from what the system refused.
func kindOf(err error) wire.Kind {
	if wire.KindOf(err) == wire.KindUnsupported {
		return wire.KindUnsupported
	}
	return wire.KindIO
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// read returns the next packet and its source; ok is false for one that no
// neighbour on this link can have sent to the group from the mDNS port.
func (l *link) read(b []byte) (n int, from netip.Addr, ok bool, err error) {
	var (
		src net.Addr
		dst net.IP
		ttl int
	)
	if l.id.six {
		var cm *ipv6.ControlMessage
		if n, cm, src, err = l.p6.ReadFrom(b); cm != nil {
			ttl, dst = cm.HopLimit, cm.Dst
		}
	} else {
		var cm *ipv4.ControlMessage
		if n, cm, src, err = l.p4.ReadFrom(b); cm != nil {
			ttl, dst = cm.TTL, cm.Dst
		}
	}
	if err != nil {
		return 0, from, false, err
	}
	udp, isUDP := src.(*net.UDPAddr)
	if !isUDP {
		return 0, from, false, nil
	}
	ap := udp.AddrPort()
	from = ap.Addr().Unmap()
	if from.Is6() && from.IsLinkLocalUnicast() {
		from = from.WithZone(l.name)
	} else {
		from = from.WithZone("")
	}
	unicast := from.IsGlobalUnicast() || from.IsLinkLocalUnicast()
	return n, from, ttl == onLink && dst.Equal(l.group.IP) && ap.Port() == mdnsPort && unicast && from.Is6() == l.id.six, nil
}

func (l *link) write(b []byte) error {
	l.conn.SetWriteDeadline(time.Now().Add(writeWait))
	_, err := l.conn.WriteTo(b, l.group)
	return err
}
