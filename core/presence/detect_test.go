package presence

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/trust"
)

// A beacon every 30 s ±10 % for an hour, over lines of three kinds, from 50
// agents; then they stop.
func TestDetection(t *testing.T) {
	const (
		trains   = 50
		interval = 30 * time.Second
	)
	for _, tt := range []struct {
		name   string
		jitter time.Duration // of the way
		loss   float64
		least  time.Duration
		most   time.Duration // until the silence is noticed
	}{
		{"regular", 0, 0, 3 * interval, 5 * interval},
		{"jittery", 10 * time.Second, 0, 3 * interval, 6 * interval},
		{"lossy", 2 * time.Second, 0.1, 3 * interval, 9 * interval},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var least, most, sum time.Duration
			for train := range trains {
				o := newOne(t, Config{Visibility: Hidden}) // its own beacons would take the time
				o.State.verify = func([]byte, *beacon) bool { return true }
				rnd := rand.New(rand.NewPCG(uint64(train), 3))
				o.neighbor(1)
				var last time.Time
				next := start
				for next.Before(start.Add(time.Hour)) {
					if rnd.Float64() >= tt.loss {
						arrives := next.Add(time.Duration(rnd.Int64N(int64(tt.jitter) + 1)))
						if arrives.After(o.now) {
							o.run(arrives.Sub(o.now))
						}
						b := &beacon{agent: agentID(1), machine: machineID(1), sequence: uint64(next.UnixMilli()),
							sent: next, interval: interval, signature: make([]byte, 3309)}
						b.encode()
						o.give(1, beaconFrame(b))
						last = o.now
					}
					next = next.Add(interval - interval/10 + time.Duration(rnd.Int64N(int64(interval/5)+1)))
				}
				require.Equal(t, []string{"online 1"}, events(o.Take()), "train %d", train)

				for len(o.Online()) > 0 {
					require.Less(t, o.now.Sub(last), time.Hour)
					o.run(time.Second)
				}
				took := o.now.Sub(last)
				require.Equal(t, []string{"offline 1"}, events(o.Take()))
				require.GreaterOrEqual(t, took, tt.least)
				require.LessOrEqual(t, took, tt.most)
				if least == 0 || took < least {
					least = took
				}
				most, sum = max(most, took), sum+took
			}
			t.Logf("%s: %d trains of an hour, none offline before its end; then noticed after %v to %v, mean %v",
				tt.name, trains, least, most, (sum / trains).Round(time.Second))
		})
	}
}

// Of an agent that has hardly been heard, and of one that promises little, the
// fallback is all there is.
func TestDetectionIsBounded(t *testing.T) {
	for name, interval := range map[string]time.Duration{"few": 30 * time.Second, "rare": 1 << 31 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			o := newOne(t, Config{})
			o.neighbor(1)
			for range 3 {
				o.run(time.Minute)
				o.beacon(1, func(b *beacon) { b.interval = interval })
			}
			o.run(300*time.Second - time.Millisecond)
			require.Equal(t, []string{"online 1"}, events(o.Take()))
			o.run(time.Millisecond)
			require.Equal(t, []string{"offline 1"}, events(o.Take()))
		})
	}
	// One that promises much and does not keep it is no burden.
	o := newOne(t, Config{})
	o.up(1)
	for range 20 {
		o.run(time.Minute)
		o.beacon(1, func(b *beacon) { b.interval = time.Millisecond })
	}
	require.Equal(t, []string{"online 1"}, events(o.Take()))
}

func TestLostConnection(t *testing.T) {
	regular := func() *one {
		o := newOne(t, Config{})
		o.up(1)
		for range 20 {
			o.run(30 * time.Second)
			o.beacon(1)
		}
		o.Take()
		return o
	}
	o := regular()
	o.lost(1)
	o.run(10*time.Second - time.Millisecond)
	require.Empty(t, events(o.Take()))
	o.run(time.Millisecond)
	require.Equal(t, []string{"offline 1"}, events(o.Take()))
	o.run(time.Minute)
	o.up(1)
	require.Empty(t, events(o.Take()), "a connection is no beacon: it may hide")
	o.beacon(1)
	require.Equal(t, []string{"online 1"}, events(o.Take()))

	o = regular() // it comes back
	o.lost(1)
	o.run(9 * time.Second)
	o.up(1)
	o.run(30 * time.Second)
	o.beacon(1)
	o.run(time.Minute)
	require.Empty(t, events(o.Take()))

	o = regular() // the overlay closed it, and the agent is where it was
	o.closed(1)
	o.run(80 * time.Second)
	require.Empty(t, events(o.Take()))
	o.run(60 * time.Second)
	require.Equal(t, []string{"offline 1"}, events(o.Take()))
}

func TestGoodbye(t *testing.T) {
	o := newOne(t, Config{})
	o.levels[agentID(1)] = trust.Known
	o.neighbor(2)
	o.up(1)
	b := o.made(1)
	o.give(1, beaconFrame(b))
	o.now = o.now.Add(time.Second)
	o.give(1, goodbyeFrame(b.sequence))
	o.give(1, goodbyeFrame(b.sequence))
	o.lost(1)
	o.run(time.Minute)
	require.Equal(t, []string{"online 1", "offline 1"}, events(o.Take()), "at once, and once")

	// A copy that somebody kept does not bring it back.
	id, err := o.Query(1, 0, o.now)
	require.NoError(t, err)
	o.give(2, answerFrame(answer{id: id, final: true, beacons: []relayed{passed(1, b)}}))
	require.Empty(t, events(o.Take()))
	require.EqualValues(t, 1, o.Stats().Replayed)
	e, known := o.Status(agentID(1))
	require.True(t, known, "contacts are remembered")
	require.False(t, e.Online)
	require.Equal(t, start.Add(time.Second), e.LastSeen)

	// A newer one does.
	id, _ = o.Query(1, 0, o.now)
	o.give(2, answerFrame(answer{id: id, final: true, beacons: []relayed{passed(1, o.made(1))}}))
	require.Equal(t, []string{"online 1"}, events(o.Take()))

	// Of one of whom nothing is known it is nothing.
	o.up(3)
	o.give(3, goodbyeFrame(7))
	require.Empty(t, events(o.Take()))
	_, known = o.Status(agentID(3))
	require.False(t, known)
}

// Strangers push out strangers; contacts stay, on and offline.
func TestTableIsBounded(t *testing.T) {
	const room, contacts = 32, 8
	o := newOne(t, Config{MaxAgents: room})
	o.State.verify = func([]byte, *beacon) bool { return true }
	fake := func(n int) (b beacon) {
		b = beacon{sequence: uint64(o.now.UnixMilli()), sent: o.now, interval: 30 * time.Second, signature: make([]byte, 3309)}
		b.agent[0], b.agent[1], b.agent[2] = 1, byte(n>>8), byte(n)
		b.encode()
		return b
	}
	for n := range contacts {
		b := fake(n)
		o.levels[b.agent] = trust.Known
		o.learn(&b)
		if n%2 == 0 {
			o.offline(o.table[b.agent])
		}
	}
	o.now = o.now.Add(time.Second)
	o.begin(o.now)
	for n := contacts; n < 500; n++ {
		b := fake(n)
		o.keys[b.agent] = make([]byte, 1952)
		if n%3 == 0 {
			o.learn(&b)
		} else {
			o.PeerUp(b.agent, b.machine, o.now)
			require.NoError(t, o.HandleFrame(b.agent, beaconFrame(&b), o.now))
		}
		require.LessOrEqual(t, len(o.table), room)
	}
	for n := range contacts {
		b := fake(n)
		e, known := o.Status(b.agent)
		require.True(t, known, "contact %d", n)
		require.Equal(t, n%2 == 1, e.Online)
	}
	require.NotZero(t, o.Stats().Evicted)
	require.NotZero(t, o.Stats().TableFull, "of whom others told does not push out who is connected")

	// What the events told is what is online.
	online := make(map[string]bool)
	for _, a := range o.Take() {
		key := fmt.Sprint(a.Agent)
		switch a.Kind {
		case Online:
			require.False(t, online[key])
			online[key] = true
		case Offline:
			require.True(t, online[key])
			delete(online, key)
		}
	}
	require.Len(t, o.Online(), len(online))

	// A new contact gets a place, and all full of contacts is full.
	for n := 1000; n < 1000+2*room; n++ {
		b := fake(n)
		o.levels[b.agent] = trust.Trusted
		o.learn(&b)
	}
	require.Len(t, o.table, room)
	for _, e := range o.Online() {
		require.GreaterOrEqual(t, o.level(e.Agent), trust.Known)
	}
}

func TestStrangersAreForgotten(t *testing.T) {
	o := newOne(t, Config{})
	o.up(1)
	o.beacon(1)
	o.lost(1)
	o.run(time.Minute)
	_, known := o.Status(agentID(1))
	require.True(t, known)
	o.run(10 * time.Minute)
	_, known = o.Status(agentID(1))
	require.False(t, known)
}

// A neighbour that is none any more sends no beacons, and is not gone.
func TestSilenceThatSaysNothing(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbor(1)
	o.beacon(1)
	delete(o.neighbors, agentID(1))
	o.run(time.Hour)
	require.Equal(t, []string{"online 1"}, events(o.Take()))
	o.lost(1)
	o.run(10 * time.Second)
	require.Equal(t, []string{"offline 1"}, events(o.Take()))
}

// Whoever stood still for an hour does not take everybody for dead.
func TestStoodStill(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbor(1)
	o.beacon(1)
	o.run(20 * time.Second)
	o.now = o.now.Add(time.Hour)
	o.Tick(o.now)
	o.beacon(1)
	require.Equal(t, []string{"online 1"}, events(o.Take()))
	o.lost(1)
	o.run(time.Minute)
	require.Equal(t, []string{"offline 1"}, events(o.Take()))
}
