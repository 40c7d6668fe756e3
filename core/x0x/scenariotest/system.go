package scenariotest

import (
	"context"
	"time"
)

// ID is an agent id or a machine id.
type ID = [32]byte

// System is one view of x0x: the façade, or the C ABI.
type System interface {
	// Open makes an agent.
	Open(o Options) (Agent, error)
	// Kind returns the name of an error's kind, such as "timeout", for any error that the
	// view returned, those of its contexts included.
	Kind(err error) string
	// Leaks says what is left when all agents of a scenario are closed, or nil.
	Leaks() error
}

// Options are the options of x0x_options, zero for the default.
type Options struct {
	NetworkID, RuntimeDir                                         string
	Name, HomeDir, IdentityDir                                    string
	MachineKeyPath, AgentKeyPath, UserKeyPath, ContactsPath       string
	MachineKey, AgentKey, UserKey                                 []byte
	Bind                                                          string
	Bootstrap                                                     []string
	DialTimeout, SendTimeout, PeerTimeout, SessionTTL, CloseGrace time.Duration
	AcceptFrom                                                    string // a level name, or ""
	InboxMessages, MaxOperations, MaxPeers                        uint32
	ActivePeers, PassivePeers                                     uint32
	MaxPeersPerAddress                                            int32
	InboxBytes                                                    uint64
	Visibility                                                    string // "network", "social", "hidden", or ""
	PresenceInterval, PresenceTimeout                             time.Duration
	NoLocalDiscovery, NoRelay                                     bool
}

// Agent is one agent, in the words of the scenario list: levels, decisions, outcomes and
// events are names.
type Agent interface {
	Identity() (agent, machine ID, err error)
	Join(ctx context.Context) error
	Leave(ctx context.Context) error
	Close(ctx context.Context) error

	IsConnected() (bool, error)
	IsAgentConnected(id ID) (bool, error)
	Peers() (int, error)
	LocalAddresses() ([]string, error)
	ConnectAgent(ctx context.Context, id ID) (outcome string, err error)
	ConnectMachine(ctx context.Context, id ID) (outcome string, err error)
	ConnectAddress(ctx context.Context, address string) (agent ID, err error)
	AddPeer(machine, agent ID, addresses []string) error

	// Publish publishes all payloads, one after the other without waiting in between, and
	// returns when all are done.
	Publish(ctx context.Context, topic string, payloads [][]byte, o PublishOptions) error
	Subscribe(topic string, o SubscribeOptions) (Subscription, error)
	// Send sends all payloads in the same way, and returns the path of the last.
	Send(ctx context.Context, to ID, payloads [][]byte, o SendOptions) (path string, err error)
	Recv(ctx context.Context) (Direct, error)
	InboxPending() (uint64, error)

	// SetTopicPriority takes "normal", "high" or "low"; another word stands for a priority that
	// there is not, and the view lets its library refuse it.
	SetTopicPriority(topic, priority string) error
	Neighbors() ([]ID, error)
	KnownPeers() (int, error)
	// TopicLinks returns the neighbours behind whom somebody subscribes to the topic.
	TopicLinks(topic string) (map[ID]TopicLink, error)

	SetTrust(id ID, level string) error
	Trust(id ID) (level string, err error)
	Contacts() (int, error)
	Contact(id ID) (Contact, error)
	AddContact(id ID, level, label string) error
	RemoveContact(id ID) (existed bool, err error)
	SetLabel(id ID, label string) error
	// SetIdentityType takes "anonymous", "known", "trusted" or "pinned"; of another word the
	// view makes a type that there is not.
	SetIdentityType(id ID, t string) error
	AddMachine(id, machine ID, label string) error
	RemoveMachine(id, machine ID) error
	PinMachine(id, machine ID) error
	UnpinMachine(id, machine ID) error
	// EvaluateTrust may be asked about the zero machine, which stands for none.
	EvaluateTrust(id, machine ID) (decision string, err error)

	Sign(context string, payload []byte) ([]byte, error)
	Verify(id ID, context string, payload, signature []byte) error
	IdentityWords(id ID) (string, error)
	// Card makes a link with the addresses of the agent, a group "g" with the invitation "i"
	// and a store "s" with the topic "t".
	Card(displayName string, includeUser, humanConsent bool) (link string, err error)
	ImportCard(link, level string) (Imported, error)
	// HasCertificate reports whether there is a certificate, and the user by identity and
	// certificate, which agree.
	HasCertificate() (bool, error)
	// Presence returns who is online.
	Presence() ([]ID, error)
	PresenceStatus(id ID) (Presence, error)
	// PresenceFOAF returns whom one walk of so many hops has found.
	PresenceFOAF(ctx context.Context, ttl int, timeout time.Duration) ([]ID, error)
	WatchPresence(id ID) error
	UnwatchPresence(id ID) error

	SetEvents(mask uint32) error
	NextEvent(ctx context.Context) (Event, error)
	Stats() (map[string]uint64, error)
}

// Contact is a record of the contacts; Exists is false if there is none.
type Contact struct {
	Exists                     bool
	Level, Label, IdentityType string
	Machines, Pinned           int // how many
}

// Imported is what became of a card.
type Imported struct {
	Agent                     ID
	Added                     bool
	Level, DisplayName        string
	User                      bool // the card shows one
	Addresses, Groups, Stores int  // how many
}

// Presence is what is known of whether an agent is online; Exists is false if that is nothing.
type Presence struct {
	Exists, Online bool
	Machine        ID
	Source         string // "direct" or "foaf"
}

// PublishOptions configure a publish.
type PublishOptions struct {
	Timeout time.Duration // of each; 0 is the default
	NoWait  bool          // busy instead of waiting for room
}

// TopicLink is a neighbour in a topic, and that topic here.
type TopicLink struct {
	Eager, Carries          bool
	Distance, Subscriptions uint64
	Priority                string
}

// SubscribeOptions configure a subscription.
type SubscribeOptions struct {
	NoReplay    bool
	MaxMessages uint32
	DropNewest  bool
	Paused      bool // nothing may leave the library before the first Next
}

// SendOptions configure sends.
type SendOptions struct {
	Timeout                     time.Duration // of each; 0 is the default
	Unordered, FailOnDisconnect bool
}

// Subscription is one subscription to a topic.
type Subscription interface {
	Next(ctx context.Context) (Message, error)
	Info() (topic string, pending, dropped uint64, err error)
	Close() error
}

// Message is what a subscription yields: a message, or how many were lost.
type Message struct {
	Lagged     uint64 // > 0: the mark of a gap, and nothing else is set
	Topic      string
	Payload    []byte
	Sender     ID
	Sequence   uint64
	TrustLevel string
}

// Direct is one direct message.
type Direct struct {
	Payload         []byte
	Sender, Machine ID
	Sequence        uint64
	Decision        string
}

// Event is one event. Name is "connected", "disconnected", "peer_joined", "error",
// "session_reset", "contact_changed", "identity_conflict", "agent_online", "agent_offline",
// "message", or something else that no scenario waits for.
type Event struct {
	Name    string
	Agent   ID
	Machine ID // zero if it is about none
	Payload []byte
	Topic   string
}
