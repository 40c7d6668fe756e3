package discovery

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

var cacheNow = time.Unix(1_790_000_000, 0).UTC()

func peerAt(c *PeerCache, n int, addr string, now time.Time) identity.MachineID {
	m := identity.MachineID{byte(n >> 8), byte(n), 1}
	c.Connected(identity.AgentID{byte(n >> 8), byte(n), 2}, m, netip.MustParseAddrPort(addr), now)
	return m
}

func rnd() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func TestPeerCachePrefersThoseThatAnswer(t *testing.T) {
	c := NewPeerCache(0)
	good := peerAt(c, 1, "192.0.2.1:1", cacheNow)
	bad := peerAt(c, 2, "192.0.2.2:1", cacheNow)
	old := peerAt(c, 3, "192.0.2.3:1", cacheNow.Add(-60*24*time.Hour))
	for range 3 {
		c.Failed(bad)
	}
	c.Failed(identity.MachineID{9}) // nobody
	first := map[identity.MachineID]int{}
	r := rnd()
	for range 1000 {
		best := c.Best(3, cacheNow, r)
		require.Len(t, best, 3)
		first[best[0].Machine]++
	}
	require.Greater(t, first[good], 850, "the best, but for one of ten")
	require.NotZero(t, first[bad])
	require.NotZero(t, first[old])
}

func TestPeerCacheIsBounded(t *testing.T) {
	c := NewPeerCache(20)
	kept := peerAt(c, 1, "198.51.100.1:1", cacheNow)
	peerAt(c, 1, "198.51.100.1:1", cacheNow)
	for n := range 1000 { // one address
		peerAt(c, 100+n, "192.0.2.1:1", cacheNow)
	}
	require.Equal(t, 1+maxPeersPerAddress, c.Len())
	for n := range 1000 { // one IPv6 network
		peerAt(c, 3000+n, netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(n)}), 1).String(), cacheNow)
	}
	require.Equal(t, 1+2*maxPeersPerAddress, c.Len())
	for n := range 1000 { // many addresses
		peerAt(c, 6000+n, netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(n >> 8), byte(n)}), 1).String(), cacheNow)
	}
	require.Equal(t, 20, c.Len())
	var machines []identity.MachineID
	for _, p := range c.Best(20, cacheNow, rnd()) {
		machines = append(machines, p.Machine)
	}
	require.Contains(t, machines, kept, "who answered twice makes no room for who did once")
}

func TestPeerCacheRemembersTheAddressesThatWorked(t *testing.T) {
	c := NewPeerCache(0)
	for _, a := range []string{"192.0.2.1:1", "192.0.2.1:2", "[::ffff:192.0.2.1]:3", "192.0.2.1:4", "192.0.2.1:5", "192.0.2.1:2"} {
		peerAt(c, 1, a, cacheNow)
	}
	best := c.Best(1, cacheNow, rnd())
	require.Equal(t, []netip.AddrPort{
		netip.MustParseAddrPort("192.0.2.1:2"), netip.MustParseAddrPort("192.0.2.1:5"),
		netip.MustParseAddrPort("192.0.2.1:4"), netip.MustParseAddrPort("192.0.2.1:3"),
	}, best[0].Addrs)
	c.Connected(identity.AgentID{}, identity.MachineID{1}, best[0].Addrs[0], cacheNow)
	c.Connected(identity.AgentID{1}, identity.MachineID{1}, netip.AddrPort{}, cacheNow)
	require.Equal(t, 1, c.Len())
}

func TestPeerCacheFile(t *testing.T) {
	c := NewPeerCache(0)
	for n := range 10 {
		m := peerAt(c, n, netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}), 5483).String(), cacheNow.Add(-time.Duration(n)*time.Hour))
		for range n {
			c.Failed(m)
		}
	}
	b, err := json.Marshal(c)
	require.NoError(t, err)
	back, err := ParsePeerCache(b, 0, cacheNow)
	require.NoError(t, err)
	require.Equal(t, c.peers, back.peers)

	few, err := ParsePeerCache(b, 4, cacheNow)
	require.NoError(t, err)
	require.Equal(t, 4, few.Len())

	for text, kind := range map[string]wire.Kind{
		"":                                   wire.KindCorrupt,
		`{"version":1,"peers":[`:             wire.KindCorrupt,
		`{"version":2,"peers":[]}`:           wire.KindUnsupported,
		`{"version":1,"peers":[{"machine":1`: wire.KindCorrupt,
		string(make([]byte, maxPeerCache+1)): wire.KindTooLarge,
	} {
		_, err := ParsePeerCache([]byte(text), 0, cacheNow)
		require.Equal(t, kind, wire.KindOf(err), "%.40q", text)
	}
}

func FuzzParsePeerCache(f *testing.F) {
	c := NewPeerCache(0)
	peerAt(c, 1, "192.0.2.1:1", cacheNow)
	b, _ := json.Marshal(c)
	f.Add(b)
	f.Add([]byte(`{"version":1,"peers":[{"machine":"","agent":"","addresses":["[fe80::1%eth0]:1"],"last_seen":-1}]}`))
	f.Add([]byte(`{"version":1,"peers":[{"addresses":[null,"0.0.0.0:0"],"last_seen":9223372036854775807,"successes":-1}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParsePeerCache(b, 8, cacheNow)
		if err != nil {
			return
		}
		require.LessOrEqual(t, c.Len(), 8)
		for _, p := range c.Best(8, cacheNow, rnd()) {
			require.NotEmpty(t, p.Addrs)
			require.False(t, p.LastSeen.After(cacheNow))
		}
		again, err := json.Marshal(c)
		require.NoError(t, err)
		back, err := ParsePeerCache(again, 8, cacheNow)
		require.NoError(t, err)
		require.Equal(t, c.Len(), back.Len())
	})
}
