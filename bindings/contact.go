package bindings

// SetTrust says what this agent thinks of another.
func (a *Agent) SetTrust(id ID, level TrustLevel) error {
	return a.do("set trust", MSetTrust, id, uint8(level))
}

// AddContact is SetTrust with a name; the empty one leaves what is there.
func (a *Agent) AddContact(id ID, level TrustLevel, label string) error {
	return a.do("add contact", MAddContact, id, uint8(level), label)
}

// RemoveContact forgets an opinion and reports whether there was one.
func (a *Agent) RemoveContact(id ID) (bool, error) {
	return a.ask("remove contact", MRemoveContact, id)
}

// SetLabel names a contact.
func (a *Agent) SetLabel(id ID, label string) error { return a.do("set label", MSetLabel, id, label) }

// SetIdentityType says how the user knows that a contact is who it is.
func (a *Agent) SetIdentityType(id ID, t IdentityType) error {
	return a.do("set identity type", MSetIdentityType, id, uint8(t))
}

// AddMachine notes a machine on which the user expects a contact, not pinned.
func (a *Agent) AddMachine(id, machine ID, label string) error {
	return a.do("add machine", MAddMachine, id, machine, label)
}

// RemoveMachine forgets a machine of a contact.
func (a *Agent) RemoveMachine(id, machine ID) error {
	return a.do("remove machine", MRemoveMachine, id, machine)
}

// PinMachine accepts a contact from its pinned machines only, of which this becomes one.
func (a *Agent) PinMachine(id, machine ID) error {
	return a.do("pin machine", MPinMachine, id, machine)
}

// UnpinMachine takes back PinMachine.
func (a *Agent) UnpinMachine(id, machine ID) error {
	return a.do("unpin machine", MUnpinMachine, id, machine)
}

// Trust returns what this agent thinks of another.
func (a *Agent) Trust(id ID) (TrustLevel, error) {
	u, err := a.queue.callNow("trust", a.Handle(), MTrust, id)
	if err != nil {
		return 0, err
	}
	u.fields(1)
	return result(u, "trust", TrustLevel(u.uint()))
}

// EvaluateTrust returns what would become of a message of an agent from a machine, zero for
// none that is known.
func (a *Agent) EvaluateTrust(id, machine ID) (Decision, error) {
	u, err := a.queue.callNow("evaluate trust", a.Handle(), MEvaluateTrust, id, machine)
	if err != nil {
		return 0, err
	}
	u.fields(1)
	return result(u, "evaluate trust", Decision(u.uint()))
}

// Contact returns what this agent has on record about another, if anything.
func (a *Agent) Contact(id ID) (c Contact, ok bool, err error) {
	list, err := a.contacts("contact", MContact, id)
	if err != nil || len(list) == 0 {
		return Contact{}, false, err
	}
	return list[0], true, nil
}

// Contacts returns the agents that this one has an opinion about.
func (a *Agent) Contacts() ([]Contact, error) { return a.contacts("contacts", MContacts) }

func (a *Agent) contacts(op string, method uint32, args ...any) ([]Contact, error) {
	u, err := a.queue.callNow(op, a.Handle(), method, args...)
	if err != nil {
		return nil, err
	}
	var list []Contact
	for range u.array() {
		more := u.fields(7)
		c := Contact{Agent: u.id(), Level: TrustLevel(u.uint()), Label: u.str(), Added: unixMilli(u.uint()),
			IdentityType: IdentityType(u.uint()), LastSeen: seen(u.uint())}
		for range u.array() {
			more := u.fields(5)
			c.Machines = append(c.Machines, MachineRecord{Machine: u.id(), Label: u.str(),
				FirstSeen: seen(u.uint()), LastSeen: seen(u.uint()), Pinned: u.bool()})
			u.skip(more)
		}
		list = append(list, c)
		u.skip(more)
	}
	return result(u, op, list)
}
