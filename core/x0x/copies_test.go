package x0x_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// A message is one event however many subscriptions its topic has, while somebody listens and
// subscribes, and none otherwise.
func TestMessageEventsAreOnePerMessage(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	a, err := x0x.New(x0x.Options{})
	require.NoError(t, err)
	defer a.Close(ctx)
	publish := func(topic, text string) { require.NoError(t, a.Publish(ctx, topic, []byte(text))) }
	next := func() string {
		e, err := a.Events().Recv(ctx)
		require.NoError(t, err)
		require.Equal(t, x0x.MessageEvent, e.Item.Type)
		require.Equal(t, a.AgentID(), e.Item.Agent)
		return string(e.Item.Message.Payload)
	}

	first, err := a.Subscribe("t", x0x.SubscribeOptions{})
	require.NoError(t, err)
	publish("t", "before anybody listens")
	_, err = first.Recv(ctx) // delivered, so that it is no news below
	require.NoError(t, err)
	a.SetEventMask(x0x.EventsMessage)
	second, err := a.Subscribe("t", x0x.SubscribeOptions{})
	require.NoError(t, err)
	publish("other", "nobody subscribes")
	publish("t", "one")
	publish("t", "two")
	require.Equal(t, "one", next())
	require.Equal(t, "two", next())

	first.Close()
	first.Close() // counts once
	publish("t", "three")
	require.Equal(t, "three", next())
	second.Close()
	publish("t", "nobody subscribes any more")
	third, err := a.Subscribe("t", x0x.SubscribeOptions{NoReplay: true})
	require.NoError(t, err)
	publish("t", "four")
	require.Equal(t, "four", next())
	a.SetEventMask(x0x.EventsLifecycle)
	publish("t", "nobody listens any more")
	for text := ""; text != "nobody listens any more"; {
		m, err := third.Recv(ctx)
		require.NoError(t, err)
		text = string(m.Payload)
	}
	require.Zero(t, a.Events().Len())
}
