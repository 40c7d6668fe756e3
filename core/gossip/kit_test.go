package gossip

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/mailbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testNetwork = "gossip.test"

var testKeys sync.Map // byte → *identity.Key

func testKey(t testing.TB, n byte) *identity.Key {
	t.Helper()
	if k, ok := testKeys.Load(n); ok {
		return k.(*identity.Key)
	}
	k, err := identity.KeyFromSeed(bytes.Repeat([]byte{n}, identity.SeedSize))
	require.NoError(t, err)
	testKeys.Store(n, k)
	return k
}

func agent(t testing.TB, n byte) identity.AgentID { return testKey(t, n).Public().AgentID() }

// no is an explicit false for SubscribeOptions.Replay.
func no() *bool { f := false; return &f }

// pipeNet connects engines in memory. Each direction of a link is a bounded
// queue with a goroutine that hands frames to the other side, as a connection
// would.
type pipeNet struct {
	t     testing.TB
	mu    sync.Mutex
	nodes map[identity.AgentID]*node
	wg    sync.WaitGroup
}

type node struct {
	*Engine
	id    identity.AgentID
	net   *pipeNet
	mu    sync.Mutex
	links map[identity.AgentID]*pipe
}

type pipe struct {
	frames chan []byte
	stop   chan struct{}
	sent   struct {
		sync.Mutex
		bytes int
	}
}

func newPipeNet(t testing.TB) *pipeNet {
	n := &pipeNet{t: t, nodes: map[identity.AgentID]*node{}}
	t.Cleanup(func() {
		for _, node := range n.nodes {
			for id := range node.links {
				n.disconnect(node, n.nodes[id])
			}
		}
		n.wg.Wait()
		for _, node := range n.nodes {
			require.NoError(t, node.Close(context.Background()))
			require.NoError(t, node.Close(context.Background()))
		}
	})
	return n
}

func (n *pipeNet) add(seed byte, change ...func(*Config)) *node {
	n.t.Helper()
	nd := &node{net: n, links: map[identity.AgentID]*pipe{}}
	cfg := Config{Key: testKey(n.t, seed), NetworkID: testNetwork, Sender: nd}
	for _, f := range change {
		f(&cfg)
	}
	nd.id = cfg.Key.Public().AgentID()
	nd.Engine = New(cfg)
	n.mu.Lock()
	n.nodes[nd.id] = nd
	n.mu.Unlock()
	return nd
}

func (nd *node) Send(to identity.AgentID, _ Class, frame []byte) bool {
	nd.mu.Lock()
	l := nd.links[to]
	nd.mu.Unlock()
	if l == nil {
		return false
	}
	select {
	case l.frames <- frame:
		l.sent.Lock()
		l.sent.bytes += len(frame)
		l.sent.Unlock()
		return true
	default:
		return false
	}
}

// connect joins two nodes by links with room for some frames.
func (n *pipeNet) connect(a, b *node) { n.connectRoom(a, b, 64) }

func (n *pipeNet) connectRoom(a, b *node, room int) {
	var start []func()
	for _, dir := range [][2]*node{{a, b}, {b, a}} {
		from, to := dir[0], dir[1]
		l := &pipe{frames: make(chan []byte, room), stop: make(chan struct{})}
		from.mu.Lock()
		from.links[to.id] = l
		from.mu.Unlock()
		start = append(start, func() {
			var buf []byte
			for {
				select {
				case f := <-l.frames:
					buf = append(buf[:0], f...)
					to.HandleFrame(from.id, buf)
					clear(buf) // nothing of a frame may be kept
					from.PeerReady(to.id)
				case <-l.stop:
					return
				}
			}
		})
	}
	a.PeerUp(b.id)
	b.PeerUp(a.id)
	for _, f := range start { // frames come after PeerUp
		n.wg.Go(f)
	}
}

func (n *pipeNet) disconnect(a, b *node) {
	for _, dir := range [][2]*node{{a, b}, {b, a}} {
		from, to := dir[0], dir[1]
		from.mu.Lock()
		if l := from.links[to.id]; l != nil {
			close(l.stop)
			delete(from.links, to.id)
		}
		from.mu.Unlock()
		from.PeerDown(to.id)
	}
}

func (nd *node) sentTo(to *node) int {
	nd.mu.Lock()
	l := nd.links[to.id]
	nd.mu.Unlock()
	l.sent.Lock()
	defer l.sent.Unlock()
	return l.sent.bytes
}

func (nd *node) subscribe(topic string, o SubscribeOptions) *Subscription {
	nd.net.t.Helper()
	s, err := nd.Subscribe(topic, o)
	require.NoError(nd.net.t, err)
	return s
}

func (nd *node) publish(topic string, payloads ...string) {
	nd.net.t.Helper()
	for _, p := range payloads {
		require.NoError(nd.net.t, nd.Publish(context.Background(), topic, []byte(p)))
	}
}

// next waits for one message.
func next(t testing.TB, s *Subscription) Message {
	t.Helper()
	e := nextEntry(t, s)
	require.Nil(t, e.Lagged)
	return e.Item
}

func nextEntry(t testing.TB, s *Subscription) mailbox.Entry[Message] {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	e, err := s.Box().Pop(ctx)
	require.NoError(t, err)
	return e
}

func payloads(t testing.TB, s *Subscription, n int) []string {
	t.Helper()
	var got []string
	for range n {
		got = append(got, string(next(t, s).Payload))
	}
	return got
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, 20*time.Second, 2*time.Millisecond, what)
}

// sim runs routers alone: no goroutines, no clock but its own.
type sim struct {
	t       testing.TB
	now     time.Time
	routers []*router
	seeds   []byte
	index   map[identity.AgentID]int
	cut     map[[2]int]bool // directions in which the Sender has no room
	got     [][]Message     // by router
	frames  []simFrame      // carried so far
}

type simFrame struct {
	from, to int
	at       time.Time
	frame    []byte
}

func newSim(t testing.TB) *sim {
	return &sim{t: t, now: time.UnixMilli(1_800_000_000_000), index: map[identity.AgentID]int{}, cut: map[[2]int]bool{}}
}

func (s *sim) add(seed byte, change ...func(*Config)) int {
	cfg := Config{Key: testKey(s.t, seed), NetworkID: testNetwork, Now: func() time.Time { return s.now }}
	for _, f := range change {
		f(&cfg)
	}
	cfg.fill()
	i := len(s.routers)
	r := newRouter(cfg)
	r.lookup = func(id identity.AgentID) ([]byte, bool) { // as if all had met
		if j, ok := s.index[id]; ok {
			return s.routers[j].keys.ownKey, true
		}
		return nil, false
	}
	s.routers = append(s.routers, r)
	s.got = append(s.got, nil)
	s.index[cfg.Key.Public().AgentID()] = i
	return i
}

func (s *sim) connect(a, b int) {
	s.routers[a].peerUp(s.routers[b].own, s.now)
	s.routers[b].peerUp(s.routers[a].own, s.now)
}

func (s *sim) disconnect(a, b int) {
	s.routers[a].peerDown(s.routers[b].own, s.now)
	s.routers[b].peerDown(s.routers[a].own, s.now)
}

func (s *sim) subscribe(i int, topic string, replay bool) *Subscription {
	sub := &Subscription{topic: topic, replay: replay}
	s.routers[i].subscribe(sub, s.now)
	s.collect(i)
	return sub
}

func (s *sim) seal(i int, topic string, first uint64, payloads ...string) (*envelope, []byte) {
	s.t.Helper()
	r := s.routers[i]
	env := &envelope{sender: r.own, topic: r.topicID(topic), epoch: r.cfg.Epoch, first: first, time: r.cfg.Clock.Now()}
	for _, p := range payloads {
		env.payloads = append(env.payloads, []byte(p))
	}
	frame, err := sealEnvelope(r.cfg.Key, testNetwork, env)
	require.NoError(s.t, err)
	return env, frame
}

func (s *sim) publish(i int, topic string, first uint64, payloads ...string) {
	s.t.Helper()
	env, frame := s.seal(i, topic, first, payloads...)
	s.routers[i].publish(topic, env, frame, s.now)
	s.collect(i)
}

func (s *sim) collect(i int) {
	for _, d := range s.routers[i].deliveries {
		s.got[i] = append(s.got[i], d.msg)
	}
	s.routers[i].deliveries = nil
}

// step carries one frame, and reports whether there was one.
func (s *sim) step() bool {
	for i, r := range s.routers {
		for _, id := range r.order {
			j, p := s.index[id], r.peers[id]
			if s.cut[[2]int{i, j}] {
				continue
			}
			out := r.outgoingFor(p, 1, s.now)
			if len(out) == 0 {
				continue
			}
			frame := bytes.Clone(out[0].frame)
			r.sent(p, out, 1, s.now)
			s.frames = append(s.frames, simFrame{i, j, s.now, frame})
			s.routers[j].handleFrame(r.own, frame, s.now)
			s.collect(j)
			return true
		}
	}
	return false
}

func (s *sim) settle() {
	s.t.Helper()
	for range 1_000_000 {
		if !s.step() {
			return
		}
	}
	s.t.Fatal("the frames never end")
}

// sentFrames returns the frames of some types carried from i to j since the last
// call of forget.
func (s *sim) sentFrames(i, j int, types ...frameType) (list []simFrame) {
	for _, f := range s.frames {
		if f.from == i && f.to == j && slices.Contains(types, frameType(f.frame[0])) {
			list = append(list, f)
		}
	}
	return list
}

func (s *sim) forget() { s.frames = nil }

// link returns what i holds of its link to j.
func (s *sim) link(i, j int, topic string) link {
	r := s.routers[i]
	if l := r.peers[s.routers[j].own].links[r.topicID(topic)]; l != nil {
		return *l
	}
	return link{distance: nowhere, told: nowhere}
}

// lazy makes a link lazy at both ends, as PRUNE does.
func (s *sim) lazy(i, j int, topic string) {
	r := s.routers[i]
	r.prune(r.peers[s.routers[j].own], r.topic(r.topicID(topic)), s.now)
	s.settle()
}

// wait lets time go by: timers fire, and frames are carried at once.
func (s *sim) wait(d time.Duration) {
	s.t.Helper()
	end := s.now.Add(d)
	for {
		s.settle()
		step := end.Sub(s.now)
		for _, r := range s.routers {
			if at, ok := r.agenda.next(); ok {
				step = min(step, at.Sub(s.now))
			}
		}
		if step = max(step, time.Millisecond); !s.now.Add(step).Before(end) {
			step = end.Sub(s.now)
		}
		s.now = s.now.Add(step)
		for _, r := range s.routers {
			r.tick(s.now)
		}
		if !s.now.Before(end) {
			s.settle()
			return
		}
	}
}

func (s *sim) texts(i int) []string {
	out := []string{}
	for _, m := range s.got[i] {
		out = append(out, string(m.Payload))
	}
	return out
}

func numbered(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint(i))
	}
	return out
}
