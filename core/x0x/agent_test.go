package x0x

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

func TestOptionsThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	corrupt := filepath.Join(dir, "corrupt.key")
	require.NoError(t, os.WriteFile(corrupt, bytes.Repeat([]byte{7}, identity.KeyFileSize), 0o600))
	for _, c := range []struct {
		name string
		o    Options
		want error
		text string
	}{
		{"a name with a path", Options{Name: "../evil", HomeDir: dir}, ErrInvalidArgument, "name"},
		{"two places for one identity", Options{Name: "a", IdentityDir: dir}, ErrInvalidArgument, "identity_dir"},
		{"an identity folder that does not exist", Options{IdentityDir: filepath.Join(dir, "no")}, ErrNotFound, ""},
		{"a key path that does not exist", Options{AgentKeyPath: filepath.Join(dir, "no", "agent.key")}, ErrNotFound, ""},
		{"a folder in place of a key", Options{MachineKeyPath: dir}, ErrIO, ""},
		{"a damaged key file", Options{AgentKeyPath: corrupt}, ErrCorrupt, ""},
		{"a damaged key image", Options{AgentKey: make([]byte, identity.KeyFileSize)}, ErrCorrupt, ""},
		{"a short key", Options{MachineKey: make([]byte, 31)}, ErrInvalidArgument, ""},
		{"a pair that does not match", Options{AgentKey: make([]byte, identity.PublicKeySize+identity.PrivateKeySize)}, ErrInvalidArgument, ""},
		{"a bind address without port", Options{Bind: "127.0.0.1"}, ErrInvalidArgument, "host:port"},
		{"a bind port that is no number", Options{Bind: "127.0.0.1:x"}, ErrInvalidArgument, "port"},
		{"a bind port out of range", Options{Bind: "127.0.0.1:65536"}, ErrInvalidArgument, "port"},
		{"a bind host that is no address", Options{Bind: "example.invalid:1"}, ErrInvalidArgument, "IP address"},
		{"a negative timeout", Options{SendTimeout: -1}, ErrInvalidArgument, "send timeout"},
		{"a negative count", Options{MaxPeers: -1}, ErrInvalidArgument, "peers"},
		{"a trust level that does not exist", Options{AcceptFrom: 9}, ErrInvalidArgument, "trust"},
		{"a network id without end", Options{NetworkID: strings.Repeat("n", 256)}, ErrInvalidArgument, "network id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := New(c.o)
			if a != nil {
				a.Close(context.Background())
			}
			require.ErrorIs(t, err, c.want)
			require.Contains(t, err.Error(), c.text)
		})
	}
	left, err := os.ReadFile(corrupt)
	require.NoError(t, err)
	require.Equal(t, bytes.Repeat([]byte{7}, identity.KeyFileSize), left, "a damaged file must stay as it is")
}

func TestIdentityIsFreshNamedOrGiven(t *testing.T) {
	k := newKit(t)
	fresh, other := k.agent(Options{}), k.agent(Options{})
	require.NotEqual(t, fresh.AgentID(), other.AgentID())
	require.NotEqual(t, fresh.MachineID(), other.MachineID())

	home := t.TempDir()
	first := k.agent(Options{Name: "alice", HomeDir: home})
	id, machine := first.AgentID(), first.MachineID()
	_, err := New(Options{Name: "alice", HomeDir: home})
	require.ErrorIs(t, err, ErrBusy)
	require.NoError(t, first.Close(k.ctx))
	again := k.agent(Options{Name: "alice", HomeDir: home})
	require.Equal(t, id, again.AgentID())
	require.Equal(t, machine, again.MachineID())

	image, err := os.ReadFile(filepath.Join(home, ".x0x-alice", "agent.key"))
	require.NoError(t, err)
	require.Len(t, image, identity.KeyFileSize)
	pair := append(bytes.Clone(image[8:8+identity.PublicKeySize]), image[16+identity.PublicKeySize:]...)
	for _, material := range [][]byte{image, pair} {
		require.Equal(t, id, k.agent(Options{AgentKey: material}).AgentID())
	}
}

func TestJoinRefusesWhatCannotWork(t *testing.T) {
	k := newKit(t)
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer socket.Close()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, c := range []struct {
		name string
		o    Options
		want error
	}{
		{"a busy port", Options{Bind: socket.LocalAddr().String()}, ErrBusy},
		{"only malformed bootstrap hosts", Options{Bootstrap: []string{"nonsense", "host:0", ":1"}}, ErrInvalidArgument},
		{"only unknown bootstrap hosts", Options{Bootstrap: []string{"no-such-host.invalid:1", "nonsense"}}, ErrUnreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := k.agent(c.o)
			require.ErrorIs(t, a.JoinNetwork(k.ctx), c.want)
			require.Empty(t, a.LocalAddrs(), "a failed join must leave nothing open")
		})
	}
	t.Run("a runtime folder that is a file", func(t *testing.T) {
		a, err := New(Options{NetworkID: t.Name(), RuntimeDir: file})
		require.NoError(t, err)
		defer a.Close(k.ctx)
		require.ErrorIs(t, a.JoinNetwork(k.ctx), ErrIO)
		require.Empty(t, a.LocalAddrs())
	})
	t.Run("one good bootstrap host is enough", func(t *testing.T) {
		b := k.agent(Options{NoLocalDiscovery: true})
		require.NoError(t, b.JoinNetwork(k.ctx))
		a := k.agent(Options{NoLocalDiscovery: true, NetworkID: b.opts.NetworkID, Bootstrap: []string{"nonsense", b.LocalAddrs()[0].String()}})
		require.NoError(t, a.JoinNetwork(k.ctx))
		require.True(t, a.IsConnected(), "join makes one pass over bootstrap")
	})
	t.Run("a bootstrap host that does not answer is an event", func(t *testing.T) {
		a := k.agent(Options{NoLocalDiscovery: true, Bootstrap: []string{socket.LocalAddr().String()}, DialTimeout: 200 * time.Millisecond})
		require.NoError(t, a.JoinNetwork(k.ctx))
		require.Error(t, k.event(a, ErrorEvent).Err)
	})
}

func TestJoinLeaveJoin(t *testing.T) {
	k := newKit(t)
	pair := k.joined(2)
	a, b := pair[0], pair[1]
	require.NoError(t, a.JoinNetwork(k.ctx), "joining again does nothing")
	require.NoError(t, a.LeaveNetwork(k.ctx))
	require.NoError(t, a.LeaveNetwork(k.ctx), "leaving again does nothing")
	require.False(t, a.IsConnected())
	require.Empty(t, a.LocalAddrs())
	require.Equal(t, a.AgentID(), k.event(b, Disconnected).Agent)
	_, err := a.SendDirect(k.ctx, b.AgentID(), nil, SendOptions{})
	require.ErrorIs(t, err, ErrUnreachable)
	require.NoError(t, a.JoinNetwork(k.ctx))
	_, err = a.SendDirect(k.ctx, b.AgentID(), []byte("back"), SendOptions{})
	require.NoError(t, err)
	m, err := b.RecvDirect(k.ctx)
	require.NoError(t, err)
	require.Equal(t, "back", string(m.Payload))
}

func TestSendsThatFail(t *testing.T) {
	k := newKit(t)
	a, b := k.agent(Options{DialTimeout: 500 * time.Millisecond}), k.agent(Options{})
	require.NoError(t, b.JoinNetwork(k.ctx))
	require.NoError(t, a.JoinNetwork(k.ctx))
	dead := freePort(t)
	nobody := AgentID{1}
	require.NoError(t, a.AddPeer(MachineID{2}, AgentID{2}, []netip.AddrPort{dead}))
	for _, c := range []struct {
		name string
		to   AgentID
		o    SendOptions
		size int
		want error
	}{
		{"nobody knows the agent", nobody, SendOptions{}, 1, ErrNotFound},
		{"its address is dead", AgentID{2}, SendOptions{Timeout: 30 * time.Second}, 1, ErrUnreachable},
		{"one byte too much", b.AgentID(), SendOptions{}, MaxDirectPayload + 1, ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := a.SendDirect(k.ctx, c.to, make([]byte, c.size), c.o)
			require.ErrorIs(t, err, c.want)
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, DeliveredNo, e.Delivered)
		})
	}
	t.Run("you blocked it", func(t *testing.T) {
		require.NoError(t, a.Block(b.AgentID()))
		_, err := a.SendDirect(k.ctx, b.AgentID(), nil, SendOptions{})
		require.ErrorIs(t, err, ErrBlocked)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, DeliveredNo, e.Delivered)
		require.NoError(t, a.SetTrust(b.AgentID(), TrustUnknown))
	})
	t.Run("the caller gives up", func(t *testing.T) {
		full, cancel := context.WithCancelCause(k.ctx)
		cancel(context.Canceled)
		_, err := a.SendDirect(full, b.AgentID(), nil, SendOptions{})
		require.ErrorIs(t, err, ErrCancelled)
	})
	t.Run("not joined", func(t *testing.T) {
		alone := k.agent(Options{})
		_, err := alone.SendDirect(k.ctx, b.AgentID(), nil, SendOptions{})
		require.ErrorIs(t, err, ErrUnreachable)
	})
}

// freePort returns an address at which nothing listens.
func freePort(t *testing.T) netip.AddrPort {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestConnectOutcomes(t *testing.T) {
	k := newKit(t)
	a, b := k.agent(Options{NoLocalDiscovery: true, DialTimeout: 500 * time.Millisecond}), k.agent(Options{NoLocalDiscovery: true})
	stranger := k.agent(Options{NoLocalDiscovery: true, NetworkID: "another"})
	for _, x := range []*Agent{a, b, stranger} {
		require.NoError(t, x.JoinNetwork(k.ctx))
	}
	r, err := a.ConnectToAgent(k.ctx, b.AgentID())
	require.NoError(t, err)
	require.Equal(t, NotFound, r.Outcome)
	require.Equal(t, "NotFound", r.Outcome.String())

	require.NoError(t, a.AddPeer(MachineID{9}, AgentID{9}, []netip.AddrPort{freePort(t)}))
	r, err = a.ConnectToAgent(k.ctx, AgentID{9})
	require.NoError(t, err)
	require.Equal(t, Unreachable, r.Outcome)

	require.NoError(t, a.AddPeer(b.MachineID(), b.AgentID(), b.LocalAddrs()))
	r, err = a.ConnectToAgent(k.ctx, b.AgentID())
	require.NoError(t, err)
	require.Equal(t, Direct, r.Outcome)
	require.True(t, r.Addr.IsValid())
	r, err = a.ConnectToMachine(k.ctx, b.MachineID())
	require.NoError(t, err)
	require.Equal(t, AlreadyConnected, r.Outcome)

	// Another machine answers at the address, and another network.
	require.NoError(t, a.AddPeer(MachineID{8}, AgentID{8}, b.LocalAddrs()))
	_, err = a.ConnectToAgent(k.ctx, AgentID{8})
	require.ErrorIs(t, err, ErrAuth)
	_, _, err = a.ConnectToAddress(k.ctx, stranger.LocalAddrs()[0].String())
	require.ErrorIs(t, err, ErrNetworkMismatch)
	_, _, err = a.ConnectToAddress(k.ctx, "nonsense")
	require.ErrorIs(t, err, ErrInvalidArgument)
	_, err = a.ConnectToAgent(k.ctx, a.AgentID())
	require.ErrorIs(t, err, ErrInvalidArgument)
	require.Len(t, a.Peers(), 1)
}

func TestAFullInboxHoldsTheSenderBack(t *testing.T) {
	k := newKit(t)
	a, b := k.agent(Options{}), k.agent(Options{InboxMessages: 8})
	require.NoError(t, b.JoinNetwork(k.ctx))
	require.NoError(t, a.JoinNetwork(k.ctx))
	const total = 20_000
	var acked, failed atomic.Int64
	sent := make(chan int)
	go func() {
		n := 0
		for n < total {
			_, err := a.SendAsync(b.AgentID(), make([]byte, 100), SendOptions{Timeout: 2 * time.Second}, func(_ Receipt, err error) {
				if err == nil {
					acked.Add(1)
				} else {
					failed.Add(1)
				}
			})
			if errors.Is(err, ErrBusy) {
				break // the sender feels it
			}
			n++
		}
		sent <- n
	}()
	n := <-sent
	require.Less(t, n, total, "a reader that never reads must make the sender busy")
	require.Eventually(t, func() bool { return acked.Load()+failed.Load() == int64(n) }, 30*time.Second, 10*time.Millisecond)
	require.Equal(t, int64(8), acked.Load(), "only what entered the inbox is acknowledged")
	require.Equal(t, 8, b.Inbox().Len())
	require.LessOrEqual(t, b.Stats()["direct.room_inline_now"], uint64(2<<20), "the receiver holds a bounded amount")
}

func TestClosingCompletesWhatIsPending(t *testing.T) {
	k := newKit(t)
	a, b := k.agent(Options{CloseGrace: 100 * time.Millisecond}), k.agent(Options{InboxMessages: 1})
	require.NoError(t, b.JoinNetwork(k.ctx))
	require.NoError(t, a.JoinNetwork(k.ctx))
	sub, err := a.Subscribe("t", SubscribeOptions{})
	require.NoError(t, err)
	results := make(chan error, 100)
	for range 100 {
		_, err := a.SendAsync(b.AgentID(), []byte("x"), SendOptions{Timeout: time.Minute}, func(_ Receipt, err error) { results <- err })
		require.NoError(t, err)
	}
	require.NoError(t, a.Close(k.ctx))
	require.NoError(t, a.Close(k.ctx), "closing twice is harmless")
	closed := 0
	for range 100 {
		if errors.Is(<-results, ErrClosed) {
			closed++
		}
	}
	require.GreaterOrEqual(t, closed, 98, "one fits the inbox, one may wait behind it")
	_, err = sub.Recv(k.ctx)
	require.ErrorIs(t, err, ErrClosed)
	_, err = a.RecvDirect(k.ctx)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, a.JoinNetwork(k.ctx), ErrClosed)
	require.ErrorIs(t, a.Publish(k.ctx, "t", nil), ErrClosed)
	require.ErrorIs(t, a.SetTrust(AgentID{1}, TrustKnown), ErrClosed)
	_, err = a.Subscribe("t", SubscribeOptions{})
	require.ErrorIs(t, err, ErrClosed)
}

func TestPendingSendsAtADisconnect(t *testing.T) {
	k := newKit(t)
	a, b := k.agent(Options{}), k.agent(Options{InboxMessages: 1})
	require.NoError(t, b.JoinNetwork(k.ctx))
	require.NoError(t, a.JoinNetwork(k.ctx))
	send := func(o SendOptions) chan error {
		result := make(chan error, 1)
		o.Timeout = 30 * time.Second
		_, err := a.SendAsync(b.AgentID(), []byte("x"), o, func(_ Receipt, err error) { result <- err })
		require.NoError(t, err)
		return result
	}
	require.NoError(t, <-send(SendOptions{}), "fills the inbox")
	patient, hasty := send(SendOptions{}), send(SendOptions{FailOnDisconnect: true})
	require.NoError(t, b.LeaveNetwork(k.ctx))
	k.event(a, Disconnected)
	require.ErrorIs(t, <-hasty, ErrDisconnected)
	select {
	case err := <-patient:
		require.Fail(t, "it must wait for its peer to come back", "%v", err)
	default:
	}
	require.NoError(t, b.JoinNetwork(k.ctx))
	_, err := b.RecvDirect(k.ctx)
	require.NoError(t, err)
	require.NoError(t, <-patient)
}

func TestANewProcessIsANewSession(t *testing.T) {
	k := newKit(t)
	key := bytes.Repeat([]byte{5}, 32)
	machine := bytes.Repeat([]byte{6}, 32)
	a := k.agent(Options{})
	require.NoError(t, a.JoinNetwork(k.ctx))
	for round := range 3 {
		b := k.agent(Options{AgentKey: key, MachineKey: machine})
		require.NoError(t, b.JoinNetwork(k.ctx))
		for range 10 {
			_, err := a.SendDirect(k.ctx, b.AgentID(), []byte("to b"), SendOptions{})
			require.NoError(t, err)
			_, err = b.SendDirect(k.ctx, a.AgentID(), []byte("to a"), SendOptions{})
			require.NoError(t, err)
			m, err := b.RecvDirect(k.ctx)
			require.NoError(t, err)
			require.Equal(t, "to b", string(m.Payload))
			_, err = a.RecvDirect(k.ctx)
			require.NoError(t, err)
		}
		if round > 0 {
			require.Equal(t, b.AgentID(), k.event(a, SessionReset).Agent)
		}
		require.NoError(t, b.Close(k.ctx))
		k.event(a, Disconnected)
	}
}

func TestAPanicPoisonsOneAgent(t *testing.T) {
	k := newKit(t)
	pair := k.joined(2)
	a, b := pair[0], pair[1]
	a.tasks.Go("test", func() { panic("on purpose") })
	e := k.event(a, Fatal)
	require.ErrorIs(t, e.Err, ErrPanic)
	require.ErrorIs(t, a.Publish(k.ctx, "t", nil), ErrPoisoned)
	_, err := a.SendDirect(k.ctx, b.AgentID(), nil, SendOptions{})
	require.ErrorIs(t, err, ErrPoisoned)
	require.Error(t, a.Poisoned())
	require.NoError(t, b.Poisoned())
	require.NoError(t, b.Publish(k.ctx, "t", nil), "the other agent goes on")
}

func TestTopicsAndLag(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{})
	_, err := a.Subscribe("a\x00b", SubscribeOptions{})
	require.ErrorIs(t, err, ErrInvalidArgument)
	_, err = a.Subscribe("\xff", SubscribeOptions{})
	require.ErrorIs(t, err, ErrInvalidArgument)
	_, err = a.Subscribe("t", SubscribeOptions{Policy: 9})
	require.ErrorIs(t, err, ErrInvalidArgument)
	require.ErrorIs(t, a.Publish(k.ctx, strings.Repeat("t", 257), nil), ErrInvalidArgument)
	require.ErrorIs(t, a.Publish(k.ctx, "t", make([]byte, 1<<20+1)), ErrTooLarge)

	slow, err := a.Subscribe("t", SubscribeOptions{MaxMessages: 5})
	require.NoError(t, err)
	for i := range 12 {
		require.NoError(t, a.Publish(k.ctx, "t", []byte{byte(i)}))
	}
	_, err = slow.Recv(k.ctx)
	var lag *LaggedError
	require.ErrorAs(t, err, &lag)
	require.ErrorIs(t, err, ErrLagged)
	require.Equal(t, Lag{Count: 7, FirstSeq: 1, LastSeq: 7}, lag.Lag)
	slow.Close()
	var got []byte
	for m, err := range slow.All(k.ctx) {
		require.NoError(t, err)
		got = append(got, m.Payload...)
	}
	require.Equal(t, []byte{7, 8, 9, 10, 11}, got)
}

func TestPublishAsyncKeepsOrderWhenTheQueueIsFull(t *testing.T) {
	k := newKit(t)
	a := k.agent(Options{MaxOperations: 10_000})
	const total = 4000 // more than the publish queue holds
	sub, err := a.Subscribe("t", SubscribeOptions{MaxMessages: total})
	require.NoError(t, err)
	results := make(chan error, total)
	for i := range total {
		_, err := a.PublishAsync("t", []byte{byte(i >> 8), byte(i)}, 0, func(err error) { results <- err })
		require.NoError(t, err)
	}
	for range total {
		require.NoError(t, <-results)
	}
	for i := range total {
		m, err := sub.Recv(k.ctx)
		require.NoError(t, err)
		require.Equal(t, []byte{byte(i >> 8), byte(i)}, m.Payload)
	}
}

func TestOperationsInFlightAreLimited(t *testing.T) {
	k := newKit(t)
	a, b := k.agent(Options{MaxOperations: 3, CloseGrace: time.Millisecond}), k.agent(Options{InboxMessages: 1})
	require.NoError(t, b.JoinNetwork(k.ctx))
	require.NoError(t, a.JoinNetwork(k.ctx))
	_, err := a.SendDirect(k.ctx, b.AgentID(), nil, SendOptions{})
	require.NoError(t, err)
	done := make(chan error, 3)
	for range 3 {
		_, err := a.SendAsync(b.AgentID(), nil, SendOptions{Timeout: time.Minute}, func(_ Receipt, err error) { done <- err })
		require.NoError(t, err)
	}
	_, err = a.SendAsync(b.AgentID(), nil, SendOptions{}, func(Receipt, error) { t.Error("a refused operation completed") })
	require.ErrorIs(t, err, ErrBusy)
	require.Equal(t, uint64(1), a.Stats()["agent.operations_refused"])
	for range 3 {
		_, err := b.RecvDirect(k.ctx)
		require.NoError(t, err)
		require.NoError(t, <-done)
	}
	require.Zero(t, a.Stats()["agent.operations_now"])
}
