package discovery

import (
	"bytes"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// MaxBindingLifetime bounds a binding. Within it an agent that has left a
// machine can still name it, so it is short; a machine signs once for it, not
// for each announcement.
const MaxBindingLifetime = 24 * time.Hour

// Binding is the word of a machine that an agent runs on it, for a time. With
// the signature of the agent on the [Announcement] that carries it, both keys
// are proven. It is a value to read: do not change one that is shared.
type Binding struct {
	Agent      identity.AgentID
	MachineKey []byte    // encoded, 1,952 bytes
	IssuedAt   time.Time // in whole milliseconds
	ExpiresAt  time.Time
	Signature  []byte // of the machine
}

// NewBinding binds agent to the machine that holds the key, from issued until
// expires. Errors: wire.KindInvalidArgument for times that are no window of at
// most [MaxBindingLifetime], and those of [identity.Key.Sign].
func NewBinding(machine *identity.Key, agent identity.AgentID, issued, expires time.Time) (*Binding, error) {
	b := &Binding{Agent: agent, MachineKey: machine.Public().Bytes(), IssuedAt: milliseconds(issued), ExpiresAt: milliseconds(expires)}
	if err := b.check("new binding", wire.KindInvalidArgument); err != nil {
		return nil, err
	}
	var err error
	b.Signature, err = machine.Sign(b.signed(), []byte(identity.DomainBinding))
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Machine returns the id of the machine.
func (b *Binding) Machine() identity.MachineID { return digest(b.MachineKey) }

// Verify is nil if the binding holds at now. Errors are wire.KindAuth, and
// errors.Is tells [identity.ErrExpired], [identity.ErrFutureDated] and
// [identity.ErrSignature] apart.
func (b *Binding) Verify(now time.Time) error {
	const op = "verify binding"
	if err := checkWindow(op, b.IssuedAt, b.ExpiresAt, now); err != nil {
		return err
	}
	if err := b.check(op, wire.KindAuth); err != nil {
		return err
	}
	key, err := identity.CachedPublicKey(b.MachineKey)
	if err != nil {
		return err
	}
	if !key.Verify(b.signed(), []byte(identity.DomainBinding), b.Signature) {
		return wire.Errorf(wire.KindAuth, op, "machine %s: %w", key.MachineID().Short(), identity.ErrSignature)
	}
	return nil
}

// check holds what no signature can make right.
func (b *Binding) check(op string, kind wire.Kind) error {
	switch {
	case identity.AgentID(b.Machine()) == b.Agent:
		return wire.Errorf(kind, op, "one key in two roles")
	case !b.IssuedAt.Before(b.ExpiresAt):
		return wire.Errorf(kind, op, "it expires before it is issued")
	case b.ExpiresAt.Sub(b.IssuedAt) > MaxBindingLifetime:
		return wire.Errorf(kind, op, "it lives longer than %v", MaxBindingLifetime)
	}
	return nil
}

// signed is what the machine signs, under DomainBinding.
func (b *Binding) signed() []byte {
	machine := b.Machine()
	return wire.SignedBytes(identity.DomainBinding, b.Agent[:], machine[:], timeBytes(b.IssuedAt), timeBytes(b.ExpiresAt))
}

// binding = machine key:1952 | issued:u64 | expires:u64 | signature:3309
//
// The agent is that of the announcement around it.
func (b *Binding) append(w *wire.Builder) {
	w.Fixed(b.MachineKey).Fixed(timeBytes(b.IssuedAt)).Fixed(timeBytes(b.ExpiresAt)).Fixed(b.Signature)
}

const bindingSize = identity.PublicKeySize + 8 + 8 + identity.SignatureSize

func takeBinding(p *wire.Parser, agent identity.AgentID) *Binding {
	b := &Binding{Agent: agent, MachineKey: bytes.Clone(p.Fixed(identity.PublicKeySize))}
	b.IssuedAt, b.ExpiresAt = takeTime(p), takeTime(p)
	b.Signature = bytes.Clone(p.Fixed(identity.SignatureSize))
	return b
}
