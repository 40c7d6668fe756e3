package discovery

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

var farAway = netip.MustParseAddr("9.8.7.6")

// Each reason to refuse has a counter of its own.
func TestCacheRefuses(t *testing.T) {
	c := NewCache(CacheConfig{})
	add := func(raw []byte, now time.Time) error {
		_, _, err := c.AddBytes(raw, farAway, now)
		return err
	}
	seventh := announce(t, "a", "m", 7, nil).Marshal()
	require.NoError(t, add(seventh, testNow))
	require.ErrorIs(t, add(seventh, testNow), ErrReplayed)
	require.ErrorIs(t, add(announce(t, "a", "m", 6, nil).Marshal(), testNow), ErrReplayed)
	require.NoError(t, add(announce(t, "a", "m", 8, nil).Marshal(), testNow))

	b := announce(t, "b", "m", 1, nil).Marshal()
	require.ErrorIs(t, add(b, testNow.Add(time.Hour)), identity.ErrExpired)
	require.ErrorIs(t, add(b, testNow.Add(-2*time.Minute)), identity.ErrFutureDated)
	b[len(b)-9] ^= 1
	require.ErrorIs(t, add(b, testNow), identity.ErrSignature)
	b[0] = 0
	require.Equal(t, wire.KindUnsupported, wire.KindOf(add(b, testNow)))
	require.Equal(t, wire.KindCorrupt, wire.KindOf(add(b[:0], testNow)))
	require.Equal(t, CacheStats{Added: 2, Replayed: 2, Expired: 1, Future: 1, Forged: 1, Versions: 1, Malformed: 1, Agents: 1}, c.Stats())
}

func TestCacheAnswers(t *testing.T) {
	c := NewCache(CacheConfig{})
	a := announce(t, "a", "m", 1, func(o *AnnouncementOptions) { o.Certificate = certified(t, "a") })
	b := announce(t, "b", "m", 1, func(o *AnnouncementOptions) { o.TTL = time.Minute })
	for _, x := range []*Announcement{a, b} {
		_, err := c.Add(x, farAway, testNow)
		require.NoError(t, err)
	}
	require.Len(t, c.Agents(testNow), 2)
	require.Equal(t, []identity.MachineID{a.Machine}, c.Machines(testNow))
	require.Len(t, c.Machine(a.Machine, testNow), 2)
	require.Equal(t, []*Announcement{a}, c.ByUser(a.User, testNow))
	require.Empty(t, c.ByUser(identity.UserID{}, testNow))
	require.Equal(t, b, c.Agent(b.Agent, testNow))
	m, ok := c.MachineForAgent(b.Agent, testNow)
	require.True(t, ok)
	require.Equal(t, b.Machine, m)

	later := testNow.Add(time.Minute) // b has expired
	require.Nil(t, c.Agent(b.Agent, later))
	_, ok = c.MachineForAgent(b.Agent, later)
	require.False(t, ok)
	require.Equal(t, []*Announcement{a}, c.Agents(later))
	require.Equal(t, []*Announcement{a}, c.Machine(a.Machine, later))
	c.Sweep(later)
	require.Equal(t, 1, c.Stats().Agents)
	c.Forget(a.Agent)
	require.Empty(t, c.Agents(testNow))
}

// An older announcement that was to live longer does not come back when the newer
// one is over.
func TestCacheRemembersWhatIsOver(t *testing.T) {
	c := NewCache(CacheConfig{})
	long := announce(t, "a", "m", 1, func(o *AnnouncementOptions) { o.TTL = time.Hour })
	_, err := c.Add(long, farAway, testNow)
	require.NoError(t, err)
	_, err = c.Add(announce(t, "a", "m", 2, func(o *AnnouncementOptions) { o.TTL = time.Minute }), farAway, testNow)
	require.NoError(t, err)
	later := testNow.Add(2 * time.Minute)
	c.Sweep(later)
	_, err = c.Add(long, farAway, later)
	require.ErrorIs(t, err, ErrReplayed)
	require.Nil(t, c.Agent(long.Agent, later))
}

func TestCacheWidens(t *testing.T) {
	c := NewCache(CacheConfig{})
	a := announce(t, "a", "m", 1, nil)
	_, err := c.Add(a.Scoped(netip.Addr{}), farAway, testNow)
	require.NoError(t, err)
	_, err = c.Add(a, farAway, testNow)
	require.NoError(t, err)
	require.Equal(t, testAddrs, c.Agent(a.Agent, testNow).Addrs)
	require.NoError(t, c.Agent(a.Agent, testNow).Verify(testNow))
	_, err = c.Add(a.Scoped(netip.Addr{}), farAway, testNow)
	require.ErrorIs(t, err, ErrReplayed)
	require.Equal(t, testAddrs, c.Agent(a.Agent, testNow).Addrs)
}

// One agent on two machines is told, with both, and routed to the newer one.
func TestCacheConflict(t *testing.T) {
	c := NewCache(CacheConfig{})
	one := announce(t, "a", "m1", 5, nil)
	two := announce(t, "a", "m2", 1, func(o *AnnouncementOptions) { o.IssuedAt = testNow.Add(time.Second); o.TTL = time.Minute })
	_, err := c.Add(one, farAway, testNow)
	require.NoError(t, err)
	conflict, err := c.Add(two, farAway, testNow.Add(time.Second))
	require.NoError(t, err)
	require.Equal(t, &Conflict{Agent: one.Agent, Routed: two.Machine, Other: one.Machine}, conflict)
	require.Equal(t, two, c.Agent(one.Agent, testNow.Add(time.Second)))

	conflict, err = c.Add(one, farAway, testNow.Add(2*time.Second)) // of the loser again
	require.ErrorIs(t, err, ErrReplayed)
	require.NotNil(t, conflict)

	later := testNow.Add(2 * time.Minute) // two has expired: the agent is where it was
	require.Equal(t, one, c.Agent(one.Agent, later))
	conflict, err = c.Add(announce(t, "a", "m1", 6, func(o *AnnouncementOptions) { o.IssuedAt = later }), farAway, later)
	require.NoError(t, err)
	require.Nil(t, conflict)
}

// cheap makes an announcement of an agent that nobody has a key of.
func cheap(model *Announcement, id int) *Announcement {
	a := *model
	a.Agent = identity.AgentID{}
	binary.BigEndian.PutUint64(a.Agent[:], uint64(id)+1)
	return &a
}

// Strangers never push out a contact, and one address never most strangers.
func TestCacheKeepsContacts(t *testing.T) {
	model := announce(t, "a", "m", 1, nil)
	contacts := map[identity.AgentID]bool{}
	c := NewCache(CacheConfig{Size: 64,
		Contact: func(id identity.AgentID) bool { return contacts[id] },
		Verify:  func(*Announcement, time.Time) error { return nil },
	})
	id := 0
	add := func(from string) error {
		id++
		_, err := c.Add(cheap(model, id), netip.MustParseAddr(from), testNow.Add(time.Duration(id)))
		return err
	}
	for i := range 20 { // contacts
		contacts[cheap(model, id+1).Agent] = true
		require.NoError(t, add(fmt.Sprintf("1.1.1.%d", i)))
	}
	for i := range 20 { // strangers of many places
		require.NoError(t, add(fmt.Sprintf("2.2.2.%d", i)))
	}
	for range 1000 {
		require.NoError(t, add("6.6.6.6"))
	}
	present := func(from, to int) (n int) {
		for i := from; i <= to; i++ {
			if c.Agent(cheap(model, i).Agent, testNow) != nil {
				n++
			}
		}
		return n
	}
	require.Equal(t, 20, present(1, 20))
	require.Equal(t, 20, present(21, 40))
	require.Equal(t, 8, present(41, id), "an eighth")
	for i := range 1000 { // with many addresses strangers push out strangers
		require.NoError(t, add(fmt.Sprintf("7.7.%d.%d", i/250, i%250)))
	}
	require.Equal(t, 20, present(1, 20))
	require.Equal(t, 64, c.Stats().Agents)
	for i := range 44 { // contacts push out strangers
		contacts[cheap(model, id+1).Agent] = true
		require.NoError(t, add(fmt.Sprintf("1.1.2.%d", i)))
	}
	require.Equal(t, wire.KindLimit, wire.KindOf(add("8.8.8.8")))
	require.Equal(t, 20, present(1, 20))
	require.Equal(t, uint64(1), c.Stats().Refused)
}

func TestCacheCountsWhatVerifyRefuses(t *testing.T) {
	c := NewCache(CacheConfig{Verify: func(*Announcement, time.Time) error { return errForged }})
	_, err := c.Add(announce(t, "a", "m", 1, nil), farAway, testNow)
	require.ErrorIs(t, err, errForged)
	require.Equal(t, uint64(1), c.Stats().Forged)
}
