package x0x

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheMeshIsShown(t *testing.T) {
	k := newKit(t)
	alone := k.agent(Options{})
	require.Empty(t, alone.Neighbors())
	require.Empty(t, alone.KnownPeers())
	require.Empty(t, alone.TopicMesh())

	pair := k.joined(2)
	a, b := pair[0], pair[1]
	sub, err := b.Subscribe("t", SubscribeOptions{})
	require.NoError(t, err)
	require.NoError(t, a.SetTopicPriority("t", PriorityHigh))
	require.ErrorIs(t, a.SetTopicPriority("t", 9), ErrInvalidArgument)
	require.ErrorIs(t, a.SetTopicPriority("a\x00b", PriorityHigh), ErrInvalidArgument)
	require.NoError(t, a.Publish(k.ctx, "t", []byte("hello")))
	_, err = sub.Recv(k.ctx)
	require.NoError(t, err)
	require.Equal(t, []AgentID{b.AgentID()}, a.Neighbors())
	require.Equal(t, uint64(1), a.GossipStats().Published)

	require.Eventually(t, func() bool { // b's interest is on its way
		mesh := a.TopicMesh()
		i := slices.IndexFunc(mesh, func(m TopicMesh) bool { return m.Name == "t" })
		return i >= 0 && mesh[i].Priority == PriorityHigh && len(mesh[i].Links) == 1 &&
			mesh[i].Links[0].Peer == b.AgentID() && mesh[i].Links[0].Interested && mesh[i].Links[0].Eager
	}, 10*time.Second, time.Millisecond, "%+v", a.TopicMesh())
	require.NoError(t, a.LeaveNetwork(k.ctx))
	require.Empty(t, a.Neighbors())
}

// With fewer places than peers topics go through some of them only, and reach all.
func TestTopicsGoThroughNeighbors(t *testing.T) {
	k := newKit(t)
	const n = 8
	agents := make([]*Agent, n)
	subs := make([]*Subscription, n)
	for i := range agents {
		agents[i] = k.agent(Options{ActivePeers: 3})
		var err error
		subs[i], err = agents[i].Subscribe("t", SubscribeOptions{})
		require.NoError(t, err)
		require.NoError(t, agents[i].JoinNetwork(k.ctx))
	}
	for i, a := range agents {
		require.NoError(t, a.Publish(k.ctx, "t", []byte{byte(i)}))
	}
	for i, sub := range subs {
		seen := map[byte]bool{}
		for range n {
			m, err := sub.Recv(k.ctx)
			require.NoError(t, err, "agent %d has %v: %+v", i, seen, agents[i].TopicMesh())
			seen[m.Payload[0]] = true
		}
		require.Len(t, seen, n)
	}
	for _, a := range agents {
		require.LessOrEqual(t, len(a.Neighbors()), 4, "one more than places, for a moment")
	}
}
