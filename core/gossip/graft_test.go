package gossip

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// orphan is a subscriber 0 with lazy links to n holders of a message that
// another neighbour should have pushed.
func orphan(t *testing.T, n int, change ...func(*Config)) (s *sim, m mark) {
	s = newSim(t)
	me := s.add(1, change...)
	s.subscribe(me, "t", true)
	for i := 1; i <= n; i++ {
		s.add(byte(i + 1))
		s.subscribe(i, "t", true)
		s.connect(me, i)
		s.settle()
		s.lazy(me, i, "t")
	}
	env, frame := s.seal(1, "t", 1, "orphaned")
	for i := 1; i <= n; i++ {
		if i == 1 {
			s.routers[1].publish("t", env, frame, s.now)
		} else {
			s.give(i, frame)
		}
		s.collect(i)
	}
	s.forget()
	return s, mark{topic: s.routers[1].topicID("t"), sender: env.sender, epoch: env.epoch, from: 1, to: 1, hops: 1}
}

// give lets a router have a message from nowhere.
func (s *sim) give(i int, frame []byte) {
	s.t.Helper()
	env, err := parseEnvelope(frame[envelopeAt:])
	require.NoError(s.t, err)
	s.routers[i].accept(identity.AgentID{}, env, arrival{hops: 1, pushed: true}, s.now)
	s.collect(i)
}

func TestGraftAfterTheTimer(t *testing.T) {
	for _, rtt := range []time.Duration{0, 100 * time.Millisecond} {
		s, _ := orphan(t, 1, func(c *Config) { c.RTT = func(identity.AgentID) time.Duration { return rtt } })
		wait := max(50*time.Millisecond, 2*rtt)
		s.wait(40*time.Millisecond + wait - time.Millisecond) // it may announce after 20 or 40 ms
		if at := s.sentFrames(1, 0, frameIHave)[0].at; s.now.Sub(at) < wait {
			require.Empty(t, s.sentFrames(0, 1, frameGraft))
			s.wait(wait - s.now.Sub(at) + time.Millisecond)
		}
		grafts := s.sentFrames(0, 1, frameGraft)
		require.Len(t, grafts, 1)
		require.Equal(t, wait, grafts[0].at.Sub(s.sentFrames(1, 0, frameIHave)[0].at))
		require.Equal(t, []string{"orphaned"}, s.texts(0))
		require.False(t, s.link(0, 1, "t").lazy)
		require.False(t, s.link(1, 0, "t").lazy, "eager at both ends")
		require.EqualValues(t, 1, s.routers[1].stats.Grafted)
		require.EqualValues(t, 1, s.routers[0].stats.GraftsSent)
		require.EqualValues(t, 1, s.routers[0].stats.Repaired)
		s.forget()
		s.publish(1, "t", 2, "pushed")
		s.settle()
		require.Len(t, s.sentFrames(1, 0, frameEnvelope), 1)
	}
}

func TestGraftGoesToTheNextAnnouncer(t *testing.T) {
	s, _ := orphan(t, 3)
	for i := 1; i <= 3; i++ { // they announce and then take no request
		s.cut[[2]int{0, i}] = true
	}
	s.wait(time.Second)
	r := s.routers[0]
	asked := func(i int) int {
		n := 0
		for _, f := range r.peers[s.routers[i].own].control {
			if frameType(f[0]) == frameGraft {
				n++
			}
		}
		return n
	}
	for i := 1; i <= 3; i++ {
		require.Positive(t, asked(i), "each in turn")
	}
	delete(s.cut, [2]int{0, 3})
	s.wait(10 * time.Millisecond)
	require.Equal(t, []string{"orphaned"}, s.texts(0))
}

func TestGraftsEnd(t *testing.T) {
	s, m := orphan(t, 1, func(c *Config) { c.DigestPeriod = -1 })
	s.cut[[2]int{1, 0}] = true
	s.inject(1, 0, iHaveFrames([]mark{m})[0])
	s.wait(time.Minute)
	require.EqualValues(t, 8, s.routers[0].stats.GraftsSent)
	require.EqualValues(t, 1, s.routers[0].stats.GapsGivenUp)
	require.Zero(t, s.routers[0].missing)
	require.Zero(t, s.routers[0].peers[s.routers[1].own].waiting)
}

func TestGraftLeavesTheLastMessageToRepair(t *testing.T) {
	s, _ := orphan(t, 2, func(c *Config) { c.DigestPeriod = -1; c.GraftTries = 1 })
	_, before := s.seal(1, "t", 1, "orphaned")
	s.inject(2, 0, appendRetained(before, 0, true)) // so the stream is known
	env, frame := s.seal(1, "t", 2, "the last of its stream")
	s.give(2, frame)
	// 1 announces it and never sends it; 2 has it and never announces it.
	s.cut[[2]int{1, 0}] = true
	s.routers[2].peers[s.routers[0].own].lanes[classNormal].cursor = nil
	s.inject(1, 0, iHaveFrames([]mark{{topic: env.topic, sender: env.sender, epoch: env.epoch, from: 2, to: 2}})[0])
	s.wait(10 * time.Second)
	require.Equal(t, []string{"orphaned", "the last of its stream"}, s.texts(0))
	require.Positive(t, s.routers[0].stats.IWantSent)
}

func TestOneGraftMendsABrokenLink(t *testing.T) {
	s := mesh(t, 3)
	s.lazy(0, 1, "t")
	s.lazy(0, 2, "t")
	s.forget()
	for i := range uint64(20) {
		s.publish(1, "t", i+1, numbered(20)[i])
	}
	s.wait(time.Second)
	require.Len(t, s.texts(0), 20)
	require.EqualValues(t, 1, s.routers[0].stats.GraftsSent, "one frame asks for all of them")
	require.True(t, s.link(0, 1, "t").lazy != s.link(0, 2, "t").lazy, "and one link is enough")
}

func TestAnnouncerThatIsGoneIsNotAsked(t *testing.T) {
	s, m := orphan(t, 2)
	s.cut[[2]int{1, 0}], s.cut[[2]int{2, 0}] = true, true
	s.inject(1, 0, iHaveFrames([]mark{m})[0])
	s.inject(2, 0, iHaveFrames([]mark{m})[0])
	s.disconnect(0, 1)
	s.cut = map[[2]int]bool{}
	s.wait(60 * time.Millisecond)
	require.Len(t, s.sentFrames(0, 2, frameGraft), 1)
	require.Equal(t, []string{"orphaned"}, s.texts(0))
}

func TestGraftsPerNeighbourAreBounded(t *testing.T) {
	s := mesh(t, 2)
	f := graftFrames([]mark{{topic: s.routers[0].topicID("t")}})[0]
	for range requestBurst/2 + 50 {
		s.routers[0].handleFrame(s.routers[1].own, f, s.now)
	}
	require.EqualValues(t, 50, s.routers[0].stats.RequestsRefused)
	s.now = s.now.Add(time.Second)
	s.routers[0].handleFrame(s.routers[1].own, f, s.now)
	require.EqualValues(t, 50, s.routers[0].stats.RequestsRefused)
}

// The key of an author that nobody here knows comes the same way as its
// messages, also when they were announced first.
func TestKeysAreFetchedOverLazyLinks(t *testing.T) {
	s := newSim(t)
	a, b := s.add(1), s.add(2)
	s.subscribe(a, "t", true)
	s.subscribe(b, "t", true)
	s.connect(a, b)
	s.settle()
	s.lazy(a, b, "t")
	s.routers[b].lookup = func(identity.AgentID) ([]byte, bool) { return nil, false }
	k, frame := strangerFrame(t, "t", 1, s.now)
	s.routers[a].keys.put(k.Public().AgentID(), k.Public().Bytes())
	third := s.add(3)
	s.connect(third, a)
	s.settle()
	s.cut[[2]int{a, third}] = true
	s.routers[a].handleFrame(s.routers[third].own, frame, s.now)
	s.collect(a)
	s.wait(200 * time.Millisecond)
	require.Equal(t, []string{"far"}, s.texts(b))
	require.EqualValues(t, 1, s.routers[b].stats.GraftsSent)
	require.EqualValues(t, 1, s.routers[b].stats.KeyRequests)
}
