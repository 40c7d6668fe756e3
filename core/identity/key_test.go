package identity

import (
	"bytes"
	"crypto/mldsa"
	"testing"

	"github.com/stretchr/testify/require"
)

func seedOf(b byte) []byte {
	seed := make([]byte, SeedSize)
	for i := range seed {
		seed[i] = b + byte(i)
	}
	return seed
}

func testKey(t testing.TB, b byte) *Key {
	t.Helper()
	k, err := KeyFromSeed(seedOf(b))
	require.NoError(t, err)
	return k
}

func TestStandardLibraryAgrees(t *testing.T) {
	std, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), seedOf(0))
	require.NoError(t, err)
	k := testKey(t, 0)
	require.True(t, bytes.Equal(std.PublicKey().Bytes(), k.Public().Bytes()))
	image := k.MarshalKeyFile()
	k2, err := ParseKeyFile(image)
	require.NoError(t, err)
	sig, err := k2.Sign([]byte("m"), []byte("c"))
	require.NoError(t, err)
	require.NoError(t, mldsa.Verify(std.PublicKey(), []byte("m"), sig, &mldsa.Options{Context: "c"}))
}
