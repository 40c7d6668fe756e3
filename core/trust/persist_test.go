package trust

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

func openContacts(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path)
	require.NoError(t, err)
	return s
}

func contactsPath(t testing.TB) string { return filepath.Join(t.TempDir(), "contacts.json") }

func TestEveryChangeIsOnDiskWhenItReturns(t *testing.T) {
	path := contactsPath(t)
	s := openContacts(t, path)
	require.Empty(t, s.List())
	require.NoFileExists(t, path, "opening writes nothing")
	for name, change := range map[string]func() error{
		"put":    func() error { return s.Put(*contact(Known, IdentityKnown, MachineRecord{MachineID: phone})) },
		"trust":  func() error { return s.SetTrust(bob, Trusted) },
		"label":  func() error { return s.SetLabel(bob, "Bob \"the <b>\" \u2028") },
		"pin":    func() error { return s.PinMachine(bob, laptop) },
		"add":    func() error { return s.AddMachine(bob, phone, "phone") },
		"type":   func() error { return s.SetIdentityType(bob, IdentityTrusted) },
		"unpin":  func() error { return s.UnpinMachine(bob, laptop) },
		"forget": func() error { return s.RemoveMachine(bob, phone) },
		"revoke": func() error { return s.Revoke(identity.AgentID{9}, "lost") },
		"remove": func() error { _, err := s.Remove(bob); return err },
	} {
		require.NoError(t, s.SetTrust(bob, Known), name)
		require.NoError(t, s.AddMachine(bob, laptop, ""), name)
		require.NoError(t, s.AddMachine(bob, phone, ""), name)
		require.NoError(t, change(), name)
		got := openContacts(t, path)
		require.Equal(t, s.List(), got.List(), name)
		require.Equal(t, s.RevocationRecords(), got.RevocationRecords(), name)
	}
}

func TestTouchIsWrittenLazily(t *testing.T) {
	path := contactsPath(t)
	s := openContacts(t, path)
	require.NoError(t, s.Put(*contact(Known, IdentityKnown, MachineRecord{MachineID: laptop})))
	before, err := os.ReadFile(path)
	require.NoError(t, err)

	s.Touch(alice, laptop, at(1767323045))
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoError(t, s.Flush())
	c, _ := openContacts(t, path).Get(alice)
	require.Equal(t, at(1767323045), c.LastSeen)
	require.Equal(t, at(1767323045), c.Machines[0].LastSeen)

	s.Touch(alice, phone, at(1767323050))
	require.NoError(t, s.SetTrust(bob, Known))
	c, _ = openContacts(t, path).Get(alice)
	require.Equal(t, at(1767323050), c.LastSeen, "the next change takes it along")

	s.Touch(alice, phone, at(1767323060))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	c, _ = openContacts(t, path).Get(alice)
	require.Equal(t, at(1767323060), c.LastSeen)

	require.NoError(t, os.Remove(path))
	require.NoError(t, s.Flush())
	require.NoFileExists(t, path, "nothing to write, nothing written")
}

func TestClosedContacts(t *testing.T) {
	s := openContacts(t, contactsPath(t))
	require.NoError(t, s.SetTrust(alice, Blocked))
	require.NoError(t, s.Close())
	require.Equal(t, wire.KindClosed, wire.KindOf(s.SetTrust(alice, Trusted)))
	require.Equal(t, wire.KindClosed, wire.KindOf(s.Revoke(alice, "")))
	_, err := s.Remove(alice)
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
	require.Equal(t, RejectBlocked, s.Evaluate(alice, laptop), "questions are answered as before")
}

// A write that fails is a change that did not happen: in memory neither.
func TestAFailedWriteChangesNothing(t *testing.T) {
	path := contactsPath(t)
	s := openContacts(t, path)
	require.NoError(t, s.SetTrust(alice, Blocked))
	heard := 0
	s.OnChange(func(identity.AgentID) { heard++ })
	moved := filepath.Dir(path) + ".moved"
	require.NoError(t, os.Rename(filepath.Dir(path), moved))

	before := s.List()
	s.Touch(alice, laptop, at(1767323045))
	before[0].LastSeen = at(1767323045)
	require.Error(t, s.SetTrust(alice, Trusted))
	require.Error(t, s.SetTrust(bob, Trusted))
	require.Error(t, s.Revoke(bob, ""))
	found, err := s.Remove(alice)
	require.Error(t, err)
	require.False(t, found)
	require.Error(t, s.Flush())
	require.Equal(t, before, s.List())
	require.Equal(t, RejectBlocked, s.Evaluate(alice, laptop))
	require.Equal(t, DecisionUnknown, s.Evaluate(bob, laptop))
	require.Zero(t, heard)

	require.NoError(t, os.Rename(moved, filepath.Dir(path)))
	require.NoError(t, s.Flush(), "and it can be tried again")
	require.Equal(t, before, openContacts(t, path).List())
}

func TestContactsThatCannotBeOpened(t *testing.T) {
	path := contactsPath(t)
	_, err := Open(filepath.Join(filepath.Dir(path), "none", "contacts.json"))
	require.Equal(t, wire.KindNotFound, wire.KindOf(err))
	_, err = Open("")
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err))
	require.NoError(t, os.WriteFile(path, []byte(`{"contacts":[]}`), 0o600))
	require.NoError(t, os.Chmod(path, 0o666))
	_, err = Open(path)
	require.Equal(t, wire.KindPolicy, wire.KindOf(err))
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Mkdir(path, 0o700))
	_, err = Open(path)
	require.Equal(t, wire.KindIO, wire.KindOf(err))
}

func TestContactsAreBounded(t *testing.T) {
	s := NewStore()
	for i := range MaxContacts {
		c := &Contact{AgentID: identity.AgentID{byte(i), byte(i >> 8), 1}}
		s.contacts[c.AgentID] = c
	}
	require.Equal(t, wire.KindLimit, wire.KindOf(s.SetTrust(identity.AgentID{31: 1}, Known)))
	require.NoError(t, s.SetTrust(identity.AgentID{0, 0, 1}, Known), "those that are there can change")
}

func TestRevokedByTheUser(t *testing.T) {
	path := contactsPath(t)
	s := openContacts(t, path)
	var heard []identity.AgentID
	require.NoError(t, s.SetTrust(alice, Trusted))
	s.OnChange(func(id identity.AgentID) { heard = append(heard, id) })
	require.NoError(t, s.Revoke(alice, "stolen"))
	require.NoError(t, s.Revoke(alice, "again"))
	require.Equal(t, []identity.AgentID{alice}, heard)
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(s.Revoke(identity.AgentID{}, "")))
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(s.Revoke(bob, strings.Repeat("x", identity.MaxReasonSize+1))))

	for range 2 { // as it is, and as it is read
		requireRevoked(t, s, alice)
		require.Len(t, s.RevocationRecords(), 1)
		require.Equal(t, "stolen", s.RevocationRecords()[0].Reason)
		s = openContacts(t, path)
	}
}

// requireRevoked sees that an agent is blocked and stays so.
func requireRevoked(t *testing.T, s *Store, agent identity.AgentID) {
	t.Helper()
	blocked := func() {
		t.Helper()
		require.True(t, s.IsRevoked(agent))
		require.Equal(t, Blocked, s.Trust(agent))
		require.Equal(t, RejectBlocked, s.Evaluate(agent, laptop))
		if c, ok := s.Get(agent); ok {
			require.Equal(t, Blocked, c.Level)
		}
		for _, c := range s.List() {
			require.True(t, c.AgentID != agent || c.Level == Blocked)
		}
	}
	blocked()
	require.Equal(t, wire.KindPolicy, wire.KindOf(s.SetTrust(agent, Trusted)))
	require.Equal(t, wire.KindPolicy, wire.KindOf(s.Put(Contact{AgentID: agent, Level: Known})))
	require.NoError(t, s.SetTrust(agent, Blocked))
	require.NoError(t, s.PinMachine(agent, laptop))
	blocked()
	_, err := s.Remove(agent)
	require.NoError(t, err)
	blocked()
}

// Changes, touches and questions at once; what is in memory at the end is on disk.
func TestConcurrentChangesOfAFile(t *testing.T) {
	path := contactsPath(t)
	s := openContacts(t, path)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			agent := identity.AgentID{byte(w + 1)}
			for i := range 20 {
				if err := s.SetTrust(agent, Level(i%4)); err != nil {
					t.Error(err)
				}
				if got := s.Trust(agent); got != Level(i%4) {
					t.Errorf("set %v, got %v", Level(i%4), got)
				}
				for sec := range 20 {
					s.Touch(identity.AgentID{byte(sec%4 + 1)}, laptop, at(1767323045+int64(20*i+sec)))
					s.Evaluate(agent, laptop)
				}
				s.List()
				if err := s.Revoke(identity.AgentID{byte(w + 1), byte(i + 1)}, ""); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, s.Close())
	got := openContacts(t, path)
	require.Equal(t, s.List(), got.List())
	require.Equal(t, s.RevocationRecords(), got.RevocationRecords())
	require.Len(t, got.RevocationRecords(), 4*20)
	require.Len(t, s.List(), 4)
	for _, c := range s.List() {
		require.GreaterOrEqual(t, c.LastSeen.Unix(), int64(1767323045+19*20+16), "no touch is lost to a change")
	}
}
