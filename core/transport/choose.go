package transport

import "bytes"

// choice is which of two connections to one peer stays.
type choice uint8

const (
	oldStays  choice = iota // the new one is refused
	newStays                // the old one is dead: close it at once
	newDrains               // the new one stays, the old one may finish its streams
)

// claim is what a choice looks at. All but dialled, peer and ended is the same on
// both sides of a connection.
type claim struct {
	id      ConnID
	dialled bool     // by this side
	seq     uint64   // the dialler's
	gaveUp  ConnID   // said by the dialler
	peer    [16]byte // the process at the other end
	ended   bool
}

func (c *Conn) claim() claim {
	return claim{
		id: c.session.id, dialled: c.dialled, seq: c.seq, gaveUp: c.gaveUp,
		peer: c.peerInstance, ended: c.quic.Context().Err() != nil,
	}
}

// choose decides between a new connection and the current one. Both sides come
// to the same answer from the same data, in whatever order they learn of the two:
//
//	the current one has ended                             new
//	the new one's dialler considers the current one dead  new
//	the current one's dialler considers the new one dead  current
//	the peer is another process than the current one's    new
//	the same side dialled both: it has moved on           the later dial
//	opposite sides dialled, a simultaneous open           the smaller id's dial
//
// smaller says that our id, (agent, machine), is the smaller one.
func choose(c, current claim, smaller bool) choice {
	switch {
	case current.ended:
		return newStays
	case !c.gaveUp.IsZero() && c.gaveUp == current.id:
		return newStays
	case !current.gaveUp.IsZero() && current.gaveUp == c.id:
		return oldStays
	case c.peer != current.peer:
		return newStays
	case c.dialled == current.dialled:
		if c.seq > current.seq {
			return newStays
		}
		return oldStays
	case c.dialled == smaller:
		return newDrains
	}
	return oldStays
}

func (k peerKey) less(other peerKey) bool {
	if n := k.agent.Compare(other.agent); n != 0 {
		return n < 0
	}
	return bytes.Compare(k.machine[:], other.machine[:]) < 0
}

func (e *Endpoint) self() peerKey { return peerKey{e.agent, e.machine} }
