package x0x_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/saorsa-labs/x0x-go/core/x0x"
	"github.com/saorsa-labs/x0x-go/core/x0x/scenariotest"
)

// TestScenarios runs the list that all languages share against the façade.
func TestScenarios(t *testing.T) {
	list, err := scenariotest.Load("../../include/scenarios.json")
	require.NoError(t, err)
	count := scenariotest.Run(t, list, facade{})
	require.Equal(t, len(list), count.Passed)
}

// facade is core/x0x as the scenarios see it.
type facade struct{}

func (facade) Kind(err error) string { return x0x.KindOf(err).String() }

// Leaks waits a moment for goroutines that are ending, and names those that do not.
func (facade) Leaks() error { return goleak.Find(goleak.IgnoreAnyFunction("testing.(*T).Run")) }

var visibilities = map[string]x0x.Visibility{"network": x0x.VisibleToNetwork, "social": x0x.VisibleToContacts, "hidden": x0x.Invisible}

func (facade) Open(o scenariotest.Options) (scenariotest.Agent, error) {
	level := x0x.TrustBlocked // the zero value
	if o.AcceptFrom != "" {
		if err := level.UnmarshalText([]byte(o.AcceptFrom)); err != nil {
			return nil, err
		}
	}
	visibility := x0x.VisibleToNetwork
	if o.Visibility != "" {
		v, ok := visibilities[o.Visibility]
		if !ok {
			v = 99
		}
		visibility = v
	}
	a, err := x0x.New(x0x.Options{
		NetworkID: o.NetworkID, RuntimeDir: o.RuntimeDir, Name: o.Name, HomeDir: o.HomeDir, IdentityDir: o.IdentityDir,
		MachineKeyPath: o.MachineKeyPath, AgentKeyPath: o.AgentKeyPath, MachineKey: o.MachineKey, AgentKey: o.AgentKey,
		UserKeyPath: o.UserKeyPath, UserKey: o.UserKey, ContactsPath: o.ContactsPath,
		Bind: o.Bind, Bootstrap: o.Bootstrap, AcceptFrom: level,
		DialTimeout: o.DialTimeout, SendTimeout: o.SendTimeout, PeerTimeout: o.PeerTimeout, SessionTTL: o.SessionTTL, CloseGrace: o.CloseGrace,
		InboxMessages: int(o.InboxMessages), InboxBytes: int64(o.InboxBytes), MaxOperations: int(o.MaxOperations), MaxPeers: int(o.MaxPeers),
		ActivePeers: int(o.ActivePeers), PassivePeers: int(o.PassivePeers), MaxPeersPerAddress: int(o.MaxPeersPerAddress),
		Visibility: visibility, PresenceInterval: o.PresenceInterval, PresenceTimeout: o.PresenceTimeout,
		NoLocalDiscovery: o.NoLocalDiscovery, NoRelay: o.NoRelay,
	})
	if err != nil {
		return nil, err
	}
	return &agent{a}, nil
}

// agent shows an x0x.Agent in the words of the scenario list.
type agent struct{ a *x0x.Agent }

func (v *agent) Identity() (agent, machine scenariotest.ID, err error) {
	return scenariotest.ID(v.a.AgentID()), scenariotest.ID(v.a.MachineID()), nil
}

func (v *agent) Join(ctx context.Context) error  { return v.a.JoinNetwork(ctx) }
func (v *agent) Leave(ctx context.Context) error { return v.a.LeaveNetwork(ctx) }
func (v *agent) Close(ctx context.Context) error { return v.a.Close(ctx) }

func (v *agent) IsConnected() (bool, error) { return v.a.IsConnected(), nil }
func (v *agent) IsAgentConnected(id scenariotest.ID) (bool, error) {
	return v.a.IsAgentConnected(x0x.AgentID(id)), nil
}
func (v *agent) Peers() (int, error) { return len(v.a.Peers()), nil }

func (v *agent) LocalAddresses() ([]string, error) {
	var list []string
	for _, addr := range v.a.LocalAddrs() {
		list = append(list, addr.String())
	}
	return list, nil
}

func (v *agent) ConnectAgent(ctx context.Context, id scenariotest.ID) (string, error) {
	r, err := v.a.ConnectToAgent(ctx, x0x.AgentID(id))
	return r.Outcome.String(), err
}

func (v *agent) ConnectMachine(ctx context.Context, id scenariotest.ID) (string, error) {
	r, err := v.a.ConnectToMachine(ctx, x0x.MachineID(id))
	return r.Outcome.String(), err
}

func (v *agent) ConnectAddress(ctx context.Context, address string) (scenariotest.ID, error) {
	id, _, err := v.a.ConnectToAddress(ctx, address)
	return scenariotest.ID(id), err
}

func (v *agent) AddPeer(machine, agent scenariotest.ID, addresses []string) error {
	var list []netip.AddrPort
	for _, s := range addresses {
		addr, err := netip.ParseAddrPort(s)
		if err != nil {
			return err
		}
		list = append(list, addr)
	}
	return v.a.AddPeer(x0x.MachineID(machine), x0x.AgentID(agent), list)
}

// pipelined starts an operation for each payload and waits for all.
func pipelined(ctx context.Context, payloads [][]byte, start func(payload []byte, done func(error)) error) error {
	done := make(chan error, len(payloads))
	var errs []error
	started := 0
	for _, p := range payloads {
		if err := start(p, func(err error) { done <- err }); err != nil {
			errs = append(errs, err)
			break
		}
		started++
	}
	for range started {
		select {
		case err := <-done:
			errs = append(errs, err)
		case <-ctx.Done():
			return errors.Join(append(errs, context.Cause(ctx))...)
		}
	}
	// One error as it is: joined, it would lose its kind.
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

func (v *agent) Publish(ctx context.Context, topic string, payloads [][]byte, o scenariotest.PublishOptions) error {
	if len(payloads) == 1 && o == (scenariotest.PublishOptions{}) {
		return v.a.Publish(ctx, topic, payloads[0])
	}
	return pipelined(ctx, payloads, func(p []byte, done func(error)) error {
		cancel, err := v.a.PublishAsync(topic, p, o.Timeout, done)
		if err == nil && o.NoWait {
			cancel() // which only concerns what waits for room
		}
		return err
	})
}

var priorities = map[string]x0x.TopicPriority{"normal": x0x.PriorityNormal, "high": x0x.PriorityHigh, "low": x0x.PriorityLow}

func (v *agent) SetTopicPriority(topic, name string) error {
	p, ok := priorities[name]
	if !ok {
		p = 99
	}
	return v.a.SetTopicPriority(topic, p)
}

func (v *agent) Neighbors() (list []scenariotest.ID, err error) {
	for _, id := range v.a.Neighbors() {
		list = append(list, scenariotest.ID(id))
	}
	return list, nil
}

func (v *agent) KnownPeers() (int, error) { return len(v.a.KnownPeers()), nil }

func (v *agent) TopicLinks(topic string) (map[scenariotest.ID]scenariotest.TopicLink, error) {
	links := map[scenariotest.ID]scenariotest.TopicLink{}
	for _, m := range v.a.TopicMesh() {
		for _, l := range m.Links {
			if m.Name != topic || !l.Interested {
				continue
			}
			view := scenariotest.TopicLink{Eager: l.Eager, Carries: l.Carries, Distance: uint64(l.Distance), Subscriptions: uint64(m.Subscriptions)}
			for name, p := range priorities {
				if p == m.Priority {
					view.Priority = name
				}
			}
			links[scenariotest.ID(l.Peer)] = view
		}
	}
	return links, nil
}

func (v *agent) Send(ctx context.Context, to scenariotest.ID, payloads [][]byte, o scenariotest.SendOptions) (string, error) {
	options := x0x.SendOptions{Timeout: o.Timeout, Unordered: o.Unordered, FailOnDisconnect: o.FailOnDisconnect}
	if len(payloads) == 1 {
		r, err := v.a.SendDirect(ctx, x0x.AgentID(to), payloads[0], options)
		return r.Path, err
	}
	paths := make(chan string, len(payloads))
	err := pipelined(ctx, payloads, func(p []byte, done func(error)) error {
		_, err := v.a.SendAsync(x0x.AgentID(to), p, options, func(r x0x.Receipt, err error) {
			paths <- r.Path
			done(err)
		})
		return err
	})
	if err != nil {
		return "", err
	}
	return <-paths, nil
}

func (v *agent) Recv(ctx context.Context) (scenariotest.Direct, error) {
	m, err := v.a.RecvDirect(ctx)
	return scenariotest.Direct{Payload: m.Payload, Sender: scenariotest.ID(m.Sender), Machine: scenariotest.ID(m.Machine),
		Sequence: m.Sequence, Decision: m.Decision.String()}, err
}

func (v *agent) InboxPending() (uint64, error) { return uint64(v.a.Inbox().Len()), nil }

func (v *agent) Subscribe(topic string, o scenariotest.SubscribeOptions) (scenariotest.Subscription, error) {
	policy := x0x.DropOldest
	if o.DropNewest {
		policy = x0x.DropNewest
	}
	s, err := v.a.Subscribe(topic, x0x.SubscribeOptions{NoReplay: o.NoReplay, MaxMessages: int(o.MaxMessages), Policy: policy})
	if err != nil {
		return nil, err
	}
	return subscription{s}, nil
}

// subscription shows an x0x.Subscription. It never reads ahead, so Paused needs nothing.
type subscription struct{ s *x0x.Subscription }

func (v subscription) Next(ctx context.Context) (scenariotest.Message, error) {
	m, err := v.s.Recv(ctx)
	var lagged *x0x.LaggedError
	if errors.As(err, &lagged) {
		return scenariotest.Message{Lagged: lagged.Lag.Count}, nil
	}
	return scenariotest.Message{Topic: m.Topic, Payload: m.Payload, Sender: scenariotest.ID(m.Sender),
		Sequence: m.Sequence, TrustLevel: m.TrustLevel.String()}, err
}

func (v subscription) Info() (topic string, pending, dropped uint64, err error) {
	f := v.s.Feed()
	return v.s.Topic(), uint64(f.Len()), f.Dropped(), nil
}

func (v subscription) Close() error {
	v.s.Close()
	return nil
}

func (v *agent) SetTrust(id scenariotest.ID, name string) error {
	var level x0x.TrustLevel
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return err
	}
	return v.a.SetTrust(x0x.AgentID(id), level)
}

func (v *agent) Trust(id scenariotest.ID) (string, error) {
	return v.a.Trust(x0x.AgentID(id)).String(), nil
}
func (v *agent) Contacts() (int, error) { return len(v.a.Contacts()), nil }
func (v *agent) RemoveContact(id scenariotest.ID) (bool, error) {
	return v.a.RemoveContact(x0x.AgentID(id))
}

func (v *agent) Contact(id scenariotest.ID) (scenariotest.Contact, error) {
	c, ok := v.a.Contact(x0x.AgentID(id))
	view := scenariotest.Contact{Exists: ok, Level: c.Level.String(), Label: c.Label, IdentityType: c.IdentityType.String(), Machines: len(c.Machines)}
	for _, m := range v.a.Machines(x0x.AgentID(id)) {
		if m.Pinned {
			view.Pinned++
		}
	}
	return view, nil
}

func (v *agent) AddContact(id scenariotest.ID, name, label string) error {
	var level x0x.TrustLevel
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return err
	}
	return v.a.AddContact(x0x.AgentID(id), level, label)
}

func (v *agent) SetLabel(id scenariotest.ID, label string) error {
	return v.a.SetLabel(x0x.AgentID(id), label)
}

func (v *agent) SetIdentityType(id scenariotest.ID, name string) error {
	t := x0x.IdentityType(99)
	_ = t.UnmarshalText([]byte(name)) // unchanged by a word that is none
	return v.a.SetIdentityType(x0x.AgentID(id), t)
}

func (v *agent) AddMachine(id, machine scenariotest.ID, label string) error {
	return v.a.AddMachine(x0x.AgentID(id), x0x.MachineID(machine), label)
}
func (v *agent) RemoveMachine(id, machine scenariotest.ID) error {
	return v.a.RemoveMachine(x0x.AgentID(id), x0x.MachineID(machine))
}
func (v *agent) PinMachine(id, machine scenariotest.ID) error {
	return v.a.PinMachine(x0x.AgentID(id), x0x.MachineID(machine))
}
func (v *agent) UnpinMachine(id, machine scenariotest.ID) error {
	return v.a.UnpinMachine(x0x.AgentID(id), x0x.MachineID(machine))
}
func (v *agent) EvaluateTrust(id, machine scenariotest.ID) (string, error) {
	return v.a.EvaluateTrust(x0x.AgentID(id), x0x.MachineID(machine)).String(), nil
}

func (v *agent) Sign(context string, payload []byte) ([]byte, error) {
	return v.a.Sign(context, payload)
}

func (v *agent) Verify(id scenariotest.ID, context string, payload, signature []byte) error {
	return x0x.Verify(x0x.AgentID(id), context, payload, signature)
}

func (v *agent) IdentityWords(id scenariotest.ID) (string, error) {
	return x0x.IdentityWords(x0x.AgentID(id)), nil
}

func (v *agent) Card(name string, user, consent bool) (string, error) {
	c, err := v.a.Card(x0x.CardOptions{DisplayName: name, IncludeUser: user, HumanConsent: consent,
		Groups: []x0x.CardGroup{{Name: "g", InviteLink: "i"}}, Stores: []x0x.CardStore{{Name: "s", Topic: "t"}}})
	if err != nil {
		return "", err
	}
	return c.Link(), nil
}

func (v *agent) ImportCard(link, name string) (scenariotest.Imported, error) {
	level := x0x.TrustKnown
	if name != "" {
		if err := level.UnmarshalText([]byte(name)); err != nil {
			return scenariotest.Imported{}, err
		}
	}
	c, err := v.a.ImportCard(link, level)
	if err != nil {
		return scenariotest.Imported{}, err
	}
	return scenariotest.Imported{Agent: scenariotest.ID(c.AgentID), Added: c.Added, Level: c.Level.String(), DisplayName: c.DisplayName,
		User: !c.UserID.IsZero(), Addresses: len(c.Addresses), Groups: len(c.Groups), Stores: len(c.Stores)}, nil
}

func (v *agent) HasCertificate() (bool, error) {
	c, err := v.a.Certificate()
	user, ok := v.a.UserID()
	if err == nil && (c != nil) != ok || ok && c.UserID() != user {
		return false, errors.New("certificate and user id disagree")
	}
	return c != nil, err
}

func presenceIDs(entries []x0x.PresenceEntry) (list []scenariotest.ID) {
	for _, e := range entries {
		list = append(list, scenariotest.ID(e.Agent))
	}
	return list
}

func (v *agent) Presence() ([]scenariotest.ID, error) { return presenceIDs(v.a.Presence()), nil }

func (v *agent) PresenceStatus(id scenariotest.ID) (scenariotest.Presence, error) {
	e, ok := v.a.PresenceStatus(x0x.AgentID(id))
	return scenariotest.Presence{Exists: ok, Online: e.Online, Machine: scenariotest.ID(e.Machine), Source: e.Source.String()}, nil
}

func (v *agent) PresenceFOAF(ctx context.Context, ttl int, timeout time.Duration) ([]scenariotest.ID, error) {
	entries, err := v.a.PresenceFOAF(ctx, ttl, timeout)
	return presenceIDs(entries), err
}

func (v *agent) WatchPresence(id scenariotest.ID) error { return v.a.WatchPresence(x0x.AgentID(id)) }
func (v *agent) UnwatchPresence(id scenariotest.ID) error {
	return v.a.UnwatchPresence(x0x.AgentID(id))
}

func (v *agent) SetEvents(mask uint32) error {
	v.a.SetEventMask(x0x.EventMask(mask))
	return nil
}

var eventNames = map[x0x.EventType]string{
	x0x.Connected: "connected", x0x.Disconnected: "disconnected", x0x.PeerJoined: "peer_joined",
	x0x.MessageEvent: "message", x0x.ErrorEvent: "error", x0x.SessionReset: "session_reset", x0x.Fatal: "fatal",
	x0x.ContactChanged:   "contact_changed",
	x0x.IdentityConflict: "identity_conflict", x0x.AgentOnline: "agent_online", x0x.AgentOffline: "agent_offline",
}

func (v *agent) NextEvent(ctx context.Context) (scenariotest.Event, error) {
	e, err := v.a.Events().Recv(ctx)
	if err != nil {
		return scenariotest.Event{}, err
	}
	if e.Lagged != nil {
		return scenariotest.Event{}, fmt.Errorf("%d events were dropped", e.Lagged.Count)
	}
	ev := scenariotest.Event{Name: eventNames[e.Item.Type], Agent: scenariotest.ID(e.Item.Agent), Machine: scenariotest.ID(e.Item.Machine)}
	if m := e.Item.Message; m != nil {
		ev.Agent, ev.Payload, ev.Topic = scenariotest.ID(m.Sender), m.Payload, m.Topic
	}
	return ev, nil
}

func (v *agent) Stats() (map[string]uint64, error) { return v.a.Stats(), nil }
