package membership

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// attacker has one address, an id for each port, and says what it likes.
const (
	attackerFirst = 10_000
	attackerIDs   = 1000
)

var attackerAddr = netip.MustParseAddr("66.6.6.6")

func isAttacker(a identity.AgentID) bool { return indexOf(a) >= attackerFirst }

func invented(rnd *rand.Rand) Peer {
	p := Peer{Agent: agentID(attackerFirst + attackerIDs + rnd.IntN(1<<20))}
	binary.BigEndian.PutUint64(p.Machine[:], rnd.Uint64())
	for range 1 + rnd.IntN(maxAddrs) {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], rnd.Uint32())
		ip[0] = 20 + ip[0]%100
		p.Addrs = append(p.Addrs, netip.AddrPortFrom(netip.AddrFrom4(ip), 1+uint16(rnd.IntN(60000))))
	}
	return p
}

func inventedList(rnd *rand.Rand) (list []Peer) {
	for range maxEntries {
		list = append(list, invented(rnd))
	}
	return list
}

func inventedPath(rnd *rand.Rand) (path []prefix) {
	for range rnd.IntN(maxPath + 1) {
		path = append(path, prefix(rnd.Uint32()))
	}
	return path
}

// held counts what the attacker holds of a state: its ids and its inventions.
func held(s *State) (active, passive int) {
	for _, a := range s.ActiveView() {
		if isAttacker(a) {
			active++
		}
	}
	for _, p := range s.PassiveView() {
		if isAttacker(p.Agent) {
			passive++
		}
	}
	return active, passive
}

// attack is one frame that an attacker might send.
func attack(rnd *rand.Rand) []byte {
	walk := walk{ttl: rnd.IntN(256), path: inventedPath(rnd)}
	switch rnd.IntN(8) {
	case 0:
		return joinFrame()
	case 1:
		return neighborFrame(true)
	case 2:
		return forwardJoinFrame(walk, invented(rnd))
	case 3:
		return shuffleFrame(shuffle{nonce: rnd.Uint64(), walk: walk, entries: inventedList(rnd)})
	case 4:
		origin := invented(rnd)
		return shuffleFrame(shuffle{nonce: rnd.Uint64(), walk: walk, origin: &origin, entries: inventedList(rnd)})
	case 5:
		return shuffleReplyFrame(shuffleReply{nonce: rnd.Uint64(), path: inventedPath(rnd), entries: inventedList(rnd)})
	case 6:
		return answerFrame(true)
	}
	return newsFrame([]newsItem{{status: statusFailed, incarnation: uint64(start.UnixMilli()), agent: agentID(rnd.IntN(40))}})
}

func TestOneAddressAndAThousandIDs(t *testing.T) {
	for _, honest := range []int{0, 2, 6} {
		o := newOne(t, Config{})
		rnd := rand.New(rand.NewPCG(9, uint64(honest)))
		for n := 1; n <= honest; n++ {
			o.neighbors(n)
		}
		for i := range attackerIDs {
			o.upFrom(attackerFirst+i, netip.AddrPortFrom(attackerAddr, uint16(1000+i)))
		}
		worst := 0
		for range rounds(40) {
			for i := range attackerIDs {
				require.NoError(t, o.HandleFrame(agentID(attackerFirst+i), attack(rnd), o.now))
				active, passive := held(o.State)
				require.LessOrEqual(t, active, 3)
				require.LessOrEqual(t, passive, 3)
				worst = max(worst, active)
			}
			check(t, o.State)
			for n := 1; n <= honest; n++ { // the honest are alive, and ask again
				o.frame(n, neighborFrame(len(o.active) < 2))
			}
			o.tick(500 * time.Millisecond)
			for _, a := range kinds(o.did(), Dial) { // what was invented is not there
				require.True(t, isAttacker(a.Agent))
				o.DialFailed(a.Agent, o.now)
			}
		}
		require.Equal(t, 3, worst, "the attack does something")
		st := o.Stats()
		require.NotZero(t, st.PrefixRefused)
		require.NotZero(t, st.ShareRefused)
		require.NotZero(t, st.Limited)
		require.Less(t, st.Dials, uint64(80), "dials in 20 s to addresses that somebody invented")
		require.GreaterOrEqual(t, len(o.active)-3, min(honest, 3), "the honest have the rest")
	}
}

func TestThousandIDsOfOneIPv6Network(t *testing.T) {
	o := newOne(t, Config{})
	for i := range attackerIDs {
		var ip [16]byte
		copy(ip[:], netip.MustParseAddr("2001:db8:1:2::").AsSlice())
		binary.BigEndian.PutUint64(ip[8:], uint64(i+1))
		o.upFrom(attackerFirst+i, netip.AddrPortFrom(netip.AddrFrom16(ip), 5483))
		o.frame(attackerFirst+i, joinFrame())
	}
	active, passive := held(o.State)
	require.Equal(t, 3, active)
	require.LessOrEqual(t, passive, 3)
	o.neighbors(1, 2, 3)
}

// The attacker is a neighbour of many and floods walks, which the honest pass
// on: what it invents stays within its share everywhere, since each walk says
// by which prefixes it came.
func TestInventionsThroughOthersStayWithinTheShare(t *testing.T) {
	const honest = 40
	s := network(t, 21, honest, Config{})
	// The attacker's processes are nodes of the simulation that keep their
	// connections; each honest node is flooded by 20 of them.
	rnd := rand.New(rand.NewPCG(3, 3))
	addr := func(i int) netip.AddrPort { return netip.AddrPortFrom(attackerAddr, uint16(1000+i)) }
	for _, n := range s.nodes {
		for i := range 20 {
			id := agentID(attackerFirst + n.id*20 + i)
			s.input(n, func(st *State) { st.PeerUp(Peer{Agent: id}, addr(n.id*20+i), s.now) })
		}
	}
	inside := 0
	for range rounds(100) {
		for _, n := range s.nodes {
			for i := range 20 {
				id := agentID(attackerFirst + n.id*20 + i)
				s.input(n, func(st *State) { require.NoError(t, st.HandleFrame(id, attack(rnd), s.now)) })
			}
		}
		s.run(300 * time.Millisecond)
		for _, n := range s.nodes {
			active, passive := held(n.State)
			inside += active
			require.LessOrEqual(t, active, 3)
			require.LessOrEqual(t, passive, 3)
			check(t, n.State)
		}
	}
	require.NotZero(t, inside)
	// The honest are still one network among themselves, and news of their
	// death, which they refuted, has dropped nobody for good.
	seen := map[int]bool{0: true}
	for todo := []int{0}; len(todo) > 0; todo = todo[1:] {
		for _, a := range s.nodes[todo[0]].ActiveView() {
			if o := indexOf(a); !isAttacker(a) && !seen[o] {
				seen[o] = true
				todo = append(todo, o)
			}
		}
	}
	require.Len(t, seen, honest)
}

func TestLoopbackIsExempt(t *testing.T) {
	o := newOne(t, Config{})
	for n := 1; n <= 6; n++ {
		o.upFrom(n, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(n)))
		o.frame(n, neighborFrame(false))
	}
	require.Len(t, o.active, 6)
}

// A neighbour that moves is counted where it is now.
func TestMovingIntoAFullPrefix(t *testing.T) {
	o := newOne(t, Config{})
	for n := 1; n <= 3; n++ {
		o.upFrom(n, netip.AddrPortFrom(attackerAddr, uint16(n)))
		o.frame(n, neighborFrame(false))
	}
	o.neighbors(4)
	o.upFrom(4, netip.AddrPortFrom(attackerAddr, 4))
	require.NotContains(t, o.ActiveView(), agentID(4))
	check(t, o.State)
	require.Len(t, frames(o.did(), frameDisconnect), 1)
}

// Nobody outside makes an agent knock at hosts of its own network or at what is
// no host.
func TestHintsAreNotNarrowerThanTheirTeller(t *testing.T) {
	all := []string{"127.0.0.1:1", "10.0.0.1:1", "[fe80::1]:1", "9.9.9.9:1", "[2001:4860::1]:1", "0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "[::]:1"}
	for teller, want := range map[string][]string{
		"8.8.8.8:1":      {"9.9.9.9:1", "[2001:4860::1]:1"},
		"192.168.1.1:1":  {"10.0.0.1:1", "[fe80::1]:1", "9.9.9.9:1", "[2001:4860::1]:1"},
		"127.0.0.1:9999": {"127.0.0.1:1", "10.0.0.1:1", "[fe80::1]:1", "9.9.9.9:1"},
	} {
		var got []string
		for _, a := range all {
			p := hint(Peer{Addrs: []netip.AddrPort{netip.MustParseAddrPort(a)}}, netip.MustParseAddrPort(teller))
			for _, x := range p.Addrs {
				got = append(got, x.String())
			}
		}
		for _, w := range want {
			require.True(t, slices.Contains(got, w), "%s tells %s", teller, w)
		}
		require.NotContains(t, got, "0.0.0.0:1")
		require.NotContains(t, got, "224.0.0.1:1")
		if teller == "8.8.8.8:1" {
			require.Equal(t, want, got)
		}
	}
}

// What is dialled because of hearsay is paced, whoever says it: an agent is no
// way to knock at a third party's door.
func TestHearsayDialsArePaced(t *testing.T) {
	o := newOne(t, Config{Active: 8})
	o.neighbors(1, 2, 3, 4, 5, 6)
	victim := netip.MustParseAddrPort("99.9.9.9:53")
	for i := range 600 {
		for n := 1; n <= 6; n++ {
			o.frame(n, forwardJoinFrame(walk{}, Peer{Agent: agentID(attackerFirst + 6*i + n), Addrs: []netip.AddrPort{victim}}))
		}
		o.tick(10 * time.Millisecond)
	}
	// 6 seconds: the burst and two a second.
	require.LessOrEqual(t, len(kinds(o.did(), Dial)), paceHearsay.burst+12+1)
}
