package identity

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func testIntroductionOptions(t testing.TB, audience Audience) IntroductionOptions {
	return IntroductionOptions{
		To:          testKey(t, 6).Public().AgentID(),
		Audience:    audience,
		DisplayName: "Ada's agent",
		Machine:     testKey(t, 5).Public().MachineID(),
		Certificate: acceptedCertificate(t),
		Services: []ServiceEntry{
			{"ping", "answers", ForAnyone},
			{"files", "gives files", ForTrusted},
			{"chess", "plays", ForKnown},
		},
		IssuedAt: testNow,
	}
}

func testIntroduction(t testing.TB, audience Audience) *Introduction {
	t.Helper()
	n, err := NewIntroduction(testKey(t, testAgent), testIntroductionOptions(t, audience))
	require.NoError(t, err)
	return n
}

func TestIntroductionShowsWhatTheAudienceMaySee(t *testing.T) {
	asker := testKey(t, 6).Public().AgentID()
	for audience, want := range map[Audience]struct {
		services string
		known    bool
	}{
		ForAnyone:  {"ping", false},
		ForKnown:   {"ping chess", true},
		ForTrusted: {"ping files chess", true},
	} {
		n := testIntroduction(t, audience)
		require.NoError(t, n.Verify(asker, testNow))
		text := n.Marshal()
		got, err := ParseIntroduction(text)
		require.NoError(t, err)
		require.NoError(t, got.Verify(asker, testNow))
		require.Equal(t, text, got.Marshal())

		require.Equal(t, testKey(t, testAgent).Public().AgentID(), got.AgentID)
		require.Equal(t, "Ada's agent", got.DisplayName)
		var services []string
		for _, s := range got.Services {
			require.LessOrEqual(t, s.MinTrust, audience)
			services = append(services, s.Name)
		}
		require.Equal(t, want.services, strings.Join(services, " "))
		require.Equal(t, want.known, !got.MachineID.IsZero())
		require.Equal(t, want.known, !got.UserID.IsZero())
		require.Equal(t, want.known, got.Certificate != nil)
		if !want.known {
			for _, hidden := range []string{testKey(t, 5).Public().MachineID().String(), testKey(t, testUser).Public().UserID().String(),
				"machine_id", "user_id", "certificate", "chess", "files", "gives"} {
				require.NotContains(t, string(text), hidden)
			}
		}
	}
}

func TestIntroductionJSON(t *testing.T) {
	n := testIntroduction(t, ForTrusted)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(n.Marshal(), &fields))
	require.Equal(t, n.AgentID.String(), fields["agent_id"])
	require.Equal(t, IdentityWords(n.AgentID), fields["identity_words"])
	require.Equal(t, map[string]any{"name": "files", "description": "gives files", "min_trust": "trusted"}, fields["services"].([]any)[1])
	text, err := json.Marshal(n)
	require.NoError(t, err)
	require.JSONEq(t, string(n.Marshal()), string(text))
}

func TestIntroductionIsForOneAskerAndADay(t *testing.T) {
	n := testIntroduction(t, ForKnown)
	third := testKey(t, 9).Public().AgentID()
	requireRefused(t, ErrWrongSigner, n.Verify(third, testNow))
	readdressed := *n
	readdressed.To = third
	requireRefused(t, ErrSignature, readdressed.Verify(third, testNow))
	require.NoError(t, n.Verify(n.To, n.IssuedAt.Add(-MaxClockSkew)))
	requireRefused(t, ErrFutureDated, n.Verify(n.To, n.IssuedAt.Add(-MaxClockSkew-time.Second)))
	require.NoError(t, n.Verify(n.To, n.ExpiresAt.Add(-1)))
	requireRefused(t, ErrExpired, n.Verify(n.To, n.ExpiresAt))
	require.Equal(t, testNow.Add(MaxIntroductionLifetime), n.ExpiresAt)

	o := testIntroductionOptions(t, ForKnown)
	o.IssuedAt = o.Certificate.ExpiresAt.Add(-time.Minute)
	n, err := NewIntroduction(testKey(t, testAgent), o)
	require.NoError(t, err)
	require.Equal(t, o.Certificate.ExpiresAt, n.ExpiresAt, "it does not outlive its certificate")
}

func TestIntroductionProperties(t *testing.T) {
	key := testKey(t, testAgent)
	line := rapid.StringOfN(rapid.RuneFrom([]rune("aé中\"\\<>&\u2028 ")), 0, 30, MaxServiceName)
	rapid.Check(t, func(t *rapid.T) {
		o := IntroductionOptions{
			Audience:    Audience(rapid.IntRange(0, 2).Draw(t, "audience")),
			DisplayName: line.Draw(t, "name"),
			Services: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ServiceEntry {
				return ServiceEntry{line.Draw(t, "service"), line.Draw(t, "description"), Audience(rapid.IntRange(0, 2).Draw(t, "min"))}
			}), 0, MaxServices).Draw(t, "services"),
			IssuedAt: testNow,
			Lifetime: time.Duration(rapid.Int64Range(int64(time.Second), int64(MaxIntroductionLifetime)).Draw(t, "lifetime")),
		}
		copy(o.To[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "to"))
		n, err := NewIntroduction(key, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseIntroduction(n.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Verify(o.To, testNow); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Marshal(), n.Marshal()) || !bytes.Equal(got.signed(), n.signed()) {
			t.Fatal("it came back as another")
		}
	})
}

func TestNewIntroductionRefuses(t *testing.T) {
	key := testKey(t, testAgent)
	for name, change := range map[string]func(o *IntroductionOptions){
		"audience":         func(o *IntroductionOptions) { o.Audience = 3 },
		"no time":          func(o *IntroductionOptions) { o.IssuedAt = time.Time{} },
		"backwards":        func(o *IntroductionOptions) { o.Lifetime = -time.Second },
		"too long a life":  func(o *IntroductionOptions) { o.Certificate = nil; o.Lifetime = MaxIntroductionLifetime + time.Second },
		"certificate over": func(o *IntroductionOptions) { o.IssuedAt = o.Certificate.ExpiresAt },
		"name":             func(o *IntroductionOptions) { o.DisplayName = strings.Repeat("n", MaxDisplayName+1) },
		"services":         func(o *IntroductionOptions) { o.Services = make([]ServiceEntry, MaxServices+1) },
		"service name":     func(o *IntroductionOptions) { o.Services[0].Name = "\x07" },
		"description":      func(o *IntroductionOptions) { o.Services[0].Description = strings.Repeat("d", MaxServiceDescription+1) },
	} {
		o := testIntroductionOptions(t, ForTrusted)
		change(&o)
		_, err := NewIntroduction(key, o)
		require.Equal(t, wire.KindInvalidArgument.String(), wire.KindOf(err).String(), "%s: %v", name, err)
	}
	o := testIntroductionOptions(t, ForTrusted)
	o.Services = nil
	for range MaxServices { // each < is six bytes of JSON
		o.Services = append(o.Services, ServiceEntry{Name: "s", Description: strings.Repeat("<", MaxServiceDescription)})
	}
	_, err := NewIntroduction(key, o)
	requireKind(t, wire.KindTooLarge, err)
	_, err = NewIntroduction(testKey(t, 9), testIntroductionOptions(t, ForKnown)) // a certificate of another agent
	requireKind(t, wire.KindInvalidArgument, err)
	key.Destroy()
	_, err = NewIntroduction(key, testIntroductionOptions(t, ForKnown))
	requireKind(t, wire.KindClosed, err)
}

func TestIntroductionTampered(t *testing.T) {
	n := testIntroduction(t, ForTrusted)
	other := testKey(t, 9).Public()
	key := base64.StdEncoding.EncodeToString(other.Bytes())
	service := func(f map[string]any) map[string]any { return f["services"].([]any)[0].(map[string]any) }
	for name, change := range map[string]func(f map[string]any){
		"older":        func(f map[string]any) { f["version"] = 0 },
		"newer":        func(f map[string]any) { f["version"] = 2 },
		"no version":   func(f map[string]any) { delete(f, "version") },
		"agent_id":     func(f map[string]any) { f["agent_id"] = other.AgentID().String() },
		"agent":        func(f map[string]any) { f["agent_id"], f["public_key"] = other.AgentID().String(), key },
		"to":           func(f map[string]any) { f["to"] = other.AgentID().String() },
		"display_name": func(f map[string]any) { f["display_name"] = "Eve" },
		"machine_id":   func(f map[string]any) { f["machine_id"] = other.MachineID().String() },
		"no machine":   func(f map[string]any) { delete(f, "machine_id") },
		"user_id":      func(f map[string]any) { f["user_id"] = other.UserID().String() },
		"anonymous":    func(f map[string]any) { delete(f, "certificate"); delete(f, "user_id") },
		"accepted": func(f map[string]any) {
			f["certificate"] = base64.StdEncoding.EncodeToString(acceptedCertificate(t).Marshal())
		},
		"services":    func(f map[string]any) { f["services"] = nil },
		"one less":    func(f map[string]any) { f["services"] = f["services"].([]any)[:2] },
		"service":     func(f map[string]any) { service(f)["name"] = "pong" },
		"description": func(f map[string]any) { service(f)["description"] = "" },
		"min_trust":   func(f map[string]any) { service(f)["min_trust"] = "known" },
		"no trust":    func(f map[string]any) { service(f)["min_trust"] = "blocked" },
		"issued_at":   func(f map[string]any) { f["issued_at"] = testNow.Unix() - 1 },
		"expires_at":  func(f map[string]any) { f["expires_at"] = testNow.Unix() + 60 },
		"negative":    func(f map[string]any) { f["issued_at"] = -1 },
		"public_key":  func(f map[string]any) { f["public_key"] = key },
		"signature":   func(f map[string]any) { f["signature"] = f["certificate"] },
		"unsigned":    func(f map[string]any) { delete(f, "signature") },
	} {
		got, err := ParseIntroduction(changeJSON(t, n.Marshal(), change))
		if err == nil {
			err = got.Verify(n.To, testNow)
		}
		require.Error(t, err, name)
		require.Contains(t, []wire.Kind{wire.KindAuth, wire.KindCorrupt, wire.KindUnsupported}, wire.KindOf(err), "%s: %v", name, err)
	}
	got, err := ParseIntroduction(changeJSON(t, n.Marshal(), func(f map[string]any) { f["identity_words"], f["new"] = "not those words", 1 }))
	require.NoError(t, err)
	require.NoError(t, got.Verify(n.To, testNow))
	require.Equal(t, n.Marshal(), got.Marshal(), "the words follow from the id")
}

func TestIntroductionForgeries(t *testing.T) {
	forge := func(key *Key, domain string) error {
		n := *testIntroduction(t, ForKnown)
		var err error
		n.Signature, err = key.Sign(n.signed(), []byte(domain))
		require.NoError(t, err)
		return n.Verify(n.To, testNow)
	}
	require.NoError(t, forge(testKey(t, testAgent), DomainIntroduction))
	requireRefused(t, ErrSignature, forge(testKey(t, testUser), DomainIntroduction))
	requireRefused(t, ErrSignature, forge(testKey(t, 5), DomainIntroduction))
	requireRefused(t, ErrSignature, forge(testKey(t, testAgent), DomainCard))
}

func TestIntroductionBitFlips(t *testing.T) {
	n := testIntroduction(t, ForKnown)
	good := n.Marshal()
	key, certificate := bytes.Index(good, []byte(`"public_key"`))+20, bytes.Index(good, []byte(`"certificate"`))
	signature := bytes.Index(good, []byte(`"signature"`))
	require.True(t, 20 < key && key < certificate && certificate < signature)
	blob := func(i int) bool {
		return i > key && i < certificate || i > certificate+20 && i < signature || i > signature+20
	}
	flips(good, blob, func(at int, bad []byte) {
		got, err := ParseIntroduction(bad)
		if err == nil {
			err = got.Verify(n.To, testNow)
		}
		if err == nil {
			require.Equal(t, good, got.Marshal(), "bit flipped in byte %d", at)
		}
	})
}

func TestParseIntroductionRefuses(t *testing.T) {
	good := testIntroduction(t, ForAnyone).Marshal()
	for name, tt := range map[string]struct {
		text string
		kind wire.Kind
	}{
		"empty":    {"", wire.KindCorrupt},
		"null":     {"null", wire.KindUnsupported},
		"nothing":  {"{}", wire.KindUnsupported},
		"no key":   {`{"version":1}`, wire.KindCorrupt},
		"cut":      {string(good[:len(good)-1]), wire.KindCorrupt},
		"two":      {string(good) + "{}", wire.KindCorrupt},
		"deep":     {strings.Repeat("[", 40000), wire.KindCorrupt},
		"too long": {string(good) + strings.Repeat(" ", MaxIntroduction), wire.KindTooLarge},
	} {
		_, err := ParseIntroduction([]byte(tt.text))
		require.Equal(t, tt.kind.String(), wire.KindOf(err).String(), "%s: %v", name, err)
	}
}

func TestAudienceText(t *testing.T) {
	for a, name := range map[Audience]string{ForAnyone: "unknown", ForKnown: "known", ForTrusted: "trusted"} {
		var got Audience
		require.NoError(t, got.UnmarshalText([]byte(name)))
		require.Equal(t, a, got)
		require.Equal(t, name, a.String())
	}
	for _, bad := range []string{"", "blocked", "Known", "invalid"} {
		got := ForKnown
		requireKind(t, wire.KindInvalidArgument, got.UnmarshalText([]byte(bad)))
		require.Equal(t, ForKnown, got)
	}
	require.Equal(t, "invalid", Audience(3).String())
}

func FuzzParseIntroduction(f *testing.F) {
	asker := testKey(f, 6).Public().AgentID()
	made := map[string]bool{}
	fields := func(n *Introduction) string {
		bare := *n
		bare.Certificate = nil // its signature differs between the processes that fuzz
		return string(bare.signed())
	}
	for _, audience := range []Audience{ForAnyone, ForKnown, ForTrusted} {
		n := testIntroduction(f, audience)
		made[fields(n)] = true
		f.Add(n.Marshal())
		f.Add(n.Marshal()[:500])
		f.Add(changeJSON(f, n.Marshal(), func(f map[string]any) { f["display_name"] = "Eve" }))
		f.Add(changeJSON(f, n.Marshal(), func(f map[string]any) { f["new"] = []any{} }))
	}
	f.Add([]byte{})
	f.Add([]byte("{}"))
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := ParseIntroduction(text)
		if err != nil {
			if k := wire.KindOf(err); k != wire.KindCorrupt && k != wire.KindUnsupported && k != wire.KindTooLarge {
				t.Fatalf("got %v", err)
			}
			return
		}
		again, err := ParseIntroduction(n.Marshal())
		if wire.KindOf(err) == wire.KindTooLarge {
			return // texts that JSON may hold raw grow when they are escaped
		}
		if err != nil || !bytes.Equal(again.Marshal(), n.Marshal()) {
			t.Fatalf("it came back as another: %v", err)
		}
		if n.Verify(asker, testNow) == nil && !made[fields(n)] {
			t.Fatal("a forged introduction holds")
		}
	})
}
