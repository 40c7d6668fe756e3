package identity

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// testRevocations are one of each: by an agent, a machine, the user of an agent
// and the user of a certificate.
func testRevocations(t testing.TB) map[string]*Revocation {
	t.Helper()
	user := testKey(t, testUser)
	all := map[string]*Revocation{}
	add := func(name string) func(*Revocation, error) {
		return func(r *Revocation, err error) {
			require.NoError(t, err)
			all[name] = r
		}
	}
	add("agent")(NewAgentRevocation(testKey(t, testAgent), "stolen", testNow))
	add("machine")(NewMachineRevocation(testKey(t, 5), "", testNow))
	add("user")(NewUserRevocation(user, acceptedCertificate(t), "lost: ünïcode", testNow))
	add("certificate")(NewCertificateRevocation(user, acceptedCertificate(t), "moved on", testNow))
	return all
}

func TestRevocationRoundTrip(t *testing.T) {
	agent, machine := testKey(t, testAgent).Public().Digest(), testKey(t, 5).Public().Digest()
	want := map[string]struct {
		subject RevocationSubject
		id      [32]byte
	}{
		"agent":       {RevokeAgent, agent},
		"machine":     {RevokeMachine, machine},
		"user":        {RevokeAgent, agent},
		"certificate": {RevokeCertificate, testCertificate(t).Digest()},
	}
	for name, r := range testRevocations(t) {
		require.NoError(t, r.Verify(testNow), name)
		b := r.Marshal()
		require.LessOrEqual(t, len(b), MaxRevocationSize)
		got, err := ParseRevocation(b)
		require.NoError(t, err, name)
		require.NoError(t, got.Verify(testNow), name)
		require.NoError(t, got.Verify(testNow.Add(100*365*24*time.Hour)), "%s: a revocation is for good", name)
		require.Equal(t, b, got.Marshal())
		require.Equal(t, want[name].subject, got.Subject)
		require.Equal(t, want[name].id, got.ID)
		require.Equal(t, r.Reason, got.Reason)
		require.Equal(t, testNow, got.At)
		clear(b)
		require.NoError(t, got.Verify(testNow), "the parsed revocation is a copy")
	}
	require.Nil(t, testRevocations(t)["certificate"].Certificate.AgentKey)
	require.Equal(t, "agent machine certificate unknown",
		strings.Join([]string{RevokeAgent.String(), RevokeMachine.String(), RevokeCertificate.String(), RevocationSubject(9).String()}, " "))
}

func TestRevocationReasons(t *testing.T) {
	key := testKey(t, testAgent)
	rapid.Check(t, func(t *rapid.T) {
		reason := rapid.OneOf(
			rapid.String(),
			rapid.StringOfN(rapid.RuneFrom([]rune("aé中")), 0, -1, 2*MaxReasonSize),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) }),
		).Draw(t, "reason")
		r, err := NewAgentRevocation(key, reason, testNow)
		if bad := checkText("", reason, MaxReasonSize) != nil; bad != (err != nil) {
			t.Fatalf("%q: %v", reason, err)
		}
		if err != nil {
			if wire.KindOf(err) != wire.KindInvalidArgument {
				t.Fatal(err)
			}
			return
		}
		got, err := ParseRevocation(r.Marshal())
		if err != nil || got.Reason != reason || got.Verify(testNow) != nil {
			t.Fatalf("%q: %v", reason, err)
		}
	})
	for _, bad := range []string{strings.Repeat("x", MaxReasonSize+1), "\xff", "a\nb", "\x1b[2J"} {
		_, err := NewAgentRevocation(key, bad, testNow)
		requireKind(t, wire.KindInvalidArgument, err)
	}
	for _, at := range []time.Time{{}, time.UnixMilli(-1), time.UnixMilli(maxUnixMilli + 1)} {
		_, err := NewAgentRevocation(key, "", at)
		requireKind(t, wire.KindInvalidArgument, err)
	}
}

func TestRevocationFromTheFuture(t *testing.T) {
	for name, r := range testRevocations(t) {
		require.NoError(t, r.Verify(testNow.Add(-MaxClockSkew)), name)
		requireRefused(t, ErrFutureDated, r.Verify(testNow.Add(-MaxClockSkew-time.Millisecond)))
	}
}

// A user must be able to revoke an agent long after its certificate has ended,
// but a certificate gives no right over the time before it, nor over others.
func TestWhatACertificateAllowsToRevoke(t *testing.T) {
	user, agent, stranger := testKey(t, testUser), testKey(t, testAgent), testKey(t, 9)
	accepted := acceptedCertificate(t)

	late := accepted.ExpiresAt.Add(10 * 365 * 24 * time.Hour)
	r, err := NewUserRevocation(user, accepted, "", late)
	require.NoError(t, err)
	require.NoError(t, r.Verify(late))
	r, err = NewCertificateRevocation(user, accepted, "", late)
	require.NoError(t, err)
	require.NoError(t, r.Verify(late))
	r, err = NewUserRevocation(user, accepted, "", accepted.IssuedAt)
	require.NoError(t, err)
	require.NoError(t, r.Verify(testNow))

	// A stranger certifies the agent, which has never agreed.
	imposed, err := IssueCertificate(stranger, agent.Public().AgentID(), testNow.Add(-time.Hour), testNow.Add(time.Hour))
	require.NoError(t, err)
	forgedAcceptance := *imposed
	forgedAcceptance.AgentKey = agent.Public()
	forgedAcceptance.Acceptance, err = stranger.Sign(imposed.accepted(), []byte(DomainAcceptance))
	require.NoError(t, err)
	otherAgents, err := IssueCertificate(user, stranger.Public().AgentID(), testNow.Add(-time.Hour), testNow.Add(time.Hour))
	require.NoError(t, err)
	otherAgents, err = otherAgents.Accept(stranger)
	require.NoError(t, err)
	id, digest := agent.Public().Digest(), accepted.Digest()

	for name, tt := range map[string]struct {
		signer *Key
		reason error
		r      Revocation
	}{
		"issued after it":                  {user, ErrWrongSigner, Revocation{Subject: RevokeAgent, ID: id, At: accepted.IssuedAt.Add(-time.Millisecond), Certificate: accepted}},
		"for another agent":                {user, ErrWrongSigner, Revocation{Subject: RevokeAgent, ID: id, At: testNow, Certificate: otherAgents}},
		"of another user":                  {stranger, ErrWrongSigner, Revocation{Subject: RevokeAgent, ID: id, At: testNow, Certificate: accepted}},
		"not accepted":                     {stranger, ErrWrongSigner, Revocation{Subject: RevokeAgent, ID: id, At: testNow, Certificate: imposed}},
		"acceptance forged":                {stranger, ErrSignature, Revocation{Subject: RevokeAgent, ID: id, At: testNow, Certificate: &forgedAcceptance}},
		"no certificate":                   {user, ErrWrongSigner, Revocation{Subject: RevokeAgent, ID: id, At: testNow}},
		"machine by a user":                {user, ErrWrongSigner, Revocation{Subject: RevokeMachine, ID: id, At: testNow, Certificate: accepted}},
		"machine by another":               {stranger, ErrWrongSigner, Revocation{Subject: RevokeMachine, ID: id, At: testNow}},
		"certificate by the agent":         {agent, ErrWrongSigner, Revocation{Subject: RevokeCertificate, ID: digest, At: testNow, Certificate: accepted}},
		"certificate by itself":            {agent, ErrWrongSigner, Revocation{Subject: RevokeCertificate, ID: id, At: testNow}},
		"certificate by a stranger":        {stranger, ErrWrongSigner, Revocation{Subject: RevokeCertificate, ID: digest, At: testNow, Certificate: accepted}},
		"certificate by another one":       {stranger, ErrWrongSigner, Revocation{Subject: RevokeCertificate, ID: digest, At: testNow, Certificate: imposed}},
		"unknown subject by a certificate": {user, ErrWrongSigner, Revocation{Subject: 4, ID: id, At: testNow, Certificate: accepted}},
	} {
		t.Run(name, func(t *testing.T) {
			made := tt.r
			_, err := newRevocation(tt.signer, &made)
			requireKind(t, wire.KindInvalidArgument, err)
			// And whoever writes their own:
			forged := tt.r
			forged.Signer = tt.signer.Public()
			forged.Signature, err = tt.signer.Sign(forged.signed(), []byte(DomainRevocation))
			require.NoError(t, err)
			requireRefused(t, tt.reason, forged.Verify(testNow))
			if got, err := ParseRevocation(forged.Marshal()); err == nil {
				require.Error(t, got.Verify(testNow))
			}
		})
	}
}

func TestRevocationForgeries(t *testing.T) {
	agent, other := testKey(t, testAgent), testKey(t, 9)
	good := testRevocations(t)["agent"]
	forge := func(key *Key, domain string, change func(r *Revocation)) error {
		r := *good
		change(&r)
		if key != nil {
			var err error
			r.Signature, err = key.Sign(r.signed(), []byte(domain))
			require.NoError(t, err)
		}
		return r.Verify(testNow)
	}
	nothing := func(*Revocation) {}
	requireRefused(t, ErrSignature, forge(other, DomainRevocation, nothing))
	requireRefused(t, ErrSignature, forge(agent, DomainPresence, nothing))
	requireRefused(t, ErrSignature, forge(nil, "", func(r *Revocation) { r.Reason += "." }))
	requireRefused(t, ErrSignature, forge(nil, "", func(r *Revocation) { r.At = r.At.Add(-time.Second) }))
	requireRefused(t, ErrSignature, forge(nil, "", func(r *Revocation) { r.Subject = RevokeMachine }))
	requireRefused(t, ErrSignature, forge(nil, "", func(r *Revocation) { r.Signature = nil }))
	requireRefused(t, ErrWrongSigner, forge(nil, "", func(r *Revocation) { r.ID = other.Public().Digest() }))
	requireRefused(t, ErrWrongSigner, forge(nil, "", func(r *Revocation) { r.Signer = other.Public() }))
}

func TestRevocationBitFlips(t *testing.T) {
	for name, r := range testRevocations(t) {
		good := r.Marshal()
		// Beyond the reason all is keys and signatures, but the head of a certificate.
		head := 2 + IDSize + 8 + 1 + len(r.Reason) + 1
		flips(good, func(i int) bool { return i > head+4 }, func(at int, bad []byte) {
			got, err := ParseRevocation(bad)
			if err == nil {
				err = got.Verify(testNow)
			}
			require.Error(t, err, "%s: bit flipped in byte %d", name, at)
		})
	}
}

func TestParseRevocationRefuses(t *testing.T) {
	all := testRevocations(t)
	self, byUser := all["machine"].Marshal(), all["user"].Marshal()
	change := func(b []byte, at int, v byte) []byte {
		b = bytes.Clone(b)
		b[at] = v
		return b
	}
	signerAt := 2 + IDSize + 8 + 1
	certificateAt := signerAt + len(all["user"].Reason) + 1 + 2
	for name, tt := range map[string]struct {
		b    []byte
		kind wire.Kind
	}{
		"empty":             {nil, wire.KindCorrupt},
		"short":             {self[:len(self)-1], wire.KindCorrupt},
		"long":              {append(bytes.Clone(self), 0), wire.KindCorrupt},
		"older":             {change(self, 0, 0), wire.KindUnsupported},
		"newer":             {change(self, 0, 2), wire.KindUnsupported},
		"no subject":        {change(self, 1, 0), wire.KindCorrupt},
		"unknown subject":   {change(self, 1, 4), wire.KindCorrupt},
		"time":              {change(self, 34, 0x80), wire.KindCorrupt},
		"signer":            {change(self, signerAt, 2), wire.KindCorrupt},
		"long reason":       {append(self[:42:42], 0x81, 0x02), wire.KindCorrupt},
		"reason not UTF-8":  {change(byUser, 43, 0xff), wire.KindCorrupt},
		"reason of control": {change(byUser, 43, 0x1b), wire.KindCorrupt},
		"older certificate": {change(byUser, certificateAt, 0), wire.KindUnsupported},
		"long certificate":  {append(self[:signerAt:signerAt], 1, 0xff, 0xff, 0x7f), wire.KindCorrupt},
	} {
		_, err := ParseRevocation(tt.b)
		require.Equal(t, tt.kind.String(), wire.KindOf(err).String(), "%s: %v", name, err)
	}
}

func FuzzParseRevocation(f *testing.F) {
	type said struct {
		subject RevocationSubject
		id      [32]byte
		reason  string
	}
	all := map[said]bool{}
	for _, r := range testRevocations(f) {
		all[said{r.Subject, r.ID, r.Reason}] = true
		good := r.Marshal()
		f.Add(good)
		f.Add(good[:len(good)-1])
		f.Add(append(bytes.Clone(good), 0))
		for _, i := range []int{0, 1, 2, 34, 42, 43, 50, 60, len(good) - 1} {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			f.Add(bad)
		}
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRevocation(b)
		if err != nil {
			if k := wire.KindOf(err); k != wire.KindCorrupt && k != wire.KindUnsupported {
				t.Fatalf("got %v", err)
			}
			return
		}
		if !bytes.Equal(b, r.Marshal()) {
			t.Fatal("a second encoding of one revocation")
		}
		if r.Verify(testNow) == nil && !all[said{r.Subject, r.ID, r.Reason}] {
			t.Fatal("a forged revocation holds")
		}
	})
}
