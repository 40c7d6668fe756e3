package bridge

import (
	"context"
	"net/netip"
	"time"

	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// Core is an agent as this package sees it: the façade's, and in tests one in
// memory. Its methods are those of x0x.Agent and keep what they promise there.
type Core interface {
	AgentID() AgentID
	MachineID() MachineID
	UserID() (UserID, bool)

	JoinNetwork(ctx context.Context) error
	LeaveNetwork(ctx context.Context) error
	Close(ctx context.Context) error
	IsConnected() bool
	IsAgentConnected(id AgentID) bool
	Peers() []PeerInfo
	LocalAddrs() []netip.AddrPort
	Stats() map[string]uint64
	ConnectToAgent(ctx context.Context, id AgentID) (ConnectResult, error)
	ConnectToMachine(ctx context.Context, id MachineID) (ConnectResult, error)
	ConnectToAddress(ctx context.Context, address string) (AgentID, MachineID, error)
	AddPeer(machine MachineID, agent AgentID, addrs []netip.AddrPort) error

	// The asynchronous ones own the payload until done is called, which happens
	// exactly once, on any goroutine, if and only if they return no error. done may
	// run before they return. The cancel of a publish takes effect while the message
	// waits for room, and then its error is KindCancelled.
	PublishAsync(topic string, payload []byte, timeout time.Duration, done func(error)) (cancel func(), err error)
	SendAsync(to AgentID, payload []byte, o SendOptions, done func(Receipt, error)) (cancel func(), err error)

	Subscribe(topic string, o SubscribeOptions) (Topic, error)
	SetTopicPriority(topic string, p x0x.TopicPriority) error
	TopicMesh() []x0x.TopicMesh
	Neighbors() []AgentID
	KnownPeers() []x0x.KnownPeer

	Inbox() Feed[DirectMessage]
	Events() Feed[Event]
	SetEventMask(mask EventMask)

	SetTrust(id AgentID, level TrustLevel) error
	AddContact(id AgentID, level TrustLevel, label string) error
	RemoveContact(id AgentID) (existed bool, err error)
	SetLabel(id AgentID, label string) error
	SetIdentityType(id AgentID, t x0x.IdentityType) error
	AddMachine(id AgentID, machine MachineID, label string) error
	RemoveMachine(id AgentID, machine MachineID) error
	PinMachine(id AgentID, machine MachineID) error
	UnpinMachine(id AgentID, machine MachineID) error
	Trust(id AgentID) TrustLevel
	Contact(id AgentID) (Contact, bool)
	Contacts() []Contact
	EvaluateTrust(id AgentID, machine MachineID) x0x.TrustDecision

	Sign(context string, payload []byte) ([]byte, error)
	Card(o x0x.CardOptions) (*x0x.Card, error)
	ImportCard(link string, level TrustLevel) (x0x.ImportedCard, error)
	Certificate() (*x0x.Certificate, error)
	Presence() []x0x.PresenceEntry
	PresenceStatus(id AgentID) (x0x.PresenceEntry, bool)
	PresenceFOAF(ctx context.Context, ttl int, timeout time.Duration) ([]x0x.PresenceEntry, error)
	WatchPresence(id AgentID) error
	UnwatchPresence(id AgentID) error

	Poison(reason error)
	Poisoned() error
}

// Topic is a subscription of a Core.
type Topic interface {
	Topic() string
	Feed() Feed[Message]
	Close()
}

// Feed is the read side of a bounded queue of a Core.
type Feed[T any] interface {
	TryRecv(max int, dst []Entry[T]) []Entry[T]
	SetNotify(fn func())
	Len() int
	Bytes() int64
	Dropped() uint64
}

// The values are the façade's.
type (
	AgentID          = x0x.AgentID
	MachineID        = x0x.MachineID
	UserID           = x0x.UserID
	TrustLevel       = x0x.TrustLevel
	EventMask        = x0x.EventMask
	Options          = x0x.Options
	SubscribeOptions = x0x.SubscribeOptions
	SendOptions      = x0x.SendOptions
	Receipt          = x0x.Receipt
	Message          = x0x.Message
	DirectMessage    = x0x.DirectMessage
	Event            = x0x.Event
	PeerInfo         = x0x.PeerInfo
	ConnectResult    = x0x.ConnectResult
	Contact          = x0x.Contact
	Lag              = x0x.Lag
	Entry[T any]     = x0x.Entry[T]
)

// Open makes an agent of the façade.
func Open(o Options) (Core, error) {
	a, err := x0x.New(o)
	if err != nil {
		return nil, err // not a Core that holds nil
	}
	return facade{a}, nil
}

// facade is x0x.Agent with feeds as interfaces.
type facade struct{ *x0x.Agent }

func (f facade) Inbox() Feed[DirectMessage] { return f.Agent.Inbox() }
func (f facade) Events() Feed[Event]        { return f.Agent.Events() }

func (f facade) Subscribe(topic string, o SubscribeOptions) (Topic, error) {
	s, err := f.Agent.Subscribe(topic, o)
	if err != nil {
		return nil, err
	}
	return facadeTopic{s}, nil
}

type facadeTopic struct{ *x0x.Subscription }

func (t facadeTopic) Feed() Feed[Message] { return t.Subscription.Feed() }
