package rendezvous

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// An agent stores what it says of itself, from the machine that it names, and
// nobody can bring back what it said before.
func TestStoreTakesTheWordOfTheSenderAlone(t *testing.T) {
	o := newOne(t, Config{})
	a, b := person(t, 1, 1), person(t, 2, 2)
	o.up(a)
	o.up(b)
	second := a.announce(t, 2, 0)
	st, _ := o.store(b, Agent, second.Marshal())
	require.Equal(t, statusRefused, st, "of another agent")
	elsewhere := person(t, 1, 3).announce(t, 2, 0)
	st, _ = o.store(a, Agent, elsewhere.Marshal())
	require.Equal(t, statusRefused, st, "of another machine")
	st, _ = o.store(a, User, second.Marshal())
	require.Equal(t, statusRefused, st, "no user is named")
	forged := second.Marshal()
	forged[len(forged)-1] ^= 1
	st, _ = o.store(a, Agent, forged)
	require.Equal(t, statusRefused, st)
	st, _ = o.store(a, Agent, nil)
	require.Equal(t, statusRefused, st)
	require.Equal(t, uint64(3), o.Stats().NotTheirs)
	require.Equal(t, uint64(2), o.Stats().BadRecords)

	st, _ = o.store(a, Agent, second.Marshal())
	require.Equal(t, statusKept, st)
	st, _ = o.store(a, Agent, a.announce(t, 1, 0).Marshal())
	require.Equal(t, statusStale, st)
	found, _ := o.find(b, KeyOf(Agent, a.Agent), kitNow)
	require.Len(t, found, 1)
	require.Equal(t, uint64(2), found[0].Sequence)
	found, _ = o.find(b, KeyOf(Machine, a.Agent), kitNow)
	require.Empty(t, found)
}

// A holder never answers with what has expired, swept or not.
func TestStoreForgetsInTime(t *testing.T) {
	o := newOne(t, Config{})
	a, b := person(t, 1, 1), person(t, 2, 2)
	o.up(a)
	o.up(b)
	st, _ := o.store(a, Agent, a.announce(t, 1, time.Minute).Marshal())
	require.Equal(t, statusKept, st)
	found, _ := o.find(b, KeyOf(Agent, a.Agent), kitNow.Add(time.Minute-time.Millisecond))
	require.Len(t, found, 1)
	found, _ = o.find(b, KeyOf(Agent, a.Agent), kitNow.Add(time.Minute))
	require.Empty(t, found)
	o.Tick(kitNow.Add(2 * time.Minute))
	require.Zero(t, o.Stats().RecordBytes)
}

// The tail of an announcement is enough for who has the head.
func TestStoreRenew(t *testing.T) {
	o := newOne(t, Config{})
	a := person(t, 1, 1)
	o.up(a)
	renew := func(sequence uint64) status {
		head, tail := discovery.Split(a.announce(t, sequence, 0).Marshal())
		o.Take()
		o.frame(a, renewFrame(9, Agent, sum(head), tail))
		sent := o.sent(a.Agent)
		_, st, err := parseStored(sent[len(sent)-1][1:])
		require.NoError(t, err)
		return st
	}
	require.Equal(t, statusWhole, renew(1))
	st, _ := o.store(a, Agent, a.announce(t, 1, 0).Marshal())
	require.Equal(t, statusKept, st)
	require.Equal(t, statusKept, renew(2))
	require.Equal(t, uint64(2), o.store0().a.Sequence)
	require.NoError(t, o.store0().a.Verify(kitNow))
}

func (o one) store0() *record { return o.State.store.list[0] }

// A holder that is told of an agent on a second machine says so, and the agent
// raises a conflict that names both.
func TestConflictIsToldToTheAgent(t *testing.T) {
	holder := newOne(t, Config{})
	first, second := person(t, 1, 1), person(t, 1, 2)
	holder.up(first)
	st, told := holder.store(first, Agent, first.announce(t, 1, 0).Marshal())
	require.Equal(t, statusKept, st)
	require.Empty(t, told)
	holder.PeerDown(first.Agent, kitNow)
	holder.up(second) // the key is used elsewhere
	st, told = holder.store(second, Agent, second.announce(t, 1, 0).Marshal())
	require.Equal(t, statusKept, st)
	require.Len(t, told, 1)

	for _, side := range []struct{ own, other someone }{{second, first}, {first, second}} {
		if side.own.Machine == first.Machine { // at its next republishing the first hears of it
			holder.PeerDown(first.Agent, kitNow)
			holder.up(first)
			_, told = holder.store(first, Agent, first.announce(t, 2, 0).Marshal())
			require.Len(t, told, 1)
		}
		agent := newOne(t, Config{Self: first.Agent})
		agent.Publish(side.own.announce(t, 3, 0), kitNow)
		h := person(t, 7, 7)
		agent.up(h)
		agent.Take()
		agent.frame(h, told[0])
		agent.frame(h, told[0]) // each holder tells
		actions := agent.Take()
		require.Len(t, actions, 1)
		require.Equal(t, Conflicts, actions[0].Kind)
		require.Equal(t, side.own.Machine, actions[0].Machines[0])
		require.Equal(t, side.other.Machine, actions[0].Machines[1])
	}
}

// What is near stays when there is no room, and one address has a share.
func TestStoreIsBounded(t *testing.T) {
	size := 3 * (len(person(t, 0, 0).announce(t, 1, 0).Marshal()) + recordCost)
	o := newOne(t, Config{StoreBytes: size, MaxPerPrefix: -1})
	for i := range 12 {
		p := person(t, i, i)
		o.up(p)
		o.store(p, Agent, p.announce(t, 1, 0).Marshal())
		require.LessOrEqual(t, o.Stats().RecordBytes, size)
	}
	require.Equal(t, 3, o.Stats().Records)
	kept := map[Key]bool{}
	for _, r := range o.State.store.list {
		kept[r.key] = true
	}
	for i := range 12 { // those kept are the nearest
		key := KeyOf(Agent, person(t, i, i).Agent)
		for k := range kept {
			require.False(t, !kept[key] && nearer(Key(o.cfg.Self), key, k))
		}
	}

	o = newOne(t, Config{StoreBytes: 10 * size})
	refused := 0
	for i := range 12 {
		p := person(t, i, i)
		p.seen = netip.MustParseAddrPort("6.6.6.6:6")
		o.up(p)
		if st, _ := o.store(p, Agent, p.announce(t, 1, 0).Marshal()); st == statusFull {
			refused++
		}
	}
	require.LessOrEqual(t, o.Stats().RecordBytes, 10*size/8)
	require.Positive(t, refused)
}

// A peer has an allowance.
func TestRequestsAreLimited(t *testing.T) {
	o := newOne(t, Config{})
	a := person(t, 1, 1)
	o.up(a)
	refused := 0
	for range 200 {
		if err := o.HandleFrame(a.Agent, findFrame(1, Key{}, true), kitNow); err != nil {
			require.Equal(t, wire.KindLimit, wire.KindOf(err))
			refused++
		}
	}
	require.Equal(t, 200-paceBurst, refused)
	require.NoError(t, o.HandleFrame(a.Agent, findFrame(1, Key{}, true), kitNow.Add(paceEach)))
}
