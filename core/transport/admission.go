package transport

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// admission bounds the newcomers that have not finished their hello. It runs
// before any cryptography, on the socket's reading goroutine: no waiting here.
//
//   - max bounds all of them;
//   - beyond half of max, a newcomer must first prove its address, so forged
//     addresses take at most half of the room;
//   - a quarter of max is the share of one proved network address, so one host
//     that stays silent after the handshake does not take it all. Loopback is
//     exempt: who is on this host has simpler ways. Unproved addresses have no
//     share, or a forger could use up that of somebody else.
type admission struct {
	mu     sync.Mutex
	max    int
	half   int
	turned uint64
	shares map[netip.Prefix]int
}

func newAdmission(max int) *admission {
	return &admission{max: max, shares: make(map[netip.Prefix]int)}
}

// suspicious implements quic.Transport.VerifySourceAddress.
func (a *admission) suspicious(net.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.half >= a.max/2
}

// admit implements quic.Transport.ConnContext. The place is given back when the
// hello is done or the connection ends, whatever comes first.
func (a *admission) admit(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.half >= a.max {
		a.turned++
		return nil, wire.Errorf(wire.KindLimit, "accept", "%d connections are half open", a.half)
	}
	p := &place{admission: a}
	if info.AddrVerified {
		if err := p.takeShare(info.RemoteAddr); err != nil {
			return nil, err
		}
	}
	a.half++
	context.AfterFunc(ctx, p.leave)
	return context.WithValue(ctx, placeKey{}, p), nil
}

func (a *admission) counts() (half int, turned uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.half, a.turned
}

type placeKey struct{}

// place is one newcomer's. admission.mu guards it.
type place struct {
	admission *admission
	left      bool
	share     netip.Prefix // counted, if valid
}

// takeShare counts the place to an address that is proved. The caller holds the
// lock.
func (p *place) takeShare(from net.Addr) error {
	a, addr := p.admission, udpAddr(from).Addr()
	if p.left || p.share.IsValid() || !addr.IsValid() || addr.IsLoopback() {
		return nil
	}
	bits := 32
	if addr.Is6() {
		bits = 56 // what one customer gets (RFC 6177)
	}
	share, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return wire.Errorf(wire.KindInvalidArgument, "accept", "%w", err)
	}
	if n := a.shares[share]; n >= max(a.max/4, 1) {
		a.turned++
		return wire.Errorf(wire.KindLimit, "accept", "%d connections of %s are half open", n, share)
	}
	a.shares[share]++
	p.share = share
	return nil
}

func (p *place) leave() {
	a := p.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.left {
		return
	}
	p.left = true
	a.half--
	if p.share.IsValid() {
		if a.shares[p.share]--; a.shares[p.share] == 0 {
			delete(a.shares, p.share)
		}
	}
}

func placeOf(q *quic.Conn) *place {
	p, _ := q.Context().Value(placeKey{}).(*place)
	return p
}

// proveAddress is called after the handshake, which has proved the address.
func proveAddress(q *quic.Conn) error {
	p := placeOf(q)
	if p == nil {
		return nil
	}
	p.admission.mu.Lock()
	defer p.admission.mu.Unlock()
	return p.takeShare(q.RemoteAddr())
}

// leaveHalfOpen gives the place of an accepted connection back.
func leaveHalfOpen(q *quic.Conn) {
	if p := placeOf(q); p != nil {
		p.leave()
	}
}
