package x0x

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestContactCalls(t *testing.T) {
	k := newKit(t)
	a, id := k.agent(Options{}), AgentID{1}
	require.Empty(t, a.Contacts())
	require.Nil(t, a.Machines(id))
	_, ok := a.Contact(id)
	require.False(t, ok)
	require.ErrorIs(t, a.SetLabel(id, "x"), ErrNotFound)

	require.NoError(t, a.AddContact(id, TrustKnown, "ida"))
	require.Equal(t, id, k.event(a, ContactChanged).Agent)
	require.NoError(t, a.AddContact(id, TrustTrusted, ""))
	c, ok := a.Contact(id)
	require.True(t, ok)
	require.Equal(t, "ida", c.Label, "an empty label leaves what is there")
	require.Equal(t, TrustTrusted, c.Level)
	require.Equal(t, IdentityKnown, c.IdentityType)

	for name, err := range map[string]error{
		"label":      a.AddContact(id, TrustBlocked, strings.Repeat("x", 257)),
		"not UTF-8":  a.AddContact(id, TrustBlocked, "\xff"),
		"no level":   a.AddContact(id, 9, "x"),
		"no id":      a.AddContact(AgentID{}, TrustKnown, ""),
		"no type":    a.SetIdentityType(id, 9),
		"no machine": a.PinMachine(id, MachineID{}),
	} {
		require.ErrorIs(t, err, ErrInvalidArgument, name)
	}
	after, _ := a.Contact(id)
	require.Equal(t, c, after, "a call that fails has changed nothing")

	require.NoError(t, a.AddMachine(id, MachineID{7}, "desk"))
	require.NoError(t, a.PinMachine(id, MachineID{8}))
	require.Len(t, a.Machines(id), 2)
	require.Equal(t, DecisionAccept, a.EvaluateTrust(id, MachineID{8}))
	require.Equal(t, DecisionRejectMachineMismatch, a.EvaluateTrust(id, MachineID{7}))
	require.Equal(t, DecisionRejectMachineMismatch, a.EvaluateTrust(id, MachineID{}))

	require.NoError(t, a.Close(context.Background()))
	require.ErrorIs(t, a.SetTrust(id, TrustKnown), ErrClosed)
	_, err := a.RemoveContact(id)
	require.ErrorIs(t, err, ErrClosed)
	require.Len(t, a.Contacts(), 1, "what is only read can still be")
}

func TestContactsAreSeen(t *testing.T) {
	k := newKit(t)
	a, b := k.agent(Options{}), k.agent(Options{})
	before := time.Now().Truncate(time.Second) // contacts keep whole seconds
	require.NoError(t, a.AddContact(b.AgentID(), TrustKnown, ""))
	require.NoError(t, a.AddMachine(b.AgentID(), b.MachineID(), ""))
	c, _ := a.Contact(b.AgentID())
	require.Zero(t, c.LastSeen)
	require.NoError(t, a.JoinNetwork(k.ctx))
	require.NoError(t, b.JoinNetwork(k.ctx))
	k.event(a, Connected)
	k.event(b, Connected)
	require.NoError(t, b.Close(k.ctx))
	k.event(a, Disconnected)
	c, _ = a.Contact(b.AgentID())
	require.False(t, c.LastSeen.Before(before))
	require.Equal(t, c.LastSeen, c.Machines[0].LastSeen)
	require.Len(t, a.Contacts(), 1)
	require.Empty(t, b.Contacts(), "to be seen makes nobody a contact")
}
