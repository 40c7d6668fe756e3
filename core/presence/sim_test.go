package presence

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/simnet"
	"github.com/saorsa-labs/x0x-go/core/membership"
	"github.com/saorsa-labs/x0x-go/core/trust"
)

// swarm is many agents on a [simnet.Net], each a [membership.State] and a State
// of this package, connected as the façade connects them. They are the ones of
// the library, and so are the bytes between them; a signature is checked once
// for all.
type swarm struct {
	t     testing.TB
	seed  uint64
	net   *simnet.Net
	nodes []*swarmNode
	index map[identity.AgentID]int
}

// swarmNode is one process.
type swarmNode struct {
	w        *swarm
	id       int
	agent    identity.AgentID
	overlay  *membership.State
	presence *State
	contacts map[identity.AgentID]bool
	joined   time.Time
	dialled  map[int]bool // for the overlay alone
	dead     bool

	online  map[int]bool // as the events tell it
	falsely int          // Offline of who lives and is connected
	results [][]Entry
	sent    uint64 // bytes of presence frames
}

var genuine struct {
	sync.Mutex
	m map[[32]byte]bool
}

// verifyOnce checks a signature, or remembers that it has.
func verifyOnce(key []byte, b *beacon) bool {
	h := sha256.New()
	h.Write(key)
	h.Write(b.body)
	h.Write(b.signature)
	id := [32]byte(h.Sum(nil))
	genuine.Lock()
	defer genuine.Unlock()
	ok, known := genuine.m[id]
	if !known {
		ok = verify(key, b)
		if genuine.m == nil || len(genuine.m) > 1<<16 {
			genuine.m = make(map[[32]byte]bool)
		}
		genuine.m[id] = ok
	}
	return ok
}

func newSwarm(t testing.TB, seed uint64) *swarm {
	return &swarm{t: t, seed: seed, index: make(map[identity.AgentID]int), net: simnet.New(simnet.Config{
		Seed: seed, Latency: simnet.Plane(seed, 2*time.Millisecond, 80*time.Millisecond, 2*time.Millisecond),
	})}
}

func (w *swarm) run(d time.Duration) { w.net.RunUntil(w.net.Now().Add(d)) }

// start makes a process of agent id: its first, or one that follows it.
func (w *swarm) start(id int) *swarmNode {
	key := keyOf(id)
	n := &swarmNode{w: w, id: id, agent: agentID(id), contacts: make(map[identity.AgentID]bool),
		dialled: make(map[int]bool), online: make(map[int]bool)}
	life := uint64(w.net.Now().UnixNano())
	n.overlay = membership.New(membership.Config{Self: n.agent, Rand: rand.New(rand.NewPCG(w.seed^life, uint64(id)<<8|1))})
	n.presence = New(Config{
		Key: key, Machine: machineID(id),
		Trust: func(a identity.AgentID) trust.Level {
			if n.contacts[a] {
				return trust.Known
			}
			return trust.Unknown
		},
		PublicKey: func(a identity.AgentID) ([]byte, bool) { return keyOf(w.index[a]).Public().Bytes(), true },
		Neighbors: n.overlay.ActiveView,
		Addresses: func() []netip.AddrPort { return []netip.AddrPort{addrOf(id)} },
		Rand:      rand.New(rand.NewPCG(w.seed^life, uint64(id)<<8|2)),
	})
	n.presence.verify = verifyOnce
	n.presence.Tick(w.net.Now())
	w.index[n.agent] = id
	if id < len(w.nodes) {
		w.nodes[id] = n
	} else {
		require.Len(w.t, w.nodes, id)
		w.nodes = append(w.nodes, n)
	}
	w.net.Add(id, n)
	return n
}

func (w *swarm) join(n *swarmNode, contact int) {
	if n.dead || n != w.nodes[n.id] || len(n.overlay.ActiveView()) > 0 || contact == n.id {
		return
	}
	w.net.Dial(n.id, contact)
	w.net.At(w.net.Now().Add(5*time.Second), func() { w.join(n, contact) })
}

func (w *swarm) befriend(n *swarmNode, id int) {
	n.contacts[agentID(id)] = true
	now := w.net.Now()
	n.presence.TrustChanged(agentID(id), now)
	require.NoError(w.t, n.presence.Watch(agentID(id), now))
	n.act(now)
	w.net.Wake(n.id)
}

func (w *swarm) kill(id int) {
	w.nodes[id].dead = true
	w.net.Kill(id)
}

// grow has size agents join, each with some contacts, and settle.
func (w *swarm) grow(size, contacts int) {
	rnd := rand.New(rand.NewPCG(w.seed, 9))
	span := min(time.Duration(size)*100*time.Millisecond, 30*time.Second)
	for id := range size {
		w.net.At(w.net.Now().Add(span*time.Duration(id)/time.Duration(size)), func() {
			n := w.start(id)
			if id > 0 {
				w.join(n, rnd.IntN(min(id, max(1, size/100))))
			}
		})
	}
	w.run(span + 40*time.Second)
	for id, n := range w.nodes {
		for range contacts {
			if c := rnd.IntN(size); c != id {
				w.befriend(n, c)
			}
		}
	}
	w.run(time.Minute)
}

func (n *swarmNode) Up(peer int, now time.Time) {
	id, at := agentID(peer), addrOf(peer)
	if len(n.overlay.ActiveView()) == 0 && now.Sub(n.joined) > 5*time.Second {
		n.joined = now
		n.overlay.Join(id, now)
	}
	n.presence.PeerUp(id, machineID(peer), now)
	n.overlay.PeerUp(membership.Peer{Agent: id, Machine: machineID(peer), Addrs: []netip.AddrPort{at}}, at, now)
	n.act(now)
}

func (n *swarmNode) Down(peer int, now time.Time) {
	n.overlay.PeerDown(agentID(peer), now)
	n.presence.PeerDown(agentID(peer), n.w.net.Alive(peer), now)
	n.act(now)
}

func (n *swarmNode) DialFailed(peer int, now time.Time) {
	n.overlay.DialFailed(agentID(peer), now)
	n.act(now)
}

func (n *swarmNode) Receive(peer int, frame []byte, now time.Time) {
	var err error
	if IsFrame(frame[0]) {
		err = n.presence.HandleFrame(agentID(peer), frame, now)
	} else {
		err = n.overlay.HandleFrame(agentID(peer), frame, now)
	}
	if err != nil {
		n.w.t.Errorf("node %d refused a frame 0x%02x of node %d: %v", n.id, frame[0], peer, err)
	}
	n.act(now)
}

func (n *swarmNode) Tick(now time.Time) {
	if t := n.overlay.NextTick(); !t.IsZero() && !now.Before(t) {
		n.overlay.Tick(now)
	}
	if t := n.presence.NextTick(); !t.IsZero() && !now.Before(t) {
		n.presence.Tick(now)
	}
	n.act(now)
}

func (n *swarmNode) NextTick() time.Time {
	a, b := n.overlay.NextTick(), n.presence.NextTick()
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (n *swarmNode) act(now time.Time) {
	for _, a := range n.overlay.Take() {
		peer := n.w.index[a.Agent]
		switch a.Kind {
		case membership.Send:
			n.w.net.Send(n.id, peer, simnet.Control, a.Frame)
		case membership.Dial:
			n.dialled[peer] = true
			n.w.net.Dial(n.id, peer)
		case membership.Release:
			if n.dialled[peer] {
				delete(n.dialled, peer)
				n.w.net.Close(n.id, peer)
			}
		case membership.Up:
			n.presence.NeighborUp(a.Agent, now)
		}
	}
	for _, a := range n.presence.Take() {
		peer := n.w.index[a.Agent]
		switch a.Kind {
		case Send:
			if n.w.net.Send(n.id, peer, simnet.Control, a.Frame) {
				n.sent += uint64(len(a.Frame))
			}
		case Want: // finding is the work of other rooms: here everybody can be found
			delete(n.dialled, peer)
			n.w.net.Dial(n.id, peer)
		case Online:
			require.False(n.w.t, n.online[peer], "online twice")
			n.online[peer] = true
		case Offline:
			require.True(n.w.t, n.online[peer], "offline twice")
			delete(n.online, peer)
			if n.w.net.Alive(peer) && n.w.net.Connected(n.id, peer) {
				n.falsely++
			}
		case Result:
			n.results = append(n.results, a.Entries)
		}
	}
}

// traffic is the bytes of presence frames that a node sends in a minute, on
// average, with what it means on the interface.
func (w *swarm) traffic(minutes int) float64 {
	var before, after uint64
	for _, n := range w.nodes {
		before += n.sent
	}
	w.run(time.Duration(minutes) * time.Minute)
	for _, n := range w.nodes {
		after += n.sent
	}
	return float64(after-before) / float64(minutes) / float64(len(w.nodes))
}

// What an agent sends at rest does not depend on how many agents there are.
func TestTrafficDoesNotGrow(t *testing.T) {
	sizes := []int{10, 100, 1000}
	if raceDetector { // it makes large runs slow, and finds nothing in a package without goroutines
		sizes = []int{10, 50, 100}
	}
	const contacts = 2
	each := make([]float64, len(sizes))
	for i, size := range sizes {
		w := newSwarm(t, 1)
		w.grow(size, contacts)
		each[i] = w.traffic(2)
		links, falsely := 0, 0
		for _, n := range w.nodes {
			links += n.presence.Stats().Connected
			falsely += n.falsely
			for c := range n.contacts {
				e, _ := n.presence.Status(c)
				require.True(t, e.Online, "a contact is online")
			}
		}
		t.Logf("%d agents: %.0f bytes of presence frames sent per agent and minute, %.1f connections each",
			size, each[i], float64(links)/float64(size))
		require.Zero(t, falsely, "offline though alive and connected")
	}
	require.LessOrEqual(t, each[2], 1.3*each[1])
	require.Greater(t, each[1], 10_000.0, "beacons are sent at all")
}

// A process that starts again knows within two intervals who is online.
func TestRestart(t *testing.T) {
	w := newSwarm(t, 2)
	w.grow(40, 3)
	old := w.nodes[7]
	var friends []int
	for c := range old.contacts {
		friends = append(friends, w.index[c])
	}
	slices.Sort(friends)
	require.NotEmpty(t, friends)
	watchers := 0
	for _, n := range w.nodes {
		if n.contacts[old.agent] {
			require.True(t, n.online[7])
			watchers++
		}
	}
	var linked []*swarmNode
	for _, n := range w.nodes {
		if w.net.Connected(n.id, 7) {
			linked = append(linked, n)
		}
	}
	w.kill(7)
	w.run(30 * time.Second)
	for _, n := range linked {
		require.False(t, n.online[7], "node %d has not noticed", n.id)
	}

	n := w.start(7)
	began := w.net.Now()
	w.join(n, 0)
	for _, c := range friends {
		w.befriend(n, c)
	}
	w.run(2 * 30 * time.Second)
	for _, c := range friends {
		require.True(t, n.online[c], "contact %d", c)
	}
	for _, a := range n.overlay.ActiveView() {
		require.True(t, n.online[w.index[a]], "neighbour %d", w.index[a])
	}
	again := 0
	for _, m := range w.nodes {
		if m != n && m.online[7] {
			again++
		}
	}
	require.GreaterOrEqual(t, again, len(n.overlay.ActiveView()))
	for _, m := range w.nodes {
		if m.contacts[n.agent] {
			require.True(t, m.online[7], "who watches it sees it again: node %d", m.id)
		}
	}
	t.Logf("%v after its start it knows %d agents, %d know it", w.net.Now().Sub(began), len(n.online), again)
}

// Those who watch an agent see its goodbye at once, and its death soon.
func TestComingAndGoing(t *testing.T) {
	w := newSwarm(t, 3)
	w.grow(30, 3)
	linked := func(id int) (list []*swarmNode) {
		for _, m := range w.nodes {
			if w.net.Connected(m.id, id) {
				list = append(list, m)
			}
		}
		return list
	}
	see := func(list []*swarmNode, id int) (n int) {
		for _, m := range list {
			if m.online[id] {
				n++
			}
		}
		return n
	}
	friends := linked(4)
	require.NotZero(t, see(friends, 4))
	leaver := w.nodes[4]
	now := w.net.Now()
	leaver.presence.Leave(now)
	leaver.act(now)
	w.run(time.Second)
	require.Zero(t, see(friends, 4), "who still sees it a second after its goodbye")
	w.kill(4)

	friends = linked(5)
	require.NotZero(t, see(friends, 5))
	w.kill(5)
	w.run(15 * time.Second) // the transport notices, and a redial's time passes
	require.Zero(t, see(friends, 5))
}

// A walk of two hops finds more than an agent's own neighbours, and nothing that
// is not there.
func TestWalkFinds(t *testing.T) {
	size := 200
	if raceDetector {
		size = 60
	}
	w := newSwarm(t, 4)
	w.grow(size, 0)
	w.nodes[11].presence.SetVisibility(Social, w.net.Now())
	w.nodes[12].presence.SetVisibility(Hidden, w.net.Now())
	w.nodes[11].act(w.net.Now())
	w.nodes[12].act(w.net.Now())
	w.run(time.Minute)
	for ttl, least := range []int{1: 12, 2: 25} {
		if ttl == 0 {
			continue
		}
		var before, after uint64
		for _, n := range w.nodes {
			before += n.sent
		}
		found, took, asked := 0, time.Duration(0), 0
		for id := 20; id < 40; id++ {
			n := w.nodes[id]
			began := w.net.Now()
			_, err := n.presence.Query(ttl, 0, began)
			require.NoError(t, err)
			n.act(began)
			w.net.Wake(id)
			n.results = nil
			for len(n.results) == 0 {
				require.Less(t, w.net.Now().Sub(began), 6*time.Second)
				w.run(10 * time.Millisecond)
			}
			asked++
			took += w.net.Now().Sub(began)
			found += len(n.results[0])
			for _, e := range n.results[0] {
				require.NotEqual(t, agentID(11), e.Agent, "it shows itself to contacts only")
				require.NotEqual(t, agentID(12), e.Agent, "it is hidden")
				require.Equal(t, []netip.AddrPort{addrOf(w.index[e.Agent])}, e.Addresses)
				require.Equal(t, machineID(w.index[e.Agent]), e.Machine)
			}
		}
		for _, n := range w.nodes {
			after += n.sent
		}
		t.Logf("%d agents, ttl %d: %d agents found by a walk, in %v, for %d KB sent by all", size, ttl, found/asked,
			(took / time.Duration(asked)).Round(time.Millisecond), int(after-before)/asked/1000)
		require.GreaterOrEqual(t, found/asked, least)
	}
}

func TestSameSeedSameTrace(t *testing.T) {
	run := func(seed uint64) string {
		w := newSwarm(t, seed)
		w.grow(15, 2)
		_, err := w.nodes[3].presence.Query(2, 0, w.net.Now())
		require.NoError(t, err)
		w.nodes[3].act(w.net.Now())
		w.kill(5)
		w.run(2 * time.Minute)
		return fmt.Sprint(w.net.Trace())
	}
	require.Equal(t, run(5), run(5))
	require.NotEqual(t, run(5), run(6))
}
