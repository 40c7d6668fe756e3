package gossip

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// mark points at messages without carrying them: the positions from through to
// in a sender's stream of a topic. A mark with from 0 names only the topic.
type mark struct {
	topic    TopicID
	sender   identity.AgentID
	epoch    uint64
	from, to uint64
	hops     uint8 // in announcements: how far from its publisher the announcer is
}

// mark points at an envelope.
func (e *entry) mark() mark {
	return mark{topic: e.topic.id, sender: e.sender, epoch: e.epoch, from: e.first, to: e.last(), hops: e.hops}
}

func (m *mark) sameStream(o *mark) bool {
	return m.topic == o.topic && m.sender == o.sender && m.epoch == o.epoch
}

func compareMarks(a, b mark) int {
	return cmp.Or(
		bytes.Compare(a.topic[:], b.topic[:]),
		bytes.Compare(a.sender[:], b.sender[:]),
		cmp.Compare(a.epoch, b.epoch),
		cmp.Compare(a.from, b.from),
		cmp.Compare(b.to, a.to),
	)
}

// maxMarks bounds the marks of one frame: how much work a neighbour gives us at
// once.
const maxMarks = 4096

// markFrames encodes marks into frames of bounded size, each of which begins
// with prefix. It sorts the list, and drops marks that overlap others.
//
//	topics: uvarint | topics × (topic:32 | streams: uvarint | streams × stream)
//	  stream = sender:32 | epoch: u64 | items: uvarint | items × item
//	  item   = skip: uvarint | length-1: uvarint | hops: u8, in announcements alone
//
// An item begins skip numbers after the end of the one before, of which the
// first counts from 0, so one message in a stream that was named costs 3 bytes.
// Topics, senders, epochs and items ascend: every list has one encoding. A
// topic without streams stands for itself.
func markFrames(prefix []byte, hops bool, list []mark) [][]byte {
	slices.SortFunc(list, compareMarks)
	kept := list[:0]
	for _, m := range list {
		if n := len(kept); n > 0 {
			last := &kept[n-1]
			if last.topic == m.topic && last.from == 0 { // the topic is named anyhow
				kept = kept[:n-1]
			} else if last.sameStream(&m) && m.from <= last.to {
				continue
			}
		}
		kept = append(kept, m)
	}
	var frames [][]byte
	for len(kept) > 0 {
		var n int
		b := wire.NewBuilder(slices.Clone(prefix))
		n = min(len(kept), maxMarks)
		size := 0
		for i := range n { // what n marks take at most
			size += 22
			if i == 0 || !kept[i].sameStream(&kept[i-1]) {
				size += 84
			}
			if size > frameFill {
				n = i
				break
			}
		}
		appendMarks(b, hops, kept[:n])
		frames = append(frames, b.Build())
		kept = kept[n:]
	}
	return frames
}

func appendMarks(b *wire.Builder, hops bool, list []mark) {
	sameTopic := func(a, b *mark) bool { return a.topic == b.topic }
	sameStream := func(a, b *mark) bool { return a.sameStream(b) }
	b.Uvarint(uint64(runs(list, sameTopic)))
	for len(list) > 0 {
		topic := list[:run(list, sameTopic)]
		list = list[len(topic):]
		b.Fixed(topic[0].topic[:])
		if topic[0].from == 0 {
			b.Uvarint(0)
			continue
		}
		b.Uvarint(uint64(runs(topic, sameStream)))
		for len(topic) > 0 {
			stream := topic[:run(topic, sameStream)]
			topic = topic[len(stream):]
			b.Fixed(stream[0].sender[:]).U64(stream[0].epoch).Uvarint(uint64(len(stream)))
			end := uint64(0)
			for _, m := range stream {
				b.Uvarint(m.from - end).Uvarint(m.to - m.from)
				if hops {
					b.U8(m.hops)
				}
				end = m.to
			}
		}
	}
}

// run returns how many marks at the start of a list are the same by same.
func run(list []mark, same func(a, b *mark) bool) int {
	n := 1
	for n < len(list) && same(&list[n], &list[0]) {
		n++
	}
	return n
}

func runs(list []mark, same func(a, b *mark) bool) (n int) {
	for len(list) > 0 {
		list = list[run(list, same):]
		n++
	}
	return n
}

// parseMarks reads a list of marks. Its length is bounded by the bytes that are
// there, and by maxMarks.
func parseMarks(op string, body []byte, hops bool) ([]mark, error) {
	p := wire.NewParser(op, body)
	var list []mark
	topics := p.Uvarint()
	if topics > maxFrameTopics {
		p.Failf("%d topics", topics)
	}
	var lastTopic TopicID
	for i := uint64(0); i < topics && p.Err() == nil; i++ {
		var m mark
		p.Into(m.topic[:])
		streams := p.Uvarint()
		if i > 0 && bytes.Compare(m.topic[:], lastTopic[:]) <= 0 {
			p.Failf("topics do not ascend")
		}
		lastTopic = m.topic
		if streams == 0 {
			list = append(list, m)
		}
		var last mark
		for j := uint64(0); j < streams && p.Err() == nil; j++ {
			p.Into(m.sender[:])
			m.epoch = p.U64()
			items := p.Uvarint()
			if m.epoch == 0 || items == 0 {
				p.Failf("an empty stream")
			}
			if j > 0 && cmp.Or(bytes.Compare(m.sender[:], last.sender[:]), cmp.Compare(m.epoch, last.epoch)) <= 0 {
				p.Failf("streams do not ascend")
			}
			last = m
			end := uint64(0)
			for k := uint64(0); k < items && p.Err() == nil; k++ {
				skip, length := p.Uvarint(), p.Uvarint()
				if skip == 0 || skip > maxSequence-end || length > maxSequence-end-skip {
					p.Failf("impossible positions")
				}
				m.from, m.to = end+skip, end+skip+length
				end = m.to
				if hops {
					m.hops = p.U8()
				}
				if len(list) >= maxMarks {
					p.Failf("more than %d marks", maxMarks)
				}
				list = append(list, m)
			}
		}
		if len(list) > maxMarks {
			p.Failf("more than %d marks", maxMarks)
		}
	}
	if err := p.Done(); err != nil {
		return nil, err
	}
	return list, nil
}
