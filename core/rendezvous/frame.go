package rendezvous

import (
	"net/netip"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// frameType is the first byte of a frame.
type frameType byte

const (
	frameFind     frameType = 0x40 // who is near to a key, and what is stored there
	frameRecord   frameType = 0x41 // one announcement, before FOUND
	frameFound    frameType = 0x42 // the peers nearest to the key; ends the answer
	frameStore    frameType = 0x43 // keep my announcement
	frameRenew    frameType = 0x44 // keep my announcement, of which you have the head
	frameStored   frameType = 0x45 // the answer to both
	frameConflict frameType = 0x46 // an announcement of your agent, by another machine
	frameIdle     frameType = 0x47 // I close this connection, and am still here
	frameDrop     frameType = 0x48 // keep my announcement no longer
)

// IsFrame says whether a first byte is of a frame of this package, also of one
// that only a later version knows.
func IsFrame(first byte) bool { return 0x40 <= first && first < 0x60 }

// What one frame can make a receiver hold. A larger one is refused unread.
const (
	maxFrame = discovery.MaxAnnouncement + 64
	maxPeers = 8 // in FOUND
	maxAddrs = 4 // of one peer
)

// status is the answer to STORE and RENEW.
type status uint8

const (
	statusKept    status = iota
	statusWhole          // the head is not here: send the whole
	statusFull           // no room
	statusStale          // a newer one is here
	statusRefused        // it is not the sender's, or does not hold
)

// findFrame: 0x40 | request: u32 | key:32 | records wanted: u8, 0 or 1
func findFrame(request uint32, key Key, records bool) []byte {
	want := uint8(0)
	if records {
		want = 1
	}
	return wire.NewBuilder(nil).U8(uint8(frameFind)).U32(request).Fixed(key[:]).U8(want).Build()
}

func parseFind(body []byte) (request uint32, key Key, records bool, err error) {
	p := wire.NewParser("find frame", body)
	request = p.U32()
	p.Into(key[:])
	want := p.U8()
	if want > 1 {
		p.Failf("impossible flag %d", want)
	}
	return request, key, want == 1, p.Done()
}

// recordFrame: 0x41 | request: u32 | announcement: the rest
func recordFrame(request uint32, a *discovery.Announcement) []byte {
	return wire.NewBuilder(nil).U8(uint8(frameRecord)).U32(request).Fixed(a.Marshal()).Build()
}

func parseRecord(body []byte) (request uint32, raw []byte, err error) {
	p := wire.NewParser("record frame", body)
	request, raw = p.U32(), p.Rest()
	return request, raw, p.Done()
}

// foundFrame: 0x42 | request: u32 | peers: uvarint, at most 8 × peer
func foundFrame(request uint32, peers []Peer) []byte {
	b := wire.NewBuilder(nil).U8(uint8(frameFound)).U32(request).Uvarint(uint64(len(peers)))
	for i := range peers {
		appendPeer(b, peers[i])
	}
	return b.Build()
}

func parseFound(body []byte) (request uint32, peers []Peer, err error) {
	p := wire.NewParser("found frame", body)
	request = p.U32()
	n := p.Uvarint()
	if n > maxPeers {
		p.Failf("%d peers", n)
	}
	for i := uint64(0); i < n && p.Err() == nil; i++ {
		peers = append(peers, parsePeer(p))
	}
	return request, peers, p.Done()
}

// peer = agent:32 | machine:32 | addresses: uvarint, 1 to 4 × (4 or 6: u8 | IP: 4 or 16 bytes | port: u16)
func appendPeer(b *wire.Builder, p Peer) {
	addrs := p.Addrs[:min(len(p.Addrs), maxAddrs)]
	b.Fixed(p.Agent[:]).Fixed(p.Machine[:]).Uvarint(uint64(len(addrs)))
	for _, a := range addrs {
		family := uint8(6)
		if a.Addr().Is4() {
			family = 4
		}
		b.U8(family).Fixed(a.Addr().AsSlice()).U16(a.Port())
	}
}

func parsePeer(p *wire.Parser) (peer Peer) {
	p.Into(peer.Agent[:])
	p.Into(peer.Machine[:])
	n := p.Uvarint()
	if n == 0 || n > maxAddrs {
		p.Failf("%d addresses", n)
	}
	for i := uint64(0); i < n && p.Err() == nil; i++ {
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
		if p.Err() == nil && (!ok || ip.Is4In6() || port == 0) {
			p.Failf("impossible address")
		}
		if p.Err() == nil {
			peer.Addrs = append(peer.Addrs, netip.AddrPortFrom(ip, port))
		}
	}
	if peer.Agent.IsZero() || peer.Machine.IsZero() {
		p.Failf("zero id")
	}
	return peer
}

// storeFrame: 0x43 | request: u32 | kind: u8 | announcement: the rest
func storeFrame(request uint32, kind Kind, raw []byte) []byte {
	return wire.NewBuilder(make([]byte, 0, 6+len(raw))).U8(uint8(frameStore)).U32(request).U8(uint8(kind)).Fixed(raw).Build()
}

func parseStore(body []byte) (request uint32, kind Kind, raw []byte, err error) {
	p := wire.NewParser("store frame", body)
	request, kind = p.U32(), takeKind(p)
	raw = p.Rest()
	return request, kind, raw, p.Done()
}

// renewFrame: 0x44 | request: u32 | kind: u8 | SHA-256 of the head:32 | tail: the rest
func renewFrame(request uint32, kind Kind, head [32]byte, tail []byte) []byte {
	return wire.NewBuilder(make([]byte, 0, 38+len(tail))).U8(uint8(frameRenew)).U32(request).U8(uint8(kind)).Fixed(head[:]).Fixed(tail).Build()
}

func parseRenew(body []byte) (request uint32, kind Kind, head [32]byte, tail []byte, err error) {
	p := wire.NewParser("renew frame", body)
	request, kind = p.U32(), takeKind(p)
	p.Into(head[:])
	tail = p.Rest()
	return request, kind, head, tail, p.Done()
}

func takeKind(p *wire.Parser) Kind {
	k := Kind(p.U8())
	if p.Err() == nil && !k.valid() {
		p.Failf("impossible kind %d", k)
	}
	return k
}

// storedFrame: 0x45 | request: u32 | status: u8
func storedFrame(request uint32, s status) []byte {
	return wire.NewBuilder(nil).U8(uint8(frameStored)).U32(request).U8(uint8(s)).Build()
}

func parseStored(body []byte) (request uint32, s status, err error) {
	p := wire.NewParser("stored frame", body)
	request, s = p.U32(), status(p.U8())
	if s > statusRefused {
		p.Failf("impossible status %d", s)
	}
	return request, s, p.Done()
}

// conflictFrame: 0x46 | announcement: the rest
func conflictFrame(a *discovery.Announcement) []byte {
	return wire.NewBuilder(nil).U8(uint8(frameConflict)).Fixed(a.Marshal()).Build()
}

// idleFrame: 0x47
func idleFrame() []byte { return []byte{byte(frameIdle)} }

// dropFrame: 0x48 | kind: u8
func dropFrame(kind Kind) []byte { return []byte{byte(frameDrop), byte(kind)} }

func parseDrop(body []byte) (Kind, error) {
	p := wire.NewParser("drop frame", body)
	kind := takeKind(p)
	return kind, p.Done()
}

// hint takes from a peer that somebody told of the addresses that the teller may
// know of: none that no host has, and none narrower than where the teller is, so
// that nobody outside can make agents knock at hosts of the network they are in.
func hint(p Peer, teller netip.Addr) Peer {
	var addrs []netip.AddrPort
	for _, a := range p.Addrs {
		if len(addrs) < maxAddrs && a.Port() != 0 && discovery.MayTell(a.Addr(), teller) {
			addrs = append(addrs, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
		}
	}
	p.Addrs = addrs
	return p
}

// Peer is an agent and where it may be dialled: a hint, whoever dials it pins the
// machine. Without addresses it is used while it is connected and told to nobody.
type Peer struct {
	Agent   identity.AgentID
	Machine identity.MachineID
	Addrs   []netip.AddrPort
}
