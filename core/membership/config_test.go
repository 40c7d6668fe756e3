package membership

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// One test for each parameter, in the order of Config: what it changes.

func TestParamSelf(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1)
	o.frame(1, shuffleFrame(shuffle{entries: []Peer{peerOf(0), peerOf(7)}}))
	o.frame(1, forwardJoinFrame(walk{}, peerOf(0)))
	require.Equal(t, []Peer{peerOf(7)}, o.PassiveView())
	for _, a := range o.did() {
		require.NotEqual(t, agentID(0), a.Agent)
	}
}

func TestParamActive(t *testing.T) {
	for _, active := range []int{1, 4, 9} {
		o := newOne(t, Config{Active: active})
		for n := 1; n <= 12; n++ {
			o.up(n)
			o.frame(n, neighborFrame(false))
		}
		require.Len(t, o.ActiveView(), active)
	}
	require.Equal(t, 6, New(Config{}).cfg.Active)
}

func TestParamPassive(t *testing.T) {
	for _, passive := range []int{5, 40} {
		o := newOne(t, Config{Passive: passive})
		o.neighbors(1, 2, 3, 4, 5, 6)
		for n := 100; n < 200; n++ {
			o.up(n)
		}
		require.Len(t, o.PassiveView(), passive)
	}
	require.Equal(t, 30, New(Config{}).cfg.Passive)
}

func TestParamARWL(t *testing.T) {
	for arwl, want := range map[int]int{0: 6, 4: 4, 100: maxTTL, -1: 0} {
		o := newOne(t, Config{ARWL: arwl})
		o.neighbors(1, 2)
		o.up(3)
		o.did()
		o.frame(3, joinFrame())
		walks := frames(o.did(), frameForwardJoin)
		require.Len(t, walks, 2)
		for _, a := range walks {
			w, p, err := parseForwardJoin(a.Frame[1:])
			require.NoError(t, err)
			require.Equal(t, want, w.ttl)
			require.Equal(t, peerOf(3), p)
		}
		// And what others say is clamped to it.
		o.frame(1, forwardJoinFrame(walk{ttl: 255}, peerOf(50)))
		acts := o.did()
		if want == 0 {
			require.Equal(t, agentID(50), kinds(acts, Dial)[0].Agent)
			continue
		}
		w, _, err := parseForwardJoin(frames(acts, frameForwardJoin)[0].Frame[1:])
		require.NoError(t, err)
		require.Equal(t, want-1, w.ttl)
		require.Equal(t, []prefix{prefixOf(addrOf(1).Addr())}, w.path)
	}
}

func TestParamPRWL(t *testing.T) {
	for prwl, want := range map[int]int{0: 3, 2: 2, 5: 5, -1: -1} {
		o := newOne(t, Config{PRWL: prwl})
		o.neighbors(1, 2)
		for ttl := 1; ttl <= 6; ttl++ {
			o.frame(1, forwardJoinFrame(walk{ttl: ttl}, peerOf(50+ttl)))
		}
		var passive []Peer
		if want > 0 {
			passive = []Peer{peerOf(50 + want)}
		}
		require.ElementsMatch(t, passive, o.PassiveView())
	}
}

// aShuffle is the first shuffle of an agent with five neighbours and ten passive
// peers.
func aShuffle(t *testing.T, cfg Config) shuffle {
	o := newOne(t, cfg)
	o.neighbors(1, 2, 3, 4, 5)
	for n := 20; n < 30; n++ {
		o.up(n)
		o.down(n)
	}
	o.did()
	o.now = o.nextShuffle
	o.Tick(o.now)
	list := frames(o.did(), frameShuffle)
	require.Len(t, list, 1)
	sh, err := parseShuffle(list[0].Frame[1:])
	require.NoError(t, err)
	require.Nil(t, sh.origin)
	return sh
}

func countEntries(sh shuffle) (active, passive int) {
	for _, e := range sh.entries {
		if indexOf(e.Agent) < 20 {
			active++
		} else {
			passive++
		}
	}
	return active, passive
}

func TestParamShuffleActive(t *testing.T) {
	for v, want := range map[int]int{0: 3, 1: 1, 4: 4, -1: 0} {
		active, passive := countEntries(aShuffle(t, Config{ShuffleActive: v}))
		require.Equal(t, want, active)
		require.Equal(t, 4, passive)
	}
}

func TestParamShufflePassive(t *testing.T) {
	for v, want := range map[int]int{0: 4, 1: 1, 7: 7, -1: 0} {
		active, passive := countEntries(aShuffle(t, Config{ShufflePassive: v}))
		require.Equal(t, want, passive)
		require.Equal(t, 3, active)
	}
}

func TestParamShuffleTTL(t *testing.T) {
	for v, want := range map[int]int{0: 6, 2: 2, 50: maxTTL, -1: 0} {
		require.Equal(t, want, aShuffle(t, Config{ShuffleTTL: v}).walk.ttl)

		o := newOne(t, Config{ShuffleTTL: v})
		o.neighbors(1, 2)
		o.frame(1, shuffleFrame(shuffle{walk: walk{ttl: 255}, entries: []Peer{peerOf(9)}}))
		acts := o.did()
		if want == 0 { // it ends here
			require.Len(t, frames(acts, frameShuffleReply), 1)
			continue
		}
		sh, err := parseShuffle(frames(acts, frameShuffle)[0].Frame[1:])
		require.NoError(t, err)
		require.Equal(t, want-1, sh.walk.ttl)
		require.Equal(t, peerOf(1), *sh.origin)
	}
}

func TestParamShufflePeriod(t *testing.T) {
	for _, period := range []time.Duration{time.Second, 20 * time.Second} {
		o := newOne(t, Config{ShufflePeriod: period, ProbePeriod: time.Hour})
		o.neighbors(1, 2)
		o.tick(40 * period)
		require.InDelta(t, 40, len(frames(o.did(), frameShuffle)), 4)
	}
}

func TestParamJoinTimeout(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 7 * time.Second} {
		o := newOne(t, Config{JoinTimeout: d})
		o.Join(agentID(1), o.now)
		o.up(1)
		require.Zero(t, o.after(isFrame(1, frameJoin)))
		require.Equal(t, d, o.after(isFrame(1, frameJoin)), "again")
	}
}

func TestParamNeighborTimeout(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 5 * time.Second} {
		o := newOne(t, Config{Active: 1, NeighborTimeout: d, ProbePeriod: time.Hour, ShufflePeriod: time.Hour})
		o.up(1)
		require.Zero(t, o.after(isFrame(1, frameNeighbor)))
		o.up(2)
		require.Equal(t, d, o.after(isFrame(2, frameNeighbor)))
	}
}

func TestParamDialTimeout(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 11 * time.Second} {
		o := newOne(t, Config{Active: 1, DialTimeout: d, ProbePeriod: time.Hour, ShufflePeriod: time.Hour})
		o.neighbors(1)
		o.frame(1, shuffleFrame(shuffle{entries: []Peer{peerOf(8), peerOf(9)}}))
		o.down(1)
		first := kinds(o.did(), Dial)
		require.Len(t, first, 1)
		var second Action
		require.Equal(t, d, o.after(func(a Action) bool { second = a; return a.Kind == Dial }))
		require.NotEqual(t, first[0].Agent, second.Agent)
		require.EqualValues(t, 1, o.Stats().DialTimeouts)
	}
}

func TestParamProbePeriod(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 9 * time.Second} {
		o := newOne(t, Config{ProbePeriod: d})
		o.neighbors(1)
		require.Equal(t, d, o.after(isFrame(1, frameProbe)))
	}
}

func TestParamProbeTimeout(t *testing.T) {
	for _, d := range []time.Duration{100 * time.Millisecond, 3 * time.Second} {
		o := newOne(t, Config{ProbePeriod: 5 * time.Second, ProbeTimeout: d})
		o.neighbors(1)
		o.tick(time.Second)
		o.neighbors(2)
		o.after(isFrame(1, frameProbe))
		require.Equal(t, d, o.after(isFrame(2, frameProbeRequest)))
		require.Equal(t, d, o.after(func(a Action) bool { return a.Kind == Down && a.Agent == agentID(1) }))
	}
}

func TestParamSuspectTimeout(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 30 * time.Second} {
		o := newOne(t, Config{SuspectTimeout: d})
		o.neighbors(1)
		o.after(func(a Action) bool { return a.Kind == Down })
		from := o.now
		require.Equal(t, suspected, o.peers[agentID(1)].health)
		for range 1000 {
			if o.peers[agentID(1)].health != suspected {
				break
			}
			o.now = o.NextTick()
			o.Tick(o.now)
		}
		require.Equal(t, failed, o.peers[agentID(1)].health)
		require.Equal(t, d, o.now.Sub(from))
	}
}

func TestParamIndirectProbes(t *testing.T) {
	for v, want := range map[int]int{0: 3, 1: 1, 5: 5, -1: 0} {
		o := newOne(t, Config{IndirectProbes: v})
		o.neighbors(1)
		o.tick(time.Second)
		o.neighbors(2, 3, 4, 5, 6)
		o.tick(1600 * time.Millisecond)
		require.Len(t, frames(o.did(), frameProbeRequest), want)
	}
}

func TestParamMaxPerPrefix(t *testing.T) {
	for v, want := range map[int]int{0: 3, 1: 1, 5: 5, -1: 6} {
		o := newOne(t, Config{MaxPerPrefix: v})
		for n := 1; n <= 8; n++ {
			o.upFrom(n, netip.AddrPortFrom(attackerAddr, uint16(n)))
			o.frame(n, neighborFrame(false))
		}
		require.Len(t, o.ActiveView(), want)

		// Off, the passive view is open to one address too.
		for n := 11; n <= 30; n++ {
			o.upFrom(n, netip.AddrPortFrom(attackerAddr, uint16(n)))
		}
		if v < 0 {
			require.Greater(t, len(o.PassiveView()), 15)
		} else {
			require.Len(t, o.PassiveView(), 3)
		}
	}
}

func TestParamPrefixExempt(t *testing.T) {
	for _, exempt := range []bool{false, true} {
		o := newOne(t, Config{PrefixExempt: func(a netip.Addr) bool { return exempt && a == attackerAddr }})
		for n := 1; n <= 8; n++ {
			o.upFrom(n, netip.AddrPortFrom(attackerAddr, uint16(n)))
			o.frame(n, neighborFrame(false))
		}
		require.Len(t, o.ActiveView(), map[bool]int{false: 3, true: 6}[exempt])
	}
}

func TestParamRand(t *testing.T) {
	victim := func(seed uint64) []Action {
		o := newOne(t, Config{Rand: rand.New(rand.NewPCG(seed, 0))})
		o.neighbors(1, 2, 3, 4, 5, 6)
		o.up(7)
		o.frame(7, joinFrame())
		return o.did()
	}
	require.Equal(t, victim(1), victim(1))
	different := false
	for seed := range uint64(10) {
		different = different || !equalActions(victim(1), victim(seed+2))
	}
	require.True(t, different)
}
