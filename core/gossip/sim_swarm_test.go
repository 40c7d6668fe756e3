package gossip

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/simnet"
	"github.com/saorsa-labs/x0x-go/core/membership"
)

// swarm is a simulated overlay: many agents, each a [membership.State] and a
// router, on a [simnet.Net]. They are the ones of the library, and so are the
// bytes between them. Two things are not done as often as in life: a signature
// is made once for a message and run of the tests, and checked once for all.
//
// What a script does (join, publish, kill) is drawn from rnd, what a node draws
// is its own: the same seed gives the same run.
type swarm struct {
	t        testing.TB
	scenario string
	seed     uint64
	net      *simnet.Net
	rnd      *rand.Rand
	start    time.Time
	latency  func(a, b int, rnd *rand.Rand) time.Duration // without jitter

	nodes    []*swarmNode // by id, dead ones included
	agents   []identity.AgentID
	index    map[identity.AgentID]int
	messages []*swarmMessage
	places   map[place]int // of messages
	talkers  []*swarmNode  // who publish

	// Counters.
	bytes   [256]uint64 // of frames sent, by type
	copies  uint64      // envelopes received, in whatever form
	reached uint64      // deliveries, those to publishers not counted
	ups     uint64      // neighbours that the membership has made

	trial trial
}

// The network: processes all over a continent, on lines without a limit.
const (
	swarmNear   = 2 * time.Millisecond
	swarmFar    = 80 * time.Millisecond
	swarmJitter = 2 * time.Millisecond

	swarmPayload = 1024

	// swarmLarge is how many nodes are too many for as much of each as usual.
	swarmLarge = 2000
)

func newSwarm(t testing.TB, scenario string, seed uint64) *swarm {
	w := &swarm{
		t: t, scenario: scenario, seed: seed,
		rnd:     rand.New(rand.NewPCG(seed, 1)),
		latency: simnet.Plane(seed, swarmNear, swarmFar, 0),
		index:   make(map[identity.AgentID]int),
		places:  make(map[place]int),
	}
	w.net = simnet.New(simnet.Config{
		Seed:         seed,
		Latency:      simnet.Plane(seed, swarmNear, swarmFar, swarmJitter),
		Queue:        256 << 10,
		TraceContent: true,
	})
	w.start = w.net.Now()
	return w
}

// String names the run, for whoever wants it again.
func (w *swarm) String() string {
	return fmt.Sprintf("%s, %d nodes, seed %d", w.scenario, w.trial.result.Nodes, w.seed)
}

// since is the virtual time, from the start.
func (w *swarm) since() time.Duration { return w.net.Now().Sub(w.start) }

func (w *swarm) run(d time.Duration) { w.net.RunUntil(w.net.Now().Add(d)) }

// after calls f in virtual time, d from now.
func (w *swarm) after(d time.Duration, f func()) { w.net.At(w.net.Now().Add(d), f) }

func swarmAddr(id int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{50, byte(id >> 16), byte(id >> 8), byte(id)}), 5483)
}

func swarmSeed(id int) []byte {
	seed := sha256.Sum256(fmt.Appendf(nil, "swarm %d", id))
	return seed[:]
}

// swarmKey makes the key of a node. It takes a tenth of a megabyte, so it is
// kept only where it is needed.
func swarmKey(t testing.TB, id int) *identity.Key {
	k, err := identity.KeyFromSeed(swarmSeed(id))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// add starts a node.
func (w *swarm) add() *swarmNode {
	id := len(w.nodes)
	key := swarmKey(w.t, id)
	cfg := Config{
		Key: key, NetworkID: testNetwork, Now: w.net.Now,
		Rand: rand.New(rand.NewPCG(w.seed, uint64(id)<<8|2)),
		RTT: func(a identity.AgentID) time.Duration {
			return 2*w.latency(id, w.index[a], nil) + swarmJitter
		},
	}
	if w.trial.result.Nodes > swarmLarge {
		cfg.Retention.Messages = 64 // memory is what bounds a swarm
	}
	cfg.fill()
	n := &swarmNode{
		w: w, id: id, router: newRouter(cfg), born: w.net.Now(),
		dialled: make(map[int]bool), dialing: make(map[int]bool), subs: make(map[string]time.Time),
		state: membership.New(membership.Config{
			Self: key.Public().AgentID(),
			Rand: rand.New(rand.NewPCG(w.seed, uint64(id)<<8|3)),
		}),
	}
	n.cfg.Key = nil
	n.lookup = func(a identity.AgentID) ([]byte, bool) { // as handshakes leave it
		if peer := w.index[a]; w.net.Connected(id, peer) {
			return w.nodes[peer].keys.ownKey, true
		}
		return nil, false
	}
	n.verify = verifyOnce
	w.nodes = append(w.nodes, n)
	w.agents = append(w.agents, n.own)
	w.index[n.own] = id
	w.net.Add(id, n)
	return n
}

// joinRetry is when the next contact is tried by who has found no neighbour.
const joinRetry = 5 * time.Second

// join has a node connect to a contact, by which it finds the others. If that
// comes to nothing it tries another one.
func (w *swarm) join(n *swarmNode, contact func() int) {
	if n.dead || len(n.state.ActiveView()) > 0 {
		return
	}
	if c := contact(); c != n.id {
		w.net.Dial(n.id, c)
	}
	w.after(joinRetry, func() { w.join(n, contact) })
}

// subscribe has a node subscribe, with replay.
func (w *swarm) subscribe(n *swarmNode, topic string) {
	n.subs[topic] = w.net.Now()
	n.router.subscribe(&Subscription{topic: topic, replay: true}, w.net.Now())
	n.pump(w.net.Now())
	w.net.Wake(n.id)
}

// kill ends a node without a goodbye.
func (w *swarm) kill(n *swarmNode) {
	n.dead = true
	w.net.Kill(n.id)
}

// alive returns the nodes that live.
func (w *swarm) alive() []*swarmNode {
	list := make([]*swarmNode, 0, len(w.nodes))
	for _, n := range w.nodes {
		if !n.dead {
			list = append(list, n)
		}
	}
	return list
}

// some returns k of a list, at random.
func (w *swarm) some(list []*swarmNode, k int) []*swarmNode {
	out := make([]*swarmNode, 0, k)
	for _, i := range w.rnd.Perm(len(list))[:min(k, len(list))] {
		out = append(out, list[i])
	}
	return out
}

func (w *swarm) one(list []*swarmNode) *swarmNode { return list[w.rnd.IntN(len(list))] }

// grow has n nodes join, one after the other, each by one contact: one of the
// first hundredth, as if those were bootstrap peers. Then they settle.
func (w *swarm) grow(n int, subscribes func(i int) bool) {
	contacts := max(1, n/100)
	span := max(10*time.Second, min(time.Duration(n)*20*time.Millisecond, 30*time.Second))
	for i := range n {
		w.after(span*time.Duration(i)/time.Duration(n), func() {
			node := w.add()
			if subscribes(i) {
				w.subscribe(node, swarmTopic)
			}
			if i > 0 {
				w.join(node, func() int { return w.rnd.IntN(min(i, contacts)) })
			}
		})
	}
	w.run(span + 15*time.Second)
}

// swarmTopic is the topic of all scenarios.
const swarmTopic = "swarm"

func everybody(int) bool { return true }
