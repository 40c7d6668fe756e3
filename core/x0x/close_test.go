package x0x

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who closes right after it has received must not make its peer believe that the message may
// have been lost: the acknowledgement goes out before the connection does.
func TestClosingDoesNotLoseAcknowledgements(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{})
	require.NoError(t, a.JoinNetwork(k.ctx))
	for range 20 {
		b := k.agent(Options{})
		require.NoError(t, b.JoinNetwork(k.ctx))
		sent := make(chan error, 1)
		_, err := a.SendAsync(b.AgentID(), []byte("x"), SendOptions{}, func(_ Receipt, err error) { sent <- err })
		require.NoError(t, err)
		_, err = b.RecvDirect(k.ctx)
		require.NoError(t, err)
		require.NoError(t, b.Close(context.Background()))
		require.NoError(t, <-sent)
	}
}
