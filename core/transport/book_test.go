package transport

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

func testMachine(n int) (m identity.MachineID) {
	binary.BigEndian.PutUint64(m[24:], uint64(n)+1)
	return m
}

func testAgent(n int) (a identity.AgentID) {
	binary.BigEndian.PutUint64(a[24:], uint64(n)+1)
	return a
}

func at(port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(port))
}

func TestBookKeepsWhatWasProved(t *testing.T) {
	b := newBook()
	b.prove(testMachine(0), testAgent(0), at(1))
	// Strangers claim the agent for their machines, and hint at more machines than
	// there is room for.
	for i := range 2 * maxBookMachines {
		b.hint(Hint{Machine: testMachine(i + 1), Agent: testAgent(0), Addrs: []netip.AddrPort{at(2)}})
	}
	require.Len(t, b.machines, maxBookMachines)
	require.Equal(t, []netip.AddrPort{at(1)}, b.addrs(testMachine(0)))
	claims := b.machinesOf(testAgent(0))
	require.Equal(t, testMachine(0), claims[0])
	require.LessOrEqual(t, len(claims), maxClaims)
	require.Equal(t, maxBookMachines, b.hinted.Len()+b.proved.Len())

	// A proof takes the place of a claim even when there are too many.
	fresh := testMachine(1 << 20)
	b.prove(fresh, testAgent(0), at(3))
	require.Equal(t, fresh, b.machinesOf(testAgent(0))[0])
	require.LessOrEqual(t, len(b.machinesOf(testAgent(0))), maxClaims)
}

func TestBookAddresses(t *testing.T) {
	b := newBook()
	m := testMachine(0)
	bad := []netip.AddrPort{
		{}, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), 0),
		netip.MustParseAddrPort("0.0.0.0:1"), netip.MustParseAddrPort("[::]:1"), netip.MustParseAddrPort("[ff02::1]:1"),
	}
	require.False(t, b.hint(Hint{Machine: m, Addrs: bad}))
	require.Empty(t, b.addrs(m))
	require.False(t, b.hint(Hint{Addrs: []netip.AddrPort{at(1)}}), "an address without a machine is no hint")

	mapped := netip.MustParseAddrPort("[::ffff:192.0.2.1]:1")
	require.True(t, b.hint(Hint{Machine: m, Addrs: []netip.AddrPort{mapped}}))
	require.False(t, b.hint(Hint{Machine: m, Addrs: []netip.AddrPort{at(1)}}), "the same address")
	for i := range 20 {
		b.hint(Hint{Machine: m, Addrs: []netip.AddrPort{at(i + 1)}})
	}
	require.Len(t, b.addrs(m), maxAddrs)
	require.Equal(t, at(1), b.addrs(m)[0])
	b.prove(m, testAgent(0), at(99))
	require.Equal(t, at(99), b.addrs(m)[0])
	require.Len(t, b.addrs(m), maxAddrs)
}

// Forgetting a machine leaves nothing behind in the other index.
func TestBookIndexesAgree(t *testing.T) {
	b := newBook()
	for i := range 3 * maxBookMachines {
		if i%3 == 0 {
			b.prove(testMachine(i), testAgent(i%50), at(1))
		} else {
			b.hint(Hint{Machine: testMachine(i), Agent: testAgent(i % 50), Addrs: []netip.AddrPort{at(1)}})
		}
	}
	for a, machines := range b.agents {
		if len(machines) == 0 {
			t.Fatal("an agent without a machine")
		}
		for _, m := range machines {
			el := b.machines[m]
			if el == nil || !slices.Contains(el.Value.(*bookEntry).agents, a) {
				t.Fatalf("agent %s on machine %s, which does not know it", a, m)
			}
		}
	}
	for m, el := range b.machines {
		for _, a := range el.Value.(*bookEntry).agents {
			if !slices.Contains(b.agents[a], m) {
				t.Fatalf("machine %s runs agent %s, which is not there", m, a)
			}
		}
	}
}
