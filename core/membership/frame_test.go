package membership

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// samples are frames of every type.
func samples() [][]byte {
	v6 := Peer{Agent: agentID(3), Addrs: []netip.AddrPort{netip.MustParseAddrPort("[2001:db8::1]:5483"), addrOf(3)}}
	bare := Peer{Agent: agentID(4)}
	origin := peerOf(9)
	rnd := rand.New(rand.NewPCG(1, 1))
	return [][]byte{
		joinFrame(),
		forwardJoinFrame(walk{ttl: 6}, peerOf(1)),
		forwardJoinFrame(walk{ttl: 0, path: inventedPath(rnd)}, v6),
		neighborFrame(false), neighborFrame(true),
		answerFrame(false), answerFrame(true),
		disconnectFrame(false), disconnectFrame(true),
		shuffleFrame(shuffle{nonce: 7, walk: walk{ttl: 6}}),
		shuffleFrame(shuffle{nonce: 7, walk: walk{ttl: 2, path: []prefix{1, 2}}, origin: &origin, entries: []Peer{v6, bare, peerOf(5)}}),
		shuffleFrame(shuffle{walk: walk{path: make([]prefix, maxPath)}, origin: &origin, entries: inventedList(rnd)}),
		shuffleReplyFrame(shuffleReply{nonce: 8}),
		shuffleReplyFrame(shuffleReply{nonce: 8, path: []prefix{1 << 63}, entries: []Peer{v6}}),
		probeFrame(1, 2, false), probeFrame(1, 2, true),
		probeRequestFrame(3, agentID(1)),
		ackFrame(1, 2),
		newsFrame([]newsItem{{status: statusFailed, hops: 3, incarnation: 9, agent: agentID(2)}}),
		newsFrame(make([]newsItem, maxNews)),
	}
}

// rewrite parses a frame and writes it again.
func rewrite(frame []byte) ([]byte, error) {
	body := frame[1:]
	switch frameType(frame[0]) {
	case frameJoin:
		return joinFrame(), parseEmpty("", body)
	case frameForwardJoin:
		w, p, err := parseForwardJoin(body)
		return forwardJoinFrame(w, p), err
	case frameNeighbor:
		v, err := parseFlag("", body)
		return neighborFrame(v), err
	case frameAnswer:
		v, err := parseFlag("", body)
		return answerFrame(v), err
	case frameDisconnect:
		v, err := parseFlag("", body)
		return disconnectFrame(v), err
	case frameShuffle:
		sh, err := parseShuffle(body)
		return shuffleFrame(sh), err
	case frameShuffleReply:
		r, err := parseShuffleReply(body)
		return shuffleReplyFrame(r), err
	case frameProbe:
		seq, inc, n, err := parseProbe(body)
		return probeFrame(seq, inc, n), err
	case frameProbeRequest:
		seq, target, err := parseProbeRequest(body)
		return probeRequestFrame(seq, target), err
	case frameAck:
		seq, inc, err := parseAck(body)
		return ackFrame(seq, inc), err
	case frameNews:
		items, err := parseNews(body)
		return newsFrame(items), err
	}
	return nil, wire.Errorf(wire.KindUnsupported, "rewrite", "unknown type")
}

func TestFramesRoundTrip(t *testing.T) {
	seen := make(map[byte]bool)
	for _, f := range samples() {
		require.LessOrEqual(t, len(f), maxFrame)
		require.True(t, IsFrame(f[0]))
		seen[f[0]] = true
		again, err := rewrite(f)
		require.NoError(t, err)
		require.Equal(t, f, again)
		for n := 1; n < len(f); n++ {
			_, err := rewrite(f[:n])
			require.Equal(t, wire.KindCorrupt, wire.KindOf(err), "cut at %d of %x", n, f)
		}
		_, err = rewrite(append(bytes.Clone(f), 0))
		require.Equal(t, wire.KindCorrupt, wire.KindOf(err), "something after %x", f)
	}
	require.Len(t, seen, 11)
	for first, want := range map[byte]bool{0x1f: false, 0x20: true, 0x3f: true, 0x40: false} {
		require.Equal(t, want, IsFrame(first))
	}
}

// The largest frames that this package makes are within what it takes.
func TestLargestFrames(t *testing.T) {
	p := Peer{Agent: agentID(1)}
	for range maxAddrs {
		p.Addrs = append(p.Addrs, netip.MustParseAddrPort("[2001:db8::1]:5483"))
	}
	sh := shuffle{walk: walk{path: make([]prefix, maxPath)}, origin: &p}
	for range maxEntries {
		sh.entries = append(sh.entries, p)
	}
	require.LessOrEqual(t, len(shuffleFrame(sh)), maxFrame)
	require.LessOrEqual(t, len(newsFrame(make([]newsItem, maxNews))), maxFrame)
}

func TestBadFrames(t *testing.T) {
	peerOfBytes := func(n uint64, rest ...byte) []byte {
		id := agentID(1)
		b := wire.NewBuilder(nil).U8(byte(frameForwardJoin)).U8(1).Uvarint(0).Fixed(id[:]).Fixed(id[:])
		return append(b.Uvarint(n).Build(), rest...)
	}
	for name, c := range map[string]struct {
		frame []byte
		kind  wire.Kind
	}{
		"empty":             {nil, wire.KindCorrupt},
		"unknown type":      {[]byte{0x3f, 1}, wire.KindUnsupported},
		"of gossip":         {[]byte{0x01}, wire.KindUnsupported},
		"too large":         {make([]byte, maxFrame+1), wire.KindTooLarge},
		"flag 2":            {[]byte{byte(frameNeighbor), 2}, wire.KindCorrupt},
		"too many addrs":    {peerOfBytes(maxAddrs + 1), wire.KindCorrupt},
		"address bomb":      {peerOfBytes(1 << 60), wire.KindCorrupt},
		"family 5":          {peerOfBytes(1, 5, 1, 2, 3, 4, 0, 1), wire.KindCorrupt},
		"port 0":            {peerOfBytes(1, 4, 1, 2, 3, 4, 0, 0), wire.KindCorrupt},
		"mapped":            {peerOfBytes(1, append(append([]byte{6}, netip.MustParseAddr("::ffff:1.2.3.4").AsSlice()...), 1, 1)...), wire.KindCorrupt},
		"zero agent":        {forwardJoinFrame(walk{}, Peer{}), wire.KindCorrupt},
		"path bomb":         {append([]byte{byte(frameForwardJoin), 3}, wire.NewBuilder(nil).Uvarint(1<<50).Build()...), wire.KindCorrupt},
		"too many entries":  {append(wire.NewBuilder(nil).U8(byte(frameShuffleReply)).U64(1).Uvarint(0).Build(), maxEntries+1), wire.KindCorrupt},
		"no news":           {[]byte{byte(frameNews), 0}, wire.KindCorrupt},
		"too much news":     {newsFrame(make([]newsItem, maxNews+1)), wire.KindCorrupt},
		"impossible status": {newsFrame([]newsItem{{status: 3}}), wire.KindCorrupt},
	} {
		o := newOne(t, Config{})
		o.neighbors(1)
		err := o.HandleFrame(agentID(1), c.frame, o.now)
		require.Equal(t, c.kind, wire.KindOf(err), name)
		require.EqualValues(t, 1, o.Stats().BadFrames, name)
		require.Contains(t, o.ActiveView(), agentID(1), name)
		require.Empty(t, o.did(), name)
	}
	o := newOne(t, Config{})
	require.Equal(t, wire.KindNotFound, wire.KindOf(o.HandleFrame(agentID(1), joinFrame(), o.now)))
	require.Empty(t, o.did())
}
