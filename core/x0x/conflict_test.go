package x0x

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// An agent whose key was copied to a second machine: both are told, each of the other machine,
// and neither talks to itself.
func TestOneAgentOnTwoMachines(t *testing.T) {
	k := newKit(t)
	seed := make([]byte, 32)
	seed[0] = 7
	old := k.agent(Options{AgentKey: seed})
	require.NoError(t, old.JoinNetwork(k.ctx))
	moved := k.agent(Options{AgentKey: seed})
	require.Equal(t, old.AgentID(), moved.AgentID())
	require.NotEqual(t, old.MachineID(), moved.MachineID())
	require.NoError(t, moved.JoinNetwork(k.ctx))

	e := k.event(old, IdentityConflict)
	require.Equal(t, old.AgentID(), e.Agent)
	require.Equal(t, moved.MachineID(), e.Machine)
	e = k.event(moved, IdentityConflict)
	require.Equal(t, moved.AgentID(), e.Agent)
	require.Equal(t, old.MachineID(), e.Machine)
	require.Empty(t, old.Neighbors(), "it is not its own neighbour")

	// The others are not disturbed.
	other := k.joined(1)[0]
	_, err := other.ConnectToAgent(k.ctx, old.AgentID())
	require.NoError(t, err)
}
