package x0x

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/transport"
)

func TestSignAndVerify(t *testing.T) {
	k := newKit(t)
	a, b := k.agent(Options{}), k.agent(Options{})
	sig, err := a.Sign("example.org/vote/v1", []byte("yes"))
	require.NoError(t, err)
	require.NoError(t, Verify(a.AgentID(), "example.org/vote/v1", []byte("yes"), sig))
	require.ErrorIs(t, Verify(a.AgentID(), "example.org/vote/v1", []byte("no"), sig), ErrAuth)
	require.ErrorIs(t, Verify(a.AgentID(), "example.org/vote/v2", []byte("yes"), sig), ErrAuth)
	require.ErrorIs(t, Verify(b.AgentID(), "example.org/vote/v1", []byte("yes"), sig), ErrAuth)
	require.ErrorIs(t, Verify(a.AgentID(), "example.org/vote/v1", []byte("yes"), sig[:9]), ErrCorrupt)
	_, err = a.Sign("", nil)
	require.ErrorIs(t, err, ErrInvalidArgument)
	require.Len(t, strings.Fields(IdentityWords(a.AgentID())), 4)
	require.NoError(t, a.Close(k.ctx))
	_, err = a.Sign("c", nil)
	require.ErrorIs(t, err, ErrClosed)
}

// A card is all that an agent needs to find another.
func TestACardIsEnoughToConnect(t *testing.T) {
	k := newKit(t)
	o := Options{NoLocalDiscovery: true}
	a, b := k.agent(o), k.agent(o)
	require.NoError(t, b.JoinNetwork(k.ctx))
	card, err := b.Card(CardOptions{DisplayName: "Bea"})
	require.NoError(t, err)
	require.NotEmpty(t, card.Addresses)

	done, err := a.ImportCard(card.Link(), TrustKnown) // before joining
	require.NoError(t, err)
	require.True(t, done.Added)
	require.Equal(t, TrustKnown, done.Level)
	c, _ := a.Contact(b.AgentID())
	require.Equal(t, "Bea", c.Label)
	require.NoError(t, a.JoinNetwork(k.ctx))
	r, err := a.ConnectToAgent(k.ctx, b.AgentID())
	require.NoError(t, err)
	require.Contains(t, []ConnectOutcome{Direct, AlreadyConnected}, r.Outcome)
}

func TestACardChangesNoDecision(t *testing.T) {
	k := newKit(t)
	a, b := k.agent(Options{}), k.agent(Options{})
	card, err := b.Card(CardOptions{DisplayName: "Bea", Addresses: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:9")},
		Groups: []CardGroup{{Name: "g", InviteLink: "i"}}, Stores: []CardStore{{Name: "s", Topic: "t"}}, Lifetime: time.Hour})
	require.NoError(t, err)
	require.NoError(t, a.AddContact(b.AgentID(), TrustBlocked, "b"))
	before, _ := a.Contact(b.AgentID())
	done, err := a.ImportCard(" "+card.Link()+"\n", TrustTrusted)
	require.NoError(t, err)
	require.False(t, done.Added)
	require.Equal(t, TrustBlocked, done.Level)
	require.Equal(t, []CardGroup{{Name: "g", InviteLink: "i"}}, done.Groups)
	require.Equal(t, []CardStore{{Name: "s", Topic: "t"}}, done.Stores)
	require.Equal(t, card.CreatedAt.Add(time.Hour), done.ExpiresAt)
	after, _ := a.Contact(b.AgentID())
	require.Equal(t, before, after)
	require.Empty(t, a.hints.list, "nobody looks for an agent that is blocked")

	link := card.Link()
	for name, bad := range map[string]struct {
		link string
		want error
	}{
		"text":    {"hello", ErrInvalidArgument},
		"damaged": {link[:len(link)-9], ErrCorrupt},
		"scheme":  {strings.Replace(link, "agent", "invite", 1), ErrInvalidArgument},
	} {
		_, err := a.ImportCard(bad.link, TrustKnown)
		require.ErrorIs(t, err, bad.want, name)
	}
	_, err = b.ImportCard(link, TrustKnown)
	require.ErrorIs(t, err, ErrInvalidArgument, "one's own")
	_, err = k.agent(Options{}).ImportCard(link, TrustLevel(9))
	require.ErrorIs(t, err, ErrInvalidArgument)
	old, err := b.Card(CardOptions{Lifetime: time.Second})
	require.NoError(t, err)
	require.ErrorIs(t, old.Verify(time.Now().Add(2*time.Second)), ErrAuth)
}

func TestTheUserIsShownByConsentAlone(t *testing.T) {
	k := newKit(t)
	nobody, a := k.agent(Options{}), k.agent(Options{UserKey: bytes.Repeat([]byte{7}, 32)})
	plain, err := a.Card(CardOptions{})
	require.NoError(t, err)
	require.True(t, plain.UserID.IsZero())
	require.Nil(t, plain.Certificate)
	_, err = a.Card(CardOptions{IncludeUser: true})
	require.ErrorIs(t, err, ErrPolicy)
	require.ErrorContains(t, err, "human identity disclosure requires explicit human consent")
	_, err = nobody.Card(CardOptions{IncludeUser: true, HumanConsent: true})
	require.ErrorIs(t, err, ErrNotFound)
	card, err := a.Card(CardOptions{IncludeUser: true, HumanConsent: true})
	require.NoError(t, err)
	done, err := nobody.ImportCard(card.Link(), TrustKnown)
	require.NoError(t, err)
	user, _ := a.UserID()
	require.Equal(t, user, done.UserID)
}

func TestHintsOfCardsAreBounded(t *testing.T) {
	a := newKit(t).agent(Options{})
	for i := range maxCardHints + 10 {
		h := hintOf(i)
		a.hints.add(a, h)
		a.hints.add(a, h)
	}
	require.Len(t, a.hints.list, maxCardHints)
	require.Equal(t, hintOf(10), a.hints.list[0])
}

func hintOf(i int) transport.Hint {
	return transport.Hint{Agent: AgentID{1, byte(i), byte(i >> 8)}, Machine: MachineID{1}}
}
