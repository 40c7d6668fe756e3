package bridge

import (
	"context"
	"crypto/rand"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// fakeNet is the agents of one test in one memory. They behave as the façade promises:
// a send completes when the recipient's inbox has taken the message and waits while it is
// full, a publish reaches every subscription of every agent, and closing completes what
// is pending.
type fakeNet struct {
	mu     sync.Mutex
	agents map[AgentID]*fakeAgent
	// inline makes sends complete before SendAsync returns, where they can.
	inline bool
	// stuck makes Close forget its pending sends, as a panic might.
	stuck bool
	// full makes publishes wait for room until they are cancelled.
	full bool
}

func newFakeNet() *fakeNet { return &fakeNet{agents: map[AgentID]*fakeAgent{}} }

func (n *fakeNet) open(o Options) (Core, error) {
	if o.Name == "corrupt" {
		return nil, wire.Errorf(wire.KindCorrupt, "open", "a damaged key")
	}
	a := &fakeAgent{net: n, options: o, inbox: newFakeFeed[DirectMessage](1024, false), events: newFakeFeed[Event](o.EventLimit, true),
		subs: map[*fakeTopic]bool{}, pending: map[*fakeSend]bool{}, contacts: map[AgentID]Contact{}, priorities: map[string]x0x.TopicPriority{}, ended: make(chan struct{})}
	_, _ = rand.Read(a.id[:])
	n.mu.Lock()
	defer n.mu.Unlock()
	n.agents[a.id] = a
	return a, nil
}

// last returns the agent that was opened with this id.
func (n *fakeNet) get(id AgentID) *fakeAgent {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.agents[id]
}

type fakeAgent struct {
	net     *fakeNet
	id      AgentID
	options Options
	inbox   *fakeFeed[DirectMessage]
	events  *fakeFeed[Event]
	ended   chan struct{}

	poison  atomic.Pointer[error]
	explode atomic.Bool // the next call panics

	mu       sync.Mutex
	closed   bool
	seq      uint64
	subs     map[*fakeTopic]bool
	pending  map[*fakeSend]bool
	contacts map[AgentID]Contact
	imported int
	joined   bool

	priorities map[string]x0x.TopicPriority
}

type fakeSend struct {
	timer *time.Timer
	done  func(Receipt, error)
}

var errFakeClosed = wire.Errorf(wire.KindClosed, "fake", "the agent is closed")

func (a *fakeAgent) use() error {
	if a.explode.Swap(false) {
		panic("a defect")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return errFakeClosed
	}
	return nil
}

func (a *fakeAgent) AgentID() AgentID       { return a.id }
func (a *fakeAgent) MachineID() MachineID   { return MachineID(a.id) }
func (a *fakeAgent) UserID() (UserID, bool) { return UserID{}, false }
func (a *fakeAgent) IsConnected() bool      { return true }
func (a *fakeAgent) Peers() []PeerInfo {
	return []PeerInfo{{AgentID: a.id, Path: "direct", RTT: time.Millisecond}}
}
func (a *fakeAgent) Stats() map[string]uint64 { return map[string]uint64{"fake.calls": 1} }
func (a *fakeAgent) SetEventMask(EventMask)   {}

func (a *fakeAgent) SetTopicPriority(topic string, p x0x.TopicPriority) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.priorities[topic] = p
	return nil
}
func (a *fakeAgent) TopicMesh() (mesh []x0x.TopicMesh) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for topic, p := range a.priorities {
		mesh = append(mesh, x0x.TopicMesh{ID: [32]byte{9}, Name: topic, Priority: p, Subscriptions: 1, Retained: 2, Missing: 300, Links: []x0x.TopicLink{
			{Peer: a.id, Eager: true, Carries: true, Interested: true, Distance: 0, RTT: 5 * time.Millisecond, First: 1 << 40, Duplicates: 7},
			{Peer: AgentID{8}, Distance: -1},
		}})
	}
	return mesh
}
func (a *fakeAgent) Neighbors() []AgentID { return []AgentID{a.id} }
func (a *fakeAgent) KnownPeers() []x0x.KnownPeer {
	return []x0x.KnownPeer{{Agent: AgentID{5}, Machine: MachineID{6}, Addrs: []netip.AddrPort{netip.MustParseAddrPort("[::1]:7")}}}
}
func (a *fakeAgent) Inbox() Feed[DirectMessage] { return a.inbox }
func (a *fakeAgent) Events() Feed[Event]        { return a.events }

func (a *fakeAgent) IsAgentConnected(id AgentID) bool { return a.net.get(id) != nil }
func (a *fakeAgent) LocalAddrs() []netip.AddrPort {
	return []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}
}
func (a *fakeAgent) AddPeer(MachineID, AgentID, []netip.AddrPort) error { return a.use() }

func (a *fakeAgent) JoinNetwork(ctx context.Context) error {
	if err := a.use(); err != nil {
		return err
	}
	a.events.push(Event{Type: x0x.Connected, Agent: a.id, Time: time.Now(), Addr: "here", Path: "direct"}, 0, 0)
	return nil
}

func (a *fakeAgent) LeaveNetwork(ctx context.Context) error { return a.use() }

// ConnectToAgent never ends by itself.
func (a *fakeAgent) ConnectToAgent(ctx context.Context, id AgentID) (ConnectResult, error) {
	if err := a.use(); err != nil {
		return ConnectResult{}, err
	}
	select {
	case <-ctx.Done():
		return ConnectResult{}, ctx.Err()
	case <-a.ended:
		return ConnectResult{}, errFakeClosed
	}
}

func (a *fakeAgent) ConnectToMachine(context.Context, MachineID) (ConnectResult, error) {
	return ConnectResult{Outcome: x0x.NotFound}, a.use()
}

func (a *fakeAgent) ConnectToAddress(context.Context, string) (AgentID, MachineID, error) {
	return a.id, MachineID(a.id), a.use()
}

// The fake keeps one machine for each contact, and decides by the level alone.
func (a *fakeAgent) contact(id AgentID, change func(*Contact)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.contacts[id]
	c.AgentID, c.AddedAt = id, time.UnixMilli(5)
	change(&c)
	a.contacts[id] = c
	return nil
}

func (a *fakeAgent) machine(id AgentID, change func(*x0x.MachineRecord)) error {
	return a.contact(id, func(c *Contact) {
		c.Machines = append(c.Machines, x0x.MachineRecord{})[:1]
		change(&c.Machines[0])
	})
}

func (a *fakeAgent) SetTrust(id AgentID, level TrustLevel) error {
	return a.contact(id, func(c *Contact) { c.Level = level })
}
func (a *fakeAgent) AddContact(id AgentID, level TrustLevel, label string) error {
	return a.contact(id, func(c *Contact) { c.Level, c.Label = level, label })
}
func (a *fakeAgent) SetLabel(id AgentID, label string) error {
	return a.contact(id, func(c *Contact) { c.Label = label })
}
func (a *fakeAgent) SetIdentityType(id AgentID, t x0x.IdentityType) error {
	return a.contact(id, func(c *Contact) { c.IdentityType = t })
}
func (a *fakeAgent) AddMachine(id AgentID, machine MachineID, label string) error {
	return a.machine(id, func(m *x0x.MachineRecord) { m.MachineID, m.Label = machine, label })
}
func (a *fakeAgent) RemoveMachine(id AgentID, machine MachineID) error {
	return a.contact(id, func(c *Contact) { c.Machines = nil })
}
func (a *fakeAgent) PinMachine(id AgentID, machine MachineID) error {
	return a.machine(id, func(m *x0x.MachineRecord) { m.Pinned = true })
}
func (a *fakeAgent) UnpinMachine(id AgentID, machine MachineID) error {
	return a.machine(id, func(m *x0x.MachineRecord) { m.Pinned = false })
}
func (a *fakeAgent) Contact(id AgentID) (Contact, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.contacts[id]
	return c, ok
}
func (a *fakeAgent) Trust(id AgentID) TrustLevel {
	c, _ := a.Contact(id)
	return c.Level
}
func (a *fakeAgent) EvaluateTrust(id AgentID, machine MachineID) x0x.TrustDecision {
	if c, ok := a.Contact(id); ok && len(c.Machines) > 0 && c.Machines[0].MachineID == machine {
		return x0x.DecisionAccept
	}
	return x0x.DecisionUnknown
}
func (a *fakeAgent) Contacts() (list []Contact) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.contacts {
		list = append(list, c)
	}
	return list
}
func (a *fakeAgent) RemoveContact(id AgentID) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.contacts[id]
	delete(a.contacts, id)
	return ok, nil
}

func (a *fakeAgent) Sign(context string, payload []byte) ([]byte, error) {
	return append([]byte(context), payload...), nil
}
func (a *fakeAgent) Card(o x0x.CardOptions) (*x0x.Card, error) {
	return nil, wire.Errorf(wire.KindPolicy, "card", "%+v", o) // it has no key to sign with
}
func (a *fakeAgent) ImportCard(link string, level TrustLevel) (x0x.ImportedCard, error) {
	a.imported++
	return x0x.ImportedCard{Added: a.imported == 1, Level: level, Card: &x0x.Card{AgentID: AgentID{4}, DisplayName: link, MachineID: MachineID{5},
		Addresses: []netip.AddrPort{netip.MustParseAddrPort("[::1]:7")}, Groups: []x0x.CardGroup{{Name: "g", InviteLink: "i"}},
		CreatedAt: time.Unix(1, 0), ExpiresAt: time.Unix(2, 0)}}, nil
}
func (a *fakeAgent) Certificate() (*x0x.Certificate, error) { return nil, nil }

// The fake knows of one agent: online, and found by one walk as a friend of a friend.
func (a *fakeAgent) Presence() []x0x.PresenceEntry {
	return []x0x.PresenceEntry{{Agent: AgentID{5}, Machine: MachineID{6}, Addresses: []netip.AddrPort{netip.MustParseAddrPort("[2001:db8::1]:7")},
		LastSeen: time.UnixMilli(9), Source: 1, Online: true}}
}
func (a *fakeAgent) PresenceStatus(id AgentID) (x0x.PresenceEntry, bool) {
	e := x0x.PresenceEntry{Agent: id, Machine: MachineID{6}, Source: 2}
	return e, id == AgentID{5}
}
func (a *fakeAgent) PresenceFOAF(ctx context.Context, ttl int, timeout time.Duration) ([]x0x.PresenceEntry, error) {
	if ttl > 5 {
		return nil, wire.Errorf(wire.KindInvalidArgument, "presence", "too far")
	}
	if timeout > time.Hour { // until it is cancelled
		<-ctx.Done()
		return nil, ctx.Err()
	}
	e := x0x.PresenceEntry{Agent: AgentID{8}, LastSeen: time.UnixMilli(timeout.Milliseconds()), Source: 2, Online: true}
	return []x0x.PresenceEntry{e}, a.use()
}
func (a *fakeAgent) WatchPresence(AgentID) error   { return a.use() }
func (a *fakeAgent) UnwatchPresence(AgentID) error { return a.use() }

func (a *fakeAgent) Poison(reason error) {
	if a.poison.CompareAndSwap(nil, &reason) {
		a.events.push(Event{Type: x0x.Fatal, Agent: a.id, Err: wire.Errorf(wire.KindPanic, "agent", "%w", reason), Time: time.Now()}, 0, 0)
	}
}
func (a *fakeAgent) Poisoned() error {
	if p := a.poison.Load(); p != nil {
		return *p
	}
	return nil
}

func (a *fakeAgent) PublishAsync(topic string, payload []byte, timeout time.Duration, done func(error)) (func(), error) {
	if err := a.use(); err != nil {
		return nil, err
	}
	if a.net.full {
		withdrawn := wire.Errorf(wire.KindCancelled, "publish", "cancelled before it was signed")
		return sync.OnceFunc(func() { done(withdrawn) }), nil
	}
	a.mu.Lock()
	a.seq++
	m := Message{Topic: topic, Payload: payload, Sender: a.id, Time: time.Now(), Epoch: 1, Sequence: a.seq}
	a.mu.Unlock()
	a.net.mu.Lock()
	var to []*fakeTopic
	for _, other := range a.net.agents {
		other.mu.Lock()
		for s := range other.subs {
			if s.name == topic {
				to = append(to, s)
			}
		}
		other.mu.Unlock()
	}
	a.net.mu.Unlock()
	for _, s := range to {
		s.feed.push(m, len(payload), m.Sequence)
	}
	done(nil)
	return func() {}, nil
}

func (a *fakeAgent) SendAsync(to AgentID, payload []byte, o SendOptions, done func(Receipt, error)) (func(), error) {
	if err := a.use(); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	other := a.net.get(to)
	if other == nil {
		return nil, wire.Errorf(wire.KindNotFound, "send", "no such agent")
	}
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil, errFakeClosed
	}
	a.seq++
	m := DirectMessage{Sender: a.id, Machine: MachineID(a.id), Payload: payload, ReceivedAt: time.Now(), Sequence: a.seq}
	s := &fakeSend{done: done}
	a.pending[s] = true
	s.timer = time.AfterFunc(o.Timeout, func() { a.end(s, Receipt{}, wire.Errorf(wire.KindTimeout, "send", "no answer")) })
	a.mu.Unlock()

	deliver := func() {
		for !other.inbox.push(m, len(payload), m.Sequence) {
			a.mu.Lock()
			waiting := a.pending[s]
			a.mu.Unlock()
			if !waiting {
				return
			}
			time.Sleep(100 * time.Microsecond)
		}
		a.end(s, Receipt{Path: "direct", RTT: time.Microsecond, Sequence: m.Sequence}, nil)
	}
	if a.net.inline && other.inbox.Len() < 1000 {
		deliver()
	} else {
		go deliver()
	}
	return func() { a.end(s, Receipt{}, wire.Errorf(wire.KindCancelled, "send", "cancelled")) }, nil
}

func (a *fakeAgent) end(s *fakeSend, r Receipt, err error) {
	a.mu.Lock()
	mine := a.pending[s]
	delete(a.pending, s)
	a.mu.Unlock()
	if mine {
		s.timer.Stop()
		s.done(r, err)
	}
}

func (a *fakeAgent) Subscribe(topic string, o SubscribeOptions) (Topic, error) {
	if err := a.use(); err != nil {
		return nil, err
	}
	n := o.MaxMessages
	if n == 0 {
		n = 1024
	}
	t := &fakeTopic{agent: a, name: topic, feed: newFakeFeed[Message](n, true)}
	a.mu.Lock()
	a.subs[t] = true
	a.mu.Unlock()
	return t, nil
}

func (a *fakeAgent) Close(ctx context.Context) error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	close(a.ended)
	var pending []*fakeSend
	for s := range a.pending {
		pending = append(pending, s)
	}
	stuck := a.net.stuck
	a.mu.Unlock()
	for _, s := range pending {
		if stuck {
			s.timer.Stop()
			a.mu.Lock()
			delete(a.pending, s)
			a.mu.Unlock()
			continue
		}
		a.end(s, Receipt{}, errFakeClosed)
	}
	a.net.mu.Lock()
	delete(a.net.agents, a.id)
	a.net.mu.Unlock()
	return nil
}

type fakeTopic struct {
	agent *fakeAgent
	name  string
	feed  *fakeFeed[Message]
}

func (t *fakeTopic) Topic() string       { return t.name }
func (t *fakeTopic) Feed() Feed[Message] { return t.feed }
func (t *fakeTopic) Close() {
	t.agent.mu.Lock()
	defer t.agent.mu.Unlock()
	delete(t.agent.subs, t)
}

// fakeFeed is a bounded queue as core/internal/mailbox has it.
type fakeFeed[T any] struct {
	max  int
	drop bool // the oldest, when it is full; otherwise push refuses

	mu      sync.Mutex
	entries []fakeEntry[T]
	lag     Lag // of what was dropped at the front
	bytes   int64
	dropped uint64
	notify  func()
}

type fakeEntry[T any] struct {
	item T
	size int
	seq  uint64
}

func newFakeFeed[T any](max int, drop bool) *fakeFeed[T] { return &fakeFeed[T]{max: max, drop: drop} }

func (f *fakeFeed[T]) push(item T, size int, seq uint64) bool {
	f.mu.Lock()
	wasEmpty := len(f.entries) == 0 && f.lag.Count == 0
	if len(f.entries) >= f.max {
		if !f.drop {
			f.mu.Unlock()
			return false
		}
		oldest := f.entries[0]
		f.entries = f.entries[1:]
		f.bytes -= int64(oldest.size)
		if f.lag.Count == 0 {
			f.lag.FirstSeq = oldest.seq
		}
		f.lag.Count++
		f.lag.LastSeq = oldest.seq
		f.dropped++
	}
	f.entries = append(f.entries, fakeEntry[T]{item, size, seq})
	f.bytes += int64(size)
	notify := f.notify
	f.mu.Unlock()
	if wasEmpty && notify != nil {
		notify()
	}
	return true
}

func (f *fakeFeed[T]) TryRecv(max int, dst []Entry[T]) []Entry[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if max > 0 && f.lag.Count > 0 {
		lag := f.lag
		f.lag = Lag{}
		dst = append(dst, Entry[T]{Lagged: &lag})
		max--
	}
	for ; max > 0 && len(f.entries) > 0; max-- {
		dst = append(dst, Entry[T]{Item: f.entries[0].item})
		f.bytes -= int64(f.entries[0].size)
		f.entries = f.entries[1:]
	}
	return dst
}

func (f *fakeFeed[T]) SetNotify(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notify = fn
}

func (f *fakeFeed[T]) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.entries)
}

func (f *fakeFeed[T]) Bytes() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bytes
}

func (f *fakeFeed[T]) Dropped() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dropped
}
