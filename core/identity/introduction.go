package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Audience says who may see a part of an [Introduction], by the trust that its
// agent has in them. Its texts are those of the trust levels; blocked agents are
// no audience and get no introduction at all.
type Audience uint8

const (
	ForAnyone  Audience = iota // "unknown": strangers too
	ForKnown                   // "known"
	ForTrusted                 // "trusted"
)

var audienceNames = [...]string{ForAnyone: "unknown", ForKnown: "known", ForTrusted: "trusted"}

// String returns the name of the least trust level, such as "known".
func (a Audience) String() string {
	if int(a) < len(audienceNames) {
		return audienceNames[a]
	}
	return "invalid"
}

// MarshalText implements [encoding.TextMarshaler].
func (a Audience) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText writes. It leaves a unchanged on error.
func (a *Audience) UnmarshalText(text []byte) error {
	for i, name := range audienceNames {
		if name == string(text) {
			*a = Audience(i)
			return nil
		}
	}
	return wire.Errorf(wire.KindInvalidArgument, "audience", "the least trust is unknown, known or trusted")
}

// Bounds of an introduction.
const (
	MaxIntroduction         = 64 << 10 // bytes
	MaxServices             = 32
	MaxServiceName          = 128 // bytes
	MaxServiceDescription   = 512 // bytes
	MaxIntroductionLifetime = 24 * time.Hour
)

// ServiceEntry is something that an agent does for others.
type ServiceEntry struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	MinTrust    Audience `json:"min_trust"`
}

// IntroductionOptions are all that an agent may say of itself; the audience
// decides how much of it is said.
type IntroductionOptions struct {
	To          AgentID  // who asks
	Audience    Audience // how far the agent trusts them
	DisplayName string
	Machine     MachineID
	Certificate *Certificate // give it only by the user's consent
	Services    []ServiceEntry
	IssuedAt    time.Time
	Lifetime    time.Duration // at most, and if 0, MaxIntroductionLifetime
}

// Introduction is how an agent describes itself to one other agent that asks.
// What it holds depends on the trust that the agent has in the asker:
//
//	anyone   agent id, display name, public key, services for anyone
//	known    and the machine id, the user id and its certificate, services for
//	         known agents
//	trusted  and services for trusted agents
//
// It names the asker and is signed, so that nobody can show it to a third agent
// as if it was meant for that one. A machine id is a hint until the machine
// proves it; the user is proven by the certificate.
//
// An Introduction is a value to read: do not change one that is shared.
type Introduction struct {
	AgentID     AgentID
	To          AgentID
	DisplayName string
	MachineID   MachineID // zero if not shown
	UserID      UserID    // of Certificate, zero without one
	Services    []ServiceEntry
	IssuedAt    time.Time // in whole seconds
	ExpiresAt   time.Time
	PublicKey   *PublicKey
	Certificate *Certificate
	Signature   []byte
}

const introductionVersion = 1

// introductionJSON is the form between agents: times, binary fields, unknown
// fields and the order of what is signed, under DomainIntroduction, are as for
// cardJSON; min_trust is signed as its text. IdentityWords are for readers of
// the JSON: they are neither read back nor signed, as they follow from the id.
type introductionJSON struct {
	Version       uint8          `json:"version"`
	AgentID       AgentID        `json:"agent_id"`
	To            AgentID        `json:"to"`
	DisplayName   string         `json:"display_name"`
	IdentityWords string         `json:"identity_words"`
	MachineID     MachineID      `json:"machine_id,omitzero"`
	UserID        UserID         `json:"user_id,omitzero"`
	Services      []ServiceEntry `json:"services"`
	IssuedAt      int64          `json:"issued_at"`
	ExpiresAt     int64          `json:"expires_at"`
	PublicKey     []byte         `json:"public_key"`
	Certificate   []byte         `json:"certificate,omitempty"`
	Signature     []byte         `json:"signature"`
}

// NewIntroduction returns a signed introduction of the agent that holds key,
// with what the audience may see of o. Errors: [wire.KindInvalidArgument] for
// contents out of bounds, [wire.KindTooLarge] over [MaxIntroduction] bytes, and
// those of [Key.Sign].
func NewIntroduction(key *Key, o IntroductionOptions) (*Introduction, error) {
	const op = "new introduction"
	if o.Audience > ForTrusted {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "%d is not an audience", o.Audience)
	}
	if o.Lifetime == 0 {
		o.Lifetime = MaxIntroductionLifetime
	}
	n := &Introduction{
		AgentID:     key.Public().AgentID(),
		To:          o.To,
		DisplayName: o.DisplayName,
		IssuedAt:    seconds(o.IssuedAt),
		ExpiresAt:   seconds(seconds(o.IssuedAt).Add(o.Lifetime)),
		PublicKey:   key.Public(),
	}
	for _, s := range o.Services {
		if s.MinTrust <= o.Audience {
			n.Services = append(n.Services, s)
		}
	}
	if o.Audience >= ForKnown {
		n.MachineID = o.Machine
		if c := o.Certificate; c != nil {
			n.Certificate, n.UserID = c.Bare(), c.UserID()
			if n.ExpiresAt.After(c.ExpiresAt) {
				n.ExpiresAt = seconds(c.ExpiresAt)
			}
		}
	}
	if err := n.check(); err != nil {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "%w", err)
	}
	var err error
	if n.Signature, err = key.Sign(n.signed(), []byte(DomainIntroduction)); err != nil {
		return nil, err
	}
	if size := len(n.Marshal()); size > MaxIntroduction {
		return nil, wire.Errorf(wire.KindTooLarge, op, "it is %d bytes, at most %d", size, MaxIntroduction)
	}
	return n, nil
}

// Verify is nil if the agent has signed this for asker and it, and its
// certificate, hold at now. Errors are as for [Certificate.Verify]; one that was
// made for another asker is [ErrWrongSigner].
func (n *Introduction) Verify(asker AgentID, now time.Time) error {
	const op = "verify introduction"
	if n.To != asker {
		return wire.Errorf(wire.KindAuth, op, "%w: it is for agent %s", ErrWrongSigner, n.To.Short())
	}
	if err := checkWindow(op, n.IssuedAt, n.ExpiresAt, now); err != nil {
		return err
	}
	if err := n.check(); err != nil {
		return wire.Errorf(wire.KindAuth, op, "%w", err)
	}
	if !n.PublicKey.Verify(n.signed(), []byte(DomainIntroduction), n.Signature) {
		return wire.Errorf(wire.KindAuth, op, "agent %s: %w", n.AgentID.Short(), ErrSignature)
	}
	if n.Certificate != nil {
		return n.Certificate.Verify(now)
	}
	return nil
}

// IdentityWords returns the words of the agent id, see [IdentityWords].
func (n *Introduction) IdentityWords() string { return IdentityWords(n.AgentID) }

func (n *Introduction) check() error {
	if err := checkLifetime(n.IssuedAt, n.ExpiresAt, MaxIntroductionLifetime); err != nil {
		return err
	}
	if err := checkSelf(n.AgentID, n.PublicKey, n.UserID, n.Certificate); err != nil {
		return err
	}
	if err := checkText("the display name", n.DisplayName, MaxDisplayName); err != nil {
		return err
	}
	if len(n.Services) > MaxServices {
		return fmt.Errorf("at most %d services", MaxServices)
	}
	for _, s := range n.Services {
		if s.MinTrust > ForTrusted {
			return fmt.Errorf("%d is not an audience", s.MinTrust)
		}
		if err := errors.Join(checkText("a service name", s.Name, MaxServiceName), checkText("a service description", s.Description, MaxServiceDescription)); err != nil {
			return err
		}
	}
	return nil
}

func (n *Introduction) signed() []byte {
	services := new(wire.Builder).Uvarint(uint64(len(n.Services)))
	for _, s := range n.Services {
		services.String(s.Name).String(s.Description).String(s.MinTrust.String())
	}
	return wire.SignedBytes(DomainIntroduction, []byte{introductionVersion},
		n.AgentID[:], n.To[:], []byte(n.DisplayName), n.MachineID[:], n.UserID[:],
		services.Build(), secondsBytes(n.IssuedAt), secondsBytes(n.ExpiresAt),
		n.PublicKey.Bytes(), marshalOrNil(n.Certificate))
}

// MarshalJSON returns what Marshal does.
func (n *Introduction) MarshalJSON() ([]byte, error) {
	return json.Marshal(introductionJSON{
		Version: introductionVersion, AgentID: n.AgentID, To: n.To,
		DisplayName: n.DisplayName, IdentityWords: n.IdentityWords(),
		MachineID: n.MachineID, UserID: n.UserID, Services: notNil(n.Services),
		IssuedAt: n.IssuedAt.Unix(), ExpiresAt: n.ExpiresAt.Unix(),
		PublicKey: n.PublicKey.Bytes(), Certificate: marshalOrNil(n.Certificate), Signature: n.Signature,
	})
}

// String is for logs: who and for whom.
func (n *Introduction) String() string {
	return fmt.Sprintf("Introduction(agent %s for %s)", n.AgentID.Short(), n.To.Short())
}

// Marshal returns the JSON form.
func (n *Introduction) Marshal() []byte {
	text, err := n.MarshalJSON()
	if err != nil { // introductionJSON holds nothing that can fail
		panic(err)
	}
	return text
}

// ParseIntroduction reads the JSON form, at most [MaxIntroduction] bytes. It
// checks bounds, but no signature and no time: [Introduction.Verify] does.
// Errors: [wire.KindTooLarge], [wire.KindCorrupt], and [wire.KindUnsupported] for
// another version.
func ParseIntroduction(text []byte) (*Introduction, error) {
	const op = "parse introduction"
	if len(text) > MaxIntroduction {
		return nil, wire.Errorf(wire.KindTooLarge, op, "it is %d bytes, at most %d", len(text), MaxIntroduction)
	}
	var j introductionJSON
	if err := unmarshalJSON(op, text, &j); err != nil {
		return nil, err
	}
	if j.Version != introductionVersion {
		return nil, wire.Errorf(wire.KindUnsupported, op, "version %d of the format is not supported, only %d", j.Version, introductionVersion)
	}
	n := &Introduction{
		AgentID: j.AgentID, To: j.To, DisplayName: j.DisplayName, MachineID: j.MachineID, UserID: j.UserID,
		Services: j.Services, Signature: j.Signature,
	}
	var err error
	if n.IssuedAt, n.ExpiresAt, err = jsonTimes(j.IssuedAt, j.ExpiresAt); err == nil {
		n.PublicKey, n.Certificate, err = jsonKeys(j.PublicKey, j.Certificate)
	}
	if err == nil {
		err = n.check()
	}
	if err != nil {
		return nil, wire.Errorf(wire.KindCorrupt, op, "%w", err)
	}
	return n, nil
}
