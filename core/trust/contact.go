package trust

import (
	"encoding/json/jsontext"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// MaxLabelSize bounds a label in bytes. Labels often come from an imported
// card, which is a stranger's text.
const MaxLabelSize = 256

// MaxMachines bounds the machines of one contact, for the same reason.
const MaxMachines = 64

// Contact is what the user has said about one agent.
type Contact struct {
	AgentID      identity.AgentID
	Level        Level
	Label        string
	AddedAt      time.Time
	LastSeen     time.Time // zero: never
	IdentityType IdentityType
	Machines     []MachineRecord

	extra jsontext.Value // fields of the file that nobody here knows
}

// MachineRecord is a machine on which the user expects an agent.
type MachineRecord struct {
	MachineID identity.MachineID
	Label     string
	FirstSeen time.Time // when the user added it
	LastSeen  time.Time // zero: never
	Pinned    bool
}

// decide is the table of trust decisions for an agent that has a contact
// record; the first row that matches wins:
//
//	–  agent or machine revoked                   RejectBlocked (see Store.Evaluate)
//	0  no contact record                          Unknown (see Store.Evaluate)
//	1  level Blocked                              RejectBlocked
//	2  type Pinned, the machine is pinned         Accept, even at level Unknown
//	3  type Pinned, the machine is not pinned     RejectMachineMismatch
//	4  level Trusted                              Accept
//	5  level Known                                AcceptWithFlag
//	6  otherwise                                  Unknown
func (c *Contact) decide(machine identity.MachineID) Decision {
	if c.Level != Blocked && c.IdentityType == IdentityPinned {
		if c.pinned(machine) {
			return Accept
		}
		return RejectMachineMismatch
	}
	return c.decideByLevel()
}

// decideByLevel is the table without rows 2 and 3, for arrivals whose machine
// nobody can prove.
func (c *Contact) decideByLevel() Decision {
	switch c.Level {
	case Blocked:
		return RejectBlocked
	case Trusted:
		return Accept
	case Known:
		return AcceptWithFlag
	}
	return DecisionUnknown
}

func (c *Contact) pinned(machine identity.MachineID) bool {
	i := c.machine(machine)
	return i >= 0 && c.Machines[i].Pinned
}

func (c *Contact) machine(id identity.MachineID) int {
	return slices.IndexFunc(c.Machines, func(m MachineRecord) bool { return m.MachineID == id })
}

// settle gives up the type Pinned when no pinned machine is left, which would
// otherwise shut the agent out everywhere.
func (c *Contact) settle() {
	if c.IdentityType != IdentityPinned || slices.ContainsFunc(c.Machines, func(m MachineRecord) bool { return m.Pinned }) {
		return
	}
	c.IdentityType = IdentityAnonymous
	if c.Level >= Known {
		c.IdentityType = IdentityKnown
	}
}

func (c *Contact) clone() Contact {
	out := *c
	out.Machines = slices.Clone(c.Machines)
	return out
}

// wholeSeconds makes the times of c those that a file can keep.
func (c *Contact) wholeSeconds() {
	c.AddedAt, c.LastSeen = wholeSeconds(c.AddedAt), wholeSeconds(c.LastSeen)
	for i := range c.Machines {
		m := &c.Machines[i]
		m.FirstSeen, m.LastSeen = wholeSeconds(m.FirstSeen), wholeSeconds(m.LastSeen)
	}
}

// touched takes over when another copy of the record was seen last.
func (c *Contact) touched(from *Contact) {
	if from.LastSeen.After(c.LastSeen) {
		c.LastSeen = from.LastSeen
	}
	for _, m := range from.Machines {
		if i := c.machine(m.MachineID); i >= 0 && m.LastSeen.After(c.Machines[i].LastSeen) {
			c.Machines[i].LastSeen = m.LastSeen
		}
	}
}

func (c *Contact) validate(op string) error {
	switch {
	case c.AgentID.IsZero():
		return wire.Errorf(wire.KindInvalidArgument, op, "the agent id is zero")
	case !c.Level.valid():
		return wire.Errorf(wire.KindInvalidArgument, op, "trust level %v", c.Level)
	case !c.IdentityType.valid():
		return wire.Errorf(wire.KindInvalidArgument, op, "identity type %v", c.IdentityType)
	case len(c.Machines) > MaxMachines:
		return wire.Errorf(wire.KindLimit, op, "a contact has at most %d machines", MaxMachines)
	}
	if err := validateLabel(op, c.Label); err != nil {
		return err
	}
	for i, m := range c.Machines {
		if m.MachineID.IsZero() {
			return wire.Errorf(wire.KindInvalidArgument, op, "the machine id is zero")
		}
		if c.machine(m.MachineID) != i {
			return wire.Errorf(wire.KindInvalidArgument, op, "machine %s is there twice", m.MachineID.Short())
		}
		if err := validateLabel(op, m.Label); err != nil {
			return err
		}
	}
	return nil
}

func validateLabel(op, label string) error {
	if len(label) > MaxLabelSize || !utf8.ValidString(label) {
		return wire.Errorf(wire.KindInvalidArgument, op, "a label is UTF-8 of at most %d bytes", MaxLabelSize)
	}
	return nil
}
