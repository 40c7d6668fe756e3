package membership

import (
	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// probeFrame: 0x27 | sequence: u64 | incarnation of the prober: u64 | the probed is a neighbour: 0 or 1
func probeFrame(sequence, incarnation uint64, neighbor bool) []byte {
	return wire.NewBuilder(nil).U8(byte(frameProbe)).U64(sequence).U64(incarnation).U8(bit(neighbor)).Build()
}

func parseProbe(body []byte) (sequence, incarnation uint64, neighbor bool, err error) {
	p := wire.NewParser("parse probe", body)
	sequence, incarnation = p.U64(), p.U64()
	flag := p.U8()
	if flag > 1 {
		p.Failf("impossible flag %d", flag)
	}
	return sequence, incarnation, flag == 1, p.Done()
}

// ackFrame: 0x29 | sequence: u64 | incarnation of the probed: u64
func ackFrame(sequence, incarnation uint64) []byte {
	return wire.NewBuilder(nil).U8(byte(frameAck)).U64(sequence).U64(incarnation).Build()
}

func parseAck(body []byte) (sequence, incarnation uint64, err error) {
	p := wire.NewParser("parse ack", body)
	sequence, incarnation = p.U64(), p.U64()
	return sequence, incarnation, p.Done()
}

// probeRequestFrame: 0x28 | sequence: u64 | target: agent:32
func probeRequestFrame(sequence uint64, target identity.AgentID) []byte {
	return wire.NewBuilder(nil).U8(byte(frameProbeRequest)).U64(sequence).Fixed(target[:]).Build()
}

func parseProbeRequest(body []byte) (sequence uint64, target identity.AgentID, err error) {
	p := wire.NewParser("parse probe request", body)
	sequence = p.U64()
	p.Into(target[:])
	return sequence, target, p.Done()
}

// newsFrame: 0x2a | items: uvarint | items × (status: u8 | hops: u8 | incarnation: u64 | agent:32)
func newsFrame(items []newsItem) []byte {
	b := wire.NewBuilder(nil).U8(byte(frameNews)).Uvarint(uint64(len(items)))
	for _, it := range items {
		b.U8(uint8(it.status)).U8(it.hops).U64(it.incarnation).Fixed(it.agent[:])
	}
	return b.Build()
}

func parseNews(body []byte) (items []newsItem, err error) {
	p := wire.NewParser("parse news", body)
	n := p.Uvarint()
	if n == 0 || n > maxNews {
		p.Failf("%d items", n)
	}
	if p.Err() != nil {
		return nil, p.Err()
	}
	for range n {
		it := newsItem{status: status(p.U8()), hops: p.U8(), incarnation: p.U64()}
		p.Into(it.agent[:])
		if it.status > statusFailed {
			p.Failf("impossible status %d", it.status)
		}
		if p.Err() != nil {
			return nil, p.Err()
		}
		items = append(items, it)
	}
	return items, p.Done()
}
