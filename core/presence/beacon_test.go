package presence

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestWhoHearsBeacons(t *testing.T) {
	const (
		stranger = iota + 1
		neighbor
		watcher
		contact
		blockedNeighbor
		blockedWatcher
		agents
	)
	for visibility, want := range map[Visibility][]int{
		Network: {neighbor, watcher, contact},
		Social:  {contact},
		Hidden:  nil,
	} {
		t.Run(visibility.String(), func(t *testing.T) {
			o := newOne(t, Config{Visibility: visibility})
			o.levels[agentID(contact)] = trust.Known
			o.levels[agentID(blockedNeighbor)] = trust.Blocked
			o.levels[agentID(blockedWatcher)] = trust.Blocked
			for n := 1; n < agents; n++ {
				if n == neighbor || n == blockedNeighbor {
					o.neighbor(n)
				} else {
					o.up(n)
				}
			}
			o.give(watcher, watchFrame(time.Hour))
			o.give(blockedWatcher, watchFrame(time.Hour))
			check := func(most int) {
				t.Helper()
				actions := o.Take()
				for n := 1; n < agents; n++ {
					heard := 0
					for _, f := range frames(actions, n) {
						if f == frameBeacon {
							heard++
						}
					}
					expected := 0
					for _, w := range want {
						if w == n {
							expected = most
						}
					}
					require.Equal(t, expected, heard, "beacons to agent %d", n)
				}
			}
			check(1) // at once, and not twice
			o.run(33 * time.Second)
			check(1)
			o.run(10 * 30 * time.Second)
			actions := o.Take()
			for _, n := range want {
				require.InDelta(t, 10, len(frames(actions, n)), 2, "one beacon in an interval")
			}
		})
	}
}

func TestHidingSaysGoodbye(t *testing.T) {
	o := newOne(t, Config{})
	o.levels[agentID(2)] = trust.Trusted
	o.neighbor(1)
	o.up(2)
	o.up(3)
	o.Take()
	o.SetVisibility(Social, o.now)
	actions := o.Take()
	require.Equal(t, []frameType{frameGoodbye}, frames(actions, 1))
	require.Equal(t, []frameType{frameBeacon}, frames(actions, 2), "with the new visibility")
	require.Empty(t, frames(actions, 3), "which has heard nothing")
	o.SetVisibility(Hidden, o.now)
	require.Equal(t, []frameType{frameGoodbye}, frames(o.Take(), 2))
	o.run(6 * time.Minute)
	require.Equal(t, []frameType{frameWatch}, frames(o.Take(), 2), "a renewal, and no beacon")
}

func TestLeave(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbor(1)
	o.up(2)
	o.Take()
	o.Leave(o.now)
	actions := o.Take()
	require.Equal(t, []frameType{frameGoodbye}, frames(actions, 1))
	require.Empty(t, frames(actions, 2))
	require.True(t, o.NextTick().IsZero())
	o.give(1, beaconFrame(o.made(1)))
	o.Tick(o.now.Add(time.Hour))
	_, err := o.Query(0, 0, o.now)
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
	require.Empty(t, o.Take())
}

// Each beacon that must not be believed, and the counter that shows it.
func TestHostileBeacons(t *testing.T) {
	type beacons = func(o *one) []byte
	for _, tt := range []struct {
		name  string
		frame beacons
		kind  wire.Kind
		count func(*Stats) uint64
	}{
		{"signature broken", func(o *one) []byte {
			b := o.made(1)
			b.signature[100] ^= 1
			return beaconFrame(b)
		}, wire.KindAuth, func(s *Stats) uint64 { return s.Forged }},
		{"content changed", func(o *one) []byte {
			b := o.made(1)
			b.body[70]++ // of the sequence
			return beaconFrame(b)
		}, wire.KindAuth, func(s *Stats) uint64 { return s.Forged }},
		{"signed by another agent", func(o *one) []byte {
			b := o.made(1)
			require.NoError(o.t, b.sign(keyOf(2)))
			return beaconFrame(b)
		}, wire.KindAuth, func(s *Stats) uint64 { return s.Forged }},
		{"signed for another format", func(o *one) []byte {
			b := o.made(1)
			var err error
			b.signature, err = keyOf(1).Sign(wire.SignedBytes(identity.DomainAnnounce, b.body), []byte(identity.DomainAnnounce))
			require.NoError(o.t, err)
			return beaconFrame(b)
		}, wire.KindAuth, func(s *Stats) uint64 { return s.Forged }},
		{"of another agent, genuine", func(o *one) []byte { return beaconFrame(o.made(2)) },
			wire.KindAuth, func(s *Stats) uint64 { return s.Forged }},
		{"of another machine", func(o *one) []byte {
			return beaconFrame(o.made(1, func(b *beacon) { b.machine = machineID(2) }))
		}, wire.KindAuth, func(s *Stats) uint64 { return s.Forged }},
		{"dated ahead", func(o *one) []byte {
			return beaconFrame(o.made(1, func(b *beacon) { b.sent = o.now.Add(maxAhead + time.Millisecond) }))
		}, wire.KindPolicy, func(s *Stats) uint64 { return s.Ahead }},
		{"too large", func(o *one) []byte { return append([]byte{byte(frameBeacon)}, make([]byte, MaxFrame)...) },
			wire.KindTooLarge, func(s *Stats) uint64 { return s.Oversize }},
		{"cut short", func(o *one) []byte { f := beaconFrame(o.made(1)); return f[:len(f)-1] },
			wire.KindCorrupt, func(s *Stats) uint64 { return s.Refused }},
		{"trailing byte", func(o *one) []byte { return append(beaconFrame(o.made(1)), 0) },
			wire.KindCorrupt, func(s *Stats) uint64 { return s.Refused }},
		{"of a hidden agent", func(o *one) []byte {
			return beaconFrame(o.made(1, func(b *beacon) { b.visibility = Hidden }))
		}, wire.KindCorrupt, func(s *Stats) uint64 { return s.Refused }},
		{"of a later version", func(o *one) []byte { return []byte{0x6f, 1} },
			wire.KindUnsupported, func(s *Stats) uint64 { return s.Refused }},
		{"empty", func(o *one) []byte { return nil },
			wire.KindCorrupt, func(s *Stats) uint64 { return s.Refused }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOne(t, Config{})
			o.up(1)
			o.Take()
			err := o.HandleFrame(agentID(1), tt.frame(o), o.now)
			require.Error(t, err)
			require.Equal(t, tt.kind, wire.KindOf(err), "%v", err)
			st := o.Stats()
			require.EqualValues(t, 1, tt.count(&st))
			require.EqualValues(t, 1, st.Refused)
			require.Empty(t, o.Take())
			require.Empty(t, o.Online())

			o.beacon(1, func(b *beacon) { b.sequence++ }) // unharmed: the next one is believed
			require.Equal(t, []string{"online 1"}, events(o.Take()))
		})
	}
}

func TestRepeatedBeacons(t *testing.T) {
	o := newOne(t, Config{})
	o.up(1)
	first := beaconFrame(o.made(1))
	o.give(1, first)
	o.now = o.now.Add(30 * time.Second)
	second := beaconFrame(o.made(1))
	o.give(1, second)
	for i, old := range [][]byte{first, second} {
		err := o.HandleFrame(agentID(1), old, o.now)
		require.Equal(t, wire.KindAuth, wire.KindOf(err))
		require.EqualValues(t, i+1, o.Stats().Replayed)
	}
	require.Equal(t, []string{"online 1"}, events(o.Take()))
	o.now = o.now.Add(time.Second)
	e, _ := o.Status(agentID(1))
	require.Equal(t, start.Add(30*time.Second), e.LastSeen, "a repeated beacon is no sign of life")
}

func TestBeaconEdges(t *testing.T) {
	o := newOne(t, Config{})
	o.up(1)
	o.beacon(1, func(b *beacon) { b.sent = o.now.Add(maxAhead) }) // as far ahead as may be
	require.Equal(t, []string{"online 1"}, events(o.Take()))

	// A process that starts again with its clock set back: what it says itself,
	// over a new connection, is believed.
	o.lost(1)
	o.up(1)
	o.beacon(1, func(b *beacon) { b.sequence, b.sent = 1, o.now.Add(-24*time.Hour) })
	require.Empty(t, events(o.Take()))
	require.Len(t, o.Online(), 1)

	require.Equal(t, wire.KindNotFound, wire.KindOf(o.HandleFrame(agentID(9), beaconFrame(o.made(9)), o.now)))
	require.EqualValues(t, 1, o.Stats().Strangers)
	delete(o.keys, agentID(1))
	o.now = o.now.Add(time.Second)
	require.Equal(t, wire.KindNotFound, wire.KindOf(o.HandleFrame(agentID(1), beaconFrame(o.made(1)), o.now)))
	require.EqualValues(t, 1, o.Stats().Keyless)
}

// A peer cannot have any number of signatures checked.
func TestBeaconsAreLimited(t *testing.T) {
	o := newOne(t, Config{})
	o.up(1)
	checked := 0
	o.State.verify = func(key []byte, b *beacon) bool { checked++; return true }
	for i := range 100 {
		o.beacon(1, func(b *beacon) { b.sequence += uint64(i) })
	}
	require.Equal(t, paceBeacon.burst, checked)
	require.EqualValues(t, 100-paceBeacon.burst, o.Stats().Limited)
}

func TestWhoIsNotDelivered(t *testing.T) {
	o := newOne(t, Config{})
	for n := 1; n <= 3; n++ {
		o.up(n)
	}
	o.Take()
	o.levels[agentID(1)] = trust.Blocked
	o.mute[agentID(2)] = true
	for n := 1; n <= 3; n++ {
		o.beacon(n) // no error: the sender must not see the difference
	}
	require.Equal(t, []string{"online 3"}, events(o.Take()))
	require.EqualValues(t, 2, o.Stats().Undelivered)
	require.Len(t, o.Online(), 1)

	// Blocked while online: gone at once, silently, and for good.
	o.levels[agentID(3)] = trust.Blocked
	require.Empty(t, o.Online(), "even before it is told")
	o.TrustChanged(agentID(3), o.now)
	o.run(10 * time.Minute)
	require.Empty(t, o.Take())
	_, known := o.Status(agentID(3))
	require.False(t, known)

	// Without being told it is silent as well.
	o.levels[agentID(3)] = trust.Unknown
	o.beacon(3)
	require.Equal(t, []string{"online 3"}, events(o.Take()))
	o.levels[agentID(3)] = trust.Blocked
	o.run(10 * time.Minute)
	require.Empty(t, events(o.Take()))
}
