package x0x

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

func TestContactsSurviveARestart(t *testing.T) {
	k := newKit(t)
	home := t.TempDir()
	o := Options{Name: "alice", HomeDir: home}
	a := k.agent(o)
	require.NoError(t, a.AddContact(AgentID{1}, TrustTrusted, "ida"))
	require.NoError(t, a.PinMachine(AgentID{1}, MachineID{2}))
	require.NoError(t, a.Block(AgentID{3}))
	before := a.Contacts()
	require.NoError(t, a.Close(k.ctx))

	a = k.agent(o)
	require.Equal(t, before, a.Contacts())
	require.Equal(t, TrustBlocked, a.Trust(AgentID{3}))
	existed, err := a.RemoveContact(AgentID{1})
	require.NoError(t, err)
	require.True(t, existed)
	require.NoError(t, a.Close(k.ctx))

	path := filepath.Join(home, ".x0x-alice", "contacts.json")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	damaged := text[:len(text)-3]
	require.NoError(t, os.WriteFile(path, damaged, 0o600))
	for range 2 { // also the second time: the folder was unlocked again
		_, err = New(o)
		require.ErrorIs(t, err, ErrCorrupt)
		require.ErrorContains(t, err, "restore it from a backup")
		require.ErrorContains(t, err, path)
	}
	left, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, damaged, left, "nothing was overwritten")

	require.NoError(t, os.WriteFile(path, text, 0o600))
	a = k.agent(o)
	require.Equal(t, TrustBlocked, a.Trust(AgentID{3}))
	require.Len(t, a.Contacts(), 1)
}

func TestContactsPath(t *testing.T) {
	k := newKit(t)
	path := filepath.Join(t.TempDir(), "friends.json")
	o := Options{ContactsPath: path}
	a := k.agent(o)
	require.NoError(t, a.Block(AgentID{3}))
	require.NoError(t, a.Close(k.ctx))
	require.Equal(t, TrustBlocked, k.agent(o).Trust(AgentID{3}), "another identity, the same contacts")
	_, err := New(Options{ContactsPath: filepath.Join(t.TempDir(), "no", "contacts.json")})
	require.ErrorIs(t, err, ErrNotFound)
}

func TestAFailedWriteIsAnError(t *testing.T) {
	k := newKit(t)
	dir := filepath.Join(t.TempDir(), "contacts")
	require.NoError(t, os.Mkdir(dir, 0o700))
	a := k.agent(Options{ContactsPath: filepath.Join(dir, "contacts.json")})
	require.NoError(t, a.AddContact(AgentID{1}, TrustKnown, ""))
	require.NoError(t, os.RemoveAll(dir))
	require.Error(t, a.Block(AgentID{1}))
	_, err := a.RemoveContact(AgentID{1})
	require.Error(t, err)
	require.Equal(t, TrustKnown, a.Trust(AgentID{1}), "what is not kept does not count")
}

func TestPerson(t *testing.T) {
	k := newKit(t)
	home, seed := t.TempDir(), bytes.Repeat([]byte{7}, 32)
	o := Options{Name: "alice", HomeDir: home, UserKey: seed}
	user, err := identity.ParseKey(seed)
	require.NoError(t, err)

	anonymous := k.agent(Options{})
	_, ok := anonymous.UserID()
	require.False(t, ok)
	c, err := anonymous.Certificate()
	require.NoError(t, err)
	require.Nil(t, c)

	a := k.agent(o)
	id, ok := a.UserID()
	require.True(t, ok)
	require.Equal(t, user.Public().UserID(), id)
	c, err = a.Certificate()
	require.NoError(t, err)
	require.NoError(t, c.Verify(time.Now()))
	require.True(t, c.Accepted())
	require.Equal(t, a.AgentID(), c.Agent)
	require.NoError(t, a.Close(k.ctx))
	require.NoFileExists(t, filepath.Join(home, ".x0x-alice", "user.key"), "a user key is never made")

	// Without the user key the certificate of the folder stays.
	a = k.agent(Options{Name: "alice", HomeDir: home})
	again, err := a.Certificate()
	require.NoError(t, err)
	require.Equal(t, c.Marshal(), again.Marshal())
	id, ok = a.UserID()
	require.True(t, ok)
	require.Equal(t, user.Public().UserID(), id)
	require.NoError(t, a.Close(k.ctx))

	// Another user's key does not replace it.
	_, err = New(Options{Name: "alice", HomeDir: home, UserKey: bytes.Repeat([]byte{8}, 32)})
	require.ErrorIs(t, err, ErrAuth)
	require.NoError(t, os.WriteFile(filepath.Join(home, ".x0x-alice", "agent.cert"), []byte("x"), 0o600))
	_, err = New(o)
	require.ErrorIs(t, err, ErrCorrupt)
	_, err = New(Options{UserKeyPath: filepath.Join(home, "user.key")})
	require.ErrorIs(t, err, ErrNotFound)
	_, err = anonymous.Certificate()
	require.NoError(t, err)
	require.NoError(t, anonymous.Close(context.Background()))
	_, err = anonymous.Certificate()
	require.ErrorIs(t, err, ErrClosed)
}

func TestCertificatesAreRenewedInTime(t *testing.T) {
	user, err := identity.ParseKey(bytes.Repeat([]byte{7}, 32))
	require.NoError(t, err)
	agent, err := identity.GenerateKey()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "agent.cert")
	now := time.Now()
	p := &person{key: user, agent: agent, path: path}
	require.NoError(t, p.load(now))
	first := p.cert

	later := func(at time.Time, key *identity.Key) *Certificate {
		p := &person{key: key, agent: agent, path: path}
		require.NoError(t, p.load(at))
		c, err := p.certificate(at)
		require.NoError(t, err)
		return c
	}
	require.Equal(t, first.Marshal(), later(now.Add(certificateLifetime-certificateRenewal-time.Hour), user).Marshal())
	due := now.Add(certificateLifetime - certificateRenewal + time.Hour)
	require.Equal(t, first.Marshal(), later(due, nil).Marshal(), "it holds, and nobody can renew it")
	require.Nil(t, later(now.Add(certificateLifetime+time.Hour), nil))
	renewed := later(due, user)
	require.True(t, renewed.Newer(first))
	require.NoError(t, renewed.Verify(due))
	require.Equal(t, renewed.Marshal(), later(due, nil).Marshal(), "the new one is kept")
}
