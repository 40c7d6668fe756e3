package presence

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/trust"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// testKeys are the agents of all tests, by number.
var testKeys struct {
	sync.Mutex
	keys map[int]*identity.Key
}

func keyOf(n int) *identity.Key {
	testKeys.Lock()
	defer testKeys.Unlock()
	k := testKeys.keys[n]
	if k == nil {
		seed := sha256.Sum256(fmt.Appendf(nil, "presence %d", n))
		var err error
		if k, err = identity.KeyFromSeed(seed[:]); err != nil {
			panic(err)
		}
		if testKeys.keys == nil {
			testKeys.keys = make(map[int]*identity.Key)
		}
		testKeys.keys[n] = k
	}
	return k
}

func agentID(n int) identity.AgentID { return keyOf(n).Public().AgentID() }

func machineID(n int) (m identity.MachineID) {
	m = identity.MachineID(agentID(n))
	m[0] ^= 0xff
	return m
}

func addrOf(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{50, byte(n >> 16), byte(n >> 8), byte(n)}), 5483)
}

// one is a single state, agent 0, whose peers the test plays.
type one struct {
	*State
	t         testing.TB
	now       time.Time
	levels    map[identity.AgentID]trust.Level
	mute      map[identity.AgentID]bool // not delivered though not blocked
	neighbors map[identity.AgentID]bool
	order     []identity.AgentID
	keys      map[identity.AgentID][]byte
}

func newOne(t testing.TB, cfg Config) *one {
	o := &one{
		t: t, now: start,
		levels: make(map[identity.AgentID]trust.Level), mute: make(map[identity.AgentID]bool),
		neighbors: make(map[identity.AgentID]bool), keys: make(map[identity.AgentID][]byte),
	}
	cfg.Key, cfg.Machine = keyOf(0), machineID(0)
	cfg.Rand = rand.New(rand.NewPCG(1, 2))
	cfg.Trust = o.level
	cfg.Deliver = func(a identity.AgentID, _ identity.MachineID) bool {
		return o.level(a) != trust.Blocked && !o.mute[a]
	}
	cfg.PublicKey = func(a identity.AgentID) ([]byte, bool) { k, ok := o.keys[a]; return k, ok }
	cfg.Neighbors = func() (list []identity.AgentID) {
		for _, a := range o.order {
			if o.neighbors[a] {
				list = append(list, a)
			}
		}
		return list
	}
	cfg.Addresses = func() []netip.AddrPort { return []netip.AddrPort{addrOf(0)} }
	o.State = New(cfg)
	o.Tick(o.now)
	return o
}

func (o *one) level(a identity.AgentID) trust.Level {
	if l, ok := o.levels[a]; ok {
		return l
	}
	return trust.Unknown
}

func (o *one) up(n int) {
	o.keys[agentID(n)] = keyOf(n).Public().Bytes()
	o.PeerUp(agentID(n), machineID(n), o.now)
}

func (o *one) neighbor(n int) {
	o.neighbors[agentID(n)] = true
	o.order = append(o.order, agentID(n))
	o.up(n)
	o.NeighborUp(agentID(n), o.now)
}

func (o *one) lost(n int)   { o.PeerDown(agentID(n), false, o.now) }
func (o *one) closed(n int) { o.PeerDown(agentID(n), true, o.now) }

// run lets time pass, with every tick at its time.
func (o *one) run(d time.Duration) {
	end := o.now.Add(d)
	for {
		next := o.NextTick()
		if next.IsZero() || next.After(end) {
			break
		}
		if next.After(o.now) {
			o.now = next
		}
		o.Tick(o.now)
	}
	o.now = end
}

func (o *one) give(from int, frame []byte) {
	o.t.Helper()
	require.NoError(o.t, o.HandleFrame(agentID(from), frame, o.now))
}

// made is a signed beacon of agent n, as change has it.
func (o *one) made(n int, change ...func(*beacon)) *beacon {
	b := &beacon{
		agent: agentID(n), machine: machineID(n),
		sequence: uint64(o.now.UnixMilli()), sent: o.now, interval: 30 * time.Second,
		addrs: []netip.AddrPort{addrOf(n)},
	}
	for _, f := range change {
		f(b)
	}
	require.NoError(o.t, b.sign(keyOf(n)))
	return b
}

func (o *one) beacon(n int, change ...func(*beacon)) {
	o.t.Helper()
	o.give(n, beaconFrame(o.made(n, change...)))
}

func passed(n int, b *beacon) relayed { return relayed{keyOf(n).Public().Bytes(), *b} }

// events are the transitions among actions, in words.
func events(actions []Action) (list []string) {
	for _, a := range actions {
		if a.Kind == Online || a.Kind == Offline {
			list = append(list, fmt.Sprint(a.Kind, " ", nameOf(a.Agent)))
		}
	}
	return list
}

// frames are the types of what is sent to an agent.
func frames(actions []Action, to int) (list []frameType) {
	for _, a := range actions {
		if a.Kind == Send && a.Agent == agentID(to) {
			list = append(list, frameType(a.Frame[0]))
		}
	}
	return list
}

func nameOf(a identity.AgentID) int {
	testKeys.Lock()
	defer testKeys.Unlock()
	for n, k := range testKeys.keys {
		if k.Public().AgentID() == a {
			return n
		}
	}
	return -1
}
