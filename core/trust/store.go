package trust

import (
	"encoding/json/jsontext"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/store"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// MaxContacts bounds the contacts of one user, who may import them from
// strangers' cards, and the records of revocations.
const MaxContacts = 1 << 16

// Store holds the contacts of one user: in memory, and in a file if it comes
// from [Open].
//
// A change is on disk when its call returns, and shows only then; questions
// never wait for the disk. Methods that change fail with
// [wire.KindInvalidArgument] for values outside their type, with
// [wire.KindNotFound] where they need a contact or machine that is not there,
// with [wire.KindLimit] at [MaxContacts], [MaxMachines] and [MaxContactsFile],
// with [wire.KindIO] if the disk refuses, and with [wire.KindClosed] after
// Close; a failed call changes nothing. All times are UTC and whole seconds.
type Store struct {
	now    func() time.Time
	file   *store.File // nil: in memory only
	extra  jsontext.Value
	signed atomic.Pointer[Revocations] // nil: none

	writing sync.Mutex // held through each change, taken before mu
	closed  bool       // under writing

	mu       sync.RWMutex // guards what follows; written under writing too, but for Touch
	contacts map[identity.AgentID]*Contact
	records  []RevocationRecord
	revoked  map[identity.AgentID]bool // the agents in records
	dirty    bool                      // memory has what the file does not

	changes listeners[identity.AgentID]
}

// NewStore returns an empty store that lives in memory.
func NewStore() *Store {
	return &Store{
		now:      func() time.Time { return wholeSeconds(time.Now()) },
		contacts: make(map[identity.AgentID]*Contact),
		revoked:  make(map[identity.AgentID]bool),
	}
}

// Evaluate returns the decision for an arrival from agent on machine, both
// proven by the caller: [RejectBlocked] if either was revoked, else by the table
// at [Contact]. A machine that is not proven is the zero id, which is never
// pinned and never revoked.
func (s *Store) Evaluate(agent identity.AgentID, machine identity.MachineID) Decision {
	return s.decide(agent, machine, func(c *Contact) Decision { return c.decide(machine) })
}

func (s *Store) decide(agent identity.AgentID, machine identity.MachineID, row func(*Contact) Decision) Decision {
	if r := s.signed.Load(); r != nil && (r.Agent(agent) || r.Machine(machine)) {
		return RejectBlocked
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.revoked[agent] {
		return RejectBlocked
	}
	if c, ok := s.contacts[agent]; ok {
		return row(c)
	}
	return DecisionUnknown
}

// IsRevoked reports whether an agent is blocked for ever, by the user's word or
// by a revocation that was proven.
func (s *Store) IsRevoked(agent identity.AgentID) bool {
	if r := s.signed.Load(); r != nil && r.Agent(agent) {
		return true
	}
	return s.recorded(agent)
}

// Trust returns the level of an agent: Unknown if it is no contact, Blocked if
// it was revoked.
func (s *Store) Trust(agent identity.AgentID) Level {
	if s.IsRevoked(agent) {
		return Blocked
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c, ok := s.contacts[agent]; ok {
		return c.Level
	}
	return Unknown
}

// Get returns a copy of a contact. The level of a revoked agent shows as Blocked.
func (s *Store) Get(agent identity.AgentID) (Contact, bool) {
	s.mu.RLock()
	c, ok := s.contacts[agent]
	if !ok {
		s.mu.RUnlock()
		return Contact{}, false
	}
	out := c.clone()
	s.mu.RUnlock()
	if s.IsRevoked(agent) {
		out.Level = Blocked
	}
	return out, true
}

// List returns copies of all contacts, ordered by id, as Get does.
func (s *Store) List() []Contact {
	s.mu.RLock()
	list := s.listLocked()
	s.mu.RUnlock()
	for i := range list {
		if s.IsRevoked(list[i].AgentID) {
			list[i].Level = Blocked
		}
	}
	return list
}

func (s *Store) listLocked() []Contact {
	list := make([]Contact, 0, len(s.contacts))
	for _, c := range s.contacts {
		list = append(list, c.clone())
	}
	slices.SortFunc(list, func(a, b Contact) int { return a.AgentID.Compare(b.AgentID) })
	return list
}

// Put adds a contact or replaces the whole record. A zero AddedAt becomes now.
// For a revoked agent only level Blocked is accepted, as in SetTrust.
func (s *Store) Put(c Contact) error {
	return s.update("put contact", c.AgentID, true, func(to *Contact) error {
		*to = c.clone()
		if to.AddedAt.IsZero() {
			to.AddedAt = s.now()
		}
		to.wholeSeconds()
		return s.mayHave("put contact", to.AgentID, to.Level)
	})
}

// Remove forgets a contact, and with it that it was blocked, but not that it
// was revoked. It reports whether there was one.
func (s *Store) Remove(agent identity.AgentID) (bool, error) {
	found, err := s.removeOne(agent)
	if found {
		s.changes.tell(agent)
	}
	return found, err
}

func (s *Store) removeOne(agent identity.AgentID) (bool, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if _, ok := s.contacts[agent]; !ok {
		return false, nil
	}
	if err := s.save("remove contact", s.records, without(agent)); err != nil {
		return false, err
	}
	s.mu.Lock()
	delete(s.contacts, agent)
	s.mu.Unlock()
	return true, nil
}

// SetTrust sets the level of an agent and makes it a contact if it is none. An
// anonymous contact raised to Known or Trusted becomes of type Known. An agent
// that was revoked stays blocked: every other level fails with
// [wire.KindPolicy].
func (s *Store) SetTrust(agent identity.AgentID, level Level) error {
	const op = "set trust"
	return s.update(op, agent, true, func(c *Contact) error {
		if err := s.mayHave(op, agent, level); err != nil {
			return err
		}
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
// network calls it, not the user. It waits for no disk: what it notes is
// written with the next change, or by [Store.Flush].
func (s *Store) Touch(agent identity.AgentID, machine identity.MachineID, at time.Time) {
	at = wholeSeconds(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.contacts[agent]
	if !ok {
		return
	}
	if at.After(c.LastSeen) {
		c.LastSeen, s.dirty = at, true
	}
	if i := c.machine(machine); i >= 0 && at.After(c.Machines[i].LastSeen) {
		c.Machines[i].LastSeen, s.dirty = at, true
	}
}

// OnChange calls fn with the id of each contact that was added, changed or
// removed, after the change shows, on the goroutine that made it and without
// locks held. Calls of concurrent changes may come in any order, so fn reads
// the store for what holds now. The function returned ends it; a call that is
// already under way still finishes.
func (s *Store) OnChange(fn func(identity.AgentID)) (cancel func()) { return s.changes.add(fn) }

// update changes one contact by way of a copy, so that an error or an invalid
// result leaves the store as it was.
func (s *Store) update(op string, agent identity.AgentID, create bool, change func(*Contact) error) error {
	if err := s.updateOne(op, agent, create, change); err != nil {
		return err
	}
	s.changes.tell(agent)
	return nil
}

func (s *Store) updateOne(op string, agent identity.AgentID, create bool, change func(*Contact) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	old, found := s.contacts[agent]
	var c Contact
	if found {
		c = old.clone()
	}
	full := len(s.contacts) >= MaxContacts
	s.mu.RUnlock()
	switch {
	case found:
	case !create:
		return wire.Errorf(wire.KindNotFound, op, "contact not found: %s", agent.Short())
	case full:
		return wire.Errorf(wire.KindLimit, op, "there are %d contacts", MaxContacts)
	default:
		c = Contact{AgentID: agent, Level: Unknown, AddedAt: s.now()}
	}
	before := c.LastSeen
	if err := change(&c); err != nil {
		return err
	}
	if err := c.validate(op); err != nil {
		return err
	}
	if err := s.save(op, s.records, with(c)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if found && old.LastSeen.After(before) { // while the disk was busy
		c.touched(old)
		s.dirty = true
	}
	s.contacts[agent] = &c
	return nil
}

// mayHave fails if an agent that was revoked is given another level than Blocked.
func (s *Store) mayHave(op string, agent identity.AgentID, level Level) error {
	if level != Blocked && s.IsRevoked(agent) {
		return wire.Errorf(wire.KindPolicy, op, "agent %s was revoked and stays blocked", agent.Short())
	}
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
