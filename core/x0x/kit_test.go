package x0x

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if config := os.Getenv(childEnv); config != "" { // see process_test.go
		if err := runChild(config, os.Stdin, os.Stdout); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// kit makes agents of one network of their own, whose registry is an empty folder.
type kit struct {
	t   *testing.T
	ctx context.Context
	dir string
}

func newKit(t *testing.T) *kit { return newKitFor(t, time.Minute) }

// newKitFor is newKit for a test that may take longer.
func newKitFor(t *testing.T, d time.Duration) *kit {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	return &kit{t, ctx, dir}
}

// agent makes an agent and closes it with the test.
func (k *kit) agent(o Options) *Agent {
	k.t.Helper()
	if o.NetworkID == "" {
		o.NetworkID = k.t.Name()
	}
	o.RuntimeDir = k.dir
	a, err := New(o)
	require.NoError(k.t, err)
	k.t.Cleanup(func() { a.Close(context.Background()) })
	return a
}

// joined makes n agents that are connected to each other.
func (k *kit) joined(n int) []*Agent {
	k.t.Helper()
	agents := make([]*Agent, n)
	for i := range agents {
		agents[i] = k.agent(Options{})
		require.NoError(k.t, agents[i].JoinNetwork(k.ctx))
	}
	for _, a := range agents {
		for len(a.Peers()) < n-1 {
			k.event(a, Connected)
		}
	}
	return agents
}

// event waits for the next event of a type.
func (k *kit) event(a *Agent, typ EventType) Event {
	k.t.Helper()
	for {
		e, err := a.Events().Recv(k.ctx)
		require.NoError(k.t, err, "waiting for event %d", typ)
		if e.Lagged == nil && e.Item.Type == typ {
			return e.Item
		}
	}
}
