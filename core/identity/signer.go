package identity

import (
	"crypto"
	"crypto/mldsa"
	"io"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Signer returns the key as crypto/tls and crypto/x509 want it: Public is a
// *crypto/mldsa.PublicKey, signatures come from circl (140 µs instead of
// 610 µs). It signs whole messages only, under the context of *mldsa.Options or
// the empty one, which TLS and X.509 use. It fails after [Key.Destroy].
func (k *Key) Signer() crypto.Signer {
	s := &signer{key: k}
	// The only error is a FIPS 140-3 module without ML-DSA. Public is nil then,
	// and the first certificate says so.
	if pub, err := k.pub.standard(); err == nil {
		s.pub = pub
	}
	return s
}

type signer struct {
	key *Key
	pub crypto.PublicKey // *mldsa.PublicKey
}

func (s *signer) Public() crypto.PublicKey { return s.pub }

func (s *signer) Sign(_ io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts != nil && opts.HashFunc() != 0 {
		return nil, wire.Errorf(wire.KindUnsupported, "sign", "ML-DSA signs messages, not hashes")
	}
	var context []byte
	if o, ok := opts.(*mldsa.Options); ok && o != nil {
		context = []byte(o.Context)
	}
	return s.key.Sign(msg, context)
}

func (s *signer) String() string { return s.key.String() }
