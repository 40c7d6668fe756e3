package x0x

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A seeker and its target have never met: each knows the agent in the middle.
func TestAnAgentIsFoundByItsID(t *testing.T) {
	k := newKit(t)
	apart := Options{NoLocalDiscovery: true, Bind: "127.0.0.1:0"}
	middle := k.agent(apart)
	require.NoError(t, middle.JoinNetwork(k.ctx))
	apart.Bootstrap = []string{middle.LocalAddrs()[0].String()}
	seed := make([]byte, 32)
	known := apart
	known.UserKey = seed
	target, seeker := k.agent(known), k.agent(apart)
	require.NoError(t, target.JoinNetwork(k.ctx))
	require.NoError(t, seeker.JoinNetwork(k.ctx))
	user, ok := target.UserID()
	require.True(t, ok)

	require.Eventually(t, func() bool {
		found, err := seeker.FindAgent(k.ctx, target.AgentID())
		require.NoError(t, err)
		return found != nil && found.MachineID == target.MachineID() && len(found.Addresses) > 0
	}, 20*time.Second, 50*time.Millisecond)
	m, ok := seeker.MachineForAgent(target.AgentID())
	require.True(t, ok)
	require.Equal(t, target.MachineID(), m)
	machines, err := seeker.FindMachine(k.ctx, target.MachineID())
	require.NoError(t, err)
	require.Len(t, machines, 1)
	nobody, err := seeker.FindAgent(k.ctx, AgentID{1})
	require.NoError(t, err)
	require.Nil(t, nobody)

	// The person is disclosed by consent alone, and that can be withdrawn.
	list, err := seeker.FindAgentsByUser(k.ctx, user)
	require.NoError(t, err)
	require.Empty(t, list)
	require.ErrorIs(t, target.AnnounceIdentity(true, false), ErrPolicy)
	require.ErrorIs(t, seeker.AnnounceIdentity(true, true), ErrNotFound)
	require.NoError(t, target.AnnounceIdentity(true, true))
	require.Eventually(t, func() bool {
		list, err := seeker.FindAgentsByUser(k.ctx, user)
		require.NoError(t, err)
		return len(list) == 1 && list[0].AgentID == target.AgentID()
	}, 20*time.Second, 50*time.Millisecond)
	require.NoError(t, target.AnnounceIdentity(false, false))
	require.Eventually(t, func() bool {
		found, err := seeker.FindAgent(k.ctx, target.AgentID())
		require.NoError(t, err)
		return found != nil && found.UserID.IsZero()
	}, 20*time.Second, 50*time.Millisecond)

	// What is found is connected to.
	require.NoError(t, seeker.Block(middle.AgentID()))
	if !seeker.IsAgentConnected(target.AgentID()) {
		r, err := seeker.ConnectToAgent(k.ctx, target.AgentID())
		require.NoError(t, err)
		require.NotEqual(t, NotFound, r.Outcome)
	}
	_, err = seeker.SendDirect(k.ctx, target.AgentID(), []byte("found you"), SendOptions{})
	require.NoError(t, err)

	// Who is blocked is not shown.
	require.NoError(t, seeker.Block(target.AgentID()))
	found, err := seeker.FindAgent(k.ctx, target.AgentID())
	require.NoError(t, err)
	require.Nil(t, found)
	_, ok = seeker.DiscoveredAgent(target.AgentID())
	require.False(t, ok)
}

// Two machines run one agent and have never met: what both announce meets at the holders.
func TestAConflictIsFoundByAnnouncements(t *testing.T) {
	k := newKit(t)
	apart := Options{NoLocalDiscovery: true, Bind: "127.0.0.1:0"}
	middle := k.agent(apart)
	require.NoError(t, middle.JoinNetwork(k.ctx))
	apart.Bootstrap = []string{middle.LocalAddrs()[0].String()}
	apart.AgentKey, apart.IdentityTTL = make([]byte, 32), 6*time.Second // a look every two
	a, b := k.agent(apart), k.agent(apart)
	require.NoError(t, a.JoinNetwork(k.ctx))
	require.NoError(t, b.JoinNetwork(k.ctx))
	require.Equal(t, b.MachineID(), k.event(a, IdentityConflict).Machine)
	require.Equal(t, a.MachineID(), k.event(b, IdentityConflict).Machine)
}

func TestFindEnds(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{})
	_, err := a.FindAgent(k.ctx, AgentID{1})
	require.ErrorIs(t, err, ErrUnreachable)
	require.NoError(t, a.JoinNetwork(k.ctx))
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	found, err := a.FindAgent(ctx, AgentID{1})
	if err == nil { // alone, it knows at once that there is nobody
		require.Nil(t, found)
	} else {
		require.ErrorIs(t, err, ErrCancelled)
	}
	_, err = New(Options{IdentityTTL: 2 * time.Hour})
	require.ErrorIs(t, err, ErrInvalidArgument)
}
