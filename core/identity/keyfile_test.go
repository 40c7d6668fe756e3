package identity

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestKeyFileLayout(t *testing.T) {
	k := testKey(t, 1)
	b := k.MarshalKeyFile()
	require.Len(t, b, 6000)
	require.Equal(t, []byte{0xa0, 0x07, 0, 0, 0, 0, 0, 0}, b[:8], "1952, little-endian")
	require.Equal(t, k.Public().Bytes(), b[8:1960])
	require.Equal(t, []byte{0xc0, 0x0f, 0, 0, 0, 0, 0, 0}, b[1960:1968], "4032, little-endian")
	require.Equal(t, k.Public().Bytes()[:32], b[1968:2000], "both halves start with ρ")
}

func TestKeyFileRoundTrip(t *testing.T) {
	for first := range byte(8) {
		b := testKey(t, first).MarshalKeyFile()
		in := bytes.Clone(b)
		k, err := ParseKeyFile(in)
		require.NoError(t, err)
		clear(in) // the caller's buffer is not kept
		require.True(t, bytes.Equal(b, k.MarshalKeyFile()))
		sig, err := k.Sign([]byte("m"), []byte("c"))
		require.NoError(t, err)
		require.True(t, testKey(t, first).Public().Verify([]byte("m"), []byte("c"), sig))
	}
}

func TestEveryOtherLengthIsCorrupt(t *testing.T) {
	b := testKey(t, 1).MarshalKeyFile()
	for n := range KeyFileSize {
		if _, err := ParseKeyFile(b[:n]); wire.KindOf(err) != wire.KindCorrupt {
			t.Fatalf("truncated to %d: got %v, want corrupt", n, err)
		}
	}
	_, err := ParseKeyFile(append(bytes.Clone(b), 0))
	requireKind(t, wire.KindCorrupt, err)
	_, err = ParseKeyFile(append(bytes.Clone(b), b...))
	requireKind(t, wire.KindCorrupt, err)
}

// One flipped bit anywhere but in K is found, small errors in s2 and t0
// included, which a trial signature would let pass.
func TestEveryFlippedBitIsCorrupt(t *testing.T) {
	good := testKey(t, 1)
	b := good.MarshalKeyFile()
	for i := range b {
		for bit := i % 8; bit < 8; bit += 8 - i%2*4 { // one or two bits of each byte, all eight in turn
			b[i] ^= 1 << bit
			k, err := ParseKeyFile(b)
			if inK := i >= offSecret+32 && i < offSecret+64; inK {
				if err != nil || !k.Public().Equal(good.Public()) {
					t.Fatalf("byte %d of K: got %v, want the same identity", i, err)
				}
				if sig, err := k.Sign(nil, nil); err != nil || !good.Public().Verify(nil, nil, sig) {
					t.Fatalf("byte %d of K: the signature does not verify: %v", i, err)
				}
			} else if wire.KindOf(err) != wire.KindCorrupt {
				t.Fatalf("bit %d of byte %d: got %v, want corrupt", bit, i, err)
			}
			b[i] ^= 1 << bit
		}
	}
	_, err := ParseKeyFile(b)
	require.NoError(t, err)
}

func TestDamageOfOtherShapesIsCorrupt(t *testing.T) {
	a, b := testKey(t, 1).MarshalKeyFile(), testKey(t, 2).MarshalKeyFile()
	fields := map[string][2]int{
		"public":  {offPublic, offSecretLength},
		"secret":  {offSecret, KeyFileSize},
		"seed":    {offSecret, offSecret + 32},
		"tr":      {offSecret + offTr, offSecret + offS1},
		"s1":      {offSecret + offS1, offSecret + offS2},
		"s2":      {offSecret + offS2, offSecret + offT0},
		"t0":      {offSecret + offT0, KeyFileSize},
		"a block": {4096, KeyFileSize},
	}
	for name, f := range fields {
		t.Run(name, func(t *testing.T) {
			for shape, fill := range map[string]func(dst []byte){
				"of another key": func(dst []byte) { copy(dst, b[f[0]:f[1]]) },
				"zeroed":         func(dst []byte) { clear(dst) },
				"ones":           func(dst []byte) { copy(dst, bytes.Repeat([]byte{0xff}, len(dst))) },
				"shifted":        func(dst []byte) { copy(dst[1:], bytes.Clone(dst)) },
				"halves swapped": func(dst []byte) {
					whole := bytes.Clone(dst)
					copy(dst[copy(dst, whole[len(whole)/2:]):], whole)
				},
			} {
				bad := bytes.Clone(a)
				fill(bad[f[0]:f[1]])
				require.False(t, bytes.Equal(a, bad), shape)
				_, err := ParseKeyFile(bad)
				requireKind(t, wire.KindCorrupt, err)
			}
		})
	}
	for _, n := range []uint64{0, 1, PublicKeySize - 1, PrivateKeySize, 1 << 63} {
		bad := bytes.Clone(a)
		binary.LittleEndian.PutUint64(bad, n)
		_, err := ParseKeyFile(bad)
		requireKind(t, wire.KindCorrupt, err)
		bad = bytes.Clone(a)
		binary.LittleEndian.PutUint64(bad[offSecretLength:], n+1)
		_, err = ParseKeyFile(bad)
		requireKind(t, wire.KindCorrupt, err)
	}
}

// circl would take secret coefficients outside [-4, 4] without a word, and sign
// with them.
func TestSecretCoefficientsAreInRange(t *testing.T) {
	b := testKey(t, 1).MarshalKeyFile()
	check := func() error {
		return checkPair((*[PublicKeySize]byte)(b[offPublic:]), (*[PrivateKeySize]byte)(b[offSecret:]))
	}
	require.NoError(t, check())
	for _, at := range []int{offS1, offS2 - 1, offS2, offT0 - 1} {
		p := &b[offSecret+at]
		good := *p
		for v := byte(9); v < 16; v++ {
			*p = good&0xf0 | v
			require.ErrorIs(t, check(), errOutOfRange)
			*p = good&0x0f | v<<4
			require.ErrorIs(t, check(), errOutOfRange)
		}
		*p = good
	}
	require.NoError(t, check())
}

// The check points are roots of X^256 + 1, pairwise different, or the check
// would test another ring.
func TestCheckPointsAreRoots(t *testing.T) {
	seen := map[uint32]bool{}
	for _, x := range checkPoints {
		require.EqualValues(t, fieldQ-1, power(x, polyN))
		require.False(t, seen[x])
		seen[x] = true
	}
}

func FuzzParseKeyFile(f *testing.F) {
	good := testKey(f, 1).MarshalKeyFile()
	f.Add(good)
	f.Add([]byte{})
	f.Add(good[:KeyFileSize-1])
	f.Add(append(bytes.Clone(good), 0))
	f.Add(make([]byte, KeyFileSize))
	f.Add(bytes.Repeat([]byte{0xff}, KeyFileSize))
	for _, i := range []int{0, offPublic, offSecretLength, offSecret, offSecret + 32, offSecret + offTr, offSecret + offS1, offSecret + offT0} {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseKeyFile(b)
		if err != nil {
			if wire.KindOf(err) != wire.KindCorrupt {
				t.Fatalf("got %v, want corrupt", err)
			}
			return
		}
		if !bytes.Equal(b, k.MarshalKeyFile()) {
			t.Fatal("a second encoding of one key")
		}
		sig, err := k.Sign(b[:64], nil)
		if err != nil || !k.Public().Verify(b[:64], nil, sig) {
			t.Fatalf("an accepted key does not sign: %v", err)
		}
	})
}
