package lan_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/ipv4"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/netns"
	"github.com/saorsa-labs/x0x-go/core/lan"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// inside is set in the copy of this program that has a network of its own: no
// test sends anything to a real one.
const inside = "X0X_TEST_INSIDE"

// soon is how long a test waits for what takes a fraction of a second.
const soon = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// own runs the test in a network of its own, and reports whether this is the copy there.
func own(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	var err error
	cmd.SysProcAttr, err = netns.Own()
	require.NoError(t, err)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name(), "the copy did not run the test")
	t.Logf("%s", out)
	return false
}

// cable joins this namespace to a new one and runs far there, at the other end.
func cable(t *testing.T, far func() error) {
	t.Helper()
	require.NoError(t, netns.Inside(func(fd int) error {
		near := make(chan error)
		go func() { // a goroutine of the first namespace
			err := netns.Cable("near", "far", fd)
			if err == nil {
				err = netns.Up("near", netip.MustParsePrefix("10.77.0.1/24"))
			}
			near <- err
		}()
		if err := <-near; err != nil {
			return err
		}
		if err := netns.Up("far", netip.MustParsePrefix("10.77.0.2/24")); err != nil {
			return err
		}
		c, err := net.ListenPacket("udp4", "10.77.0.2:0") // keeps the namespace, and so the cable
		if err != nil {
			return err
		}
		t.Cleanup(func() { c.Close() })
		return far()
	}))
}

// sixIsReady waits until the IPv6 address of an interface can be used: for a second
// or so the kernel looks whether somebody else has it.
func sixIsReady(t *testing.T, name string) {
	t.Helper()
	ifi, err := net.InterfaceByName(name)
	require.NoError(t, err)
	deadline := time.Now().Add(soon)
	for {
		addrs, err := ifi.Addrs()
		require.NoError(t, err)
		for _, a := range addrs {
			if ip := a.(*net.IPNet).IP; ip.To4() == nil {
				if c, err := net.ListenUDP("udp6", &net.UDPAddr{IP: ip, Zone: name}); err == nil {
					c.Close()
					return
				}
			}
		}
		require.True(t, time.Now().Before(deadline), "no usable IPv6 address on %s", name)
		runtime.Gosched()
	}
}

func machine(n byte) (id identity.MachineID) {
	id[0], id[31] = n, n
	return id
}

func open(t *testing.T, network string, m identity.MachineID, port uint16) (*lan.Service, chan lan.Entry) {
	t.Helper()
	found := make(chan lan.Entry, 1000)
	s, err := lan.Open(lan.Options{NetworkID: network, Machine: m, Port: port, OnFound: func(e lan.Entry) { found <- e }, Interfaces: fixed(t)})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s, found
}

// fixed returns the interfaces of the namespace of its caller, whoever asks later.
func fixed(t *testing.T) func() ([]net.Interface, error) {
	t.Helper()
	all, err := net.Interfaces()
	require.NoError(t, err)
	var list []net.Interface
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 {
			list = append(list, i)
		}
	}
	return func() ([]net.Interface, error) { return list, nil }
}

func await(t *testing.T, found chan lan.Entry, m identity.MachineID) lan.Entry {
	t.Helper()
	deadline := time.After(soon)
	for {
		select {
		case e := <-found:
			if e.Machine == m {
				return e
			}
		case <-deadline:
			require.FailNow(t, "not found", "%s", m.Short())
		}
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, soon, 5*time.Millisecond, what)
}

func TestNeighboursFindEachOther(t *testing.T) {
	if !own(t) {
		return
	}
	var b, other *lan.Service
	var foundB, foundOther chan lan.Entry
	cable(t, func() error {
		sixIsReady(t, "far")
		b, foundB = open(t, "ours", machine(2), 2002)
		other, foundOther = open(t, "theirs", machine(3), 2003)
		return nil
	})
	sixIsReady(t, "near")
	start := time.Now()
	a, foundA := open(t, "ours", machine(1), 2001)
	opened := time.Since(start)
	await(t, foundA, machine(2))
	await(t, foundB, machine(1))
	t.Logf("open after %v, both found after %v", opened, time.Since(start))
	for _, end := range []struct {
		s     *lan.Service
		four  string
		iface string
	}{{a, "10.77.0.2:2002", "near"}, {b, "10.77.0.1:2001", "far"}} {
		eventually(t, "both address families are heard", func() bool { return len(end.s.Entries()[0].Addrs) == 2 })
		addrs := end.s.Entries()[0].Addrs
		require.Equal(t, end.four, addrs[0].String(), "IPv4 is first")
		require.Equal(t, end.iface, addrs[1].Addr().Zone())
		require.True(t, addrs[1].Addr().IsLinkLocalUnicast())
	}
	require.Equal(t, machine(2), a.Entries()[0].Machine)

	// The other network heard all of that and took nothing.
	eventually(t, "the other network hears it", func() bool { return other.Stats().Ignored > 2 })
	require.Empty(t, other.Entries())
	require.Empty(t, foundOther)
	require.Len(t, a.Entries(), 1)
	require.Zero(t, a.Stats().Malformed)

	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
	eventually(t, "goodbye is heard", func() bool { return len(a.Entries()) == 0 })
	require.NotZero(t, a.Stats().Goodbyes)
}

// Agents of two users on one machine do not share a registry: they hear each
// other on the interface that both have.
func TestTwoOnOneMachineAndAnswersAreRare(t *testing.T) {
	if !own(t) {
		return
	}
	cable(t, func() error { return nil })
	a, foundA := open(t, "ours", machine(1), 2001)
	_, foundB := open(t, "ours", machine(2), 2002)
	await(t, foundA, machine(2))
	await(t, foundB, machine(1))

	// Who asks all the time is answered once a second: three answers take two.
	eventually(t, "both announcements are out", func() bool { return a.Stats().Answers >= 2 })
	start := time.Now()
	before := a.Stats()
	send, q := sender(t), query(t, "ours")
	eventually(t, "three answers", func() bool {
		for range 10 {
			send(q)
		}
		return a.Stats().Answers-before.Answers >= 3
	})
	require.Greater(t, time.Since(start), 1900*time.Millisecond)
	require.Greater(t, a.Stats().Received-before.Received, uint64(100))
}

func TestHostilePacketsLeaveMemoryBounded(t *testing.T) {
	if !own(t) {
		return
	}
	var send func([]byte)
	cable(t, func() error { send = sender(t); return nil })
	a, _ := open(t, "ours", machine(1), 2001)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)

	r := rand.New(rand.NewChaCha8([32]byte{7}))
	for i := range 500 {
		b := make([]byte, 1+r.IntN(1400))
		for j := range b {
			b[j] = byte(r.Uint32())
		}
		if i%2 == 0 && len(b) > 4 {
			b[2], b[3] = 0x84, 0 // an answer, of which nothing else is right
		}
		send(b)
	}
	send(make([]byte, 9500)) // more than RFC 6762 allows
	send(answer(t, "ours", "m=abc", 1, 120))
	send(answer(t, "ours", "m="+strings.Repeat("0", 64), 1, 120))
	send(answer(t, "ours", "m="+strings.Repeat("zz", 32), 1, 120))
	send(answer(t, "ours", "m="+hex.EncodeToString(make([]byte, 31))+"01", 0, 120)) // no port
	eventually(t, "refused", func() bool { return a.Stats().Malformed > 100 })
	require.Empty(t, a.Entries())

	for i := range 10_000 {
		var id identity.MachineID
		id[0], id[1], id[2], id[3] = 9, byte(i), byte(i>>8), 1
		send(answer(t, "ours", "m="+id.String(), 1+uint16(i), ^uint32(0)))
		for i%100 == 0 && a.Stats().Received < uint64(i/2) { // let it keep up: what the kernel drops proves nothing
			runtime.Gosched()
		}
	}
	eventually(t, "the flood is over", func() bool { s := a.Stats(); return s.Refused+s.Throttled > 3000 })
	require.LessOrEqual(t, len(a.Entries()), 16, "the share of one address")
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("heap grew by %d KiB; %+v", grown>>10, a.Stats())
	require.Less(t, grown, int64(1<<20))

	// Nobody else's goodbye counts, and the service still works.
	gone := a.Entries()[0]
	send(answer(t, "ours", "m="+gone.Machine.String(), 1, 0))
	eventually(t, "goodbye", func() bool { return a.Stats().Goodbyes == 1 })
	require.NotContains(t, a.Entries(), gone)
}

func TestWhereThereIsNoMulticast(t *testing.T) {
	_, err := lan.Open(lan.Options{Machine: machine(1), Port: 1, Interfaces: func() ([]net.Interface, error) { return nil, nil }})
	require.Equal(t, wire.KindUnsupported, wire.KindOf(err))
	_, err = lan.Open(lan.Options{Machine: machine(1), Port: 1, Interfaces: func() ([]net.Interface, error) { return nil, os.ErrPermission }})
	require.Equal(t, wire.KindIO, wire.KindOf(err))
	require.ErrorIs(t, err, os.ErrPermission)
	_, err = lan.Open(lan.Options{Machine: machine(1)})
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err))
}

func TestPortTaken(t *testing.T) {
	if !own(t) {
		return
	}
	cable(t, func() error { return nil })
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 5353}) // without SO_REUSEADDR
	require.NoError(t, err)
	defer taken.Close()
	six, err := net.ListenUDP("udp6", &net.UDPAddr{Port: 5353})
	require.NoError(t, err)
	defer six.Close()
	_, err = lan.Open(lan.Options{Machine: machine(1), Port: 1})
	require.Equal(t, wire.KindIO, wire.KindOf(err), "%v", err)
}

// What comes from behind a router, or from a port that anybody may use, is not read.
func TestOnlyNeighboursAreHeard(t *testing.T) {
	if !own(t) {
		return
	}
	var far, user, good func([]byte)
	cable(t, func() error {
		far, user, good = senderFrom(t, 5353, 254), senderFrom(t, 0, 255), sender(t)
		return nil
	})
	a, found := open(t, "ours", machine(1), 2001)
	far(answer(t, "ours", "m="+machine(5).String(), 1, 120))
	user(answer(t, "ours", "m="+machine(6).String(), 1, 120))
	good(answer(t, "ours", "m="+machine(7).String(), 1, 120))
	require.Equal(t, machine(7), (<-found).Machine)
	require.Equal(t, uint64(2), a.Stats().Foreign)
}

// sender returns a function that sends to the group as a neighbour would, from
// the namespace of the caller.
func sender(t *testing.T) func([]byte) { return senderFrom(t, 5353, 255) }

func senderFrom(t *testing.T, port, ttl int) func([]byte) {
	t.Helper()
	list, err := fixed(t)()
	require.NoError(t, err)
	lc := net.ListenConfig{}
	c, err := lc.ListenPacket(context.Background(), "udp4", fmt.Sprintf("224.0.0.251:%d", port))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	p := ipv4.NewPacketConn(c)
	require.NoError(t, p.SetMulticastInterface(&list[0]))
	require.NoError(t, p.SetMulticastTTL(ttl))
	require.NoError(t, p.SetMulticastLoopback(true))
	to := &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}
	return func(b []byte) {
		_, err := c.WriteTo(b, to)
		require.NoError(t, err)
	}
}

func subtype(network string) dnsmessage.Name {
	sum := sha256.Sum256([]byte(network))
	return dnsmessage.MustNewName(fmt.Sprintf("_%x._sub._x0x._udp.local.", sum[:10]))
}

func query(t *testing.T, network string) []byte {
	m := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: subtype(network), Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}}}
	b, err := m.Pack()
	require.NoError(t, err)
	return b
}

func answer(t *testing.T, network, text string, port uint16, ttl uint32) []byte {
	name := dnsmessage.MustNewName("fake._x0x._udp.local.")
	h := func(n dnsmessage.Name) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: n, Class: dnsmessage.ClassINET, TTL: ttl}
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true}, Answers: []dnsmessage.Resource{
		{Header: h(subtype(network)), Body: &dnsmessage.PTRResource{PTR: name}},
		{Header: h(name), Body: &dnsmessage.SRVResource{Port: port, Target: name}},
		{Header: h(name), Body: &dnsmessage.TXTResource{TXT: []string{"v=1", text}}},
	}}
	b, err := m.Pack()
	require.NoError(t, err)
	return b
}
