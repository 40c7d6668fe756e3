package lan

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

func names(t testing.TB, network string, n byte) *packets {
	t.Helper()
	var id identity.MachineID
	id[0], id[31] = n, n
	p, err := newPackets(network, id, 1000+uint16(n))
	require.NoError(t, err)
	return p
}

func TestAnswersAreReadByTheSameNetworkAlone(t *testing.T) {
	long := strings.Repeat("ü", 127) // the longest id, and no DNS label
	a, b, other := names(t, long, 1), names(t, long, 2), names(t, long[2:], 3)
	for _, ttl := range []time.Duration{0, lifetime} {
		packet, err := a.answer(ttl, netip.MustParseAddr("fe80::1"))
		require.NoError(t, err)
		require.Less(t, len(packet), 400)
		m, err := b.read(packet)
		require.NoError(t, err)
		require.Equal(t, message{answers: true, machine: a.machine, port: 1001, ttl: ttl}, m)
		m, err = other.read(packet)
		require.NoError(t, err)
		require.Zero(t, m)
	}
}

// A known-answer test: agents of all versions have to agree on the name.
func TestTheNameOfANetwork(t *testing.T) {
	require.Equal(t, "_9f86d081884c7d659a2f._sub._x0x._udp.local.", names(t, "test", 1).subtype.String())
}

func TestWhoIsKnownDoesNotAnswer(t *testing.T) {
	a, b := names(t, "n", 1), names(t, "n", 2)
	for _, c := range []struct {
		known []knownAnswer
		asks  bool
	}{
		{nil, true},
		{[]knownAnswer{{a.machine, lifetime}}, true},
		{[]knownAnswer{{a.machine, lifetime}, {b.machine, lifetime}}, false},
		{[]knownAnswer{{b.machine, lifetime / 3}}, true}, // soon forgotten
	} {
		packet, err := a.query(c.known)
		require.NoError(t, err)
		m, err := b.read(packet)
		require.NoError(t, err)
		require.Equal(t, message{asks: c.asks}, m)
	}
	packet, err := a.query(make([]knownAnswer, 1000))
	require.NoError(t, err)
	require.Less(t, len(packet), 1452, "more than an Ethernet frame")
}

func FuzzRead(f *testing.F) {
	p := names(f, "n", 1)
	for _, other := range []*packets{p, names(f, "n", 2)} {
		answer, err := other.answer(lifetime, netip.MustParseAddr("10.0.0.1"))
		require.NoError(f, err)
		query, err := other.query([]knownAnswer{{p.machine, lifetime}})
		require.NoError(f, err)
		f.Add(answer)
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := p.read(b)
		switch {
		case m.asks && m.answers:
			t.Fatal("a packet both asks and answers")
		case err == nil && m.answers && (m.machine.IsZero() || m.port == 0 || m.ttl > lifetime):
			t.Fatalf("accepted %+v", m)
		}
	})
}

func TestTableIsBounded(t *testing.T) {
	tb, now := newTable(), time.Now()
	add := func(source, n int) (isNew, full, fast bool) {
		var id identity.MachineID
		id[0], id[1], id[2] = byte(source), byte(n), byte(n>>8)
		return tb.add(now, sighting{id, netip.AddrFrom4([4]byte{10, 0, byte(source >> 8), byte(source)})}, seen{port: 1, expires: now.Add(lifetime)})
	}
	// One address gets its share, and leaves the rest to others.
	for n := range 1000 {
		isNew, full, _ := add(0, n)
		require.Equal(t, n < maxPerSource, isNew)
		require.Equal(t, n >= maxPerSource, full)
	}
	for s := 1; s < 1000; s++ {
		isNew, _, _ := add(s, 0)
		require.Equal(t, s <= maxEntries-maxPerSource, isNew)
	}
	require.Len(t, tb.of, maxEntries)
	isNew, full, fast := add(0, 0)
	require.False(t, isNew || full || fast, "known: it stays, whatever is full")

	// Room comes back with time, and so does the rate.
	now = now.Add(lifetime)
	require.Empty(t, tb.entries(now))
	require.Empty(t, tb.sources)
	accepted := 0
	for n := range 5 * newBurst {
		var id identity.MachineID
		id[0], id[1], id[2] = 1, byte(n), byte(n>>8)
		s := sighting{id, netip.MustParseAddr("10.0.0.1")}
		if isNew, _, _ := tb.add(now, s, seen{port: 1, expires: now.Add(lifetime)}); isNew {
			accepted++
		}
		tb.remove(s) // goodbye
	}
	require.Equal(t, newBurst, accepted)
}
