package membership

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// Config are the parameters of a [State]. A zero field takes the default that
// stands beside it; where "none" makes sense, a negative value says it.
type Config struct {
	Self identity.AgentID

	Active  int // 6: places in the active view, at most 64
	Passive int // 30: places in the passive view, at most 1,024

	ARWL int // 6: hops that a FORWARDJOIN walks before it becomes a neighbour, at most 12; < 0: none
	PRWL int // 3: hops left when it is put into the passive view on its way; < 0: nowhere

	ShuffleActive  int           // 3: active peers in a shuffle; < 0: none
	ShufflePassive int           // 4: passive peers in a shuffle; < 0: none
	ShuffleTTL     int           // 6: hops that a shuffle walks, at most 12; < 0: to a neighbour only
	ShufflePeriod  time.Duration // 10 s, ±10 %: also the pace of verifying passive peers

	JoinTimeout     time.Duration // 5 s: a JOIN unanswered for so long is sent again
	NeighborTimeout time.Duration // 3 s: so long a NEIGHBOR may be unanswered before another is asked
	DialTimeout     time.Duration // 8 s: a dial with neither result for so long has failed

	ProbePeriod    time.Duration // 2 s: an active peer silent for so long is probed
	ProbeTimeout   time.Duration // 500 ms: several RTTs; then others are asked, and as long again for them
	SuspectTimeout time.Duration // 10 s: a suspect that has not refuted by then has failed
	IndirectProbes int           // 3: neighbours asked to probe; < 0: none

	// MaxPerPrefix is how many active peers may have one IPv4 address or IPv6
	// /64: 3; < 0: off. It also turns on the limit of a tenth of the passive
	// view per prefix. It stops an attacker who has one address and many ids
	// from becoming all that an agent sees of the network.
	MaxPerPrefix int
	// PrefixExempt says which addresses the limit does not count; nil means
	// loopback, since what runs on this machine may be many.
	PrefixExempt func(netip.Addr) bool

	// Rand is all the randomness there is: the same seed and the same inputs
	// give the same actions. nil means a random seed.
	Rand *rand.Rand
}

// Bounds of what a configuration can ask for: frames and walks have to fit them
// on every node, so they are no parameters.
const (
	maxActive  = 64
	maxPassive = 1024
	maxTTL     = 12
)

func (c Config) withDefaults() Config {
	number := func(v *int, def, max int) {
		switch {
		case *v == 0:
			*v = def
		case *v < 0:
			*v = 0
		}
		*v = min(*v, max)
	}
	c.Active, c.Passive = max(c.Active, 0), max(c.Passive, 0) // no view at all is no choice
	number(&c.Active, 6, maxActive)
	number(&c.Passive, 30, maxPassive)
	number(&c.ARWL, 6, maxTTL)
	number(&c.ShuffleActive, 3, maxEntries)
	number(&c.ShufflePassive, 4, maxEntries-c.ShuffleActive)
	number(&c.ShuffleTTL, 6, maxTTL)
	number(&c.IndirectProbes, 3, maxActive)
	if c.PRWL == 0 {
		c.PRWL = 3
	}

	duration := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	duration(&c.ShufflePeriod, 10*time.Second)
	duration(&c.JoinTimeout, 5*time.Second)
	duration(&c.NeighborTimeout, 3*time.Second)
	duration(&c.DialTimeout, 8*time.Second)
	duration(&c.ProbePeriod, 2*time.Second)
	duration(&c.ProbeTimeout, 500*time.Millisecond)
	duration(&c.SuspectTimeout, 10*time.Second)

	if c.MaxPerPrefix == 0 {
		c.MaxPerPrefix = 3
	}
	if c.PrefixExempt == nil {
		c.PrefixExempt = netip.Addr.IsLoopback
	}
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return c
}
