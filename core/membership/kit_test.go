package membership

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func agentID(n int) (a identity.AgentID) {
	binary.BigEndian.PutUint32(a[:], uint32(n)+1)
	return a
}

func indexOf(a identity.AgentID) int { return int(binary.BigEndian.Uint32(a[:])) - 1 }

// addrOf gives each agent an address of its own on the internet.
func addrOf(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{50, byte(n >> 16), byte(n >> 8), byte(n)}), 5483)
}

func peerOf(n int) Peer {
	return Peer{Agent: agentID(n), Machine: identity.MachineID(agentID(n)), Addrs: []netip.AddrPort{addrOf(n)}}
}

// sim is a network in virtual time. Connections are reliable and ordered, and
// take the same time for every frame between two nodes.
type sim struct {
	t         testing.TB
	cfg       Config
	seed      uint64
	now       time.Time
	rnd       *rand.Rand
	nodes     []*simNode
	links     map[[2]int]int // pair → generation of the connection, while it is up
	gen       int
	events    eventHeap
	order     int
	trace     hash.Hash // nil: none
	downAfter time.Duration
	cut       func(a, b int) bool // a partition
	frames    int
	bytes     int
}

type simNode struct {
	*State
	id     int
	dead   bool
	stuck  bool
	inbox  []func() // while stuck
	up     map[int]bool
	wakeAt time.Time
	dials  []Peer
	ups    int
}

func newSim(t testing.TB, seed uint64, cfg Config) *sim {
	return &sim{t: t, cfg: cfg, seed: seed, now: start, rnd: rand.New(rand.NewPCG(seed, 7)),
		links: make(map[[2]int]int), downAfter: time.Second}
}

func (s *sim) at(d time.Duration, do func()) {
	s.order++
	heap.Push(&s.events, event{s.now.Add(d), s.order, do})
}

func (s *sim) run(d time.Duration) {
	end := s.now.Add(d)
	for len(s.events) > 0 && !s.events[0].at.After(end) {
		e := heap.Pop(&s.events).(event)
		s.now = e.at
		e.do()
	}
	s.now = end
}

// add starts n more nodes.
func (s *sim) add(n int) {
	for range n {
		s.nodes = append(s.nodes, nil)
		s.restart(len(s.nodes) - 1)
	}
}

// restart puts a new process in the place of a node.
func (s *sim) restart(id int) *simNode {
	cfg := s.cfg
	cfg.Self = agentID(id)
	cfg.Rand = rand.New(rand.NewPCG(s.seed, uint64(id)+uint64(s.now.UnixNano())))
	s.nodes[id] = &simNode{State: New(cfg), id: id, up: make(map[int]bool)}
	return s.nodes[id]
}

// joinAll lets every node join through one of the first, one each interval.
func (s *sim) joinAll(interval time.Duration, contacts int) {
	for i := 1; i < len(s.nodes); i++ {
		contact := s.rnd.IntN(min(i, contacts))
		s.at(time.Duration(i)*interval, func() { s.join(i, contact) })
	}
}

func (s *sim) join(i, contact int) {
	s.input(s.nodes[i], func(n *State) { n.Join(agentID(contact), s.now) })
	s.dial(i, peerOf(contact))
}

func (s *sim) latency(a, b int) time.Duration {
	a, b = min(a, b), max(a, b)
	return time.Duration(1+(a*31+b*17)%20) * time.Millisecond
}

func pair(a, b int) [2]int { return [2]int{min(a, b), max(a, b)} }

// input gives something to a node and does what it wants then.
func (s *sim) input(n *simNode, f func(*State)) {
	if n.dead {
		return
	}
	if n.stuck {
		n.inbox = append(n.inbox, func() { s.input(n, f) })
		return
	}
	f(n.State)
	for _, a := range n.Take() {
		s.act(n, a)
	}
	s.wake(n)
}

func (s *sim) wake(n *simNode) {
	next := n.NextTick()
	if next.IsZero() || !n.wakeAt.IsZero() && !next.Before(n.wakeAt) {
		return
	}
	n.wakeAt = next
	s.at(max(next.Sub(s.now), 0), func() {
		if n.wakeAt != next {
			return
		}
		n.wakeAt = time.Time{}
		s.input(n, func(st *State) { st.Tick(s.now) })
	})
}

func (s *sim) act(n *simNode, a Action) {
	if s.trace != nil {
		fmt.Fprintf(s.trace, "%d %d %d %s %x\n", s.now.UnixNano(), n.id, indexOf(a.Agent), a.Kind, a.Frame)
	}
	to := indexOf(a.Agent)
	switch a.Kind {
	case Send:
		s.frames++
		s.bytes += len(a.Frame)
		gen, ok := s.links[pair(n.id, to)]
		if !ok {
			return
		}
		s.at(s.latency(n.id, to), func() {
			if s.links[pair(n.id, to)] != gen || s.cut != nil && s.cut(n.id, to) {
				return
			}
			s.input(s.nodes[to], func(st *State) { require.NoError(s.t, st.HandleFrame(agentID(n.id), a.Frame, s.now)) })
		})
	case Dial:
		n.dials = append(n.dials, a.Peer)
		s.dial(n.id, a.Peer)
	case Up:
		n.ups++
		require.False(s.t, n.up[to], "up twice")
		n.up[to] = true
	case Down:
		require.True(s.t, n.up[to], "down twice")
		delete(n.up, to)
	case Release:
		if to < len(s.nodes) && !slices.Contains(s.nodes[to].ActiveView(), agentID(n.id)) {
			s.hangUp(n.id, to, s.latency(n.id, to))
		}
	}
}

func (s *sim) dial(from int, p Peer) {
	to := indexOf(p.Agent)
	reachable := to < len(s.nodes) && slices.Contains(p.Addrs, addrOf(to))
	if !reachable || s.nodes[to].dead || s.cut != nil && s.cut(from, to) {
		// Nobody answers; the state's own time-out may come first.
		s.at(5*time.Second, func() {
			s.input(s.nodes[from], func(st *State) { st.DialFailed(p.Agent, s.now) })
		})
		return
	}
	s.at(2*s.latency(from, to), func() { s.connect(from, to) })
}

func (s *sim) connect(a, b int) {
	if _, ok := s.links[pair(a, b)]; ok || s.nodes[a].dead || s.nodes[b].dead {
		return
	}
	s.gen++
	s.links[pair(a, b)] = s.gen
	s.input(s.nodes[a], func(st *State) { st.PeerUp(peerOf(b), addrOf(b), s.now) })
	s.input(s.nodes[b], func(st *State) { st.PeerUp(peerOf(a), addrOf(a), s.now) })
}

// hangUp ends a connection: frames on the way are lost, both sides hear it.
func (s *sim) hangUp(a, b int, after time.Duration) {
	gen, ok := s.links[pair(a, b)]
	if !ok {
		return
	}
	s.at(after, func() {
		if s.links[pair(a, b)] != gen {
			return
		}
		delete(s.links, pair(a, b))
		s.input(s.nodes[a], func(st *State) { st.PeerDown(agentID(b), s.now) })
		s.input(s.nodes[b], func(st *State) { st.PeerDown(agentID(a), s.now) })
	})
}

func (s *sim) linksOf(id int) (list [][2]int) {
	for l := range s.links {
		if l[0] == id || l[1] == id {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b [2]int) int { return slices.Compare(a[:], b[:]) })
	return list
}

func (s *sim) kill(id int) {
	s.nodes[id].dead = true
	for _, l := range s.linksOf(id) {
		s.hangUp(l[0], l[1], s.downAfter)
	}
}

// stick stops a process, whose connections live.
func (s *sim) stick(id int) { s.nodes[id].stuck = true }

func (s *sim) unstick(id int) {
	n := s.nodes[id]
	n.stuck = false
	inbox := n.inbox
	n.inbox = nil
	for _, f := range inbox {
		f()
	}
}

func (s *sim) living() (list []*simNode) {
	for _, n := range s.nodes {
		if !n.dead {
			list = append(list, n)
		}
	}
	return list
}

// asymmetric lists active links that only one side has.
func (s *sim) asymmetric() (list [][2]int) {
	for _, n := range s.living() {
		for _, a := range n.ActiveView() {
			o := s.nodes[indexOf(a)]
			if o.dead || !slices.Contains(o.ActiveView(), agentID(n.id)) {
				list = append(list, [2]int{n.id, o.id})
			}
		}
	}
	return list
}

// components are the sizes of the parts of the graph of the living, largest
// first.
func (s *sim) components() (sizes []int) {
	seen := make(map[int]bool)
	for _, n := range s.living() {
		if seen[n.id] {
			continue
		}
		seen[n.id] = true
		todo, size := []int{n.id}, 0
		for len(todo) > 0 {
			id := todo[0]
			todo = todo[1:]
			size++
			for _, a := range s.nodes[id].ActiveView() {
				if o := indexOf(a); !seen[o] && !s.nodes[o].dead {
					seen[o] = true
					todo = append(todo, o)
				}
			}
		}
		sizes = append(sizes, size)
	}
	slices.SortFunc(sizes, func(a, b int) int { return b - a })
	return sizes
}
