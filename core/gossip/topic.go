package gossip

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// MaxTopic bounds a topic name in bytes.
const MaxTopic = 256

// localPrefix marks topics that never leave the process.
const localPrefix = "local:"

// TopicID names a topic on the wire: SHA-256 over the domain label, the network
// id and the name, each with its length in front. It hides the name from relays
// that do not guess it, and makes one name two topics in two networks.
type TopicID [32]byte

// NewTopicID returns the id of a topic in a network.
func NewTopicID(networkID, topic string) TopicID {
	return sha256.Sum256(wire.SignedBytes(identity.DomainTopic, []byte(networkID), []byte(topic)))
}

// String returns 64 hexadecimal digits.
func (t TopicID) String() string { return hex.EncodeToString(t[:]) }

func isLocal(topic string) bool { return strings.HasPrefix(topic, localPrefix) }

// checkTopic refuses names that could not be a topic everywhere: C has no
// strings with NUL, and JSON none that is not UTF-8.
func checkTopic(op, topic string) error {
	switch {
	case len(topic) > MaxTopic:
		return wire.Errorf(wire.KindInvalidArgument, op, "the topic has %d bytes, at most %d are allowed", len(topic), MaxTopic)
	case !utf8.ValidString(topic):
		return wire.Errorf(wire.KindInvalidArgument, op, "the topic is not UTF-8")
	case strings.IndexByte(topic, 0) >= 0:
		return wire.Errorf(wire.KindInvalidArgument, op, "the topic has a NUL byte")
	}
	return nil
}
