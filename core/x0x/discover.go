package x0x

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/rendezvous"
	"github.com/saorsa-labs/x0x-go/core/transport"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// DiscoveredAgent is what an agent has announced of itself, signed by its own key and that of
// the machine it runs on.
type DiscoveredAgent struct {
	AgentID     AgentID
	MachineID   MachineID
	UserID      UserID           // zero: not disclosed
	Addresses   []netip.AddrPort // hints; those that can work from here
	AnnouncedAt time.Time
	ExpiresAt   time.Time
	Direct      bool // it says that it can be connected to directly
	Relay       bool // it says that it carries packets for others
	Coordinator bool // it says that it helps others through their NATs
}

func discoveredAgent(a *discovery.Announcement) DiscoveredAgent {
	return DiscoveredAgent{
		AgentID: a.Agent, MachineID: a.Machine, UserID: a.User, Addresses: slices.Clone(a.Addrs),
		AnnouncedAt: a.IssuedAt, ExpiresAt: a.ExpiresAt,
		Direct: a.Has(discovery.Direct), Relay: a.Has(discovery.Relay), Coordinator: a.Has(discovery.Coordinator),
	}
}

// verifyAnnouncement is what every announcement has to pass: its signatures, and that none of
// its keys is revoked.
func (a *Agent) verifyAnnouncement(an *discovery.Announcement, now time.Time) error {
	const op = "verify announcement"
	if err := an.Verify(now); err != nil {
		return err
	}
	if a.IsRevoked(an.Agent) || a.revocations.Machine(an.Machine) {
		return wire.Errorf(wire.KindAuth, op, "a key of agent %s is revoked", an.Agent.Short())
	}
	if c := an.Certificate(); c != nil && a.revocations.Certificate(c.Digest()) {
		return wire.Errorf(wire.KindAuth, op, "the certificate of agent %s is revoked", an.Agent.Short())
	}
	return nil
}

// discovered remembers an announcement. Of two machines that run one agent the newer
// announcement wins, and if the agent is this one, both are told.
func (a *Agent) discovered(an *discovery.Announcement) {
	conflict, err := a.cache.Add(an, netip.Addr{}, time.Now())
	if err != nil {
		a.log.Debug("announcement not kept", "agent", an.Agent.Short(), "error", err)
	}
	if an.Agent == a.AgentID() && an.Machine != a.MachineID() {
		a.conflicts.saw(a, an.Machine, netip.AddrPort{})
	} else if conflict != nil {
		a.log.Info("an agent is announced from two machines", "agent", an.Agent.Short())
	}
}

// hidden reports whether the policy keeps an agent out of what this one is shown.
func (a *Agent) hidden(an *discovery.Announcement) bool {
	_, deliver := a.policy.Inbound(trust.PathDiscovery, an.Agent, an.Machine)
	return !deliver
}

// FindAgent asks the network where an agent is, and returns what it last announced; nil if
// nobody knows it, it has not announced itself for IdentityTTL, or it is blocked here. It takes
// seconds at most, or until ctx ends. Errors: ErrUnreachable before joining, ErrBusy if too many
// lookups are under way, ErrTimeout, ErrCancelled, ErrClosed.
func (a *Agent) FindAgent(ctx context.Context, id AgentID) (*DiscoveredAgent, error) {
	list, err := a.find(ctx, "find agent", rendezvous.Agent, id)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// FindMachine is FindAgent for the agents on a machine.
func (a *Agent) FindMachine(ctx context.Context, id MachineID) ([]DiscoveredAgent, error) {
	return a.find(ctx, "find machine", rendezvous.Machine, id)
}

// FindAgentsByUser is FindAgent for the agents of a person, as far as they disclose whose they
// are.
func (a *Agent) FindAgentsByUser(ctx context.Context, id UserID) ([]DiscoveredAgent, error) {
	return a.find(ctx, "find agents by user", rendezvous.User, id)
}

func (a *Agent) find(ctx context.Context, op string, kind rendezvous.Kind, id [32]byte) ([]DiscoveredAgent, error) {
	n, err := a.current(op)
	if err != nil {
		return nil, err
	}
	found, err := n.rendezvous.find(ctx, kind, id)
	if err != nil {
		return nil, err
	}
	var list []DiscoveredAgent
	for _, an := range found {
		if !a.hidden(an) {
			list = append(list, discoveredAgent(an))
		}
	}
	return list, nil
}

// DiscoveredAgents returns the announcements that this agent has seen and that hold still,
// ordered by agent id; not of agents that are blocked.
func (a *Agent) DiscoveredAgents() []DiscoveredAgent {
	return a.cached(a.cache.Agents(time.Now()))
}

// DiscoveredAgent returns what is remembered of one agent, without asking anybody.
func (a *Agent) DiscoveredAgent(id AgentID) (DiscoveredAgent, bool) {
	an := a.cache.Agent(id, time.Now())
	if an == nil || a.hidden(an) {
		return DiscoveredAgent{}, false
	}
	return discoveredAgent(an), true
}

// DiscoveredMachine returns the agents that are remembered to run on a machine.
func (a *Agent) DiscoveredMachine(id MachineID) []DiscoveredAgent {
	return a.cached(a.cache.Machine(id, time.Now()))
}

// DiscoveredByUser returns the agents that are remembered to be of a person.
func (a *Agent) DiscoveredByUser(id UserID) []DiscoveredAgent {
	return a.cached(a.cache.ByUser(id, time.Now()))
}

func (a *Agent) cached(list []*discovery.Announcement) []DiscoveredAgent {
	out := make([]DiscoveredAgent, 0, len(list))
	for _, an := range list {
		if !a.hidden(an) {
			out = append(out, discoveredAgent(an))
		}
	}
	slices.SortFunc(out, func(x, y DiscoveredAgent) int {
		return cmp.Or(x.AgentID.Compare(y.AgentID), x.MachineID.Compare(y.MachineID))
	})
	return out
}

// MachineForAgent returns the machine on which an agent runs, as far as is remembered.
func (a *Agent) MachineForAgent(id AgentID) (MachineID, bool) {
	return a.cache.MachineForAgent(id, time.Now())
}

// AnnounceIdentity announces this agent anew, at once. With includeUser the person behind it is
// disclosed from now on, to everybody, and can be found by FindAgentsByUser; that needs the
// consent of that person. Without, an earlier disclosure is withdrawn: it ends with the
// announcement that carried it, in IdentityTTL at most.
//
// Errors: ErrPolicy without consent, ErrNotFound without a user or certificate, ErrUnreachable
// before joining.
func (a *Agent) AnnounceIdentity(includeUser, humanConsent bool) error {
	const op = "announce identity"
	n, err := a.current(op)
	if err != nil {
		return err
	}
	if includeUser {
		if _, err := a.discloseUser(op, humanConsent); err != nil {
			return err
		}
	}
	a.disclosed.Store(includeUser)
	n.rendezvous.acting.Lock()
	defer n.rendezvous.acting.Unlock()
	n.rendezvous.announce()
	return nil
}

// findAndConnect looks for an agent in the network and connects to where it says that it is.
func (n *network) findAndConnect(ctx context.Context, id AgentID) (ConnectOutcome, error) {
	found, err := n.rendezvous.find(ctx, rendezvous.Agent, id)
	if err != nil {
		return NotFound, err
	}
	for _, an := range found {
		if len(an.Addrs) > 0 {
			n.peers.AddHint(transport.Hint{Machine: an.Machine, Agent: an.Agent, Addrs: an.Addrs, Source: "rendezvous"})
		}
	}
	return n.peers.Connect(ctx, id)
}

func newDiscoveryCache(a *Agent) *discovery.Cache {
	return discovery.NewCache(discovery.CacheConfig{
		Contact: func(id identity.AgentID) bool { return a.trust.Trust(id) >= TrustKnown },
		Verify:  a.verifyAnnouncement,
	})
}
