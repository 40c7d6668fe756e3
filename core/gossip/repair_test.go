package gossip

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGapsAreFilled(t *testing.T) {
	s, pub, sub := pair(t)
	for i, p := range numbered(10) {
		s.cut[[2]int{pub, sub}] = i > 2 && i != 9
		s.publish(pub, "t", uint64(i)+1, p)
		s.settle()
		if i > 2 && i < 8 { // lost with a connection that nobody noticed
			s.routers[pub].peers[s.routers[sub].own].lanes[classNormal].cursor = nil
		}
	}
	s.cut = map[[2]int]bool{}
	s.settle()
	require.Equal(t, []string{"0", "1", "2", "8", "9"}, s.texts(sub))
	s.forget()
	s.wait(499 * time.Millisecond)
	require.Empty(t, s.sentFrames(sub, pub, frameIWant), "it may be reordering")
	s.wait(2 * time.Millisecond)
	require.Len(t, s.sentFrames(sub, pub, frameIWant), 1)
	require.Len(t, s.texts(sub), 10)
	require.EqualValues(t, 5, s.routers[sub].stats.Repaired)
	require.False(t, s.link(sub, pub, "t").lazy || s.link(pub, sub, "t").lazy, "links stay as they are")
	s.wait(5 * time.Second)
	require.Len(t, s.sentFrames(sub, pub, frameIWant), 1, "and it ends")
	require.Zero(t, s.routers[sub].stats.GapsGivenUp)
}

func TestReorderingIsNoGap(t *testing.T) {
	s, pub, sub := pair(t)
	for _, first := range []uint64{3, 2, 5, 4, 1} {
		_, f := s.seal(pub, "t", first, "x")
		s.inject(pub, sub, f)
	}
	s.wait(5 * time.Second)
	require.Zero(t, s.routers[sub].stats.IWantSent)
}

func TestGapsThatNobodyFillsEnd(t *testing.T) {
	s := mesh(t, 3, func(c *Config) { c.DigestPeriod = -1 })
	_, f := s.seal(0, "t", 1000, "x")
	s.inject(0, 1, f)
	s.wait(time.Minute)
	r := s.routers[1]
	require.EqualValues(t, 1, r.stats.GapsGivenUp)
	require.EqualValues(t, 3, r.stats.IWantSent)
	require.NotEmpty(t, s.sentFrames(1, 0, frameIWant))
	require.NotEmpty(t, s.sentFrames(1, 2, frameIWant), "all were asked")
	_, f = s.seal(0, "t", 1001, "y")
	s.inject(0, 1, f)
	s.wait(time.Minute)
	require.EqualValues(t, 3, r.stats.IWantSent, "an old gap is not asked for again")
	_, f = s.seal(0, "t", 500, "late")
	s.inject(0, 1, f)
	require.Contains(t, s.texts(1), "late", "but what comes all the same is taken")
}

func TestRangesAnswerFromRetention(t *testing.T) {
	s, pub, sub := pair(t)
	for i, p := range numbered(20) {
		s.publish(pub, "t", uint64(i)+1, p)
	}
	s.settle()
	s.forget()
	r := s.routers[pub]
	m := mark{topic: r.topicID("t"), sender: r.own, epoch: r.cfg.Epoch, from: 5, to: 7}
	s.inject(sub, pub, iWantFrames([]mark{m})[0])
	require.Len(t, s.sentFrames(pub, sub, frameRetained), 3)
	require.EqualValues(t, 3, r.stats.Answered)
	m.topic[0] ^= 1
	s.inject(sub, pub, iWantFrames([]mark{m})[0])
	require.EqualValues(t, 3, r.stats.Answered)
}

func TestAnswersAreBounded(t *testing.T) {
	s := newSim(t)
	a := s.add(1, func(c *Config) { c.RepairRate = 100_000; c.MaxLogBytes = 1_000_000 })
	b, c := s.add(2), s.add(3)
	s.connect(a, b)
	s.connect(a, c)
	s.settle()
	for i := range uint64(100) {
		s.publish(a, "t", i+1, "x")
	}
	s.settle()
	r := s.routers[a]
	ask := iWantFrames([]mark{{topic: r.topicID("t"), sender: r.own, epoch: r.cfg.Epoch, from: 1, to: 100}})[0]
	before := r.stats.Answered
	s.routers[a].handleFrame(s.routers[b].own, ask, s.now)
	s.routers[a].handleFrame(s.routers[b].own, ask, s.now)
	p := r.peers[s.routers[b].own]
	require.LessOrEqual(t, p.queuedBytes, int64(250_000), "what waits for one neighbour")
	require.Less(t, r.stats.Answered-before, uint64(80))
	for range 100 {
		s.settle()
		s.routers[a].handleFrame(s.routers[b].own, ask, s.now)
	}
	s.settle()
	bytes := 0
	for _, f := range s.sentFrames(a, b, frameRetained) {
		bytes += len(f.frame)
	}
	require.LessOrEqual(t, bytes, 1_010_000, "the burst")
	require.NotZero(t, r.stats.AnswersRefused)
	require.Zero(t, p.queuedBytes)
	require.Empty(t, p.queued)
	sent := r.stats.Answered
	s.now = s.now.Add(time.Second)
	s.routers[a].handleFrame(s.routers[b].own, ask, s.now)
	s.settle()
	require.InDelta(t, 25, r.stats.Answered-sent, 2, "and then the rate")
	sent = r.stats.Answered
	s.routers[a].handleFrame(s.routers[c].own, ask, s.now)
	require.Greater(t, r.stats.Answered-sent, uint64(50), "others are served")
}

func TestDigestsGoBothWays(t *testing.T) {
	s, a, b := pair(t)
	s.subscribe(a, "t", true)
	s.settle()
	lose := func(from, to int) { s.routers[from].peers[s.routers[to].own].lanes[classNormal].cursor = nil }
	s.cut[[2]int{a, b}], s.cut[[2]int{b, a}] = true, true
	s.publish(a, "t", 1, "a1")
	s.publish(b, "t", 1, "b1")
	lose(a, b)
	lose(b, a)
	s.cut = map[[2]int]bool{}
	s.settle()
	require.Equal(t, []string{"a1"}, s.texts(a))
	r := s.routers[a]
	s.forget()
	for _, f := range digestFrames(retainedMarks(r.topics[r.topicID("t")].retained), digestWhole) {
		s.inject(a, b, f)
	}
	require.Equal(t, []string{"b1", "a1"}, s.texts(b))
	require.Equal(t, []string{"a1", "b1"}, s.texts(a), "and the answer tells the other what it lacks")
	require.Len(t, s.sentFrames(b, a, frameDigest), 1)
	require.Empty(t, s.sentFrames(a, b, frameDigest), "which is not answered")
}

func TestDigestsComeWhileSomethingIsRetained(t *testing.T) {
	s := mesh(t, 3, func(c *Config) { c.Retention.Age = time.Minute })
	s.wait(time.Minute)
	for _, r := range s.routers {
		require.Zero(t, r.stats.DigestsSent)
	}
	s.publish(0, "t", 1, "x")
	s.wait(90 * time.Second)
	for _, r := range s.routers {
		require.InDelta(t, 6, r.stats.DigestsSent, 4)
		require.Zero(t, r.stats.IWantSent)
		s.wait(0)
	}
	sent := s.routers[0].stats.DigestsSent
	s.wait(time.Minute)
	require.Equal(t, sent, s.routers[0].stats.DigestsSent)
	require.True(t, s.routers[0].log.empty())
}

func TestHoles(t *testing.T) {
	var e epochSeen
	add := func(from, to uint64) { e.seen.add(from, to); e.gaps.top = max(e.gaps.top, to) }
	holes := func() []span { list, _ := e.holes(10); return list }
	require.Empty(t, holes())
	add(1, 5)
	require.Empty(t, holes())
	add(8, 9)
	add(20, 20)
	require.Equal(t, []span{{6, 7}, {10, 19}}, holes())
	e.gaps.top = 25
	require.Equal(t, []span{{6, 7}, {10, 19}, {21, 25}}, holes())
	e.gaps.floor = 12
	list, count := e.holes(10)
	require.Equal(t, []span{{13, 19}, {21, 25}}, list)
	require.EqualValues(t, 12, count)
	list, _ = e.holes(1)
	require.Len(t, list, 1)
}
