//go:build unix

package x0x

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAStoppedPeerHoldsItsSenderBack(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{MaxOperations: 100_000})
	require.NoError(t, a.JoinNetwork(k.ctx))
	b := k.child(childConfig{Key: 3})
	k.connected(a, b)
	const size = 10_000
	results := make(chan error, 100_000)
	sent := 0
	send := func() error {
		_, err := a.SendAsync(b.AgentID, numbered(sent, size), SendOptions{Timeout: 50 * time.Second}, func(_ Receipt, err error) { results <- err })
		if err == nil {
			sent++
		}
		return err
	}
	require.NoError(t, send())
	require.NoError(t, <-results)
	b.signal(syscall.SIGSTOP)
	for len(results) == 0 && sent < 50_000 {
		if err := send(); err != nil {
			require.ErrorIs(t, err, ErrBusy, "the sender feels it")
			break
		}
	}
	require.LessOrEqual(t, (sent-1)*size, 64<<20, "what waits for a peer is bounded")
	k.event(a, Disconnected)
	b.signal(syscall.SIGCONT)
	b.tell(command{Do: "recv", Count: sent})
	for range sent - 1 {
		require.NoError(t, <-results, "the peer came back in time")
	}
	b.answer()
	stats := b.do(command{Do: "stats"}).Stats
	require.Zero(t, stats["direct.room_inline_now"])
	require.Zero(t, a.Stats()["direct.resets"], "the session goes on")
}

func TestAStoppedSubscriberSlowsNobody(t *testing.T) {
	k := newKit(t)
	pair := k.joined(2)
	a, other := pair[0], pair[1]
	b := k.child(childConfig{Key: 5})
	k.connected(a, b)
	b.do(command{Do: "subscribe", Topic: "t"})
	sub, err := other.Subscribe("t", SubscribeOptions{MaxMessages: 10_000})
	require.NoError(t, err)
	published := 0
	publish := func(n int) {
		for range n {
			require.NoError(t, a.Publish(k.ctx, "t", numbered(published, 100)))
			published++
			ctx, cancel := context.WithTimeout(k.ctx, 15*time.Second)
			m, err := sub.Recv(ctx)
			cancel()
			require.NoError(t, err, "message %d: %v %v", published, a.Stats(), other.Stats())
			require.Equal(t, published-1, number(m.Payload), "the other subscriber misses something")
		}
	}
	next := func() answer { return b.do(command{Do: "next", Count: published}) }
	publish(10)
	require.Equal(t, uint64(10), next().Got)
	b.signal(syscall.SIGSTOP)
	publish(500)
	b.signal(syscall.SIGCONT)
	publish(1)
	r := next() // with two ways to it, the last message may come before others, so they are counted
	require.LessOrEqual(t, r.Got, uint64(published))
	b.signal(syscall.SIGSTOP)
	publish(1500)
	b.signal(syscall.SIGCONT)
	publish(1)
	r = next()
	stats := b.do(command{Do: "stats"}).Stats
	require.Equal(t, stats["gossip.delivered"], r.Got+r.Lagged, "what its own queue lost is told exactly")
	require.True(t, a.IsAgentConnected(b.AgentID))
	require.Less(t, a.Stats()["topics.frames_refused"], uint64(20_000), "what was refused is offered after pauses, not in a loop")
}
