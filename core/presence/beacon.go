package presence

import (
	"crypto/sha256"
	"net/netip"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// beacon is what an agent says of itself:
//
//	beacon = agent:32 | machine:32 | sequence: u64 | sent: u64 | interval: u32
//	         | visibility: u8 | addresses: uvarint
//	         | addresses × (4 or 6: u8 | IP: 4 or 16 bytes | port: u16)
//	sealed = beacon: uvarint length, bytes | signature: 3,309 bytes
//
// sent is in milliseconds since 1970, interval in milliseconds: the next beacon
// is due then. sequence grows with each beacon and starts from the clock, so
// that a restart is newer. The signature is over
// wire.SignedBytes(identity.DomainPresence, beacon).
type beacon struct {
	agent      identity.AgentID
	machine    identity.MachineID
	sequence   uint64
	sent       time.Time
	interval   time.Duration
	visibility Visibility
	addrs      []netip.AddrPort

	body      []byte // what is signed
	signature []byte
}

const (
	maxAddrs  = 4
	maxBeacon = 32 + 32 + 8 + 8 + 4 + 1 + 1 + maxAddrs*(1+16+2)
	maxSealed = 2 + maxBeacon + identity.SignatureSize

	// maxAhead is how far a clock may be ahead of this one. Further is refused:
	// a beacon of tomorrow would be news all day.
	maxAhead = 60 * time.Second
)

// encode fills in the body.
func (b *beacon) encode() {
	addrs := b.addrs[:min(len(b.addrs), maxAddrs)]
	w := wire.NewBuilder(nil).Fixed(b.agent[:]).Fixed(b.machine[:]).
		U64(b.sequence).U64(uint64(b.sent.UnixMilli())).U32(uint32(b.interval.Milliseconds())).
		U8(uint8(b.visibility)).Uvarint(uint64(len(addrs)))
	for _, a := range addrs {
		ip := a.Addr().Unmap().WithZone("")
		family := uint8(6)
		if ip.Is4() {
			family = 4
		}
		w.U8(family).Fixed(ip.AsSlice()).U16(a.Port())
	}
	b.body = w.Build()
}

// appendTo appends a sealed beacon: one that has body and signature.
func (b *beacon) appendTo(w *wire.Builder) { w.Bytes(b.body).Fixed(b.signature) }

// parseSealed takes one sealed beacon. It is a copy: it keeps nothing of the
// frame.
func parseSealed(p *wire.Parser) (b beacon) {
	body := p.Bytes(maxBeacon)
	signature := p.Fixed(identity.SignatureSize)
	if p.Err() != nil {
		return b
	}
	inner := wire.NewParser("parse beacon", body)
	inner.Into(b.agent[:])
	inner.Into(b.machine[:])
	b.sequence = inner.U64()
	sent := inner.U64()
	b.interval = time.Duration(inner.U32()) * time.Millisecond
	b.visibility = Visibility(inner.U8())
	b.addrs = parseAddrs(inner)
	if inner.Err() == nil {
		switch {
		case b.agent.IsZero():
			inner.Failf("zero agent")
		case b.visibility >= Hidden:
			inner.Failf("impossible visibility %d", b.visibility)
		case b.interval == 0:
			inner.Failf("no interval")
		case sent > maxMilli:
			inner.Failf("impossible time")
		}
	}
	if err := inner.Done(); err != nil {
		p.Failf("%v", err)
		return b
	}
	b.sent = time.UnixMilli(int64(sent)).UTC()
	b.body = append([]byte(nil), body...)
	b.signature = append([]byte(nil), signature...)
	return b
}

// maxMilli is the last millisecond of the year 9999: later ones overflow
// nanoseconds somewhere.
const maxMilli = 253402300799999

func parseAddrs(p *wire.Parser) (addrs []netip.AddrPort) {
	n := p.Uvarint()
	if n > maxAddrs {
		p.Failf("%d addresses", n)
	}
	if p.Err() != nil {
		return nil
	}
	for range n {
		size := 0
		switch family := p.U8(); family {
		case 4:
			size = 4
		case 6:
			size = 16
		default:
			p.Failf("impossible address family %d", family)
		}
		ip, ok := netip.AddrFromSlice(p.Fixed(size))
		port := p.U16()
		if p.Err() == nil && (!ok || !dialable(netip.AddrPortFrom(ip, port)) || ip.Is4In6()) {
			p.Failf("impossible address")
		}
		if p.Err() != nil {
			return nil
		}
		addrs = append(addrs, netip.AddrPortFrom(ip, port))
	}
	return addrs
}

// dialable says whether an address can be somebody's.
func dialable(a netip.AddrPort) bool {
	return a.IsValid() && a.Port() != 0 && !a.Addr().IsUnspecified() && !a.Addr().IsMulticast()
}

// verify checks a signature by an encoded key, which must be that of the agent.
// The cache of parsed keys is only read: keys of those who are far away must not
// push out those of peers.
func verify(key []byte, b *beacon) bool {
	if sha256.Sum256(key) != b.agent {
		return false
	}
	k, ok := identity.LookupPublicKey(b.agent)
	if !ok {
		var err error
		if k, err = identity.ParsePublicKey(key); err != nil {
			return false
		}
	}
	return k.Verify(wire.SignedBytes(identity.DomainPresence, b.body), []byte(identity.DomainPresence), b.signature)
}

// sign fills in body and signature.
func (b *beacon) sign(key *identity.Key) (err error) {
	b.encode()
	b.signature, err = key.Sign(wire.SignedBytes(identity.DomainPresence, b.body), []byte(identity.DomainPresence))
	return err
}
