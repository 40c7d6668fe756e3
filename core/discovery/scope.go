package discovery

import (
	"net/netip"
)

// Scope says how far an address is meaningful.
type Scope uint8

const (
	ScopeNone      Scope = iota // no host can be reached there: unspecified, multicast, broadcast
	ScopeLoopback               // on this machine
	ScopeLinkLocal              // on this link
	ScopePrivate                // in this site: RFC 1918, RFC 4193 and RFC 6598 (carriers)
	ScopeGlobal
)

// String returns "none", "loopback", "link-local", "private" or "global".
func (s Scope) String() string {
	return [...]string{"none", "loopback", "link-local", "private", "global"}[min(s, ScopeGlobal)]
}

var carrier = netip.MustParsePrefix("100.64.0.0/10")

// ScopeOf returns the scope of an address.
func ScopeOf(a netip.Addr) Scope {
	a = a.Unmap()
	switch {
	case !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return ScopeNone
	case a.IsLoopback():
		return ScopeLoopback
	case a.IsLinkLocalUnicast():
		return ScopeLinkLocal
	case a.IsPrivate() || carrier.Contains(a):
		return ScopePrivate
	}
	return ScopeGlobal
}

// MayTell says whether an address of a may work for somebody whose packets come
// from to: it may if it is no narrower than where they are.
func MayTell(a, to netip.Addr) bool {
	s := ScopeOf(a)
	return s != ScopeNone && (s == ScopeGlobal || to.IsValid() && s >= ScopeOf(to) && ScopeOf(to) != ScopeNone)
}
