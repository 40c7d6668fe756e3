package x0x

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// An agent that has met others once comes back to them with no bootstrap peer and no registry.
func TestARestartFindsTheNetworkAgain(t *testing.T) {
	k := newKit(t)
	folder := t.TempDir()
	require.NoError(t, os.Chmod(folder, 0o700))
	alone := Options{NoLocalDiscovery: true, Bind: "127.0.0.1:0"}

	met := k.agent(alone)
	require.NoError(t, met.JoinNetwork(k.ctx))
	first := alone
	first.IdentityDir, first.Bootstrap = folder, []string{met.LocalAddrs()[0].String()}
	a := k.agent(first)
	require.NoError(t, a.JoinNetwork(k.ctx))
	require.True(t, a.IsAgentConnected(met.AgentID()))
	require.NoError(t, a.Close(k.ctx))

	again := alone
	again.IdentityDir = folder
	a = k.agent(again)
	require.NoError(t, a.JoinNetwork(k.ctx))
	require.True(t, a.IsAgentConnected(met.AgentID()), "joining tries cached peers")
	require.NoError(t, a.Close(k.ctx))

	// It is nothing but hints: who loses it starts anew, and who does not like it is not stopped.
	file := filepath.Join(folder, peersFile)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	require.NoError(t, os.WriteFile(file, []byte(`{"version":1,"peers":[{`), 0o600))
	a = k.agent(again)
	require.NoError(t, a.JoinNetwork(k.ctx))
	require.False(t, a.IsConnected())
	_, _, err = a.ConnectToAddress(k.ctx, met.LocalAddrs()[0].String())
	require.NoError(t, err)
	require.NoError(t, a.LeaveNetwork(k.ctx))
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(b), met.MachineID().String())
}
