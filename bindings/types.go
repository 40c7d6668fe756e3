package bindings

import (
	"encoding/hex"
	"fmt"
	"time"
)

// ID is an agent id or a machine id.
type ID [IdSize]byte

// String returns 64 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// TrustLevel is one of Trust…, IdentityType one of Identity…, Decision one of Decision…, Outcome
// one of Outcome…, TopicPriority one of Priority….
type (
	TrustLevel    uint8
	IdentityType  uint8
	Decision      uint8
	Outcome       uint8
	TopicPriority uint8

	Visibility     uint8 // one of Visible…
	PresenceSource uint8 // one of Source…
)

var (
	levelNames    = []string{TrustBlocked: "blocked", TrustUnknown: "unknown", TrustKnown: "known", TrustTrusted: "trusted"}
	identityNames = []string{IdentityAnonymous: "anonymous", IdentityKnown: "known", IdentityTrusted: "trusted", IdentityPinned: "pinned"}
	decisionNames = []string{DecisionUnknown: "Unknown", DecisionAccept: "Accept", DecisionAcceptWithFlag: "AcceptWithFlag",
		DecisionRejectBlocked: "RejectBlocked", DecisionRejectMachineMismatch: "RejectMachineMismatch"}
	outcomeNames = []string{OutcomeDirect: "Direct", OutcomeCoordinated: "Coordinated", OutcomeAlreadyConnected: "AlreadyConnected",
		OutcomeUnreachable: "Unreachable", OutcomeNotFound: "NotFound"}
	visibilityNames = []string{VisibleNetwork: "network", VisibleContacts: "social", VisibleNobody: "hidden"}
	sourceNames     = []string{"none", SourceDirect: "direct", SourceFoaf: "foaf"}
	priorityNames   = []string{PriorityNormal: "normal", PriorityHigh: "high", PriorityLow: "low"}
)

func (l TrustLevel) String() string { return name(levelNames, uint8(l)) }
func (d Decision) String() string   { return name(decisionNames, uint8(d)) }
func (o Outcome) String() string    { return name(outcomeNames, uint8(o)) }

func (t IdentityType) String() string { return name(identityNames, uint8(t)) }

func (p TopicPriority) String() string { return name(priorityNames, uint8(p)) }

func (v Visibility) String() string     { return name(visibilityNames, uint8(v)) }
func (s PresenceSource) String() string { return name(sourceNames, uint8(s)) }

// name leaves numbers of a later library as numbers.
func name(names []string, n uint8) string {
	if int(n) < len(names) {
		return names[n]
	}
	return fmt.Sprintf("%d", n)
}

// ParseTrustLevel reads the name of a level.
func ParseTrustLevel(s string) (TrustLevel, error) {
	for i, name := range levelNames {
		if s == name {
			return TrustLevel(i), nil
		}
	}
	return 0, errorf("parse trust level", EInvalidArgument, "there is no level %q", s)
}

// Message is one message of a topic.
type Message struct {
	Topic      string
	Payload    []byte
	Sender     ID
	Time       time.Time
	Epoch      uint64
	Sequence   uint64
	TrustLevel TrustLevel
}

// DirectMessage is one message for this agent alone.
type DirectMessage struct {
	Payload         []byte
	Sender, Machine ID
	Received        time.Time
	Sequence        uint64
	Decision        Decision
}

// Receipt says that the recipient's library has accepted a message.
type Receipt struct {
	Path     string
	RTT      time.Duration
	Sequence uint64
}

// Event is one event of an agent. Kind is RConnected, RDisconnected, RPeerJoined,
// REventMessage, RError, RSessionReset, RFatal, RContactChanged, RIdentityConflict,
// RAgentOnline or RAgentOffline; which fields are set depends on it.
type Event struct {
	Kind    uint16
	Agent   ID
	Machine ID
	Address string
	Path    string
	Err     error
	Message *Message
	Time    time.Time
}

// Peer is one connected peer.
type Peer struct {
	Agent, Machine ID
	Address, Path  string
	RTT            time.Duration
	Dialled        bool
	Connected      time.Time
}

// TopicMesh is how one topic flows through an agent.
type TopicMesh struct {
	Topic                            ID
	Name                             string // empty if it is only relayed
	Priority                         TopicPriority
	Subscriptions, Retained, Missing uint64
	Links                            []TopicLink
}

// TopicLink is one neighbour in a topic; see X0X_M_TOPIC_MESH.
type TopicLink struct {
	Agent             ID
	Eager, Carries    bool
	Distance          int // -1 if nobody behind it subscribes
	RTT               time.Duration
	First, Duplicates uint64
}

// KnownPeer is an agent that may take the place of a lost neighbour: hearsay.
type KnownPeer struct {
	Agent, Machine ID
	Addresses      []string
}

// Contact is one agent that this one has an opinion about.
type Contact struct {
	Agent        ID
	Level        TrustLevel
	Label        string
	Added        time.Time
	IdentityType IdentityType
	LastSeen     time.Time // zero: never
	Machines     []MachineRecord
}

// MachineRecord is a machine on which the user expects a contact.
type MachineRecord struct {
	Machine             ID
	Label               string
	FirstSeen, LastSeen time.Time // zero: never
	Pinned              bool
}

// PresenceEntry is what is known of whether an agent is online.
type PresenceEntry struct {
	Agent, Machine ID
	Addresses      []string
	LastSeen       time.Time // by the clock of this machine
	Source         PresenceSource
	Online         bool
}

// result returns what was read, unless it could not be.
func result[T any](u *unpacker, op string, v T) (T, error) {
	if u.err != nil {
		var zero T
		return zero, fmt.Errorf("%s: %w", op, u.err)
	}
	return v, nil
}

func unixMilli(ms uint64) time.Time { return time.UnixMilli(int64(ms)) }

// seen is unixMilli where 0 stands for never.
func seen(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return unixMilli(ms)
}

// message reads (sender, epoch, trust_level, topic).
func (r Record) message() (Message, error) {
	u := unpack(r.Meta)
	u.fields(4)
	m := Message{Sender: u.id(), Epoch: u.uint(), TrustLevel: TrustLevel(u.uint()), Topic: u.str(),
		Payload: r.Payload, Sequence: r.Seq, Time: unixMilli(r.UnixMs)}
	return result(u, "message", m)
}

// direct reads (sender, machine_id, trust_decision).
func (r Record) direct() (DirectMessage, error) {
	u := unpack(r.Meta)
	u.fields(3)
	m := DirectMessage{Sender: u.id(), Machine: u.id(), Decision: Decision(u.uint()),
		Payload: r.Payload, Sequence: r.Seq, Received: unixMilli(r.UnixMs)}
	return result(u, "direct message", m)
}

// lagged reads (count, first_seq, last_seq) as the error that it is for a reader.
func (r Record) lagged() error {
	u := unpack(r.Meta)
	u.fields(3)
	e := &LaggedError{Count: u.uint(), First: u.uint(), Last: u.uint()}
	if u.err != nil {
		return u.err
	}
	return e
}

// event reads the records of an agent.
func (r Record) event() (Event, error) {
	e := Event{Kind: r.Kind, Time: unixMilli(r.UnixMs)}
	u := unpack(r.Meta)
	failed := func() { e.Err = failure("event", int32(u.int()), nil) }
	switch r.Kind {
	case RConnected:
		u.fields(4)
		e.Agent, e.Machine, e.Address, e.Path = u.id(), u.id(), u.str(), u.str()
	case RDisconnected:
		u.fields(4)
		e.Agent, e.Machine = u.id(), u.id()
		failed()
	case RPeerJoined:
		u.fields(3)
		e.Agent, e.Machine, e.Address = u.id(), u.id(), u.str()
	case RIdentityConflict, RAgentOnline:
		u.fields(3)
		e.Agent, e.Machine = u.id(), u.id()
		if !u.null() {
			e.Address = u.str()
		}
	case RAgentOffline:
		u.fields(2)
		e.Agent, e.Machine = u.id(), u.id()
	case RSessionReset, RContactChanged:
		u.fields(1)
		e.Agent = u.id()
	case RError, RFatal:
		u.fields(2)
		status, text := int32(u.int()), u.str()
		e.Err = &Error{Op: "agent", Status: status, Message: text}
	case REventMessage:
		m, err := r.message()
		if err != nil {
			return Event{}, err
		}
		e.Agent, e.Message = m.Sender, &m
	case RLagged:
		return Event{}, r.lagged()
	}
	return result(u, "event", e)
}
