package membership

import (
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The race detector makes large runs slow, and finds nothing in a package
// without goroutines: sizes and rounds are smaller with it.
func sizes() []int {
	if raceDetector {
		return []int{200}
	}
	return []int{200, 1000}
}

func rounds(n int) int {
	if raceDetector {
		return n / 4
	}
	return n
}

// contacts are the nodes through which the others of a network join.
const contacts = 4

// network returns n nodes that have joined and settled.
func network(t testing.TB, seed uint64, n int, cfg Config) *sim {
	s := newSim(t, seed, cfg)
	s.add(n)
	s.joinAll(20*time.Millisecond, contacts)
	s.run(time.Duration(n)*20*time.Millisecond + 80*time.Second)
	settled(t, s)
	return s
}

// settled asserts that the graph of the living is whole, and that both ends of
// each link agree on it.
func settled(t testing.TB, s *sim) {
	t.Helper()
	require.Empty(t, s.asymmetric(), "links that one side has")
	require.Equal(t, []int{len(s.living())}, s.components(), "parts of the graph")
	for _, n := range s.living() {
		check(t, n.State)
		require.Len(t, n.up, len(n.active), "Up and Down tell the active view")
	}
}

func degrees(s *sim) (low, high int, mean float64) {
	low = maxActive
	for _, n := range s.living() {
		d := len(n.active)
		mean += float64(d) / float64(len(s.living()))
		low, high = min(low, d), max(high, d)
	}
	return low, high, mean
}

// dead counts the places in views that dead nodes have.
func (s *sim) deadPlaces() (active, passive, all int) {
	for _, n := range s.living() {
		for _, a := range n.ActiveView() {
			if s.nodes[indexOf(a)].dead {
				active++
			}
		}
		for _, p := range n.PassiveView() {
			all++
			if s.nodes[indexOf(p.Agent)].dead {
				passive++
			}
		}
	}
	return active, passive, all
}

func TestNetwork(t *testing.T) {
	for _, n := range sizes() {
		s := network(t, 1, n, Config{})
		cfg := s.nodes[0].cfg

		low, high, mean := degrees(s)
		t.Logf("%d nodes: degree %d to %d, mean %.2f", n, low, high, mean)
		require.GreaterOrEqual(t, low, 3)
		require.LessOrEqual(t, high, cfg.Active)
		require.GreaterOrEqual(t, mean, 5.5)

		// Everybody is in a fair number of passive views. The contacts are in
		// more: many have been their neighbours.
		in := make([]int, n)
		for _, node := range s.nodes {
			require.GreaterOrEqual(t, len(node.passive), cfg.Passive/3)
			for _, e := range node.passive {
				in[indexOf(e.peer.Agent)]++
			}
		}
		in = in[contacts:]
		slices.Sort(in)
		t.Logf("in passive views: least %d, 1%% %d, median %d, 95%% %d, most %d", in[0], in[n/100], in[n/2], in[n*95/100], in[len(in)-1])
		require.GreaterOrEqual(t, in[n/100], 2)
		require.Less(t, in[n*95/100], 2*cfg.Passive)

		frames, bytes := s.frames, s.bytes
		s.run(10 * time.Second)
		t.Logf("at rest: %.1f frames and %.0f bytes a second and node", float64(s.frames-frames)/10/float64(n), float64(s.bytes-bytes)/10/float64(n))

		// Then 30 % die at once.
		for _, id := range s.rnd.Perm(n)[:n*3/10] {
			s.kill(id)
		}
		s.run(s.downAfter + cfg.ShufflePeriod + cfg.DialTimeout)
		require.Equal(t, []int{n - n*3/10}, s.components())
		s.run(60 * time.Second)
		settled(t, s)
		active, passive, all := s.deadPlaces()
		low, _, mean = degrees(s)
		t.Logf("%d survivors: degree from %d, mean %.2f; %d of %d passive places dead", len(s.living()), low, mean, passive, all)
		require.GreaterOrEqual(t, mean, 5.5)
		require.Zero(t, active)
		require.Less(t, passive, all/5, "news of the failures around has found a good part of the dead, who had 30 %")

		// The rest is found when each passive peer has been verified: every second is
		// one of those that were verified before.
		if n == 200 && !raceDetector {
			s.run(2 * time.Duration(cfg.Passive) * cfg.ShufflePeriod)
			_, passive, _ = s.deadPlaces()
			require.Zero(t, passive)
		}
	}
}

func TestJoinAllAtOnce(t *testing.T) {
	s := newSim(t, 3, Config{})
	s.add(100)
	s.joinAll(0, 1)
	s.run(2 * time.Minute)
	settled(t, s)
	_, _, mean := degrees(s)
	require.GreaterOrEqual(t, mean, 5.0)
}

func TestTwoAndThreeNodes(t *testing.T) {
	for _, n := range []int{2, 3} {
		s := newSim(t, 4, Config{})
		s.add(n)
		s.joinAll(0, 1)
		s.run(time.Second)
		settled(t, s)
		for _, node := range s.nodes {
			require.Len(t, node.active, n-1)
		}
		// They stay together: nothing goes up or down again.
		s.run(5 * time.Minute)
		settled(t, s)
		for _, node := range s.nodes {
			require.Equal(t, n-1, node.ups)
		}
	}
}

func TestSameSeedSameTrace(t *testing.T) {
	run := func(seed uint64) []byte {
		s := newSim(t, seed, Config{})
		s.trace = sha256.New()
		s.add(40)
		s.joinAll(50*time.Millisecond, 1)
		s.run(30 * time.Second)
		for id := range 10 {
			s.kill(id * 3)
		}
		s.run(30 * time.Second)
		return s.trace.Sum(nil)
	}
	require.Equal(t, run(5), run(5))
	require.NotEqual(t, run(5), run(6))
}

// A partition that outlives all views: when it ends, the parts find each other
// again, with nobody's help.
func TestPartitionHeals(t *testing.T) {
	s := network(t, 6, 40, Config{})
	s.cut = func(a, b int) bool { return a%2 != b%2 }
	for l := range s.links {
		if s.cut(l[0], l[1]) {
			s.hangUp(l[0], l[1], s.downAfter)
		}
	}
	s.run(6 * time.Minute)
	require.Equal(t, []int{20, 20}, s.components())
	for _, n := range s.nodes {
		for _, p := range n.PassiveView() {
			require.Equal(t, n.id%2, indexOf(p.Agent)%2, "the other side is in a passive view still")
		}
	}
	s.cut = nil
	s.run(6 * time.Minute)
	settled(t, s)
	across := 0
	for _, n := range s.nodes {
		for _, a := range n.ActiveView() {
			if indexOf(a)%2 != n.id%2 {
				across++
			}
		}
	}
	require.Greater(t, across, 10, "links across")
}

// A process is stuck while its connections live.
func TestStuckProcess(t *testing.T) {
	s := network(t, 7, 50, Config{})
	cfg := s.nodes[0].cfg
	stuck := s.nodes[9]
	neighbors := stuck.ActiveView()
	require.NotEmpty(t, neighbors)
	s.stick(stuck.id)
	// One round: silence for a period, the probe, the probe by others.
	s.run(cfg.ProbePeriod + 2*cfg.ProbeTimeout + 100*time.Millisecond)
	for _, a := range neighbors {
		n := s.nodes[indexOf(a)]
		require.NotContains(t, n.ActiveView(), agentID(stuck.id), "a stuck process is a neighbour")
		require.EqualValues(t, 1, n.Stats().Suspected)
	}
	// They look for others at once; in a network whose views are full, most of
	// those who can accept are the five that lost the same neighbour.
	s.run(cfg.ProbePeriod)
	missing := 0
	for _, a := range neighbors {
		missing += cfg.Active - len(s.nodes[indexOf(a)].active)
	}
	require.LessOrEqual(t, missing, 2, "its places have been filled")

	s.unstick(stuck.id)
	s.run(5 * time.Second)
	settled(t, s)
	require.NotZero(t, stuck.Stats().Refutations)
	refuted := 0
	for _, a := range neighbors {
		refuted += int(s.nodes[indexOf(a)].Stats().Refuted)
	}
	require.NotZero(t, refuted)
	require.GreaterOrEqual(t, len(stuck.active), 2)
}

// A process dies and a new one of the same agent joins.
func TestRejoin(t *testing.T) {
	s := network(t, 8, 50, Config{})
	s.kill(11)
	s.run(20 * time.Second)
	for _, n := range s.living() {
		require.NotContains(t, n.ActiveView(), agentID(11))
	}
	s.restart(11)
	s.join(11, 0)
	s.run(20 * time.Second)
	settled(t, s)
	require.GreaterOrEqual(t, len(s.nodes[11].active), 3)

	// So it does at once, before its death is known.
	s.nodes[12].dead = true
	for _, l := range s.linksOf(12) {
		s.hangUp(l[0], l[1], 0)
	}
	s.run(time.Millisecond)
	s.restart(12)
	s.join(12, 0)
	s.run(20 * time.Second)
	settled(t, s)
	require.GreaterOrEqual(t, len(s.nodes[12].active), 3)
}

func TestLeave(t *testing.T) {
	s := network(t, 9, 40, Config{})
	s.input(s.nodes[5], func(n *State) { n.Leave(s.now) })
	require.Empty(t, s.nodes[5].up)
	require.True(t, s.nodes[5].NextTick().IsZero())
	s.run(time.Second)
	for _, n := range s.nodes {
		require.NotContains(t, n.ActiveView(), agentID(5))
	}
	settledWithout := s.components()
	require.Equal(t, []int{39, 1}, settledWithout)
	s.join(5, 0)
	s.run(30 * time.Second)
	settled(t, s)
}
