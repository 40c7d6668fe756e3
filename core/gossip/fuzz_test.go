package gossip

import (
	"bytes"
	"testing"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

func seedFrames(f *testing.F) (frames [][]byte) {
	s := newSim(f)
	i := s.add(1)
	for _, payloads := range [][]string{{""}, {"one"}, {"a", "", "ccc"}} {
		_, frame := s.seal2(i, payloads...)
		frames = append(frames, frame, appendRetained(frame, time.Second, true))
	}
	full := ranges{floor: 3}
	full.add(7, 9)
	full.add(20, 20)
	list := []interest{
		{topic: TopicID{1}, distance: 2},
		{topic: TopicID{2}, distance: nowhere, streams: []streamHas{{sender: identity.AgentID{9}, epoch: 5, seen: full}, {epoch: 1}}},
	}
	frames = append(frames, subscribeFrames(list)...)
	return append(frames,
		unsubscribeFrame(), unsubscribeFrame(TopicID{1}, TopicID{2}),
		keyRequestFrame(identity.AgentID{1}), keyFrame(testKey(f, 1).Public().Bytes()),
		readyFrame(true), readyFrame(false),
		pruneFrame(TopicID{1}), pruneFrame(NewTopicID(testNetwork, "t")),
		iHaveFrames(seedMarks(s))[0], graftFrames(seedMarks(s))[0], iWantFrames(seedMarks(s))[0],
		digestFrames(seedMarks(s), digestWhole)[0], digestFrames(seedMarks(s), digestAnswer)[0])
}

func seedMarks(s *sim) []mark {
	r := s.routers[0]
	m := mark{topic: r.topicID("t"), sender: r.own, epoch: r.cfg.Epoch, from: 1, to: 1, hops: 1}
	gone := m
	gone.from, gone.to = 3, 5
	return []mark{m, gone, {topic: TopicID{1}}}
}

func (s *sim) seal2(i int, payloads ...string) (*envelope, []byte) {
	return s.seal(i, "t", 1, payloads...)
}

func FuzzParseEnvelope(f *testing.F) {
	for _, frame := range seedFrames(f) {
		f.Add(frame[min(envelopeAt, len(frame)):])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseEnvelope(b)
		if err != nil {
			if wire.KindOf(err) == wire.KindIO {
				t.Fatalf("an error without a kind: %v", err)
			}
			return
		}
		if n := len(e.payloads); n == 0 || n > maxBundle {
			t.Fatalf("%d messages", n)
		}
		// One value, one encoding.
		w := wire.NewBuilder(nil).U8(envelopeVersion).Fixed(e.sender[:]).Fixed(e.topic[:]).U64(e.epoch).
			Uvarint(e.first).U64(uint64(e.time)).Uvarint(uint64(len(e.payloads)))
		for _, p := range e.payloads {
			w.Bytes(p)
		}
		if again := append(w.Build(), e.signature...); !bytes.Equal(again, b) {
			t.Fatalf("written again: %x\nwas: %x", again, b)
		}
	})
}

func FuzzParseSubscribe(f *testing.F) {
	for _, frame := range seedFrames(f) {
		f.Add(frame[1:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseSubscribe(b)
		if err != nil || len(b) > frameFill {
			return
		}
		frames := subscribeFrames(list)
		switch {
		case len(list) == 0 && len(frames) == 0:
		case len(frames) != 1 || !bytes.Equal(frames[0][1:], b):
			t.Fatalf("written again: %x\nwas: %x", frames, b)
		}
	})
}

func FuzzParseIDs(f *testing.F) {
	for _, frame := range seedFrames(f) {
		f.Add(frame[1:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if ids, err := parseUnsubscribe(b); err == nil && !bytes.Equal(unsubscribeFrame(ids...)[1:], b) {
			t.Fatalf("%x", b)
		}
		if ids, err := parsePrune(b); err == nil && len(ids) == 1 && !bytes.Equal(pruneFrame(ids[0])[1:], b) {
			t.Fatalf("%x", b)
		}
		if list, kind, err := parseDigest(b); err == nil && (len(list) > maxMarks || kind > digestPart) {
			t.Fatalf("%x", b)
		}
		if a, env, err := parsePushed(b); err == nil && (!a.pushed || a.hops == 0 || a.hops > maxHops || len(env) != len(b)-1) {
			t.Fatalf("%x", b)
		}
		if ids, err := parseKeyRequest(b); err == nil && !bytes.Equal(keyRequestFrame(ids...)[1:], b) {
			t.Fatalf("%x", b)
		}
		if relay, err := parseReady(b); err == nil && !bytes.Equal(readyFrame(relay)[1:], b) {
			t.Fatalf("%x", b)
		}
		if a, env, err := parseRetained(b); err == nil && a.age <= maxAge {
			if len(env) >= len(b) || a.age < 0 {
				t.Fatalf("%x", b)
			}
		}
	})
}

// A router between two neighbours gets any sequence of frames from one of them.
func FuzzHandleFrame(f *testing.F) {
	frames := seedFrames(f)
	for _, frame := range frames {
		f.Add(frame, frame)
		f.Add(readyFrame(true), frame)
		f.Add(digestHashFrame(TopicID{1}, [hashSize]byte{2}), frame)
		f.Add([]byte{byte(frameGreet)}, frame)
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		s := newSim(t)
		a, b, c := s.add(1), s.add(2), s.add(3)
		s.connect(a, b)
		s.connect(b, c)
		s.subscribe(b, "t", true)
		s.publish(b, "t", 1, "x")
		r := s.routers[b]
		for _, frame := range [][]byte{one, two} {
			r.handleFrame(s.routers[a].own, frame, s.now)
			s.settle()
		}
		s.wait(10 * time.Second)
		s.now = s.now.Add(time.Hour)
		r.tick(s.now)
		s.settle()
		if r.missing != 0 {
			t.Fatalf("%d messages are awaited for ever", r.missing)
		}
		if r.log.bytes != 0 || !r.log.empty() || r.log.behind != 0 {
			t.Fatalf("the log does not end empty: %+v", r.log)
		}
		for range keyTries + 1 {
			s.now = s.now.Add(keyRetry)
			r.tick(s.now)
		}
		if r.keys.count != 0 || r.keys.bytes != 0 || len(r.keys.perPeer) != 0 {
			t.Fatalf("%d envelopes wait for ever", r.keys.count)
		}
	})
}
