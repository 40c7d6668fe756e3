package x0x

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A key is revoked by itself; who has never met its agent hears of it, refuses its messages on
// every path, and still does after a restart.
func TestARevocationReachesTheNetwork(t *testing.T) {
	k := newKit(t)
	folder := t.TempDir()
	require.NoError(t, os.Chmod(folder, 0o700))
	apart := Options{NoLocalDiscovery: true, Bind: "127.0.0.1:0"}
	b := k.agent(apart)
	require.NoError(t, b.JoinNetwork(k.ctx))
	apart.Bootstrap = []string{b.LocalAddrs()[0].String()}
	stolen := k.agent(apart)
	require.NoError(t, stolen.JoinNetwork(k.ctx))
	lasting := apart
	lasting.IdentityDir, lasting.MaxPeersPerAddress = folder, -1
	c := k.agent(lasting)
	require.NoError(t, c.JoinNetwork(k.ctx))
	require.NoError(t, c.SetTrust(stolen.AgentID(), TrustTrusted))
	require.Equal(t, DecisionAccept, c.EvaluateTrust(stolen.AgentID(), stolen.MachineID()))

	r, err := stolen.RevokeSelf("the laptop was stolen")
	require.NoError(t, err)
	require.True(t, stolen.IsRevoked(stolen.AgentID()))
	k.event(stolen, ErrorEvent)
	require.Eventually(t, func() bool { return c.IsRevoked(stolen.AgentID()) }, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, DecisionRejectBlocked, c.EvaluateTrust(stolen.AgentID(), stolen.MachineID()))
	require.Error(t, c.SetTrust(stolen.AgentID(), TrustTrusted), "for ever")
	require.Equal(t, DecisionRejectBlocked, c.EvaluateTrust(stolen.AgentID(), stolen.MachineID()))
	list := c.Revocations()
	require.Len(t, list, 1)
	require.Equal(t, "the laptop was stolen", list[0].Reason)
	require.NoError(t, c.Close(k.ctx))

	c = k.agent(lasting)
	require.True(t, c.IsRevoked(stolen.AgentID()), "a restart forgets nothing")

	// By hand, to who was away; and what is forged is refused.
	away := k.agent(Options{NoLocalDiscovery: true})
	isNew, err := away.ImportRevocation(r)
	require.NoError(t, err)
	require.True(t, isNew)
	isNew, err = away.ImportRevocation(r)
	require.NoError(t, err)
	require.False(t, isNew)
	r[len(r)-1] ^= 1
	_, err = k.agent(Options{NoLocalDiscovery: true}).ImportRevocation(r)
	require.ErrorIs(t, err, ErrAuth)
	_, err = away.ImportRevocation([]byte{1, 2, 3})
	require.ErrorIs(t, err, ErrCorrupt)
}

func TestAcknowledgedContactsAreOnDisk(t *testing.T) {
	k := newKit(t)
	folder := t.TempDir()
	require.NoError(t, os.Chmod(folder, 0o700))
	o := Options{IdentityDir: folder, NoLocalDiscovery: true}
	friend, enemy, machine := AgentID{1}, AgentID{2}, MachineID{3}
	a := k.agent(o)
	require.NoError(t, a.AddContact(friend, TrustKnown, "Ada"))
	require.NoError(t, a.PinMachine(friend, machine))
	require.NoError(t, a.Block(enemy))
	require.NoError(t, a.RevokeContact(AgentID{4}, "a liar"))
	want := a.Contacts()
	// Not closed: what was acknowledged is on disk.
	copied := t.TempDir()
	require.NoError(t, os.Chmod(copied, 0o700))
	for _, f := range []string{contactsFile, "agent.key", "machine.key"} {
		b, err := os.ReadFile(filepath.Join(folder, f))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(copied, f), b, 0o600))
	}
	o.IdentityDir = copied
	again := k.agent(o)
	require.Equal(t, a.AgentID(), again.AgentID())
	require.Len(t, again.Contacts(), len(want))
	require.Equal(t, DecisionAccept, again.EvaluateTrust(friend, machine))
	require.Equal(t, DecisionRejectMachineMismatch, again.EvaluateTrust(friend, MachineID{9}))
	require.Equal(t, DecisionRejectBlocked, again.EvaluateTrust(enemy, machine))
	require.True(t, again.IsRevoked(AgentID{4}))
	require.NoError(t, again.Close(k.ctx))

	// A damaged file unblocks nobody: the agent does not open, and says what to do.
	file := filepath.Join(copied, contactsFile)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, b[:len(b)/2], 0o600))
	_, err = New(o)
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, file)
	left, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, b[:len(b)/2], left)
}
