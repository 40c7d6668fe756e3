package gossip

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func prioritised(s *sim, i int) {
	r := s.routers[i]
	r.setPriority(r.topicID("high"), High)
	r.setPriority(r.topicID("low"), Low)
}

func TestPrioritiesDecideWhatIsSentFirst(t *testing.T) {
	s := newSim(t)
	a, b := s.add(1), s.add(2)
	prioritised(s, a)
	for _, topic := range []string{"low", "normal", "high"} {
		s.subscribe(b, topic, true)
	}
	s.connect(a, b)
	s.settle()
	s.cut[[2]int{a, b}] = true
	for i := range uint64(3) {
		for _, topic := range []string{"low", "normal", "high"} {
			s.publish(a, topic, i+1, topic)
		}
	}
	s.cut = map[[2]int]bool{}
	s.settle()
	require.Equal(t, []string{"high", "high", "high", "normal", "normal", "normal", "low", "low", "low"}, s.texts(b))
	for i, m := range s.got[b] {
		require.EqualValues(t, i%3+1, m.Sequence, "the order within a topic stays")
	}
	// What is replayed comes by priority as well, and before what is live.
	c := s.add(3)
	for _, topic := range []string{"low", "normal", "high"} {
		s.subscribe(c, topic, true)
	}
	s.cut[[2]int{a, c}] = true
	s.connect(a, c)
	s.settle()
	s.publish(a, "high", 4, "late")
	s.cut = map[[2]int]bool{}
	s.settle()
	require.Equal(t, []string{"high", "high", "high", "late", "normal", "normal", "normal", "low", "low", "low"}, s.texts(c))
}

func TestControlComesBeforeBulk(t *testing.T) {
	s, a, b := pair(t)
	s.publish(a, "t", 1, "x")
	s.subscribe(a, "u", true)
	r := s.routers[a]
	out := r.outgoingFor(r.peers[s.routers[b].own], 10, s.now)
	require.Len(t, out, 2)
	require.Equal(t, ClassControl, out[0].class)
	require.Equal(t, ClassBulk, out[1].class)
}

func TestSheddingOrder(t *testing.T) {
	s := newSim(t)
	a := s.add(1, func(c *Config) { c.MaxLogBytes = 10 * 4000 })
	b := s.add(2)
	prioritised(s, a)
	for _, topic := range []string{"low", "normal", "high"} {
		s.subscribe(b, topic, true)
	}
	s.connect(a, b)
	s.settle()
	r := s.routers[a]
	content := func() (list []string) {
		for c := classes - 1; c >= 0; c-- {
			for e := r.log.lanes[c].head; e != nil; e = e.next {
				list = append(list, e.topic.name+numbered(40)[e.first])
			}
		}
		return list
	}
	for _, topic := range []string{"high", "low", "normal"} {
		for i := range uint64(3) {
			s.publish(a, topic, i+1, "x")
		}
	}
	s.settle()
	s.cut[[2]int{a, b}] = true
	for i := range uint64(3) {
		s.publish(a, "low", i+4, "x") // live: b waits for it
	}
	require.Equal(t, []string{"low3", "low4", "low5", "low6", "normal1", "normal2", "normal3", "high1", "high2", "high3"}, content(), "the oldest of low, retention before live")
	require.Zero(t, r.stats.PeerDropped)
	for i := range uint64(6) {
		s.publish(a, "normal", i+4, "x")
	}
	require.Equal(t, []string{"normal3", "normal4", "normal5", "normal6", "normal7", "normal8", "normal9", "high1", "high2", "high3"}, content(), "then all of low, then normal")
	require.EqualValues(t, 3, r.stats.PeerDropped, "which was live")
	s.publish(a, "low", 7, "x")
	require.NotContains(t, content(), "low7")
	for i := range uint64(20) {
		s.publish(a, "high", i+4, "x")
	}
	require.Len(t, content(), 10)
	require.Equal(t, "high14", content()[0], "high at last")
	require.EqualValues(t, 40_000, r.cfg.MaxLogBytes)
	require.LessOrEqual(t, r.log.bytes, r.cfg.MaxLogBytes)
	require.NotZero(t, r.stats.Shed)
}

func TestSetPriority(t *testing.T) {
	n := newPipeNet(t)
	a := n.add(1)
	a.publish("t", "before")
	require.NoError(t, a.SetPriority("t", High))
	a.publish("t", "after")
	mesh := a.Mesh()
	require.Len(t, mesh, 1)
	require.Equal(t, High, mesh[0].Priority)
	require.Equal(t, 2, mesh[0].Retained)
	require.Equal(t, []string{"before", "after"}, payloads(t, a.subscribe("t", SubscribeOptions{}), 2))
	require.NoError(t, a.SetPriority("t", Normal))
	require.Equal(t, Normal, a.Mesh()[0].Priority)
	require.Empty(t, a.router.priorities)
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(a.SetPriority("t", 3)))
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(a.SetPriority("\xff", High)))
	a.mu.Lock()
	for i := range maxPriorities {
		a.router.priorities[TopicID{byte(i), byte(i >> 8), 1}] = Low
	}
	a.mu.Unlock()
	require.Equal(t, wire.KindLimit, wire.KindOf(a.SetPriority("one more", High)))
}
