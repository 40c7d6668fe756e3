package membership

import (
	"testing"
	"time"
)

// settledOne is a state with full views.
func settledOne(b *testing.B) *one {
	o := newOne(b, Config{})
	o.neighbors(1, 2, 3, 4, 5, 6)
	for n := 20; n < 60; n++ {
		o.up(n)
		o.down(n)
	}
	o.did()
	return o
}

func BenchmarkProbe(b *testing.B) {
	o := settledOne(b)
	frame := probeFrame(1, 1, true)
	b.ReportAllocs()
	for b.Loop() {
		_ = o.HandleFrame(agentID(1), frame, o.now)
		_ = o.NextTick()
		o.Take()
	}
}

func BenchmarkShuffleOnward(b *testing.B) {
	o := settledOne(b)
	var entries []Peer
	for n := 100; n < 107; n++ {
		entries = append(entries, peerOf(n))
	}
	frame := shuffleFrame(shuffle{nonce: 1, walk: walk{ttl: 6}, entries: entries})
	b.ReportAllocs()
	for b.Loop() {
		o.now = o.now.Add(10 * time.Second)
		_ = o.HandleFrame(agentID(1), frame, o.now)
		_ = o.NextTick()
		o.Take()
	}
}
