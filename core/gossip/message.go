package gossip

import (
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/mailbox"
	"github.com/saorsa-labs/x0x-go/core/trust"
)

// Message is one topic message. Its signature has always been verified.
type Message struct {
	Topic      string
	Payload    []byte // the receiver's to keep and change
	Sender     identity.AgentID
	Time       time.Time   // when it was signed, by the sender's clock, to the millisecond
	Epoch      uint64      // of the sending process; greater is later
	Sequence   uint64      // in the sender's stream of this topic and epoch, from 1
	TrustLevel trust.Level // of the sender, as it was at delivery
}

// SubscribeOptions says what a subscription holds.
type SubscribeOptions struct {
	// Replay, if nil or true, asks for the retained messages of the topic
	// first. If false, only messages published from now on are delivered.
	Replay *bool
	// Messages and Bytes bound the queue; if zero, 1,024 and 8 MiB.
	Messages int
	Bytes    int64
	// Policy says what a full queue loses, counted and marked in the queue at
	// the place of the gap: mailbox.DropOldest unless it is DropNewest. A topic
	// has many readers, so none can make the senders wait; mailbox.Block, which
	// is the zero value, stands for the default.
	Policy mailbox.Policy
}

const (
	defaultQueueMessages = 1024
	defaultQueueBytes    = 8 << 20
)

// Subscription receives the messages of one topic in its queue.
type Subscription struct {
	topic  string
	box    *mailbox.Box[Message]
	replay bool
	engine *Engine

	state *topicState // of the router, with its lock
	since time.Time
	count uint64 // messages pushed; the numbers in a mailbox.Lag. Only the one that drains
	once  sync.Once
}

// Topic returns the name that was subscribed.
func (s *Subscription) Topic() string { return s.topic }

// Box returns the queue. Each entry is a message or a gap, whose FirstSeq and
// LastSeq count the messages of this subscription from 1.
func (s *Subscription) Box() *mailbox.Box[Message] { return s.box }

// Close ends the subscription. What is in the queue can still be taken.
// Idempotent; it does not wait.
func (s *Subscription) Close() { s.once.Do(func() { s.engine.unsubscribe(s) }) }
