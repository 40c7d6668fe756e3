package discovery

import (
	"cmp"
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	// DefaultCachedPeers is how many peers a [PeerCache] remembers.
	DefaultCachedPeers = 256
	// maxPeersPerAddress is how many of them may have one IPv4 address or IPv6
	// /64, loopback excepted: one machine with many identities must not become
	// all that an agent remembers of a network.
	maxPeersPerAddress = 3
	// maxPeerAddrs is how many addresses of one peer are kept, the last one
	// that worked first.
	maxPeerAddrs = 4
	// maxTries is where counts of successes and failures are halved, so that
	// what a peer did lately weighs more than what it did once.
	maxTries = 32
	// scoreHalfLife is the time after which what is known of a peer counts half.
	scoreHalfLife = 7 * 24 * time.Hour
	// explore is how often [PeerCache.Best] picks at random instead of the best:
	// otherwise who was good once would be asked for ever, and nobody else.
	explore = 0.1
	// maxPeerCache bounds the file: 256 peers take some 80 KB.
	maxPeerCache = 1 << 20
)

// CachedPeer is an agent that this one was connected to.
type CachedPeer struct {
	Machine   identity.MachineID
	Agent     identity.AgentID
	Addrs     []netip.AddrPort // at most four, the last one that worked first
	LastSeen  time.Time
	Successes int // connections made, halved now and then
	Failures  int // dials in vain, likewise
}

// score says how likely it is that the peer answers, between 0 and 1.
func (p *CachedPeer) score(now time.Time) float64 {
	age := max(now.Sub(p.LastSeen), 0)
	return float64(p.Successes+1) / float64(p.Successes+p.Failures+2) * math.Exp2(-age.Hours()/scoreHalfLife.Hours())
}

func (p *CachedPeer) halve() {
	if p.Successes+p.Failures > maxTries {
		p.Successes, p.Failures = p.Successes/2, p.Failures/2
	}
}

// PeerCache remembers agents that this one was connected to, so that it finds
// its network again after a restart with no bootstrap peer. Only what a
// connection has proved gets in, never hearsay. It is bounded; the peer with the
// lowest score makes room. It does no I/O: [PeerCache.MarshalJSON] and
// [ParsePeerCache] are its file. Safe for concurrent use.
type PeerCache struct {
	limit int

	mu    sync.Mutex
	peers map[identity.MachineID]*CachedPeer
}

// NewPeerCache returns an empty cache for limit peers, 256 if that is 0.
func NewPeerCache(limit int) *PeerCache {
	if limit <= 0 {
		limit = DefaultCachedPeers
	}
	return &PeerCache{limit: limit, peers: make(map[identity.MachineID]*CachedPeer)}
}

// Connected notes a connection to an agent on a machine, both proven, at an
// address.
func (c *PeerCache) Connected(agent identity.AgentID, machine identity.MachineID, at netip.AddrPort, now time.Time) {
	if !at.IsValid() || machine.IsZero() || agent.IsZero() {
		return
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[machine]
	if p == nil {
		p = &CachedPeer{Machine: machine}
	}
	p.Agent, p.LastSeen = agent, now.UTC()
	p.Successes++
	p.halve()
	p.Addrs = slices.DeleteFunc(p.Addrs, func(a netip.AddrPort) bool { return a == at })
	p.Addrs = slices.Insert(p.Addrs, 0, at)
	p.Addrs = p.Addrs[:min(len(p.Addrs), maxPeerAddrs)]
	c.put(p, now)
}

// Failed notes that a machine could not be reached.
func (c *PeerCache) Failed(machine identity.MachineID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[machine]; p != nil {
		p.Failures++
		p.halve()
	}
}

// put keeps a peer and drops whoever has to make room: the one with the lowest
// score of those at its address, if they are too many, and of all.
func (c *PeerCache) put(p *CachedPeer, now time.Time) {
	c.peers[p.Machine] = p
	if origin, ok := originOf(p.Addrs[0].Addr()); ok {
		c.shrink(maxPeersPerAddress, now, func(q *CachedPeer) bool {
			o, ok := originOf(q.Addrs[0].Addr())
			return ok && o == origin
		})
	}
	c.shrink(c.limit, now, func(*CachedPeer) bool { return true })
}

// shrink drops the lowest scores of a class until it has no more than limit.
func (c *PeerCache) shrink(limit int, now time.Time, class func(*CachedPeer) bool) {
	var members []*CachedPeer
	for _, q := range c.peers {
		if class(q) {
			members = append(members, q)
		}
	}
	if len(members) <= limit {
		return
	}
	sortByScore(members, now)
	for _, q := range members[limit:] {
		delete(c.peers, q.Machine)
	}
}

// originOf is the IPv4 address or IPv6 /64 that an address is charged to; false
// for loopback, where all of a machine's agents are.
func originOf(a netip.Addr) (netip.Prefix, bool) {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.WithZone("").Prefix(bits)
	return p, err == nil && !a.IsLoopback()
}

// sortByScore puts the best first; of equals, in the order of their ids, so that
// the same cache gives the same order.
func sortByScore(peers []*CachedPeer, now time.Time) {
	slices.SortFunc(peers, func(a, b *CachedPeer) int {
		return cmp.Or(cmp.Compare(b.score(now), a.score(now)), a.Machine.Compare(b.Machine))
	})
}

// Best returns up to n different peers to dial, the best first, except that one
// of ten is picked at random (ε-greedy).
func (c *PeerCache) Best(n int, now time.Time, rnd *rand.Rand) []CachedPeer {
	c.mu.Lock()
	defer c.mu.Unlock()
	peers := make([]*CachedPeer, 0, len(c.peers))
	for _, p := range c.peers {
		peers = append(peers, p)
	}
	sortByScore(peers, now)
	var best []CachedPeer
	for len(best) < n && len(peers) > 0 {
		i := 0
		if rnd.Float64() < explore {
			i = rnd.IntN(len(peers))
		}
		best = append(best, peers[i].clone())
		peers = slices.Delete(peers, i, i+1)
	}
	return best
}

func (p *CachedPeer) clone() CachedPeer {
	out := *p
	out.Addrs = slices.Clone(p.Addrs)
	return out
}

// Len returns how many peers are remembered.
func (c *PeerCache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.peers)
}

// cacheFile is the file, a JSON object so that a person can read it:
//
//	{"version":1,"peers":[{"machine":"<64 hex>","agent":"<64 hex>",
//	 "addresses":["192.0.2.1:5483"],"last_seen":1790000000,"successes":3,"failures":0}]}
type cacheFile struct {
	Version int          `json:"version"`
	Peers   []cachedJSON `json:"peers"`
}

type cachedJSON struct {
	Machine   string           `json:"machine"`
	Agent     string           `json:"agent"`
	Addresses []netip.AddrPort `json:"addresses"`
	LastSeen  int64            `json:"last_seen"` // Unix seconds
	Successes int              `json:"successes"`
	Failures  int              `json:"failures"`
}

// MarshalJSON returns the file of a cache.
func (c *PeerCache) MarshalJSON() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := cacheFile{Version: recordVersion, Peers: []cachedJSON{}}
	for _, p := range c.peers {
		f.Peers = append(f.Peers, cachedJSON{p.Machine.String(), p.Agent.String(), p.Addrs, p.LastSeen.Unix(), p.Successes, p.Failures})
	}
	slices.SortFunc(f.Peers, func(a, b cachedJSON) int { return cmp.Compare(a.Machine, b.Machine) })
	return json.Marshal(f)
}

// ParsePeerCache reads what MarshalJSON wrote. Entries that make no sense are
// left out, and limits are kept whatever the file holds; what is no such file at
// all is [wire.KindCorrupt], another version [wire.KindUnsupported].
func ParsePeerCache(b []byte, limit int, now time.Time) (*PeerCache, error) {
	const op = "read peer cache"
	if len(b) > maxPeerCache {
		return nil, wire.Errorf(wire.KindTooLarge, op, "more than %d bytes", maxPeerCache)
	}
	var f cacheFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, wire.Errorf(wire.KindCorrupt, op, "not a peer cache: %v", err)
	}
	if f.Version != recordVersion {
		return nil, wire.Errorf(wire.KindUnsupported, op, "version %d", f.Version)
	}
	c := NewPeerCache(limit)
	for _, e := range f.Peers {
		machine, err1 := identity.ParseMachineID(e.Machine)
		agent, err2 := identity.ParseAgentID(e.Agent)
		addrs := slices.DeleteFunc(e.Addresses, func(a netip.AddrPort) bool { return !a.IsValid() || a.Port() == 0 })
		if err1 != nil || err2 != nil || len(addrs) == 0 || e.Successes < 0 || e.Failures < 0 {
			continue
		}
		p := &CachedPeer{
			Machine: machine, Agent: agent, Addrs: addrs[:min(len(addrs), maxPeerAddrs)],
			LastSeen: time.Unix(e.LastSeen, 0).UTC(), Successes: min(e.Successes, maxTries), Failures: min(e.Failures, maxTries),
		}
		if p.LastSeen.After(now) {
			p.LastSeen = now.UTC()
		}
		c.put(p, now)
	}
	return c, nil
}
