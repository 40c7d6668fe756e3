package trust

import (
	"bytes"
	"crypto/sha256"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/store"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// The file of revocations, by custom revocations.dat:
//
//	"x0x revocations 1\n"
//	once for each, the least recently used first:
//	  1 byte    1 if the user said so, else 0
//	  uvarint   length of what follows
//	            the revocation, signed
//	32 bytes    SHA-256 of all before
//
// The hash finds damage before it is taken for a forgery; each revocation is
// proven again when the file is read.
const (
	revocationsMagic   = "x0x revocations 1\n"
	maxRevocationsFile = len(revocationsMagic) + MaxRevocations*(1+2+identity.MaxRevocationSize) + sha256.Size
)

func marshalRevocations(list []*kept) []byte {
	b := wire.NewBuilder([]byte(revocationsMagic))
	for _, k := range list {
		own := uint8(0)
		if k.own {
			own = 1
		}
		b.U8(own).Bytes(k.proof)
	}
	hash := sha256.Sum256(b.Build())
	return append(b.Build(), hash[:]...)
}

// parseRevocations reads what marshalRevocations wrote. Its errors are
// [wire.KindCorrupt].
func parseRevocations(data []byte) ([]*kept, error) {
	const op = "parse revocations"
	body := len(data) - sha256.Size
	if body < len(revocationsMagic) || string(data[:len(revocationsMagic)]) != revocationsMagic {
		return nil, wire.Errorf(wire.KindCorrupt, op, "this is no file of revocations")
	}
	if sha256.Sum256(data[:body]) != [sha256.Size]byte(data[body:]) {
		return nil, wire.Errorf(wire.KindCorrupt, op, "the bytes are not those that were written")
	}
	var list []*kept
	seen := make(map[fact]bool)
	for rest := data[len(revocationsMagic):body]; len(rest) > 0; {
		own := rest[0]
		length, n := wire.Uvarint(rest[1:])
		if own > 1 || n <= 0 || length > identity.MaxRevocationSize || length > uint64(len(rest)-1-n) || len(list) >= MaxRevocations {
			return nil, wire.Errorf(wire.KindCorrupt, op, "revocation %d breaks the format", len(list)+1)
		}
		proof := rest[1+n : 1+n+int(length)]
		rest = rest[1+n+int(length):]
		what, err := readProof(proof)
		if err != nil {
			return nil, wire.Errorf(wire.KindCorrupt, op, "revocation %d: %w", len(list)+1, err)
		}
		if seen[what.fact()] {
			return nil, wire.Errorf(wire.KindCorrupt, op, "revocation %d is there twice", len(list)+1)
		}
		seen[what.fact()] = true
		list = append(list, &kept{Revoked: what, proof: bytes.Clone(proof), own: own == 1}) // or one keeps all alive
	}
	return list, nil
}

// OpenRevocations returns the revocations that are kept in the file at path, and
// makes them decide for contacts. Without a file there are none yet. Errors are
// those of [Open]: a damaged file is left as it is, for starting without it
// would admit who was revoked.
func OpenRevocations(path string, contacts *Store) (*Revocations, error) {
	const op = "open revocations"
	file, err := store.Open(path, int64(maxRevocationsFile))
	if err != nil {
		return nil, err
	}
	r := newRevocations(contacts)
	r.file = file
	data, err := file.Read()
	var list []*kept
	switch wire.KindOf(err) {
	case wire.KindNotFound:
		err = nil
	case 0:
		list, err = parseRevocations(data)
	}
	if wire.KindOf(err) == wire.KindCorrupt {
		return nil, wire.Errorf(wire.KindCorrupt, op, "%s is damaged and was left as it is: restore it from a backup, "+
			"or move it away to start without revocations, which admits who was revoked until others tell of it again: %w", path, err)
	}
	if err != nil {
		return nil, err
	}
	for _, k := range list {
		k.used.Store(r.uses.Add(1))
		r.kept[k.fact()] = k
	}
	contacts.signed.Store(r)
	return r, nil
}
