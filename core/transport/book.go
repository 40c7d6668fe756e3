package transport

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// Hint says where a machine may be. It is only a hint: a dial pins the machine,
// and what it proves replaces what hints claimed.
type Hint struct {
	Machine identity.MachineID
	Agent   identity.AgentID // may be zero
	Addrs   []netip.AddrPort
	Source  string // who says so, for logs
}

// Bounds of the address book. Hints come from strangers: they can push each other
// out and never what a connection has proved.
const (
	maxBookMachines = 4096
	maxAddrs        = 8 // a machine
	maxClaims       = 8 // machines an agent is said to be on
)

// book remembers where machines are and which agents they run.
type book struct {
	mu       sync.Mutex
	machines map[identity.MachineID]*list.Element // of *bookEntry
	agents   map[identity.AgentID][]identity.MachineID
	hinted   list.List // newest first
	proved   list.List
}

type bookEntry struct {
	machine identity.MachineID
	addrs   []netip.AddrPort // best first
	agents  []identity.AgentID
	proved  bool // a connection has proved it
}

func newBook() *book {
	return &book{
		machines: make(map[identity.MachineID]*list.Element),
		agents:   make(map[identity.AgentID][]identity.MachineID),
	}
}

// hint adds what is new and reports whether anything was.
func (b *book) hint(h Hint) bool {
	if h.Machine.IsZero() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entry(h.Machine)
	news := false
	for _, a := range h.Addrs {
		a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		if !a.IsValid() || a.Port() == 0 || a.Addr().IsUnspecified() || a.Addr().IsMulticast() || slices.Contains(e.addrs, a) {
			continue
		}
		if len(e.addrs) == maxAddrs { // the newest hint replaces the worst
			e.addrs = e.addrs[:maxAddrs-1]
		}
		e.addrs = append(e.addrs, a)
		news = true
	}
	return b.claim(e, h.Agent, false) || news
}

// prove records a connection: the address and the agent come first from now on.
func (b *book) prove(m identity.MachineID, a identity.AgentID, addr netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entry(m)
	if !e.proved {
		b.hinted.Remove(b.machines[m])
		e.proved = true
		b.machines[m] = b.proved.PushFront(e)
	} else {
		b.proved.MoveToFront(b.machines[m])
	}
	if i := slices.Index(e.addrs, addr); i >= 0 {
		e.addrs = slices.Delete(e.addrs, i, i+1)
	}
	e.addrs = slices.Insert(e.addrs, 0, addr)
	e.addrs = e.addrs[:min(len(e.addrs), maxAddrs)]
	b.claim(e, a, true)
}

// addrs returns where the machine may be, best first.
func (b *book) addrs(m identity.MachineID) []netip.AddrPort {
	b.mu.Lock()
	defer b.mu.Unlock()
	if el := b.machines[m]; el != nil {
		return slices.Clone(el.Value.(*bookEntry).addrs)
	}
	return nil
}

// machinesOf returns where the agent may run, best first.
func (b *book) machinesOf(a identity.AgentID) []identity.MachineID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.agents[a])
}

func (b *book) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.machines)
}

func (b *book) entry(m identity.MachineID) *bookEntry {
	if el := b.machines[m]; el != nil {
		return el.Value.(*bookEntry)
	}
	if len(b.machines) >= maxBookMachines {
		oldest := b.hinted.Back()
		if oldest == nil {
			oldest = b.proved.Back()
		}
		b.forget(oldest)
	}
	e := &bookEntry{machine: m}
	b.machines[m] = b.hinted.PushFront(e)
	return e
}

func (b *book) forget(el *list.Element) {
	e := el.Value.(*bookEntry)
	if e.proved {
		b.proved.Remove(el)
	} else {
		b.hinted.Remove(el)
	}
	delete(b.machines, e.machine)
	for _, a := range e.agents {
		left := slices.DeleteFunc(b.agents[a], func(m identity.MachineID) bool { return m == e.machine })
		if len(left) == 0 {
			delete(b.agents, a)
		} else {
			b.agents[a] = left
		}
	}
}

// claim records that the machine runs the agent, and reports whether that is new.
func (b *book) claim(e *bookEntry, a identity.AgentID, proved bool) bool {
	if a.IsZero() {
		return false
	}
	known := b.agents[a]
	i := slices.Index(known, e.machine)
	switch {
	case i >= 0 && !proved, i == 0:
		return false
	case i > 0:
		known = slices.Delete(known, i, i+1)
	case len(known) >= maxClaims && !proved:
		return false
	case len(e.agents) >= maxClaims && !proved:
		return false
	case len(known) >= maxClaims:
		b.disown(known[maxClaims-1], a)
		known = known[:maxClaims-1]
	}
	if i < 0 {
		e.agents = append(e.agents, a)
	}
	if proved {
		known = slices.Insert(known, 0, e.machine)
	} else {
		known = append(known, e.machine)
	}
	b.agents[a] = known
	return i < 0
}

func (b *book) disown(m identity.MachineID, a identity.AgentID) {
	if el := b.machines[m]; el != nil {
		e := el.Value.(*bookEntry)
		e.agents = slices.DeleteFunc(e.agents, func(x identity.AgentID) bool { return x == a })
	}
}
