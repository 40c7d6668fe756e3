package x0x

import (
	"unicode/utf8"

	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// What this agent thinks of others. Contacts change only by the calls here, never by what the
// network says. A change takes effect at once, also on open connections and subscriptions, and
// is followed by one ContactChanged event. A call that fails has changed nothing.

// SetTrust says what this agent thinks of another. Blocking is silent: the other side sees what
// it would see from an agent that does not read. Setting a level makes a contact record.
func (a *Agent) SetTrust(id AgentID, level TrustLevel) error {
	return a.contact("set trust", func() error { return a.trust.SetTrust(id, level) })
}

// Block is SetTrust with TrustBlocked.
func (a *Agent) Block(id AgentID) error { return a.SetTrust(id, TrustBlocked) }

// AddContact is SetTrust with a name for the contact; the empty label leaves the one that is
// there.
func (a *Agent) AddContact(id AgentID, level TrustLevel, label string) error {
	const op = "add contact"
	return a.contact(op, func() error {
		// Before the first of two changes: a label that is refused must not leave half of this.
		if len(label) > trust.MaxLabelSize || !utf8.ValidString(label) {
			return wire.Errorf(wire.KindInvalidArgument, op, "a label is UTF-8 of at most %d bytes", trust.MaxLabelSize)
		}
		if err := a.trust.SetTrust(id, level); err != nil || label == "" {
			return err
		}
		return a.trust.SetLabel(id, label)
	})
}

// RemoveContact forgets an opinion, and with it that the agent was blocked. It reports whether
// there was one.
func (a *Agent) RemoveContact(id AgentID) (existed bool, err error) {
	err = a.contact("remove contact", func() (err error) {
		existed, err = a.trust.Remove(id)
		return err
	})
	return existed, err
}

// SetLabel names a contact: UTF-8 of at most 256 bytes. ErrNotFound if there is none.
func (a *Agent) SetLabel(id AgentID, label string) error {
	return a.contact("set label", func() error { return a.trust.SetLabel(id, label) })
}

// SetIdentityType says how the user knows that a contact is who it is. IdentityPinned without a
// pinned machine shuts the agent out until one is pinned. ErrNotFound if there is no contact.
func (a *Agent) SetIdentityType(id AgentID, t IdentityType) error {
	return a.contact("set identity type", func() error { return a.trust.SetIdentityType(id, t) })
}

// AddMachine notes a machine on which the user expects a contact, not pinned; of one that is
// there already it changes the label. ErrNotFound if there is no contact, ErrLimit beyond 64
// machines.
func (a *Agent) AddMachine(id AgentID, machine MachineID, label string) error {
	return a.contact("add machine", func() error { return a.trust.AddMachine(id, machine, label) })
}

// RemoveMachine forgets a machine of a contact, after unpinning it. ErrNotFound without the
// contact or the machine.
func (a *Agent) RemoveMachine(id AgentID, machine MachineID) error {
	return a.contact("remove machine", func() error { return a.trust.RemoveMachine(id, machine) })
}

// PinMachine accepts a contact from this machine and from others that are pinned, and from no
// other: a stolen agent key alone is then not enough. The machine is noted first if need be. To
// move an agent, pin the new machine before unpinning the old one. Topic messages do not prove
// the machine they come from: for them the level alone counts.
func (a *Agent) PinMachine(id AgentID, machine MachineID) error {
	return a.contact("pin machine", func() error { return a.trust.PinMachine(id, machine) })
}

// UnpinMachine takes back PinMachine. Without pinned machines left the level alone decides.
func (a *Agent) UnpinMachine(id AgentID, machine MachineID) error {
	return a.contact("unpin machine", func() error { return a.trust.UnpinMachine(id, machine) })
}

// Trust returns the level of an agent, TrustUnknown without a contact record.
func (a *Agent) Trust(id AgentID) TrustLevel { return a.trust.Trust(id) }

// Contact returns the record of an agent, if there is one.
func (a *Agent) Contact(id AgentID) (Contact, bool) { return a.trust.Get(id) }

// Contacts returns all contact records, ordered by id.
func (a *Agent) Contacts() []Contact { return a.trust.List() }

// Machines returns the machines of a contact; none without a contact.
func (a *Agent) Machines(id AgentID) []MachineRecord {
	c, _ := a.trust.Get(id)
	return c.Machines
}

// EvaluateTrust returns what would become of a message that this agent sends from this machine,
// by the first row that holds:
//
//	no contact record                          DecisionUnknown
//	level blocked                              DecisionRejectBlocked
//	type pinned, the machine is pinned         DecisionAccept, even at level unknown
//	type pinned, the machine is not pinned     DecisionRejectMachineMismatch
//	level trusted                              DecisionAccept
//	level known                                DecisionAcceptWithFlag
//	otherwise                                  DecisionUnknown
//
// The zero machine is one that nobody knows, and never pinned.
func (a *Agent) EvaluateTrust(id AgentID, machine MachineID) TrustDecision {
	return a.trust.Evaluate(id, machine)
}

// contact is the door of every call that changes a contact.
func (a *Agent) contact(op string, change func() error) error {
	if err := a.usable(op); err != nil {
		return err
	}
	return change()
}

// trustChanged carries a change to what is open already, and tells the application; topics ask
// for each message. Of two changes at once, the slower goroutine may have read the older
// opinion: it looks again.
func (a *Agent) trustChanged(id AgentID) {
	for seen := a.opinions.Add(1); ; {
		a.direct.PolicyChanged(id)
		if n := a.net.Load(); n != nil {
			n.presence.trustChanged(id)
		}
		now := a.opinions.Load()
		if now == seen {
			break
		}
		seen = now
	}
	a.events.push(Event{Type: ContactChanged, Agent: id})
}
