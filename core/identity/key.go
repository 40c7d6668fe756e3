package identity

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cloudflare/circl/sign/mldsa/mldsa65"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Key is a private ML-DSA-65 key with its public half. It prints, logs and
// marshals as its public digest; the secret leaves only by [Key.MarshalKeyFile].
type Key struct {
	pub *PublicKey

	mu     sync.RWMutex // lets Destroy wait for signatures in the making
	secret *secret      // nil after Destroy
}

// secret is a second pointer on the way to the private key. fmt follows one,
// even in a copied struct that has lost its methods (a wrong verb prints what
// the pointer points to); it follows no pointer behind a pointer.
type secret struct{ key *mldsa65.PrivateKey }

// GenerateKey makes a key from fresh randomness of the operating system.
func GenerateKey() (*Key, error) {
	var seed [SeedSize]byte
	defer clear(seed[:])
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, wire.Errorf(wire.KindIO, "generate key", "no randomness: %w", err)
	}
	return KeyFromSeed(seed[:])
}

// KeyFromSeed derives the key of a 32-byte seed (FIPS 204, algorithm 6). The
// seed stays the caller's to keep or overwrite.
func KeyFromSeed(seed []byte) (*Key, error) {
	if len(seed) != SeedSize {
		return nil, wire.Errorf(wire.KindInvalidArgument, "key from seed",
			"a seed is %d bytes, got %d", SeedSize, len(seed))
	}
	derived, private := mldsa65.NewKeyFromSeed((*[SeedSize]byte)(seed))
	// circl's public key shares the matrix inside the secret key: it would keep
	// the secret alive, and break when Destroy overwrites it. Parse it anew.
	pub, err := ParsePublicKey(derived.Bytes())
	if err != nil {
		return nil, err
	}
	return &Key{pub: pub, secret: &secret{private}}, nil
}

// KeyFromPair joins the 1,952-byte public and 4,032-byte secret encodings of
// one key. Halves that do not belong together, or are no key at all, fail with
// [wire.KindInvalidArgument].
func KeyFromPair(pub, priv []byte) (*Key, error) {
	const op = "key from pair"
	if len(pub) != PublicKeySize || len(priv) != PrivateKeySize {
		return nil, wire.Errorf(wire.KindInvalidArgument, op,
			"the halves of an ML-DSA-65 key are %d and %d bytes, got %d and %d",
			PublicKeySize, PrivateKeySize, len(pub), len(priv))
	}
	k, err := joinPair((*[PublicKeySize]byte)(pub), (*[PrivateKeySize]byte)(priv))
	if err != nil {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "not a key: %w", err)
	}
	return k, nil
}

func joinPair(pub *[PublicKeySize]byte, priv *[PrivateKeySize]byte) (*Key, error) {
	if err := checkPair(pub, priv); err != nil {
		return nil, err
	}
	p, err := ParsePublicKey(pub[:])
	if err != nil {
		return nil, err
	}
	private := new(mldsa65.PrivateKey)
	private.Unpack(priv)
	return &Key{pub: p, secret: &secret{private}}, nil
}

// ParseKey reads key material in any form that users hand over: one
// 6,000-byte key file image, one 32-byte seed, or the pair of 1,952 public and
// 4,032 secret bytes. All errors are [wire.KindInvalidArgument].
func ParseKey(material ...[]byte) (*Key, error) {
	const op = "parse key"
	switch {
	case len(material) == 1 && len(material[0]) == SeedSize:
		return KeyFromSeed(material[0])
	case len(material) == 1 && len(material[0]) == KeyFileSize:
		k, err := ParseKeyFile(material[0])
		if err != nil {
			return nil, wire.Errorf(wire.KindInvalidArgument, op, "not a key file image: %w", err)
		}
		return k, nil
	case len(material) == 2:
		return KeyFromPair(material[0], material[1])
	}
	sizes := make([]int, 0, 4)
	for _, m := range material[:min(len(material), cap(sizes))] {
		sizes = append(sizes, len(m))
	}
	return nil, wire.Errorf(wire.KindInvalidArgument, op,
		"a key is %d bytes (key file), %d bytes (seed), or %d and %d bytes (public, secret); got %d value(s) of %v bytes",
		KeyFileSize, SeedSize, PublicKeySize, PrivateKeySize, len(material), sizes)
}

// Public returns the public half. It stays valid after [Key.Destroy].
func (k *Key) Public() *PublicKey { return k.pub }

// Sign signs msg under a context string of at most 255 bytes (FIPS 204,
// algorithm 2, hedged: two signatures of one message differ). See domains.go
// for what msg and context are in x0x. Errors: [wire.KindInvalidArgument] for a
// longer context, [wire.KindClosed] after Destroy.
func (k *Key) Sign(msg, context []byte) ([]byte, error) {
	const op = "sign"
	if len(context) > MaxContextSize {
		return nil, wire.Errorf(wire.KindInvalidArgument, op,
			"context is %d bytes, at most %d", len(context), MaxContextSize)
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.secret == nil {
		return nil, wire.Errorf(wire.KindClosed, op, "the key was destroyed")
	}
	sig := make([]byte, SignatureSize)
	if err := mldsa65.SignTo(k.secret.key, msg, context, true, sig); err != nil {
		return nil, wire.Errorf(wire.KindIO, op, "no signature: %w", err)
	}
	return sig, nil
}

// Destroy overwrites the secret, after signatures in the making are done. It
// may be called twice. It is best effort: the runtime, and whoever asked for
// the key file image, may hold copies.
func (k *Key) Destroy() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.secret != nil {
		*k.secret.key = mldsa65.PrivateKey{}
		k.secret = nil
	}
}

// String names the key by its public digest, e.g. "Key(0123456789abcdef)".
func (k *Key) String() string {
	if k == nil {
		return "Key(nil)"
	}
	return "Key(" + k.pub.AgentID().Short() + ")"
}

// GoString, Format, LogValue, MarshalText and MarshalJSON all give what String
// gives, so that no printer, logger or encoder walks into the secret.
func (k *Key) GoString() string { return k.String() }

// Format implements [fmt.Formatter] for every verb.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// LogValue implements [slog.LogValuer].
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText implements [encoding.TextMarshaler].
func (k *Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalJSON implements [json.Marshaler].
func (k *Key) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }
