package gossip

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// line joins n relays in a row.
func line(t *testing.T, n int, change ...func(*Config)) *sim {
	s := newSim(t)
	for i := range n {
		s.add(byte(i+1), change...)
		if i > 0 {
			s.connect(i-1, i)
		}
	}
	s.settle()
	return s
}

func (s *sim) distances(topic string, pairs ...[2]int) (list []int) {
	for _, p := range pairs {
		list = append(list, int(s.link(p[0], p[1], topic).distance))
	}
	return list
}

func TestInterestSpreadsWithItsDistance(t *testing.T) {
	s := line(t, 6, func(c *Config) { c.MaxInterestHops = 3 })
	sub := s.subscribe(5, "t", true)
	s.settle()
	toward := [][2]int{{4, 5}, {3, 4}, {2, 3}, {1, 2}, {0, 1}}
	require.Equal(t, []int{0, 1, 2, 3, nowhere}, s.distances("t", toward...), "up to 3 hops")
	for _, p := range toward {
		require.EqualValues(t, nowhere, s.link(p[1], p[0], "t").distance, "nobody is told of himself")
	}
	s.wait(interestPause)
	s.subscribe(2, "t", true)
	s.settle()
	require.Equal(t, []int{0, 1, 2, 0, 1}, s.distances("t", toward...))
	require.Equal(t, []int{2, 1}, s.distances("t", [2]int{5, 4}, [2]int{4, 3}), "the other way as well")

	s.wait(interestPause)
	s.routers[5].unsubscribe(sub, s.now)
	s.wait(5 * time.Second)
	require.Equal(t, []int{nowhere, nowhere, nowhere, 0, 1}, s.distances("t", toward...))
	s.disconnect(1, 2)
	s.wait(5 * time.Second)
	require.Equal(t, []int{nowhere}, s.distances("t", [2]int{0, 1}))
	require.Nil(t, s.routers[0].topics[s.routers[0].topicID("t")], "forgotten")
}

// In a ring of relays nobody keeps a topic alive that nobody wants any more.
func TestInterestDoesNotOutliveItsSubscriber(t *testing.T) {
	s := line(t, 5)
	s.connect(0, 4)
	s.connect(1, 3)
	sub := s.subscribe(2, "t", true)
	s.wait(time.Second)
	require.Equal(t, []int{0, 1}, s.distances("t", [2]int{1, 2}, [2]int{0, 1}))
	s.routers[2].unsubscribe(sub, s.now)
	s.wait(10 * time.Second)
	for i, r := range s.routers {
		if i != 2 {
			require.Nil(t, r.topics[r.topicID("t")], "node %d", i)
		}
	}
}

// A neighbour that changes its mind all the time is told of to others only now
// and then.
func TestInterestThatFlapsIsDamped(t *testing.T) {
	s := line(t, 3)
	id := s.routers[0].topicID("t")
	s.forget()
	for range 100 {
		s.inject(0, 1, subscribeFrames([]interest{{topic: id}})[0])
		s.inject(0, 1, unsubscribeFrame(id))
		s.wait(5 * time.Millisecond)
	}
	require.LessOrEqual(t, len(s.sentFrames(1, 2, frameSubscribe, frameUnsubscribe)), 6)
	s.inject(0, 1, subscribeFrames([]interest{{topic: id}})[0])
	s.wait(time.Second)
	require.Equal(t, []int{1}, s.distances("t", [2]int{2, 1}), "the last word counts")
}

func TestTopicsPerNeighbourAreBounded(t *testing.T) {
	s := line(t, 2)
	r := s.routers[1]
	var list []interest
	for i := range maxPeerTopics + 100 {
		list = append(list, interest{topic: TopicID{1, byte(i), byte(i >> 8)}})
	}
	for _, f := range subscribeFrames(list) {
		s.inject(0, 1, f)
	}
	p := r.peers[s.routers[0].own]
	require.Len(t, p.links, maxPeerTopics)
	require.True(t, p.wild)
	third := s.add(3)
	fourth := s.add(4)
	for _, other := range []int{third, fourth} {
		s.connect(1, other)
		s.subscribe(other, "t", true)
	}
	s.settle()
	s.publish(third, "t", 1, "x")
	s.settle()
	require.EqualValues(t, 1, s.routers[0].stats.Received, "it is sent all rather than to lose one of its topics")
}

// Two subscribers that have enough of each other do not cut off a third that is
// behind relays, and relays that lead nowhere carry nothing.
func TestInterestedRelaysCarry(t *testing.T) {
	s := newSim(t)
	// 0, 1, 2: subscribers that know each other; 3, 4: relays toward 5; 6: a
	// relay between the first three.
	for i := range 7 {
		s.add(byte(i + 1))
	}
	for _, l := range [][2]int{{0, 1}, {0, 2}, {1, 2}, {0, 3}, {3, 4}, {4, 5}, {0, 6}, {1, 6}, {2, 6}} {
		s.connect(l[0], l[1])
	}
	for _, i := range []int{0, 1, 2, 5} {
		s.subscribe(i, "t", true)
	}
	s.settle()
	s.publish(1, "t", 1, "x")
	s.publish(5, "t", 1, "y")
	s.wait(time.Second)
	for _, i := range []int{0, 1, 2, 5} {
		require.ElementsMatch(t, []string{"x", "y"}, s.texts(i), "node %d", i)
	}
	dead := s.add(8) // leads nowhere, unlike 6, which leads to others of them
	s.connect(0, dead)
	s.publish(1, "t", 2, "z")
	s.wait(time.Second)
	require.Zero(t, s.routers[dead].stats.Received)
	require.Positive(t, s.routers[6].stats.Received)
}

func TestRelaysCarryWhenTooFewAreInterested(t *testing.T) {
	t.Run("beyond the horizon of interest", func(t *testing.T) {
		s := line(t, 8, func(c *Config) { c.MaxInterestHops = 1 })
		s.subscribe(0, "t", true)
		s.subscribe(7, "t", true)
		s.settle()
		s.publish(0, "t", 1, "x")
		s.settle()
		require.Equal(t, []string{"x"}, s.texts(7))
	})
	t.Run("not when enough are", func(t *testing.T) {
		s := mesh(t, 3)
		relay := s.add(4)
		s.connect(0, relay)
		s.settle()
		s.publish(0, "t", 1, "x")
		s.wait(time.Second)
		require.Zero(t, s.routers[relay].stats.Received)
		require.Zero(t, s.routers[relay].stats.IHaveReceived)
		s.disconnect(0, 1) // now only one is
		s.publish(0, "t", 2, "y")
		s.settle()
		require.EqualValues(t, 1, s.routers[relay].stats.Received)
	})
	t.Run("more if more are asked for", func(t *testing.T) {
		s := mesh(t, 3, func(c *Config) { c.MinInterested = 3 })
		relay := s.add(4)
		s.connect(0, relay)
		s.settle()
		s.publish(0, "t", 1, "x")
		s.settle()
		require.EqualValues(t, 1, s.routers[relay].stats.Received)
	})
}

func TestNoRelay(t *testing.T) {
	s := newSim(t)
	a := s.add(1)
	leaf := s.add(2, func(c *Config) { c.NoRelay = true })
	b := s.add(3)
	s.connect(a, leaf)
	s.connect(leaf, b)
	s.subscribe(b, "t", true)
	s.settle()
	require.EqualValues(t, nowhere, s.link(a, leaf, "t").distance, "it passes no interest on")
	s.publish(a, "t", 1, "x")
	s.wait(time.Second)
	require.Empty(t, s.texts(b))
	require.Zero(t, s.routers[leaf].stats.Received)
	r := s.routers[leaf]
	s.inject(a, leaf, iHaveFrames([]mark{{topic: r.topicID("t"), sender: s.routers[a].own, epoch: s.routers[a].cfg.Epoch, from: 1, to: 1}})[0])
	require.Zero(t, r.missing)

	s.subscribe(leaf, "t", true) // its own topics it takes and passes on
	s.wait(time.Second)
	require.Equal(t, []string{"x"}, s.texts(leaf))
	require.Equal(t, []string{"x"}, s.texts(b))
}

// A relay that does not subscribe keeps what it carries, so that it can repair
// when the publisher is gone.
func TestRelayRepairsFromRetention(t *testing.T) {
	s := line(t, 3)
	s.subscribe(2, "t", true)
	s.settle()
	s.cut[[2]int{1, 2}] = true
	for i, p := range numbered(5) {
		s.publish(0, "t", uint64(i)+1, p)
		s.settle()
	}
	s.routers[1].peers[s.routers[2].own].lanes[classNormal].cursor = nil // lost
	s.cut = map[[2]int]bool{}
	s.disconnect(0, 1)
	s.wait(time.Minute)
	require.Equal(t, numbered(5), s.texts(2))
}

func TestInterestOfManyStreamsIsDeterministic(t *testing.T) {
	s := line(t, 2)
	r := s.routers[0]
	topic := r.named("t")
	for i := range maxFrameStreams + 50 {
		r.stream(topic, [32]byte{byte(i), byte(i >> 8)}).open(1).seen.add(1, 1)
	}
	in := r.interest(topic, 0)
	require.Len(t, in.streams, maxFrameStreams)
	require.Equal(t, [32]byte{byte((maxFrameStreams + 49) & 0xff), byte((maxFrameStreams + 49) >> 8)}, [32]byte(in.streams[0].sender), "the latest first")
	require.Equal(t, in, r.interest(topic, 0))
}
