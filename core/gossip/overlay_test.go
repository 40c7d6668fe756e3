package gossip

import (
	"bytes"
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// overlay runs many routers over links with latency, in virtual time: real
// bytes, real signatures, each of which is verified once for all.
type overlay struct {
	t       testing.TB
	rnd     *rand.Rand
	now     time.Time
	nodes   []*overlayNode
	index   map[identity.AgentID]int
	events  overlayEvents
	count   uint64
	genuine map[[32]byte]bool
	trace   hash.Hash
	latency func(a, b int) time.Duration
	size    int                  // of payloads, at least
	frames  map[frameType]uint64 // sent
	bytes   map[frameType]uint64
	onWire  uint64 // estimate: see send
}

type overlayNode struct {
	*router
	dead     bool
	got      map[place]int // deliveries, by position
	links    map[int]*overlayLink
	sequence uint64
	wake     time.Time // of the tick that is planned
}

// overlayLink is one direction of a connection: in order within a class.
type overlayLink struct {
	up   bool
	last [2]time.Time
}

type overlayEvent struct {
	at    time.Time
	count uint64
	do    func()
}

type overlayEvents []overlayEvent

func (e overlayEvents) Len() int      { return len(e) }
func (e overlayEvents) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e overlayEvents) Less(i, j int) bool {
	if e[i].at.Equal(e[j].at) {
		return e[i].count < e[j].count
	}
	return e[i].at.Before(e[j].at)
}
func (e *overlayEvents) Push(x any) { *e = append(*e, x.(overlayEvent)) }
func (e *overlayEvents) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

func newOverlay(t testing.TB, seed uint64) *overlay {
	o := &overlay{
		t: t, rnd: rand.New(rand.NewPCG(seed, 0)), now: time.UnixMilli(1_800_000_000_000),
		index: map[identity.AgentID]int{}, genuine: map[[32]byte]bool{}, trace: sha256.New(),
		frames: map[frameType]uint64{}, bytes: map[frameType]uint64{},
	}
	delays := map[[2]int]time.Duration{}
	rnd := rand.New(rand.NewPCG(seed, 1))
	o.latency = func(a, b int) time.Duration {
		key := [2]int{min(a, b), max(a, b)}
		if delays[key] == 0 {
			delays[key] = time.Duration(1+rnd.IntN(40)) * time.Millisecond
		}
		return delays[key]
	}
	return o
}

func overlayKey(t testing.TB, i int) *identity.Key {
	if k, ok := testKeys.Load(i); ok {
		return k.(*identity.Key)
	}
	seed := sha256.Sum256(fmt.Appendf(nil, "overlay %d", i))
	k, err := identity.KeyFromSeed(seed[:])
	require.NoError(t, err)
	testKeys.Store(i, k)
	return k
}

func (o *overlay) add(change ...func(*Config)) int {
	i := len(o.nodes)
	cfg := Config{
		Key: overlayKey(o.t, i), NetworkID: testNetwork, Now: func() time.Time { return o.now },
		Rand: rand.New(rand.NewPCG(uint64(i), 7)),
	}
	cfg.RTT = func(id identity.AgentID) time.Duration { return 2 * o.latency(i, o.index[id]) }
	for _, f := range change {
		f(&cfg)
	}
	cfg.fill()
	n := &overlayNode{router: newRouter(cfg), got: map[place]int{}, links: map[int]*overlayLink{}}
	n.lookup = func(id identity.AgentID) ([]byte, bool) { // as the handshakes with neighbours leave it
		if j := o.index[id]; n.links[j] != nil {
			return o.nodes[j].keys.ownKey, true
		}
		return nil, false
	}
	real := n.verify
	n.verify = func(key []byte, env *envelope) bool {
		h := sha256.Sum256(append(bytes.Clone(env.signed), env.signature...))
		ok, known := o.genuine[h]
		if !known {
			ok = real(key, env)
			o.genuine[h] = ok
		}
		return ok
	}
	o.index[n.own] = i
	o.nodes = append(o.nodes, n)
	return i
}

func (o *overlay) at(d time.Duration, do func()) {
	o.count++
	heap.Push(&o.events, overlayEvent{o.now.Add(d), o.count, do})
}

func (o *overlay) run(d time.Duration) {
	end := o.now.Add(d)
	for len(o.events) > 0 && !o.events[0].at.After(end) {
		e := heap.Pop(&o.events).(overlayEvent)
		o.now = e.at
		e.do()
	}
	o.now = end
}

func (o *overlay) connect(a, b int) {
	if a == b || o.nodes[a].links[b] != nil && o.nodes[a].links[b].up {
		return
	}
	for _, d := range [][2]int{{a, b}, {b, a}} {
		o.nodes[d[0]].links[d[1]] = &overlayLink{up: true}
		o.nodes[d[0]].peerUp(o.nodes[d[1]].own, o.now)
	}
	o.pump(a)
	o.pump(b)
}

func (o *overlay) disconnect(a, b int) {
	for _, d := range [][2]int{{a, b}, {b, a}} {
		if l := o.nodes[d[0]].links[d[1]]; l != nil && l.up {
			l.up = false
			o.nodes[d[0]].peerDown(o.nodes[d[1]].own, o.now)
			o.pump(d[0])
		}
	}
}

// kill ends a node without a goodbye; its neighbours notice later.
func (o *overlay) kill(i int, notice time.Duration) {
	n := o.nodes[i]
	n.dead = true
	for j, l := range sortedLinks(n.links) {
		if l != nil && l.up {
			o.at(notice, func() { o.disconnect(i, j) })
		}
	}
}

func sortedLinks(m map[int]*overlayLink) []*overlayLink {
	most := -1
	for j := range m {
		most = max(most, j)
	}
	list := make([]*overlayLink, most+1)
	for j, l := range m {
		list[j] = l
	}
	return list
}

// pump does what an Engine does after every change.
func (o *overlay) pump(i int) {
	n := o.nodes[i]
	if n.dead {
		return
	}
	for _, d := range n.deliveries {
		n.got[place{d.msg.Sender, d.msg.Epoch, d.msg.Sequence}]++
	}
	n.deliveries = nil
	for _, id := range n.order {
		p, j := n.peers[id], o.index[id]
		for {
			out := n.outgoingFor(p, 16, o.now)
			if len(out) == 0 {
				break
			}
			for _, f := range out {
				o.send(i, j, f.class, f.frame)
			}
			n.sent(p, out, len(out), o.now)
		}
	}
	if d := n.interval(o.now); d > 0 {
		at := o.now.Add(d)
		if n.wake.IsZero() || at.Before(n.wake) {
			n.wake = at
			o.at(d, func() {
				if n.wake.Equal(o.now) {
					n.wake = time.Time{}
					o.tick(i)
				}
			})
		}
	}
}

func (o *overlay) tick(i int) {
	if n := o.nodes[i]; !n.dead {
		n.router.tick(o.now)
		o.pump(i)
	}
}

func (o *overlay) send(i, j int, c Class, frame []byte) {
	l := o.nodes[i].links[j]
	at := o.now.Add(o.latency(i, j))
	if at.Before(l.last[c]) {
		at = l.last[c]
	}
	l.last[c] = at
	o.frames[frameType(frame[0])]++
	o.bytes[frameType(frame[0])] += uint64(len(frame))
	// As if every frame went in packets of its own: 28 bytes of IP and UDP and
	// some 30 of QUIC each, and an acknowledgement of some 60 for every other.
	packets := uint64(len(frame)+1199) / 1200
	o.onWire += uint64(len(frame)) + packets*58 + (packets+1)/2*60
	var head [24]byte
	binary.BigEndian.PutUint64(head[:], uint64(at.UnixNano()))
	binary.BigEndian.PutUint64(head[8:], uint64(i))
	binary.BigEndian.PutUint64(head[16:], uint64(j))
	o.trace.Write(head[:])
	told := frame
	if typ := frameType(frame[0]); typ == frameEnvelope || typ == frameRetained {
		told = frame[:100] // signatures are different each time
	}
	o.trace.Write(told)
	o.at(at.Sub(o.now), func() {
		n := o.nodes[j]
		if n.dead || o.nodes[i].dead || !l.up { // what is in flight is lost
			return
		}
		n.handleFrame(o.nodes[i].own, frame, o.now)
		o.pump(j)
	})
}

func (o *overlay) subscribe(i int, topic string) *Subscription {
	s := &Subscription{topic: topic, replay: true}
	o.nodes[i].router.subscribe(s, o.now)
	o.pump(i)
	return s
}

func (o *overlay) publish(i int, topic string) place {
	n := o.nodes[i]
	n.sequence++
	env := &envelope{
		sender: n.own, topic: n.topicID(topic), epoch: n.cfg.Epoch, first: n.sequence, time: n.cfg.Clock.Now(),
		payloads: [][]byte{fmt.Appendf(nil, "message %d of %d", n.sequence, i)},
	}
	if pad := o.size - len(env.payloads[0]); pad > 0 {
		env.payloads[0] = append(env.payloads[0], make([]byte, pad)...)
	}
	frame, err := sealEnvelope(n.cfg.Key, testNetwork, env)
	require.NoError(o.t, err)
	n.router.publish(topic, env, frame, o.now)
	o.pump(i)
	return place{n.own, n.cfg.Epoch, n.sequence}
}

// regular joins nodes to a random graph in which each has about degree links.
func (o *overlay) regular(n, degree int) {
	for i := range n { // a ring, so that it is whole
		o.connect(i, (i+1)%n)
	}
	for try := 0; try < 100*n; try++ {
		a, b := o.rnd.IntN(n), o.rnd.IntN(n)
		if o.degree(a) < degree && o.degree(b) < degree {
			o.connect(a, b)
		}
	}
}

func (o *overlay) degree(i int) (d int) {
	for _, l := range o.nodes[i].links {
		if l.up {
			d++
		}
	}
	return d
}

func (o *overlay) total(f func(*Stats) uint64) (sum uint64) {
	for _, n := range o.nodes {
		sum += f(&n.stats)
	}
	return sum
}

// counters returns messages accepted, duplicates, PRUNE and GRAFT sent so far.
func (o *overlay) counters() (received, duplicates, pruned, grafts uint64) {
	return o.total(func(s *Stats) uint64 { return s.Received }), o.total(func(s *Stats) uint64 { return s.Duplicates }),
		o.total(func(s *Stats) uint64 { return s.Pruned }), o.total(func(s *Stats) uint64 { return s.GraftsSent })
}

func (o *overlay) requireAll(what string, messages []place) {
	o.t.Helper()
	for i, n := range o.nodes {
		if n.dead {
			continue
		}
		for _, m := range messages {
			if n.got[m] != 1 {
				o.t.Fatalf("%s: node %d got message %d of node %d %d times", what, i, m.first, o.index[m.sender], n.got[m])
			}
		}
	}
}

// shape counts links of a topic of which the ends disagree, links that are
// eager, and the parts that these divide the overlay into.
func (o *overlay) shape(topic string) (torn, eager, parts int) {
	root := make([]int, len(o.nodes))
	for i, n := range o.nodes {
		root[i] = i
		if !n.dead {
			parts++
		}
	}
	var find func(i int) int
	find = func(i int) int {
		if root[i] != i {
			root[i] = find(root[i])
		}
		return root[i]
	}
	for i, n := range o.nodes {
		if n.dead {
			continue
		}
		id := n.topicID(topic)
		for j, l := range sortedLinks(n.links) {
			if j <= i || l == nil || !l.up || o.nodes[j].dead {
				continue
			}
			lazy := func(a, b int) bool {
				l := o.nodes[a].peers[o.nodes[b].own].links[id]
				return l != nil && l.lazy
			}
			if lazy(i, j) != lazy(j, i) {
				torn++
			} else if !lazy(i, j) {
				eager++
				if a, b := find(i), find(j); a != b {
					root[a] = b
					parts--
				}
			}
		}
	}
	return torn, eager, parts
}

func allSubscribed(t testing.TB, seed uint64, n int, change ...func(*Config)) *overlay {
	o := newOverlay(t, seed)
	for range n {
		o.add(change...)
	}
	for i := range n {
		o.subscribe(i, "t")
	}
	o.regular(n, 6)
	o.run(2 * time.Second)
	return o
}
