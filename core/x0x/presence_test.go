package x0x

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// eventOf waits for an event of a type about an agent.
func (k *kit) eventOf(a *Agent, typ EventType, about AgentID) Event {
	k.t.Helper()
	for {
		if e := k.event(a, typ); e.Agent == about {
			return e
		}
	}
}

func TestPresenceComesAndGoes(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{PresenceInterval: 200 * time.Millisecond})
	b := k.agent(Options{PresenceInterval: 200 * time.Millisecond})
	require.Empty(t, a.Presence())
	require.NoError(t, a.JoinNetwork(k.ctx))
	require.NoError(t, b.JoinNetwork(k.ctx))

	e := k.eventOf(a, AgentOnline, b.AgentID())
	require.Equal(t, b.MachineID(), e.Machine)
	k.eventOf(b, AgentOnline, a.AgentID())
	require.Len(t, a.Presence(), 1)
	entry, known := a.PresenceStatus(b.AgentID())
	require.True(t, known)
	require.True(t, entry.Online)

	require.NoError(t, b.LeaveNetwork(k.ctx))
	k.eventOf(a, AgentOffline, b.AgentID())
	require.Empty(t, a.Presence())
	require.NoError(t, b.JoinNetwork(k.ctx))
	k.eventOf(a, AgentOnline, b.AgentID())
}

// Who is blocked is not shown, and is not told that somebody is there.
func TestPresenceOfTheBlocked(t *testing.T) {
	k := newKit(t)
	fast := Options{PresenceInterval: 100 * time.Millisecond}
	a, b, c := k.agent(fast), k.agent(fast), k.agent(fast)
	require.NoError(t, a.Block(b.AgentID()))
	for _, x := range []*Agent{a, b, c} {
		require.NoError(t, x.JoinNetwork(k.ctx))
	}
	k.eventOf(a, AgentOnline, c.AgentID())
	k.eventOf(b, AgentOnline, c.AgentID())
	require.Len(t, a.Presence(), 1, "c and not b")

	// Blocking takes effect at once, also on who was online.
	require.NoError(t, a.Block(c.AgentID()))
	require.Eventually(t, func() bool { return len(a.Presence()) == 0 }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, a.SetTrust(c.AgentID(), TrustKnown))
	k.eventOf(a, AgentOnline, c.AgentID())
}

// a and c have never met; both know b.
func TestPresenceOfFriendsOfFriends(t *testing.T) {
	k := newKit(t)
	apart := Options{NoLocalDiscovery: true, Bind: "127.0.0.1:0", PresenceInterval: 200 * time.Millisecond, ActivePeers: 1}
	middle := apart
	middle.ActivePeers = 6
	b := k.agent(middle)
	require.NoError(t, b.JoinNetwork(k.ctx))
	apart.Bootstrap = []string{b.LocalAddrs()[0].String()}
	a, c := k.agent(apart), k.agent(apart)
	require.NoError(t, c.JoinNetwork(k.ctx))
	k.eventOf(b, AgentOnline, c.AgentID())
	require.NoError(t, a.JoinNetwork(k.ctx))
	k.eventOf(a, AgentOnline, b.AgentID())

	require.Eventually(t, func() bool {
		found, err := a.PresenceFOAF(k.ctx, 2, time.Second)
		require.NoError(t, err)
		for _, e := range found {
			if e.Agent == c.AgentID() {
				return true
			}
		}
		return false
	}, 20*time.Second, 50*time.Millisecond)
	_, err := a.PresenceFOAF(k.ctx, 99, time.Second)
	require.ErrorIs(t, err, ErrInvalidArgument)
}

func TestInvisible(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{PresenceInterval: 100 * time.Millisecond, Visibility: Invisible})
	b := k.agent(Options{PresenceInterval: 100 * time.Millisecond})
	c := k.agent(Options{PresenceInterval: 100 * time.Millisecond})
	for _, x := range []*Agent{a, b, c} {
		require.NoError(t, x.JoinNetwork(k.ctx))
	}
	k.eventOf(a, AgentOnline, b.AgentID())
	k.eventOf(a, AgentOnline, c.AgentID())
	k.eventOf(b, AgentOnline, c.AgentID())
	require.Len(t, b.Presence(), 1, "c and not a")
	_, known := b.PresenceStatus(a.AgentID())
	require.False(t, known)
}
