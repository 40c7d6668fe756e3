package trust

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// numbered is the i-th of many revocations that look proven.
func numbered(subject identity.RevocationSubject, i int) Revoked {
	r := Revoked{Subject: subject, At: at(int64(i + 1))}
	binary.BigEndian.PutUint32(r.ID[:], uint32(i+1))
	return r
}

func TestRevocationsOfStrangersCannotPushOutThoseOfContacts(t *testing.T) {
	contacts := storeWith(t, contact(Trusted, IdentityKnown, MachineRecord{MachineID: laptop}))
	r := NewRevocations(contacts)
	add := func(what Revoked, own bool) {
		t.Helper()
		isNew, err := r.add(what, nil, own)
		require.NoError(t, err)
		require.True(t, isNew)
	}
	add(Revoked{Subject: identity.RevokeAgent, ID: alice}, false)
	add(Revoked{Subject: identity.RevokeMachine, ID: laptop}, false)
	add(Revoked{Subject: identity.RevokeCertificate, ID: alice}, true)
	add(Revoked{Subject: identity.RevokeAgent, ID: bob}, false)
	for i := range 3 * MaxForeignRevocations {
		add(numbered(identity.RevocationSubject(i%3)+identity.RevokeAgent, i+1<<24), false)
		require.LessOrEqual(t, len(r.kept), MaxForeignRevocations+3)
		require.True(t, r.Agent(bob), "what is in use stays")
	}
	require.True(t, r.Agent(alice))
	require.True(t, r.Machine(laptop))
	require.True(t, r.Certificate(alice), "what the user revoked stays")
	require.GreaterOrEqual(t, r.Evicted(), uint64(2*MaxForeignRevocations))
	require.Len(t, r.All(), len(r.List()))
}

func TestRevocationsAreBounded(t *testing.T) {
	r := NewRevocations(NewStore())
	for i := range MaxRevocations {
		_, err := r.add(numbered(identity.RevokeAgent, i), nil, true)
		require.NoError(t, err)
	}
	_, err := r.add(Revoked{Subject: identity.RevokeMachine, ID: laptop}, nil, true)
	require.Equal(t, wire.KindLimit, wire.KindOf(err))
	require.Len(t, r.List(), MaxRevocations)
}

func TestWhoHearsOfARevocation(t *testing.T) {
	contacts := storeWith(t, contact(Known, IdentityKnown, MachineRecord{MachineID: laptop}))
	r := NewRevocations(contacts)
	var agents []identity.AgentID
	var all []Revoked
	contacts.OnChange(func(id identity.AgentID) {
		require.Equal(t, RejectBlocked, contacts.Evaluate(id, laptop), "it holds already")
		agents = append(agents, id)
	})
	cancel := r.OnRevoke(func(what Revoked) { all = append(all, what) })

	machine, agent, stranger := Revoked{Subject: identity.RevokeMachine, ID: laptop}, Revoked{Subject: identity.RevokeAgent, ID: alice}, Revoked{Subject: identity.RevokeAgent, ID: identity.AgentID{7}}
	for _, what := range []Revoked{machine, agent, stranger, agent, machine} {
		_, err := r.add(what, nil, false)
		require.NoError(t, err)
	}
	require.Equal(t, []identity.AgentID{alice, alice, {7}}, agents)
	require.Equal(t, []Revoked{machine, agent, stranger}, all, "once each")
	cancel()
}

func TestRevocationsThatWereProvenHoldForEver(t *testing.T) {
	contacts := storeWith(t, contact(Trusted, IdentityKnown))
	r := NewRevocations(contacts)
	_, err := r.add(Revoked{Subject: identity.RevokeAgent, ID: alice}, nil, false)
	require.NoError(t, err)
	requireRevoked(t, contacts, alice)
}

func TestARevocationCountsEvenIfTheDiskRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations.dat")
	contacts := storeWith(t, contact(Trusted, IdentityKnown))
	r, err := OpenRevocations(path, contacts)
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(path, 0o700))
	isNew, err := r.add(Revoked{Subject: identity.RevokeAgent, ID: alice}, nil, false)
	require.True(t, isNew)
	require.Equal(t, wire.KindIO, wire.KindOf(err))
	require.Equal(t, RejectBlocked, contacts.Evaluate(alice, phone))
	require.Error(t, r.Flush())
	require.NoError(t, os.Remove(path))
	require.NoError(t, r.Flush())
	require.FileExists(t, path)
}

// keyOf is a key for each name, made once.
var keyOf = func() func(t testing.TB, name string) *identity.Key {
	keys := make(map[string]*identity.Key)
	return func(t testing.TB, name string) *identity.Key {
		if keys[name] == nil {
			k, err := identity.GenerateKey()
			require.NoError(t, err)
			keys[name] = k
		}
		return keys[name]
	}
}()

// proven is one revocation of each kind: an agent by itself, a machine, a
// certificate, and an agent by its user.
func proven(t testing.TB) []*identity.Revocation {
	t.Helper()
	now := at(1767323045)
	user := keyOf(t, "user")
	c, err := identity.IssueCertificate(user, keyOf(t, "agent 2").Public().AgentID(), now, now.AddDate(0, 0, 1))
	require.NoError(t, err)
	c, err = c.Accept(keyOf(t, "agent 2"))
	require.NoError(t, err)
	var list []*identity.Revocation
	add := func(r *identity.Revocation, err error) {
		require.NoError(t, err)
		list = append(list, r)
	}
	add(identity.NewAgentRevocation(keyOf(t, "agent"), "stolen", now))
	add(identity.NewMachineRevocation(keyOf(t, "machine"), "", now))
	add(identity.NewCertificateRevocation(user, c, "left", now))
	add(identity.NewUserRevocation(user, c, "lost", now))
	return list
}

func TestRevocationsAreProvenAndKept(t *testing.T) {
	now := at(1767323045).AddDate(10, 0, 0)
	path := filepath.Join(t.TempDir(), "revocations.dat")
	contacts := NewStore()
	r, err := OpenRevocations(path, contacts)
	require.NoError(t, err)
	list := proven(t)
	agent, machine := identity.AgentID(list[0].ID), identity.MachineID(list[1].ID)

	forged := *list[0]
	forged.ID[0]++
	early := *list[1]
	for _, bad := range []func() (bool, error){
		func() (bool, error) { return r.Add(&forged, now) },
		func() (bool, error) { return r.Keep(&forged, now) },
		func() (bool, error) { return r.Add(&early, early.At.AddDate(0, 0, -1)) },
	} {
		isNew, err := bad()
		require.False(t, isNew)
		require.Equal(t, wire.KindAuth, wire.KindOf(err))
	}
	require.Empty(t, r.List())
	require.Equal(t, DecisionUnknown, contacts.Evaluate(agent, machine))

	for _, what := range list {
		for i := range 2 {
			isNew, err := r.Add(what, now)
			require.NoError(t, err)
			require.Equal(t, i == 0, isNew)
		}
	}
	require.NoFileExists(t, path, "strangers make nobody's disk work")
	isNew, err := r.Keep(list[0], now)
	require.NoError(t, err)
	require.False(t, isNew)
	require.FileExists(t, path, "but the user does")
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
	_, err = r.Keep(&early, now)
	require.Equal(t, wire.KindClosed, wire.KindOf(err))

	again := NewStore()
	got, err := OpenRevocations(path, again)
	require.NoError(t, err)
	require.Equal(t, r.List(), got.List())
	require.ElementsMatch(t, r.All(), got.All())
	for _, proof := range got.All() {
		what, err := identity.ParseRevocation(proof)
		require.NoError(t, err)
		require.NoError(t, what.Verify(now), "others can check it")
	}
	require.Equal(t, RejectBlocked, again.Evaluate(agent, laptop))
	require.Equal(t, RejectBlocked, again.Evaluate(list[3].ID, laptop))
	require.Equal(t, RejectBlocked, again.Evaluate(alice, machine))
	require.True(t, got.Certificate(list[2].ID))
	require.True(t, got.kept[fact{identity.RevokeAgent, agent}].own)
	require.False(t, got.kept[fact{identity.RevokeMachine, machine}].own)
}

func TestARevocationOfAContactIsOnDiskAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations.dat")
	list := proven(t)
	contacts := NewStore()
	require.NoError(t, contacts.SetTrust(list[0].ID, Trusted))
	r, err := OpenRevocations(path, contacts)
	require.NoError(t, err)
	_, err = r.Add(list[0], list[0].At)
	require.NoError(t, err)
	got, err := OpenRevocations(path, NewStore())
	require.NoError(t, err)
	require.True(t, got.Agent(list[0].ID))
}

// image is a file of all kinds of revocations.
func image(t testing.TB) []byte {
	t.Helper()
	var list []*kept
	for i, r := range proven(t) {
		list = append(list, &kept{Revoked: newRevoked(r), proof: r.Marshal(), own: i == 1})
	}
	return marshalRevocations(list)
}

func TestDamagedRevocationsAreRefusedAndLeft(t *testing.T) {
	whole := image(t)
	hashed := func(body []byte) []byte {
		hash := sha256.Sum256(body)
		return append(body, hash[:]...)
	}
	body := whole[:len(whole)-sha256.Size]
	first := len(revocationsMagic)
	size, n := wire.Uvarint(body[first+1:])
	one := body[first : first+1+n+int(size)]
	with := func(offset int, b byte) []byte {
		out := bytes.Clone(body)
		out[offset] = b
		return hashed(out)
	}
	files := map[string][]byte{
		"empty":             {},
		"other file":        []byte(reference),
		"zeros":             make([]byte, len(whole)),
		"magic alone":       []byte(revocationsMagic),
		"a byte more":       append(bytes.Clone(whole), 0),
		"another version":   with(first-2, '2'),
		"own twice":         with(first, 2),
		"a length too long": with(first+1, 0xff),
		"a forged reason":   with(first+1+n+1+1+32+8+1, 'S'),
		"twice":             hashed(append(bytes.Clone(body), one...)),
		"a bit of another":  hashed(append(bytes.Clone(body), one[:100]...)),
		"no entry":          hashed(append(bytes.Clone(body), 0)),
		"empty entry":       hashed(append(bytes.Clone(body), 0, 0)),
		"long form":         hashed(append(bytes.Clone(body), 0, 0x80, 0)),
		"too many":          hashed(append(bytes.Clone(body), bytes.Repeat(one, 3)...)),
	}
	for _, n := range []int{1, first, first + 1, first + 40, len(whole) / 2, len(whole) - sha256.Size, len(whole) - 1} {
		files[fmt.Sprint("cut at ", n)] = whole[:n]
		flipped := bytes.Clone(whole)
		flipped[n] ^= 1
		files[fmt.Sprint("flipped at ", n)] = flipped
	}
	for name, data := range files {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "revocations.dat")
			require.NoError(t, os.WriteFile(path, data, 0o600))
			r, err := OpenRevocations(path, NewStore())
			require.Nil(t, r)
			require.Equal(t, wire.KindCorrupt, wire.KindOf(err), "%v", err)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, "restore it from a backup")
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, data, after)
		})
	}
	empty := marshalRevocations(nil)
	list, err := parseRevocations(empty)
	require.NoError(t, err)
	require.Empty(t, list)
}

func FuzzParseRevocations(f *testing.F) {
	for _, r := range proven(f) { // one each: short seeds make a fast fuzzer
		one := marshalRevocations([]*kept{{proof: r.Marshal()}})
		f.Add(one[:len(one)-sha256.Size])
	}
	f.Add([]byte(revocationsMagic))
	f.Add([]byte(revocationsMagic + "\x00\x00"))
	f.Add([]byte(revocationsMagic + "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, body []byte) {
		hash := sha256.Sum256(body) // or the fuzzer never gets past it
		data := append(bytes.Clone(body), hash[:]...)
		list, err := parseRevocations(data)
		if err != nil {
			require.Equal(t, wire.KindCorrupt, wire.KindOf(err))
			return
		}
		require.Equal(t, data, marshalRevocations(list), "one form for one state")
	})
}

// Arrivals of revocations, changes of contacts and questions at once.
func TestConcurrentRevocations(t *testing.T) {
	contacts := NewStore()
	r, err := OpenRevocations(filepath.Join(t.TempDir(), "revocations.dat"), contacts)
	require.NoError(t, err)
	policy := NewPolicy(contacts, Unknown)
	list := proven(t)
	contacts.OnChange(func(id identity.AgentID) { contacts.Trust(id) })
	var added atomic.Int32
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 40 {
				what := list[(i+w)%len(list)]
				isNew, err := r.Add(what, what.At)
				if err != nil {
					t.Error(err)
				}
				if isNew {
					added.Add(1)
				}
				if _, err := r.add(numbered(identity.RevokeAgent, 1000*w+i), what.Marshal(), false); err != nil {
					t.Error(err)
				}
				if what.Subject == identity.RevokeAgent {
					if d, deliver := policy.Inbound(PathDirect, what.ID, laptop); d != RejectBlocked || deliver {
						t.Errorf("revoked, but %v", d)
					}
				}
				_ = contacts.SetTrust(identity.AgentID{byte(i + 1)}, Blocked)
				r.List()
				r.All()
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, len(list), added.Load(), "each is new once")
	require.NoError(t, r.Close())
}

// What a flood of strangers' revocations costs beside the proof of each, which
// is another 60 µs and more.
func BenchmarkForeignRevocation(b *testing.B) {
	contacts := NewStore()
	for i := range 1000 {
		c := &Contact{AgentID: identity.AgentID{byte(i), byte(i >> 8), 1}}
		contacts.contacts[c.AgentID] = c
	}
	r := NewRevocations(contacts)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := r.add(numbered(identity.RevokeAgent, i+1<<24), nil, false); err != nil {
			b.Fatal(err)
		}
	}
}
