package transport

import (
	"context"
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test; no assertion depends on it.
const patience = 20 * time.Second

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

var (
	keyMu   sync.Mutex
	keyPool = map[uint64]*identity.Key{}
	serial  atomic.Uint64
)

// testKey returns the n-th key of the tests, made once.
func testKey(t testing.TB, n uint64) *identity.Key {
	t.Helper()
	keyMu.Lock()
	defer keyMu.Unlock()
	if k := keyPool[n]; k != nil {
		return k
	}
	var seed [identity.SeedSize]byte
	binary.BigEndian.PutUint64(seed[:], n)
	k, err := identity.KeyFromSeed(seed[:])
	require.NoError(t, err)
	keyPool[n] = k
	return k
}

// testConfig is an agent of its own, number n, on the test's own network.
func testConfig(t testing.TB, n uint64) Config {
	t.Helper()
	return Config{
		Machine:   testKey(t, 2*n),
		Agent:     testKey(t, 2*n+1),
		NetworkID: t.Name(),
		Bind:      "127.0.0.1:0",
	}
}

func listen(t testing.TB, cfg Config) *Endpoint {
	t.Helper()
	e, err := Listen(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, e.Close(ctx))
	})
	return e
}

// pair returns both ends of a connection, dialled by a.
func pair(t testing.TB, a, b *Endpoint, at netip.AddrPort) (dialled, accepted *Conn) {
	t.Helper()
	ctx := testContext(t)
	dialled, err := a.Dial(ctx, at, b.MachineID())
	require.NoError(t, err)
	accepted, err = b.Accept(ctx)
	require.NoError(t, err)
	require.Equal(t, dialled.ID(), accepted.ID())
	return dialled, accepted
}

func waitDone(t testing.TB, c *Conn) error {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(patience):
		t.Fatal("the connection did not end")
	}
	return c.Err()
}
