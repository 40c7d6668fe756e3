package identity

import (
	"crypto/mldsa"
	"crypto/sha256"

	"github.com/cloudflare/circl/sign/mldsa/mldsa65"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Sizes of ML-DSA-65 (FIPS 204, table 2), in bytes.
const (
	PublicKeySize  = mldsa65.PublicKeySize  // 1952
	PrivateKeySize = mldsa65.PrivateKeySize // 4032, the expanded form
	SignatureSize  = mldsa65.SignatureSize  // 3309
	SeedSize       = mldsa65.SeedSize       // 32

	// MaxContextSize is the longest ML-DSA context string (FIPS 204, 5.2).
	MaxContextSize = 255
)

// PublicKey is a parsed ML-DSA-65 public key. It is immutable. It takes about
// 40 KiB, most of it the matrix A that makes verifying nine times faster, so
// connections and messages should hold ids and ask [CachedPublicKey].
type PublicKey struct {
	key    mldsa65.PublicKey
	digest [32]byte
}

// ParsePublicKey reads the 1,952 bytes of FIPS 204 (pkEncode, algorithm 22).
// Every byte string of that length is the encoding of a key, so the only error
// is a wrong length, [wire.KindInvalidArgument]. See also [CachedPublicKey].
func ParsePublicKey(b []byte) (*PublicKey, error) {
	if len(b) != PublicKeySize {
		return nil, errPublicKeySize(len(b))
	}
	p := &PublicKey{digest: sha256.Sum256(b)}
	p.key.Unpack((*[PublicKeySize]byte)(b))
	return p, nil
}

func errPublicKeySize(n int) error {
	return wire.Errorf(wire.KindInvalidArgument, "parse public key",
		"an ML-DSA-65 public key is %d bytes, got %d", PublicKeySize, n)
}

// Bytes returns a fresh copy of the 1,952-byte encoding.
func (p *PublicKey) Bytes() []byte { return p.key.Bytes() }

// Digest returns the SHA-256 of the encoding: the bytes of every id.
func (p *PublicKey) Digest() [32]byte { return p.digest }

// AgentID returns the id of the agent that holds this key.
func (p *PublicKey) AgentID() AgentID { return p.digest }

// MachineID returns the id of the machine that holds this key.
func (p *PublicKey) MachineID() MachineID { return p.digest }

// UserID returns the id of the person that holds this key.
func (p *PublicKey) UserID() UserID { return p.digest }

// Equal reports whether two keys are the same.
func (p *PublicKey) Equal(other *PublicKey) bool { return p.digest == other.digest }

// Verify reports whether sig is a signature of msg under this key and context
// (FIPS 204, algorithm 3). Wrong lengths are false, not errors.
func (p *PublicKey) Verify(msg, context, sig []byte) bool {
	return mldsa65.Verify(&p.key, msg, context, sig)
}

// String names the key by its digest, e.g. "PublicKey(0123456789abcdef)".
func (p *PublicKey) String() string { return "PublicKey(" + AgentID(p.digest).Short() + ")" }

// standard returns the key as crypto/tls and crypto/x509 know it.
func (p *PublicKey) standard() (*mldsa.PublicKey, error) {
	return mldsa.NewPublicKey(mldsa.MLDSA65(), p.Bytes())
}
