package direct

import (
	"crypto/rand"
	"io"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/task"
	"github.com/saorsa-labs/x0x-go/core/trust"
)

// Options bound a queue.
type Options struct {
	Messages int
	Bytes    int64
}

// Config sets up a Manager. Zero fields take the defaults named.
type Config struct {
	// Self is the agent that the manager is for; sends to it go to its own inbox.
	Self    identity.AgentID
	Machine identity.MachineID

	Inbox     Options // what the application has not read yet: 1,024 messages or 32 MiB
	SendQueue Options // per peer, what is not acknowledged yet: 8,192 messages or 64 MiB
	// RoomPeer and RoomAgent bound large bodies that are being received or wait for
	// the inbox: 32 MiB from one peer, 64 MiB from all. Neither is less than needed
	// for one body of MaxBody.
	RoomPeer, RoomAgent int64
	// BodyInline is the largest payload that is sent on the message stream; larger
	// ones take one of their own. 256 KiB, which is also the most.
	BodyInline int
	MaxBody    int           // 16 MiB
	Timeout    time.Duration // of a send that names none: 10 s
	SessionTTL time.Duration // how long a session outlives its last link: 60 s
	// MaxSessions bounds the peers that state is kept for, by 8,192. Strangers
	// bounds those of them that Policy calls strangers, by half of that.
	MaxSessions, Strangers int
	// BodyStall is how long a body may stand still before its room goes to another
	// that waits for it: 5 s.
	BodyStall time.Duration

	// Policy is asked about a sender once for each batch of messages read, without
	// locks held. Nil accepts all as unknown.
	Policy func(identity.AgentID, identity.MachineID) (d trust.Decision, deliver, stranger bool)
	// Outbound is asked before each send and fails those that may not be sent, such
	// as those to an agent that is blocked here. Nil allows all.
	Outbound func(identity.AgentID) error
	// Dial is told, without locks held, when a message is sent to an agent that no
	// link goes to. It must not block.
	Dial func(identity.AgentID)
	// Complete calls done, the function that Send was given: for an owner that has
	// something to do around each call, and wants no closure for each message. Nil
	// just calls it.
	Complete func(done func(Receipt, error), r Receipt, err error)
	// OnEvent is told what happens to sessions, without locks held. It must not
	// block.
	OnEvent func(Event)

	Now   func() time.Time // nil: the system's clock
	Rand  io.Reader        // of session ids; crypto/rand
	Tasks *task.Group      // owns the goroutines; one of the manager's own if nil
}

// Event is what happened to a session.
type Event struct {
	Type  EventType
	Agent identity.AgentID
}

// EventType is the type of an Event.
type EventType uint8

const (
	// SessionReset: the peer is a new process, or has forgotten the session. What
	// was written and not acknowledged has failed with delivered=unknown; numbers
	// start again at 1.
	SessionReset EventType = 1 + iota
	// ProtocolError: a link was ended because the peer broke the protocol.
	ProtocolError
)

const (
	// windowMessages and windowBytes are how much a sender may have on the way, or
	// in the receiver's room, on the message stream. It is what each peer can make us
	// hold, beside large bodies.
	windowMessages = 4096
	windowBytes    = 1 << 20

	// batchBytes is how much one write takes: enough that its cost is shared by
	// hundreds of small messages.
	batchBytes = 64 << 10
	// inlineBytes is what a caller of Send writes itself: what fits one packet.
	inlineBytes = 1200
)

func (c *Config) setDefaults() {
	setDefault(&c.Inbox.Messages, 1024)
	setDefault(&c.Inbox.Bytes, 32<<20)
	setDefault(&c.SendQueue.Messages, 8192)
	setDefault(&c.SendQueue.Bytes, 64<<20)
	setDefault(&c.RoomPeer, 32<<20)
	setDefault(&c.RoomAgent, 64<<20)
	setDefault(&c.BodyInline, maxInline)
	c.BodyInline = min(c.BodyInline, maxInline)
	setDefault(&c.MaxBody, 16<<20)
	setDefault(&c.Timeout, 10*time.Second)
	setDefault(&c.SessionTTL, 60*time.Second)
	setDefault(&c.MaxSessions, 8192)
	setDefault(&c.Strangers, c.MaxSessions/2)
	setDefault(&c.BodyStall, 5*time.Second)
	if c.Policy == nil {
		c.Policy = func(identity.AgentID, identity.MachineID) (trust.Decision, bool, bool) {
			return trust.DecisionUnknown, true, true
		}
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Tasks == nil {
		c.Tasks = task.New(nil)
	}
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
