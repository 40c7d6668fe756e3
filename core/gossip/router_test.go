package gossip

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// pair is a publisher and a subscriber that are connected; the tests of hostile
// envelopes put frames of their own between them.
func pair(t *testing.T) (s *sim, pub, sub int) {
	s = newSim(t)
	pub, sub = s.add(1), s.add(2)
	s.connect(pub, sub)
	s.subscribe(sub, "t", true)
	s.settle()
	return s, pub, sub
}

// inject hands a frame to the subscriber as if the publisher had sent it, and
// returns how the counters changed.
func (s *sim) inject(from, to int, frame []byte) (d Stats) {
	before := s.routers[to].stats
	s.routers[to].handleFrame(s.routers[from].own, frame, s.now)
	s.collect(to)
	s.settle()
	after := s.routers[to].stats
	return Stats{
		Received: after.Received - before.Received, Delivered: after.Delivered - before.Delivered,
		Duplicates: after.Duplicates - before.Duplicates, Replayed: after.Replayed - before.Replayed,
		Forged: after.Forged - before.Forged, Malformed: after.Malformed - before.Malformed,
		Oversize: after.Oversize - before.Oversize, Unsupported: after.Unsupported - before.Unsupported,
		Future: after.Future - before.Future, Unwanted: after.Unwanted - before.Unwanted,
		Blocked: after.Blocked - before.Blocked, KeyOverflows: after.KeyOverflows - before.KeyOverflows,
		BadFrames: after.BadFrames - before.BadFrames, UnknownFrames: after.UnknownFrames - before.UnknownFrames,
		KeysRefused: after.KeysRefused - before.KeysRefused,
	}
}

func TestGenuineEnvelopeIsDelivered(t *testing.T) {
	s, pub, sub := pair(t)
	_, frame := s.seal(pub, "t", 1, "one")
	require.Equal(t, Stats{Received: 1, Delivered: 1}, s.inject(pub, sub, frame))
	require.Equal(t, []string{"one"}, s.texts(sub))
}

func TestForgedIsDropped(t *testing.T) {
	s, pub, sub := pair(t)
	_, frame := s.seal(pub, "t", 1, "one")
	offsets := map[string]int{
		"payload": bytes.LastIndex(frame[:len(frame)-identity.SignatureSize], []byte("one")),
		"first":   3 + 32 + 32 + 8, "time": 3 + 32 + 32 + 8 + 1 + 7, "epoch": 3 + 32 + 32 + 7,
		"signature": len(frame) - 1,
	}
	for name, at := range offsets {
		t.Run(name, func(t *testing.T) {
			bad := bytes.Clone(frame)
			bad[at] ^= 2
			require.Equal(t, Stats{Forged: 1}, s.inject(pub, sub, bad))
		})
	}
	t.Run("another author", func(t *testing.T) {
		bad := bytes.Clone(frame)
		own := s.routers[sub].own
		copy(bad[3:], own[:])
		require.Equal(t, Stats{Forged: 1}, s.inject(pub, sub, bad))
	})
	t.Run("a bundle cut down to one message", func(t *testing.T) {
		_, bundle := s.seal(pub, "t", 1, "a", "b")
		count := 3 + 32 + 32 + 8 + 1 + 8
		require.EqualValues(t, 2, bundle[count])
		bad := append(bytes.Clone(bundle[:count]), 1, 1, 'a')
		bad = append(bad, bundle[len(bundle)-identity.SignatureSize:]...)
		require.Equal(t, Stats{Forged: 1}, s.inject(pub, sub, bad))
	})
	require.Empty(t, s.texts(sub))
	require.Equal(t, Stats{Received: 1, Delivered: 1}, s.inject(pub, sub, frame), "a forgery does not use up the position")
}

func TestReplayIsDropped(t *testing.T) {
	s, pub, sub := pair(t)
	_, frame := s.seal(pub, "t", 1, "one")
	s.inject(pub, sub, frame)
	require.Equal(t, Stats{Duplicates: 1}, s.inject(pub, sub, frame))
	require.Equal(t, Stats{Duplicates: 1}, s.inject(pub, sub, appendRetained(frame, 0, true)), "nor as a retained one")
	require.Equal(t, []string{"one"}, s.texts(sub))
}

func TestOldEpochIsDropped(t *testing.T) {
	s, pub, sub := pair(t)
	r := s.routers[pub]
	first := r.cfg.Epoch
	_, old := s.seal(pub, "t", 1, "old")
	for i := range maxEpochs + 1 {
		r.cfg.Epoch = first + uint64(i) + 1
		_, frame := s.seal(pub, "t", 1, "new")
		require.EqualValues(t, 1, s.inject(pub, sub, frame).Received)
	}
	require.Equal(t, Stats{Replayed: 1}, s.inject(pub, sub, old))
}

func TestRestartIsNewer(t *testing.T) {
	s, pub, sub := pair(t)
	s.publish(pub, "t", 1, "before", "also before")
	s.settle()
	// The same key in a new process, which counts from 1 again.
	s.now = s.now.Add(time.Second)
	again := s.add(1)
	require.Greater(t, s.routers[again].cfg.Epoch, s.routers[pub].cfg.Epoch)
	s.disconnect(pub, sub)
	s.connect(again, sub)
	s.publish(again, "t", 1, "after")
	s.settle()
	require.Equal(t, []string{"before", "also before", "after"}, s.texts(sub))
	require.EqualValues(t, 1, s.got[sub][2].Sequence)
	require.Greater(t, s.got[sub][2].Epoch, s.got[sub][1].Epoch)
}

func TestOversizeIsDropped(t *testing.T) {
	s, pub, sub := pair(t)
	_, frame := s.seal(pub, "t", 1, strings.Repeat("x", MaxPayload+1))
	require.Equal(t, Stats{Oversize: 1}, s.inject(pub, sub, frame))
	half := strings.Repeat("x", maxBundleBytes/2+1)
	_, frame = s.seal(pub, "t", 1, half, half)
	require.Equal(t, Stats{Oversize: 1}, s.inject(pub, sub, frame))
	_, frame = s.seal(pub, "t", 1, make([]string, maxBundle+1)...)
	require.Equal(t, Stats{Oversize: 1}, s.inject(pub, sub, frame))
	require.Equal(t, Stats{Oversize: 1}, s.inject(pub, sub, make([]byte, MaxFrame+1)))
	_, frame = s.seal(pub, "t", 1, strings.Repeat("x", MaxPayload))
	require.Equal(t, Stats{Received: 1, Delivered: 1}, s.inject(pub, sub, frame), "the limit itself is fine")
	_, frame = s.seal(pub, "t", 2, make([]string, maxBundle)...)
	require.Equal(t, Stats{Received: maxBundle, Delivered: maxBundle}, s.inject(pub, sub, frame))
}

func TestWrongTopicIsDropped(t *testing.T) {
	s, pub, sub := pair(t)
	_, frame := s.seal(pub, "other", 1, "one")
	want := NewTopicID(testNetwork, "t")
	copy(frame[3+32:], want[:])
	require.Equal(t, Stats{Forged: 1}, s.inject(pub, sub, frame), "moved to another topic")

	// A node that does not relay takes nothing that it did not subscribe.
	leaf := s.add(3, func(c *Config) { c.NoRelay = true })
	s.connect(pub, leaf)
	s.subscribe(leaf, "t", true)
	s.settle()
	_, frame = s.seal(pub, "other", 1, "one")
	require.Equal(t, Stats{Unwanted: 1}, s.inject(pub, leaf, frame))
	require.Empty(t, s.texts(leaf))
}

func TestWrongNetworkIsDropped(t *testing.T) {
	s, pub, sub := pair(t)
	r := s.routers[pub]
	env := &envelope{sender: r.own, topic: NewTopicID(testNetwork, "t"), epoch: 1, first: 1, time: r.cfg.Clock.Now(), payloads: [][]byte{{1}}}
	frame, err := sealEnvelope(r.cfg.Key, "another network", env)
	require.NoError(t, err)
	require.Equal(t, Stats{Forged: 1}, s.inject(pub, sub, frame))
	require.NotEqual(t, NewTopicID("a", "bc"), NewTopicID("ab", "c"))
}

func TestFutureIsDroppedAndReportedOnce(t *testing.T) {
	var logged bytes.Buffer
	s := newSim(t)
	pub := s.add(1)
	sub := s.add(2, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	s.connect(pub, sub)
	s.subscribe(sub, "t", true)
	s.settle()
	r := s.routers[pub]
	seal := func(first uint64, ahead time.Duration) []byte {
		env := &envelope{sender: r.own, topic: NewTopicID(testNetwork, "t"), epoch: 1, first: first, time: wire.At(s.now.Add(ahead)), payloads: [][]byte{{1}}}
		frame, err := sealEnvelope(r.cfg.Key, testNetwork, env)
		require.NoError(t, err)
		return frame
	}
	require.Equal(t, Stats{Received: 1, Delivered: 1}, s.inject(pub, sub, seal(1, 59*time.Second)))
	for i := range uint64(3) {
		require.Equal(t, Stats{Future: 1}, s.inject(pub, sub, seal(2+i, 61*time.Second)))
	}
	require.Equal(t, 1, strings.Count(logged.String(), "clock is ahead"))

	// An epoch from the future would make every later restart look old.
	env := &envelope{sender: r.own, topic: NewTopicID(testNetwork, "t"), epoch: uint64(wire.At(s.now.Add(time.Hour))), first: 1, time: wire.At(s.now), payloads: [][]byte{{1}}}
	frame, err := sealEnvelope(r.cfg.Key, testNetwork, env)
	require.NoError(t, err)
	require.Equal(t, Stats{Future: 1}, s.inject(pub, sub, frame))
}

func TestUnknownVersionIsDropped(t *testing.T) {
	s, pub, sub := pair(t)
	_, frame := s.seal(pub, "t", 1, "one")
	frame[2] = 2
	require.Equal(t, Stats{Unsupported: 1}, s.inject(pub, sub, frame))
}

func TestBrokenFramesAreCounted(t *testing.T) {
	s, pub, sub := pair(t)
	require.Equal(t, Stats{UnknownFrames: 1}, s.inject(pub, sub, []byte{0x7f, 1, 2}))
	require.Equal(t, Stats{Oversize: 1}, s.inject(pub, sub, nil))
	for _, typ := range []frameType{frameRetained, frameSubscribe, frameUnsubscribe, frameReady, frameKeyRequest, frameKey} {
		require.Equal(t, Stats{BadFrames: 1}, s.inject(pub, sub, []byte{byte(typ), 0xff}), "type %#x", typ)
	}
	_, frame := s.seal(pub, "t", 1, "one")
	for cut := range len(frame) - 1 {
		if cut%97 != 0 && cut > 91 && cut < len(frame)-5 {
			continue
		}
		d := s.inject(pub, sub, frame[:1+cut])
		require.EqualValues(t, 1, d.Malformed+d.Forged+d.BadFrames, "cut to %d bytes: %+v", cut, d)
	}
	require.Equal(t, Stats{Malformed: 1}, s.inject(pub, sub, append(bytes.Clone(frame), 0)))
	require.Empty(t, s.texts(sub))
}

func TestRelayForwardsAfterVerification(t *testing.T) {
	s := newSim(t)
	a, b, c := s.add(1), s.add(2), s.add(3)
	s.connect(a, b)
	s.connect(b, c)
	s.subscribe(c, "t", true) // B only relays
	s.settle()
	s.publish(a, "t", 1, "hello")
	s.settle()
	require.Equal(t, []string{"hello"}, s.texts(c))
	require.Empty(t, s.texts(b))
	require.EqualValues(t, 1, s.routers[b].stats.Forwarded)

	_, frame := s.seal(a, "t", 2, "forged")
	frame[len(frame)-1] ^= 1
	require.Equal(t, Stats{Forged: 1}, s.inject(a, b, frame))
	require.EqualValues(t, 1, s.routers[b].stats.Forwarded, "a forgery ends at the first honest node")
	require.EqualValues(t, 0, s.routers[c].stats.Forged)
}

func TestDiamondDeliversOnce(t *testing.T) {
	s := newSim(t)
	a, b, c, d := s.add(1), s.add(2), s.add(3), s.add(4)
	for _, l := range [][2]int{{a, b}, {a, c}, {b, d}, {c, d}} {
		s.connect(l[0], l[1])
	}
	for i := range s.routers {
		s.subscribe(i, "t", true)
	}
	s.settle()
	for i := range uint64(10) {
		s.publish(a, "t", i+1, numbered(10)[i])
	}
	s.settle()
	for i := range s.routers {
		require.Equal(t, numbered(10), s.texts(i), "node %d", i)
	}
	require.NotZero(t, s.routers[d].stats.Duplicates)
}

func TestIdenticalPayloadsAreDifferentMessages(t *testing.T) {
	s, pub, sub := pair(t)
	s.publish(pub, "t", 1, "same")
	s.publish(pub, "t", 2, "same", "same")
	s.settle()
	require.Equal(t, []string{"same", "same", "same"}, s.texts(sub))
}

func TestOverlappingBundlesDeliverEachPositionOnce(t *testing.T) {
	s, pub, sub := pair(t)
	for _, b := range []struct {
		first    uint64
		payloads []string
	}{{1, []string{"1", "2", "3"}}, {2, []string{"x", "y", "4"}}, {6, []string{"6"}}, {4, []string{"z", "5", "w", "7"}}} {
		_, frame := s.seal(pub, "t", b.first, b.payloads...)
		s.inject(pub, sub, frame)
	}
	require.Equal(t, []string{"1", "2", "3", "4", "6", "5", "7"}, s.texts(sub))
}

func TestRetentionReachesLateSubscribers(t *testing.T) {
	t.Run("peer comes after the publication", func(t *testing.T) {
		s := newSim(t)
		a, b := s.add(1), s.add(2)
		s.publish(a, "t", 1, "early")
		s.subscribe(b, "t", true)
		s.now = s.now.Add(time.Second)
		s.connect(a, b)
		s.settle()
		require.Equal(t, []string{"early"}, s.texts(b))
	})
	t.Run("subscription comes after the publication", func(t *testing.T) {
		for _, relay := range []bool{true, false} {
			s := newSim(t)
			a, b := s.add(1), s.add(2, func(c *Config) { c.NoRelay = !relay })
			s.connect(a, b)
			s.settle()
			s.publish(a, "t", 1, "early")
			s.settle()
			require.Equal(t, relay, s.routers[b].stats.Received == 1)
			s.now = s.now.Add(time.Second)
			s.subscribe(b, "t", true)
			s.settle()
			require.Equal(t, []string{"early"}, s.texts(b), "relay %v", relay)
			s.publish(a, "t", 2, "late")
			s.settle()
			require.Equal(t, []string{"early", "late"}, s.texts(b))
		}
	})
	t.Run("without replay only new ones", func(t *testing.T) {
		for _, relay := range []bool{true, false} {
			s := newSim(t)
			a, b := s.add(1), s.add(2, func(c *Config) { c.NoRelay = !relay })
			s.publish(a, "t", 1, "early")
			s.now = s.now.Add(time.Second)
			s.subscribe(b, "t", false)
			s.connect(a, b)
			s.settle()
			require.Empty(t, s.texts(b))
			s.publish(a, "t", 2, "late")
			s.settle()
			require.Equal(t, []string{"late"}, s.texts(b), "relay %v", relay)
		}
	})
	t.Run("an interruption loses nothing, replay or not", func(t *testing.T) {
		for _, replay := range []bool{true, false} {
			s, a, b := pair(t)
			s.subscribe(b, "t2", replay)
			s.settle()
			s.publish(a, "t2", 1, "one")
			s.settle()
			s.disconnect(a, b)
			s.now = s.now.Add(time.Second)
			s.publish(a, "t2", 2, "two")
			s.now = s.now.Add(time.Second)
			s.connect(a, b)
			s.settle()
			require.Equal(t, []string{"one", "two"}, s.texts(b), "replay %v", replay)
			require.Zero(t, s.routers[b].stats.Duplicates, "only what was missing was sent")
		}
	})
	t.Run("over a relay that came in between", func(t *testing.T) {
		s := newSim(t)
		a, b, c := s.add(1), s.add(2), s.add(3)
		s.publish(a, "t", 1, "early")
		s.connect(a, b)
		s.settle()
		s.disconnect(a, b) // the publisher is gone
		s.subscribe(c, "t", true)
		s.connect(b, c)
		s.settle()
		require.Equal(t, []string{"early"}, s.texts(c))
	})
	t.Run("a subscription of the publisher itself", func(t *testing.T) {
		s := newSim(t)
		a := s.add(1)
		s.publish(a, "t", 1, "early")
		s.subscribe(a, "t", false)
		require.Empty(t, s.texts(a))
		s.subscribe(a, "t", true)
		require.Equal(t, []string{"early"}, s.texts(a))
	})
}

func TestRetentionIsBounded(t *testing.T) {
	late := func(s *sim, pub int) []string {
		sub := s.add(9)
		s.subscribe(sub, "t", true)
		s.connect(pub, sub)
		s.settle()
		return s.texts(sub)
	}
	t.Run("messages", func(t *testing.T) {
		s := newSim(t)
		a := s.add(1, func(c *Config) { c.Retention.Messages = 3 })
		for i, p := range numbered(10) {
			s.publish(a, "t", uint64(i)+1, p)
		}
		require.Equal(t, []string{"7", "8", "9"}, late(s, a))
	})
	t.Run("bytes", func(t *testing.T) {
		s := newSim(t)
		a := s.add(1, func(c *Config) { c.Retention.Bytes = 10_000 })
		for i, p := range numbered(10) {
			s.publish(a, "t", uint64(i)+1, p)
		}
		require.Equal(t, []string{"8", "9"}, late(s, a), "two signatures fit")
	})
	t.Run("age", func(t *testing.T) {
		s := newSim(t)
		a := s.add(1)
		s.publish(a, "t", 1, "old")
		s.now = s.now.Add(4 * time.Minute)
		s.publish(a, "t", 2, "young")
		s.now = s.now.Add(2 * time.Minute)
		s.routers[a].tick(s.now)
		require.Equal(t, []string{"young"}, late(s, a))
		s.now = s.now.Add(10 * time.Minute)
		s.routers[a].tick(s.now)
		require.True(t, s.routers[a].log.empty())
		require.Zero(t, s.routers[a].log.bytes)
	})
	t.Run("age adds up over relays", func(t *testing.T) {
		s := newSim(t)
		a, b := s.add(1), s.add(2)
		s.publish(a, "t", 1, "old")
		s.now = s.now.Add(4 * time.Minute)
		s.connect(a, b)
		s.settle()
		s.now = s.now.Add(2 * time.Minute)
		s.routers[b].tick(s.now)
		require.True(t, s.routers[b].log.empty())
	})
	t.Run("all topics together", func(t *testing.T) {
		s := newSim(t)
		a, b := s.add(1), s.add(2, func(c *Config) { c.MaxLogBytes = 40_000 })
		s.connect(a, b)
		for i := range 50 {
			s.publish(a, numbered(50)[i], 1, "x")
		}
		s.settle()
		require.EqualValues(t, 50, s.routers[b].stats.Received)
		require.LessOrEqual(t, s.routers[b].log.bytes, int64(40_000))
	})
}

func TestInterestDecidesWhatALeafGets(t *testing.T) {
	s := newSim(t)
	a := s.add(1)
	leaf := s.add(2, func(c *Config) { c.NoRelay = true })
	s.connect(a, leaf)
	sub := s.subscribe(leaf, "t", true)
	s.settle()
	s.publish(a, "t", 1, "wanted")
	s.publish(a, "u", 1, "not wanted")
	s.settle()
	require.Equal(t, []string{"wanted"}, s.texts(leaf))
	require.EqualValues(t, 1, s.routers[a].stats.Forwarded)

	s.routers[leaf].unsubscribe(sub, s.now)
	s.settle()
	s.publish(a, "t", 2, "no longer wanted")
	s.settle()
	require.EqualValues(t, 1, s.routers[a].stats.Forwarded)

	s.subscribe(leaf, "t", true)
	s.settle()
	require.Equal(t, []string{"wanted", "wanted", "no longer wanted"}, s.texts(leaf), "a new subscription gets what is retained")
}

func TestBlockedAuthorIsRelayedButNotDelivered(t *testing.T) {
	s := newSim(t)
	blocked := agent(t, 1)
	a := s.add(1)
	b := s.add(2, func(c *Config) {
		c.Policy = func(id identity.AgentID) (trust.Level, bool) {
			if id == blocked {
				return trust.Blocked, false
			}
			return trust.Known, true
		}
	})
	c := s.add(3)
	s.connect(a, b)
	s.connect(b, c)
	s.subscribe(b, "t", true)
	s.subscribe(c, "t", true)
	s.settle()
	s.publish(a, "t", 1, "hello")
	s.publish(c, "t", 1, "from c")
	s.settle()
	require.Equal(t, []string{"from c"}, s.texts(b))
	require.Equal(t, trust.Known, s.got[b][0].TrustLevel)
	require.ElementsMatch(t, []string{"hello", "from c"}, s.texts(c))
	require.EqualValues(t, 1, s.routers[b].stats.Blocked)
	s.subscribe(b, "t", true)
	require.Equal(t, []string{"from c", "from c"}, s.texts(b), "nor by retention")
}

func TestLocalTopicsStayInTheProcess(t *testing.T) {
	s, a, b := pair(t)
	s.subscribe(a, "local:x", true)
	s.subscribe(b, "local:x", true)
	s.settle()
	env := &envelope{sender: s.routers[a].own, topic: s.routers[a].topicID("local:x"), epoch: 1, first: 1, time: 1, payloads: [][]byte{[]byte("in")}}
	s.routers[a].publish("local:x", env, nil, s.now)
	s.collect(a)
	s.settle()
	require.Equal(t, []string{"in"}, s.texts(a))
	require.Empty(t, s.texts(b))
	s.subscribe(a, "local:x", true)
	require.Equal(t, []string{"in", "in"}, s.texts(a), "retained")

	// Nor can anybody outside write to one.
	r := s.routers[b]
	hostile := &envelope{sender: r.own, topic: NewTopicID(testNetwork, "local:x"), epoch: 1, first: 1, time: r.cfg.Clock.Now(), payloads: [][]byte{[]byte("out")}}
	frame, err := sealEnvelope(r.cfg.Key, testNetwork, hostile)
	require.NoError(t, err)
	s.inject(b, a, frame)
	require.Equal(t, []string{"in", "in"}, s.texts(a))
}

// A key that is in no cache of this process, as that of a distant author.
func strangerFrame(t *testing.T, topic string, first uint64, now time.Time) (*identity.Key, []byte) {
	t.Helper()
	k, err := identity.GenerateKey()
	require.NoError(t, err)
	env := &envelope{sender: k.Public().AgentID(), topic: NewTopicID(testNetwork, topic), epoch: 1, first: first, time: wire.At(now), payloads: [][]byte{[]byte("far")}}
	frame, err := sealEnvelope(k, testNetwork, env)
	require.NoError(t, err)
	return k, frame
}

func TestUnknownKeyIsFetched(t *testing.T) {
	s, pub, sub := pair(t)
	k, frame := strangerFrame(t, "t", 1, s.now)
	_, cached := identity.LookupPublicKey(k.Public().AgentID())
	require.False(t, cached)

	s.routers[pub].keys.put(k.Public().AgentID(), k.Public().Bytes()) // it verified, so it knows
	require.Equal(t, Stats{Received: 1, Delivered: 1}, s.inject(pub, sub, frame))
	require.EqualValues(t, 1, s.routers[sub].stats.KeyRequests)
	require.EqualValues(t, 1, s.routers[pub].stats.KeysServed)
	require.Zero(t, s.routers[sub].keys.count)

	require.Equal(t, Stats{KeysRefused: 1}, s.inject(pub, sub, keyFrame(k.Public().Bytes())), "an answer to no question")
}

func TestKeyRequestsGoToTheNextNeighbourAndEnd(t *testing.T) {
	s, pub, sub := pair(t)
	third := s.add(3)
	s.connect(third, sub)
	s.settle()
	k, frame := strangerFrame(t, "t", 1, s.now)
	require.Equal(t, Stats{}, s.inject(pub, sub, frame), "waits for the key, which this neighbour does not have")
	require.Equal(t, Stats{}, s.inject(third, sub, frame))
	require.Equal(t, 2, s.routers[sub].keys.count)
	s.routers[third].keys.put(k.Public().AgentID(), k.Public().Bytes())
	s.now = s.now.Add(keyRetry)
	s.routers[sub].tick(s.now)
	s.settle()
	require.Equal(t, []string{"far"}, s.texts(sub))

	// The neighbour that was asked is gone before it answers, and comes again.
	again, frame := strangerFrame(t, "t", 1, s.now)
	s.cut[[2]int{sub, third}] = true
	s.inject(third, sub, frame)
	s.disconnect(third, sub)
	s.cut = map[[2]int]bool{}
	s.routers[third].keys.put(again.Public().AgentID(), again.Public().Bytes())
	s.connect(third, sub)
	s.settle()
	s.inject(third, sub, frame)
	require.Equal(t, []string{"far", "far"}, s.texts(sub), "asked again without waiting")

	_, lost := strangerFrame(t, "t", 1, s.now)
	s.inject(pub, sub, lost)
	for range keyTries + 1 {
		s.now = s.now.Add(keyRetry)
		s.routers[sub].tick(s.now)
		s.settle()
	}
	require.EqualValues(t, 1, s.routers[sub].stats.KeyTimeouts)
	require.Zero(t, s.routers[sub].keys.count)
	require.Zero(t, s.routers[sub].keys.bytes)
	require.Empty(t, s.routers[sub].keys.perPeer)
}

func TestWaitingForKeysIsBounded(t *testing.T) {
	s, pub, sub := pair(t)
	third := s.add(3)
	s.connect(third, sub)
	s.settle()
	_, frame := s.seal(pub, "t", 1, "x")
	overflows := 0
	for i := range maxAwaitingPeer + 50 {
		invented := bytes.Clone(frame)
		invented[3], invented[4], invented[5] = byte(i), byte(i>>8), 0xEE
		overflows += int(s.inject(pub, sub, invented).KeyOverflows)
	}
	require.Equal(t, 50, overflows)
	require.Equal(t, maxAwaitingPeer, s.routers[sub].keys.count)
	_, honest := strangerFrame(t, "t", 1, s.now)
	require.Zero(t, s.inject(third, sub, honest).KeyOverflows, "other neighbours have their own share")
}

func TestSlowNeighbourCostsTheLogAndNobodyElse(t *testing.T) {
	s := newSim(t)
	a := s.add(1, func(c *Config) { c.Retention.Messages = 5; c.MaxLogBytes = 60_000 })
	slow, fast := s.add(2), s.add(3)
	s.connect(a, slow)
	s.connect(a, fast)
	s.subscribe(slow, "t", true)
	s.subscribe(fast, "t", true)
	s.settle()
	s.cut[[2]int{a, slow}] = true
	for i, p := range numbered(10) {
		s.publish(a, "t", uint64(i)+1, p)
		s.settle()
	}
	require.Equal(t, numbered(10), s.texts(fast))
	r := s.routers[a]
	require.Positive(t, r.log.behind, "what only the slow one needs")
	s.cut = map[[2]int]bool{}
	s.settle()
	require.Equal(t, numbered(10), s.texts(slow), "more than is retained, since its cursor held it")
	require.Zero(t, r.log.behind)
	require.Zero(t, r.stats.PeerDropped)

	s.cut[[2]int{a, slow}] = true
	for i := range uint64(50) {
		s.publish(a, "t", 11+i, "x")
		s.settle()
	}
	require.LessOrEqual(t, r.log.bytes, int64(60_000))
	require.NotZero(t, r.stats.PeerDropped)
	lost := r.stats.PeerDropped
	r.stall(r.peers[s.routers[slow].own])
	require.Zero(t, r.log.behind, "a stalled one holds nothing")
	require.Greater(t, r.stats.PeerDropped, lost)
	s.cut = map[[2]int]bool{}
	s.settle()
	require.EqualValues(t, 50-r.stats.PeerDropped, len(s.texts(slow))-10, "what is counted is what is missing")
}

func TestForgottenStreamsAreBounded(t *testing.T) {
	s := newSim(t)
	a := s.add(1, func(c *Config) { c.NoRelay = true })
	r := s.routers[a]
	topic := r.named("t")
	topic.subs = append(topic.subs, &Subscription{topic: "t"})
	for i := range maxStreams + 10 {
		var id identity.AgentID
		id[0], id[1], id[2] = byte(i), byte(i>>8), byte(i>>16)
		r.stream(topic, id).open(1).seen.add(1, 1)
	}
	require.Equal(t, maxStreams, r.streams.Len())
	require.Len(t, topic.streams, maxStreams)
}

// Any topology, any order of joining, publishing, subscribing and cutting of
// links: when all are connected again and the frames have settled, every
// subscriber has every message once, and those of one sender in order.
func TestRouterProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSim(t)
		n := rapid.IntRange(2, 6).Draw(rt, "nodes")
		for i := range n {
			leaf := rapid.Bool().Draw(rt, "leaf")
			s.add(byte(i+1), func(c *Config) { c.NoRelay = leaf && i > 0 })
		}
		type edge = [2]int
		linked := map[edge]bool{}
		// Node 0 relays and joins everybody at the end, so the graph is whole.
		subscribed, published := map[int]bool{}, make([]uint64, n)
		total := 0
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			i := rapid.IntRange(0, n-1).Draw(rt, "node")
			j := rapid.IntRange(0, n-1).Draw(rt, "other")
			e := edge{min(i, j), max(i, j)}
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				if i != j {
					if linked[e] {
						s.disconnect(i, j)
					} else {
						s.connect(i, j)
					}
					linked[e] = !linked[e]
				}
			case 1:
				if !subscribed[i] {
					subscribed[i] = true
					s.subscribe(i, "t", true)
				}
			case 2, 3:
				k := rapid.IntRange(1, 3).Draw(rt, "messages")
				s.publish(i, "t", published[i]+1, numbered(k)...)
				published[i] += uint64(k)
				total += k
			case 4:
				for range rapid.IntRange(0, 10).Draw(rt, "frames") {
					s.step()
				}
			case 5:
				s.now = s.now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "ms")) * time.Millisecond)
			}
		}
		for i := 1; i < n; i++ {
			if e := (edge{0, i}); !linked[e] {
				s.connect(0, i)
			}
		}
		s.settle()
		for range 3 { // a request for a key may have gone to a neighbour that left
			s.now = s.now.Add(keyRetry)
			for _, r := range s.routers {
				r.tick(s.now)
			}
			s.settle()
		}
		for i := range n {
			if !subscribed[i] {
				continue
			}
			if len(s.got[i]) != total {
				rt.Fatalf("node %d has %d of %d messages", i, len(s.got[i]), total)
			}
			last := map[identity.AgentID]uint64{}
			for _, m := range s.got[i] {
				if m.Sequence <= last[m.Sender] {
					rt.Fatalf("node %d: message %d of %s after %d", i, m.Sequence, m.Sender.Short(), last[m.Sender])
				}
				last[m.Sender] = m.Sequence
			}
		}
		for _, r := range s.routers {
			if r.log.behind != 0 || r.stats.Forged+r.stats.Malformed+r.stats.BadFrames+r.stats.PeerDropped != 0 {
				rt.Fatalf("%+v", r.stats)
			}
		}
	})
}

func TestFramesOfStrangersAreDropped(t *testing.T) {
	s, pub, sub := pair(t)
	s.disconnect(pub, sub)
	_, frame := s.seal(pub, "t", 1, "late")
	for _, f := range [][]byte{frame, readyFrame(true), pruneFrame(TopicID{})} {
		s.routers[sub].handleFrame(s.routers[pub].own, f, s.now)
	}
	require.EqualValues(t, 3, s.routers[sub].stats.Strays)
	require.Empty(t, s.texts(sub))
}

func TestControlForOneThatDoesNotReadIsBounded(t *testing.T) {
	s, a, b := pair(t)
	r := s.routers[a]
	p := r.peers[s.routers[b].own]
	for range 2 * maxControl {
		r.control(p, make([]byte, 1000))
	}
	require.Len(t, p.control, maxControl)
	require.EqualValues(t, maxControl, r.stats.ControlDropped)
	p.control, p.controlBytes = nil, 0
	for range 10 {
		r.control(p, make([]byte, maxControlBytes/4))
	}
	require.Len(t, p.control, 5)
}
