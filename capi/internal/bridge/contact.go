package bridge

import (
	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/record"
	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// contactChange reads the arguments of a method that changes a contact and returns what it
// does; nil for other methods.
func (a *Agent) contactChange(method uint32, args *record.Args) func() error {
	switch method {
	case abi.MSetTrust:
		id, level := AgentID(args.ID()), args.Uint(abi.TrustTrusted)
		return func() error { return a.core.SetTrust(id, TrustLevel(level)) }
	case abi.MAddContact:
		id, level, label := AgentID(args.ID()), args.Uint(abi.TrustTrusted), args.OptionalString()
		return func() error { return a.core.AddContact(id, TrustLevel(level), label) }
	case abi.MSetLabel:
		id, label := AgentID(args.ID()), args.String()
		return func() error { return a.core.SetLabel(id, label) }
	case abi.MSetIdentityType:
		id, t := AgentID(args.ID()), args.Uint(abi.IdentityPinned)
		return func() error { return a.core.SetIdentityType(id, x0x.IdentityType(t)) }
	case abi.MAddMachine:
		id, machine, label := AgentID(args.ID()), MachineID(args.ID()), args.OptionalString()
		return func() error { return a.core.AddMachine(id, machine, label) }
	case abi.MRemoveMachine:
		return onMachine(args, a.core.RemoveMachine)
	case abi.MPinMachine:
		return onMachine(args, a.core.PinMachine)
	case abi.MUnpinMachine:
		return onMachine(args, a.core.UnpinMachine)
	}
	return nil
}

func onMachine(args *record.Args, change func(AgentID, MachineID) error) func() error {
	id, machine := AgentID(args.ID()), MachineID(args.ID())
	return func() error { return change(id, machine) }
}

// appendContacts appends the result of X0X_M_CONTACTS and X0X_M_CONTACT.
func appendContacts(b []byte, contacts ...Contact) []byte {
	b = record.AppendArray(b, len(contacts))
	for i := range contacts {
		c := &contacts[i]
		b = record.AppendArray(b, 7)
		b = record.AppendID(b, c.AgentID)
		b = record.AppendUint(b, uint64(c.Level))
		b = record.AppendString(b, c.Label)
		b = record.AppendUint(b, unixMs(c.AddedAt))
		b = record.AppendUint(b, uint64(c.IdentityType))
		b = record.AppendUint(b, unixMs(c.LastSeen))
		b = record.AppendArray(b, len(c.Machines))
		for _, m := range c.Machines {
			b = record.AppendArray(b, 5)
			b = record.AppendID(b, m.MachineID)
			b = record.AppendString(b, m.Label)
			b = record.AppendUint(b, unixMs(m.FirstSeen))
			b = record.AppendUint(b, unixMs(m.LastSeen))
			b = record.AppendBool(b, m.Pinned)
		}
	}
	return b
}
