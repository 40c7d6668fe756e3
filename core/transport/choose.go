package transport

import (
	"bytes"
)

// choice is which of two connections to one peer stays.
type choice uint8

const (
	oldStays  choice = iota // the new one is refused
	newStays                // the old one is dead: close it at once
	newDrains               // the new one stays, the old one may finish its streams
)

// choose decides between a new connection and the current one. Both sides come
// to the same answer, since all that it looks at is the same on both, whatever the
// order in which they learn of the two:
//
//	the current one has ended                               new
//	the new dialler considers the current one dead          new
//	the peer is another process than the current one's      new
//	the same side dialled both: it has moved on             the later dial
//	opposite sides dialled, a simultaneous open             the smaller id's dial
//
// self is our id; peers compare (agent, machine).
func choose(c, current *Conn, self peerKey) choice {
	switch {
	case current.quic.Context().Err() != nil,
		!c.gaveUp.IsZero() && c.gaveUp == current.session.id,
		c.peerInstance != current.peerInstance:
		return newStays
	case c.dialled == current.dialled:
		if c.seq > current.seq {
			return newStays
		}
		return oldStays
	}
	peer := peerKey{c.agent, c.session.machine}
	if (self.compare(peer) < 0) == c.dialled {
		return newDrains
	}
	return oldStays
}

func (k peerKey) compare(other peerKey) int {
	if n := k.agent.Compare(other.agent); n != 0 {
		return n
	}
	return bytes.Compare(k.machine[:], other.machine[:])
}

func (e *Endpoint) self() peerKey {
	return peerKey{e.agent, e.machine}
}
