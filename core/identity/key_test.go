package identity

import (
	"bytes"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// seedOf is the 32 bytes first, first+1, ...: seedOf(0) is 00 01 02 … 1f.
func seedOf(first byte) []byte {
	seed := make([]byte, SeedSize)
	for i := range seed {
		seed[i] = first + byte(i)
	}
	return seed
}

func testKey(t testing.TB, first byte) *Key {
	t.Helper()
	k, err := KeyFromSeed(seedOf(first))
	require.NoError(t, err)
	return k
}

func requireKind(t testing.TB, want wire.Kind, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, want.String(), wire.KindOf(err).String(), "%v", err)
}

// Known answers. They pin ids and key files for good: whoever must change them
// renames every agent. The ids were computed with the standard library's
// ML-DSA-65 and sha256sum; the file hashes are SHA-256 of the 6,000 bytes.
func TestKnownAnswers(t *testing.T) {
	for first, want := range map[byte]struct{ id, file string }{
		0x00: {
			id:   "d666806e11cee19a7c989f7445f90dd419cf4d2d51db8c0fdb4c0f0a542238c9",
			file: "b530bb96ae95b3916406e616f1d55999d9d97a01004658020bdc72cc0450b67f",
		},
		0x80: {
			id:   "e00c3ad05e18901d30ebc2c9044f4b0756ae6922ff258d688292e8ead8d4a2d5",
			file: "48e74aed3bdc82c48de92be944e6afee4b6c7fb93cc975b51091b5316ec67b86",
		},
	} {
		k := testKey(t, first)
		require.Equal(t, want.id, k.Public().AgentID().String())
		image := sha256.Sum256(k.MarshalKeyFile())
		require.Equal(t, want.file, hex.EncodeToString(image[:]))
	}
}

// A user who keeps 32 bytes keeps the user id: ParseKey of a seed is one key for
// good, the same in every version and language.
func TestSeedIsAUserForGood(t *testing.T) {
	seed := seedOf(0)
	k, err := ParseKey(seed)
	require.NoError(t, err)
	require.Equal(t, "d666806e11cee19a7c989f7445f90dd419cf4d2d51db8c0fdb4c0f0a542238c9", k.Public().UserID().String())
	seed[31] ^= 1
	other, err := ParseKey(seed)
	require.NoError(t, err)
	require.NotEqual(t, k.Public().UserID(), other.Public().UserID())
	require.NotEqual(t, k.MarshalKeyFile(), other.MarshalKeyFile())
}

func TestIDsAreTheHashOfThePublicKey(t *testing.T) {
	p := testKey(t, 1).Public()
	sum := sha256.Sum256(p.Bytes())
	require.Equal(t, sum, p.Digest())
	require.Equal(t, AgentID(sum), p.AgentID())
	require.Equal(t, MachineID(sum), p.MachineID())
	require.Equal(t, UserID(sum), p.UserID())
}

func TestStandardLibraryAgrees(t *testing.T) {
	for _, first := range []byte{0, 1, 77, 200} {
		std, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), seedOf(first))
		require.NoError(t, err)
		k := testKey(t, first)
		require.True(t, bytes.Equal(std.PublicKey().Bytes(), k.Public().Bytes()), "one seed, one public key")

		msg := bytes.Repeat([]byte{first}, 1000)
		for _, context := range []string{"", "x0x/test/v1", strings.Repeat("c", MaxContextSize)} {
			opts := &mldsa.Options{Context: context}
			ours, err := k.Sign(msg, []byte(context))
			require.NoError(t, err)
			require.NoError(t, mldsa.Verify(std.PublicKey(), msg, ours, opts))
			theirs, err := std.Sign(nil, msg, opts)
			require.NoError(t, err)
			require.True(t, k.Public().Verify(msg, []byte(context), theirs))
		}
	}
}

func TestVerifyRefusesEverythingElse(t *testing.T) {
	k := testKey(t, 1)
	msg, context := []byte("message"), []byte("context")
	sig, err := k.Sign(msg, context)
	require.NoError(t, err)
	require.Len(t, sig, SignatureSize)
	p := k.Public()
	require.True(t, p.Verify(msg, context, sig))

	require.False(t, p.Verify([]byte("massage"), context, sig))
	require.False(t, p.Verify(msg, []byte("contexT"), sig))
	require.False(t, p.Verify(msg, nil, sig))
	require.False(t, p.Verify(append(context, msg...), nil, sig), "context and message do not run together")
	require.False(t, testKey(t, 2).Public().Verify(msg, context, sig))
	require.False(t, p.Verify(msg, make([]byte, MaxContextSize+1), sig))
	for _, n := range []int{0, 1, SignatureSize - 1} {
		require.False(t, p.Verify(msg, context, sig[:n]))
	}
	require.False(t, p.Verify(msg, context, append(bytes.Clone(sig), 0)))
	for i := 0; i < SignatureSize; i += 101 {
		bad := bytes.Clone(sig)
		bad[i] ^= 1 << (i % 8)
		require.False(t, p.Verify(msg, context, bad), "bit flipped in byte %d", i)
	}
}

func TestSigningIsHedged(t *testing.T) {
	k := testKey(t, 1)
	a, err := k.Sign([]byte("m"), nil)
	require.NoError(t, err)
	b, err := k.Sign([]byte("m"), nil)
	require.NoError(t, err)
	require.False(t, bytes.Equal(a, b))
}

func TestGeneratedKeysDiffer(t *testing.T) {
	a, err := GenerateKey()
	require.NoError(t, err)
	b, err := GenerateKey()
	require.NoError(t, err)
	require.False(t, a.Public().Equal(b.Public()))
	back, err := ParseKeyFile(a.MarshalKeyFile())
	require.NoError(t, err)
	require.True(t, a.Public().Equal(back.Public()))
}

func TestParseKeyTakesThreeForms(t *testing.T) {
	k := testKey(t, 5)
	image := k.MarshalKeyFile()
	pub, sec := image[offPublic:offSecretLength], image[offSecret:]
	for name, material := range map[string][][]byte{
		"key file": {image},
		"seed":     {seedOf(5)},
		"pair":     {pub, sec},
	} {
		before := make([][]byte, len(material))
		for i := range material {
			before[i] = bytes.Clone(material[i])
		}
		got, err := ParseKey(material...)
		require.NoError(t, err, name)
		require.True(t, k.Public().Equal(got.Public()), name)
		require.True(t, bytes.Equal(image, got.MarshalKeyFile()), name)
		got.Destroy()
		require.Equal(t, before, material, "%s: the caller's bytes stay as they are", name)
	}

	other := testKey(t, 6).MarshalKeyFile()
	torn := bytes.Clone(image)
	torn[5000] ^= 1
	for name, material := range map[string][][]byte{
		"nothing":         {},
		"empty":           {{}},
		"public alone":    {pub},
		"secret alone":    {sec},
		"glued":           {append(bytes.Clone(pub), sec...)},
		"swapped":         {sec, pub},
		"short public":    {pub[:PublicKeySize-1], sec},
		"long secret":     {pub, append(bytes.Clone(sec), 0)},
		"two keys":        {pub, other[offSecret:]},
		"two keys back":   {other[offPublic:offSecretLength], sec},
		"three":           {pub, sec, pub},
		"damaged file":    {torn},
		"damaged secret":  {pub, torn[offSecret:]},
		"short seed":      {seedOf(1)[:31]},
		"a thousand args": make([][]byte, 1000),
	} {
		_, err := ParseKey(material...)
		requireKind(t, wire.KindInvalidArgument, err)
		require.Less(t, len(err.Error()), 300, name)
	}
	_, err := KeyFromSeed(nil)
	requireKind(t, wire.KindInvalidArgument, err)
	_, err = ParsePublicKey(pub[1:])
	requireKind(t, wire.KindInvalidArgument, err)
	_, err = CachedPublicKey(image)
	requireKind(t, wire.KindInvalidArgument, err)
}

func TestContextLimit(t *testing.T) {
	k := testKey(t, 1)
	_, err := k.Sign(nil, make([]byte, MaxContextSize))
	require.NoError(t, err)
	_, err = k.Sign(nil, make([]byte, MaxContextSize+1))
	requireKind(t, wire.KindInvalidArgument, err)
}

func TestDestroy(t *testing.T) {
	k := testKey(t, 9)
	secret := k.secret.key
	signer := k.Signer()
	sig, err := k.Sign([]byte("m"), nil)
	require.NoError(t, err)

	// Signatures in the making finish; later ones are refused.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				sig, err := k.Sign([]byte("m"), nil)
				if err != nil {
					if wire.KindOf(err) != wire.KindClosed {
						t.Errorf("got %v, want closed", err)
					}
					return
				}
				if !k.Public().Verify([]byte("m"), nil, sig) {
					t.Error("a signature was made with a half-destroyed key")
				}
			}
		})
	}
	k.Destroy()
	wg.Wait()
	k.Destroy()

	packed, err := secret.MarshalBinary()
	require.NoError(t, err)
	zeroKeyBytes := 0
	for _, b := range packed[:offS1] {
		if b == 0 {
			zeroKeyBytes++
		}
	}
	require.Equal(t, offS1, zeroKeyBytes, "ρ, K and tr are overwritten")
	require.Nil(t, secret.Seed())

	_, err = signer.Sign(nil, []byte("m"), nil)
	requireKind(t, wire.KindClosed, err)
	require.ErrorIs(t, err, net.ErrClosed)
	require.Nil(t, k.MarshalKeyFile())
	requireKind(t, wire.KindClosed, SaveKey(t.TempDir()+"/k", k))
	require.True(t, k.Public().Verify([]byte("m"), nil, sig), "the public half lives on")
}

func TestSignerMakesCertificates(t *testing.T) {
	k := testKey(t, 3)
	signer := k.Signer()
	require.IsType(t, &mldsa.PublicKey{}, signer.Public())

	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	require.NoError(t, cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature))
	p, err := ParsePublicKey(cert.PublicKey.(*mldsa.PublicKey).Bytes())
	require.NoError(t, err)
	require.Equal(t, k.Public().MachineID(), p.MachineID())

	sig, err := signer.Sign(nil, []byte("m"), &mldsa.Options{Context: "c"})
	require.NoError(t, err)
	require.True(t, p.Verify([]byte("m"), []byte("c"), sig))
	_, err = signer.Sign(nil, make([]byte, 64), hashOpts{})
	requireKind(t, wire.KindUnsupported, err)
}

func TestCacheIsBoundedAndKeepsWhatIsUsed(t *testing.T) {
	c := newKeyCache(3)
	var keys []*PublicKey
	for i := range byte(5) {
		keys = append(keys, testKey(t, i).Public())
	}
	for _, p := range keys[:3] {
		require.Same(t, p, c.add(p))
	}
	_, ok := c.get(keys[0].Digest()) // finding a key makes it the most recently used
	require.True(t, ok)
	c.add(keys[3]) // for keys[1]
	require.NotContains(t, c.entries, keys[1].Digest())
	again, err := ParsePublicKey(keys[2].Bytes())
	require.NoError(t, err)
	require.Same(t, keys[2], c.add(again), "the first parse wins, and is used now")
	c.add(keys[4]) // for keys[0]
	for i, want := range []bool{false, false, true, true, true} {
		_, ok := c.get(keys[i].Digest())
		require.Equal(t, want, ok, "key %d", i)
	}
	require.Equal(t, CacheStats{Keys: 3, Hits: 4, Misses: 2, Evicted: 2}, c.stats())
}

func TestCachedPublicKey(t *testing.T) {
	want := testKey(t, 42).Public()
	before := PublicKeyCacheStats()
	results := make([]*PublicKey, 8)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { results[i], _ = CachedPublicKey(want.Bytes()) })
	}
	wg.Wait()
	for _, got := range results {
		require.NotNil(t, got)
		require.True(t, want.Equal(got))
		require.Same(t, results[0], got)
	}
	got, ok := LookupPublicKey(want.Digest())
	require.True(t, ok)
	require.Same(t, results[0], got)
	_, ok = LookupPublicKey([32]byte{})
	require.False(t, ok)
	after := PublicKeyCacheStats()
	require.LessOrEqual(t, after.Keys, publicKeyCacheSize)
	require.EqualValues(t, len(results)+2, after.Hits+after.Misses-before.Hits-before.Misses)
}

func TestPublicKeyBytesAreACopy(t *testing.T) {
	p := testKey(t, 1).Public()
	clear(p.Bytes())
	sum := sha256.Sum256(p.Bytes())
	require.Equal(t, p.Digest(), sum)
}
