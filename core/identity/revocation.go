package identity

import (
	"bytes"
	"fmt"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// RevocationSubject says what a [Revocation] ends.
type RevocationSubject uint8

const (
	RevokeAgent       RevocationSubject = 1 // an agent key
	RevokeMachine     RevocationSubject = 2 // a machine key
	RevokeCertificate RevocationSubject = 3 // one certificate, by its digest
)

// String returns "agent", "machine" or "certificate".
func (s RevocationSubject) String() string {
	switch s {
	case RevokeAgent:
		return "agent"
	case RevokeMachine:
		return "machine"
	case RevokeCertificate:
		return "certificate"
	}
	return "unknown"
}

// MaxReasonSize bounds the reason of a revocation in bytes.
const MaxReasonSize = 256

// Revocation says, for good, that a key or a certificate no longer counts. It
// proves by itself that its signer may say so:
//
//	agent        the agent's own key, or the user of a certificate that the agent
//	             accepted and that was issued before
//	machine      the machine's own key
//	certificate  the user who issued it
//
// The certificate that gives a user the right travels inside. It may have
// expired: a user must be able to revoke an agent that was stolen long ago. It
// must be accepted by the agent, since anybody can certify anybody, and could
// otherwise revoke anybody.
type Revocation struct {
	Subject     RevocationSubject
	ID          [32]byte     // the id of the agent or machine, or the digest of the certificate
	At          time.Time    // in whole milliseconds
	Reason      string       // the signer's words, perhaps ""
	Signer      *PublicKey   // the revoked key, or that of the user
	Certificate *Certificate // why the user may say so; nil if a key revokes itself
	Signature   []byte
}

// The binary form of a revocation, at most 13.9 KiB.
//
//	bytes       field
//	1           version, 1
//	1           subject: 1 agent, 2 machine, 3 certificate
//	32          id
//	8           at, Unix milliseconds, big-endian
//	uvarint, n  reason, UTF-8
//	1           signer: 0 the key itself, 1 the user of a certificate
//	1952        0: the public key
//	uvarint, n  1: the certificate, in its binary form
//	3309        signature
//
// The signature covers, under DomainRevocation, each of the fields from subject
// on, the last being the public key or the certificate.
const (
	revocationVersion = 1

	// MaxRevocationSize is the length of the longest revocation.
	MaxRevocationSize = 1 + 1 + IDSize + 8 + 2 + MaxReasonSize + 1 + 2 + AcceptedCertificateSize + SignatureSize
)

const (
	signedByItself = 0
	signedByUser   = 1
)

// NewAgentRevocation lets an agent revoke itself. Errors of all three, and of
// the two below: [wire.KindInvalidArgument], and those of [Key.Sign].
func NewAgentRevocation(agent *Key, reason string, at time.Time) (*Revocation, error) {
	return newRevocation(agent, &Revocation{Subject: RevokeAgent, ID: agent.Public().Digest(), Reason: reason, At: at})
}

// NewMachineRevocation lets a machine revoke itself.
func NewMachineRevocation(machine *Key, reason string, at time.Time) (*Revocation, error) {
	return newRevocation(machine, &Revocation{Subject: RevokeMachine, ID: machine.Public().Digest(), Reason: reason, At: at})
}

// NewUserRevocation lets a user revoke the agent of an accepted certificate of
// theirs ([Certificate.Accept]), which may have expired.
func NewUserRevocation(user *Key, c *Certificate, reason string, at time.Time) (*Revocation, error) {
	return newRevocation(user, &Revocation{Subject: RevokeAgent, ID: c.Agent, Reason: reason, At: at, Certificate: c})
}

// NewCertificateRevocation lets a user take back a certificate of theirs, and
// with it nothing but the bond to the agent.
func NewCertificateRevocation(user *Key, c *Certificate, reason string, at time.Time) (*Revocation, error) {
	return newRevocation(user, &Revocation{Subject: RevokeCertificate, ID: c.Digest(), Reason: reason, At: at, Certificate: c.Bare()})
}

func newRevocation(signer *Key, r *Revocation) (*Revocation, error) {
	const op = "new revocation"
	r.At, r.Signer = milliseconds(r.At), signer.Public()
	if ms := r.At.UnixMilli(); ms < 0 || ms > maxUnixMilli {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "the time must lie between 1970 and 9999")
	}
	if err := checkText("the reason", r.Reason, MaxReasonSize); err != nil {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "%w", err)
	}
	if err := r.checkSigner(); err != nil {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "%w", err)
	}
	var err error
	r.Signature, err = signer.Sign(r.signed(), []byte(DomainRevocation))
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Verify is nil if the signer may say this and has. A revocation does not expire;
// one from the future ([ErrFutureDated]) is refused for now. Errors are
// [wire.KindAuth]; errors.Is knows [ErrSignature] and [ErrWrongSigner] too.
func (r *Revocation) Verify(now time.Time) error {
	const op = "verify revocation"
	if err := checkNotFuture(op, r.At, now); err != nil {
		return err
	}
	if err := r.checkSigner(); err != nil {
		return wire.Errorf(wire.KindAuth, op, "%w", err)
	}
	if !r.Signer.Verify(r.signed(), []byte(DomainRevocation), r.Signature) {
		return wire.Errorf(wire.KindAuth, op, "%s %s: %w", r.Subject, AgentID(r.ID).Short(), ErrSignature)
	}
	return nil
}

// checkSigner asks whether the signer may revoke the subject at that time.
func (r *Revocation) checkSigner() error {
	c := r.Certificate
	if c == nil {
		if r.Subject == RevokeCertificate || r.Signer.Digest() != r.ID {
			return fmt.Errorf("%w: without a certificate a key revokes only itself", ErrWrongSigner)
		}
		return nil
	}
	switch {
	case !c.UserKey.Equal(r.Signer):
		return fmt.Errorf("%w: the certificate is of another user", ErrWrongSigner)
	case r.Subject == RevokeAgent && r.ID != c.Agent:
		return fmt.Errorf("%w: the certificate is for another agent", ErrWrongSigner)
	case r.Subject == RevokeAgent && !c.Accepted():
		return fmt.Errorf("%w: the agent has not accepted the certificate", ErrWrongSigner)
	case r.Subject == RevokeAgent && c.IssuedAt.After(r.At):
		return fmt.Errorf("%w: the certificate was issued after the revocation", ErrWrongSigner)
	case r.Subject == RevokeCertificate && r.ID != c.Digest():
		return fmt.Errorf("%w: it holds another certificate", ErrWrongSigner)
	case r.Subject != RevokeAgent && r.Subject != RevokeCertificate:
		return fmt.Errorf("%w: a user cannot revoke a %s", ErrWrongSigner, r.Subject)
	}
	return c.verifySignatures()
}

func (r *Revocation) signed() []byte {
	return wire.SignedBytes(DomainRevocation, []byte{byte(r.Subject)}, r.ID[:], timeBytes(r.At), []byte(r.Reason), r.proof())
}

// proof is the public key of the signer or the certificate that names it.
func (r *Revocation) proof() []byte {
	if r.Certificate != nil {
		return r.Certificate.Marshal()
	}
	return r.Signer.Bytes()
}

// String is for logs: what and by whom.
func (r *Revocation) String() string {
	return fmt.Sprintf("Revocation(%s %s by %s)", r.Subject, AgentID(r.ID).Short(), AgentID(r.Signer.Digest()).Short())
}

// Marshal returns the binary form.
func (r *Revocation) Marshal() []byte {
	b := wire.NewBuilder(make([]byte, 0, MaxRevocationSize))
	b.U8(revocationVersion).U8(uint8(r.Subject)).Fixed(r.ID[:]).Fixed(timeBytes(r.At)).String(r.Reason)
	if r.Certificate != nil {
		b.U8(signedByUser).Bytes(r.proof())
	} else {
		b.U8(signedByItself).Fixed(r.proof())
	}
	return b.Fixed(r.Signature).Build()
}

// ParseRevocation reads the binary form and copies it. It checks no signature
// and no time: [Revocation.Verify] does. Errors: [wire.KindCorrupt], and
// [wire.KindUnsupported] for another version.
func ParseRevocation(b []byte) (*Revocation, error) {
	const op = "parse revocation"
	p := wire.NewParser(op, b)
	if err := takeVersion(op, p, revocationVersion); err != nil {
		return nil, err
	}
	r := &Revocation{Subject: RevocationSubject(p.U8())}
	if r.Subject < RevokeAgent || r.Subject > RevokeCertificate {
		p.Failf("subject %d is not known", r.Subject)
	}
	p.Into(r.ID[:])
	r.At = takeTime(p)
	r.Reason = p.String(MaxReasonSize)
	if err := checkText("the reason", r.Reason, MaxReasonSize); err != nil {
		p.Failf("%w", err)
	}
	switch signer := p.U8(); signer {
	case signedByItself:
		r.Signer = takePublicKey(p)
	case signedByUser:
		inner := p.Bytes(AcceptedCertificateSize)
		if err := p.Err(); err != nil {
			return nil, err
		}
		c, err := ParseCertificate(inner)
		if err != nil {
			return nil, err
		}
		r.Certificate, r.Signer = c, c.UserKey
	default:
		p.Failf("signer %d is not known", signer)
	}
	r.Signature = bytes.Clone(p.Fixed(SignatureSize))
	if err := p.Done(); err != nil {
		return nil, err
	}
	return r, nil
}
