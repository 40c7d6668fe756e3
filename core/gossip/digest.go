package gossip

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// planDigest sees to it that what is retained of a topic is compared from time
// to time with a neighbour, another each time: a hash first, positions only if it
// is not equal. That ends whatever a fault has begun: nobody who is connected
// lacks for long what another has.
func (r *router) planDigest(t *topicState, now time.Time) {
	if t.digesting || t.local || r.cfg.DigestPeriod < 0 {
		return
	}
	t.digesting = true
	wait := r.cfg.DigestPeriod/2 + time.Duration(r.cfg.Rand.Int64N(int64(r.cfg.DigestPeriod)))
	r.agenda.add(now.Add(wait), func(now time.Time) {
		t.digesting = false
		if len(t.retained) == 0 {
			return
		}
		ask := r.carriers(t)
		if len(ask) > 0 {
			p := ask[r.cfg.Rand.IntN(len(ask))]
			r.stats.DigestsSent++
			r.control(p, digestHashFrame(t.id, digestHash(retainedMarks(t.retained))))
		}
		r.planDigest(t, now)
	})
}

// retainedMarks says which positions some envelopes hold, in few marks.
func retainedMarks(entries []*entry) []mark {
	list := make([]mark, 0, len(entries))
	for _, e := range entries {
		list = append(list, e.mark())
	}
	slices.SortFunc(list, compareMarks)
	joined := list[:0]
	for _, m := range list {
		if n := len(joined); n > 0 && joined[n-1].sameStream(&m) && m.from <= joined[n-1].to+1 {
			joined[n-1].to = max(joined[n-1].to, m.to)
			continue
		}
		joined = append(joined, m)
	}
	return joined
}

// digestKind says what follows from what a digest does not mention.
type digestKind uint8

const (
	digestWhole  digestKind = iota // its sender lacks it, and can be told
	digestAnswer                   // nothing: it names only what its receiver lacks
	digestPart                     // nothing: there are other parts
	digestSum                      // the positions are to be told if the hash of the receiver's is another
)

// hashPause is how often a neighbour can have all positions of a topic told by
// a hash of some bytes.
const hashPause = time.Second

// hashSize is enough: a neighbour that makes hashes collide withholds messages
// from itself.
const hashSize = 16

func digestHash(list []mark) [hashSize]byte {
	b := wire.NewBuilder(nil)
	appendMarks(b, false, list)
	sum := sha256.Sum256(b.Build())
	return [hashSize]byte(sum[:hashSize])
}

// digestHashFrame: 0x0C | 3 | topic:32 | hash:16
func digestHashFrame(topic TopicID, hash [hashSize]byte) []byte {
	return wire.NewBuilder(nil).U8(byte(frameDigest)).U8(byte(digestSum)).Fixed(topic[:]).Fixed(hash[:]).Build()
}

func parseDigestHash(body []byte) (topic TopicID, hash [hashSize]byte, err error) {
	if len(body) != 1+len(topic)+hashSize {
		return topic, hash, wire.Errorf(wire.KindCorrupt, "parse digest", "%d bytes", len(body))
	}
	copy(hash[:], body[1+copy(topic[:], body[1:]):])
	return topic, hash, nil
}

// handleDigestHash tells what is here of a topic if it is not what the neighbour
// has; that leads to the rest.
func (r *router) handleDigestHash(p *peer, body []byte, now time.Time) error {
	topic, hash, err := parseDigestHash(body)
	if err != nil {
		return err
	}
	if !r.affords(p, 1, now) {
		return nil
	}
	list := []mark{{topic: topic}} // nothing of it
	t := r.topics[topic]
	if !r.takes(t) || t != nil && t.local {
		return nil
	}
	if t != nil && len(t.retained) > 0 {
		list = retainedMarks(t.retained)
	}
	if digestHash(list) == hash {
		r.stats.DigestsEqual++
		return nil
	}
	if t != nil {
		l := r.link(p, t)
		if !l.digested.IsZero() && now.Sub(l.digested) < hashPause {
			r.stats.RequestsRefused++
			return nil
		}
		l.digested = now
	}
	for _, f := range digestFrames(list, digestWhole) {
		r.stats.DigestsSent++
		r.control(p, f)
	}
	return nil
}

// digestFrames: 0x0C | kind: u8 | marks
func digestFrames(list []mark, kind digestKind) [][]byte {
	frames := markFrames([]byte{byte(frameDigest), byte(kind)}, false, list)
	if kind == digestWhole && len(frames) > 1 {
		for _, f := range frames {
			f[1] = byte(digestPart)
		}
	}
	return frames
}

func parseDigest(body []byte) (list []mark, kind digestKind, err error) {
	const op = "parse digest"
	if len(body) == 0 || body[0] > byte(digestPart) {
		return nil, 0, wire.Errorf(wire.KindCorrupt, op, "no kind")
	}
	list, err = parseMarks(op, body[1:], false)
	return list, digestKind(body[0]), err
}

// handleDigest asks for what a neighbour has and we lack, and tells it what we
// have and it lacks.
func (r *router) handleDigest(p *peer, body []byte, now time.Time) error {
	if len(body) > 0 && body[0] == byte(digestSum) {
		return r.handleDigestHash(p, body, now)
	}
	list, kind, err := parseDigest(body)
	if err != nil {
		return err
	}
	if !r.affords(p, 1+len(list)/16, now) {
		return nil
	}
	var telling []mark
	for len(list) > 0 {
		n := run(list, func(a, b *mark) bool { return a.topic == b.topic })
		part := list[:n]
		list = list[n:]
		t := r.topics[part[0].topic]
		if !r.takes(t) || t != nil && t.local {
			continue
		}
		r.want(p, r.lacking(t, part, now)...)
		if t != nil && kind == digestWhole && r.carries(p, t) {
			telling = append(telling, surplus(t, part)...)
		}
	}
	for _, f := range digestFrames(telling, digestAnswer) {
		r.stats.DigestsSent++
		r.control(p, f)
	}
	return nil
}

// lacking returns what of a neighbour's marks has not come here.
func (r *router) lacking(t *topicState, list []mark, now time.Time) (out []mark) {
	for _, m := range list {
		if m.from == 0 || wire.HLC(m.epoch).Check(now, r.cfg.MaxAhead) != nil {
			continue
		}
		var seen *ranges
		if t != nil && t.streams[m.sender] != nil {
			var old bool
			if seen, old = t.streams[m.sender].seen(m.epoch); old {
				continue
			}
		}
		if seen == nil {
			out = append(out, m)
			continue
		}
		from := max(m.from, seen.floor+1)
		for _, s := range seen.spans {
			if s.to < from {
				continue
			}
			if s.from > m.to {
				break
			}
			if from < s.from {
				out = append(out, mark{topic: m.topic, sender: m.sender, epoch: m.epoch, from: from, to: s.from - 1})
			}
			from = s.to + 1
		}
		if from <= m.to {
			out = append(out, mark{topic: m.topic, sender: m.sender, epoch: m.epoch, from: from, to: m.to})
		}
	}
	return out
}

// surplus returns what is retained here and not in a neighbour's marks.
func surplus(t *topicState, list []mark) []mark {
	var more []*entry
	for _, e := range t.retained {
		i, found := slices.BinarySearchFunc(list, e, func(m mark, e *entry) int {
			return cmp.Or(bytes.Compare(m.sender[:], e.sender[:]), cmp.Compare(m.epoch, e.epoch), cmp.Compare(m.from, e.first))
		})
		if !found {
			i-- // the last that begins before e
		}
		if i >= 0 && list[i].sender == e.sender && list[i].epoch == e.epoch && list[i].from <= e.first && e.last() <= list[i].to {
			continue
		}
		more = append(more, e)
	}
	return retainedMarks(more)
}
