package rendezvous

import (
	"bytes"
	"crypto/sha256"
	"math/bits"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Kind is what one can look for.
type Kind uint8

const (
	Agent   Kind = iota + 1 // by agent id
	Machine                 // the agents on a machine
	User                    // the agents of a user, of those that disclose it
)

func (k Kind) valid() bool { return Agent <= k && k <= User }

// String returns "agent", "machine" or "user".
func (k Kind) String() string { return [...]string{"none", "agent", "machine", "user"}[min(k, User)] }

// Key is a point of the space.
type Key [32]byte

// keyDomain is hashed, not signed.
const keyDomain = "x0x/rendezvous/v1"

// KeyOf returns the key of an id: SHA-256 of label, kind and id. An id alone would
// let agents be made that sit beside another one.
func KeyOf(kind Kind, id [32]byte) Key {
	return sha256.Sum256(wire.SignedBytes(keyDomain, []byte{byte(kind)}, id[:]))
}

// idOf is what an announcement can be found by, zero if it cannot.
func idOf(kind Kind, a *discovery.Announcement) [32]byte {
	switch kind {
	case Agent:
		return a.Agent
	case Machine:
		return a.Machine
	case User:
		return a.User
	}
	return [32]byte{}
}

func distance(a, b [32]byte) (d [32]byte) {
	for i := range a {
		d[i] = a[i] ^ b[i]
	}
	return d
}

// nearer says whether a is nearer to the key than b.
func nearer(key Key, a, b [32]byte) bool {
	for i := range key {
		if x, y := a[i]^key[i], b[i]^key[i]; x != y {
			return x < y
		}
	}
	return false
}

// common is how many bits a and b have in common at their start, at most 255.
func common(a, b [32]byte) int {
	for i := range a {
		if x := a[i] ^ b[i]; x != 0 {
			return 8*i + bits.LeadingZeros8(x)
		}
	}
	return 255
}

func compareDistance(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) }
