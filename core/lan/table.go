package lan

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

const (
	// maxEntries bounds what strangers on the LAN can make this agent remember.
	maxEntries = 256
	// maxPerSource is the share of one address, so that one machine cannot take
	// the table from all others; agents of many users on it still fit.
	maxPerSource = 16
	// Each new entry costs a dial, so entries that come, say goodbye and come
	// again under another name are taken at this rate only. The burst lets a
	// full LAN be met at once.
	newBurst     = maxEntries
	newPerSecond = 8
)

// Entry is an agent that says it is on this LAN. It is a hint: nothing in it is
// proven until a connection pinned to the machine id is up.
type Entry struct {
	Machine identity.MachineID
	Addrs   []netip.AddrPort // where its packets came from, IPv4 first; at most one for each address family and interface, unless somebody lies
}

// table remembers who is there. It is used under the lock of the service.
type table struct {
	of       map[sighting]seen
	sources  map[netip.Addr]int
	tokens   float64
	refilled time.Time
}

// sighting is an agent heard from one address, with the zone of the interface
// if it needs one.
type sighting struct {
	machine identity.MachineID
	addr    netip.Addr
}

type seen struct {
	port    uint16
	expires time.Time
	link    linkID // where, for known answers go out where they were heard
}

func newTable() *table {
	return &table{of: map[sighting]seen{}, sources: map[netip.Addr]int{}, tokens: newBurst}
}

// add takes an announcement, and reports whether it tells something new and
// whether it was refused for lack of room or rate.
func (t *table) add(now time.Time, s sighting, v seen) (isNew, full, fast bool) {
	old, known := t.of[s]
	if known && !old.expires.After(now) {
		t.remove(s)
		known = false
	}
	if known && old.port == v.port {
		t.of[s] = v
		return false, false, false
	}
	if !known && (len(t.of) >= maxEntries || t.sources[s.addr] >= maxPerSource) {
		t.sweep(now)
		if len(t.of) >= maxEntries || t.sources[s.addr] >= maxPerSource {
			return false, true, false
		}
	}
	t.tokens = min(newBurst, t.tokens+now.Sub(t.refilled).Seconds()*newPerSecond)
	t.refilled = now
	if t.tokens < 1 {
		return false, false, true
	}
	t.tokens--
	if !known {
		t.sources[s.addr]++
	}
	t.of[s] = v
	return true, false, false
}

// remove takes a goodbye, which counts for the address alone that it comes from.
func (t *table) remove(s sighting) bool {
	if _, known := t.of[s]; !known {
		return false
	}
	delete(t.of, s)
	if t.sources[s.addr]--; t.sources[s.addr] == 0 {
		delete(t.sources, s.addr)
	}
	return true
}

func (t *table) sweep(now time.Time) {
	for s, v := range t.of {
		if !v.expires.After(now) {
			t.remove(s)
		}
	}
}

// entries returns who is there, in the order of machine ids.
func (t *table) entries(now time.Time) []Entry {
	t.sweep(now)
	of := map[identity.MachineID][]netip.AddrPort{}
	for s, v := range t.of {
		of[s.machine] = append(of[s.machine], netip.AddrPortFrom(s.addr, v.port))
	}
	list := make([]Entry, 0, len(of))
	for _, m := range slices.SortedFunc(maps.Keys(of), func(a, b identity.MachineID) int { return slices.Compare(a[:], b[:]) }) {
		addrs := of[m]
		slices.SortFunc(addrs, netip.AddrPort.Compare)
		list = append(list, Entry{Machine: m, Addrs: addrs})
	}
	return list
}

// known returns who need not answer a query on a link: their entries are good
// for more than half of their time.
func (t *table) known(now time.Time, l linkID) (list []knownAnswer) {
	for s, v := range t.of {
		if left := v.expires.Sub(now); v.link == l && left > lifetime/2+time.Second {
			list = append(list, knownAnswer{s.machine, left})
		}
	}
	return list
}
