package identity

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Bounds of a card. They stop a link that somebody pastes from costing memory or
// filling a screen.
const (
	MaxCardLink         = 64 << 10 // bytes of the whole link
	MaxCardAddresses    = 16
	MaxCardGroups       = 32
	MaxCardStores       = 32
	MaxDisplayName      = 128      // bytes
	MaxInviteLink       = 16 << 10 // bytes
	MaxCardTopic        = 256      // bytes, as for topics
	MaxCardLifetime     = 366 * 24 * time.Hour
	DefaultCardLifetime = 30 * 24 * time.Hour
)

const (
	cardVersion = 1
	cardScheme  = "x0x://agent/"
)

// CardGroup is a group that the holder of a card is invited to.
type CardGroup struct {
	Name       string `json:"name"`
	InviteLink string `json:"invite_link"`
}

// CardStore is a store that the holder of a card may read.
type CardStore struct {
	Name  string `json:"name"`
	Topic string `json:"topic"`
}

// CardOptions are the contents of a new card; only CreatedAt must be given.
type CardOptions struct {
	DisplayName string
	Machine     MachineID        // where the agent ran; a hint
	Certificate *Certificate     // shows the user: give it only by the user's consent
	Addresses   []netip.AddrPort // hints
	Groups      []CardGroup
	Stores      []CardStore
	CreatedAt   time.Time
	ExpiresAt   time.Time // 0: DefaultCardLifetime after CreatedAt; never later than the certificate
}

// Card is how an agent describes itself in a link that people pass on. The agent
// has signed all of it. What it says of others is a hint until they prove it:
// the machine by answering, an invitation by being accepted. The user is proven,
// by the certificate inside.
//
// A Card is a value to read: do not change one that is shared.
type Card struct {
	DisplayName string
	AgentID     AgentID
	MachineID   MachineID // zero if not given
	UserID      UserID    // of Certificate, zero without one
	Addresses   []netip.AddrPort
	Groups      []CardGroup
	Stores      []CardStore
	CreatedAt   time.Time // in whole seconds
	ExpiresAt   time.Time
	PublicKey   *PublicKey
	Certificate *Certificate
	Signature   []byte
}

// cardJSON is what a link holds, in base64url without padding after
// "x0x://agent/". Times are Unix seconds, binary fields standard base64. Fields
// that are not here are ignored and not signed: a reader may not use them.
//
// The signature covers, under DomainCard, the fields in this order, from version
// to certificate: numbers as 8 bytes big-endian, ids, keys and the certificate as
// their bytes (none if absent), and a list as one field: its count, then each
// text with its length, both uvarints. Spaces and the order of fields are free.
type cardJSON struct {
	Version     uint8            `json:"version"`
	DisplayName string           `json:"display_name"`
	AgentID     AgentID          `json:"agent_id"`
	MachineID   MachineID        `json:"machine_id,omitzero"`
	UserID      UserID           `json:"user_id,omitzero"`
	Addresses   []netip.AddrPort `json:"addresses"`
	Groups      []CardGroup      `json:"groups"`
	Stores      []CardStore      `json:"stores"`
	CreatedAt   int64            `json:"created_at"`
	ExpiresAt   int64            `json:"expires_at"`
	PublicKey   []byte           `json:"public_key"`
	Certificate []byte           `json:"certificate,omitempty"`
	Signature   []byte           `json:"signature"`
}

// NewCard returns a signed card of the agent that holds key. Times are cut to
// seconds. Errors: [wire.KindInvalidArgument] for contents out of bounds or a
// certificate of another agent, [wire.KindTooLarge] if the link would be longer
// than [MaxCardLink], and those of [Key.Sign].
func NewCard(key *Key, o CardOptions) (*Card, error) {
	const op = "new card"
	c := &Card{
		DisplayName: o.DisplayName,
		AgentID:     key.Public().AgentID(),
		MachineID:   o.Machine,
		Addresses:   slices.Clone(o.Addresses),
		Groups:      slices.Clone(o.Groups),
		Stores:      slices.Clone(o.Stores),
		CreatedAt:   seconds(o.CreatedAt),
		ExpiresAt:   o.ExpiresAt,
		PublicKey:   key.Public(),
	}
	if c.ExpiresAt.IsZero() {
		c.ExpiresAt = c.CreatedAt.Add(DefaultCardLifetime)
	}
	if o.Certificate != nil {
		c.Certificate, c.UserID = o.Certificate.Bare(), o.Certificate.UserID()
		if c.ExpiresAt.After(c.Certificate.ExpiresAt) {
			c.ExpiresAt = c.Certificate.ExpiresAt
		}
	}
	c.ExpiresAt = seconds(c.ExpiresAt)
	if err := c.check(); err != nil {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "%w", err)
	}
	var err error
	c.Signature, err = key.Sign(c.signed(), []byte(DomainCard))
	if err != nil {
		return nil, err
	}
	if n := len(c.Link()); n > MaxCardLink {
		return nil, wire.Errorf(wire.KindTooLarge, op, "the link is %d bytes, at most %d", n, MaxCardLink)
	}
	return c, nil
}

// Verify is nil if the agent has signed the card and it, and its certificate,
// hold at now. Errors are as for [Certificate.Verify].
func (c *Card) Verify(now time.Time) error {
	const op = "verify card"
	if err := checkWindow(op, c.CreatedAt, c.ExpiresAt, now); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return wire.Errorf(wire.KindAuth, op, "%w", err)
	}
	if !c.PublicKey.Verify(c.signed(), []byte(DomainCard), c.Signature) {
		return wire.Errorf(wire.KindAuth, op, "agent %s: %w", c.AgentID.Short(), ErrSignature)
	}
	if c.Certificate != nil {
		return c.Certificate.Verify(now)
	}
	return nil
}

// check holds the bounds, and that the parts speak of one agent.
func (c *Card) check() error {
	if err := checkLifetime(c.CreatedAt, c.ExpiresAt, MaxCardLifetime); err != nil {
		return err
	}
	if err := checkSelf(c.AgentID, c.PublicKey, c.UserID, c.Certificate); err != nil {
		return err
	}
	if err := checkText("the display name", c.DisplayName, MaxDisplayName); err != nil {
		return err
	}
	if len(c.Addresses) > MaxCardAddresses || len(c.Groups) > MaxCardGroups || len(c.Stores) > MaxCardStores {
		return fmt.Errorf("at most %d addresses, %d groups and %d stores", MaxCardAddresses, MaxCardGroups, MaxCardStores)
	}
	for _, a := range c.Addresses {
		if ip := a.Addr(); !ip.IsValid() || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() || a.Port() == 0 {
			return errors.New("an address is none that can be dialled")
		}
	}
	for _, g := range c.Groups {
		if err := errors.Join(checkText("a group name", g.Name, MaxDisplayName), checkText("an invite link", g.InviteLink, MaxInviteLink)); err != nil {
			return err
		}
	}
	for _, s := range c.Stores {
		if err := errors.Join(checkText("a store name", s.Name, MaxDisplayName), checkText("a topic", s.Topic, MaxCardTopic)); err != nil {
			return err
		}
	}
	return nil
}

// checkSelf holds that what an agent says of itself is about the holder of key,
// and of a user only what a certificate of that user for this agent says.
func checkSelf(agent AgentID, key *PublicKey, user UserID, c *Certificate) error {
	switch {
	case key.AgentID() != agent:
		return fmt.Errorf("%w: the key is of another agent", ErrWrongSigner)
	case c == nil && !user.IsZero():
		return fmt.Errorf("%w: a user without a certificate", ErrWrongSigner)
	case c != nil && c.UserID() != user:
		return fmt.Errorf("%w: the certificate is of another user", ErrWrongSigner)
	case c != nil && c.Agent != agent:
		return fmt.Errorf("%w: the certificate is for another agent", ErrWrongSigner)
	}
	return nil
}

func (c *Card) signed() []byte {
	addresses := new(wire.Builder).Uvarint(uint64(len(c.Addresses)))
	for _, a := range c.Addresses {
		addresses.String(a.String())
	}
	groups := new(wire.Builder).Uvarint(uint64(len(c.Groups)))
	for _, g := range c.Groups {
		groups.String(g.Name).String(g.InviteLink)
	}
	stores := new(wire.Builder).Uvarint(uint64(len(c.Stores)))
	for _, s := range c.Stores {
		stores.String(s.Name).String(s.Topic)
	}
	return wire.SignedBytes(DomainCard, []byte{cardVersion}, []byte(c.DisplayName),
		c.AgentID[:], c.MachineID[:], c.UserID[:],
		addresses.Build(), groups.Build(), stores.Build(),
		secondsBytes(c.CreatedAt), secondsBytes(c.ExpiresAt),
		c.PublicKey.Bytes(), marshalOrNil(c.Certificate))
}

// MarshalJSON returns the JSON that the link holds.
func (c *Card) MarshalJSON() ([]byte, error) {
	return json.Marshal(cardJSON{
		Version: cardVersion, DisplayName: c.DisplayName,
		AgentID: c.AgentID, MachineID: c.MachineID, UserID: c.UserID,
		Addresses: notNil(c.Addresses), Groups: notNil(c.Groups), Stores: notNil(c.Stores),
		CreatedAt: c.CreatedAt.Unix(), ExpiresAt: c.ExpiresAt.Unix(),
		PublicKey: c.PublicKey.Bytes(), Certificate: marshalOrNil(c.Certificate), Signature: c.Signature,
	})
}

// String is for logs; for people there is [Card.Link].
func (c *Card) String() string {
	return fmt.Sprintf("Card(agent %s, until %s)", c.AgentID.Short(), c.ExpiresAt.Format(time.RFC3339))
}

// Link returns the card as "x0x://agent/…".
func (c *Card) Link() string {
	text, err := c.MarshalJSON()
	if err != nil { // cardJSON holds nothing that can fail
		panic(err)
	}
	return cardScheme + base64.RawURLEncoding.EncodeToString(text)
}

// ParseCard reads a link of at most [MaxCardLink] bytes, whatever space is
// around it. It checks bounds, but no signature and no time: [Card.Verify] does.
// Errors: [wire.KindInvalidArgument] for what is not such a link,
// [wire.KindTooLarge], [wire.KindCorrupt] for its contents, and
// [wire.KindUnsupported] for another version, and for a card that is not signed,
// which has none.
func ParseCard(link string) (*Card, error) {
	const op = "parse card"
	if len(link) > MaxCardLink {
		return nil, wire.Errorf(wire.KindTooLarge, op, "the link is %d bytes, at most %d", len(link), MaxCardLink)
	}
	encoded, ok := strings.CutPrefix(strings.TrimSpace(link), cardScheme)
	if !ok {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "a card is a link that starts with %s", cardScheme)
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, wire.Errorf(wire.KindCorrupt, op, "not base64url: %w", err)
	}
	var j cardJSON
	if err := unmarshalJSON(op, text, &j); err != nil {
		return nil, err
	}
	if j.Version != cardVersion {
		return nil, wire.Errorf(wire.KindUnsupported, op, "version %d of the format is not supported, only %d", j.Version, cardVersion)
	}
	c := &Card{
		DisplayName: j.DisplayName, AgentID: j.AgentID, MachineID: j.MachineID, UserID: j.UserID,
		Addresses: j.Addresses, Groups: j.Groups, Stores: j.Stores, Signature: j.Signature,
	}
	if c.CreatedAt, c.ExpiresAt, err = jsonTimes(j.CreatedAt, j.ExpiresAt); err == nil {
		c.PublicKey, c.Certificate, err = jsonKeys(j.PublicKey, j.Certificate)
	}
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return nil, wire.Errorf(wire.KindCorrupt, op, "%w", err)
	}
	return c, nil
}

// unmarshalJSON reads hostile JSON, whose size the caller has bounded. The
// decoder bounds the depth.
func unmarshalJSON(op string, text []byte, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return wire.Errorf(wire.KindCorrupt, op, "malformed JSON: %w", err)
	}
	return nil
}

func jsonTimes(issued, expires int64) (time.Time, time.Time, error) {
	if issued < 0 || expires < 0 || issued > maxUnixMilli/1000 || expires > maxUnixMilli/1000 {
		return time.Time{}, time.Time{}, errors.New("times must lie between 1970 and 9999")
	}
	return time.Unix(issued, 0).UTC(), time.Unix(expires, 0).UTC(), nil
}

func jsonKeys(key, certificate []byte) (*PublicKey, *Certificate, error) {
	k, err := CachedPublicKey(key)
	if err != nil || len(certificate) == 0 {
		return k, nil, err
	}
	c, err := ParseCertificate(certificate)
	return k, c, err
}

func marshalOrNil(c *Certificate) []byte {
	if c == nil {
		return nil
	}
	return c.Marshal()
}

// notNil makes an empty list [] in JSON, as the reference has it, and not null.
func notNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func seconds(t time.Time) time.Time { return time.Unix(t.Unix(), 0).UTC() }

func secondsBytes(t time.Time) []byte {
	return wire.NewBuilder(nil).U64(uint64(t.Unix())).Build()
}
