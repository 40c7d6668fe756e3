package gossip

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/mailbox"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
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
		require.Equal(t, map[*Subscription]trust.Level{own: trust.Trusted, other: trust.Unknown}[s], m.TrustLevel)
	}
	b.publish("news", "back")
	require.Equal(t, "back", string(next(t, own).Payload))
	require.Equal(t, "news", own.Topic())
}

func TestPublishWithoutAnybody(t *testing.T) {
	n := newPipeNet(t)
	a := n.add(1)
	a.publish("t", "first") // before any peer, any subscription
	b := n.add(2)
	sub := b.subscribe("t", SubscribeOptions{})
	fresh := b.subscribe("t", SubscribeOptions{Replay: no()})
	n.connect(a, b)
	require.Equal(t, "first", string(next(t, sub).Payload))
	a.publish("t", "second")
	require.Equal(t, "second", string(next(t, sub).Payload))
	require.Contains(t, []string{"first", "second"}, string(next(t, fresh).Payload)) // see TestRetentionReachesLateSubscribers for the exact rule
}

func TestPayloadsAreTheReceivers(t *testing.T) {
	n := newPipeNet(t)
	a := n.add(1)
	one, two := a.subscribe("t", SubscribeOptions{}), a.subscribe("t", SubscribeOptions{})
	payload := []byte("hello")
	require.NoError(t, a.Publish(context.Background(), "t", payload))
	clear(payload)
	m := next(t, one)
	require.Equal(t, "hello", string(m.Payload))
	clear(m.Payload)
	require.Equal(t, "hello", string(next(t, two).Payload))
	require.Equal(t, "hello", string(next(t, a.subscribe("t", SubscribeOptions{})).Payload))

	for _, topic := range []string{"local:t", "u"} {
		buf := []byte("async")
		require.NoError(t, a.PublishAsync(topic, buf, func(error) {}))
		clear(buf)
		require.Equal(t, "async", string(next(t, a.subscribe(topic, SubscribeOptions{})).Payload))
	}
}

func TestLocalTopic(t *testing.T) {
	n := newPipeNet(t)
	a, b := n.add(1), n.add(2)
	n.connect(a, b)
	at, elsewhere := a.subscribe("local:t", SubscribeOptions{}), b.subscribe("local:t", SubscribeOptions{})
	a.publish("local:t", "x")
	require.Equal(t, "x", string(next(t, at).Payload))
	require.Zero(t, a.Stats().Signatures, "nobody else sees it, so nobody has to verify it")
	end := b.subscribe("end", SubscribeOptions{})
	a.publish("end", "x")
	next(t, end)
	require.Zero(t, elsewhere.Box().Len())
}

func TestArguments(t *testing.T) {
	n := newPipeNet(t)
	a := n.add(1)
	ctx := context.Background()
	for _, topic := range []string{strings.Repeat("x", MaxTopic+1), "\xff", "a\x00b"} {
		require.Equal(t, wire.KindInvalidArgument, wire.KindOf(a.Publish(ctx, topic, nil)))
		require.Equal(t, wire.KindInvalidArgument, wire.KindOf(a.PublishAsync(topic, nil, nil)))
		_, err := a.Subscribe(topic, SubscribeOptions{})
		require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err))
	}
	require.Equal(t, wire.KindTooLarge, wire.KindOf(a.Publish(ctx, "t", make([]byte, MaxPayload+1))))
	s := a.subscribe("", SubscribeOptions{})
	require.NoError(t, a.Publish(ctx, "", nil))
	require.Empty(t, next(t, s).Payload)
	require.NoError(t, a.Publish(ctx, strings.Repeat("x", MaxTopic), make([]byte, MaxPayload)))
}

func TestLargestMessageCrosses(t *testing.T) {
	n := newPipeNet(t)
	a, b := n.add(1), n.add(2)
	n.connect(a, b)
	s := b.subscribe("t", SubscribeOptions{})
	payload := strings.Repeat("0123456789abcdef", MaxPayload/16)
	a.publish("t", payload)
	require.Equal(t, payload, string(next(t, s).Payload))
}

func TestClose(t *testing.T) {
	n := newPipeNet(t)
	a := n.add(1)
	s := a.subscribe("t", SubscribeOptions{})
	a.publish("t", "kept")
	require.NoError(t, a.Close(context.Background()))
	require.NoError(t, a.Close(context.Background()))
	require.Equal(t, "kept", string(next(t, s).Payload))
	_, err := s.Box().Pop(context.Background())
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
	require.Equal(t, wire.KindClosed, wire.KindOf(a.Publish(context.Background(), "t", nil)))
	require.Equal(t, wire.KindClosed, wire.KindOf(a.PublishAsync("t", nil, func(error) { t.Error("done was called") })))
	_, err = a.Subscribe("t", SubscribeOptions{})
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
	s.Close()
	a.HandleFrame(agent(t, 2), []byte{1, 2, 3})
}

func TestCloseSubscription(t *testing.T) {
	n := newPipeNet(t)
	a := n.add(1)
	s, other := a.subscribe("t", SubscribeOptions{}), a.subscribe("t", SubscribeOptions{})
	a.publish("t", "one")
	s.Close()
	s.Close()
	a.publish("t", "two")
	require.Equal(t, "one", string(next(t, s).Payload))
	_, err := s.Box().Pop(context.Background())
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
	require.Equal(t, []string{"one", "two"}, payloads(t, other, 2))
	require.Equal(t, 1, a.Stats().Subscriptions)
}

func TestSlowSubscriberSeesOneExactGap(t *testing.T) {
	n := newPipeNet(t)
	a, b := n.add(1), n.add(2)
	n.connect(a, b)
	slow := b.subscribe("t", SubscribeOptions{Messages: 10})
	keep := b.subscribe("t", SubscribeOptions{Messages: 10, Policy: mailbox.DropNewest})
	fast := b.subscribe("t", SubscribeOptions{})
	const total = 100
	for i := range total {
		a.publish("t", fmt.Sprint(i))
	}
	require.Equal(t, numbered(total), payloads(t, fast, total), "others see everything")

	gap := nextEntry(t, slow)
	require.Equal(t, &mailbox.Lag{Count: total - 10, FirstSeq: 1, LastSeq: total - 10}, gap.Lagged)
	require.Equal(t, numbered(total)[total-10:], payloads(t, slow, 10))
	require.Zero(t, slow.Box().Len())

	require.Equal(t, numbered(10), payloads(t, keep, 10))
	require.Equal(t, &mailbox.Lag{Count: total - 10, FirstSeq: 11, LastSeq: total}, nextEntry(t, keep).Lagged)
	require.EqualValues(t, 2*(total-10), b.Stats().Lagged)
}

func TestBytesOfASubscriptionAreBounded(t *testing.T) {
	n := newPipeNet(t)
	a := n.add(1)
	s := a.subscribe("t", SubscribeOptions{Bytes: 1000})
	for range 100 {
		a.publish("t", strings.Repeat("x", 100))
	}
	require.EqualValues(t, 1000, s.Box().Bytes())
	require.EqualValues(t, 90, nextEntry(t, s).Lagged.Count)
}

func TestWhatWaitsIsSignedTogether(t *testing.T) {
	n := newPipeNet(t)
	a, b := n.add(1), n.add(2)
	n.connect(a, b)
	x, y := b.subscribe("x", SubscribeOptions{}), b.subscribe("y", SubscribeOptions{})
	const each = 400
	var left atomic.Int64
	left.Store(2 * each)
	done := make(chan struct{})
	for i := range each {
		for _, topic := range []string{"x", "y"} {
			require.NoError(t, a.PublishAsync(topic, []byte(fmt.Sprint(i)), func(err error) {
				if err != nil {
					t.Error(err)
				}
				if left.Add(-1) == 0 {
					close(done)
				}
			}))
		}
	}
	<-done
	require.Equal(t, numbered(each), payloads(t, x, each), "in order")
	require.Equal(t, numbered(each), payloads(t, y, each))
	s := a.Stats()
	require.EqualValues(t, 2*each, s.Published)
	require.Less(t, s.Signatures, uint64(each/2))
	require.EqualValues(t, 2*each, b.Stats().Received)
}

func TestBundlesAreBounded(t *testing.T) {
	p := &publisher{}
	add := func(topic byte, size int) {
		p.queue = append(p.queue, &publication{id: TopicID{topic}, payload: make([]byte, size)})
	}
	take := func() (topic byte, sizes []int) {
		for _, item := range p.take() {
			topic = item.id[0]
			sizes = append(sizes, len(item.payload))
		}
		return topic, sizes
	}
	const half = maxBundleBytes / 2
	add(1, half)
	add(2, 7)
	add(1, half)
	add(1, 1)
	add(2, 8)
	add(1, 0) // must not overtake the one that did not fit
	add(3, MaxPayload)
	add(3, 1)
	for _, want := range []struct {
		topic byte
		sizes []int
	}{{1, []int{half, half}}, {2, []int{7, 8}}, {1, []int{1, 0}}, {3, []int{MaxPayload}}, {3, []int{1}}} {
		topic, sizes := take()
		require.Equal(t, want.topic, topic)
		require.Equal(t, want.sizes, sizes)
	}
	for range maxBundle + 1 {
		add(1, 0)
	}
	_, sizes := take()
	require.Len(t, sizes, maxBundle)
	require.Len(t, p.queue, 1)
}

// holdSigner makes a's publisher believe that somebody signs, until release.
func holdSigner(t *testing.T, a *node) (release func()) {
	t.Helper()
	p := &a.publisher
	eventually(t, "nobody signs", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		free := !p.busy
		p.busy = true
		return free
	})
	return sync.OnceFunc(func() { signal(p.wake) })
}

func TestPublishQueueWaitsOrIsBusy(t *testing.T) {
	n := newPipeNet(t)
	a := n.add(1, func(c *Config) { c.PublishQueue = 2 })
	release := holdSigner(t, a)
	defer release()
	for range 2 {
		require.NoError(t, a.PublishAsync("t", nil, func(error) {}))
	}
	require.Equal(t, wire.KindBusy, wire.KindOf(a.PublishAsync("t", nil, func(error) { t.Error("done was called") })))

	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- a.Publish(ctx, "t", nil) }()
	cancel()
	require.Equal(t, wire.KindCancelled, wire.KindOf(<-result), "waiting for a place ends with the context")

	go func() { result <- a.Publish(context.Background(), "t", []byte("waited")) }()
	release()
	require.NoError(t, <-result)
	require.EqualValues(t, 3, a.Stats().Published)
}

func TestCancelledPublishIsNotPublished(t *testing.T) {
	n := newPipeNet(t)
	a := n.add(1)
	s := a.subscribe("t", SubscribeOptions{})
	release := holdSigner(t, a)
	defer release()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- a.Publish(ctx, "t", []byte("never")) }()
	eventually(t, "it is in the queue", func() bool { return a.Stats().PublishQueue == 1 })
	cancel()
	require.Equal(t, wire.KindCancelled, wire.KindOf(<-result))
	release()
	a.publish("t", "two")
	require.Equal(t, "two", string(next(t, s).Payload))
}

// What waits in the publish queue when the engine closes is told so, once.
func TestCloseFailsWhatWaits(t *testing.T) {
	n := newPipeNet(t)
	a := n.add(1)
	release := holdSigner(t, a)
	defer release()
	result := make(chan error, 4)
	require.NoError(t, a.PublishAsync("t", nil, func(err error) { result <- err }))
	go func() { result <- a.Publish(context.Background(), "t", nil) }()
	eventually(t, "both wait", func() bool { return a.Stats().PublishQueue == 2 })
	require.NoError(t, a.Close(context.Background()))
	for range 2 {
		require.Equal(t, wire.KindClosed, wire.KindOf(<-result))
	}
	release()
	require.NoError(t, a.Close(context.Background()))
	require.Empty(t, result)
}

func TestCloseIsBoundedByItsContext(t *testing.T) {
	n := newPipeNet(t)
	a := n.add(1)
	entered, held := make(chan struct{}), make(chan struct{})
	require.NoError(t, a.PublishAsync("t", nil, func(error) { close(entered); <-held }))
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.Equal(t, wire.KindTimeout, wire.KindOf(a.Close(ctx)))
	close(held)
	require.NoError(t, a.Close(context.Background()))
}

// Applications publish from where they are told of messages.
func TestCallsFromCallbacks(t *testing.T) {
	n := newPipeNet(t)
	a := n.add(1)
	s, echo := a.subscribe("t", SubscribeOptions{}), a.subscribe("echo", SubscribeOptions{})
	s.Box().SetNotify(func() {
		for _, e := range s.Box().TryPop(10, nil) {
			if err := a.Publish(context.Background(), "echo", e.Item.Payload); err != nil {
				t.Error(err)
			}
		}
	})
	var late *Subscription
	made := make(chan struct{})
	require.NoError(t, a.PublishAsync("t", []byte("x"), func(error) {
		a.publish("other", "from done")
		late = a.subscribe("echo", SubscribeOptions{})
		close(made)
	}))
	require.Equal(t, "x", string(next(t, echo).Payload))
	<-made
	require.Equal(t, "x", string(next(t, late).Payload))
}

func TestStuckNeighbourHoldsPublishersOnce(t *testing.T) {
	n := newPipeNet(t)
	small := func(c *Config) {
		c.Retention = Retention{Messages: 1}
		c.MaxBehind = 20_000
		c.PeerPatience = 20 * time.Millisecond
	}
	a, b := n.add(1, small), n.add(2)
	n.connect(a, b)
	s := b.subscribe("t", SubscribeOptions{})
	a.publish("t", "up")
	next(t, s)

	// A third one that is connected, wants everything and takes nothing.
	stuck := agent(t, 3)
	a.PeerUp(stuck)
	a.HandleFrame(stuck, readyFrame(true))
	for i := range 200 {
		a.publish("t", fmt.Sprint(i))
	}
	require.Equal(t, numbered(200), payloads(t, s, 200))
	require.NotZero(t, a.Stats().PeerDropped)
	require.Less(t, a.Stats().RetainedBytes, int64(100_000))
}

// A link slower than its publisher loses nothing: publishing waits for it.
func TestSlowLinkIsLossless(t *testing.T) {
	n := newPipeNet(t)
	a := n.add(1, func(c *Config) { c.Retention = Retention{Messages: 10}; c.MaxBehind = 20_000 })
	b := n.add(2)
	n.connectRoom(a, b, 1)
	const total = 3000
	s := b.subscribe("t", SubscribeOptions{Messages: total})
	end := b.subscribe("end", SubscribeOptions{})
	a.publish("end", "ready") // by then the interest of b is known
	next(t, end)
	for i := range total {
		for {
			err := a.PublishAsync("t", []byte(fmt.Sprint(i)), func(error) {})
			if err == nil {
				break
			}
			require.Equal(t, wire.KindBusy, wire.KindOf(err))
			a.publish("pause", "") // waits for a place
		}
	}
	require.Equal(t, numbered(total), payloads(t, s, total))
	require.Zero(t, a.Stats().PeerDropped)
}

func TestRelayLineOfEngines(t *testing.T) {
	n := newPipeNet(t)
	a, b, c := n.add(1), n.add(2), n.add(3)
	n.connect(a, b)
	n.connect(b, c)
	s := c.subscribe("t", SubscribeOptions{})
	// An author that no cache in this process knows: every hop asks for the key.
	k, err := identity.GenerateKey()
	require.NoError(t, err)
	far := n.add(0, func(cfg *Config) { cfg.Key = k })
	n.connect(far, a)
	far.publish("t", "from far")
	require.Equal(t, k.Public().AgentID(), next(t, s).Sender)
}

// Everything at once, for the race detector: many topics, publishers,
// subscribers that come and go, links that break.
func TestConcurrency(t *testing.T) {
	n := newPipeNet(t)
	nodes := []*node{n.add(1), n.add(2), n.add(3)}
	for i, a := range nodes {
		for _, b := range nodes[:i] {
			n.connect(a, b)
		}
	}
	stays := nodes[2].subscribe("t0", SubscribeOptions{Messages: 1 << 16})
	var wg sync.WaitGroup
	const each = 60
	for i, nd := range nodes {
		wg.Go(func() {
			for j := range each {
				if err := nd.Publish(context.Background(), fmt.Sprintf("t%d", j%3), []byte{byte(i), byte(j)}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for j := range each {
				s, err := nd.Subscribe(fmt.Sprintf("t%d", j%3), SubscribeOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				s.Box().TryPop(100, nil)
				nd.Stats()
				s.Close()
			}
		})
	}
	wg.Go(func() {
		for range 10 {
			n.disconnect(nodes[0], nodes[1])
			n.connect(nodes[0], nodes[1])
		}
	})
	wg.Wait()
	seen := map[string]bool{}
	for range 3 * each / 3 {
		m := next(t, stays)
		key := fmt.Sprint(m.Sender, m.Sequence)
		require.False(t, seen[key], "twice")
		seen[key] = true
	}
}

func TestPanicInAPolicyIsContained(t *testing.T) {
	n := newPipeNet(t)
	var once sync.Once
	b := n.add(2, func(c *Config) {
		c.Policy = func(identity.AgentID) (l trust.Level, deliver bool) {
			once.Do(func() { panic("policy") })
			return trust.Known, true
		}
	})
	s := b.subscribe("t", SubscribeOptions{})
	sm := newSim(t)
	sm.now = time.Now()
	i := sm.add(1)
	_, one := sm.seal(i, "t", 1, "one")
	_, two := sm.seal(i, "t", 2, "two")
	b.PeerUp(agent(t, 1))
	require.Panics(t, func() { b.HandleFrame(agent(t, 1), appendRetained(one, 0, true)) })
	b.HandleFrame(agent(t, 1), appendRetained(two, 0, true))
	require.Equal(t, "two", string(next(t, s).Payload))
}

// Engines on a ring with chords, real time, everybody publishes: everybody gets
// everything once, and the links become a tree.
func TestManyEngines(t *testing.T) {
	n := newPipeNet(t)
	const count, each = 8, 40
	var nodes []*node
	var subs []*Subscription
	for i := range count {
		nd := n.add(byte(i + 1))
		nodes = append(nodes, nd)
		subs = append(subs, nd.subscribe("t", SubscribeOptions{}))
	}
	for i := range count {
		n.connect(nodes[i], nodes[(i+1)%count])
		if i < count/2 {
			n.connect(nodes[i], nodes[i+count/2])
		}
	}
	var wg sync.WaitGroup
	for i, nd := range nodes {
		wg.Go(func() {
			for j := range each {
				if err := nd.Publish(context.Background(), "t", []byte{byte(i), byte(j)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, s := range subs {
		seen := map[string]bool{}
		for range count * each {
			m := next(t, s)
			require.False(t, seen[string(m.Payload)])
			seen[string(m.Payload)] = true
		}
	}
	wg.Wait()
	eventually(t, "the links become fewer", func() bool {
		nodes[0].publish("t", "again")
		for _, s := range subs {
			next(t, s)
		}
		eager, lazy := 0, 0
		for _, nd := range nodes {
			s := nd.Stats()
			eager, lazy = eager+s.EagerLinks, lazy+s.LazyLinks
		}
		return eager <= 2*(count-1)+2 && eager+lazy == 2*(count+count/2)
	})
}
