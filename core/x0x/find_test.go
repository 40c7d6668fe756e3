package x0x

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/discovery"
)

// Who has heard of an agent in a topic can write to it at once, also if the two machines have
// not met: the registry has the machine, and nobody says which agent it runs.
func TestAnAgentHeardOfIsFoundInTheRegistry(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{})
	require.NoError(t, a.JoinNetwork(k.ctx))
	reach := map[string]func(*testing.T, AgentID){
		"by a message": func(t *testing.T, id AgentID) {
			_, err := a.SendDirect(k.ctx, id, []byte("hello"), SendOptions{})
			require.NoError(t, err)
		},
		"by connecting": func(t *testing.T, id AgentID) {
			r, err := a.ConnectToAgent(k.ctx, id)
			require.NoError(t, err)
			require.Equal(t, Direct, r.Outcome)
		},
	}
	for name, reach := range reach {
		t.Run(name, func(t *testing.T) {
			b := k.agent(Options{NetworkID: a.opts.NetworkID, NoLocalDiscovery: true}) // dials nobody
			require.NoError(t, b.JoinNetwork(k.ctx))
			entry, err := discovery.OpenRegistry(discovery.RegistryOptions{
				RuntimeDir: k.dir, Euid: os.Geteuid(), NetworkID: a.opts.NetworkID,
				Machine: b.MachineID(), Port: b.LocalAddrs()[0].Port(),
			})
			require.NoError(t, err)
			defer entry.Close()
			reach(t, b.AgentID())
		})
	}
	_, err := a.SendDirect(k.ctx, AgentID{1}, nil, SendOptions{})
	require.ErrorIs(t, err, ErrNotFound)
}
