package identity

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// MaxCertificateLifetime bounds a certificate: a user who has lost the user key
// cannot revoke, so every certificate must end by itself. Renewing is issuing
// again with later times, see [Certificate.Newer].
const MaxCertificateLifetime = 2 * 366 * 24 * time.Hour

// Certificate is the word of a user that an agent is theirs, for a time.
//
// Anybody can issue one for any agent, so it says nothing about the agent until
// the agent takes part: by showing it in something that the agent signs (an
// announcement, a [Card]), or by [Certificate.Accept], which a user's
// [Revocation] of the agent asks for.
//
// A Certificate is a value to read: do not change one that is shared. It holds
// parsed keys of 40 KiB; where many are kept, keep what [Certificate.Marshal] gives.
type Certificate struct {
	UserKey   *PublicKey
	Agent     AgentID
	IssuedAt  time.Time // in whole milliseconds
	ExpiresAt time.Time
	Signature []byte // of the user

	// Both nil, or the agent's key and its signature that it is this user's.
	AgentKey   *PublicKey
	Acceptance []byte
}

// The binary form of a certificate. Times are Unix milliseconds, big-endian.
//
//	offset  bytes
//	0       1      version, 1
//	1       1      0 issued, 1 issued and accepted
//	2       1952   public key of the user
//	1954    32     agent id
//	1986    8      issued at
//	1994    8      expires at
//	2002    3309   signature of the user
//	5311           end, if not accepted
//	5311    1952   public key of the agent
//	7263    3309   signature of the agent
//	10572          end
//
// The user signs, under DomainCertificate, the key, the agent id and both times;
// the agent signs the SHA-256 of that under DomainAcceptance.
const (
	certificateVersion = 1

	// CertificateSize is the length of a certificate that is not accepted.
	CertificateSize = 2 + PublicKeySize + IDSize + 8 + 8 + SignatureSize
	// AcceptedCertificateSize is the length of one that is.
	AcceptedCertificateSize = CertificateSize + PublicKeySize + SignatureSize
)

// IssueCertificate certifies agent as the user's, from issued until expires (at
// most [MaxCertificateLifetime] later). Times are cut to milliseconds. Errors:
// [wire.KindInvalidArgument], and those of [Key.Sign].
func IssueCertificate(user *Key, agent AgentID, issued, expires time.Time) (*Certificate, error) {
	const op = "issue certificate"
	c := &Certificate{UserKey: user.Public(), Agent: agent, IssuedAt: milliseconds(issued), ExpiresAt: milliseconds(expires)}
	if err := c.check(); err != nil {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "%w", err)
	}
	var err error
	c.Signature, err = user.Sign(c.signed(), []byte(DomainCertificate))
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Accept returns a copy that also bears the signature of the agent: its proof
// that it is this user's. Errors: [wire.KindInvalidArgument] for the key of
// another agent, and those of [Key.Sign].
func (c *Certificate) Accept(agent *Key) (*Certificate, error) {
	const op = "accept certificate"
	if agent.Public().AgentID() != c.Agent {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "the certificate is for agent %s, the key is of %s",
			c.Agent.Short(), agent.Public().AgentID().Short())
	}
	sig, err := agent.Sign(c.accepted(), []byte(DomainAcceptance))
	if err != nil {
		return nil, err
	}
	accepted := *c
	accepted.AgentKey, accepted.Acceptance = agent.Public(), sig
	return &accepted, nil
}

// Accepted reports whether the agent has signed too. [Certificate.Verify] checks it.
func (c *Certificate) Accepted() bool { return c.AgentKey != nil }

// Bare returns the certificate without the agent's acceptance, which is half as
// long: for formats that the agent signs anyway.
func (c *Certificate) Bare() *Certificate {
	bare := *c
	bare.AgentKey, bare.Acceptance = nil, nil
	return &bare
}

// UserID returns the id of the user who issued it.
func (c *Certificate) UserID() UserID { return c.UserKey.UserID() }

// Digest names the certificate: SHA-256 of what the user signs. Signatures are
// no part of it, so signing the same again does not escape a revocation.
func (c *Certificate) Digest() [32]byte { return sha256.Sum256(c.signed()) }

// Newer reports whether c replaces other, which may be nil: of two certificates
// of one user for one agent, the later issue wins, then the later expiry. The
// answer is false for certificates of another user or agent.
func (c *Certificate) Newer(other *Certificate) bool {
	switch {
	case other == nil:
		return true
	case c.Agent != other.Agent || !c.UserKey.Equal(other.UserKey):
		return false
	case !c.IssuedAt.Equal(other.IssuedAt):
		return c.IssuedAt.After(other.IssuedAt)
	}
	return c.ExpiresAt.After(other.ExpiresAt)
}

// Verify is nil if the certificate holds at now. Errors are [wire.KindAuth], and
// errors.Is tells [ErrExpired], [ErrFutureDated] (by more than [MaxClockSkew]),
// [ErrSignature] and [ErrWrongSigner] apart.
func (c *Certificate) Verify(now time.Time) error {
	if err := checkWindow("verify certificate", c.IssuedAt, c.ExpiresAt, now); err != nil {
		return err
	}
	return c.verifySignatures()
}

// verifySignatures is Verify without the clock.
func (c *Certificate) verifySignatures() error {
	const op = "verify certificate"
	if err := c.check(); err != nil {
		return wire.Errorf(wire.KindAuth, op, "%w", err)
	}
	if !c.UserKey.Verify(c.signed(), []byte(DomainCertificate), c.Signature) {
		return wire.Errorf(wire.KindAuth, op, "user %s: %w", c.UserID().Short(), ErrSignature)
	}
	if !c.Accepted() {
		return nil
	}
	if c.AgentKey.AgentID() != c.Agent {
		return wire.Errorf(wire.KindAuth, op, "accepted by %s for %s: %w", c.AgentKey.AgentID().Short(), c.Agent.Short(), ErrWrongSigner)
	}
	if !c.AgentKey.Verify(c.accepted(), []byte(DomainAcceptance), c.Acceptance) {
		return wire.Errorf(wire.KindAuth, op, "agent %s: %w", c.Agent.Short(), ErrSignature)
	}
	return nil
}

// check holds what no signature can make right.
func (c *Certificate) check() error {
	if UserID(c.Agent) == c.UserID() {
		return ErrWrongSigner // one key in two roles
	}
	return checkLifetime(c.IssuedAt, c.ExpiresAt, MaxCertificateLifetime)
}

func (c *Certificate) signed() []byte {
	return wire.SignedBytes(DomainCertificate, c.UserKey.Bytes(), c.Agent[:], timeBytes(c.IssuedAt), timeBytes(c.ExpiresAt))
}

func (c *Certificate) accepted() []byte {
	digest := c.Digest()
	return wire.SignedBytes(DomainAcceptance, digest[:])
}

// String is for logs: who, for whom and until when.
func (c *Certificate) String() string {
	return fmt.Sprintf("Certificate(user %s, agent %s, until %s)", c.UserID().Short(), c.Agent.Short(), c.ExpiresAt.Format(time.RFC3339))
}

// Marshal returns the binary form.
func (c *Certificate) Marshal() []byte {
	b := wire.NewBuilder(make([]byte, 0, AcceptedCertificateSize))
	form := uint8(0)
	if c.Accepted() {
		form = 1
	}
	b.U8(certificateVersion).U8(form)
	b.Fixed(c.UserKey.Bytes()).Fixed(c.Agent[:]).Fixed(timeBytes(c.IssuedAt)).Fixed(timeBytes(c.ExpiresAt)).Fixed(c.Signature)
	if c.Accepted() {
		b.Fixed(c.AgentKey.Bytes()).Fixed(c.Acceptance)
	}
	return b.Build()
}

// ParseCertificate reads the binary form and copies it. It checks no signature
// and no time: [Certificate.Verify] does. Errors: [wire.KindCorrupt], and
// [wire.KindUnsupported] for another version.
func ParseCertificate(b []byte) (*Certificate, error) {
	const op = "parse certificate"
	p := wire.NewParser(op, b)
	if err := takeVersion(op, p, certificateVersion); err != nil {
		return nil, err
	}
	c := &Certificate{}
	form := p.U8()
	if form > 1 {
		p.Failf("form %d is not known", form)
	}
	c.UserKey = takePublicKey(p)
	p.Into(c.Agent[:])
	c.IssuedAt, c.ExpiresAt = takeTime(p), takeTime(p)
	c.Signature = bytes.Clone(p.Fixed(SignatureSize))
	if form == 1 {
		c.AgentKey = takePublicKey(p)
		c.Acceptance = bytes.Clone(p.Fixed(SignatureSize))
	}
	if err := p.Done(); err != nil {
		return nil, err
	}
	return c, nil
}

func milliseconds(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }
