package identity

import (
	"regexp"
	"strings"
	"testing"

	"github.com/sethvargo/go-diceware/diceware"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The words of an id are read out and written down: they never change. These
// were computed outside of Go, from the list and the description.
func TestIdentityWordsAreFixed(t *testing.T) {
	require.Equal(t, "trousers karaoke entrap fringe", IdentityWords([32]byte{}))
	require.Equal(t, "snippet boasting monitor growing", IdentityWords(testKey(t, 0).Public().AgentID()))
}

func TestIdentityWordsAreFour(t *testing.T) {
	shape := regexp.MustCompile(`^[a-z-]+( [a-z-]+){3}$`)
	rapid.Check(t, func(t *rapid.T) {
		id := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "id"))
		words := IdentityWords(id)
		if !shape.MatchString(words) {
			t.Fatalf("%q", words)
		}
		id[31] ^= 1
		if IdentityWords(id) == words {
			t.Fatal("another id has the same words")
		}
	})
}

// Each of the 7,776 words stands for one number.
func TestEveryWordIsUsed(t *testing.T) {
	list := diceware.WordListEffLarge()
	seen := map[string]bool{}
	for n := range uint64(eachDie) {
		seen[list.WordAt(roll(n))] = true
	}
	require.Len(t, seen, eachDie)
	require.False(t, seen[""])
	require.Equal(t, "abacus", list.WordAt(roll(0)))
	require.Equal(t, "zoom", strings.ToLower(list.WordAt(roll(eachDie-1))))
}
