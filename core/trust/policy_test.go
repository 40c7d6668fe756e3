package trust

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

var (
	alice  = identity.AgentID{1}
	bob    = identity.AgentID{2}
	laptop = identity.MachineID{10}
	phone  = identity.MachineID{11}
)

// row is one line of the decision table: a contact record, and what an arrival
// from its agent on the machine called laptop gives.
type row struct {
	name    string
	contact *Contact
	want    Decision
	topic   Decision // what the author of a topic message gives: no machine
	revoked revoked
}

// revoked is what of alice's was revoked.
type revoked uint8

const (
	nothing revoked = iota
	agentByUser
	agentByProof
	machineByProof
)

// store is the state that the row speaks of.
func (r row) store(t testing.TB) *Store {
	t.Helper()
	s := storeWith(t, r.contact)
	var err error
	switch r.revoked {
	case agentByUser:
		err = s.Revoke(alice, "")
	case agentByProof:
		_, err = NewRevocations(s).add(Revoked{Subject: identity.RevokeAgent, ID: alice}, nil, false)
	case machineByProof:
		_, err = NewRevocations(s).add(Revoked{Subject: identity.RevokeMachine, ID: laptop}, nil, false)
	}
	require.NoError(t, err)
	return s
}

func (r row) because(why revoked) row {
	r.name = [...]string{agentByUser: "R agent revoked by the user", agentByProof: "R agent revoked", machineByProof: "R machine revoked"}[why] + ", else " + r.name
	r.revoked, r.want = why, RejectBlocked
	if why != machineByProof { // nobody can prove where a topic message was written
		r.topic = RejectBlocked
	}
	return r
}

func contact(level Level, t IdentityType, machines ...MachineRecord) *Contact {
	return &Contact{AgentID: alice, Level: level, IdentityType: t, Machines: machines}
}

func table() []row {
	pinned := MachineRecord{MachineID: laptop, Pinned: true}
	other := MachineRecord{MachineID: phone, Pinned: true}
	loose := MachineRecord{MachineID: laptop}
	rows := []row{
		{"0 no contact", nil, DecisionUnknown, DecisionUnknown, nothing},
		{"1 blocked", contact(Blocked, IdentityAnonymous), RejectBlocked, RejectBlocked, nothing},
		{"1 blocked beats trusted type", contact(Blocked, IdentityTrusted), RejectBlocked, RejectBlocked, nothing},
		{"1 blocked beats a pinned machine", contact(Blocked, IdentityPinned, pinned), RejectBlocked, RejectBlocked, nothing},
		{"1 blocked beats a mismatch", contact(Blocked, IdentityPinned, other), RejectBlocked, RejectBlocked, nothing},
		{"2 pinned machine, trusted", contact(Trusted, IdentityPinned, pinned), Accept, Accept, nothing},
		{"2 pinned machine, known", contact(Known, IdentityPinned, pinned), Accept, AcceptWithFlag, nothing},
		{"2 pinned machine, unknown", contact(Unknown, IdentityPinned, pinned), Accept, DecisionUnknown, nothing},
		{"2 one of two pinned machines", contact(Unknown, IdentityPinned, other, pinned), Accept, DecisionUnknown, nothing},
		{"3 other machine pinned, trusted", contact(Trusted, IdentityPinned, other), RejectMachineMismatch, Accept, nothing},
		{"3 other machine pinned, known", contact(Known, IdentityPinned, other), RejectMachineMismatch, AcceptWithFlag, nothing},
		{"3 machine listed but not pinned", contact(Trusted, IdentityPinned, loose, other), RejectMachineMismatch, Accept, nothing},
		{"3 nothing pinned", contact(Trusted, IdentityPinned), RejectMachineMismatch, Accept, nothing},
		{"4 trusted", contact(Trusted, IdentityAnonymous), Accept, Accept, nothing},
		{"4 trusted, pins of another type do not count", contact(Trusted, IdentityKnown, other), Accept, Accept, nothing},
		{"5 known", contact(Known, IdentityKnown), AcceptWithFlag, AcceptWithFlag, nothing},
		{"5 known, type trusted does not raise it", contact(Known, IdentityTrusted, pinned), AcceptWithFlag, AcceptWithFlag, nothing},
		{"6 unknown", contact(Unknown, IdentityAnonymous), DecisionUnknown, DecisionUnknown, nothing},
		{"6 unknown, type trusted does not raise it", contact(Unknown, IdentityTrusted, pinned), DecisionUnknown, DecisionUnknown, nothing},
	}
	for _, r := range slices.Clone(rows) { // a revocation comes before every row
		rows = append(rows, r.because(agentByUser), r.because(agentByProof), r.because(machineByProof))
	}
	return rows
}

func storeWith(t testing.TB, c *Contact) *Store {
	t.Helper()
	s := NewStore()
	if c != nil {
		require.NoError(t, s.Put(*c))
	}
	return s
}

func TestDecisionTable(t *testing.T) {
	for _, r := range table() {
		t.Run(r.name, func(t *testing.T) {
			s := r.store(t)
			require.Equal(t, r.want, s.Evaluate(alice, laptop))
			require.Equal(t, DecisionUnknown, s.Evaluate(bob, phone), "a record speaks of its own agent only")
			if r.revoked == machineByProof {
				require.Equal(t, RejectBlocked, s.Evaluate(bob, laptop), "whoever is on it")
			} else {
				require.Equal(t, DecisionUnknown, s.Evaluate(bob, laptop))
			}
			if (r.revoked == nothing || r.revoked == machineByProof) && r.contact != nil && r.contact.IdentityType == IdentityPinned && r.contact.Level != Blocked {
				require.Equal(t, RejectMachineMismatch, s.Evaluate(alice, identity.MachineID{}), "no machine is no pinned machine")
			}
		})
	}
}

func TestInboundDeliversAndCounts(t *testing.T) {
	admitted := map[Level]map[Decision]bool{
		Blocked: {DecisionUnknown: true, AcceptWithFlag: true, Accept: true}, // no bar at all
		Unknown: {DecisionUnknown: true, AcceptWithFlag: true, Accept: true},
		Known:   {AcceptWithFlag: true, Accept: true},
		Trusted: {Accept: true},
	}
	for bar, admits := range admitted {
		for path := range paths {
			for _, r := range table() {
				t.Run(fmt.Sprintf("accept from %v/%v/%s", bar, path, r.name), func(t *testing.T) {
					p := NewPolicy(r.store(t), bar)
					want, machine := r.want, laptop
					if path == PathTopic {
						want, machine = r.topic, identity.MachineID{}
					}
					deliver := want == DecisionUnknown || want == Accept || want == AcceptWithFlag
					if path == PathDirect || path == PathPresence {
						deliver = admits[want]
					}

					gotDecision, gotDeliver := p.Inbound(path, alice, machine)
					require.Equal(t, want, gotDecision)
					require.Equal(t, deliver, gotDeliver)

					stats := p.Stats()
					require.Len(t, stats.Paths, int(paths))
					for _, ps := range stats.Paths {
						wantCount, wantRefused := map[Decision]uint64{}, uint64(0)
						if ps.Path == path {
							wantCount[want] = 1
							if !deliver {
								wantRefused = 1
							}
						}
						require.Equal(t, wantCount, ps.Decisions, ps.Path)
						require.Equal(t, wantRefused, ps.Refused, ps.Path)
					}
				})
			}
		}
	}
}

func TestOutboundFailsOnlyToBlockedAgents(t *testing.T) {
	for _, r := range table() {
		t.Run(r.name, func(t *testing.T) {
			p := NewPolicy(r.store(t), Trusted)
			err := p.Outbound(alice)
			if r.topic != RejectBlocked { // it goes to an agent, wherever that is
				require.NoError(t, err)
				require.Zero(t, p.Stats().OutboundBlocked)
				return
			}
			require.Equal(t, wire.KindBlocked, wire.KindOf(err))
			require.Contains(t, err.Error(), alice.Short())
			require.EqualValues(t, 1, p.Stats().OutboundBlocked)
			require.NoError(t, p.Outbound(bob))
		})
	}
}

func TestPolicyFollowsTheStore(t *testing.T) {
	s := NewStore()
	p := NewPolicy(s, Unknown)
	d, deliver := p.Inbound(PathDirect, alice, laptop)
	require.Equal(t, DecisionUnknown, d)
	require.True(t, deliver)
	require.NoError(t, s.SetTrust(alice, Blocked))
	d, deliver = p.Inbound(PathDirect, alice, laptop)
	require.Equal(t, RejectBlocked, d)
	require.False(t, deliver)
	found, err := s.Remove(alice)
	require.NoError(t, err)
	require.True(t, found)
	d, _ = p.Inbound(PathDirect, alice, laptop)
	require.Equal(t, DecisionUnknown, d)
}

// Arrivals, changes and statistics at once: meant for the race detector, and to
// see that no arrival goes uncounted.
func TestConcurrentUse(t *testing.T) {
	const workers, rounds = 8, 500
	s := NewStore()
	p := NewPolicy(s, Unknown)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				agent := identity.AgentID{byte(i%4 + 1)}
				d, deliver := p.Inbound(Path(i%int(paths)), agent, laptop)
				if deliver != d.Delivered() {
					t.Errorf("without a bar %v was delivered: %v", d, deliver)
				}
				switch i % 5 {
				case 0:
					_ = s.SetTrust(agent, Level(w%4))
				case 1:
					_ = s.PinMachine(agent, laptop)
				case 2:
					_, _ = s.Remove(agent)
				case 3:
					for _, c := range s.List() {
						_ = append(c.Machines, MachineRecord{})
					}
				case 4:
					p.Stats()
				}
			}
		})
	}
	wg.Wait()
	var total uint64
	for _, ps := range p.Stats().Paths {
		for _, n := range ps.Decisions {
			total += n
		}
	}
	require.EqualValues(t, workers*rounds, total)
}

func BenchmarkSetTrust(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "contacts.json"))
	if err != nil {
		b.Fatal(err)
	}
	for i := range 1000 {
		c := Contact{AgentID: identity.AgentID{byte(i), byte(i >> 8), 1}, Level: Known, Machines: []MachineRecord{{MachineID: laptop}}}
		s.contacts[c.AgentID] = &c
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := s.SetTrust(alice, Level(i%4)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInbound(b *testing.B) {
	s := NewStore()
	for i := range 1000 {
		_ = s.SetTrust(identity.AgentID{byte(i), byte(i >> 8), 1}, Known)
	}
	r := NewRevocations(s)
	for i := range MaxForeignRevocations {
		_, _ = r.add(numbered(identity.RevokeAgent, i), nil, false)
	}
	p := NewPolicy(s, Unknown)
	agent := identity.AgentID{7, 0, 1}
	b.ReportAllocs()
	for b.Loop() {
		p.Inbound(PathDirect, agent, laptop)
	}
}
