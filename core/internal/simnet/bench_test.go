package simnet

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// courier passes on what it gets to the next of its peers, and ticks.
type courier struct {
	net   *Net
	id    int
	peers []int32
	turn  int
	ticks bool
	next  time.Time
	frame []byte
}

func (c *courier) Up(peer int, now time.Time) { c.peers = append(c.peers, int32(peer)) }
func (c *courier) Down(int, time.Time)        {}
func (c *courier) DialFailed(int, time.Time)  {}
func (c *courier) Receive(_ int, frame []byte, _ time.Time) {
	c.turn++
	c.net.Send(c.id, int(c.peers[c.turn%len(c.peers)]), c.turn&1, frame)
}
func (c *courier) Tick(now time.Time)  { c.next = now.Add(time.Second) }
func (c *courier) NextTick() time.Time { return c.next }

// city is size nodes with about degree links each.
func city(cfg Config, size, degree int) (*Net, []*courier) {
	n := New(cfg)
	nodes := make([]*courier, size)
	for id := range nodes {
		nodes[id] = &courier{net: n, id: id}
		n.Add(id, nodes[id])
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	for id := range nodes {
		for range degree / 2 {
			if peer := rnd.IntN(size); peer != id {
				n.Dial(id, peer)
			}
		}
	}
	n.RunUntil(n.Now().Add(5 * time.Second))
	return n, nodes
}

// BenchmarkEvents keeps three frames per node moving from peer to peer, so that
// an event is nearly always a frame that arrives and is sent on, at a node and
// on links that have not been touched for long.
func BenchmarkEvents(b *testing.B) {
	world := Plane(1, 5*time.Millisecond, 150*time.Millisecond, 5*time.Millisecond)
	for _, c := range []struct {
		name  string
		cfg   Config
		nodes int
		size  int
	}{
		{"1000 nodes", Config{Latency: world}, 1000, 200},
		{"10000 nodes", Config{Latency: world}, 10_000, 200},
		{"10000 nodes/loss", Config{Latency: world, Loss: 0.01}, 10_000, 200},
		{"10000 nodes/bandwidth", Config{Latency: world, Bandwidth: 1 << 20}, 10_000, 4000},
	} {
		b.Run(c.name, func(b *testing.B) {
			n, nodes := city(c.cfg, c.nodes, 8)
			for id, node := range nodes {
				node.next = n.Now().Add(time.Duration(id) * 100 * time.Microsecond)
				n.Wake(id)
				for i := range 3 {
					n.Send(id, int(node.peers[i%len(node.peers)]), Bulk, make([]byte, c.size))
				}
			}
			n.RunUntil(n.Now().Add(time.Second))
			before := n.Stats()
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				n.RunUntil(n.Now().Add(100 * time.Millisecond))
			}
			s := n.Stats()
			b.ReportMetric(float64(s.Events-before.Events)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(s.Delivered[0]+s.Delivered[1]-before.Delivered[0]-before.Delivered[1])/b.Elapsed().Seconds(), "frames/s")
		})
	}
}

func BenchmarkIdleNode(b *testing.B) {
	const size = 10_000
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var each float64
	for b.Loop() {
		before := heap()
		n, nodes := city(Config{}, size, 8)
		each = float64(heap()-before) / size
		runtime.KeepAlive(n)
		runtime.KeepAlive(nodes)
	}
	b.ReportMetric(each, "B/node") // with its 8 links, and the courier
}
