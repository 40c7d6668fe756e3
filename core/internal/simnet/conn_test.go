package simnet

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDialsThatCrossGiveOneConnection(t *testing.T) {
	for _, apart := range []time.Duration{0, 5 * ms, 19 * ms, 20 * ms, 50 * ms} {
		n := New(Config{Latency: Constant(5 * ms)})
		h := add(n, 2)
		n.Dial(1, 0)
		n.run(apart)
		n.Dial(0, 1)
		n.Dial(0, 1)
		n.run(time.Minute)
		require.Equal(t, []string{"up 1"}, h[0].log)
		require.Equal(t, []string{"up 0"}, h[1].log)
		require.Equal(t, 20*ms, h[0].at[0], "by the first")
		require.EqualValues(t, 1, n.Stats().Connections)
		require.True(t, n.Connected(0, 1) && n.Connected(1, 0))
	}
}

func TestADialFailsAfterItsTimeout(t *testing.T) {
	n := New(Config{DialTimeout: 3 * time.Second, CanDial: func(from, to int) bool { return from != 0 }})
	h := add(n, 3)
	n.Kill(2)
	n.Dial(0, 1) // 1 is behind a NAT
	n.Dial(1, 2) // 2 is dead
	n.Dial(1, 9) // 9 never was
	n.run(time.Minute)
	require.Equal(t, []string{"failed 1"}, h[0].log)
	require.Equal(t, []string{"failed 2", "failed 9"}, h[1].log)
	for _, h := range h[:2] {
		require.Equal(t, 3*time.Second, h.at[0])
	}
	require.EqualValues(t, 3, n.Stats().DialsFailed)
	require.Empty(t, n.procs[1].peers)

	n.Dial(1, 0) // the other way round it goes
	n.run(time.Second)
	require.Equal(t, "up 1", h[0].log[1])

	far := New(Config{Latency: Constant(10 * time.Second), DialTimeout: time.Second})
	f := add(far, 2)
	far.Dial(0, 1)
	far.run(time.Hour)
	require.Equal(t, time.Second, f[0].when("failed 1"))
	require.Empty(t, f[1].log)
}

func TestADialLastsUntilThePeerIsThere(t *testing.T) {
	n := New(Config{})
	a := add(n, 1)[0]
	n.Dial(0, 1)
	n.run(2 * time.Second)
	b := &host{net: n, id: 1}
	n.Add(1, b)
	n.run(6 * time.Second)
	require.Equal(t, []string{"up 1"}, a.log)
	require.Equal(t, []string{"up 0"}, b.log)
}

func TestLossDelaysDials(t *testing.T) {
	n := New(Config{Seed: 1, Loss: 0.5})
	h := add(n, 100)
	for id := 1; id < 100; id++ {
		n.Dial(0, id)
	}
	n.run(8 * time.Second)
	late := 0
	for _, at := range h[0].at {
		if at > 40*ms {
			late++
		}
	}
	require.Greater(t, late, 60)
	require.Len(t, h[0].log, 99)
}

func TestCloseIsHeardAtOnceHereAndALatencyLaterThere(t *testing.T) {
	n, a, b := pair(Config{Latency: Constant(10 * ms)})
	n.Send(1, 0, Bulk, []byte("on its way"))
	n.run(ms)
	n.Send(0, 1, Bulk, []byte("bye"))
	n.Close(0, 1)
	n.Close(0, 1)
	require.False(t, n.Connected(0, 1))
	require.True(t, n.Connected(1, 0))
	require.False(t, n.Send(0, 1, Bulk, nil))
	require.Empty(t, a.log, "nothing is called from within")
	n.run(5 * ms)
	require.True(t, n.Send(1, 0, Bulk, []byte("too late")))
	n.run(time.Second)
	require.Equal(t, []string{"down 1"}, a.log)
	require.Equal(t, 1001*ms, a.at[0])
	require.Equal(t, []string{"0:bye", "down 0"}, b.log)
	require.Equal(t, []time.Duration{1011 * ms, 1011 * ms}, b.at)
	require.EqualValues(t, 2, n.Stats().Lost[Bulk])
	require.Empty(t, n.procs[0].peers)

	n.Dial(0, 1)
	n.Close(0, 1) // takes back the dial
	n.run(time.Minute)
	require.Len(t, a.log, 1)

	n.Dial(0, 1)
	n.run(10 * ms)
	n.Close(0, 1)
	n.Dial(0, 1) // anew, from now
	from := n.Now()
	a.onUp = func(int) { require.Equal(t, from.Add(40*ms), n.Now()) }
	n.run(time.Minute)
	require.Equal(t, []string{"down 1", "up 1"}, a.log)
}

func TestClosingAndDialingAgainGivesANewConnection(t *testing.T) {
	n, a, b := pair(Config{Latency: Uniform(ms, 50*ms)})
	a.onDown = func(int) { n.Dial(0, 1) }
	for range 50 {
		n.Close(0, 1)
		n.run(time.Second)
	}
	for _, h := range []*host{a, b} {
		require.Len(t, h.log, 100)
		for i, e := range h.log {
			require.Equal(t, []string{"down", "up"}[i%2], e[:len(e)-2])
		}
	}
}

func TestWhatHasNotLeftIsLostAtClose(t *testing.T) {
	n, _, b := pair(Config{Latency: Constant(ms), Bandwidth: 100_000, MTU: 1000, Overhead: -1})
	for range 5 {
		n.Send(0, 1, Bulk, make([]byte, 1000))
	}
	n.run(25 * ms)
	n.Close(0, 1) // the third is on the line
	n.run(time.Second)
	require.Len(t, b.log, 4)
	require.Equal(t, "down 0", b.log[3])
	require.EqualValues(t, 2, n.Stats().Lost[Bulk])
}

func TestAKilledProcessSaysNothing(t *testing.T) {
	n := New(Config{Latency: Constant(10 * ms), DownAfter: 700 * ms, Queue: 10})
	h := add(n, 3)
	n.Dial(0, 1)
	n.Dial(2, 1)
	n.run(time.Second)
	n.Send(1, 0, Bulk, []byte("in flight"))
	n.Send(0, 1, Bulk, []byte("in flight"))
	n.run(5 * ms)
	n.Kill(1)
	n.Kill(1)
	require.False(t, n.Alive(1))
	require.True(t, n.Connected(0, 1), "it cannot know")
	require.False(t, n.Connected(1, 0))
	require.False(t, n.Send(1, 0, Bulk, nil))
	require.True(t, n.Send(0, 1, Control, []byte("vain")))
	require.False(t, n.Send(0, 1, Bulk, []byte("full")), "nothing arrives any more")
	n.run(time.Minute)
	for _, id := range []int{0, 2} {
		require.Equal(t, []string{"up 1", "down 1"}, h[id].log)
		require.Equal(t, 1705*ms, h[id].at[1])
	}
	require.Equal(t, []string{"up 0", "up 2"}, h[1].log)
	s := n.Stats()
	require.Equal(t, [Classes]uint64{1, 2}, s.Lost)
	require.Zero(t, s.Live)
}

func TestAProcessStartsAgainUnderItsID(t *testing.T) {
	n, a, b := pair(Config{Latency: Constant(10 * ms)})
	b.next = n.Now().Add(300 * ms)
	n.Wake(1)
	n.Send(0, 1, Bulk, []byte("to the first"))
	n.Kill(1)
	second := &host{net: n, id: 1}
	n.Add(1, second)
	n.run(100 * ms)
	require.True(t, n.Connected(0, 1), "with the first")
	require.False(t, n.Connected(1, 0))
	n.Dial(1, 0)
	n.run(40 * ms)
	n.Send(0, 1, Bulk, []byte("to the second"))
	n.Send(1, 0, Bulk, []byte("from the second"))
	n.run(time.Minute)
	require.Equal(t, []string{"down 1", "up 1", "1:from the second"}, a.log)
	require.Equal(t, a.at[0], a.at[1])
	require.Equal(t, []string{"up 0", "0:to the second"}, second.log, "and no tick of the first")
	require.Empty(t, b.log)
}

func TestAShortPartitionHoldsPacketsBack(t *testing.T) {
	n, a, b := pair(Config{Latency: Constant(10 * ms), RTO: 25 * ms})
	n.Send(0, 1, Bulk, []byte("in flight"))
	n.run(5 * ms)
	n.Partition(func(id int) int { return id })
	n.Send(0, 1, Bulk, []byte("held"))
	n.Send(0, 1, Control, []byte("control"))
	n.run(900 * ms)
	require.Empty(t, b.log)
	n.Heal()
	n.Send(0, 1, Bulk, []byte("after"))
	n.run(time.Minute)
	require.Empty(t, a.log)
	require.Equal(t, []string{"0:control", "0:in flight", "0:held", "0:after"}, b.log)
	require.Equal(t, 1915*ms, b.at[0])
	require.Equal(t, (1905+20+25+10)*ms, b.at[1], "after a probe")
	require.Equal(t, b.at[1], b.at[3])
	require.True(t, n.Connected(0, 1))
}

func TestWhatLeavesAfterAPartitionWaitsForWhatItHeld(t *testing.T) {
	n, _, b := pair(Config{Latency: Constant(10 * ms), RTO: 25 * ms})
	n.Send(0, 1, Bulk, []byte("in flight"))
	n.run(5 * ms)
	n.Partition(func(id int) int { return id })
	n.run(50 * ms)
	n.Heal()
	n.run(20 * ms)
	n.Send(0, 1, Bulk, []byte("behind"))
	n.Send(0, 1, Control, []byte("control"))
	n.run(time.Second)
	require.Equal(t, []string{"0:control", "0:in flight", "0:behind"}, b.log)
	require.Equal(t, []time.Duration{1085 * ms, 1110 * ms, 1110 * ms}, b.at)
}

func TestAFrameThatAPartitionCutsInTwoIsWholeWhenItsFirstPartIs(t *testing.T) {
	n, _, b := pair(Config{Latency: Constant(10 * ms), RTO: 25 * ms, Bandwidth: 100_000, MTU: 1000, Overhead: -1})
	n.Send(0, 1, Bulk, make([]byte, 2000))
	n.run(5 * ms) // the first packet arrives at 20 ms, the second leaves at 10 ms
	n.Partition(func(id int) int { return id })
	n.run(50 * ms)
	n.Heal()
	n.run(time.Second)
	require.Equal(t, []time.Duration{1055*ms + 45*ms + 10*ms}, b.at)
}

func TestALongPartitionEndsConnectionsAcrossIt(t *testing.T) {
	n := New(Config{Latency: Constant(10 * ms), DownAfter: time.Second, DialTimeout: 2 * time.Second})
	h := add(n, 4)
	for _, d := range [][2]int{{0, 1}, {1, 2}, {2, 3}} {
		n.Dial(d[0], d[1])
	}
	n.run(time.Second)
	n.Partition(func(id int) int { return id / 2 })
	n.run(500 * ms)
	n.Partition(func(id int) int { return id / 2 }) // the same again: it goes on
	n.Send(1, 2, Bulk, []byte("lost"))
	n.Dial(0, 3)
	n.run(5 * time.Second)
	require.Equal(t, []string{"up 1", "failed 3"}, h[0].log)
	require.Equal(t, 3500*ms, h[0].at[1])
	require.Equal(t, []string{"up 0", "up 2", "down 2"}, h[1].log)
	require.Equal(t, []string{"up 1", "up 3", "down 1"}, h[2].log)
	require.Equal(t, 2*time.Second, h[1].when("down 2"))
	require.Equal(t, 2*time.Second, h[2].when("down 1"))

	n.Add(4, &host{net: n, id: 4}) // of group 2
	n.Dial(4, 3)
	n.run(time.Second)
	require.False(t, n.Connected(4, 3))
	n.Heal()
	n.Dial(1, 2)
	n.run(2 * time.Second)
	require.True(t, n.Connected(4, 3))
	require.Equal(t, "up 2", h[1].log[3])
}

func TestAPartitionCountsFromItsOwnBeginning(t *testing.T) {
	n, a, _ := pair(Config{DownAfter: time.Second})
	apart := func(id int) int { return id }
	n.Partition(apart)
	n.run(600 * ms)
	n.Heal()
	n.run(ms)
	n.Partition(apart)
	n.run(900 * ms)
	require.Empty(t, a.log)
	n.run(100 * ms)
	require.Equal(t, []string{"down 1"}, a.log)
}

// Nodes may ask for anything while they are called.
func TestCallsFromWithinCalls(t *testing.T) {
	t.Run("close in up", func(t *testing.T) {
		n := New(Config{})
		h := add(n, 2)
		h[0].onUp = func(int) { n.Close(0, 1) }
		n.Dial(0, 1)
		n.run(time.Minute)
		require.Equal(t, []string{"up 1", "down 1"}, h[0].log)
		require.Equal(t, []string{"up 0", "down 0"}, h[1].log)
	})
	t.Run("kill oneself in up", func(t *testing.T) {
		n := New(Config{})
		h := add(n, 2)
		h[0].onUp = func(int) { n.Kill(0) }
		n.Dial(0, 1)
		n.run(time.Minute)
		require.Equal(t, []string{"up 1"}, h[0].log)
		require.Equal(t, []string{"up 0", "down 0"}, h[1].log)
	})
	t.Run("kill the peer in up", func(t *testing.T) {
		n := New(Config{})
		h := add(n, 2)
		h[0].onUp = func(int) { n.Kill(1) }
		n.Dial(0, 1)
		n.run(time.Minute)
		require.Equal(t, []string{"up 1", "down 1"}, h[0].log)
		require.Empty(t, h[1].log)
	})
	t.Run("kill and start again in receive", func(t *testing.T) {
		n, a, b := pair(Config{})
		second := &host{net: n, id: 1}
		b.onReceive = func(int, []byte) {
			n.Kill(1)
			n.Add(1, second)
			n.Dial(1, 0)
		}
		n.Send(0, 1, Bulk, []byte("1"))
		n.Send(0, 1, Bulk, []byte("2"))
		n.run(time.Minute)
		require.Equal(t, []string{"0:1"}, b.log)
		require.Equal(t, []string{"up 0"}, second.log)
		require.Equal(t, []string{"down 1", "up 1"}, a.log)
	})
	t.Run("kill oneself with the last frame", func(t *testing.T) {
		n, a, b := pair(Config{Latency: Constant(10 * ms)})
		b.onReceive = func(_ int, frame []byte) {
			if string(frame) == "2" {
				n.Kill(1)
			}
		}
		n.Send(0, 1, Bulk, []byte("1"))
		n.run(ms)
		n.Send(0, 1, Bulk, []byte("2"))
		n.Close(0, 1)
		n.run(time.Minute)
		require.Equal(t, []string{"0:1", "0:2"}, b.log)
		require.Equal(t, []string{"down 1"}, a.log)
	})
	t.Run("start again in tick", func(t *testing.T) {
		n := New(Config{})
		h := add(n, 1)[0]
		second := &host{net: n, next: n.Now().Add(2 * time.Second)}
		h.onTick = func() { n.Kill(0); n.Add(0, second) }
		h.next = n.Now().Add(time.Second)
		n.Wake(0)
		n.run(time.Minute)
		require.Equal(t, []time.Duration{time.Second}, h.at)
		require.Equal(t, []time.Duration{2 * time.Second}, second.at)
	})
	t.Run("close and dial in receive", func(t *testing.T) {
		n, a, b := pair(Config{})
		b.onReceive = func(int, []byte) { n.Close(1, 0); n.Dial(1, 0) }
		n.Send(0, 1, Bulk, []byte("1"))
		n.Send(0, 1, Bulk, []byte("2"))
		n.run(time.Minute)
		require.Equal(t, []string{"0:1", "down 0", "up 0"}, b.log)
		require.Equal(t, []string{"down 1", "up 1"}, a.log)
	})
	t.Run("dial in the down before up", func(t *testing.T) {
		n, a, _ := pair(Config{})
		a.onDown = func(int) { n.Dial(0, 1); n.Close(0, 1); n.Dial(0, 1) }
		n.Kill(1)
		second := &host{net: n, id: 1}
		n.Add(1, second)
		n.Dial(1, 0)
		n.run(time.Minute)
		require.Equal(t, []string{"down 1", "up 1"}, a.log)
		require.Equal(t, []string{"up 0"}, second.log)
	})
	t.Run("everything ends in down", func(t *testing.T) {
		n := New(Config{})
		h := add(n, 10)
		for id := 1; id < 10; id++ {
			n.Dial(0, id)
			h[id].onDown = func(int) { n.Kill(id); n.Kill((id + 1) % 10) }
		}
		n.run(time.Second)
		n.Kill(0)
		n.run(time.Minute)
		for id := range h {
			require.False(t, n.Alive(id))
		}
		require.Zero(t, n.Stats().Live)
	})
}

func TestLinksAndFramesAreUsedAgain(t *testing.T) {
	n := New(Config{})
	add(n, 10)
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		a, b := rnd.IntN(10), rnd.IntN(10)
		if a == b {
			continue
		}
		n.Dial(a, b)
		n.run(50 * ms)
		for range 5 {
			n.Send(a, b, Bulk, make([]byte, 10))
		}
		n.run(time.Duration(rnd.IntN(10)) * ms)
		n.Close(a, b)
		n.run(100 * ms)
	}
	require.Len(t, n.links, 1)
	require.Len(t, n.frames.all, 6)
	require.Empty(t, n.events)
}
