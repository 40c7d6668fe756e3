package presence

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Visibility is to whom an agent says that it is online.
type Visibility uint8

const (
	Network Visibility = iota // to its neighbours, who tell others that ask; and as Social
	Social                    // to its contacts only; nobody passes it on
	Hidden                    // to nobody

	visibilities // how many there are
)

var visibilityNames = [visibilities]string{"network", "social", "hidden"}

// String returns the lower-case name.
func (v Visibility) String() string {
	if v < visibilities {
		return visibilityNames[v]
	}
	return "invalid"
}

// ParseVisibility reads what String writes; [wire.KindInvalidArgument] otherwise.
func ParseVisibility(s string) (Visibility, error) {
	for v, name := range visibilityNames {
		if s == name {
			return Visibility(v), nil
		}
	}
	return 0, wire.Errorf(wire.KindInvalidArgument, "parse visibility", "%.32q is none of %q", s, visibilityNames)
}

// Config are the parameters of a [State]. A zero field takes the default that
// stands beside it. The functions are called while the State is, and must not
// call it.
type Config struct {
	// Key signs beacons and names the agent. Required.
	Key *identity.Key
	// Machine is where the agent runs. Required.
	Machine    identity.MachineID
	Visibility Visibility

	BeaconInterval time.Duration // 30 s, ±10 %
	// OfflineTimeout is the silence after which any agent is offline, whatever
	// its beacons were like, and of one of which too few have been heard. It is
	// also the age at which a beacon is too old to be passed on: 300 s.
	OfflineTimeout time.Duration
	// LostTimeout is how long an agent whose connection was lost has to come
	// back, by any way, before it is offline: 10 s, which is a redial.
	LostTimeout time.Duration
	WatchLease  time.Duration // 10 min: a watch not renewed for so long ends

	FOAFTTL     int           // 2: hops of a walk whose caller does not say, 1 to 5
	FOAFTimeout time.Duration // 5 s: a walk ends with what has come by then
	FOAFFanout  int           // 3: neighbours that a walk of others is passed on to

	MaxAgents   int // 4,096 agents known, online or not
	MaxWatchers int // 64 strangers to whom beacons go because they asked; contacts do not count

	// Trust is how far the user trusts an agent; nil: everybody is Unknown.
	Trust func(identity.AgentID) trust.Level
	// Deliver is the policy point: whether the application may hear that this
	// agent is online. nil: whoever is not blocked.
	Deliver func(identity.AgentID, identity.MachineID) bool
	// PublicKey is the encoded key of a connected agent, as its handshake
	// proved it. nil: the cache of the process has it.
	PublicKey func(identity.AgentID) ([]byte, bool)
	// Neighbors are the active peers of the overlay; nil: none.
	Neighbors func() []identity.AgentID
	// Addresses is where the agent can be reached: one list for all who hear
	// the beacon, near and far, so nothing private belongs in it. At most 4
	// are taken. nil: none.
	Addresses func() []netip.AddrPort

	// Rand is all the randomness there is: the same seed and the same inputs
	// give the same actions. nil means a random seed.
	Rand *rand.Rand
}

// Bounds of what a configuration can ask for: frames have to fit them on every
// node.
const (
	maxTTL    = 5
	maxBudget = time.Minute // of a walk
	maxLease  = time.Hour
)

func (c Config) withDefaults() Config {
	duration := func(d *time.Duration, def, max time.Duration) {
		if *d <= 0 {
			*d = def
		}
		*d = min(*d, max)
	}
	number := func(v *int, def, max int) {
		if *v <= 0 {
			*v = def
		}
		*v = min(*v, max)
	}
	duration(&c.BeaconInterval, 30*time.Second, maxLease)
	duration(&c.OfflineTimeout, 300*time.Second, 24*time.Hour)
	duration(&c.LostTimeout, 10*time.Second, c.OfflineTimeout)
	duration(&c.WatchLease, 10*time.Minute, maxLease)
	duration(&c.FOAFTimeout, 5*time.Second, maxBudget)
	number(&c.FOAFTTL, 2, maxTTL)
	number(&c.FOAFFanout, 3, 16)
	number(&c.MaxAgents, 4096, 1<<16)
	number(&c.MaxWatchers, 64, 1024)
	if c.Trust == nil {
		c.Trust = func(identity.AgentID) trust.Level { return trust.Unknown }
	}
	if c.Deliver == nil {
		levels := c.Trust
		c.Deliver = func(a identity.AgentID, _ identity.MachineID) bool { return levels(a) != trust.Blocked }
	}
	if c.PublicKey == nil {
		c.PublicKey = func(a identity.AgentID) ([]byte, bool) {
			key, ok := identity.LookupPublicKey(a)
			if !ok {
				return nil, false
			}
			return key.Bytes(), true
		}
	}
	if c.Neighbors == nil {
		c.Neighbors = func() []identity.AgentID { return nil }
	}
	if c.Addresses == nil {
		c.Addresses = func() []netip.AddrPort { return nil }
	}
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return c
}
