package identity

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// testNow is the clock of the tests of what expires: noon, in whole seconds.
var testNow = time.Date(2030, 5, 17, 12, 0, 0, 0, time.UTC)

// testUser and testAgent are the seeds of the two keys of most tests.
const testUser, testAgent = 3, 4

func testCertificate(t testing.TB) *Certificate {
	t.Helper()
	c, err := IssueCertificate(testKey(t, testUser), testKey(t, testAgent).Public().AgentID(),
		testNow.Add(-time.Hour), testNow.Add(24*time.Hour))
	require.NoError(t, err)
	return c
}

func acceptedCertificate(t testing.TB) *Certificate {
	t.Helper()
	c, err := testCertificate(t).Accept(testKey(t, testAgent))
	require.NoError(t, err)
	return c
}

// requireRefused asks for an auth error with exactly this reason.
func requireRefused(t testing.TB, reason error, err error) {
	t.Helper()
	requireKind(t, wire.KindAuth, err)
	for _, r := range []error{ErrExpired, ErrFutureDated, ErrSignature, ErrWrongSigner} {
		if r == reason {
			require.ErrorIs(t, err, r)
		} else {
			require.NotErrorIs(t, err, r)
		}
	}
}

// flips calls try with every form of good that differs in one bit. Of the long
// fields that blob reports, keys and signatures, it flips one bit in every 61st
// byte, and another bit each time: all 85,000 would take minutes.
func flips(good []byte, blob func(i int) bool, try func(at int, bad []byte)) {
	bad := bytes.Clone(good)
	for i := range good {
		for bit := range 8 {
			if blob(i) && (i%61 != 0 || bit != i/61%8) {
				continue
			}
			bad[i] ^= 1 << bit
			try(i, bad)
			bad[i] = good[i]
		}
	}
}

func TestCertificateRoundTrip(t *testing.T) {
	for _, c := range []*Certificate{testCertificate(t), acceptedCertificate(t)} {
		require.NoError(t, c.Verify(testNow))
		b := c.Marshal()
		got, err := ParseCertificate(b)
		require.NoError(t, err)
		require.NoError(t, got.Verify(testNow))
		require.Equal(t, b, got.Marshal())
		require.Equal(t, c.Digest(), got.Digest())
		require.Equal(t, testKey(t, testUser).Public().UserID(), got.UserID())
		require.Equal(t, c.Accepted(), got.Accepted())
		require.Equal(t, c.IssuedAt, got.IssuedAt)
		require.Equal(t, c.ExpiresAt, got.ExpiresAt)
		clear(b)
		require.NoError(t, got.Verify(testNow), "the parsed certificate is a copy")
	}
	require.Len(t, testCertificate(t).Marshal(), CertificateSize)
	require.Len(t, acceptedCertificate(t).Marshal(), AcceptedCertificateSize)
	require.Equal(t, testCertificate(t).Digest(), acceptedCertificate(t).Digest(), "the digest is of what the user says")
	require.False(t, acceptedCertificate(t).Bare().Accepted())
}

func TestCertificateTimes(t *testing.T) {
	user, agent := testKey(t, testUser), testKey(t, testAgent).Public().AgentID()
	rapid.Check(t, func(t *rapid.T) {
		issued := testNow.Add(time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "issued")))
		life := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(MaxCertificateLifetime)).Draw(t, "life"))
		c, err := IssueCertificate(user, agent, issued, issued.Add(life))
		if err != nil {
			t.Fatal(err)
		}
		c, err = ParseCertificate(c.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		if d := issued.Sub(c.IssuedAt); d < 0 || d >= time.Millisecond {
			t.Fatalf("issued at %v, became %v", issued, c.IssuedAt)
		}
		for at, ok := range map[time.Time]bool{
			c.IssuedAt.Add(-MaxClockSkew):                    true,
			c.IssuedAt.Add(-MaxClockSkew - time.Millisecond): false,
			c.ExpiresAt.Add(-time.Nanosecond):                true,
			c.ExpiresAt:                                      false,
		} {
			if err := c.Verify(at); (err == nil) != ok {
				t.Fatalf("at %v of %v to %v: %v", at, c.IssuedAt, c.ExpiresAt, err)
			}
		}
	})

	c := testCertificate(t)
	requireRefused(t, ErrExpired, c.Verify(c.ExpiresAt))
	requireRefused(t, ErrFutureDated, c.Verify(c.IssuedAt.Add(-MaxClockSkew-time.Millisecond)))
}

func TestIssueCertificateRefuses(t *testing.T) {
	user, agent := testKey(t, testUser), testKey(t, testAgent).Public().AgentID()
	for name, tt := range map[string]struct {
		agent           AgentID
		issued, expires time.Time
	}{
		"no lifetime":        {agent, testNow, testNow},
		"backwards":          {agent, testNow, testNow.Add(-1)},
		"too long":           {agent, testNow, testNow.Add(MaxCertificateLifetime + time.Millisecond)},
		"before 1970":        {agent, time.Unix(-1, 0), time.Unix(1, 0)},
		"after 9999":         {agent, time.UnixMilli(maxUnixMilli), time.UnixMilli(maxUnixMilli + 1)},
		"no times":           {agent, time.Time{}, time.Time{}},
		"the user's own key": {AgentID(user.Public().UserID()), testNow, testNow.Add(1e9)},
	} {
		_, err := IssueCertificate(user, tt.agent, tt.issued, tt.expires)
		require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err), "%s: %v", name, err)
	}
	user.Destroy()
	_, err := IssueCertificate(user, agent, testNow, testNow.Add(time.Hour))
	requireKind(t, wire.KindClosed, err)

	_, err = testCertificate(t).Accept(testKey(t, testUser))
	requireKind(t, wire.KindInvalidArgument, err)
}

// Renewing is issuing again; the newer one replaces the older in any order.
func TestCertificateNewer(t *testing.T) {
	user, agent := testKey(t, testUser), testKey(t, testAgent).Public().AgentID()
	issue := func(user *Key, agent AgentID, issued, life time.Duration) *Certificate {
		c, err := IssueCertificate(user, agent, testNow.Add(issued), testNow.Add(issued+life))
		require.NoError(t, err)
		return c
	}
	old := issue(user, agent, 0, time.Hour)
	renewed := issue(user, agent, time.Minute, time.Second)
	longer := issue(user, agent, 0, 2*time.Hour)
	require.True(t, renewed.Newer(old))
	require.False(t, old.Newer(renewed))
	require.True(t, longer.Newer(old))
	require.False(t, old.Newer(longer))
	require.False(t, old.Newer(old))
	require.True(t, old.Newer(nil))
	require.False(t, issue(testKey(t, 9), agent, time.Hour, time.Hour).Newer(old), "another user")
	require.False(t, issue(user, testKey(t, 9).Public().AgentID(), time.Hour, time.Hour).Newer(old), "another agent")
	require.NotEqual(t, old.Digest(), longer.Digest())
	require.Equal(t, old.Digest(), issue(user, agent, 0, time.Hour).Digest(), "signing again is no escape from a revocation")
}

func TestCertificateBitFlips(t *testing.T) {
	good := acceptedCertificate(t).Marshal()
	blob := func(i int) bool { return i >= 2 && i < 1954 || i >= 2002 }
	flips(good, blob, func(at int, bad []byte) {
		c, err := ParseCertificate(bad)
		if err == nil {
			err = c.Verify(testNow)
		}
		require.Error(t, err, "bit flipped in byte %d", at)
	})
}

func TestCertificateForgeries(t *testing.T) {
	user, agent, other := testKey(t, testUser), testKey(t, testAgent), testKey(t, 9)
	fake := func(change func(c *Certificate)) *Certificate {
		c := *acceptedCertificate(t)
		change(&c)
		return &c
	}
	resign := func(c *Certificate, key *Key, domain string) {
		var err error
		c.Signature, err = key.Sign(c.signed(), []byte(domain))
		require.NoError(t, err)
	}
	requireRefused(t, ErrSignature, fake(func(c *Certificate) { resign(c, other, DomainCertificate) }).Verify(testNow))
	requireRefused(t, ErrSignature, fake(func(c *Certificate) { resign(c, agent, DomainCertificate) }).Verify(testNow))
	requireRefused(t, ErrSignature, fake(func(c *Certificate) { resign(c, user, DomainCard) }).Verify(testNow))
	requireRefused(t, ErrSignature, fake(func(c *Certificate) { c.UserKey = other.Public() }).Verify(testNow))
	requireRefused(t, ErrSignature, fake(func(c *Certificate) { c.Signature = nil }).Verify(testNow))
	requireRefused(t, ErrSignature, fake(func(c *Certificate) { c.Acceptance = c.Signature }).Verify(testNow))
	requireRefused(t, ErrWrongSigner, fake(func(c *Certificate) { c.AgentKey = other.Public() }).Verify(testNow))
	// An acceptance is of one certificate, not of a user.
	requireRefused(t, ErrSignature, fake(func(c *Certificate) {
		c.ExpiresAt = c.ExpiresAt.Add(time.Hour)
		resign(c, user, DomainCertificate)
	}).Verify(testNow))
	// A user's signature does not make an endless certificate good, or a user an agent.
	requireRefused(t, nil, fake(func(c *Certificate) {
		c.ExpiresAt = c.IssuedAt.Add(MaxCertificateLifetime + time.Millisecond)
		resign(c, user, DomainCertificate)
	}).Verify(testNow))
	requireRefused(t, ErrWrongSigner, fake(func(c *Certificate) {
		*c = *c.Bare()
		c.Agent = AgentID(c.UserID())
		resign(c, user, DomainCertificate)
	}).Verify(testNow))
}

func TestParseCertificateRefuses(t *testing.T) {
	good := testCertificate(t).Marshal()
	accepted := acceptedCertificate(t).Marshal()
	change := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	for name, tt := range map[string]struct {
		b    []byte
		kind wire.Kind
	}{
		"empty":            {nil, wire.KindCorrupt},
		"version only":     {good[:1], wire.KindCorrupt},
		"short":            {good[:len(good)-1], wire.KindCorrupt},
		"long":             {append(bytes.Clone(good), 0), wire.KindCorrupt},
		"older":            {change(0, 0), wire.KindUnsupported},
		"newer":            {change(0, 2), wire.KindUnsupported},
		"form":             {change(1, 2), wire.KindCorrupt},
		"not accepted":     {change(1, 1), wire.KindCorrupt},
		"half accepted":    {accepted[:CertificateSize+PublicKeySize], wire.KindCorrupt},
		"time before 1970": {change(1986, 0x80), wire.KindCorrupt},
		"time after 9999":  {change(1994, 0x01), wire.KindCorrupt},
	} {
		_, err := ParseCertificate(tt.b)
		require.Equal(t, tt.kind.String(), wire.KindOf(err).String(), "%s: %v", name, err)
	}
}

func TestCertificateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), CertificateFile)
	_, err := LoadCertificate(path)
	requireKind(t, wire.KindNotFound, err)

	for _, c := range []*Certificate{testCertificate(t), acceptedCertificate(t), testCertificate(t)} {
		require.NoError(t, SaveCertificate(path, c))
		got, err := LoadCertificate(path)
		require.NoError(t, err)
		require.Equal(t, c.Marshal(), got.Marshal())
		require.Error(t, got.Verify(testNow.Add(1000*time.Hour)), "one that has expired is still loaded")
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.False(t, exposed(info.Mode()))
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file stays")

	good := testCertificate(t).Marshal()
	for _, bad := range [][]byte{nil, good[:100], append(bytes.Clone(good), 0), append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1),
		bytes.Repeat(good, 3)} {
		require.NoError(t, os.WriteFile(path, bad, 0o600))
		_, err := LoadCertificate(path)
		requireKind(t, wire.KindCorrupt, err)
		left, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(bad, left), "a damaged file is left as it is")
	}

	requireKind(t, wire.KindNotFound, SaveCertificate(filepath.Join(path+".d", "x"), testCertificate(t)))
	requireKind(t, wire.KindInvalidArgument, SaveCertificate("", testCertificate(t)))
	_, err = LoadCertificate("")
	requireKind(t, wire.KindInvalidArgument, err)
	_, err = LoadCertificate(t.TempDir())
	requireKind(t, wire.KindIO, err)
}

func FuzzParseCertificate(f *testing.F) {
	good, accepted := testCertificate(f).Marshal(), acceptedCertificate(f).Marshal()
	said := testCertificate(f).Digest() // signatures differ between the processes that fuzz
	f.Add(good)
	f.Add(accepted)
	f.Add([]byte{})
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0))
	for _, i := range []int{0, 1, 2, 1954, 1986, 1994, 2002, CertificateSize, CertificateSize + PublicKeySize} {
		bad := bytes.Clone(accepted)
		bad[i] ^= 1
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCertificate(b)
		if err != nil {
			if k := wire.KindOf(err); k != wire.KindCorrupt && k != wire.KindUnsupported {
				t.Fatalf("got %v", err)
			}
			return
		}
		if !bytes.Equal(b, c.Marshal()) {
			t.Fatal("a second encoding of one certificate")
		}
		if c.Verify(testNow) == nil && c.Digest() != said {
			t.Fatal("a forged certificate holds")
		}
	})
}
