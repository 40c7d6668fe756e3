package gossip

import (
	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	envelopeVersion = 1

	// MaxPayload bounds one message.
	MaxPayload = 1 << 20
	// maxBundle and maxBundleBytes bound several messages under one signature:
	// one verification never stands for more than this much work, and a lost
	// bundle for more than this much loss.
	maxBundle      = 256
	maxBundleBytes = 64 << 10

	// MaxFrame bounds every frame: the largest envelope with room for its
	// header and signature.
	MaxFrame = MaxPayload + 4<<10

	// Positions end far below 2⁶⁴, so that adding a count never wraps.
	maxSequence = 1 << 62
)

// envelope is one signed unit: one or more messages of one sender in one topic,
// at consecutive positions.
//
//	+------------+-----------+----------+-----------+---------------+---------+
//	| version: 1 | sender:32 | topic:32 | epoch: u64 | first: uvarint | HLC: u64 |
//	+------------+-----------+----------+-----------+---------------+---------+
//	| count: uvarint | count × (length: uvarint, payload) | signature: 3309 |
//	+----------------+------------------------------------+-----------------+
//
// Every value has one encoding. The signature, ML-DSA-65, covers
// SignedBytes(domain, network id, all bytes before the signature), with one
// domain for a single message and another for a bundle. The network id is not
// sent: an envelope of another network does not verify.
//
// epoch is the HLC time at which the publishing process began, so that a
// restart is newer than everything before it; with the sequence, from 1, it is
// the position of a message in the sender's stream of this topic.
type envelope struct {
	sender   identity.AgentID
	topic    TopicID
	epoch    uint64
	first    uint64
	time     wire.HLC
	payloads [][]byte

	signed    []byte // what comes before the signature
	signature []byte
}

func (e *envelope) last() uint64 { return e.first + uint64(len(e.payloads)) - 1 }

// parseEnvelope reads an envelope. What it returns shares memory with b.
// Errors: KindUnsupported for another version, KindTooLarge for a message or
// bundle over its limit, KindCorrupt otherwise.
func parseEnvelope(b []byte) (*envelope, error) {
	const op = "parse envelope"
	if len(b) > 0 && b[0] != envelopeVersion {
		return nil, wire.Errorf(wire.KindUnsupported, op, "version %d", b[0])
	}
	if len(b) < identity.SignatureSize {
		return nil, wire.Errorf(wire.KindCorrupt, op, "%d bytes", len(b))
	}
	e := &envelope{
		signed:    b[:len(b)-identity.SignatureSize],
		signature: b[len(b)-identity.SignatureSize:],
	}
	p := wire.NewParser(op, e.signed)
	p.U8() // version
	p.Into(e.sender[:])
	p.Into(e.topic[:])
	e.epoch = p.U64()
	e.first = p.Uvarint()
	e.time = wire.HLC(p.U64())
	count := p.Uvarint()
	if err := p.Err(); err != nil {
		return nil, err
	}
	if count == 0 || count > maxBundle {
		return nil, wire.Errorf(wire.KindTooLarge, op, "%d messages", count)
	}
	if e.epoch == 0 || e.first == 0 || e.first > maxSequence {
		return nil, wire.Errorf(wire.KindCorrupt, op, "impossible position %d.%d", e.epoch, e.first)
	}
	limit := maxBundleBytes
	if count == 1 {
		limit = MaxPayload
	}
	if p.Len() > limit+int(count)*4 { // a length takes 1 to 3 bytes
		return nil, wire.Errorf(wire.KindTooLarge, op, "%d messages in %d bytes", count, p.Len())
	}
	e.payloads = make([][]byte, 0, count)
	total := 0
	for range count {
		payload := p.Bytes(MaxFrame)
		total += len(payload)
		if p.Err() != nil {
			return nil, p.Err()
		}
		e.payloads = append(e.payloads, payload)
	}
	if total > limit {
		return nil, wire.Errorf(wire.KindTooLarge, op, "%d messages of %d bytes", count, total)
	}
	if err := p.Done(); err != nil {
		return nil, err
	}
	return e, nil
}

// sealEnvelope encodes and signs e, and returns the frame that pushes it to the
// publisher's neighbours.
func sealEnvelope(key *identity.Key, networkID string, e *envelope) ([]byte, error) {
	size := 128 + identity.SignatureSize
	for _, p := range e.payloads {
		size += len(p) + 3
	}
	b := wire.NewBuilder(make([]byte, 0, size)).
		U8(byte(frameEnvelope)).
		U8(1). // hop
		U8(envelopeVersion).
		Fixed(e.sender[:]).
		Fixed(e.topic[:]).
		U64(e.epoch).
		Uvarint(e.first).
		U64(uint64(e.time)).
		Uvarint(uint64(len(e.payloads)))
	for _, p := range e.payloads {
		b.Bytes(p)
	}
	frame := b.Build()
	domain := e.domain()
	sig, err := key.Sign(wire.SignedBytes(domain, []byte(networkID), frame[envelopeAt:]), []byte(domain))
	if err != nil {
		return nil, err
	}
	return append(frame, sig...), nil
}

func (e *envelope) domain() string {
	if len(e.payloads) == 1 {
		return identity.DomainEnvelope
	}
	return identity.DomainBundle
}

// verify reports whether the sender signed e in this network. key must be the
// sender's.
func (e *envelope) verify(key *identity.PublicKey, networkID string) bool {
	domain := e.domain()
	return key.Verify(wire.SignedBytes(domain, []byte(networkID), e.signed), []byte(domain), e.signature)
}
