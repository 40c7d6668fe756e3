package discovery

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

var testNow = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func testKey(t testing.TB, name string) *identity.Key {
	seed := sha256.Sum256([]byte("discovery " + name))
	k, err := identity.KeyFromSeed(seed[:])
	require.NoError(t, err)
	return k
}

var testAddrs = []netip.AddrPort{
	netip.MustParseAddrPort("127.0.0.1:1000"),
	netip.MustParseAddrPort("169.254.1.2:1001"),
	netip.MustParseAddrPort("192.168.1.2:1002"),
	netip.MustParseAddrPort("9.9.9.9:1003"),
	netip.MustParseAddrPort("[2606:4700::1]:1004"),
}

// announce makes an announcement of an agent on a machine.
func announce(t testing.TB, agent, machine string, sequence uint64, change func(*AnnouncementOptions)) *Announcement {
	key := testKey(t, agent)
	binding, err := NewBinding(testKey(t, machine), key.Public().AgentID(), testNow.Add(-time.Hour), testNow.Add(20*time.Hour))
	require.NoError(t, err)
	o := AnnouncementOptions{Binding: binding, Sequence: sequence, IssuedAt: testNow, Addrs: testAddrs, Capabilities: Relay | Direct}
	if change != nil {
		change(&o)
	}
	a, err := NewAnnouncement(key, o)
	require.NoError(t, err)
	return a
}

func certified(t testing.TB, agent string) *identity.Certificate {
	c, err := identity.IssueCertificate(testKey(t, "user"), testKey(t, agent).Public().AgentID(), testNow.Add(-time.Hour), testNow.Add(24*time.Hour))
	require.NoError(t, err)
	return c
}

func TestAnnouncementRoundTrip(t *testing.T) {
	a := announce(t, "a", "m", 7, func(o *AnnouncementOptions) { o.Certificate = certified(t, "a") })
	raw := a.Marshal()
	b, err := ParseAnnouncement(raw)
	require.NoError(t, err)
	require.NoError(t, b.Verify(testNow))
	require.Equal(t, raw, b.Marshal())
	require.Equal(t, testAddrs, b.Addrs)
	require.Equal(t, testKey(t, "user").Public().UserID(), b.User)
	require.Equal(t, testKey(t, "m").Public().MachineID(), b.Machine)
	require.True(t, b.Has(Relay|Direct))
	require.False(t, b.Has(Coordinator))
	head, tail := Split(raw)
	require.Equal(t, raw, append(bytes.Clone(head), tail...))
	next, _ := Split(announce(t, "a", "m", 8, nil).Marshal())
	require.Len(t, next, len(head))
	require.LessOrEqual(t, len(raw), MaxAnnouncement)
}

// Every byte counts: none can be changed without the announcement being refused.
func TestAnnouncementForged(t *testing.T) {
	raw := announce(t, "a", "m", 7, func(o *AnnouncementOptions) { o.Certificate = certified(t, "a") }).Marshal()
	step := 97
	for i := 0; i < len(raw); i += step {
		bent := bytes.Clone(raw)
		bent[i] ^= 0x40
		b, err := ParseAnnouncement(bent)
		if err == nil {
			err = b.Verify(testNow)
		}
		require.Error(t, err, "byte %d", i)
	}
}

func TestAnnouncementOutsideItsTime(t *testing.T) {
	a := announce(t, "a", "m", 7, nil)
	require.NoError(t, a.Verify(testNow.Add(DefaultTTL-time.Millisecond)))
	require.ErrorIs(t, a.Verify(testNow.Add(DefaultTTL)), identity.ErrExpired)
	require.NoError(t, a.Verify(testNow.Add(-identity.MaxClockSkew)))
	require.ErrorIs(t, a.Verify(testNow.Add(-identity.MaxClockSkew-time.Second)), identity.ErrFutureDated)
}

func TestAnnouncementOfAnotherVersion(t *testing.T) {
	raw := announce(t, "a", "m", 7, nil).Marshal()
	for _, v := range []byte{0, 2, 255} {
		raw[0] = v
		_, err := ParseAnnouncement(raw)
		require.Equal(t, wire.KindUnsupported, wire.KindOf(err))
	}
}

func TestAnnouncementIsCutToItsBinding(t *testing.T) {
	key := testKey(t, "a")
	binding, err := NewBinding(testKey(t, "m"), key.Public().AgentID(), testNow.Add(-time.Hour), testNow.Add(time.Minute))
	require.NoError(t, err)
	a, err := NewAnnouncement(key, AnnouncementOptions{Binding: binding, IssuedAt: testNow})
	require.NoError(t, err)
	require.Equal(t, binding.ExpiresAt, a.ExpiresAt)
	_, err = NewAnnouncement(key, AnnouncementOptions{Binding: binding, IssuedAt: testNow.Add(time.Hour)})
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err))
	_, err = NewAnnouncement(testKey(t, "b"), AnnouncementOptions{Binding: binding, IssuedAt: testNow})
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err), "a binding of another agent")
	_, err = NewBinding(testKey(t, "m"), key.Public().AgentID(), testNow, testNow.Add(25*time.Hour))
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err), "more than a day")
	_, err = NewBinding(key, key.Public().AgentID(), testNow, testNow.Add(time.Hour))
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err), "one key in two roles")
}

// A machine must have agreed: its id alone, or its word for another agent, is nothing.
func TestAnnouncementNeedsTheMachine(t *testing.T) {
	mallory := testKey(t, "mallory")
	binding := *announce(t, "a", "m", 7, nil).Binding
	binding.Agent = mallory.Public().AgentID()
	a, err := NewAnnouncement(mallory, AnnouncementOptions{Binding: &binding, IssuedAt: testNow})
	require.NoError(t, err)
	require.ErrorIs(t, a.Verify(testNow), identity.ErrSignature)
}

// A copy for those far away shows less, holds nothing of what it hides, and is as
// genuine.
func TestScoped(t *testing.T) {
	a := announce(t, "a", "m", 7, nil)
	for _, c := range []struct {
		to    string
		shown int
	}{{"127.0.0.1", 5}, {"::1", 5}, {"169.254.7.7", 4}, {"fe80::1", 4}, {"10.1.1.1", 3}, {"100.64.1.1", 3}, {"fd00::1", 3}, {"8.8.8.8", 2}, {"2001:4860::1", 2}} {
		b, err := ParseAnnouncement(a.Scoped(netip.MustParseAddr(c.to)).Marshal())
		require.NoError(t, err)
		require.NoError(t, b.Verify(testNow), c.to)
		require.Equal(t, testAddrs[5-c.shown:], b.Addrs, c.to)
	}
	require.Equal(t, testAddrs[3:], a.Scoped(netip.Addr{}).Addrs, "to nobody knows whom")
	require.Equal(t, testAddrs, a.Addrs, "the original is as it was")
	raw := a.Scoped(netip.MustParseAddr("8.8.8.8")).Marshal()
	require.False(t, bytes.Contains(raw, testAddrs[2].Addr().AsSlice()))
	require.False(t, bytes.Contains(raw, a.places[2].salt[:]))
}

func TestAnnouncementLeavesOutWhatNoHostHas(t *testing.T) {
	a := announce(t, "a", "m", 7, func(o *AnnouncementOptions) {
		o.Addrs = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:1"), netip.MustParseAddrPort("224.0.0.1:1"), netip.MustParseAddrPort("255.255.255.255:1"), netip.MustParseAddrPort("9.9.9.9:0"), netip.MustParseAddrPort("[::ffff:9.9.9.9]:5")}
		for i := range 20 {
			o.Addrs = append(o.Addrs, netip.AddrPortFrom(netip.MustParseAddr("9.9.9.8"), uint16(i+1)))
		}
	})
	require.Len(t, a.Addrs, MaxAddrs)
	require.Equal(t, netip.MustParseAddrPort("9.9.9.9:5"), a.Addrs[0])
	require.NoError(t, a.Verify(testNow))
}

func TestAnnouncementOfAUser(t *testing.T) {
	_, err := NewAnnouncement(testKey(t, "b"), AnnouncementOptions{Binding: announce(t, "b", "m", 1, nil).Binding, IssuedAt: testNow, Certificate: certified(t, "a")})
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err))
	a := announce(t, "a", "m", 7, func(o *AnnouncementOptions) { o.Certificate = certified(t, "a") })
	c := *certified(t, "a")
	c.Signature = bytes.Clone(c.Signature)
	c.Signature[5] ^= 1
	forged := announce(t, "a", "m", 7, func(o *AnnouncementOptions) { o.Certificate = &c })
	require.NoError(t, a.Verify(testNow))
	require.ErrorIs(t, forged.Verify(testNow), identity.ErrSignature)
}

func FuzzAnnouncement(f *testing.F) {
	f.Add(announce(f, "a", "m", 7, nil).Marshal())
	f.Add(announce(f, "a", "m", 7, func(o *AnnouncementOptions) { o.Certificate = certified(f, "a") }).Scoped(netip.Addr{}).Marshal())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := ParseAnnouncement(raw)
		if err != nil {
			if k := wire.KindOf(err); k != wire.KindCorrupt && k != wire.KindUnsupported && k != wire.KindTooLarge {
				t.Fatalf("an error of kind %s: %v", k, err)
			}
			return
		}
		if !bytes.Equal(a.Marshal(), raw) { // one value, one encoding
			t.Fatalf("written again: %x\nwas: %x", a.Marshal(), raw)
		}
		if err := a.Verify(testNow); err != nil && wire.KindOf(err) != wire.KindAuth {
			t.Fatalf("an error of kind %s: %v", wire.KindOf(err), err)
		}
		_ = a.Scoped(netip.Addr{}).Marshal()
	})
}

var errForged = errors.New("forged")
