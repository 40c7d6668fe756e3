package gossip

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

func TestMesh(t *testing.T) {
	s := mesh(t, 3, func(c *Config) { c.RTT = func(identity.AgentID) time.Duration { return 3 * time.Millisecond } })
	relay := s.add(4)
	s.connect(0, relay)
	s.subscribe(0, "local:x", true)
	s.settle()
	s.lazy(0, 2, "t")
	for i := range uint64(5) {
		s.publish(1, "t", i+1, "x")
		s.settle()
	}
	list := s.routers[0].mesh()
	require.Len(t, list, 1, "local topics are nobody's business")
	m := list[0]
	require.Equal(t, "t", m.Name)
	require.Equal(t, NewTopicID(testNetwork, "t"), m.ID)
	require.Equal(t, 1, m.Subscriptions)
	require.Equal(t, 5, m.Retained)
	require.Equal(t, []LinkInfo{
		{Peer: s.routers[1].own, Eager: true, Carries: true, Interested: true, RTT: 3 * time.Millisecond, First: 5},
		{Peer: s.routers[2].own, Carries: true, Interested: true, RTT: 3 * time.Millisecond},
		{Peer: s.routers[relay].own, Eager: true, Distance: -1, RTT: 3 * time.Millisecond},
	}, m.Links)
	eager, lazy := s.routers[0].countLinks()
	require.Equal(t, []int{1, 1}, []int{eager, lazy})

	far := s.routers[relay].mesh()
	require.Len(t, far, 1)
	require.Empty(t, far[0].Name)
	require.Equal(t, 0, far[0].Links[0].Distance)
}

func TestMeshAndStatsOfAnEngine(t *testing.T) {
	n := newPipeNet(t)
	a, b := n.add(1), n.add(2)
	n.connect(a, b)
	sub := b.subscribe("t", SubscribeOptions{})
	a.publish("t", "x")
	next(t, sub)
	eventually(t, "both ends show the link", func() bool {
		s := b.Stats()
		return s.EagerLinks == 1 && s.LazyLinks == 0 && a.Stats().EagerLinks == 1 && len(b.Mesh()) == 1 && b.Mesh()[0].Links[0].First+s.Repaired == 1
	})
}
