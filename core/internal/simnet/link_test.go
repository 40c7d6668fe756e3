package simnet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFramesArriveInOrderAfterTheLatency(t *testing.T) {
	n := New(Config{Latency: Constant(5 * ms)})
	h := add(n, 2)
	n.Dial(0, 1)
	h[0].onUp = func(int) {
		require.True(t, n.Send(0, 1, Bulk, []byte("a")))
		require.True(t, n.Send(0, 1, Bulk, []byte("b")))
		require.True(t, n.Send(0, 1, Bulk, nil))
	}
	n.run(time.Second)
	require.Equal(t, []string{"up 1"}, h[0].log)
	require.Equal(t, []string{"up 0", "0:a", "0:b", "0:"}, h[1].log)
	require.Equal(t, []time.Duration{20 * ms, 25 * ms, 25 * ms, 25 * ms}, h[1].at)
	require.Equal(t, n.cfg.Start.Add(time.Second), n.Now())
}

func TestPathsDoNotReorder(t *testing.T) {
	n, _, b := pair(Config{Latency: Uniform(ms, 50*ms)})
	for i := range 200 {
		n.Send(0, 1, i%2, fmt.Append(nil, i))
		n.run(ms)
	}
	n.run(time.Second)
	last, varied := time.Duration(0), 0
	for i := range 200 {
		at := b.when(fmt.Sprintf("0:%d", i))
		require.GreaterOrEqual(t, at, last, "also between classes")
		if at == last {
			varied++ // it drew less than the one before, and waited for it
		}
		last = at
	}
	require.Greater(t, varied, 50)
}

func TestControlOvertakesBulkBetweenTwoPackets(t *testing.T) {
	// A full packet takes 10 ms on the line.
	n, _, b := pair(Config{Latency: Constant(ms), MTU: 900, Overhead: 100, Bandwidth: 100_000})
	big := make([]byte, 9000)
	n.Send(0, 1, Bulk, big)
	n.Send(0, 1, Bulk, []byte("behind"))
	n.run(25 * ms) // the third packet is on the line until 30 ms
	n.Send(0, 1, Control, []byte("urgent"))
	n.Send(0, 1, Control, []byte("next"))
	n.run(time.Second)
	require.Equal(t, []string{"0:urgent", "0:next", "0:" + string(big[:8]) + "…9000", "0:behind"}, b.log)
	require.Equal(t, 1041*ms, b.when("0:urgent"), "in the fourth packet, together with bulk")
	require.Equal(t, 1041*ms, b.when("0:next"))
	// Ten bytes of control push the last ten of the big frame into a packet of its own.
	require.Equal(t, 1000*ms+100*ms+1160*time.Microsecond+ms, b.at[2])
	require.Equal(t, b.at[2], b.at[3])
}

func TestLossDelaysButLosesNothing(t *testing.T) {
	n, a, b := pair(Config{Seed: 3, Loss: 0.3, Latency: Constant(10 * ms)})
	const k = 1000
	var want [Classes][]string
	for i := range k {
		class := i % 2
		text := fmt.Sprintf("%d.%d", class, i)
		want[class] = append(want[class], "0:"+text)
		require.True(t, n.Send(0, 1, class, []byte(text)))
		n.run(ms)
	}
	n.run(time.Minute)
	var got [Classes][]string
	late := 0
	for i, e := range b.log {
		class := int(e[2] - '0')
		var sent int
		_, err := fmt.Sscanf(e[4:], "%d", &sent)
		require.NoError(t, err)
		got[class] = append(got[class], e)
		if took := b.at[i] - time.Second - time.Duration(sent)*ms; took > 10*ms {
			late++
			require.Greater(t, took, 10*ms)
		} else {
			require.Equal(t, 10*ms, took)
		}
	}
	require.Equal(t, want, got)
	require.Empty(t, a.log)
	require.Greater(t, late, k/4)

	s := n.Stats().Total
	require.EqualValues(t, k, s.Packets)
	require.InDelta(t, k*0.3/0.7, s.Retransmitted, k*0.1, "0.3 + 0.09 + …")
}

func TestALostPacketWaitsForProbesThatDouble(t *testing.T) {
	n := New(Config{RTO: 20 * ms, RTOMax: 100 * ms})
	rtt := int64(10 * ms)
	for lost, want := range []time.Duration{0, 30 * ms, 90 * ms, 190 * ms, 290 * ms} {
		require.EqualValues(t, want, n.resend(rtt, lost))
	}
	require.EqualValues(t, 520*ms, n.resend(int64(500*ms), 1), "RTOMax is no less than the first")
}

func TestLossOfOneClassDoesNotDelayTheOther(t *testing.T) {
	n, _, b := pair(Config{Latency: Constant(10 * ms)})
	n.SetLoss(0.99999)
	n.Send(0, 1, Bulk, []byte("lost"))
	n.run(0)
	n.SetLoss(0)
	n.Send(0, 1, Control, []byte("control"))
	n.Send(0, 1, Bulk, []byte("behind"))
	n.run(5 * time.Minute)
	require.Equal(t, []string{"0:control", "0:lost", "0:behind"}, b.log)
	require.Equal(t, 1010*ms, b.at[0])
	require.Equal(t, b.at[1], b.at[2])
}

func TestAFullQueueRefusesAndSaysWhenItHasRoom(t *testing.T) {
	n, a, b := pair(Config{Latency: Constant(10 * ms), Queue: 1000, Bandwidth: 10_000, MTU: 100, Overhead: -1})
	frame := make([]byte, 100)
	for range 10 {
		require.True(t, n.Send(0, 1, Bulk, frame))
	}
	require.False(t, n.Send(0, 1, Bulk, frame))
	require.True(t, n.Send(0, 1, Control, frame), "each class has its own")
	require.EqualValues(t, 1, n.Stats().Refused[Bulk])
	n.run(time.Second)
	// Control and five of bulk: 60 ms on the line, the latency, and half a round trip back.
	require.Equal(t, []string{"ready 1"}, a.log)
	require.Equal(t, 1080*ms, a.when("ready 1"))
	require.Len(t, b.log, 11)

	a.log, a.at = nil, nil
	require.True(t, n.Send(0, 1, Bulk, make([]byte, 5000)), "alone, a frame may be larger than the queue")
	require.False(t, n.Send(0, 1, Bulk, nil))
	a.onReady = func(int) { require.True(t, n.Send(0, 1, Bulk, []byte("after"))) }
	n.run(time.Second)
	require.Equal(t, "0:after", b.log[len(b.log)-1])
	require.Equal(t, []string{"ready 1"}, a.log)
}

func TestBandwidthIsPerDirectionOfEachLink(t *testing.T) {
	n := New(Config{Latency: Constant(ms), Bandwidth: 100_000, MTU: 1000, Overhead: -1})
	h := add(n, 3)
	n.Dial(0, 1)
	n.Dial(0, 2)
	n.run(time.Second)
	for range 3 {
		for _, l := range [][2]int{{0, 1}, {1, 0}, {0, 2}} {
			n.Send(l[0], l[1], Bulk, make([]byte, 1000))
		}
	}
	n.run(31*ms - 1)
	require.Len(t, h[0].log, 2+2)
	require.Len(t, h[1].log, 1+2)
	n.run(1)
	for _, h := range h {
		require.Equal(t, 1031*ms, h.at[len(h.at)-1])
	}
}

func TestCountsOfBytesOnTheInterface(t *testing.T) {
	n, _, _ := pair(Config{Latency: Constant(10 * ms), MTU: 1000, Overhead: 50, AckBytes: 60})
	send := func(class, size int) { require.True(t, n.Send(0, 1, class, make([]byte, size))) }
	require.Zero(t, n.Stats().Total.Packets)
	require.EqualValues(t, 1, n.Stats().Connections)
	require.Equal(t, 1, n.Stats().Live)

	send(Bulk, 700)
	send(Control, 100)
	send(Bulk, 300) // two packets of 1,000 and 100 for the three
	n.run(time.Second)
	s := n.Stats()
	require.Equal(t, Counters{Frames: 3, Bytes: 1100, Packets: 2, Acks: 1, Wire: 1100 + 2*50 + 60}, s.Total)
	require.Equal(t, Counters{Frames: 1, Bytes: 1000, Packets: 1, Wire: 1050}, s.Class[Control], "a packet counts for its first")
	require.Equal(t, Counters{Frames: 2, Bytes: 100, Packets: 1, Wire: 150}, s.Class[Bulk])
	require.Equal(t, [Classes]uint64{1, 2}, s.Delivered)

	// One packet is acknowledged after the delay, or along with an answer.
	send(Bulk, 10)
	n.run(34 * ms)
	require.EqualValues(t, 1, n.Stats().Total.Acks)
	n.run(2 * ms)
	require.EqualValues(t, 2, n.Stats().Total.Acks)
	send(Bulk, 10)
	n.run(15 * ms)
	n.Send(1, 0, Bulk, nil)
	n.run(time.Second)
	require.EqualValues(t, 3, n.Stats().Total.Acks, "that of the answer alone")

	require.Equal(t, Counters{Frames: 5, Bytes: 1120, Packets: 4, Acks: 1, Wire: 1120 + 4*50 + 60}, n.NodeStats(0))
	require.Equal(t, n.NodeStats(0), n.LinkStats(0, 1))

	// Packets that cross acknowledge nothing: each is, after the delay.
	n.Send(0, 1, Bulk, nil)
	n.Send(1, 0, Bulk, nil)
	n.run(time.Second)
	require.EqualValues(t, 5, n.Stats().Total.Acks)

	back := n.NodeStats(1)
	n.Close(0, 1)
	n.run(time.Second)
	require.Zero(t, n.LinkStats(0, 1))
	require.Equal(t, back, n.NodeStats(1), "also of connections that ended")
	sum := n.NodeStats(0)
	sum.add(back)
	require.Equal(t, n.Stats().Total, sum)
	require.Zero(t, n.Stats().Live)
}

func TestAFrameIsWholeWhenItsLastPacketIs(t *testing.T) {
	n, _, b := pair(Config{Latency: Constant(10 * ms), RTO: 30 * ms, Bandwidth: 100_000, MTU: 1000, Overhead: -1})
	n.SetLoss(0.99999)
	n.losses = rand.New(once(2)) // lost twice, and then not any more
	n.Send(0, 1, Bulk, make([]byte, 2000))
	n.Send(0, 1, Bulk, []byte("x"))
	n.run(time.Second)
	// The first packet: 10 ms on the line, 10 ms, and probes after 50 and 100 ms.
	require.Equal(t, []time.Duration{1170 * ms, 1170 * ms}, b.at)

	// Its two retransmissions take their time on the line: the second packet
	// leaves when they have.
	n.losses = rand.New(once(2))
	n.Send(0, 1, Bulk, make([]byte, 1000))
	n.run(0)
	n.Send(0, 1, Control, []byte("second"))
	n.run(time.Second)
	require.Equal(t, 2000*ms+30*ms+10*ms+60*time.Microsecond, b.when("0:second"))
}

// once is a random source with which a packet is lost so many times, and none
// after it.
func once(times int) *lossy { return &lossy{times} }

type lossy struct{ left int }

func (l *lossy) Uint64() uint64 {
	if l.left--; l.left >= 0 {
		return 0
	}
	return math.MaxUint64
}
