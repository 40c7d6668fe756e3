package bindings

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/x0x/scenariotest"
)

// TestScenarios runs the list that all languages share over the C ABI.
func TestScenarios(t *testing.T) {
	list, err := scenariotest.Load("../include/scenarios.json")
	require.NoError(t, err)
	lib := library(t)
	queue, err := lib.NewQueue()
	require.NoError(t, err)
	count := scenariotest.Run(t, list, abi{lib, queue})
	require.Equal(t, len(list), count.Passed)
	require.Zero(t, queue.Strays())
	require.NoError(t, queue.Close())
	require.Zero(t, lib.LiveHandles(KindAny))
}

// library loads the library under test: the one that X0X_LIBRARY names, or what make build
// leaves. Without it there is nothing to test, which is a failure.
func library(t *testing.T) *Library {
	t.Helper()
	path := os.Getenv("X0X_LIBRARY")
	if path == "" {
		path = "../.build/lib/libx0x.so"
	}
	lib, err := Load(LoadOptions{Path: path})
	require.NoError(t, err, "run make build, or name the library in X0X_LIBRARY")
	return lib
}

// abi is the C ABI as the scenarios see it.
type abi struct {
	lib   *Library
	queue *Queue
}

func (abi) Kind(err error) string { return Kind(StatusOf(err)) }

// Leaks counts handles: of all that a scenario made, only the queue of the run stays.
func (s abi) Leaks() error {
	for kind := uint32(KindQueue); kind <= KindOperation; kind++ {
		want := uint64(0)
		if kind == KindQueue {
			want = 1
		}
		if n := s.lib.LiveHandles(kind); n != want {
			return fmt.Errorf("%d handles of kind %d are open, want %d", n, kind, want)
		}
	}
	return nil
}

func (s abi) Open(o scenariotest.Options) (scenariotest.Agent, error) {
	var level TrustLevel
	if o.AcceptFrom != "" {
		var err error
		if level, err = ParseTrustLevel(o.AcceptFrom); err != nil {
			return nil, err
		}
	}
	visibility := 0
	if o.Visibility != "" {
		// A word that is none becomes a number that is none: the library has to refuse it.
		if visibility = slices.Index(visibilityNames, o.Visibility); visibility < 0 {
			visibility = len(visibilityNames)
		}
	}
	a, err := s.queue.Open(Options{
		NetworkID: o.NetworkID, RuntimeDir: o.RuntimeDir, Name: o.Name, HomeDir: o.HomeDir, IdentityDir: o.IdentityDir,
		MachineKeyPath: o.MachineKeyPath, AgentKeyPath: o.AgentKeyPath, MachineKey: o.MachineKey, AgentKey: o.AgentKey,
		UserKeyPath: o.UserKeyPath, UserKey: o.UserKey, ContactsPath: o.ContactsPath,
		Bind: o.Bind, Bootstrap: o.Bootstrap, AcceptFrom: level,
		DialTimeout: o.DialTimeout, SendTimeout: o.SendTimeout, PeerTimeout: o.PeerTimeout, SessionTTL: o.SessionTTL, CloseGrace: o.CloseGrace,
		InboxMessages: o.InboxMessages, InboxBytes: o.InboxBytes, MaxOperations: o.MaxOperations, MaxPeers: o.MaxPeers,
		ActivePeers: o.ActivePeers, PassivePeers: o.PassivePeers, MaxPeersPerAddress: o.MaxPeersPerAddress,
		Visibility: Visibility(visibility), PresenceInterval: o.PresenceInterval, PresenceTimeout: o.PresenceTimeout,
		NoLocalDiscovery: o.NoLocalDiscovery, NoRelay: o.NoRelay,
	})
	if err != nil {
		return nil, err
	}
	return view{a}, nil
}

// view shows an Agent in the words of the scenario list.
type view struct{ a *Agent }

func (v view) Identity() (agent, machine scenariotest.ID, err error) {
	x, y, err := v.a.Identity()
	return scenariotest.ID(x), scenariotest.ID(y), err
}

func (v view) Join(ctx context.Context) error  { return v.a.JoinNetwork(ctx) }
func (v view) Leave(ctx context.Context) error { return v.a.LeaveNetwork(ctx) }
func (v view) Close(ctx context.Context) error { return v.a.Close(ctx) }

func (v view) IsConnected() (bool, error) { return v.a.IsConnected() }
func (v view) IsAgentConnected(id scenariotest.ID) (bool, error) {
	return v.a.IsAgentConnected(ID(id))
}
func (v view) LocalAddresses() ([]string, error) { return v.a.LocalAddresses() }

func (v view) Peers() (int, error) {
	list, err := v.a.Peers()
	return len(list), err
}

func (v view) ConnectAgent(ctx context.Context, id scenariotest.ID) (string, error) {
	o, err := v.a.ConnectToAgent(ctx, ID(id))
	return o.String(), err
}

func (v view) ConnectMachine(ctx context.Context, id scenariotest.ID) (string, error) {
	o, err := v.a.ConnectToMachine(ctx, ID(id))
	return o.String(), err
}

func (v view) ConnectAddress(ctx context.Context, address string) (scenariotest.ID, error) {
	id, _, err := v.a.ConnectToAddress(ctx, address)
	return scenariotest.ID(id), err
}

func (v view) AddPeer(machine, agent scenariotest.ID, addresses []string) error {
	return v.a.AddPeer(ID(machine), ID(agent), addresses)
}

func (v view) Publish(ctx context.Context, topic string, payloads [][]byte, opts scenariotest.PublishOptions) error {
	timeout := opts.Timeout
	if opts.NoWait {
		timeout = AtOnce
	}
	var ops []*Operation
	for _, p := range payloads {
		o, err := v.a.StartPublish(topic, p, timeout)
		if err != nil {
			return err
		}
		ops = append(ops, o)
	}
	for _, o := range ops {
		if err := o.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (v view) Send(ctx context.Context, to scenariotest.ID, payloads [][]byte, o scenariotest.SendOptions) (path string, err error) {
	var ops []*Operation
	for _, p := range payloads {
		op, err := v.a.StartSend(ID(to), p, SendOptions{Timeout: o.Timeout, Unordered: o.Unordered, FailOnDisconnect: o.FailOnDisconnect})
		if err != nil {
			return "", err
		}
		ops = append(ops, op)
	}
	for _, op := range ops {
		r, err := op.Receipt(ctx)
		if err != nil {
			return "", err
		}
		path = r.Path
	}
	return path, nil
}

func (v view) Recv(ctx context.Context) (scenariotest.Direct, error) {
	m, err := v.a.RecvDirect(ctx)
	return scenariotest.Direct{Payload: m.Payload, Sender: scenariotest.ID(m.Sender), Machine: scenariotest.ID(m.Machine),
		Sequence: m.Sequence, Decision: m.Decision.String()}, err
}

func (v view) InboxPending() (uint64, error) {
	n, _, err := v.a.InboxInfo()
	return n, err
}

func (v view) Subscribe(topic string, o scenariotest.SubscribeOptions) (scenariotest.Subscription, error) {
	policy := uint32(DropOldest)
	if o.DropNewest {
		policy = DropNewest
	}
	s, err := v.a.Subscribe(topic, SubscribeOptions{NoReplay: o.NoReplay, MaxMessages: o.MaxMessages, Policy: policy})
	if err != nil {
		return nil, err
	}
	return subView{s}, nil
}

// subView shows a Subscription. It never reads ahead, so Paused needs nothing.
type subView struct{ s *Subscription }

func (v subView) Next(ctx context.Context) (scenariotest.Message, error) {
	m, err := v.s.Recv(ctx)
	var lagged *LaggedError
	if errors.As(err, &lagged) {
		return scenariotest.Message{Lagged: lagged.Count}, nil
	}
	return scenariotest.Message{Topic: m.Topic, Payload: m.Payload, Sender: scenariotest.ID(m.Sender),
		Sequence: m.Sequence, TrustLevel: m.TrustLevel.String()}, err
}

func (v subView) Info() (topic string, pending, dropped uint64, err error) {
	i, err := v.s.Info()
	return i.Topic, i.Pending, i.Dropped, err
}

func (v subView) Close() error { return v.s.Close() }

func (v view) SetTopicPriority(topic, priority string) error {
	// A word that is no priority becomes a number that is none: the library has to refuse it.
	p := slices.Index(priorityNames, priority)
	if p < 0 {
		p = len(priorityNames)
	}
	return v.a.SetTopicPriority(topic, TopicPriority(p))
}

func (v view) Neighbors() ([]scenariotest.ID, error) {
	list, err := v.a.Neighbors()
	var ids []scenariotest.ID
	for _, id := range list {
		ids = append(ids, scenariotest.ID(id))
	}
	return ids, err
}

func (v view) KnownPeers() (int, error) {
	list, err := v.a.KnownPeers()
	return len(list), err
}

func (v view) TopicLinks(topic string) (map[scenariotest.ID]scenariotest.TopicLink, error) {
	mesh, err := v.a.TopicMesh()
	links := map[scenariotest.ID]scenariotest.TopicLink{}
	for _, m := range mesh {
		for _, l := range m.Links {
			if m.Name == topic && l.Distance >= 0 {
				links[scenariotest.ID(l.Agent)] = scenariotest.TopicLink{Eager: l.Eager, Carries: l.Carries,
					Distance: uint64(l.Distance), Subscriptions: m.Subscriptions, Priority: m.Priority.String()}
			}
		}
	}
	return links, err
}

func (v view) SetTrust(id scenariotest.ID, name string) error {
	level, err := ParseTrustLevel(name)
	if err != nil {
		return err
	}
	return v.a.SetTrust(ID(id), level)
}

func (v view) Trust(id scenariotest.ID) (string, error) {
	l, err := v.a.Trust(ID(id))
	return l.String(), err
}

func (v view) Contacts() (int, error) {
	list, err := v.a.Contacts()
	return len(list), err
}

func (v view) Contact(id scenariotest.ID) (scenariotest.Contact, error) {
	c, ok, err := v.a.Contact(ID(id))
	s := scenariotest.Contact{Exists: ok, Level: c.Level.String(), Label: c.Label, IdentityType: c.IdentityType.String(), Machines: len(c.Machines)}
	for _, m := range c.Machines {
		if m.Pinned {
			s.Pinned++
		}
	}
	return s, err
}

func (v view) AddContact(id scenariotest.ID, name, label string) error {
	level, err := ParseTrustLevel(name)
	if err != nil {
		return err
	}
	return v.a.AddContact(ID(id), level, label)
}

func (v view) SetIdentityType(id scenariotest.ID, name string) error {
	// A word that is no type becomes a number that is none: the library has to refuse it.
	t := slices.Index(identityNames, name)
	if t < 0 {
		t = len(identityNames)
	}
	return v.a.SetIdentityType(ID(id), IdentityType(t))
}

func (v view) EvaluateTrust(id, machine scenariotest.ID) (string, error) {
	d, err := v.a.EvaluateTrust(ID(id), ID(machine))
	return d.String(), err
}

func (v view) Sign(context string, payload []byte) ([]byte, error) { return v.a.Sign(context, payload) }
func (v view) Verify(id scenariotest.ID, context string, payload, signature []byte) error {
	return v.a.Verify(ID(id), context, payload, signature)
}
func (v view) IdentityWords(id scenariotest.ID) (string, error) { return v.a.IdentityWords(ID(id)) }

func (v view) Card(name string, user, consent bool) (string, error) {
	return v.a.Card(CardOptions{DisplayName: name, IncludeUser: user, HumanConsent: consent,
		Groups: []Named{{"g", "i"}}, Stores: []Named{{"s", "t"}}})
}

func (v view) ImportCard(link, name string) (scenariotest.Imported, error) {
	level := TrustLevel(TrustKnown)
	if name != "" {
		var err error
		if level, err = ParseTrustLevel(name); err != nil {
			return scenariotest.Imported{}, err
		}
	}
	c, err := v.a.ImportCard(link, level)
	return scenariotest.Imported{Agent: scenariotest.ID(c.Agent), Added: c.Added, Level: c.Level.String(), DisplayName: c.DisplayName,
		User: c.User != (ID{}), Addresses: len(c.Addresses), Groups: len(c.Groups), Stores: len(c.Stores)}, err
}

func (v view) HasCertificate() (bool, error) {
	c, ok, err := v.a.Certificate()
	if err != nil {
		return false, err
	}
	user, known, err := v.a.UserID()
	if err == nil && (known != ok || user != c.User) {
		err = errors.New("certificate and user id disagree")
	}
	return ok, err
}

func presenceIDs(entries []PresenceEntry) (list []scenariotest.ID) {
	for _, e := range entries {
		list = append(list, scenariotest.ID(e.Agent))
	}
	return list
}

func (v view) Presence() ([]scenariotest.ID, error) {
	entries, err := v.a.Presence()
	return presenceIDs(entries), err
}

func (v view) PresenceStatus(id scenariotest.ID) (scenariotest.Presence, error) {
	e, ok, err := v.a.PresenceStatus(ID(id))
	return scenariotest.Presence{Exists: ok, Online: e.Online, Machine: scenariotest.ID(e.Machine), Source: e.Source.String()}, err
}

func (v view) PresenceFOAF(ctx context.Context, ttl int, timeout time.Duration) ([]scenariotest.ID, error) {
	entries, err := v.a.PresenceFOAF(ctx, ttl, timeout)
	return presenceIDs(entries), err
}

func (v view) WatchPresence(id scenariotest.ID) error   { return v.a.WatchPresence(ID(id)) }
func (v view) UnwatchPresence(id scenariotest.ID) error { return v.a.UnwatchPresence(ID(id)) }

func (v view) SetLabel(id scenariotest.ID, label string) error { return v.a.SetLabel(ID(id), label) }
func (v view) AddMachine(id, machine scenariotest.ID, label string) error {
	return v.a.AddMachine(ID(id), ID(machine), label)
}
func (v view) RemoveMachine(id, machine scenariotest.ID) error {
	return v.a.RemoveMachine(ID(id), ID(machine))
}
func (v view) PinMachine(id, machine scenariotest.ID) error {
	return v.a.PinMachine(ID(id), ID(machine))
}
func (v view) UnpinMachine(id, machine scenariotest.ID) error {
	return v.a.UnpinMachine(ID(id), ID(machine))
}
func (v view) RemoveContact(id scenariotest.ID) (bool, error) { return v.a.RemoveContact(ID(id)) }
func (v view) SetEvents(mask uint32) error                    { return v.a.SetEvents(mask) }
func (v view) Stats() (map[string]uint64, error)              { return v.a.Stats() }

var eventNames = map[uint16]string{
	RConnected: "connected", RDisconnected: "disconnected", RPeerJoined: "peer_joined",
	REventMessage: "message", RError: "error", RSessionReset: "session_reset", RFatal: "fatal",
	RContactChanged: "contact_changed", RIdentityConflict: "identity_conflict",
	RAgentOnline: "agent_online", RAgentOffline: "agent_offline",
}

func (v view) NextEvent(ctx context.Context) (scenariotest.Event, error) {
	e, err := v.a.NextEvent(ctx)
	if err != nil {
		return scenariotest.Event{}, err
	}
	ev := scenariotest.Event{Name: eventNames[e.Kind], Agent: scenariotest.ID(e.Agent), Machine: scenariotest.ID(e.Machine)}
	if e.Message != nil {
		ev.Payload, ev.Topic = e.Message.Payload, e.Message.Topic
	}
	return ev, nil
}
