package rendezvous

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/identity"
)

// Config are the parameters of a [State]. A zero field takes the default that
// stands beside it.
type Config struct {
	Self identity.AgentID

	Holders int // 4: how many keep one key, at most 8. Two may die between two republishings
	Alpha   int // 3: how many a lookup asks at a time, at most 8
	Bucket  int // 8: peers per length of common prefix, at most 16
	Table   int // 256: peers known but not connected, at most 4,096

	HopTimeout    time.Duration // 1.5 s: a dial and an answer at an RTT of 300 ms, and a lost packet
	LookupTimeout time.Duration // 10 s: then what was found is all there is
	DialTimeout   time.Duration // 10 s: a dial with neither result for so long has failed
	Grace         time.Duration // 300 ms: after the first find others may add a newer one
	Refresh       time.Duration // 5 min, ±10 %: how often an agent looks who its neighbours are
	Repair        time.Duration // 5 s, ±50 %: after the loss of a holder, until another is found
	IdleAfter     time.Duration // 30 s: an unneeded connection is released

	StoreBytes int // 8 MiB: of announcements of others, some 800
	KeyRecords int // 16: announcements under one key, at most 16

	// MaxPerPrefix is how many peers of one IPv4 address or IPv6 /64 may be in
	// one bucket, or among the candidates of a lookup: 2; < 0: off. The table as
	// a whole has room for four times as many. It stops an attacker who has one
	// address and many ids from surrounding a key or an agent.
	MaxPerPrefix int
	// PrefixExempt says which addresses the limit does not count; nil means
	// loopback, since what runs on this machine may be many.
	PrefixExempt func(netip.Addr) bool

	// Verify checks an announcement: discovery.Announcement.Verify, if nil. An
	// owner may add what else it knows, revocations for example.
	Verify func(*discovery.Announcement, time.Time) error

	// Rand is all the randomness there is. nil means a random seed.
	Rand *rand.Rand
}

// Bounds of what a configuration can ask for, and of what frames carry.
const (
	maxHolders    = 8
	maxAlpha      = 8
	maxBucket     = 16
	maxTable      = 4096
	maxRecords    = 16 // of one key
	maxLookups    = 64 // at a time
	maxAsked      = 32 // peers that one lookup asks: honest ones need some ten
	maxCandidates = 64 // that it remembers
	maxBad        = 256
)

func (c Config) withDefaults() Config {
	number := func(v *int, def, max int) {
		if *v <= 0 {
			*v = def
		}
		*v = min(*v, max)
	}
	number(&c.Holders, 4, maxHolders)
	number(&c.Alpha, 3, maxAlpha)
	number(&c.Bucket, 8, maxBucket)
	number(&c.Table, 256, maxTable)
	number(&c.StoreBytes, 8<<20, 1<<30)
	number(&c.KeyRecords, maxRecords, maxRecords)
	duration := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	duration(&c.HopTimeout, 1500*time.Millisecond)
	duration(&c.LookupTimeout, 10*time.Second)
	duration(&c.DialTimeout, 10*time.Second)
	duration(&c.Grace, 300*time.Millisecond)
	duration(&c.Refresh, 5*time.Minute)
	duration(&c.Repair, 5*time.Second)
	duration(&c.IdleAfter, 30*time.Second)
	if c.MaxPerPrefix == 0 {
		c.MaxPerPrefix = 2
	}
	if c.PrefixExempt == nil {
		c.PrefixExempt = netip.Addr.IsLoopback
	}
	if c.Verify == nil {
		c.Verify = (*discovery.Announcement).Verify
	}
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return c
}
