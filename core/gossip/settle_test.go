package gossip

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A topic in which several people write, a message every few seconds, has few
// loops as well: those that announcements have made are cut again.
func TestOverlayOfSlowTalkBecomesATree(t *testing.T) {
	nodes := many(64)
	for _, pause := range []time.Duration{time.Second, 3 * time.Second} {
		o := allSubscribed(t, 11, nodes)
		o.latency = farApart(o.latency)
		from := func(int) int { return o.rnd.IntN(nodes) }
		sent := o.flow(60, pause, from)
		copies := o.copies(func() { sent = append(sent, o.flow(30, pause, from)...) })
		t.Logf("one in %v: %.2f copies", pause, copies)
		require.LessOrEqual(t, copies, 1.3)
		o.run(5 * time.Second)
		o.requireAll("all of it", sent)
	}
}

// farApart makes latencies those of places far apart: up to 80 ms.
func farApart(near func(a, b int) time.Duration) func(a, b int) time.Duration {
	return func(a, b int) time.Duration { return 2 * near(a, b) }
}

// However late the tree has been, what it does not bring is asked for soon; the
// tree is changed only if it does not bring it later either.
func TestMissedMessageIsAskedForBeforeTheTreeIsChanged(t *testing.T) {
	for _, pushed := range []bool{true, false} {
		s := mesh(t, 3)
		s.lazy(0, 1, "t")
		s.lazy(0, 2, "t")
		s.link(0, 2, "t")
		r := s.routers[0]
		topic := r.topic(r.topicID("t"))
		for range 20 {
			topic.late.note(time.Second, s.now)
		}
		s.now = s.now.Add(2 * settleTime)
		s.forget()
		env, frame := s.seal(1, "t", 1, "x")
		s.routers[1].publish("t", env, frame, s.now)
		s.wait(40*time.Millisecond + maxUsual + 10*time.Millisecond)
		require.Equal(t, []string{"x"}, s.texts(0))
		require.Empty(t, s.sentFrames(0, 1, frameGraft))
		require.Empty(t, s.sentFrames(0, 2, frameGraft))
		if pushed { // by the parent, which was late
			s.inject(2, 0, frame)
			require.Zero(t, len(s.sentFrames(0, 2, framePrune)))
		}
		s.wait(3 * time.Second)
		grafts := len(s.sentFrames(0, 1, frameGraft)) + len(s.sentFrames(0, 2, frameGraft))
		if pushed {
			require.Zero(t, grafts)
			require.Less(t, topic.late.usual, time.Second)
		} else {
			require.Equal(t, 1, grafts)
		}
	}
}

// One message that is not pushed is late by a fraction of a second, also in a
// tree that has been late by more.
func TestOverlayMendsSingleMessagesSoon(t *testing.T) {
	o := allSubscribed(t, 12, many(48))
	o.latency = func(a, b int) time.Duration { return time.Millisecond }
	n := len(o.nodes)
	o.flow(200, 20*time.Millisecond, func(int) int { return o.rnd.IntN(n) })
	o.run(2 * time.Second)
	for _, n := range o.nodes { // a pause of all processes, some time ago
		n.topics[n.topicID("t")].late.note(time.Second, o.now)
	}
	for range 20 {
		victim := o.rnd.IntN(n) // its links to the tree are torn, and nobody noticed
		for _, id := range o.nodes[victim].order {
			m := o.nodes[o.index[id]]
			m.link(m.peers[o.nodes[victim].own], m.topics[m.topicID("t")]).set(true, o.now)
		}
		m := o.publish((victim+1)%n, "t")
		o.run(400 * time.Millisecond)
		o.requireAll("soon", []place{m})
		o.run(3 * time.Second)
	}
}

// Large envelopes are announced and missed later, so that one that is under way
// is not asked for.
func TestLargeEnvelopesAreAnnouncedAndMissedLater(t *testing.T) {
	s, a, b := ends(t)
	text := string(make([]byte, 60<<10))
	s.publish(a, "t", 1, text, "and another")
	s.publish(a, "t", 2, "small")
	start := s.now
	s.wait(time.Second)
	heard := s.sentFrames(a, b, frameIHave)
	require.Len(t, heard, 2, "what is small does not wait for what is large")
	require.Equal(t, 20*time.Millisecond, heard[0].at.Sub(start))
	require.InDelta(t, 20+60-4, heard[1].at.Sub(start).Milliseconds(), 2)

	require.Equal(t, maxSizeDelay, sizeDelay(1<<40))
	topic := s.routers[b].topic(s.routers[b].topicID("t"))
	m := &mark{from: 1, to: 2}
	require.Zero(t, (&topicState{}).likelySize(m))
	topic.bytes, topic.messages = 100<<10, 10
	require.EqualValues(t, 20<<10, topic.likelySize(m))
	require.Greater(t, topic.likelySize(m), int64(maxEarly))
	for range 20 {
		topic.late.note(time.Second, s.now)
	}
	waits := func(to uint64) (time.Duration, *missing) {
		at := place{s.routers[a].own, s.routers[a].cfg.Epoch, 100}
		s.routers[b].miss(s.routers[b].peers[s.routers[a].own], topic, at, &mark{from: 100, to: to}, s.now)
		w := s.routers[b].found(topic, at)
		return w.due.Sub(s.now), w
	}
	wait, w := waits(101)
	require.Equal(t, w.patience, wait, "a large one is asked for when the tree has failed")
	wait, w = waits(100)
	require.Equal(t, maxUsual, wait)
	require.Greater(t, w.patience, wait)
}
