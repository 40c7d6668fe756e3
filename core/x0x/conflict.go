package x0x

import (
	"net/netip"
	"sync"
)

// maxConflicts bounds the machines that are remembered as having this agent's key, against
// whoever has it and makes up machines. When it is full, all are told of again.
const maxConflicts = 64

// conflicts remembers on which other machines this agent was seen, so that each is told once.
// An agent is portable, but lives on one machine at a time: two that run it take each other's
// messages.
type conflicts struct {
	mu   sync.Mutex
	seen map[MachineID]struct{}
}

// saw is told that this agent runs on another machine, by its own proof.
func (c *conflicts) saw(a *Agent, machine MachineID, at netip.AddrPort) {
	c.mu.Lock()
	_, told := c.seen[machine]
	if len(c.seen) >= maxConflicts {
		clear(c.seen)
	}
	if c.seen == nil {
		c.seen = make(map[MachineID]struct{})
	}
	c.seen[machine] = struct{}{}
	c.mu.Unlock()
	if told || machine == a.MachineID() {
		return
	}
	a.log.Warn("this agent runs on another machine too", "agent", a.AgentID(), "machine", a.MachineID(), "other", machine)
	ev := Event{Type: IdentityConflict, Agent: a.AgentID(), Machine: machine}
	if at.IsValid() {
		ev.Addr = at.String()
	}
	a.events.push(ev)
}
