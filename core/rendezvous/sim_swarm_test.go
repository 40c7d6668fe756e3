package rendezvous

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/simnet"
)

const (
	simTTL = discovery.DefaultTTL
	// simHandshake is what a connection costs before its first frame, both
	// directions, with ML-DSA-65 certificates and the proof of the agent.
	simHandshake = 20_000
	// simKnown is how many peers a node hears of when it starts, and simShuffle
	// how often of one more: what an overlay tells it.
	simKnown   = 5
	simShuffle = time.Minute
)

// swarm is many agents on a [simnet.Net]. States and bytes are those of the
// library; a signature is checked once for all nodes.
type swarm struct {
	t    testing.TB
	seed uint64
	net  *simnet.Net
	rnd  *rand.Rand

	nodes    []*simNode // by id, dead ones included
	agents   []identity.AgentID
	machines []identity.MachineID
	index    map[identity.AgentID]int
	bytes    [256]uint64 // of frames sent, by type
}

func newSwarm(t testing.TB, seed uint64) *swarm {
	return &swarm{
		t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 1)),
		index: make(map[identity.AgentID]int),
		net: simnet.New(simnet.Config{
			Seed:    seed,
			Latency: simnet.Plane(seed, 2*time.Millisecond, 80*time.Millisecond, 2*time.Millisecond),
		}),
	}
}

func (w *swarm) run(d time.Duration)             { w.net.RunUntil(w.net.Now().Add(d)) }
func (w *swarm) after(d time.Duration, f func()) { w.net.At(w.net.Now().Add(d), f) }

// simKey makes a key of a node. It takes a tenth of a megabyte, so it is made
// again whenever it signs.
func simKey(t testing.TB, role string, id int) *identity.Key {
	seed := sha256.Sum256(fmt.Appendf(nil, "rendezvous %s %d", role, id))
	k, err := identity.KeyFromSeed(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// simMemory is what is the same in every run: ids, bindings, and signatures that hold.
var simMemory = struct {
	sync.Mutex
	bindings map[int]*discovery.Binding
	genuine  map[[32]byte]bool
}{bindings: map[int]*discovery.Binding{}, genuine: map[[32]byte]bool{}}

// verifyOnce checks the signatures of an announcement, or remembers that it has;
// the clock is asked every time.
func verifyOnce(a *discovery.Announcement, now time.Time) error {
	id := a.Digest()
	simMemory.Lock()
	defer simMemory.Unlock()
	if simMemory.genuine[id] && now.Before(a.ExpiresAt) && !a.IssuedAt.After(now.Add(identity.MaxClockSkew)) {
		return nil
	}
	err := a.Verify(now)
	simMemory.genuine[id] = err == nil
	return err
}

// add starts a node that knows some others.
func (w *swarm) add() *simNode {
	id, now := len(w.nodes), w.net.Now()
	simMemory.Lock()
	binding := simMemory.bindings[id]
	if binding == nil {
		agent := simKey(w.t, "agent", id).Public().AgentID()
		var err error
		binding, err = discovery.NewBinding(simKey(w.t, "machine", id), agent, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))
		if err != nil {
			w.t.Fatal(err)
		}
		simMemory.bindings[id] = binding
	}
	simMemory.Unlock()
	n := &simNode{
		State: New(Config{Self: binding.Agent, Verify: verifyOnce, Rand: rand.New(rand.NewPCG(w.seed, uint64(id)<<8|2))}),
		w:     w, id: id, ours: make(map[int]bool), binding: binding, born: now,
		waits: make(map[uint64]func([]*discovery.Announcement, time.Time)),
	}
	others := w.alive()
	w.nodes = append(w.nodes, n)
	w.agents = append(w.agents, binding.Agent)
	w.machines = append(w.machines, binding.Machine())
	w.index[binding.Agent] = id
	w.net.Add(id, n)
	for range min(simKnown, len(others)) {
		n.KnowPeer(w.peer(w.one(others).id), now)
	}
	n.announce(now)
	n.act(now)
	w.net.Wake(id)
	w.after(simShuffle, func() { w.shuffle(n) })
	return n
}

// shuffle tells a node of another one.
func (w *swarm) shuffle(n *simNode) {
	if !n.died.IsZero() {
		return
	}
	if o := w.one(w.alive()); o != n {
		n.KnowPeer(w.peer(o.id), w.net.Now())
		n.act(w.net.Now())
		w.net.Wake(n.id)
	}
	w.after(simShuffle, func() { w.shuffle(n) })
}

// kill ends a node without a goodbye.
func (w *swarm) kill(n *simNode) {
	n.died = w.net.Now()
	w.net.Kill(n.id)
}

func (w *swarm) alive() []*simNode {
	list := make([]*simNode, 0, len(w.nodes))
	for _, n := range w.nodes {
		if n.died.IsZero() {
			list = append(list, n)
		}
	}
	return list
}

func (w *swarm) one(list []*simNode) *simNode { return list[w.rnd.IntN(len(list))] }

// grow has n nodes join within half a minute, and settle.
func (w *swarm) grow(n int) {
	for i := range n {
		w.after(30*time.Second*time.Duration(i)/time.Duration(n), func() { w.add() })
	}
	w.run(2 * time.Minute)
}

// churn replaces a part of the nodes per hour, for a while.
func (w *swarm) churn(part float64, for_ time.Duration) {
	n := len(w.alive())
	each := time.Duration(float64(time.Hour) / (part * float64(n)))
	for at := each / 2; at < for_; at += each {
		w.after(at, func() {
			w.kill(w.one(w.alive()))
			w.add()
		})
	}
}

// result of lookups.
type result struct {
	asked, answered int
	took            []time.Duration
}

func (r *result) p(q float64) time.Duration {
	if len(r.took) == 0 {
		return 0
	}
	slices.Sort(r.took)
	return r.took[min(int(q*float64(len(r.took))), len(r.took)-1)]
}

// lookUp has a random node look for a random agent that it never met.
func (w *swarm) lookUp(r *result, kind Kind) {
	alive := w.alive()
	n, target := w.one(alive), w.one(alive)
	now := w.net.Now()
	if n == target || n.nodes[target.Self()] != nil || now.Sub(target.born) < 30*time.Second {
		return
	}
	id := [32]byte(target.Self())
	if kind == Machine {
		id = target.binding.Machine()
	}
	w.find(n, kind, id, func(found []*discovery.Announcement, at time.Time) {
		r.asked++
		r.took = append(r.took, at.Sub(now))
		if slices.ContainsFunc(found, func(a *discovery.Announcement) bool { return a.Agent == target.Self() }) {
			r.answered++
		}
	})
}

func (w *swarm) find(n *simNode, kind Kind, id [32]byte, f func([]*discovery.Announcement, time.Time)) {
	now := w.net.Now()
	lookup, err := n.Find(kind, id, now)
	if err != nil {
		w.t.Fatal(err)
	}
	n.waits[lookup] = func(found []*discovery.Announcement, at time.Time) {
		for _, a := range found {
			dead := w.nodes[w.index[a.Agent]].died
			if a.Expired(at) || !dead.IsZero() && at.Sub(dead) > simTTL {
				w.t.Errorf("an answer of an agent that is dead for %v", at.Sub(dead))
			}
		}
		f(found, at)
	}
	n.act(now)
	w.net.Wake(n.id)
}

// Self returns the id of the agent.
func (n *simNode) Self() identity.AgentID { return n.cfg.Self }

// load is what a node causes: bytes sent per minute, handshakes included.
type load struct {
	perMinute   float64
	frames      float64 // of it, frames and packets
	handshakes  float64 // per node and hour
	connections float64 // per node
	most        int     // bytes stored at one node
	mean        float64
}

// measure runs for a while and returns what each node sent.
func (w *swarm) measure(d time.Duration) load {
	before := w.net.Stats()
	w.run(d)
	after := w.net.Stats()
	alive := w.alive()
	n, minutes := float64(len(alive)), d.Minutes()
	wire := float64(after.Total.Wire - before.Total.Wire)
	connections := float64(after.Connections - before.Connections)
	l := load{
		perMinute:   (wire + connections*simHandshake) / n / minutes,
		frames:      wire / n / minutes,
		handshakes:  connections / n / d.Hours(),
		connections: 2 * float64(after.Live) / n,
	}
	for _, o := range alive {
		l.most = max(l.most, o.store.bytes)
		l.mean += float64(o.store.bytes) / n
	}
	return l
}
