package presence

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestContactsAreWatched(t *testing.T) {
	o := newOne(t, Config{Visibility: Hidden})
	o.levels[agentID(1)] = trust.Known
	o.up(1)
	o.up(2)
	actions := o.Take()
	require.Equal(t, []frameType{frameWatch}, frames(actions, 1))
	require.Empty(t, frames(actions, 2))
	o.run(30 * time.Minute)
	require.InDelta(t, 6, len(frames(o.Take(), 1)), 1, "renewed twice in a lease")

	o.levels[agentID(2)] = trust.Trusted
	o.TrustChanged(agentID(2), o.now)
	require.Equal(t, []frameType{frameWatch}, frames(o.Take(), 2))
	o.levels[agentID(2)] = trust.Unknown
	o.TrustChanged(agentID(2), o.now)
	require.Equal(t, []frameType{frameUnwatch}, frames(o.Take(), 2))
	o.levels[agentID(1)] = trust.Blocked
	o.TrustChanged(agentID(1), o.now)
	o.run(time.Hour)
	require.Empty(t, o.Take(), "who is blocked is told nothing")
}

// Whoever is refused sees what he would see of an agent that is silent.
func TestRefusalLooksLikeSilence(t *testing.T) {
	for name, refuse := range map[string]func(o *one){
		"blocked": func(o *one) { o.levels[agentID(1)] = trust.Blocked },
		"social":  func(o *one) { o.SetVisibility(Social, o.now) },
		"hidden":  func(o *one) { o.SetVisibility(Hidden, o.now) },
		"full": func(o *one) {
			for n := 2; n < 4; n++ {
				o.up(n)
				o.give(n, watchFrame(time.Hour))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOne(t, Config{MaxWatchers: 2})
			refuse(o)
			o.up(1)
			o.give(1, watchFrame(time.Hour))
			o.give(1, unwatchFrame())
			o.give(1, watchFrame(time.Minute))
			o.run(2 * time.Hour)
			require.Empty(t, frames(o.Take(), 1))
		})
	}
}

func TestWatchersAndLeases(t *testing.T) {
	o := newOne(t, Config{MaxWatchers: 1})
	o.up(1)
	o.up(2)
	o.give(1, watchFrame(time.Minute))
	require.Equal(t, []frameType{frameBeacon}, frames(o.Take(), 1), "at once")
	o.give(1, watchFrame(time.Minute))
	o.give(1, unwatchFrame())
	o.give(1, watchFrame(time.Minute))
	require.Empty(t, o.Take(), "the same beacon is not sent again, whatever it asks")
	o.give(2, watchFrame(time.Minute))
	require.EqualValues(t, 1, o.Stats().WatchesRefused)
	o.run(61 * time.Second)
	require.Len(t, frames(o.Take(), 1), 2)
	o.run(5 * time.Minute)
	require.Empty(t, o.Take(), "the lease is over")
	o.give(2, watchFrame(1<<31*time.Millisecond)) // there is room again, but not for weeks
	o.run(maxLease)
	o.Take()
	o.run(10 * time.Minute)
	require.Empty(t, o.Take())

	// Contacts need no place.
	o.levels[agentID(3)] = trust.Known
	o.give(1, watchFrame(time.Hour))
	o.up(3)
	require.Contains(t, frames(o.Take(), 3), frameBeacon)
}

func wants(actions []Action) (n int) {
	for _, a := range actions {
		if a.Kind == Want {
			n++
		}
	}
	return n
}

func TestWhoIsWatchedIsWanted(t *testing.T) {
	o := newOne(t, Config{})
	require.NoError(t, o.Watch(agentID(1), o.now))
	require.NoError(t, o.Watch(agentID(1), o.now), "again is nothing")
	require.NoError(t, o.Watch(agentID(0), o.now), "itself is nothing")
	require.Equal(t, 1, wants(o.Take()))
	o.run(time.Hour)
	require.InDelta(t, 10, wants(o.Take()), 2, "with doubling pauses, up to 8 min")

	o.up(1)
	require.Equal(t, []frameType{frameWatch}, frames(o.Take(), 1))
	o.run(time.Hour)
	require.Zero(t, wants(o.Take()), "it is connected")

	o.lost(1)
	o.run(0)
	require.Equal(t, 1, wants(o.Take()), "at once when its connection is lost")
	o.up(1)
	o.closed(1)
	o.run(0)
	require.Zero(t, wants(o.Take()))
	o.run(35 * time.Second)
	require.Equal(t, 1, wants(o.Take()), "in a while when it was closed")

	o.Unwatch(agentID(1), o.now)
	o.run(time.Hour)
	require.Zero(t, wants(o.Take()))
}

// A thousand absent contacts are not searched for all at once.
func TestWantsAreLimited(t *testing.T) {
	o := newOne(t, Config{})
	for i := range maxWatched {
		a := agentID(1)
		a[0], a[1] = byte(i), byte(i>>8)
		require.NoError(t, o.Watch(a, o.now))
	}
	require.Equal(t, wire.KindLimit, wire.KindOf(o.Watch(agentID(2), o.now)))
	require.Equal(t, paceWant.burst, wants(o.Take()))
	o.run(10 * time.Minute)
	n := wants(o.Take())
	require.LessOrEqual(t, n, 301)
	require.Greater(t, n, 250)
}
