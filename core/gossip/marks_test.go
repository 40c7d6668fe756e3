package gossip

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

func drawMarks(t *rapid.T, hops bool) (list []mark) {
	for range rapid.IntRange(0, 60).Draw(t, "marks") {
		m := mark{topic: TopicID{byte(rapid.IntRange(0, 2).Draw(t, "topic"))}}
		if rapid.IntRange(0, 9).Draw(t, "messages") > 0 {
			m.sender = identity.AgentID{byte(rapid.IntRange(0, 2).Draw(t, "sender"))}
			m.epoch = rapid.Uint64Range(1, 3).Draw(t, "epoch")
			m.from = rapid.Uint64Range(1, 100).Draw(t, "from")
			m.to = m.from + rapid.Uint64Range(0, 20).Draw(t, "length")
			if hops {
				m.hops = rapid.Byte().Draw(t, "hops")
			}
		}
		list = append(list, m)
	}
	return list
}

func TestMarksSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hops := rapid.Bool().Draw(t, "hops")
		list := drawMarks(t, hops)
		type position struct {
			topic  TopicID
			sender identity.AgentID
			epoch  uint64
			n      uint64
		}
		first := map[position]bool{} // where a mark begins that overlaps no earlier one
		topics := map[TopicID]bool{}
		for _, m := range list {
			topics[m.topic] = true
		}
		frames := markFrames([]byte{7}, hops, list)
		for _, f := range frames {
			if f[0] != 7 {
				t.Fatal("no prefix")
			}
			got, err := parseMarks("test", f[1:], hops)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range got {
				delete(topics, m.topic)
				for n := m.from; n <= m.to && m.from > 0; n++ {
					at := position{m.topic, m.sender, m.epoch, n}
					if first[at] {
						t.Fatal("a position twice")
					}
					first[at] = true
				}
			}
			if again := markFrames([]byte{7}, hops, got); len(again) != 1 || !bytes.Equal(again[0], f) {
				t.Fatal("two encodings")
			}
		}
		if len(topics) > 0 {
			t.Fatal("a topic is missing")
		}
	})
}

func TestManyMarksTakeManyFrames(t *testing.T) {
	var list []mark
	for i := range 10_000 {
		list = append(list, mark{topic: TopicID{1}, sender: identity.AgentID{byte(i), byte(i >> 8)}, epoch: 1, from: 1, to: 1})
	}
	frames := markFrames([]byte{1}, false, list)
	require.Greater(t, len(frames), 5)
	total := 0
	for _, f := range frames {
		require.LessOrEqual(t, len(f), frameFill)
		got, err := parseMarks("test", f[1:], false)
		require.NoError(t, err)
		total += len(got)
	}
	require.Equal(t, 10_000, total)
}

func TestDigestOfSeveralFramesIsPartial(t *testing.T) {
	var list []mark
	for i := range 2000 {
		list = append(list, mark{topic: TopicID{1}, sender: identity.AgentID{byte(i), byte(i >> 8)}, epoch: 1, from: 1, to: 1})
	}
	for _, f := range digestFrames(list, digestWhole) {
		_, kind, err := parseDigest(f[1:])
		require.NoError(t, err)
		require.Equal(t, digestPart, kind)
	}
}

func FuzzParseMarks(f *testing.F) {
	m := mark{topic: TopicID{1}, sender: identity.AgentID{2}, epoch: 3, from: 4, to: 9, hops: 5}
	other := mark{topic: TopicID{2}}
	for _, list := range [][]mark{nil, {m}, {other}, {m, other}, {m, {topic: m.topic, sender: m.sender, epoch: 3, from: 10, to: 10}, {topic: m.topic, sender: m.sender, epoch: 4, from: 1, to: 1 << 40}}} {
		for _, hops := range []bool{false, true} {
			for _, frame := range markFrames(nil, hops, slices.Clone(list)) {
				f.Add(frame, hops)
			}
		}
	}
	f.Add([]byte{0}, false)
	f.Add([]byte{1, 2, 3}, true)
	f.Fuzz(func(t *testing.T, b []byte, hops bool) {
		list, err := parseMarks("fuzz", b, hops)
		if err != nil {
			return
		}
		if len(list) > maxMarks || len(list) > len(b) {
			t.Fatalf("%d marks of %d bytes", len(list), len(b))
		}
		for _, m := range list {
			if m.from > m.to || m.to > maxSequence {
				t.Fatalf("%+v", m)
			}
		}
		w := wire.NewBuilder(nil)
		appendMarks(w, hops, list)
		again := w.Build()
		if !bytes.Equal(again, b) {
			t.Fatalf("written again: %x\nwas: %x", again, b)
		}
	})
}
