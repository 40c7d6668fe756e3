package x0x

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTwoAgentsTalk is the thinnest path from end to end.
func TestTwoAgentsTalk(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	a, err := New(Options{NetworkID: t.Name(), RuntimeDir: dir})
	require.NoError(t, err)
	defer a.Close(ctx)
	b, err := New(Options{NetworkID: t.Name(), RuntimeDir: dir})
	require.NoError(t, err)
	defer b.Close(ctx)
	sub, err := b.Subscribe("topic", SubscribeOptions{})
	require.NoError(t, err)
	require.NoError(t, a.JoinNetwork(ctx))
	require.NoError(t, a.Publish(ctx, "topic", []byte("hello")))
	require.NoError(t, b.JoinNetwork(ctx))
	_, err = a.SendDirect(ctx, b.AgentID(), []byte("ping"), SendOptions{})
	require.NoError(t, err)
	m, err := b.RecvDirect(ctx)
	require.NoError(t, err)
	require.Equal(t, "ping", string(m.Payload))
	require.Equal(t, a.AgentID(), m.Sender)
	tm, err := sub.Recv(ctx)
	require.NoError(t, err)
	require.Equal(t, "hello", string(tm.Payload))
	t.Log(a.Peers(), a.Stats())
}
