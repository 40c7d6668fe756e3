package gossip

import (
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Class tells the Sender what a frame is, so that control frames need not wait
// behind bulk.
type Class uint8

const (
	ClassControl Class = iota // interest, keys, announcements, requests: small, wanted soon
	ClassBulk                 // messages
)

// frameType is the first byte of a frame. A frame of an unknown type is counted
// and dropped: later versions add types.
type frameType byte

const (
	frameEnvelope    frameType = 0x01 // an envelope that is pushed: hops, envelope
	frameRetained    frameType = 0x02 // an envelope kept for a while: hops, age, envelope
	frameSubscribe   frameType = 0x03 // topics that the sender wants, and what it has of them
	frameUnsubscribe frameType = 0x04 // topics that it no longer wants
	frameReady       frameType = 0x05 // end of the interest at the start of a connection
	frameKeyRequest  frameType = 0x06 // agents whose public keys it needs
	frameKey         frameType = 0x07 // one public key
	frameIHave       frameType = 0x08 // announces messages
	frameGraft       frameType = 0x09 // asks for messages, and for what comes in their topics
	framePrune       frameType = 0x0A // asks for announcements in place of messages
	frameIWant       frameType = 0x0B // asks for messages once
	frameDigest      frameType = 0x0C // what is retained of topics
	frameGreet       frameType = 0x0D // asks for interest and ready again; no body
)

const (
	// frameFill is where a control frame is closed and the next begun.
	frameFill = 48 << 10
	// Limits of one control frame: what a peer can make us allocate at once.
	maxFrameTopics  = 1024
	maxFrameStreams = 1024 // per topic
	maxKeyRequest   = 32
	// maxAge is longer than anything is retained; more is a mistake or a lie
	// and makes no difference.
	maxAge = time.Hour
)

// An envelope that is pushed, live:
//
//	+------+----------+----------+
//	| 0x01 | hops: u8 | envelope |
//	+------+----------+----------+
//
// The low six bits of hops say how far the receiver is from the publisher, from
// 1, up to maxHops. The next is set if the envelope was asked for somewhere on
// its way, so that when it comes says nothing about the length of the tree. None
// of it is signed: it only helps to choose links, and a neighbour that lies about
// it could as well be slow.
const (
	envelopeAt = 2 // where the envelope begins
	maxHops    = 0x3f
	isDelayed  = 0x40
	isAnswer   = 0x80
)

// appendRetained makes the retained form of an envelope frame:
//
//	+------+----------+--------------------+----------+
//	| 0x02 | hops: u8 | age in ms: uvarint | envelope |
//	+------+----------+--------------------+----------+
//
// The age says how long ago the envelope was live, measured by each node on its
// own clock and summed up, so that nothing depends on clocks being equal. It is
// not signed: a neighbour that lies about it could as well withhold the message.
// The highest bit of hops is set in what answers a request, or replays what was
// missed: such an envelope says nothing about the link that it comes by. It is
// not set in a push that waited for a slow connection.
func appendRetained(pushed []byte, age time.Duration, answer bool) []byte {
	hops := pushed[1]
	if answer {
		hops |= isAnswer
	}
	b := wire.NewBuilder(make([]byte, 0, len(pushed)+5)).
		U8(byte(frameRetained)).
		U8(hops).
		Uvarint(uint64(clampAge(age).Milliseconds())).
		Fixed(pushed[envelopeAt:])
	return b.Build()
}

// arrival is how an envelope came.
type arrival struct {
	hops    uint8
	pushed  bool // by a link that the neighbour holds to be eager
	delayed bool // it was asked for on its way
	age     time.Duration
}

// next returns the hops for neighbours.
func (a arrival) next() uint8 {
	hops := min(a.hops+1, maxHops)
	if a.delayed || !a.pushed {
		hops |= isDelayed
	}
	return hops
}

func parseArrival(p *wire.Parser) (a arrival) {
	b := p.U8()
	a = arrival{hops: b & maxHops, pushed: b&isAnswer == 0, delayed: b&isDelayed != 0}
	if p.Err() == nil && a.hops == 0 {
		p.Failf("no hops")
	}
	return a
}

func parsePushed(body []byte) (a arrival, envelope []byte, err error) {
	p := wire.NewParser("parse pushed", body)
	a = parseArrival(p)
	if !a.pushed {
		p.Failf("a push that is an answer")
	}
	envelope = p.Rest()
	return a, envelope, p.Done()
}

// parseRetained takes the head off the body of a retained frame.
func parseRetained(body []byte) (a arrival, envelope []byte, err error) {
	p := wire.NewParser("parse retained", body)
	a = parseArrival(p)
	ms := p.Uvarint()
	envelope = p.Rest()
	if err := p.Done(); err != nil {
		return arrival{}, nil, err
	}
	a.age = time.Duration(min(ms, uint64(maxAge.Milliseconds()))) * time.Millisecond
	return a, envelope, nil
}

func clampAge(d time.Duration) time.Duration { return min(max(d, 0), maxAge) }

// interest is one topic of a subscribe frame:
//
//	+------+----------------+--------------------------------------------------
//	| 0x03 | topics: uvarint | topic:32 | distance: u8 | streams: uvarint | …
//	+------+----------------+--------------------------------------------------
//	  stream = sender:32 | epoch: u64 | floor: uvarint | spans: uvarint | spans × (skip, length: uvarint)
//
// distance says how many hops away the nearest subscriber is, other than those
// that the receiver itself leads to: 0 is the sender of the frame, 255 (nowhere)
// that it knows of none, and merely relays. The streams say what it has already,
// so that only the rest is sent: 1 … floor, and spans that begin skip numbers
// after the last one present.
type interest struct {
	topic    TopicID
	distance uint8
	streams  []streamHas
}

// nowhere is the distance of a subscriber that nobody knows of.
const nowhere = 0xff

type streamHas struct {
	sender identity.AgentID
	epoch  uint64
	seen   ranges
}

// subscribeFrames encodes a list of any length into frames of bounded size.
func subscribeFrames(list []interest) [][]byte {
	var frames [][]byte
	for len(list) > 0 {
		body := wire.NewBuilder(nil)
		n := 0
		for n < len(list) && n < maxFrameTopics && body.Len() < frameFill {
			in := &list[n]
			body.Fixed(in.topic[:]).U8(in.distance).Uvarint(uint64(len(in.streams)))
			for i := range in.streams {
				s := &in.streams[i]
				body.Fixed(s.sender[:]).U64(s.epoch).Uvarint(s.seen.floor).Uvarint(uint64(len(s.seen.spans)))
				end := s.seen.floor
				for _, sp := range s.seen.spans {
					body.Uvarint(sp.from - end).Uvarint(sp.to - sp.from)
					end = sp.to
				}
			}
			n++
		}
		frames = append(frames, wire.NewBuilder(nil).U8(byte(frameSubscribe)).Uvarint(uint64(n)).Fixed(body.Build()).Build())
		list = list[n:]
	}
	return frames
}

func parseSubscribe(body []byte) ([]interest, error) {
	p := wire.NewParser("parse subscribe", body)
	n := p.Uvarint()
	if n > maxFrameTopics {
		p.Failf("%d topics", n)
	}
	var list []interest
	for range n {
		var in interest
		p.Into(in.topic[:])
		in.distance = p.U8()
		streams := p.Uvarint()
		if streams > maxFrameStreams {
			p.Failf("%d streams", streams)
		}
		if p.Err() != nil {
			return nil, p.Err()
		}
		for range streams {
			s, err := parseStream(p)
			if err != nil {
				return nil, err
			}
			in.streams = append(in.streams, s)
		}
		list = append(list, in)
	}
	return list, p.Done()
}

func parseStream(p *wire.Parser) (s streamHas, err error) {
	p.Into(s.sender[:])
	s.epoch = p.U64()
	s.seen.floor = p.Uvarint()
	spans := p.Uvarint()
	if spans > maxSpans || s.seen.floor > maxSequence {
		p.Failf("impossible stream")
	}
	if p.Err() != nil {
		return s, p.Err()
	}
	end := s.seen.floor
	for range spans {
		skip, length := p.Uvarint(), p.Uvarint()
		if skip < 2 || skip > maxSequence || length > maxSequence || end > maxSequence {
			p.Failf("impossible span")
		}
		if p.Err() != nil {
			return s, p.Err()
		}
		from := end + skip
		end = from + length
		s.seen.spans = append(s.seen.spans, span{from, end})
	}
	return s, nil
}

// unsubscribeFrame: 0x04 | count: uvarint | count × topic:32
func unsubscribeFrame(topics ...TopicID) []byte {
	b := wire.NewBuilder(nil).U8(byte(frameUnsubscribe)).Uvarint(uint64(len(topics)))
	for _, t := range topics {
		b.Fixed(t[:])
	}
	return b.Build()
}

func parseUnsubscribe(body []byte) ([]TopicID, error) {
	return parseIDs[TopicID]("parse unsubscribe", body, maxFrameTopics)
}

// pruneFrame: 0x0A | count: uvarint | count × topic:32
func pruneFrame(topic TopicID) []byte {
	return wire.NewBuilder(nil).U8(byte(framePrune)).Uvarint(1).Fixed(topic[:]).Build()
}

func parsePrune(body []byte) ([]TopicID, error) {
	return parseIDs[TopicID]("parse prune", body, maxFrameTopics)
}

// keyRequestFrame: 0x06 | count: uvarint | count × agent:32
func keyRequestFrame(agents ...identity.AgentID) []byte {
	b := wire.NewBuilder(nil).U8(byte(frameKeyRequest)).Uvarint(uint64(len(agents)))
	for _, a := range agents {
		b.Fixed(a[:])
	}
	return b.Build()
}

func parseKeyRequest(body []byte) ([]identity.AgentID, error) {
	return parseIDs[identity.AgentID]("parse key request", body, maxKeyRequest)
}

func parseIDs[T ~[32]byte](op string, body []byte, limit uint64) ([]T, error) {
	p := wire.NewParser(op, body)
	n := p.Uvarint()
	if n > limit {
		p.Failf("%d ids", n)
	}
	if p.Err() != nil {
		return nil, p.Err()
	}
	if uint64(p.Len()) != n*32 {
		p.Failf("%d bytes for %d ids", p.Len(), n)
	}
	var ids []T
	for range n {
		if p.Err() != nil {
			break
		}
		ids = append(ids, T(p.Fixed(32)))
	}
	return ids, p.Done()
}

// keyFrame: 0x07 | public key:1952
func keyFrame(key []byte) []byte {
	return append([]byte{byte(frameKey)}, key...)
}

// readyFrame: 0x05 | version: 1 | relay: 0 or 1
func readyFrame(relay bool) []byte {
	f := []byte{byte(frameReady), 1, 0}
	if relay {
		f[2] = 1
	}
	return f
}

func parseReady(body []byte) (relay bool, err error) {
	p := wire.NewParser("parse ready", body)
	version, flag := p.U8(), p.U8()
	if p.Err() == nil && (version != 1 || flag > 1) {
		p.Failf("version %d, relay %d", version, flag)
	}
	return flag == 1, p.Done()
}
