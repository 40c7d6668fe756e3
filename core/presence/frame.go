package presence

import (
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// frameType is the first byte of a frame.
type frameType byte

const (
	frameBeacon  frameType = 0x60 // I am online
	frameGoodbye frameType = 0x61 // I am not any more
	frameWatch   frameType = 0x62 // send me your beacons, for so long
	frameUnwatch frameType = 0x63 // no longer
	frameQuery   frameType = 0x64 // who is online around you
	frameAnswer  frameType = 0x65 // to QUERY: beacons of others
)

// IsFrame says whether a first byte is of a frame of this package, also of one
// that only a later version knows.
func IsFrame(first byte) bool { return 0x60 <= first && first < 0x70 }

const (
	maxAnswer = 16 // beacons in one answer
	// MaxFrame is the largest frame: an answer. A larger one is refused unread.
	MaxFrame = 1 + 8 + 1 + 1 + maxAnswer*(identity.PublicKeySize+maxSealed)
)

// beaconFrame: 0x60 | sealed beacon
func beaconFrame(b *beacon) []byte {
	w := wire.NewBuilder(nil).U8(byte(frameBeacon))
	b.appendTo(w)
	return w.Build()
}

func parseBeacon(body []byte) (beacon, error) {
	p := wire.NewParser("parse beacon", body)
	b := parseSealed(p)
	return b, p.Done()
}

// goodbyeFrame: 0x61 | sequence: u64
//
// The sequence is that of the last beacon: no copy of it or of one before, from
// whomever, brings the agent back.
func goodbyeFrame(sequence uint64) []byte {
	return wire.NewBuilder(nil).U8(byte(frameGoodbye)).U64(sequence).Build()
}

func parseGoodbye(body []byte) (uint64, error) {
	p := wire.NewParser("parse goodbye", body)
	sequence := p.U64()
	return sequence, p.Done()
}

// watchFrame: 0x62 | lease in ms: u32
func watchFrame(lease time.Duration) []byte {
	return wire.NewBuilder(nil).U8(byte(frameWatch)).U32(uint32(lease.Milliseconds())).Build()
}

func parseWatch(body []byte) (time.Duration, error) {
	p := wire.NewParser("parse watch", body)
	lease := time.Duration(p.U32()) * time.Millisecond
	if p.Err() == nil && lease == 0 {
		p.Failf("no lease")
	}
	return lease, p.Done()
}

// unwatchFrame: 0x63
func unwatchFrame() []byte { return []byte{byte(frameUnwatch)} }

func parseUnwatch(body []byte) error { return wire.NewParser("parse unwatch", body).Done() }

// query: 0x64 | id: u64 | hops: u8, 1 to 5 | time for the answer in ms: u32
type query struct {
	id     uint64
	ttl    int
	budget time.Duration
}

func queryFrame(q query) []byte {
	return wire.NewBuilder(nil).U8(byte(frameQuery)).U64(q.id).U8(uint8(q.ttl)).U32(uint32(q.budget.Milliseconds())).Build()
}

func parseQuery(body []byte) (q query, err error) {
	p := wire.NewParser("parse query", body)
	q.id = p.U64()
	q.ttl = int(p.U8())
	q.budget = time.Duration(p.U32()) * time.Millisecond
	if p.Err() == nil {
		switch {
		case q.ttl < 1 || q.ttl > maxTTL:
			p.Failf("impossible number of hops %d", q.ttl)
		case q.budget < time.Millisecond || q.budget > maxBudget:
			p.Failf("impossible time of %v", q.budget)
		}
	}
	return q, p.Done()
}

// answer:
//
//	+------+---------+---------------+------------------+--------------------------------+
//	| 0x65 | id: u64 | final: 0 or 1 | beacons: uvarint | beacons × (key:1,952 | sealed) |
//	+------+---------+---------------+------------------+--------------------------------+
//
// A query is answered by any number of these, of which the last is final.
type answer struct {
	id      uint64
	final   bool
	beacons []relayed
}

// relayed is a beacon that somebody else passes on, with the key of its agent.
type relayed struct {
	key []byte
	beacon
}

func answerFrame(a answer) []byte {
	final := uint8(0)
	if a.final {
		final = 1
	}
	w := wire.NewBuilder(nil).U8(byte(frameAnswer)).U64(a.id).U8(final).Uvarint(uint64(len(a.beacons)))
	for i := range a.beacons {
		w.Fixed(a.beacons[i].key)
		a.beacons[i].appendTo(w)
	}
	return w.Build()
}

func parseAnswer(body []byte) (a answer, err error) {
	p := wire.NewParser("parse answer", body)
	a.id = p.U64()
	final := p.U8()
	n := p.Uvarint()
	switch {
	case final > 1:
		p.Failf("impossible flag %d", final)
	case n > maxAnswer:
		p.Failf("%d beacons", n)
	}
	if p.Err() != nil {
		return a, p.Done()
	}
	a.final = final == 1
	for range n {
		key := p.Fixed(identity.PublicKeySize)
		b := parseSealed(p)
		if p.Err() != nil {
			break
		}
		a.beacons = append(a.beacons, relayed{append([]byte(nil), key...), b})
	}
	return a, p.Done()
}
