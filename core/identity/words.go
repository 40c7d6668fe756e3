package identity

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/sethvargo/go-diceware/diceware"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// IdentityWords returns four words, such as "acid pelican rural cobalt", by
// which two people can compare an id aloud. They come from the first 8 bytes of
// the id's SHA-256 and the EFF's list of 7,776 words that are easy to tell apart.
//
// They are a check aid and no name: four words are 51 bits, which a determined
// forger can match, so nothing may be looked up or decided by them.
func IdentityWords(id [32]byte) string {
	list := diceware.WordListEffLarge()
	sum := sha256.Sum256(wire.SignedBytes(DomainWords, id[:]))
	n := binary.BigEndian.Uint64(sum[:])
	words := make([]string, 4)
	for i := range words {
		words[i] = list.WordAt(roll(n % eachDie))
		n /= eachDie
	}
	return strings.Join(words, " ")
}

// eachDie is how many ways five dice can fall: the length of the list.
const eachDie = 6 * 6 * 6 * 6 * 6

// roll writes n as five dice, the way that the list counts: 0 is 11111.
func roll(n uint64) int {
	dice, unit := 0, 1
	for range 5 {
		dice += (int(n%6) + 1) * unit
		n /= 6
		unit *= 10
	}
	return dice
}
