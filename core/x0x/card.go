package x0x

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/transport"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Card is how an agent describes itself in a link that people pass on, signed by it.
type (
	Card      = identity.Card
	CardGroup = identity.CardGroup
	CardStore = identity.CardStore
)

// CardOptions are the contents of a card; all may be left out.
type CardOptions struct {
	DisplayName string // at most 128 bytes, without control characters
	// Addresses are where to look for the agent; nil is where it listens now, which is nowhere
	// before JoinNetwork, and an empty list says nothing.
	Addresses []netip.AddrPort
	Groups    []CardGroup
	Stores    []CardStore
	Lifetime  time.Duration // 0 is 30 days; at most 366
	// IncludeUser shows the person behind the agent to everybody who gets the link, by the
	// certificate. It needs HumanConsent: that this person has agreed.
	IncludeUser, HumanConsent bool
}

// Card makes a signed card of this agent; [Card.Link] is what to pass on. Errors: ErrPolicy for
// a user without consent, ErrNotFound without a user to include, ErrInvalidArgument for contents
// out of bounds, ErrTooLarge over 64 KiB.
func (a *Agent) Card(o CardOptions) (*Card, error) {
	const op = "card"
	if err := a.usable(op); err != nil {
		return nil, err
	}
	addresses := o.Addresses
	if addresses == nil {
		addresses = a.cardAddresses()
	}
	now := time.Now()
	c := identity.CardOptions{DisplayName: o.DisplayName, Machine: a.MachineID(), Addresses: addresses,
		Groups: o.Groups, Stores: o.Stores, CreatedAt: now}
	if o.Lifetime != 0 {
		c.ExpiresAt = now.Add(o.Lifetime)
	}
	if o.IncludeUser {
		var err error
		if c.Certificate, err = a.discloseUser(op, o.HumanConsent); err != nil {
			return nil, err
		}
	}
	return identity.NewCard(a.keys.agent, c)
}

// cardAddresses are the addresses of this agent that can be written on a card.
func (a *Agent) cardAddresses() []netip.AddrPort {
	list := slices.Clone(a.LocalAddrs())
	list = slices.DeleteFunc(list, func(addr netip.AddrPort) bool {
		ip := addr.Addr()
		return !ip.IsValid() || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() || addr.Port() == 0
	})
	return list[:min(len(list), identity.MaxCardAddresses)]
}

// ImportedCard is a card and what became of it.
type ImportedCard struct {
	*Card
	Added bool       // its agent was no contact and is one now
	Level TrustLevel // what this agent thinks of it now
}

// ImportCard verifies a card, makes its agent a contact of this level and of the name on the
// card, and remembers its addresses as hints where to find it. An agent that is a contact
// already stays as it is, whatever the card and the level say. (Of an import and a first
// SetTrust of the same agent at the same moment, on two goroutines, the later one counts.)
//
// Errors: ErrAuth for a card that its agent has not signed or that has ended, ErrCorrupt and
// ErrUnsupported for one that cannot be read, ErrInvalidArgument for another text, for another
// level than there are, and for the card of this agent itself; ErrPolicy for an agent that was
// revoked.
func (a *Agent) ImportCard(link string, level TrustLevel) (ImportedCard, error) {
	const op = "import card"
	if err := a.usable(op); err != nil {
		return ImportedCard{}, err
	}
	card, err := identity.ParseCard(link)
	if err != nil {
		return ImportedCard{}, err
	}
	if err := card.Verify(time.Now()); err != nil {
		return ImportedCard{}, err
	}
	id := card.AgentID
	if id == a.AgentID() {
		return ImportedCard{}, wire.Errorf(wire.KindInvalidArgument, op, "the card is of this agent itself")
	}
	_, known := a.Contact(id)
	if !known {
		if err := a.AddContact(id, level, card.DisplayName); err != nil {
			return ImportedCard{}, err
		}
	} else if level > TrustTrusted {
		return ImportedCard{}, wire.Errorf(wire.KindInvalidArgument, op, "there is no trust level %d", level)
	}
	done := ImportedCard{Card: card, Added: !known, Level: a.Trust(id)}
	if done.Level != TrustBlocked && !card.MachineID.IsZero() && len(card.Addresses) > 0 {
		a.hints.add(a, transport.Hint{Machine: card.MachineID, Agent: id, Addrs: card.Addresses, Source: "card"})
	}
	return done, nil
}

// maxCardHints bounds what is remembered of cards for the next join.
const maxCardHints = 256

// cardHints are the addresses of imported cards, oldest first. They outlive a network, since
// cards are imported before joining too.
type cardHints struct {
	mu   sync.Mutex
	list []transport.Hint
}

func (h *cardHints) add(a *Agent, hint transport.Hint) {
	h.mu.Lock()
	h.list = slices.DeleteFunc(h.list, func(old transport.Hint) bool { return old.Agent == hint.Agent })
	if len(h.list) == maxCardHints {
		h.list = slices.Delete(h.list, 0, 1)
	}
	h.list = append(h.list, hint)
	h.mu.Unlock()
	if n := a.net.Load(); n != nil { // else the next join gives it
		n.peers.AddHint(hint)
	}
}

// give tells a network that others can see by now.
func (h *cardHints) give(n *network) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, hint := range h.list {
		n.peers.AddHint(hint)
	}
}
