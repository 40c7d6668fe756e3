package identity

import (
	"encoding/binary"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// KeyFileSize is the length of a key file in bytes.
const KeyFileSize = 8 + PublicKeySize + 8 + PrivateKeySize // 6000

// A key file is what the reference writes (bincode of two byte vectors):
//
//	offset  bytes
//	0       8      1952, little-endian
//	8       1952   public key (FIPS 204, pkEncode)
//	1960    8      4032, little-endian
//	1968    4032   secret key (FIPS 204, skEncode)
//	6000    end
const (
	offPublic       = 8
	offSecretLength = offPublic + PublicKeySize
	offSecret       = offSecretLength + 8
)

// ParseKeyFile reads the 6,000 bytes of a key file. A wrong length, a wrong
// length field, and halves that are damaged or do not belong together are all
// [wire.KindCorrupt]. The caller's buffer is neither kept nor overwritten.
//
// One field cannot be checked by anybody: the 32 bytes K of the secret half
// only season the randomness of signatures, so a flipped bit there gives the
// same identity and valid, safe signatures.
func ParseKeyFile(b []byte) (*Key, error) {
	const op = "parse key file"
	if len(b) != KeyFileSize {
		return nil, wire.Errorf(wire.KindCorrupt, op, "a key file is %d bytes, got %d", KeyFileSize, len(b))
	}
	if n := binary.LittleEndian.Uint64(b); n != PublicKeySize {
		return nil, wire.Errorf(wire.KindCorrupt, op, "public key length is %d, must be %d", n, PublicKeySize)
	}
	if n := binary.LittleEndian.Uint64(b[offSecretLength:]); n != PrivateKeySize {
		return nil, wire.Errorf(wire.KindCorrupt, op, "secret key length is %d, must be %d", n, PrivateKeySize)
	}
	k, err := joinPair((*[PublicKeySize]byte)(b[offPublic:]), (*[PrivateKeySize]byte)(b[offSecret:]))
	if err != nil {
		return nil, wire.Errorf(wire.KindCorrupt, op, "damaged: %w", err)
	}
	return k, nil
}

// MarshalKeyFile returns the 6,000-byte key file image, secret included: the
// caller overwrites it after use. It returns nil after [Key.Destroy].
func (k *Key) MarshalKeyFile() []byte {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.secret == nil {
		return nil
	}
	b := make([]byte, KeyFileSize)
	binary.LittleEndian.PutUint64(b, PublicKeySize)
	k.pub.key.Pack((*[PublicKeySize]byte)(b[offPublic:]))
	binary.LittleEndian.PutUint64(b[offSecretLength:], PrivateKeySize)
	k.secret.key.Pack((*[PrivateKeySize]byte)(b[offSecret:]))
	return b
}
