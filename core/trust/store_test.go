package trust

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestNames(t *testing.T) {
	require.True(t, Blocked < Unknown && Unknown < Known && Known < Trusted)
	require.Equal(t, Blocked, Level(0), "a record that nobody filled fails closed")
	for l, name := range map[Level]string{Blocked: "blocked", Unknown: "unknown", Known: "known", Trusted: "trusted"} {
		require.Equal(t, name, l.String())
		got, err := ParseLevel(name)
		require.NoError(t, err)
		require.Equal(t, l, got)
	}
	for typ, name := range map[IdentityType]string{
		IdentityAnonymous: "anonymous", IdentityKnown: "known", IdentityTrusted: "trusted", IdentityPinned: "pinned",
	} {
		require.Equal(t, name, typ.String())
		got, err := ParseIdentityType(name)
		require.NoError(t, err)
		require.Equal(t, typ, got)
	}
	for d, name := range map[Decision]string{
		DecisionUnknown: "Unknown", Accept: "Accept", AcceptWithFlag: "AcceptWithFlag",
		RejectBlocked: "RejectBlocked", RejectMachineMismatch: "RejectMachineMismatch",
	} {
		require.Equal(t, name, d.String())
	}
	require.Equal(t, "invalid(9)", Level(9).String())
	for _, bad := range []string{"", "Known", "trusted ", "admin", strings.Repeat("x", 1<<20)} {
		_, err := ParseLevel(bad)
		require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err))
		require.Less(t, len(err.Error()), 200, "foreign text is not echoed at length")
	}
}

func TestJSONForms(t *testing.T) {
	text, err := json.Marshal(struct {
		L Level
		T IdentityType
		D Decision
	}{Known, IdentityPinned, AcceptWithFlag})
	require.NoError(t, err)
	require.JSONEq(t, `{"L":"known","T":"pinned","D":"AcceptWithFlag"}`, string(text))

	v := struct{ L Level }{Trusted}
	require.Error(t, json.Unmarshal([]byte(`{"L":"nonsense"}`), &v), "an unknown level is never read as some level")
	require.Equal(t, Trusted, v.L)
}

func TestSetTrustMakesAContact(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := NewStore()
	s.now = func() time.Time { return at }

	require.Equal(t, Unknown, s.Trust(alice))
	require.NoError(t, s.SetTrust(alice, Unknown))
	c, ok := s.Get(alice)
	require.True(t, ok)
	require.Equal(t, Contact{AgentID: alice, Level: Unknown, AddedAt: at}, c)

	require.NoError(t, s.SetTrust(alice, Known))
	c, _ = s.Get(alice)
	require.Equal(t, IdentityKnown, c.IdentityType, "raising trust raises an anonymous type")

	require.NoError(t, s.SetIdentityType(alice, IdentityTrusted))
	require.NoError(t, s.SetTrust(alice, Trusted))
	c, _ = s.Get(alice)
	require.Equal(t, IdentityTrusted, c.IdentityType, "and no other")

	require.NoError(t, s.SetTrust(alice, Blocked))
	require.Equal(t, Blocked, s.Trust(alice))
}

func TestPinning(t *testing.T) {
	s := storeWith(t, contact(Known, IdentityKnown))
	require.NoError(t, s.AddMachine(alice, laptop, "laptop"))
	require.Equal(t, AcceptWithFlag, s.Evaluate(alice, phone), "noting a machine pins nothing")

	require.NoError(t, s.PinMachine(alice, laptop))
	require.Equal(t, Accept, s.Evaluate(alice, laptop))
	require.Equal(t, RejectMachineMismatch, s.Evaluate(alice, phone))
	c, _ := s.Get(alice)
	require.Equal(t, "laptop", c.Machines[0].Label, "pinning keeps the record")

	require.NoError(t, s.PinMachine(alice, phone))
	require.NoError(t, s.UnpinMachine(alice, laptop))
	require.Equal(t, Accept, s.Evaluate(alice, phone))
	require.Equal(t, RejectMachineMismatch, s.Evaluate(alice, laptop))

	require.NoError(t, s.RemoveMachine(alice, phone))
	require.Equal(t, AcceptWithFlag, s.Evaluate(alice, phone), "without pins the level decides")
	c, _ = s.Get(alice)
	require.Equal(t, IdentityKnown, c.IdentityType)

	require.Equal(t, wire.KindNotFound, wire.KindOf(s.UnpinMachine(alice, phone)))
	require.Equal(t, wire.KindNotFound, wire.KindOf(s.RemoveMachine(alice, phone)))
	for name, err := range map[string]error{
		"pin":    s.PinMachine(bob, laptop),
		"unpin":  s.UnpinMachine(bob, laptop),
		"add":    s.AddMachine(bob, laptop, ""),
		"remove": s.RemoveMachine(bob, laptop),
		"label":  s.SetLabel(bob, "b"),
		"type":   s.SetIdentityType(bob, IdentityKnown),
	} {
		require.Equal(t, wire.KindNotFound, wire.KindOf(err), name)
	}
	_, ok := s.Get(bob)
	require.False(t, ok, "only SetTrust and Put make contacts")
}

func TestInvalidChangesChangeNothing(t *testing.T) {
	s := storeWith(t, contact(Known, IdentityKnown))
	for i := range MaxMachines {
		require.NoError(t, s.AddMachine(alice, identity.MachineID{1, byte(i)}, ""))
	}
	before := s.List()
	long := strings.Repeat("x", MaxLabelSize+1)
	s.OnChange(func(identity.AgentID) { t.Error("a failed change is no change") })
	for name, c := range map[string]struct {
		err  error
		kind wire.Kind
	}{
		"level":         {s.SetTrust(alice, Level(4)), wire.KindInvalidArgument},
		"type":          {s.SetIdentityType(alice, IdentityType(4)), wire.KindInvalidArgument},
		"zero agent":    {s.SetTrust(identity.AgentID{}, Known), wire.KindInvalidArgument},
		"long label":    {s.SetLabel(alice, long), wire.KindInvalidArgument},
		"broken label":  {s.SetLabel(alice, "\xff"), wire.KindInvalidArgument},
		"too many":      {s.AddMachine(alice, phone, ""), wire.KindLimit},
		"pin too many":  {s.PinMachine(alice, phone), wire.KindLimit},
		"put level":     {s.Put(Contact{AgentID: bob, Level: 9}), wire.KindInvalidArgument},
		"put zero":      {s.Put(Contact{Level: Known}), wire.KindInvalidArgument},
		"put twice":     {s.Put(*contact(Known, IdentityKnown, MachineRecord{MachineID: phone}, MachineRecord{MachineID: phone})), wire.KindInvalidArgument},
		"put machine 0": {s.Put(*contact(Known, IdentityKnown, MachineRecord{})), wire.KindInvalidArgument},
		"put label":     {s.Put(*contact(Known, IdentityKnown, MachineRecord{MachineID: phone, Label: long})), wire.KindInvalidArgument},
	} {
		require.Equal(t, c.kind, wire.KindOf(c.err), name)
	}
	require.Equal(t, before, s.List())
}

func TestCopiesAreCopies(t *testing.T) {
	in := contact(Known, IdentityPinned, MachineRecord{MachineID: laptop, Pinned: true})
	s := storeWith(t, in)
	in.Machines[0].Pinned = false
	out, _ := s.Get(alice)
	out.Machines[0].Pinned = false
	s.List()[0].Machines[0].Pinned = false
	require.Equal(t, Accept, s.Evaluate(alice, laptop))
}

func TestListIsOrdered(t *testing.T) {
	s := NewStore()
	for _, b := range []byte{9, 3, 7, 1, 255, 4} {
		require.NoError(t, s.SetTrust(identity.AgentID{b}, Known))
	}
	require.True(t, slices.IsSortedFunc(s.List(), func(a, b Contact) int { return a.AgentID.Compare(b.AgentID) }))
	require.Len(t, s.List(), 6)
}

func TestTouchNeverMakesOrAlters(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := storeWith(t, contact(Known, IdentityPinned, MachineRecord{MachineID: laptop, Pinned: true}))
	s.OnChange(func(identity.AgentID) { t.Error("traffic is no act of the user") })

	s.Touch(bob, laptop, at)
	_, ok := s.Get(bob)
	require.False(t, ok)

	s.Touch(alice, laptop, at)
	s.Touch(alice, phone, at.Add(time.Hour))
	s.Touch(alice, laptop, at.Add(-time.Hour))
	c, _ := s.Get(alice)
	require.Equal(t, at.Add(time.Hour), c.LastSeen)
	require.Len(t, c.Machines, 1)
	require.Equal(t, at, c.Machines[0].LastSeen)
}

func TestOnChange(t *testing.T) {
	s := NewStore()
	var first, second []identity.AgentID
	cancel := s.OnChange(func(id identity.AgentID) {
		_ = s.Trust(id) // no lock is held
		first = append(first, id)
	})
	s.OnChange(func(id identity.AgentID) { second = append(second, id) })

	require.NoError(t, s.SetTrust(alice, Known))
	require.NoError(t, s.PinMachine(alice, laptop))
	cancel()
	cancel()
	require.NoError(t, s.SetTrust(bob, Known))
	for _, there := range []bool{true, false} {
		found, err := s.Remove(bob)
		require.NoError(t, err)
		require.Equal(t, there, found)
	}

	require.Equal(t, []identity.AgentID{alice, alice}, first)
	require.Equal(t, []identity.AgentID{alice, alice, bob, bob}, second)
}
