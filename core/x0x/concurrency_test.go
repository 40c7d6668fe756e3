package x0x

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAFunctionThatDoesNotReturnDoesNotHoldClose(t *testing.T) {
	k := newKit(t)
	pair := k.joined(2)
	a, b := pair[0], pair[1]
	entered, release := make(chan struct{}), make(chan struct{})
	_, err := a.SendAsync(b.AgentID(), nil, SendOptions{}, func(Receipt, error) {
		close(entered)
		<-release
	})
	require.NoError(t, err)
	<-entered
	ctx, cancel := context.WithTimeout(k.ctx, 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, a.Close(ctx), ErrTimeout)
	require.ErrorIs(t, a.Close(ctx), ErrTimeout, "a second call is bounded, too")
	require.Equal(t, a.AgentID(), k.event(b, Disconnected).Agent, "the goodbye does not wait for the function")
	close(release)
	<-a.Done()
	require.NoError(t, a.Close(k.ctx))
}

func TestAFunctionMayClose(t *testing.T) {
	k := newKit(t)
	pair := k.joined(2)
	a, b := pair[0], pair[1]
	_, err := a.SendAsync(b.AgentID(), nil, SendOptions{}, func(Receipt, error) {
		ctx, cancel := context.WithCancel(k.ctx)
		cancel()
		a.Close(ctx)
	})
	require.NoError(t, err)
	<-a.Done()
}

func TestAPanicInAFunctionLosesNoOtherAnswer(t *testing.T) {
	k := newKit(t)
	pair := k.joined(2)
	a, b := pair[0], pair[1]
	answers := make(chan error, 20)
	for i := range 20 {
		_, err := a.SendAsync(b.AgentID(), nil, SendOptions{}, func(_ Receipt, err error) {
			answers <- err
			if i == 0 {
				panic("on purpose")
			}
		})
		if err != nil { // poisoned already
			require.ErrorIs(t, err, ErrPoisoned)
			answers <- err
		}
	}
	for range 20 {
		<-answers
	}
	require.ErrorIs(t, k.event(a, Fatal).Err, ErrPanic)
}

// silent is a bootstrap host that never answers.
func silent(t *testing.T) string {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { socket.Close() })
	return socket.LocalAddr().String()
}

func TestClosingEndsAJoin(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{NoLocalDiscovery: true, Bootstrap: []string{silent(t)}})
	joined := make(chan error, 1)
	go func() { joined <- a.JoinNetwork(k.ctx) }()
	require.Eventually(t, func() bool { return a.net.Load() != nil }, 10*time.Second, time.Millisecond)
	require.NoError(t, a.Close(k.ctx))
	require.ErrorIs(t, <-joined, ErrClosed)
}

func TestJoiningAndLeavingWithContextsThatEnd(t *testing.T) {
	k := newKit(t)
	gone, cancel := context.WithCancel(k.ctx)
	cancel()
	a := k.agent(Options{NoLocalDiscovery: true, Bootstrap: []string{silent(t)}})
	require.ErrorIs(t, a.JoinNetwork(gone), ErrCancelled)
	require.Empty(t, a.LocalAddrs(), "a caller who has given up joins nothing")

	short, cancel := context.WithCancel(k.ctx)
	joined := make(chan error, 1)
	go func() { joined <- a.JoinNetwork(short) }()
	require.Eventually(t, func() bool { return a.net.Load() != nil }, 10*time.Second, time.Millisecond)
	require.ErrorIs(t, a.LeaveNetwork(gone), ErrCancelled, "the join is under way")
	cancel()
	require.ErrorIs(t, <-joined, ErrCancelled)
	require.NotEmpty(t, a.LocalAddrs(), "it has joined, and looked for nobody")
	require.NoError(t, a.JoinNetwork(k.ctx))
	require.NoError(t, a.LeaveNetwork(k.ctx))
	require.Empty(t, a.LocalAddrs())
}

func TestEverythingAtOnce(t *testing.T) {
	k := newKit(t)
	b := k.agent(Options{})
	require.NoError(t, b.JoinNetwork(k.ctx))
	a := k.agent(Options{CloseGrace: 50 * time.Millisecond})
	ctx, cancel := context.WithCancel(k.ctx)
	defer cancel()
	var work sync.WaitGroup
	acknowledged := func() uint64 { return a.Stats()["direct.acknowledged"] }
	for _, f := range []func() error{
		func() error { return a.JoinNetwork(ctx) },
		func() error {
			// On a busy machine leaving at once would leave no time for anything else.
			before, end := acknowledged(), time.Now().Add(time.Second)
			for acknowledged() == before && time.Now().Before(end) && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			return a.LeaveNetwork(ctx)
		},
		func() error {
			_, err := a.SendDirect(ctx, b.AgentID(), []byte("x"), SendOptions{Timeout: time.Second})
			return err
		},
		func() error { return a.Publish(ctx, "t", []byte("x")) },
		func() error { _, err := a.ConnectToAgent(ctx, b.AgentID()); return err },
		func() error {
			s, err := a.Subscribe("t", SubscribeOptions{})
			if err == nil {
				s.Close()
			}
			return err
		},
		func() error { a.Stats(); a.Peers(); a.Events().TryRecv(10, nil); return a.usable("test") },
		func() error { _, err := b.inbox.Recv(ctx); return err },
	} {
		work.Go(func() {
			for ctx.Err() == nil {
				if err := f(); errors.Is(err, ErrClosed) {
					return
				}
			}
		})
	}
	require.Eventually(t, func() bool { return acknowledged() > 20 }, 40*time.Second, time.Millisecond)
	require.NoError(t, a.Close(k.ctx))
	cancel()
	work.Wait()
	require.NoError(t, a.Poisoned())
}

func TestADialThatEndsForgetsNoMessage(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{})
	require.NoError(t, a.JoinNetwork(k.ctx))
	nobody := AgentID{1}
	a.dials.mu.Lock()
	a.dials.dialing[nobody] = false // a dial has failed all that waited, and is about to end
	a.dials.mu.Unlock()
	result := make(chan error, 1)
	_, err := a.SendAsync(nobody, nil, SendOptions{Timeout: time.Minute}, func(_ Receipt, err error) { result <- err })
	require.NoError(t, err)
	require.True(t, a.dials.again(nobody), "the new message is forgotten")
	a.dials.run(nobody)
	require.ErrorIs(t, <-result, ErrNotFound)
}

func TestMessagesOfALostSessionAreDialledForAfterJoiningAgain(t *testing.T) {
	k := newKit(t)
	a, b := k.agent(Options{NoLocalDiscovery: true}), k.agent(Options{NoLocalDiscovery: true, InboxMessages: 1})
	for _, x := range []*Agent{a, b} {
		require.NoError(t, x.JoinNetwork(k.ctx))
	}
	hint := func() {
		require.NoError(t, a.AddPeer(b.MachineID(), b.AgentID(), b.LocalAddrs()))
	}
	hint()
	_, err := a.SendDirect(k.ctx, b.AgentID(), []byte("fills the inbox"), SendOptions{})
	require.NoError(t, err)
	result := make(chan error, 1)
	_, err = a.SendAsync(b.AgentID(), []byte("waits"), SendOptions{Timeout: time.Minute}, func(_ Receipt, err error) { result <- err })
	require.NoError(t, err)
	require.NoError(t, a.LeaveNetwork(k.ctx))
	require.NoError(t, a.JoinNetwork(k.ctx))
	hint()
	for range 2 {
		_, err := b.RecvDirect(k.ctx)
		require.NoError(t, err)
	}
	require.NoError(t, <-result)
}

func TestAGoodbyeIsNotAnsweredByADial(t *testing.T) {
	k := newKit(t)
	pair := k.joined(2)
	a, b := pair[0], pair[1]
	_, err := a.SendDirect(k.ctx, b.AgentID(), nil, SendOptions{})
	require.NoError(t, err)
	before := a.Stats()["transport.dials"]
	require.NoError(t, b.LeaveNetwork(k.ctx))
	k.event(a, Disconnected) // comes after the decision
	a.dials.mu.Lock()
	defer a.dials.mu.Unlock()
	require.Empty(t, a.dials.dialing)
	require.Equal(t, before, a.Stats()["transport.dials"])
}

func TestPublishStandsBehindPublishAsync(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{MaxOperations: 10_000})
	const total = 3000 // more than the publish queue holds
	sub, err := a.Subscribe("t", SubscribeOptions{MaxMessages: total + 1})
	require.NoError(t, err)
	for i := range total {
		_, err := a.PublishAsync("t", []byte{byte(i >> 8), byte(i)}, 0, func(error) {})
		require.NoError(t, err)
	}
	require.NoError(t, a.Publish(k.ctx, "t", []byte("last")))
	for i := range total {
		m, err := sub.Recv(k.ctx)
		require.NoError(t, err)
		require.Equal(t, []byte{byte(i >> 8), byte(i)}, m.Payload)
	}
	m, err := sub.Recv(k.ctx)
	require.NoError(t, err)
	require.Equal(t, "last", string(m.Payload))
}

func TestPublishesThatAreGivenUpOrClosed(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{MaxOperations: 10_000})
	sub, err := a.Subscribe("t", SubscribeOptions{MaxMessages: 10_000})
	require.NoError(t, err)
	entered, release := make(chan struct{}), make(chan struct{})
	_, err = a.PublishAsync("t", nil, 0, func(error) { // holds its place, and all behind it theirs
		close(entered)
		<-release
	})
	require.NoError(t, err)
	<-entered
	const total = 2000
	results := make(chan error, total)
	var cancels []func()
	for range total {
		cancel, err := a.PublishAsync("t", []byte("x"), time.Minute, func(err error) { results <- err })
		require.NoError(t, err)
		cancels = append(cancels, cancel)
	}
	require.NotZero(t, a.Stats()["topics.line_messages_now"])
	short, stop := context.WithTimeout(k.ctx, 20*time.Millisecond)
	defer stop()
	require.ErrorIs(t, a.Publish(short, "t", []byte("sync")), ErrTimeout)
	for _, cancel := range cancels { // also the one that is served
		cancel()
	}
	var cancelled int
	for range total - 1024 {
		require.ErrorIs(t, <-results, ErrCancelled)
		cancelled++
	}
	require.Zero(t, a.Stats()["topics.line_messages_now"])
	require.Eventually(t, func() bool { return !a.line.standing() }, 10*time.Second, time.Millisecond)
	a.tasks.Close() // as when closing has come so far: nobody would serve the line
	late := &publish{topic: "t", done: func(error) { t.Error("refused, and told again") }}
	require.ErrorIs(t, a.line.submit(late, lineBytes), ErrClosed)
	close(release)
	for range total - cancelled {
		require.NoError(t, <-results)
	}
	for range total - cancelled + 1 {
		m, err := sub.Recv(k.ctx)
		require.NoError(t, err)
		require.NotEqual(t, "sync", string(m.Payload))
	}
	require.Zero(t, sub.Feed().Len(), "what was given up was published")
}

func TestContextsThatEndHaveAKind(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{})
	sub, err := a.Subscribe("t", SubscribeOptions{})
	require.NoError(t, err)
	for name, call := range map[string]func(context.Context) error{
		"receive direct": func(ctx context.Context) error { _, err := a.RecvDirect(ctx); return err },
		"receive many":   func(ctx context.Context) error { _, err := a.RecvDirectMany(ctx, 3); return err },
		"receive":        func(ctx context.Context) error { _, err := sub.Recv(ctx); return err },
		"events":         func(ctx context.Context) error { _, err := a.Events().Recv(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) {
			late, cancel := context.WithTimeout(k.ctx, time.Millisecond)
			defer cancel()
			err := call(late)
			require.ErrorIs(t, err, ErrTimeout)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			gone, cancel := context.WithCancel(k.ctx)
			cancel()
			require.ErrorIs(t, call(gone), ErrCancelled)
		})
	}
}

func TestALinkThatFailsIsReplaced(t *testing.T) {
	k := newKit(t)
	pair := k.joined(2)
	a, b := pair[0], pair[1]
	sub, err := b.Subscribe("t", SubscribeOptions{})
	require.NoError(t, err)
	next := func(want string) {
		require.NoError(t, a.Publish(k.ctx, "t", []byte(want)))
		m, err := sub.Recv(k.ctx)
		require.NoError(t, err)
		require.Equal(t, want, string(m.Payload))
	}
	next("before")
	a.links.mu.Lock()
	l := &a.links.links[b.AgentID()].bulk
	a.links.mu.Unlock()
	require.Eventually(t, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return !l.writing }, 10*time.Second, time.Millisecond)
	l.mu.Lock()
	l.stream.Cancel(0) // the next write fails
	l.mu.Unlock()
	next("after")
	require.True(t, a.IsAgentConnected(b.AgentID()))
}

func TestTrustThatChangesAtOnceSettles(t *testing.T) {
	k := newKit(t)
	pair := k.joined(2)
	a, b := pair[0], pair[1]
	_, err := b.SendDirect(k.ctx, a.AgentID(), nil, SendOptions{})
	require.NoError(t, err)
	for range 100 {
		var work sync.WaitGroup
		for _, level := range []TrustLevel{TrustBlocked, TrustKnown, TrustBlocked, TrustUnknown} {
			work.Go(func() { _ = a.SetTrust(b.AgentID(), level) })
		}
		work.Wait()
		require.Equal(t, a.Trust(b.AgentID()) == TrustBlocked, a.direct.Sessions()[0].Blocked)
	}
}

func TestADeadBootstrapHostIsNewsOnce(t *testing.T) {
	b := &bootstrapHost{}
	now := time.Unix(0, 0)
	require.True(t, b.due(now))
	require.True(t, b.failed(now), "the first failure is news")
	require.False(t, b.due(now.Add(lookAgain-1)))
	for range 10 {
		now = now.Add(bootstrapPause)
		require.True(t, b.due(now))
		require.False(t, b.failed(now), "another one is none")
	}
	require.False(t, b.due(now.Add(bootstrapPause-1)), "pauses grow")
	require.True(t, b.due(now.Add(bootstrapPause)), "and are bounded")
	b.answered(MachineID{1})
	require.True(t, b.due(now))
	require.True(t, b.failed(now), "it had come back")
}

func TestOneBootstrapEventInManyLooks(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{NoLocalDiscovery: true, Bootstrap: []string{freePort(t).String()}, DialTimeout: 50 * time.Millisecond})
	require.NoError(t, a.JoinNetwork(k.ctx))
	n := a.net.Load()
	for range 3 {
		n.bootstrap[0].mu.Lock()
		n.bootstrap[0].next = time.Time{}
		n.bootstrap[0].mu.Unlock()
		n.look(k.ctx)
	}
	require.Len(t, a.Events().TryRecv(10, nil), 1)
}
