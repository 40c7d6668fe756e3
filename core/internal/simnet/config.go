package simnet

import (
	"math/rand/v2"
	"time"
)

// The classes of a link, first the one that goes first.
const (
	Control = iota
	Bulk

	// Classes is how many there are.
	Classes
)

// Config is how a network behaves. The zero value of each field is its default.
type Config struct {
	// Seed is where latencies and losses come from. The same seed, with nodes
	// that do the same, gives the same run.
	Seed uint64

	// Start is the time at which the run begins: 2026-01-01 00:00 UTC.
	Start time.Time

	// Latency is the time of one packet from a to b, drawn from rnd if it
	// varies: 10 ms. See [Constant], [Uniform] and [Plane]. It must not return 0
	// where nodes answer each other at once, for time would stand still.
	Latency func(a, b int, rnd *rand.Rand) time.Duration

	// Loss is the probability, below 1, that one packet is lost: 0.
	Loss float64

	// MTU is how many bytes of frames one packet carries: 1,200.
	MTU int

	// Overhead is what one packet has beside them, in bytes: 48, which is IPv4
	// and UDP (28) and a QUIC short header with its tag and stream frame (20).
	// Negative: none.
	Overhead int

	// Bandwidth is that of each direction of each link, in bytes per second,
	// overhead included: 0, which is infinite.
	Bandwidth int64

	// Queue is how many bytes per link, direction and class are accepted and
	// have not arrived: 1 MiB. A frame alone may exceed it.
	Queue int

	// RTO is what a sender waits beyond one round trip before it sends a packet
	// again: 25 ms, the delay that QUIC allows an acknowledgement. Each further
	// loss of the same packet doubles the whole, up to RTOMax: 1 s.
	RTO, RTOMax time.Duration

	// DownAfter is how long a connection lives whose peer is silent because it
	// died or is cut off: 1 s.
	DownAfter time.Duration

	// DialRTTs is how many round trips a dial takes: 2, one for the handshake
	// and one for the hello.
	DialRTTs int

	// DialTimeout is how long a dial tries: 8 s.
	DialTimeout time.Duration

	// CanDial says whether packets of a first reach to; nil: always. It models
	// processes behind NATs. It is asked when a dial would succeed.
	CanDial func(from, to int) bool

	// AckEvery, AckDelay and AckBytes estimate acknowledgements: one packet of
	// AckBytes (60) for every AckEvery (2) packets that arrive, or AckDelay
	// (25 ms) after the first. AckEvery negative: they are not counted.
	AckEvery int
	AckDelay time.Duration
	AckBytes int

	// TraceContent has the bytes of frames in [Net.Trace], not their length
	// alone. It finds more, and needs nodes whose bytes are reproducible:
	// seeded keys and deterministic signatures.
	TraceContent bool
}

func (c *Config) setDefaults() {
	if c.Start.IsZero() {
		c.Start = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	c.Start = c.Start.Round(0) // without the reading of a real clock
	if c.Latency == nil {
		c.Latency = Constant(10 * time.Millisecond)
	}
	orDefault(&c.MTU, 1200)
	orDefault(&c.Overhead, 48)
	c.Overhead = max(c.Overhead, 0)
	orDefault(&c.Queue, 1<<20)
	orDefault(&c.RTO, 25*time.Millisecond)
	orDefault(&c.RTOMax, time.Second)
	orDefault(&c.DownAfter, time.Second)
	orDefault(&c.DialRTTs, 2)
	orDefault(&c.DialTimeout, 8*time.Second)
	orDefault(&c.AckEvery, 2)
	orDefault(&c.AckDelay, 25*time.Millisecond)
	orDefault(&c.AckBytes, 60)
	for _, ok := range []bool{c.MTU > 0, c.Bandwidth >= 0, c.Queue > 0 && c.Queue <= 1<<30, c.RTO > 0, c.RTOMax > 0,
		c.DownAfter > 0, c.DialRTTs > 0, c.DialTimeout > 0, c.AckEvery < 256} {
		if !ok {
			panic("simnet: a limit of Config is negative or absurd")
		}
	}
	checkLoss(c.Loss)
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// checkLoss refuses a network that never carries anything: that is a partition.
func checkLoss(p float64) {
	if !(p >= 0 && p < 1) {
		panic("simnet: loss must be at least 0 and below 1; use Partition to cut processes off")
	}
}
