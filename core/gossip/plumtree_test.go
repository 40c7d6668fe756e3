package gossip

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// many is a number of nodes or messages. The race detector makes these tests ten
// times slower and has nothing to find in them, since all of it is one goroutine.
func many(n int) int {
	if raceDetector {
		return max(n/3, 16)
	}
	return n
}

// flow publishes from the nodes that from returns, one message every pause.
func (o *overlay) flow(messages int, pause time.Duration, from func(i int) int) (sent []place) {
	for i := range messages {
		sent = append(sent, o.publish(from(i), "t"))
		o.run(pause)
	}
	return sent
}

// copies returns how many copies of a message came for each that was new, while
// f ran.
func (o *overlay) copies(f func()) float64 {
	r0, d0, _, _ := o.counters()
	f()
	r1, d1, _, _ := o.counters()
	return 1 + float64(d1-d0)/float64(r1-r0)
}

func TestOverlayBecomesATree(t *testing.T) {
	for _, c := range []struct {
		name           string
		nodes, senders int
		warm           int // messages until the tree stands
	}{{"one publisher", many(96), 1, 20}, {"everybody publishes", many(64), many(64), many(300)}} {
		t.Run(c.name, func(t *testing.T) {
			o := allSubscribed(t, 1, c.nodes)
			from := func(i int) int { return i * 7 % c.senders }
			sent := o.flow(c.warm, 20*time.Millisecond, from)
			o.run(2 * time.Second)
			_, _, p0, g0 := o.counters()
			copies := o.copies(func() {
				sent = append(sent, o.flow(many(120), 20*time.Millisecond, from)...)
				o.run(2 * time.Second)
			})
			o.requireAll("every message everywhere", sent)
			torn, eager, parts := o.shape("t")
			_, _, p1, g1 := o.counters()
			t.Logf("copies %.3f, eager links %d of %d nodes, parts %d, torn %d, PRUNE %d, GRAFT %d", copies, eager, c.nodes, parts, torn, p1-p0, g1-g0)
			require.LessOrEqual(t, copies, 1.3)
			require.Zero(t, torn, "both ends of a link agree")
			require.Less(t, eager, 2*c.nodes)
		})
	}
}

// The changes of the tree die down, though everybody publishes at once.
func TestOverlayComesToRest(t *testing.T) {
	nodes := many(50)
	o := allSubscribed(t, 2, nodes)
	from := func(i int) int { return i * 7 % nodes }
	rest := 0
	for round := range 30 {
		_, _, p0, g0 := o.counters()
		sent := o.flow(50, 20*time.Millisecond, from)
		o.run(2 * time.Second)
		o.requireAll("round", sent)
		_, _, p1, g1 := o.counters()
		t.Logf("round %d: PRUNE %d, GRAFT %d", round, p1-p0, g1-g0)
		if rest++; p1-p0+g1-g0 > 5 {
			rest = 0
		}
		if rest == 5 {
			torn, eager, parts := o.shape("t")
			require.Equal(t, []int{0, 1}, []int{torn, parts})
			require.LessOrEqual(t, eager, nodes+2, "a tree has one link less than nodes")
			return
		}
	}
	t.Fatal("the tree is changed for ever")
}

func TestOverlayIsDeterministic(t *testing.T) {
	trace := func(seed uint64) []byte {
		o := allSubscribed(t, seed, 20)
		for i := range 20 { // some topics, so that maps have an order to betray
			for j := range 5 {
				o.subscribe((i+j)%20, fmt.Sprint(i))
			}
		}
		o.flow(40, 10*time.Millisecond, func(i int) int { return i * 3 % 20 })
		for i := range 5 {
			o.kill(i, time.Second)
		}
		o.flow(40, 30*time.Millisecond, func(i int) int { return 5 + i%15 })
		o.run(30 * time.Second)
		return o.trace.Sum(nil)
	}
	first := trace(5)
	require.Equal(t, first, trace(5))
	require.NotEqual(t, first, trace(6))
}

// mend gives survivors new neighbours, as an overlay would.
func (o *overlay) mend(degree int) {
	for i, n := range o.nodes {
		for try := 0; !n.dead && o.degree(i) < degree && try < 1000; try++ {
			if j := o.rnd.IntN(len(o.nodes)); !o.nodes[j].dead {
				o.connect(i, j)
			}
		}
	}
}

// requireHeldByAll checks that what any survivor got every survivor got, once.
func (o *overlay) requireHeldByAll(sent []place) (lost int) {
	o.t.Helper()
	for _, m := range sent {
		holders, alive := 0, 0
		for i, n := range o.nodes {
			if n.dead {
				continue
			}
			alive++
			if n.got[m] > 1 {
				o.t.Fatalf("node %d got message %d of node %d %d times", i, m.first, o.index[m.sender], n.got[m])
			}
			holders += n.got[m]
		}
		if holders == 0 {
			lost++
		} else if holders != alive {
			o.t.Fatalf("message %d of node %d is at %d of %d survivors", m.first, o.index[m.sender], holders, alive)
		}
	}
	return lost
}

func TestOverlaySurvivesTheDeathOfMany(t *testing.T) {
	nodes := many(80)
	o := allSubscribed(t, 3, nodes)
	sent := o.flow(many(100), 20*time.Millisecond, func(i int) int { return i * 7 % nodes })
	dead := o.rnd.Perm(nodes)[:nodes*3/10]
	sent = append(sent, o.flow(4, time.Millisecond, func(i int) int { return dead[i] })...) // on their way when it happens
	o.run(20 * time.Millisecond)
	for _, i := range dead {
		o.kill(i, time.Second)
	}
	alive := func(i int) int {
		for o.nodes[i%nodes].dead {
			i++
		}
		return i % nodes
	}
	during := o.flow(many(100), 20*time.Millisecond, alive) // 1 s of it before anybody knows
	o.run(time.Second)
	o.mend(5)
	var after []place
	copies := o.copies(func() { after = o.flow(many(100), 20*time.Millisecond, alive) })
	o.run(5 * time.Second)
	lost := o.requireHeldByAll(append(sent, during...))
	o.requireAll("published by survivors", append(during, after...))
	t.Logf("%d messages died with their publishers, copies after it %.2f", lost, copies)
	require.Less(t, lost, 5)
	for range 20 { // and it becomes one tree again
		o.requireAll("later", o.settledFlow(alive))
		if torn, _, parts := o.shape("t"); torn == 0 && parts == 1 {
			return
		}
	}
	t.Fatal("the survivors have no tree")
}

// settledFlow publishes some messages and lets them arrive.
func (o *overlay) settledFlow(from func(i int) int) []place {
	sent := o.flow(20, 20*time.Millisecond, from)
	o.run(3 * time.Second)
	return sent
}

func TestOverlayHealsAPartition(t *testing.T) {
	nodes := many(60)
	o := allSubscribed(t, 4, nodes)
	sent := o.flow(50, 20*time.Millisecond, func(i int) int { return i % nodes })
	o.run(time.Second)
	var cut [][2]int
	for i, n := range o.nodes {
		for j, l := range sortedLinks(n.links) {
			if l != nil && l.up && i < j && i%2 != j%2 {
				cut = append(cut, [2]int{i, j})
			}
		}
	}
	for _, l := range cut {
		o.disconnect(l[0], l[1])
	}
	o.mend(3) // each side keeps to itself as far as it can
	for i, n := range o.nodes {
		for j, l := range sortedLinks(n.links) {
			if l != nil && l.up && i%2 != j%2 {
				o.disconnect(i, j)
			}
		}
	}
	apart := o.flow(many(120), 50*time.Millisecond, func(i int) int { return i % nodes })
	o.run(20 * time.Second)
	for _, m := range apart {
		for i, n := range o.nodes {
			require.Equal(t, i%2 == o.index[m.sender]%2, n.got[m] == 1)
		}
	}
	o.connect(cut[0][0], cut[0][1]) // one link is enough
	o.run(5 * time.Second)
	o.requireAll("healed", append(sent, apart...))
}

// Links that break and come back all the time lose nothing: digests and ranges
// bring what was in flight.
func TestOverlayLosesNothingWhenLinksBreak(t *testing.T) {
	nodes := many(50)
	o := allSubscribed(t, 5, nodes)
	var sent []place
	for i := range many(200) {
		sent = append(sent, o.publish(i*7%nodes, "t"))
		a := o.rnd.IntN(nodes)
		for b, l := range sortedLinks(o.nodes[a].links) {
			if l != nil && l.up && o.rnd.IntN(6) == 0 {
				o.disconnect(a, b)
				o.at(time.Duration(50+o.rnd.IntN(500))*time.Millisecond, func() { o.connect(a, b) })
			}
		}
		o.run(20 * time.Millisecond)
	}
	o.run(60 * time.Second)
	o.requireAll("after it", sent)
}

// A digest is enough: nobody announces, nothing is pushed, no gap is visible.
func TestDigestsBringWhatNothingElseDoes(t *testing.T) {
	o := allSubscribed(t, 6, 20)
	sent := o.flow(20, 20*time.Millisecond, func(i int) int { return i })
	o.run(time.Second)
	// A message that only one node has, and that its neighbours are believed to
	// have: as if it had been lost with every connection.
	n := o.nodes[7]
	n.sequence++
	env := &envelope{sender: n.own, topic: n.topicID("t"), epoch: n.cfg.Epoch, first: n.sequence, time: n.cfg.Clock.Now(), payloads: [][]byte{[]byte("lost")}}
	frame, err := sealEnvelope(n.cfg.Key, testNetwork, env)
	require.NoError(t, err)
	n.router.publish("t", env, frame, o.now)
	for _, p := range n.peers {
		for c := range p.lanes {
			p.lanes[c].cursor = nil
		}
	}
	o.pump(7)
	lost := place{n.own, n.cfg.Epoch, n.sequence}
	o.run(2 * time.Second)
	require.Zero(t, o.nodes[8].got[lost])
	o.run(40 * time.Second)
	o.requireAll("after some digests", append(sent, lost))
}

// A node that was away for longer than anybody noticed catches up, and one that
// is new gets what is retained.
func TestRejoiningNodeCatchesUp(t *testing.T) {
	o := allSubscribed(t, 7, 30)
	sent := o.flow(30, 20*time.Millisecond, func(i int) int { return i })
	for j := range sortedLinks(o.nodes[3].links) {
		o.disconnect(3, j)
	}
	missed := o.flow(100, 20*time.Millisecond, func(i int) int { return 10 + i%20 })
	require.Zero(t, o.nodes[3].got[missed[0]])
	late := o.add()
	o.subscribe(late, "t")
	for _, i := range []int{3, late} {
		for _, j := range []int{11, 17, 23} {
			o.connect(i, j)
		}
	}
	o.run(3 * time.Second)
	o.requireAll("caught up", append(sent, missed...))
	sent = o.flow(20, 20*time.Millisecond, func(i int) int { return []int{3, late}[i%2] })
	o.run(3 * time.Second)
	o.requireAll("from them", sent)
}

// What a delivered byte costs when messages of 1 KiB come alone: the payload
// and a signature, and a little for lazy links.
func TestBytesPerDeliveredByte(t *testing.T) {
	o := newOverlay(t, 8)
	o.size = 1024
	o.latency = func(a, b int) time.Duration { return time.Duration(200+a*b%100) * time.Microsecond }
	for i := range 32 {
		o.add()
		o.subscribe(i, "t")
	}
	o.regular(32, 6)
	o.flow(50, 60*time.Millisecond, func(i int) int { return i * 7 % 32 })
	before, r0 := o.onWire, o.total(func(s *Stats) uint64 { return s.Received })
	i0 := o.frames[frameIHave]
	o.flow(100, 60*time.Millisecond, func(i int) int { return i * 7 % 32 })
	deliveries := o.total(func(s *Stats) uint64 { return s.Received }) - r0
	perByte := float64(o.onWire-before) / float64(deliveries*1024)
	t.Logf("%.2f bytes on the wire for each delivered, %.2f announcements", perByte, float64(o.frames[frameIHave]-i0)/float64(deliveries))
	require.LessOrEqual(t, perByte, 5.2)
}

// Any graph, any faults: when it is whole again, everybody who subscribes has
// every message that any of them has, once.
func TestOverlayProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 8).Draw(rt, "nodes")
		o := newOverlay(t, rapid.Uint64().Draw(rt, "seed"))
		for range n {
			o.add(func(c *Config) { c.OptimiseBy = 1 })
		}
		subscribed := map[int]bool{}
		var sent []place
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			i, j := rapid.IntRange(0, n-1).Draw(rt, "node"), rapid.IntRange(0, n-1).Draw(rt, "other")
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				o.connect(i, j)
			case 1:
				o.disconnect(i, j)
			case 2, 3:
				sent = append(sent, o.publish(i, "t"))
			case 4:
				if !subscribed[i] {
					o.subscribe(i, "t")
				}
				subscribed[i] = true
			case 5:
				o.run(time.Duration(rapid.IntRange(0, 1000).Draw(rt, "ms")) * time.Millisecond)
			}
		}
		for i := 1; i < n; i++ {
			o.connect(i, rapid.IntRange(0, i-1).Draw(rt, "to"))
		}
		o.run(time.Minute)
		for i := range subscribed {
			for _, m := range sent {
				if o.nodes[i].got[m] != 1 {
					rt.Fatalf("node %d got message %d of node %d %d times", i, m.first, o.index[m.sender], o.nodes[i].got[m])
				}
			}
		}
		for _, n := range o.nodes {
			if n.missing != 0 || n.stats.BadFrames+n.stats.Malformed+n.stats.Forged+n.stats.PeerDropped+n.stats.ControlDropped != 0 {
				rt.Fatalf("%d missing, %+v", n.missing, n.stats)
			}
		}
	})
}

// What a hostile neighbour sends in any order leaves the router within its
// bounds and usable.
func TestHostileFrames(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, pub, sub := pair(t)
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		r, from := s.routers[sub], s.routers[pub].own
		topic := NewTopicID(testNetwork, "t")
		for range 25 {
			var list []mark
			for range rnd.IntN(20) {
				m := mark{topic: topic, sender: agent(t, byte(1+rnd.IntN(3))), epoch: 1 + uint64(rnd.IntN(3)), from: 1 + uint64(rnd.IntN(1000)), hops: uint8(rnd.IntN(256))}
				m.to = m.from + uint64(rnd.IntN(300))
				if rnd.IntN(4) == 0 {
					m.topic[0] = byte(rnd.IntN(256))
				}
				list = append(list, m)
			}
			frames := slices.Concat(iHaveFrames(slices.Clone(list)), graftFrames(slices.Clone(list)), iWantFrames(slices.Clone(list)),
				digestFrames(slices.Clone(list), digestKind(rnd.IntN(3))), [][]byte{pruneFrame(topic), unsubscribeFrame(topic)})
			for _, f := range frames {
				if rnd.IntN(3) == 0 {
					f[rnd.IntN(len(f))] ^= 1 << rnd.IntN(8)
				}
				r.handleFrame(from, f, s.now)
			}
			s.now = s.now.Add(time.Duration(rnd.IntN(30)) * time.Millisecond)
			r.tick(s.now)
			r.sent(r.peers[from], r.outgoingFor(r.peers[from], 1000, s.now), 0, s.now)
			r.peers[from].control = nil
		}
		s.wait(time.Minute)
		if r.missing != 0 || r.peers[from].waiting != 0 || len(r.topics) > 1 {
			rt.Fatalf("%d missing, %d topics", r.missing, len(r.topics))
		}
		s.publish(pub, "t", 1, "still here")
		s.wait(time.Second)
		if got := s.texts(sub); len(got) != 1 {
			rt.Fatalf("%v", got)
		}
	})
}
