package identity

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func testCardOptions(t testing.TB) CardOptions {
	return CardOptions{
		DisplayName: "Ada's agent",
		Machine:     testKey(t, 5).Public().MachineID(),
		Certificate: acceptedCertificate(t),
		Addresses:   []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:5483"), netip.MustParseAddrPort("[2001:db8::1]:5483")},
		Groups:      []CardGroup{{Name: "chess", InviteLink: "x0x://invite/abc"}},
		Stores:      []CardStore{{Name: "notes", Topic: "ada/notes"}},
		CreatedAt:   testNow,
	}
}

func testCard(t testing.TB) *Card {
	t.Helper()
	c, err := NewCard(testKey(t, testAgent), testCardOptions(t))
	require.NoError(t, err)
	return c
}

// cardText is the JSON in a link, and linkOf a link of a JSON.
func cardText(t testing.TB, link string) []byte {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(link, cardScheme))
	require.NoError(t, err)
	return text
}

func linkOf(text []byte) string { return cardScheme + base64.RawURLEncoding.EncodeToString(text) }

// changeJSON returns text with one change to its top-level fields.
func changeJSON(t testing.TB, text []byte, change func(fields map[string]any)) []byte {
	t.Helper()
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	require.NoError(t, d.Decode(&fields))
	change(fields)
	text, err := json.Marshal(fields)
	require.NoError(t, err)
	return text
}

func TestCardRoundTrip(t *testing.T) {
	c := testCard(t)
	require.NoError(t, c.Verify(testNow))
	link := c.Link()
	require.True(t, strings.HasPrefix(link, "x0x://agent/"))
	require.NotContains(t, link, "=")
	for _, l := range []string{link, " \n" + link + "\r\n"} {
		got, err := ParseCard(l)
		require.NoError(t, err)
		require.NoError(t, got.Verify(testNow))
		require.Equal(t, link, got.Link())
		require.Equal(t, c.UserID, got.UserID)
		require.Equal(t, testKey(t, testUser).Public().UserID(), got.UserID)
		require.Equal(t, c.Addresses, got.Addresses)
	}
	require.Equal(t, testCertificate(t).ExpiresAt, c.ExpiresAt, "no card outlives its certificate")
	require.False(t, c.Certificate.Accepted(), "the card itself is the agent's word")

	small, err := NewCard(testKey(t, testAgent), CardOptions{CreatedAt: testNow})
	require.NoError(t, err)
	require.NoError(t, small.Verify(testNow))
	require.Equal(t, testNow.Add(DefaultCardLifetime), small.ExpiresAt)
	small, err = ParseCard(small.Link())
	require.NoError(t, err)
	require.NoError(t, small.Verify(testNow))
	require.True(t, small.UserID.IsZero() && small.MachineID.IsZero())
}

// Readers of the reference's cards find its fields.
func TestCardJSON(t *testing.T) {
	var fields map[string]any
	require.NoError(t, json.Unmarshal(cardText(t, testCard(t).Link()), &fields))
	require.Equal(t, "Ada's agent", fields["display_name"])
	require.Equal(t, testKey(t, testAgent).Public().AgentID().String(), fields["agent_id"])
	require.Equal(t, testKey(t, 5).Public().MachineID().String(), fields["machine_id"])
	require.Equal(t, testKey(t, testUser).Public().UserID().String(), fields["user_id"])
	require.Equal(t, []any{"192.0.2.1:5483", "[2001:db8::1]:5483"}, fields["addresses"])
	require.Equal(t, []any{map[string]any{"name": "chess", "invite_link": "x0x://invite/abc"}}, fields["groups"])
	require.Equal(t, []any{map[string]any{"name": "notes", "topic": "ada/notes"}}, fields["stores"])
	require.Equal(t, float64(testNow.Unix()), fields["created_at"])

	small, err := NewCard(testKey(t, testAgent), CardOptions{CreatedAt: testNow})
	require.NoError(t, err)
	text, err := json.Marshal(small)
	require.NoError(t, err)
	require.Contains(t, string(text), `"addresses":[],"groups":[],"stores":[]`)
	require.NotContains(t, string(text), "user_id")
}

func TestCardProperties(t *testing.T) {
	key, machine := testKey(t, testAgent), testKey(t, 5).Public().MachineID()
	line := rapid.StringOfN(rapid.RuneFrom([]rune("aé中\"\\<>&\u2028 ")), 0, 30, MaxDisplayName)
	rapid.Check(t, func(t *rapid.T) {
		o := CardOptions{
			DisplayName: line.Draw(t, "name"),
			Addresses: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) netip.AddrPort {
				ip := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.ByteRange(1, 0xfe), 16, 16).Draw(t, "ip")))
				return netip.AddrPortFrom(ip, rapid.Uint16Min(1).Draw(t, "port"))
			}), 0, MaxCardAddresses).Draw(t, "addresses"),
			Groups: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) CardGroup {
				return CardGroup{line.Draw(t, "name"), line.Draw(t, "link")}
			}), 0, MaxCardGroups).Draw(t, "groups"),
			Stores: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) CardStore {
				return CardStore{line.Draw(t, "name"), line.Draw(t, "topic")}
			}), 0, MaxCardStores).Draw(t, "stores"),
			CreatedAt: testNow.Add(-time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "age"))),
		}
		if rapid.Bool().Draw(t, "with machine") {
			o.Machine = machine
		}
		c, err := NewCard(key, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseCard(c.Link())
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Verify(testNow); err != nil {
			t.Fatal(err)
		}
		if got.Link() != c.Link() || !bytes.Equal(got.signed(), c.signed()) {
			t.Fatal("it came back as another")
		}
	})
}

func TestCardTimes(t *testing.T) {
	c := testCard(t)
	require.NoError(t, c.Verify(c.CreatedAt.Add(-MaxClockSkew)))
	requireRefused(t, ErrFutureDated, c.Verify(c.CreatedAt.Add(-MaxClockSkew-time.Second)))
	require.NoError(t, c.Verify(c.ExpiresAt.Add(-1)))
	requireRefused(t, ErrExpired, c.Verify(c.ExpiresAt))
}

func TestNewCardRefuses(t *testing.T) {
	key := testKey(t, testAgent)
	address := netip.MustParseAddrPort("192.0.2.1:1")
	for name, change := range map[string]func(o *CardOptions){
		"no time":   func(o *CardOptions) { o.CreatedAt = time.Time{} },
		"backwards": func(o *CardOptions) { o.ExpiresAt = o.CreatedAt.Add(-time.Second) },
		"too long a life": func(o *CardOptions) {
			o.Certificate = nil
			o.ExpiresAt = o.CreatedAt.Add(MaxCardLifetime + time.Second)
		},
		"certificate expired": func(o *CardOptions) { o.CreatedAt = o.Certificate.ExpiresAt },
		"name":                func(o *CardOptions) { o.DisplayName = strings.Repeat("n", MaxDisplayName+1) },
		"name of control":     func(o *CardOptions) { o.DisplayName = "a\x1b[2J" },
		"name not UTF-8":      func(o *CardOptions) { o.DisplayName = "\xff" },
		"addresses":           func(o *CardOptions) { o.Addresses = make([]netip.AddrPort, MaxCardAddresses+1) },
		"no address":          func(o *CardOptions) { o.Addresses = []netip.AddrPort{{}} },
		"port 0":              func(o *CardOptions) { o.Addresses = []netip.AddrPort{netip.AddrPortFrom(address.Addr(), 0)} },
		"zone":                func(o *CardOptions) { o.Addresses = []netip.AddrPort{netip.MustParseAddrPort("[fe80::1%eth0]:1")} },
		"everywhere":          func(o *CardOptions) { o.Addresses = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:1")} },
		"multicast":           func(o *CardOptions) { o.Addresses = []netip.AddrPort{netip.MustParseAddrPort("224.0.0.1:1")} },
		"groups":              func(o *CardOptions) { o.Groups = make([]CardGroup, MaxCardGroups+1) },
		"group name":          func(o *CardOptions) { o.Groups = []CardGroup{{Name: "\n"}} },
		"invite":              func(o *CardOptions) { o.Groups = []CardGroup{{InviteLink: strings.Repeat("i", MaxInviteLink+1)}} },
		"stores":              func(o *CardOptions) { o.Stores = make([]CardStore, MaxCardStores+1) },
		"store name":          func(o *CardOptions) { o.Stores = []CardStore{{Name: "\x00"}} },
		"topic":               func(o *CardOptions) { o.Stores = []CardStore{{Topic: strings.Repeat("t", MaxCardTopic+1)}} },
	} {
		o := testCardOptions(t)
		change(&o)
		_, err := NewCard(key, o)
		require.Equal(t, wire.KindInvalidArgument.String(), wire.KindOf(err).String(), "%s: %v", name, err)
	}
	o := testCardOptions(t)
	for range 4 {
		o.Groups = append(o.Groups, CardGroup{InviteLink: strings.Repeat("i", MaxInviteLink)})
	}
	_, err := NewCard(key, o)
	requireKind(t, wire.KindTooLarge, err)
	_, err = NewCard(testKey(t, 9), testCardOptions(t)) // a certificate of another agent
	requireKind(t, wire.KindInvalidArgument, err)
	key.Destroy()
	_, err = NewCard(key, testCardOptions(t))
	requireKind(t, wire.KindClosed, err)
}

// Each field of the JSON is changed to another valid value. Unknown fields are
// the only ones that may change.
func TestCardTampered(t *testing.T) {
	good := cardText(t, testCard(t).Link())
	other := testKey(t, 9).Public()
	key := base64.StdEncoding.EncodeToString(other.Bytes())
	otherUsers, err := IssueCertificate(testKey(t, 9), testKey(t, testAgent).Public().AgentID(), testNow, testNow.Add(time.Hour))
	require.NoError(t, err)
	changes := map[string]func(f map[string]any){
		"version":      func(f map[string]any) { f["version"] = 2 },
		"no version":   func(f map[string]any) { delete(f, "version") },
		"older":        func(f map[string]any) { f["version"] = 0 },
		"display_name": func(f map[string]any) { f["display_name"] = "Eve" },
		"agent_id":     func(f map[string]any) { f["agent_id"] = other.AgentID().String() },
		"agent":        func(f map[string]any) { f["agent_id"], f["public_key"] = other.AgentID().String(), key },
		"machine_id":   func(f map[string]any) { f["machine_id"] = other.MachineID().String() },
		"no machine":   func(f map[string]any) { delete(f, "machine_id") },
		"user_id":      func(f map[string]any) { f["user_id"] = other.UserID().String() },
		"no user":      func(f map[string]any) { delete(f, "user_id") },
		"bare user":    func(f map[string]any) { delete(f, "certificate") },
		"anonymous":    func(f map[string]any) { delete(f, "certificate"); delete(f, "user_id") },
		"other user": func(f map[string]any) {
			f["user_id"], f["certificate"] = otherUsers.UserID().String(), base64.StdEncoding.EncodeToString(otherUsers.Marshal())
		},
		"accepted": func(f map[string]any) {
			f["certificate"] = base64.StdEncoding.EncodeToString(acceptedCertificate(t).Marshal())
		},
		"address":      func(f map[string]any) { f["addresses"].([]any)[0] = "192.0.2.2:5483" },
		"addresses":    func(f map[string]any) { f["addresses"] = []any{} },
		"address name": func(f map[string]any) { f["addresses"].([]any)[0] = "example.org:5483" },
		"order": func(f map[string]any) {
			a := f["addresses"].([]any)
			a[0], a[1] = a[1], a[0]
		},
		"groups":      func(f map[string]any) { f["groups"] = nil },
		"group name":  func(f map[string]any) { f["groups"].([]any)[0].(map[string]any)["name"] = "go" },
		"invite_link": func(f map[string]any) { f["groups"].([]any)[0].(map[string]any)["invite_link"] = "x0x://invite/eve" },
		"stores":      func(f map[string]any) { f["stores"] = f["groups"] },
		"store name":  func(f map[string]any) { f["stores"].([]any)[0].(map[string]any)["name"] = "go" },
		"topic":       func(f map[string]any) { f["stores"].([]any)[0].(map[string]any)["topic"] = "eve" },
		"created_at":  func(f map[string]any) { f["created_at"] = testNow.Unix() - 1 },
		"expires_at":  func(f map[string]any) { f["expires_at"] = testNow.Add(48 * time.Hour).Unix() },
		"years":       func(f map[string]any) { f["expires_at"] = int64(maxUnixMilli) },
		"negative":    func(f map[string]any) { f["created_at"] = -1 },
		"fraction":    func(f map[string]any) { f["created_at"] = 1.5 },
		"public_key":  func(f map[string]any) { f["public_key"] = key },
		"no key":      func(f map[string]any) { delete(f, "public_key") },
		"signature":   func(f map[string]any) { f["signature"] = key },
		"unsigned":    func(f map[string]any) { delete(f, "signature") },
	}
	for name, change := range changes {
		c, err := ParseCard(linkOf(changeJSON(t, good, change)))
		if err == nil {
			err = c.Verify(testNow)
		}
		require.Error(t, err, name)
		require.Contains(t, []wire.Kind{wire.KindAuth, wire.KindCorrupt, wire.KindUnsupported}, wire.KindOf(err), "%s: %v", name, err)
	}
	c, err := ParseCard(linkOf(changeJSON(t, good, func(f map[string]any) { f["dm_capabilities"] = []any{1, nil} })))
	require.NoError(t, err)
	require.NoError(t, c.Verify(testNow))
	require.Equal(t, linkOf(good), c.Link())

	_, err = ParseCard(linkOf(changeJSON(t, good, changes["no version"])))
	requireKind(t, wire.KindUnsupported, err) // as are the reference's cards, which are not signed
}

func TestCardForgeries(t *testing.T) {
	agent, other := testKey(t, testAgent), testKey(t, 9)
	forge := func(key *Key, domain string) error {
		c := *testCard(t)
		var err error
		c.Signature, err = key.Sign(c.signed(), []byte(domain))
		require.NoError(t, err)
		return c.Verify(testNow)
	}
	requireRefused(t, ErrSignature, forge(other, DomainCard))
	requireRefused(t, ErrSignature, forge(testKey(t, testUser), DomainCard))
	requireRefused(t, ErrSignature, forge(agent, DomainIntroduction))
	require.NoError(t, forge(agent, DomainCard))

	// The agent names a user who never certified it.
	c := *testCard(t)
	certificate := *c.Certificate
	certificate.Signature = c.Signature
	c.Certificate = &certificate
	var err error
	c.Signature, err = agent.Sign(c.signed(), []byte(DomainCard))
	require.NoError(t, err)
	requireRefused(t, ErrSignature, c.Verify(testNow))

	// A card that its agent has dated beyond its certificate ends with it.
	c = *testCard(t)
	c.ExpiresAt = c.ExpiresAt.Add(time.Hour)
	c.Signature, err = agent.Sign(c.signed(), []byte(DomainCard))
	require.NoError(t, err)
	require.NoError(t, c.Verify(testNow))
	requireRefused(t, ErrExpired, c.Verify(c.Certificate.ExpiresAt))
}

func TestCardBitFlips(t *testing.T) {
	card := testCard(t)
	good := cardText(t, card.Link())
	key, certificate := bytes.Index(good, []byte(`"public_key"`))+20, bytes.Index(good, []byte(`"certificate"`))
	signature := bytes.Index(good, []byte(`"signature"`))
	require.True(t, 20 < key && key < certificate && certificate < signature)
	blob := func(i int) bool {
		return i > key && i < certificate || i > certificate+20 && i < signature || i > signature+20
	}
	flips(good, blob, func(at int, bad []byte) {
		c, err := ParseCard(linkOf(bad))
		if err == nil {
			err = c.Verify(testNow)
		}
		if err == nil {
			require.Equal(t, card.Link(), c.Link(), "bit flipped in byte %d: %q", at, bad[max(0, at-10):at+10])
		}
	})
}

func TestParseCardRefuses(t *testing.T) {
	good := testCard(t).Link()
	for name, tt := range map[string]struct {
		link string
		kind wire.Kind
	}{
		"empty":        {"", wire.KindInvalidArgument},
		"other scheme": {"x0x://invite/" + good[len(cardScheme):], wire.KindInvalidArgument},
		"no content":   {cardScheme, wire.KindCorrupt},
		"too long":     {good + strings.Repeat("A", MaxCardLink), wire.KindTooLarge},
		"padding":      {good + "=", wire.KindCorrupt},
		"not base64":   {cardScheme + "!!!!", wire.KindCorrupt},
		"not JSON":     {linkOf([]byte("{")), wire.KindCorrupt},
		"a list":       {linkOf([]byte("[]")), wire.KindCorrupt},
		"null":         {linkOf([]byte("null")), wire.KindUnsupported},
		"nothing":      {linkOf([]byte("{}")), wire.KindUnsupported},
		"two":          {linkOf([]byte("{}{}")), wire.KindCorrupt},
		"deep":         {linkOf(bytes.Repeat([]byte("["), 40000)), wire.KindCorrupt},
		"cut":          {good[:len(good)-100], wire.KindCorrupt},
		"many addresses": {linkOf(changeJSON(t, cardText(t, good), func(f map[string]any) {
			f["addresses"] = strings.Split(strings.Repeat("192.0.2.1:1 ", MaxCardAddresses)+"192.0.2.1:1", " ")
		})), wire.KindCorrupt},
	} {
		_, err := ParseCard(tt.link)
		require.Equal(t, tt.kind.String(), wire.KindOf(err).String(), "%s: %v", name, err)
	}
}

func FuzzParseCard(f *testing.F) {
	good := testCard(f)
	text := cardText(f, good.Link())
	f.Add(text)
	f.Add([]byte{})
	f.Add([]byte("{}"))
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte("null"))
	f.Add(text[:len(text)/2])
	f.Add(changeJSON(f, text, func(c map[string]any) { c["display_name"] = "Eve" }))
	f.Add(changeJSON(f, text, func(c map[string]any) { c["addresses"] = nil }))
	f.Add(changeJSON(f, text, func(c map[string]any) { c["dm_capabilities"] = 1 }))
	f.Add(bytes.Replace(text, []byte(`"version"`), []byte(`"VERSION"`), 1))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseCard(linkOf(text))
		if err != nil {
			if k := wire.KindOf(err); k != wire.KindCorrupt && k != wire.KindUnsupported && k != wire.KindTooLarge {
				t.Fatalf("got %v", err)
			}
			return
		}
		again, err := ParseCard(c.Link())
		if wire.KindOf(err) == wire.KindTooLarge {
			return // texts that JSON may hold raw grow when they are escaped
		}
		if err != nil || again.Link() != c.Link() {
			t.Fatalf("it came back as another: %v", err)
		}
		if c.Verify(testNow) == nil && (c.DisplayName != good.DisplayName || c.CreatedAt != good.CreatedAt ||
			!bytes.Equal(cardFields(c), cardFields(good))) {
			t.Fatal("a forged card holds")
		}
	})
}

// cardFields is what is signed, but for the signature of the certificate, which
// differs between the processes that fuzz.
func cardFields(c *Card) []byte {
	bare := *c
	bare.Certificate = nil
	return bare.signed()
}
