package gossip

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/trust"
)

func TestPublishSubscribe(t *testing.T) {
	n := newPipeNet(t)
	a, b := n.add(1), n.add(2)
	n.connect(a, b)
	own, other := a.subscribe("news", SubscribeOptions{}), b.subscribe("news", SubscribeOptions{})
	before := time.Now().Truncate(time.Millisecond)
	a.publish("news", "hello")
	for _, s := range []*Subscription{own, other} {
		m := next(t, s)
		require.Equal(t, "news", m.Topic)
		require.Equal(t, "hello", string(m.Payload))
		require.Equal(t, a.id, m.Sender)
		require.EqualValues(t, 1, m.Sequence)
		require.Equal(t, a.cfg.Epoch, m.Epoch)
		require.False(t, m.Time.Before(before))
	}
	require.Equal(t, trust.Unknown, func() trust.Level { a.publish("news", "x"); return next(t, other).TrustLevel }())
	require.Equal(t, trust.Trusted, next(t, own).TrustLevel)
	b.publish("news", "back")
	require.Equal(t, "back", string(next(t, own).Payload))
}
