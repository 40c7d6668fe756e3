package membership

import (
	"net/netip"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// frameType is the first byte of a frame.
type frameType byte

const (
	frameJoin         frameType = 0x20 // I am new: make me a neighbour, and tell others of me
	frameForwardJoin  frameType = 0x21 // a walk that carries a new agent
	frameNeighbor     frameType = 0x22 // be my neighbour
	frameAnswer       frameType = 0x23 // to JOIN and NEIGHBOR
	frameDisconnect   frameType = 0x24 // you are no longer my neighbour
	frameShuffle      frameType = 0x25 // a walk that exchanges entries
	frameShuffleReply frameType = 0x26 // the entries that come back, by the way of the walk
	frameProbe        frameType = 0x27 // are you there
	frameProbeRequest frameType = 0x28 // is that agent there
	frameAck          frameType = 0x29 // to both
	frameNews         frameType = 0x2a // who is suspected, has failed, is alive after all
)

// IsFrame says whether a first byte is of a frame of this package, also of one
// that only a later version knows.
func IsFrame(first byte) bool { return 0x20 <= first && first < 0x40 }

// What one frame can make a receiver hold. A larger one is refused unread.
const (
	maxFrame   = 4 << 10
	maxEntries = 16 // peers in a shuffle
	maxAddrs   = 4  // of one peer
	maxPath    = maxTTL + 1
	maxNews    = 32
)

// joinFrame: 0x20
func joinFrame() []byte { return []byte{byte(frameJoin)} }

// neighborFrame: 0x22 | priority: 0 low, 1 high (the asker has few)
func neighborFrame(high bool) []byte { return []byte{byte(frameNeighbor), bit(high)} }

// answerFrame: 0x23 | accepted: 0 or 1
func answerFrame(accepted bool) []byte { return []byte{byte(frameAnswer), bit(accepted)} }

// disconnectFrame: 0x24 | leaving: 0 or 1
func disconnectFrame(leaving bool) []byte { return []byte{byte(frameDisconnect), bit(leaving)} }

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// parseFlag reads a body that is one byte, 0 or 1.
func parseFlag(op string, body []byte) (bool, error) {
	p := wire.NewParser(op, body)
	v := p.U8()
	if v > 1 {
		p.Failf("impossible flag %d", v)
	}
	return v == 1, p.Done()
}

func parseEmpty(op string, body []byte) error { return wire.NewParser(op, body).Done() }

// peer = agent:32 | machine:32 | addresses: uvarint | addresses × (4 or 6: u8 | IP: 4 or 16 bytes | port: u16)
func appendPeer(b *wire.Builder, p Peer) {
	addrs := p.Addrs[:min(len(p.Addrs), maxAddrs)]
	b.Fixed(p.Agent[:]).Fixed(p.Machine[:]).Uvarint(uint64(len(addrs)))
	for _, a := range addrs {
		ip := a.Addr().Unmap()
		family := uint8(6)
		if ip.Is4() {
			family = 4
		}
		b.U8(family).Fixed(ip.AsSlice()).U16(a.Port())
	}
}

func parsePeer(p *wire.Parser) (peer Peer) {
	p.Into(peer.Agent[:])
	p.Into(peer.Machine[:])
	n := p.Uvarint()
	if n > maxAddrs {
		p.Failf("%d addresses", n)
	}
	if p.Err() != nil {
		return peer
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
		if p.Err() == nil && (!ok || ip.Is4In6() || port == 0) {
			p.Failf("impossible address")
		}
		if p.Err() != nil {
			return peer
		}
		peer.Addrs = append(peer.Addrs, netip.AddrPortFrom(ip, port))
	}
	if peer.Agent.IsZero() {
		p.Failf("zero agent")
	}
	return peer
}

// walk is how a frame goes from neighbour to neighbour:
//
//	walk = hops left: u8 | path
//	path = hops: uvarint | hops × prefix: u64
//
// Each hop appends the prefix of the address from which it got the frame (see
// [prefix]), so that whoever keeps what the walk carries can charge it to all
// who had it in their hands.
type walk struct {
	ttl  int
	path []prefix
}

func appendWalk(b *wire.Builder, w walk) {
	b.U8(uint8(w.ttl))
	appendPath(b, w.path)
}

func parseWalk(p *wire.Parser) walk { return walk{ttl: int(p.U8()), path: parsePath(p)} }

func appendPath(b *wire.Builder, path []prefix) {
	b.Uvarint(uint64(len(path)))
	for _, x := range path {
		b.U64(uint64(x))
	}
}

func parsePath(p *wire.Parser) (path []prefix) {
	n := p.Uvarint()
	if n > maxPath {
		p.Failf("path of %d hops", n)
	}
	if p.Err() != nil {
		return nil
	}
	for range n {
		path = append(path, prefix(p.U64()))
	}
	return path
}

// forwardJoinFrame: 0x21 | walk | the new agent: peer
func forwardJoinFrame(w walk, p Peer) []byte {
	b := wire.NewBuilder(nil).U8(byte(frameForwardJoin))
	appendWalk(b, w)
	appendPeer(b, p)
	return b.Build()
}

func parseForwardJoin(body []byte) (walk, Peer, error) {
	p := wire.NewParser("parse forward join", body)
	w := parseWalk(p)
	peer := parsePeer(p)
	return w, peer, p.Done()
}

// shuffle is
//
//	+------+------------+------+--------------------+------------------+-----------------+
//	| 0x25 | nonce: u64 | walk | origin told: 0 / 1 | origin: peer, if | entries: uvarint, peers
//	+------+------------+------+--------------------+------------------+-----------------+
//
// The nonce is fresh at every hop and names the way back. The origin does not
// tell its own address: the first hop fills in what it sees.
type shuffle struct {
	nonce   uint64
	walk    walk
	origin  *Peer
	entries []Peer
}

func shuffleFrame(s shuffle) []byte {
	b := wire.NewBuilder(nil).U8(byte(frameShuffle)).U64(s.nonce)
	appendWalk(b, s.walk)
	b.U8(bit(s.origin != nil))
	if s.origin != nil {
		appendPeer(b, *s.origin)
	}
	appendEntries(b, s.entries)
	return b.Build()
}

func parseShuffle(body []byte) (s shuffle, err error) {
	p := wire.NewParser("parse shuffle", body)
	s.nonce = p.U64()
	s.walk = parseWalk(p)
	switch told := p.U8(); told {
	case 0:
	case 1:
		origin := parsePeer(p)
		s.origin = &origin
	default:
		p.Failf("impossible flag %d", told)
	}
	s.entries = parseEntries(p)
	return s, p.Done()
}

// shuffleReply: 0x26 | nonce: u64 | path | entries: uvarint, peers
type shuffleReply struct {
	nonce   uint64
	path    []prefix
	entries []Peer
}

func shuffleReplyFrame(r shuffleReply) []byte {
	b := wire.NewBuilder(nil).U8(byte(frameShuffleReply)).U64(r.nonce)
	appendPath(b, r.path)
	appendEntries(b, r.entries)
	return b.Build()
}

func parseShuffleReply(body []byte) (r shuffleReply, err error) {
	p := wire.NewParser("parse shuffle reply", body)
	r.nonce = p.U64()
	r.path = parsePath(p)
	r.entries = parseEntries(p)
	return r, p.Done()
}

func appendEntries(b *wire.Builder, entries []Peer) {
	entries = entries[:min(len(entries), maxEntries)]
	b.Uvarint(uint64(len(entries)))
	for _, e := range entries {
		appendPeer(b, e)
	}
}

func parseEntries(p *wire.Parser) (entries []Peer) {
	n := p.Uvarint()
	if n > maxEntries {
		p.Failf("%d entries", n)
	}
	if p.Err() != nil {
		return nil
	}
	for range n {
		e := parsePeer(p)
		if p.Err() != nil {
			return nil
		}
		entries = append(entries, e)
	}
	return entries
}
