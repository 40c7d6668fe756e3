package transport

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/task"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// recorder is a Handler that keeps what happened, and echoes streams.
type recorder struct {
	mu     sync.Mutex
	cond   *sync.Cond
	ups    []*Conn
	downs  []*Conn
	events []Event
	inside map[peerKey]bool
	errs   []string
}

func newRecorder() *recorder {
	r := &recorder{inside: make(map[peerKey]bool)}
	r.cond = sync.NewCond(&r.mu)
	return r
}

func (r *recorder) enter(c *Conn, what string, list *[]*Conn) {
	key := peerKey{c.agent, c.session.machine}
	r.mu.Lock()
	if r.inside[key] {
		r.errs = append(r.errs, what+" beside another callback of the peer")
	}
	r.inside[key] = true
	r.mu.Unlock()
	r.mu.Lock()
	*list = append(*list, c)
	r.inside[key] = false
	r.cond.Broadcast()
	r.mu.Unlock()
}

func (r *recorder) ConnUp(c *Conn)            { r.enter(c, "ConnUp", &r.ups) }
func (r *recorder) ConnDown(c *Conn, _ error) { r.enter(c, "ConnDown", &r.downs) }

func (r *recorder) Stream(c *Conn, _ StreamKind, s ReceiveStream) {
	r.mu.Lock()
	up := false
	for _, u := range r.ups {
		up = up || u == c
	}
	if !up {
		r.errs = append(r.errs, "a stream before ConnUp")
	}
	r.mu.Unlock()
	data, err := io.ReadAll(s)
	if both, ok := s.(Stream); ok && err == nil {
		_, _ = both.Write(data)
		_ = both.Close()
	}
}

func (r *recorder) onEvent(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	r.cond.Broadcast()
}

// wait blocks until ok holds.
func (r *recorder) wait(t testing.TB, what string, ok func(r *recorder) bool) {
	t.Helper()
	expired := false
	timer := time.AfterFunc(patience, func() {
		r.mu.Lock()
		expired = true
		r.cond.Broadcast()
		r.mu.Unlock()
	})
	defer timer.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !ok(r) {
		if expired {
			t.Fatalf("waited in vain for %s; %d up, %d down, last events %v", what, len(r.ups), len(r.downs), r.events[max(0, len(r.events)-3):])
		}
		r.cond.Wait()
	}
}

func (r *recorder) count(t EventType) int {
	n := 0
	for _, e := range r.events {
		if e.Type == t {
			n++
		}
	}
	return n
}

// node is an endpoint with its table.
type node struct {
	*Endpoint
	*Peers
	rec *recorder
}

func (n *node) ids() (identity.AgentID, identity.MachineID) {
	return n.Endpoint.AgentID(), n.MachineID()
}

func startNode(t testing.TB, cfg Config, pc PeersConfig) *node {
	t.Helper()
	n := &node{Endpoint: listen(t, cfg), rec: newRecorder()}
	pc.OnEvent = n.rec.onEvent
	if pc.DrainTime == 0 {
		pc.DrainTime = 10 * time.Millisecond
	}
	n.Peers = NewPeers(n.Endpoint, n.rec, pc)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, n.Peers.Close(ctx))
		n.rec.mu.Lock()
		defer n.rec.mu.Unlock()
		require.Empty(t, n.rec.errs)
		require.Len(t, n.rec.downs, len(n.rec.ups), "every connection that went up went down")
	})
	return n
}

// hintTo tells n where other is.
func (n *node) hintTo(other *node, at netip.AddrPort) {
	agent, machine := other.ids()
	n.AddHint(Hint{Machine: machine, Agent: agent, Addrs: []netip.AddrPort{at}, Source: "test"})
}

// echo proves that the connection carries streams both ways.
func echo(t testing.TB, c *Conn) {
	t.Helper()
	ctx := testContext(t)
	s, err := c.OpenBidi(ctx, KindDirect)
	require.NoError(t, err)
	_, err = s.Write([]byte("ping"))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	got, err := io.ReadAll(s)
	require.NoError(t, err)
	require.Equal(t, "ping", string(got))
}

func TestConnectOutcomes(t *testing.T) {
	a, b := startNode(t, testConfig(t, 1), PeersConfig{}), startNode(t, testConfig(t, 2), PeersConfig{})
	ctx := testContext(t)
	bAgent, bMachine := b.ids()

	out, err := a.Connect(ctx, bAgent)
	require.Equal(t, NotFound, out)
	require.Equal(t, wire.KindNotFound, wire.KindOf(err))
	out, err = a.ConnectMachine(ctx, bMachine)
	require.Equal(t, NotFound, out)
	require.Equal(t, wire.KindNotFound, wire.KindOf(err))

	a.hintTo(b, b.Addr())
	out, err = a.Connect(ctx, bAgent)
	require.NoError(t, err)
	require.Equal(t, Direct, out)
	out, err = a.Connect(ctx, bAgent)
	require.NoError(t, err)
	require.Equal(t, AlreadyConnected, out)
	out, err = a.ConnectMachine(ctx, bMachine)
	require.NoError(t, err)
	require.Equal(t, AlreadyConnected, out)

	c := a.Peers.Conn(bAgent)
	require.NotNil(t, c)
	echo(t, c)
	b.rec.wait(t, "b up", func(r *recorder) bool { return len(r.ups) == 1 })
	echo(t, b.Peers.Conn(a.Endpoint.AgentID()))

	list := a.Peers.List()
	require.Len(t, list, 1)
	require.Equal(t, bAgent, list[0].Agent)
	require.Equal(t, b.Addr(), list[0].Addr)
	require.True(t, list[0].Dialled)

	again, err := a.ConnectAddr(ctx, b.Addr())
	require.NoError(t, err)
	require.Equal(t, bAgent, again.AgentID())
	echo(t, again)
	require.Equal(t, 1, a.Connected())
}

func TestDropIsADisconnectAtOnce(t *testing.T) {
	a, b := startNode(t, testConfig(t, 1), PeersConfig{}), startNode(t, testConfig(t, 2), PeersConfig{})
	a.hintTo(b, b.Addr())
	_, err := a.Connect(testContext(t), b.Endpoint.AgentID())
	require.NoError(t, err)
	a.Drop(b.Endpoint.AgentID(), CloseGoodbye)
	for _, n := range []*node{a, b} {
		n.rec.wait(t, "disconnected", func(r *recorder) bool { return r.count(Disconnected) == 1 })
		require.Zero(t, n.Connected())
	}
	_, err = a.Connect(testContext(t), b.Endpoint.AgentID())
	require.NoError(t, err)
	for _, n := range []*node{a, b} {
		n.rec.wait(t, "connected again", func(r *recorder) bool {
			return r.count(Connected) == 2 && r.count(PeerJoined) == 1
		})
	}
}

// panicking is a Handler with bugs.
type panicking struct{ *recorder }

func (p panicking) ConnUp(c *Conn) {
	p.recorder.ConnUp(c)
	panic("ConnUp")
}

func (p panicking) ConnDown(c *Conn, err error) {
	p.recorder.ConnDown(c, err)
	panic("ConnDown")
}

func (p panicking) Stream(*Conn, StreamKind, ReceiveStream) { panic("Stream") }

// A panic in a callback is reported once each and stops nothing else.
func TestPanicsInCallbacks(t *testing.T) {
	cfg := testConfig(t, 2)
	panics := make(chan any, 16)
	cfg.Tasks = task.New(func(_ string, value any, _ []byte) { panics <- value })
	e, rec := listen(t, cfg), newRecorder()
	p := NewPeers(e, panicking{rec}, PeersConfig{OnEvent: rec.onEvent})
	a := startNode(t, testConfig(t, 1), PeersConfig{})
	a.AddHint(Hint{Machine: e.MachineID(), Agent: e.AgentID(), Addrs: []netip.AddrPort{e.Addr()}})
	for i := range 2 {
		_, err := a.Connect(testContext(t), e.AgentID())
		require.NoError(t, err)
		require.Equal(t, "ConnUp", <-panics)
		rec.wait(t, "connected", func(r *recorder) bool { return r.count(Connected) == i+1 })
		s, err := a.Peers.Conn(e.AgentID()).OpenBidi(testContext(t), KindDirect)
		require.NoError(t, err)
		_, err = s.Write([]byte("x"))
		require.NoError(t, err)
		require.Equal(t, "Stream", <-panics)
		s.Cancel(0)
		a.Drop(e.AgentID(), CloseGoodbye)
		require.Equal(t, "ConnDown", <-panics)
		for _, r := range []*recorder{rec, a.rec} {
			r.wait(t, "disconnected", func(r *recorder) bool { return r.count(Disconnected) == i+1 })
		}
	}
	require.NoError(t, p.Close(testContext(t)))
}
