package transport

import (
	"context"
	"net"
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// admission bounds the newcomers that have not finished their hello. It runs
// before any cryptography, on the socket's reading goroutine: no waiting here.
type admission struct {
	mu     sync.Mutex
	max    int
	half   int
	turned uint64
}

func newAdmission(max int) *admission { return &admission{max: max} }

// suspicious implements quic.Transport.VerifySourceAddress: when half of the
// room is taken, a newcomer must prove its address by a round trip.
func (a *admission) suspicious(net.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.half >= a.max/2
}

// admit implements quic.Transport.ConnContext. The place is given back when the
// hello is done or the connection ends, whatever comes first.
func (a *admission) admit(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.half >= a.max {
		a.turned++
		return nil, wire.Errorf(wire.KindLimit, "accept", "%d connections are half open", a.half)
	}
	a.half++
	p := &place{admission: a}
	context.AfterFunc(ctx, p.leave)
	return context.WithValue(ctx, placeKey{}, p), nil
}

func (a *admission) counts() (half int, turned uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.half, a.turned
}

type placeKey struct{}

type place struct {
	admission *admission
	once      sync.Once
}

func (p *place) leave() {
	p.once.Do(func() {
		p.admission.mu.Lock()
		p.admission.half--
		p.admission.mu.Unlock()
	})
}

// leaveHalfOpen gives the place of an accepted connection back.
func leaveHalfOpen(q *quic.Conn) {
	if p, ok := q.Context().Value(placeKey{}).(*place); ok {
		p.leave()
	}
}
