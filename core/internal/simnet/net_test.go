package simnet

import (
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

func TestTicksComeWhenTheyAreWanted(t *testing.T) {
	n := New(Config{})
	h := add(n, 1)[0]
	h.next = n.Now().Add(30 * ms)
	n.Wake(0)
	n.run(10 * ms)
	h.next = n.Now().Add(50 * ms) // later than what is in the heap
	n.run(45 * ms)
	require.Empty(t, h.log)
	n.run(5 * ms)
	require.Equal(t, 60*ms, h.when("tick"))

	h.next = n.Now().Add(time.Hour)
	n.Wake(0)
	h.next = n.Now().Add(5 * ms) // sooner
	n.Wake(0)
	n.run(5 * ms)
	require.Equal(t, []string{"tick", "tick"}, h.log)

	h.next = n.Now().Add(5 * ms) // and then not at all
	n.Wake(0)
	h.next = time.Time{}
	n.run(2 * time.Hour)
	require.Len(t, h.log, 2)
}

func TestATickThatIsDueComesAtOnceAndOneThatIsAlwaysDuePanics(t *testing.T) {
	n := New(Config{})
	h := add(n, 1)[0]
	n.run(time.Second)
	h.next = n.Now().Add(-time.Minute)
	again := 3
	h.onTick = func() {
		if again--; again > 0 {
			h.next = n.Now()
		}
	}
	n.Wake(0)
	n.run(0)
	require.Equal(t, []time.Duration{time.Second, time.Second, time.Second}, h.at)

	h.onTick = func() { h.next = n.Now() }
	h.onTick()
	n.Wake(0)
	require.PanicsWithValue(t, "simnet: process 0 wants to be ticked at 2026-01-01 00:00:01 +0000 UTC again and again",
		func() { n.run(0) })
}

func TestCallsComeInOrderAndTimeNeverGoesBack(t *testing.T) {
	n := New(Config{Start: time.Now()})
	start := n.Now()
	var got []int
	note := func(i int) func() { return func() { got = append(got, i) } }
	n.At(start.Add(2*ms), note(3))
	n.At(start.Add(1*ms), func() {
		note(1)()
		n.At(start, note(2)) // in the past: now
		require.Panics(t, func() { n.RunUntil(start.Add(time.Hour)) })
	})
	n.At(start.Add(2*ms), note(4))
	n.RunUntil(start.Add(2 * ms))
	require.Equal(t, []int{1, 2, 3, 4}, got)
	n.RunUntil(start)
	require.Equal(t, start.Add(2*ms).Round(0), n.Now())
}

func TestHeapGivesEventsByTimeThenByOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var h eventHeap
	var last event
	key := uint64(0)
	for range 20_000 {
		if len(h) == 0 || rnd.IntN(5) < 3 {
			key++
			h.push(event{at: last.at + rnd.Int64N(20), key: key})
			continue
		}
		e := h.pop()
		require.True(t, last.before(&e))
		last = e
	}
	for len(h) > 0 {
		e := h.pop()
		require.True(t, last.before(&e))
		last = e
	}
}

func TestMisuseIsSaid(t *testing.T) {
	n := New(Config{})
	add(n, 2)
	for name, f := range map[string]func(){
		"an id that runs":  func() { n.Add(1, &host{net: n}) },
		"a negative id":    func() { n.Add(-1, &host{net: n}) },
		"an id too large":  func() { n.Add(maxID, &host{net: n}) },
		"itself":           func() { n.Dial(0, 0) },
		"loss of all":      func() { n.SetLoss(1) },
		"negative loss":    func() { New(Config{Loss: -0.1}) },
		"negative timeout": func() { New(Config{DownAfter: -1}) },
	} {
		require.Panics(t, f, name)
	}
	// These name processes that may have ended, and do nothing.
	n.Dial(7, 0)
	n.Kill(7)
	n.Close(0, 7)
	n.Wake(-1)
	require.False(t, n.Send(0, 7, Bulk, nil))
	require.False(t, n.Send(-1, 0, Bulk, nil))
	require.False(t, n.Connected(0, 1))
	require.Zero(t, n.LinkStats(0, 1))
	require.Zero(t, n.NodeStats(9))
}

// wild is a run in which much happens, and its trace.
func wild(seed uint64, content byte, cfg Config) [32]byte {
	cfg.Seed = seed
	cfg.Loss = 0.1
	cfg.Latency = Uniform(ms, 20*ms)
	cfg.Bandwidth = 200_000
	n := New(cfg)
	hosts := add(n, 20)
	rnd := rand.New(rand.NewPCG(5, 5)) // the same for every seed: the network alone differs
	for _, h := range hosts {
		h.onReceive = func(peer int, frame []byte) {
			if len(frame) > 10 {
				n.Send(h.id, peer, Control, frame[:len(frame)/2])
			}
		}
	}
	for range 300 {
		a, b := rnd.IntN(20), rnd.IntN(20)
		switch k := rnd.IntN(20); {
		case a == b:
		case k == 0 && n.Alive(a):
			n.Kill(a)
		case k == 1 && !n.Alive(a):
			n.Add(a, hosts[a])
		case k == 2:
			n.Partition(func(id int) int { return id % 2 })
		case k == 3:
			n.Heal()
		case k < 10:
			n.Dial(a, b)
		default:
			frame := make([]byte, rnd.IntN(5000)+1)
			frame[0] = content
			n.Send(a, b, Bulk, frame)
		}
		n.run(10 * ms)
	}
	return n.Trace()
}

func TestTheSameSeedGivesTheSameTrace(t *testing.T) {
	require.Equal(t, wild(1, 0, Config{}), wild(1, 0, Config{}))
	require.NotEqual(t, wild(1, 0, Config{}), wild(2, 0, Config{}))

	require.Equal(t, wild(1, 0, Config{}), wild(1, 1, Config{}), "lengths alone")
	require.NotEqual(t, wild(1, 0, Config{TraceContent: true}), wild(1, 1, Config{TraceContent: true}))
}

func TestAskingForTheTraceDoesNotChangeIt(t *testing.T) {
	var h [2][32]byte
	for i := range h {
		n := New(Config{})
		add(n, 300) // more than one batch
		if i == 1 {
			require.Equal(t, n.Trace(), n.Trace())
		}
		n.Kill(3)
		h[i] = n.Trace()
	}
	require.Equal(t, h[0], h[1])
}

func TestPlaneIsSeededSymmetricAndWithinBounds(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	f, same, other := Plane(1, 5*ms, 105*ms, 0), Plane(1, 5*ms, 105*ms, 0), Plane(2, 5*ms, 105*ms, 0)
	jitter := Plane(1, 5*ms, 105*ms, 10*ms)
	var sum time.Duration
	differ := 0
	const k = 10_000
	for range k {
		a, b := rnd.IntN(1000), rnd.IntN(1000)
		d := f(a, b, nil)
		sum += d
		require.True(t, d >= 5*ms && d <= 105*ms)
		require.Equal(t, d, f(b, a, nil))
		require.Equal(t, d, same(a, b, nil))
		if d != other(a, b, nil) {
			differ++
		}
		j := jitter(a, b, rnd)
		require.True(t, j >= d && j <= d+10*ms)
	}
	require.Equal(t, 5*ms, f(3, 3, nil))
	require.Greater(t, differ, k*9/10)
	// Two random points of the unit square are 0.5214 apart on average, of √2.
	require.InDelta(t, 5+100*0.5214/1.4142, float64(sum/k)/1e6, 2)
}

// A run is bound by how many cache lines an event touches.
func TestWhatEventsNeedIsCloseTogether(t *testing.T) {
	require.EqualValues(t, 384, unsafe.Sizeof(link{}))
	require.EqualValues(t, 64, unsafe.Offsetof(link{}.ends))
	require.EqualValues(t, 128, unsafe.Sizeof(end{}))
	require.LessOrEqual(t, unsafe.Sizeof(proc{}), uintptr(64))
	require.EqualValues(t, 24, unsafe.Sizeof(event{}))
}
