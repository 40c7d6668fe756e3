package gossip

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// mesh joins some routers that all subscribe t, each to each, without traffic.
func mesh(t *testing.T, n int, change ...func(*Config)) *sim {
	s := newSim(t)
	for i := range n {
		s.add(byte(i+1), change...)
		s.subscribe(i, "t", true)
		for j := range i {
			s.connect(i, j)
		}
	}
	s.settle()
	return s
}

func TestDuplicatePrunes(t *testing.T) {
	s := mesh(t, 3)
	s.publish(0, "t", 1, "one")
	s.settle()
	require.True(t, s.link(1, 2, "t").lazy)
	require.True(t, s.link(2, 1, "t").lazy, "at both ends")
	require.False(t, s.link(0, 1, "t").lazy)
	require.False(t, s.link(1, 0, "t").lazy)
	prunes := len(s.sentFrames(1, 2, framePrune)) + len(s.sentFrames(2, 1, framePrune))
	require.Contains(t, []int{1, 2}, prunes)
	require.EqualValues(t, prunes, s.routers[0].stats.Pruned+s.routers[1].stats.Pruned+s.routers[2].stats.Pruned)

	s.forget()
	s.publish(0, "t", 2, "two")
	s.settle()
	require.Len(t, s.sentFrames(0, 1, frameEnvelope), 1)
	require.Len(t, s.sentFrames(0, 2, frameEnvelope), 1)
	require.Empty(t, s.sentFrames(1, 2, frameEnvelope, frameRetained))
	require.Empty(t, s.sentFrames(2, 1, frameEnvelope, frameRetained))
	require.Equal(t, []string{"one", "two"}, s.texts(2))
}

func TestLossOfTheLastEagerLinkMakesAnother(t *testing.T) {
	s := mesh(t, 3)
	s.publish(0, "t", 1, "one")
	s.settle()
	require.True(t, s.link(1, 2, "t").lazy && s.link(2, 1, "t").lazy)
	s.routers[1].peerDown(s.routers[0].own, s.now) // one of them notices first
	s.settle()
	require.False(t, s.link(1, 2, "t").lazy || s.link(2, 1, "t").lazy, "at both ends, without waiting")
	s.routers[2].peerDown(s.routers[0].own, s.now)
	s.forget()
	s.publish(2, "t", 1, "two")
	s.settle()
	require.Equal(t, []string{"one", "two"}, s.texts(1))
	require.Empty(t, s.sentFrames(1, 2, frameGraft))
}

func TestOnePruneForManyDuplicates(t *testing.T) {
	s := mesh(t, 3)
	s.cut[[2]int{0, 2}] = true // 2 gets everything by way of 1 first
	s.cut[[2]int{2, 0}], s.cut[[2]int{2, 1}] = true, true
	for i, p := range numbered(10) {
		s.publish(0, "t", uint64(i)+1, p)
	}
	s.settle()
	delete(s.cut, [2]int{0, 2})
	s.settle()
	require.EqualValues(t, 10, s.routers[2].stats.Duplicates)
	require.EqualValues(t, 1, s.routers[2].stats.Pruned, "the others were on their way")
	// The neighbour goes on: it has lost the PRUNE somehow.
	_, frame := s.seal(0, "t", 1, "0")
	for range 3 {
		s.routers[2].handleFrame(s.routers[0].own, frame, s.now)
	}
	require.EqualValues(t, 1, s.routers[2].stats.Pruned)
	s.now = s.now.Add(settleTime + 1)
	s.routers[2].handleFrame(s.routers[0].own, frame, s.now)
	require.EqualValues(t, 2, s.routers[2].stats.Pruned, "it is told again")
}

func TestAnswersPruneNothing(t *testing.T) {
	s := mesh(t, 2)
	_, one := s.seal(0, "t", 1, "one")
	s.inject(0, 1, one)
	s.inject(0, 1, appendRetained(one, time.Second, true))
	require.EqualValues(t, 1, s.routers[1].stats.Duplicates)
	require.Zero(t, s.routers[1].stats.Pruned, "an answer that comes too late")

	_, overlap := s.seal(0, "t", 1, "one", "two")
	s.inject(0, 1, overlap)
	require.Zero(t, s.routers[1].stats.Pruned, "a bundle that brings anything new")
	s.inject(0, 1, appendRetained(one, time.Second, false))
	require.EqualValues(t, 1, s.routers[1].stats.Pruned, "a push that was slow is a push")
}

func TestPushOverALazyLink(t *testing.T) {
	s := mesh(t, 2)
	s.lazy(1, 0, "t")
	_, one := s.seal(0, "t", 1, "one")
	s.inject(0, 1, one)
	require.True(t, s.link(1, 0, "t").lazy, "it was on its way when PRUNE went out")
	s.now = s.now.Add(settleTime + 1)
	_, two := s.seal(0, "t", 2, "two")
	s.inject(0, 1, two)
	require.False(t, s.link(1, 0, "t").lazy, "the other end holds the link to be eager")
}

// With several publishers at once the cuts of loops are spread over time.
func TestLoopsAreCutInTurn(t *testing.T) {
	s := mesh(t, 3)
	r := s.routers[0]
	topic := r.topic(r.topicID("t"))
	p := r.peers[s.routers[1].own]
	l := r.link(p, topic)
	at := s.now
	require.True(t, r.superfluous(topic, l, at), "the first loops go at once")
	at = at.Add(10 * time.Second)
	require.True(t, r.superfluous(topic, l, at), "one publisher at a time")
	topic.mixed = at
	require.False(t, r.superfluous(topic, l, at))
	due := l.doubted
	require.False(t, due.Before(at) || due.After(at.Add(pruneSpread)))
	topic.mixed = due
	require.True(t, r.superfluous(topic, l, due))
	topic.mixed = due.Add(mixedFor + 1)
	require.False(t, r.superfluous(topic, l, due.Add(mixedFor+1)), "an old doubt is none")
}

func TestOptimisation(t *testing.T) {
	setup := func(by int) (s *sim, parent, short int) {
		s = newSim(t)
		me := s.add(1, func(c *Config) { c.OptimiseBy = by })
		parent, short = s.add(2), s.add(3)
		s.subscribe(me, "t", true)
		s.subscribe(parent, "t", true)
		s.subscribe(short, "t", true)
		s.connect(me, parent)
		s.connect(me, short)
		s.settle()
		s.lazy(me, short, "t")
		s.cut[[2]int{parent, me}], s.cut[[2]int{short, me}] = true, true // frames are made by hand
		r := s.routers[me]
		r.topic(r.topicID("t")).looped = s.now.Add(-time.Minute)
		s.forget()
		return s, parent, short
	}
	push := func(s *sim, from int, first uint64, hops uint8) {
		_, f := s.seal(from, "t", first, "x")
		f[1] = hops
		s.inject(from, 0, f)
	}
	announce := func(s *sim, from, sender int, first uint64, hops uint8) {
		r := s.routers[sender]
		s.inject(from, 0, iHaveFrames([]mark{{topic: r.topicID("t"), sender: r.own, epoch: r.cfg.Epoch, from: first, to: first, hops: hops}})[0])
	}
	swapped := func(s *sim, parent, short int) bool {
		s.routers[0].tick(s.now)
		s.settle()
		done := !s.link(0, short, "t").lazy && s.link(0, parent, "t").lazy
		require.Equal(t, done, len(s.sentFrames(0, short, frameGraft)) == 1 && len(s.sentFrames(0, parent, framePrune)) == 1)
		require.EqualValues(t, done, s.routers[0].stats.OptimisedLinks == 1)
		return done
	}
	t.Run("announced after the push", func(t *testing.T) {
		s, parent, short := setup(0)
		push(s, parent, 1, 8)
		announce(s, short, parent, 1, 4)
		require.True(t, swapped(s, parent, short))
	})
	t.Run("announced before the push", func(t *testing.T) {
		s, parent, short := setup(0)
		announce(s, short, parent, 1, 4)
		push(s, parent, 1, 8)
		require.True(t, swapped(s, parent, short))
	})
	t.Run("not enough", func(t *testing.T) {
		s, parent, short := setup(0)
		push(s, parent, 1, 8)
		announce(s, short, parent, 1, 5)
		require.False(t, swapped(s, parent, short))
	})
	t.Run("off", func(t *testing.T) {
		s, parent, short := setup(-1)
		push(s, parent, 1, 60)
		announce(s, short, parent, 1, 1)
		require.False(t, swapped(s, parent, short))
	})
	t.Run("rarer each time, until the neighbours change", func(t *testing.T) {
		s, parent, short := setup(0)
		topic := s.routers[0].topic(s.routers[0].topicID("t"))
		swaps := func(d time.Duration) int {
			before := s.routers[0].stats.OptimisedLinks
			for end := s.now.Add(d); s.now.Before(end); s.now = s.now.Add(100 * time.Millisecond) {
				r := s.routers[0]
				a, b := r.peers[s.routers[parent].own], r.peers[s.routers[short].own]
				r.link(a, topic).set(false, s.now)
				r.link(b, topic).set(true, s.now)
				r.shorten(topic, a, 10, b, 1, s.now)
			}
			return int(s.routers[0].stats.OptimisedLinks - before)
		}
		first := swaps(time.Minute)
		require.Greater(t, first, 2)
		require.Less(t, first, 7)
		require.LessOrEqual(t, swaps(time.Minute), 1)
		s.disconnect(0, short)
		s.connect(0, short)
		s.routers[0].handleFrame(s.routers[short].own, readyFrame(true), s.now)
		require.Greater(t, swaps(time.Minute), 2)
	})
}

func TestHopsAreCounted(t *testing.T) {
	s := newSim(t)
	for i := range 5 {
		s.add(byte(i + 1))
		if i > 0 {
			s.connect(i-1, i)
		}
	}
	s.subscribe(4, "t", true)
	s.settle()
	s.publish(0, "t", 1, "x")
	s.settle()
	for i, r := range s.routers {
		topic := r.topics[r.topicID("t")]
		require.EqualValues(t, i, topic.retained[0].hops)
	}
	a := arrival{hops: maxHops, pushed: true}
	require.EqualValues(t, maxHops, a.next())
	a.pushed = false
	require.EqualValues(t, maxHops|isDelayed, a.next())
}

func TestLatenessFades(t *testing.T) {
	var l lateness
	now := time.UnixMilli(1_800_000_000_000)
	require.Zero(t, l.now(now))
	l.note(200*time.Millisecond, now)
	l.note(100*time.Millisecond, now)
	require.Equal(t, 200*time.Millisecond, l.now(now))
	require.Equal(t, 100*time.Millisecond, l.now(now.Add(lateFor/2)))
	require.Zero(t, l.now(now.Add(lateFor)))
	l.note(time.Hour, now)
	require.Equal(t, maxLate, l.now(now))
}

func TestBudget(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var b budget
		now := time.UnixMilli(1_800_000_000_000)
		taken, start := int64(0), now
		const most = 50
		for range rapid.IntRange(1, 200).Draw(rt, "takes") {
			now = now.Add(time.Duration(rapid.IntRange(-10, 200).Draw(rt, "ms")) * time.Millisecond)
			n := int64(rapid.IntRange(1, most).Draw(rt, "n"))
			if b.take(n, 100, 1000, now) {
				taken += n
			}
		}
		if elapsed := max(now.Sub(start).Seconds(), 0) + 200*0.01; float64(taken) > 1000+100*elapsed+most {
			rt.Fatalf("%d in %v", taken, now.Sub(start))
		}
	})
}
