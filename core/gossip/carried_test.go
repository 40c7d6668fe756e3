package gossip

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// The key of an author goes ahead of its first envelope, so that nobody on the
// way has to ask; and of what nobody has asked for, little is kept.
func TestKeysGoAhead(t *testing.T) {
	s := newSim(t)
	for i := range 4 {
		s.add(byte(i + 1))
		s.subscribe(i, "t", true)
		if i > 0 {
			s.connect(i-1, i)
		}
	}
	for i, r := range s.routers { // as the handshakes with neighbours leave it
		real := r.lookup
		r.lookup = func(id identity.AgentID) ([]byte, bool) {
			if j, ok := s.index[id]; ok && j != i-1 && j != i+1 {
				return nil, false
			}
			return real(id)
		}
	}
	s.settle()
	s.publish(0, "t", 1, "one")
	s.settle()
	s.publish(0, "t", 2, "two")
	s.settle()
	require.Equal(t, []string{"one", "two"}, s.texts(3))
	for i, r := range s.routers {
		require.Zero(t, r.stats.KeyRequests, i)
	}
	require.Len(t, s.sentFrames(1, 2, frameKey), 1, "once")
	require.Len(t, s.sentFrames(2, 3, frameKey), 1)

	r, p := s.routers[3], s.routers[3].peers[s.routers[2].own]
	for i := range 20 {
		r.handleFrame(p.id, keyFrame(testKey(t, byte(100+i)).Public().Bytes()), s.now)
	}
	require.LessOrEqual(t, len(p.carried), maxCarried)
	require.Positive(t, r.stats.KeysRefused)
	s.now = s.now.Add(2 * carriedFor)
	r.handleFrame(p.id, keyFrame(testKey(t, 120).Public().Bytes()), s.now)
	require.Len(t, p.carried, 1)
}
