package x0x

import (
	"bytes"
	"slices"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/gossip"
	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/revocation"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Revoked is a revocation that has proved itself: of an agent, a machine or a certificate.
type Revoked = trust.Revoked

// RevokeContact blocks an agent for ever, here: SetTrust does not lift it. Nobody else is told.
// The agent need not be a contact.
func (a *Agent) RevokeContact(id AgentID, reason string) error {
	return a.contact("revoke contact", func() error { return a.trust.Revoke(id, reason) })
}

// RevokeSelf revokes this agent's own key for good, signed by that key, and tells the network:
// every agent that hears of it rejects this one on all paths, and remembers. It is for a key
// that may have been stolen. It returns the revocation, for ImportRevocation elsewhere.
func (a *Agent) RevokeSelf(reason string) ([]byte, error) {
	return a.revoke("revoke self", func(now time.Time) (*identity.Revocation, error) {
		return identity.NewAgentRevocation(a.keys.agent, reason, now)
	})
}

// RevokeMachine is RevokeSelf for this machine's key: no agent is heard from it any more.
func (a *Agent) RevokeMachine(reason string) ([]byte, error) {
	return a.revoke("revoke machine", func(now time.Time) (*identity.Revocation, error) {
		return identity.NewMachineRevocation(a.keys.machine, reason, now)
	})
}

func (a *Agent) revoke(op string, make func(now time.Time) (*identity.Revocation, error)) ([]byte, error) {
	if err := a.usable(op); err != nil {
		return nil, err
	}
	now := time.Now()
	r, err := make(now)
	if err != nil {
		return nil, err
	}
	b := r.Marshal()
	_, err = a.keepRevocation(r, b, now)
	return b, err
}

// ImportRevocation takes a revocation that came by another way, such as a file, keeps it and
// tells the network. It reports whether it is new. ErrCorrupt if it is none, ErrAuth if it does
// not prove itself.
func (a *Agent) ImportRevocation(b []byte) (isNew bool, err error) {
	if err := a.usable("import revocation"); err != nil {
		return false, err
	}
	r, err := identity.ParseRevocation(b)
	if err != nil {
		return false, err
	}
	return a.keepRevocation(r, r.Marshal(), time.Now())
}

func (a *Agent) keepRevocation(r *identity.Revocation, b []byte, now time.Time) (isNew bool, err error) {
	isNew, err = a.revocations.Keep(r, now)
	if n := a.net.Load(); isNew && n != nil {
		n.revocations.change(func(s *revocation.State, _ time.Time) { s.Added(revocation.NameOf(b)) })
	}
	return isNew, err
}

// Revocations returns what this agent knows to be revoked, oldest first.
func (a *Agent) Revocations() []Revoked { return a.revocations.List() }

// IsRevoked reports whether an agent is revoked, by its own or its user's signature or here by
// RevokeContact.
func (a *Agent) IsRevoked(id AgentID) bool { return a.revocations.Agent(id) || a.trust.IsRevoked(id) }

// revoked is called for each new revocation.
func (a *Agent) revoked(r Revoked) {
	if n := a.net.Load(); n != nil {
		n.revocations.set.stale.Store(true)
	}
	if AgentID(r.ID) == a.AgentID() || MachineID(r.ID) == a.MachineID() {
		a.log.Error("a key of this agent has been revoked", "subject", r.Subject.String(), "reason", r.Reason)
		a.events.push(Event{Type: ErrorEvent, Agent: a.AgentID(), Machine: a.MachineID(),
			Err: wire.Errorf(wire.KindAuth, "revocation", "the %s key of this agent has been revoked: others reject it", r.Subject)})
	}
}

// revocationSet shows core/trust's revocations to core/revocation, by name.
type revocationSet struct {
	kept  *trust.Revocations
	stale atomic.Bool
	index map[revocation.Name][]byte // guarded by the lock of the state that asks
}

func (s *revocationSet) byName() map[revocation.Name][]byte {
	if s.stale.Swap(false) || s.index == nil {
		s.index = make(map[revocation.Name][]byte)
		for _, r := range s.kept.All() {
			s.index[revocation.NameOf(r)] = r
		}
	}
	return s.index
}

// Names implements revocation.Set.
func (s *revocationSet) Names() (names []revocation.Name) {
	for n := range s.byName() {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b revocation.Name) int { return bytes.Compare(a[:], b[:]) })
	return names
}

// Get implements revocation.Set.
func (s *revocationSet) Get(n revocation.Name) ([]byte, bool) {
	r, ok := s.byName()[n]
	return r, ok
}

// Add implements revocation.Set. A disk that refuses and room that is full are no fault of the
// neighbour that brought it.
func (s *revocationSet) Add(b []byte, now time.Time) (bool, error) {
	r, err := identity.ParseRevocation(b)
	if err != nil {
		return false, err
	}
	isNew, err := s.kept.Add(r, now)
	if wire.KindOf(err) == wire.KindAuth {
		return false, err
	}
	return isNew, nil
}

// revocationRoom drives core/revocation over the neighbours of the overlay.
type revocationRoom struct {
	agent *Agent
	set   *revocationSet
	driver[revocation.Action, *revocation.State]
}

func newRevocationRoom(n *network) *revocationRoom {
	r := &revocationRoom{agent: n.agent, set: &revocationSet{kept: n.agent.revocations}}
	r.driver = newDriver(revocation.New(revocation.Config{Set: r.set}), r.carryOut)
	return r
}

// carryOut sends. What is not taken for lack of room comes with the next comparison.
func (r *revocationRoom) carryOut(act revocation.Action) {
	r.agent.links.Send(act.Agent, gossip.ClassControl, act.Frame)
}

func (r *revocationRoom) handleFrame(from AgentID, frame []byte) (err error) {
	r.change(func(s *revocation.State, now time.Time) { err = s.HandleFrame(from, frame, now) })
	return err
}

func (r *revocationRoom) stats() (st revocation.Stats) {
	r.ask(func(s *revocation.State) { st = s.Stats() })
	return st
}
