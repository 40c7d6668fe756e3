package membership

import (
	"encoding/binary"
	"net/netip"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// prefix is what one attacker gets cheaply in any number of ids: an IPv4 address
// as a number, or the upper half of an IPv6 address (in which the range of the
// former, 0::/32, is not assigned).
type prefix uint64

func prefixOf(a netip.Addr) prefix {
	a = a.Unmap()
	if a.Is4() {
		b := a.As4()
		return prefix(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return prefix(binary.BigEndian.Uint64(b[:8]))
}

// origin is to whom a limit is charged: a prefix, or an agent whose address is
// exempt.
type origin struct {
	prefix prefix
	agent  identity.AgentID // zero: the prefix counts
}

func (o origin) exempt() bool { return !o.agent.IsZero() }

// originOf tells to whom what an agent does from an address is charged.
func (s *State) originOf(a identity.AgentID, seen netip.AddrPort) origin {
	if s.cfg.MaxPerPrefix < 0 || !seen.IsValid() || s.cfg.PrefixExempt(seen.Addr()) {
		return origin{agent: a}
	}
	return origin{prefix: prefixOf(seen.Addr())}
}

// originsOf are the prefixes of the addresses of a hint that count.
func (s *State) originsOf(p Peer) (list []origin) {
	for _, a := range p.Addrs {
		if o := s.originOf(p.Agent, a); !o.exempt() {
			list = append(list, o)
		}
	}
	return list
}

// passiveShare is how much of the passive view may be charged to one origin: a
// tenth for a prefix, a third for what one exempt neighbour says.
func (s *State) passiveShare(o origin) int {
	if o.exempt() {
		return max(1, s.cfg.Passive/3)
	}
	return max(1, s.cfg.Passive/10)
}

// roomFor says whether the active view may take one more peer of an origin.
func (s *State) roomFor(o origin) bool {
	if o.exempt() {
		return true
	}
	n := 0
	for _, p := range s.active {
		if p.origin == o {
			n++
		}
	}
	return n < s.cfg.MaxPerPrefix
}

// scope orders addresses by how far they are meaningful.
func scope(a netip.Addr) int {
	switch a = a.Unmap(); {
	case a.IsLoopback():
		return 0
	case a.IsLinkLocalUnicast(), a.IsPrivate():
		return 1
	}
	return 2
}

// hint takes from an entry the addresses that its teller may know of: nothing
// that no host has, and nothing narrower than where the teller is itself, so
// that nobody outside can make agents knock at hosts of the network they are in.
func hint(p Peer, teller netip.AddrPort) Peer {
	var addrs []netip.AddrPort
	for _, a := range p.Addrs {
		ip := a.Addr().Unmap()
		if len(addrs) == maxAddrs || a.Port() == 0 || ip.IsUnspecified() || ip.IsMulticast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			continue
		}
		if teller.IsValid() && scope(ip) < scope(teller.Addr()) {
			continue
		}
		addrs = append(addrs, netip.AddrPortFrom(ip, a.Port()))
	}
	p.Addrs = addrs
	return p
}
