package trust

import (
	"slices"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Store holds the contacts of one user in memory.
//
// Its methods fail with [wire.KindInvalidArgument] for values outside their
// type, with [wire.KindNotFound] where they need a contact or machine that is
// not there, and with [wire.KindLimit] at [MaxMachines]; a failed call changes
// nothing. All times are UTC.
type Store struct {
	now func() time.Time

	mu       sync.RWMutex
	contacts map[identity.AgentID]*Contact

	subMu sync.Mutex
	subs  []*func(identity.AgentID) // replaced, never changed in place
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{
		now:      func() time.Time { return time.Now().UTC() },
		contacts: make(map[identity.AgentID]*Contact),
	}
}

// Evaluate returns the decision for an arrival from agent on machine, both
// proven by the caller. A machine that is not proven is the zero id, which is
// never pinned.
func (s *Store) Evaluate(agent identity.AgentID, machine identity.MachineID) Decision {
	return s.decide(agent, func(c *Contact) Decision { return c.decide(machine) })
}

func (s *Store) decide(agent identity.AgentID, row func(*Contact) Decision) Decision {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c, ok := s.contacts[agent]; ok {
		return row(c)
	}
	return DecisionUnknown
}

// Trust returns the level of an agent: Unknown if it is no contact.
func (s *Store) Trust(agent identity.AgentID) Level {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c, ok := s.contacts[agent]; ok {
		return c.Level
	}
	return Unknown
}

// Get returns a copy of a contact.
func (s *Store) Get(agent identity.AgentID) (Contact, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok := s.contacts[agent]
	if !ok {
		return Contact{}, false
	}
	return c.clone(), true
}

// List returns copies of all contacts, ordered by id.
func (s *Store) List() []Contact {
	s.mu.RLock()
	list := make([]Contact, 0, len(s.contacts))
	for _, c := range s.contacts {
		list = append(list, c.clone())
	}
	s.mu.RUnlock()
	slices.SortFunc(list, func(a, b Contact) int { return a.AgentID.Compare(b.AgentID) })
	return list
}

// Put adds a contact or replaces the whole record. A zero AddedAt becomes now.
func (s *Store) Put(c Contact) error {
	if err := c.validate("put contact"); err != nil {
		return err
	}
	c = c.clone()
	if c.AddedAt.IsZero() {
		c.AddedAt = s.now()
	}
	s.mu.Lock()
	s.contacts[c.AgentID] = &c
	s.mu.Unlock()
	s.changed(c.AgentID)
	return nil
}

// Remove forgets a contact, and with it that it was blocked. It reports
// whether there was one.
func (s *Store) Remove(agent identity.AgentID) bool {
	s.mu.Lock()
	_, ok := s.contacts[agent]
	delete(s.contacts, agent)
	s.mu.Unlock()
	if ok {
		s.changed(agent)
	}
	return ok
}

// SetTrust sets the level of an agent and makes it a contact if it is none. An
// anonymous contact raised to Known or Trusted becomes of type Known.
func (s *Store) SetTrust(agent identity.AgentID, level Level) error {
	return s.update("set trust", agent, true, func(c *Contact) error {
		c.Level = level
		if level >= Known && c.IdentityType == IdentityAnonymous {
			c.IdentityType = IdentityKnown
		}
		return nil
	})
}

// SetLabel names a contact.
func (s *Store) SetLabel(agent identity.AgentID, label string) error {
	return s.update("set label", agent, false, func(c *Contact) error {
		c.Label = label
		return nil
	})
}

// SetIdentityType sets the type of a contact. Type Pinned without a pinned
// machine shuts the agent out until one is pinned: see [Store.PinMachine].
func (s *Store) SetIdentityType(agent identity.AgentID, t IdentityType) error {
	return s.update("set identity type", agent, false, func(c *Contact) error {
		c.IdentityType = t
		return nil
	})
}

// AddMachine notes a machine of a contact, not pinned. Of one that is there
// already it changes the label only.
func (s *Store) AddMachine(agent identity.AgentID, machine identity.MachineID, label string) error {
	return s.update("add machine", agent, false, func(c *Contact) error {
		s.machine(c, machine).Label = label
		return nil
	})
}

// PinMachine pins a machine of a contact, noting it first if need be, and makes
// the contact of type Pinned: from then on the agent is accepted from its
// pinned machines only. To move an agent, pin the new machine before unpinning
// the old one.
func (s *Store) PinMachine(agent identity.AgentID, machine identity.MachineID) error {
	return s.update("pin machine", agent, false, func(c *Contact) error {
		s.machine(c, machine).Pinned = true
		c.IdentityType = IdentityPinned
		return nil
	})
}

// UnpinMachine takes back PinMachine. Without pinned machines left the contact
// is no longer of type Pinned, and its level alone decides.
func (s *Store) UnpinMachine(agent identity.AgentID, machine identity.MachineID) error {
	const op = "unpin machine"
	return s.update(op, agent, false, func(c *Contact) error {
		i := c.machine(machine)
		if i < 0 {
			return errNoMachine(op, machine)
		}
		c.Machines[i].Pinned = false
		c.settle()
		return nil
	})
}

// RemoveMachine forgets a machine of a contact, after unpinning it.
func (s *Store) RemoveMachine(agent identity.AgentID, machine identity.MachineID) error {
	const op = "remove machine"
	return s.update(op, agent, false, func(c *Contact) error {
		i := c.machine(machine)
		if i < 0 {
			return errNoMachine(op, machine)
		}
		c.Machines = slices.Delete(c.Machines, i, i+1)
		c.settle()
		return nil
	})
}

// Touch notes that a contact was seen on a machine. It never makes a contact or
// a machine record, never turns time back, and is no change for OnChange: the
// network calls it, not the user.
func (s *Store) Touch(agent identity.AgentID, machine identity.MachineID, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.contacts[agent]
	if !ok {
		return
	}
	if at.After(c.LastSeen) {
		c.LastSeen = at
	}
	if i := c.machine(machine); i >= 0 && at.After(c.Machines[i].LastSeen) {
		c.Machines[i].LastSeen = at
	}
}

// OnChange calls fn with the id of each contact that was added, changed or
// removed, after the change shows, on the goroutine that made it and without
// locks held. Calls of concurrent changes may come in any order, so fn reads
// the store for what holds now. The function returned ends it; a call that is
// already under way still finishes.
func (s *Store) OnChange(fn func(identity.AgentID)) (cancel func()) {
	sub := &fn
	s.subMu.Lock()
	s.subs = append(slices.Clone(s.subs), sub)
	s.subMu.Unlock()
	return func() {
		s.subMu.Lock()
		defer s.subMu.Unlock()
		s.subs = slices.DeleteFunc(slices.Clone(s.subs), func(other *func(identity.AgentID)) bool { return other == sub })
	}
}

func (s *Store) changed(agent identity.AgentID) {
	s.subMu.Lock()
	subs := s.subs
	s.subMu.Unlock()
	for _, fn := range subs {
		(*fn)(agent)
	}
}

// update changes one contact by way of a copy, so that an error or an invalid
// result leaves the store as it was.
func (s *Store) update(op string, agent identity.AgentID, create bool, change func(*Contact) error) error {
	if err := s.updateLocked(op, agent, create, change); err != nil {
		return err
	}
	s.changed(agent)
	return nil
}

func (s *Store) updateLocked(op string, agent identity.AgentID, create bool, change func(*Contact) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var c Contact
	if old, ok := s.contacts[agent]; ok {
		c = old.clone()
	} else if create {
		c = Contact{AgentID: agent, Level: Unknown, AddedAt: s.now()}
	} else {
		return wire.Errorf(wire.KindNotFound, op, "contact not found: %s", agent.Short())
	}
	if err := change(&c); err != nil {
		return err
	}
	if err := c.validate(op); err != nil {
		return err
	}
	s.contacts[agent] = &c
	return nil
}

// machine returns the record of a machine in c, adding one if there is none.
func (s *Store) machine(c *Contact, id identity.MachineID) *MachineRecord {
	i := c.machine(id)
	if i < 0 {
		i = len(c.Machines)
		c.Machines = append(c.Machines, MachineRecord{MachineID: id, FirstSeen: s.now()})
	}
	return &c.Machines[i]
}

func errNoMachine(op string, machine identity.MachineID) error {
	return wire.Errorf(wire.KindNotFound, op, "machine not found: %s", machine.Short())
}
