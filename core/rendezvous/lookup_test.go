package rendezvous

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// take returns the actions of one kind and drops the others.
func (o one) take(kind ActionKind) (list []Action) {
	for _, a := range o.Take() {
		if a.Kind == kind {
			list = append(list, a)
		}
	}
	return list
}

func TestFindDialsFirst(t *testing.T) {
	o := newOne(t, Config{})
	holder, target := person(t, 1, 1), person(t, 2, 2)
	o.KnowPeer(holder.Peer, kitNow)
	lookup, err := o.Find(Agent, target.Agent, kitNow)
	require.NoError(t, err)
	dials := o.take(Dial)
	require.Len(t, dials, 1)
	require.Equal(t, holder.Peer, dials[0].Peer)
	o.up(holder)
	sent := o.sent(holder.Agent)
	require.Len(t, sent, 1)
	request, key, records, err := parseFind(sent[0][1:])
	require.NoError(t, err)
	require.True(t, records)
	require.Equal(t, KeyOf(Agent, target.Agent), key)
	a := target.announce(t, 1, 0)
	o.frame(holder, recordFrame(request, a))
	o.frame(holder, foundFrame(request, nil))
	done := o.take(Done)
	require.Len(t, done, 1)
	require.Equal(t, lookup, done[0].Lookup)
	require.Len(t, done[0].Found, 1)
	require.Equal(t, a.Agent, done[0].Found[0].Agent)

	o.Tick(kitNow.Add(time.Hour)) // not needed any more
	actions := o.Take()
	kinds := map[ActionKind]int{}
	for _, a := range actions {
		kinds[a.Kind]++
	}
	require.Zero(t, kinds[Done])
}

func TestFindOfNobody(t *testing.T) {
	o := newOne(t, Config{})
	_, err := o.Find(Agent, [32]byte{}, kitNow)
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err))
	lookup, err := o.Find(Agent, [32]byte{1}, kitNow) // and nobody is known
	require.NoError(t, err)
	done := o.take(Done)
	require.Len(t, done, 1)
	require.Equal(t, lookup, done[0].Lookup)
	require.Empty(t, done[0].Found)
}

func TestFindEndsWithADeadPeer(t *testing.T) {
	o := newOne(t, Config{})
	p, q := person(t, 1, 1), person(t, 2, 2)
	o.KnowPeer(p.Peer, kitNow)
	o.KnowPeer(q.Peer, kitNow)
	_, err := o.Find(Agent, [32]byte{1}, kitNow)
	require.NoError(t, err)
	require.Len(t, o.take(Dial), 2)
	o.DialFailed(p.Agent, kitNow)
	require.Empty(t, o.take(Done))
	o.Tick(kitNow.Add(o.cfg.HopTimeout))
	require.Len(t, o.take(Done), 1)
	o.KnowPeer(p.Peer, kitNow)
	require.Nil(t, o.nodes[p.Agent], "it is bad for a while")
}

func TestFindIsBounded(t *testing.T) {
	o := newOne(t, Config{})
	o.up(person(t, 1, 1))
	for i := range maxLookups {
		_, err := o.Find(Agent, [32]byte{1, byte(i)}, kitNow)
		require.NoError(t, err)
	}
	_, err := o.Find(Agent, [32]byte{2}, kitNow)
	require.Equal(t, wire.KindBusy, wire.KindOf(err))
}

// A lie in an answer is refused and counted: what was not asked for, what nobody
// signed, and more than there can be.
func TestFindDoesNotBelieve(t *testing.T) {
	o := newOne(t, Config{})
	liar, target, other := person(t, 1, 1), person(t, 2, 2), person(t, 3, 3)
	o.up(liar)
	_, err := o.Find(Agent, target.Agent, kitNow)
	require.NoError(t, err)
	request, _, _, err := parseFind(o.sent(liar.Agent)[0][1:])
	require.NoError(t, err)
	require.Equal(t, wire.KindAuth, wire.KindOf(o.HandleFrame(liar.Agent, recordFrame(request, other.announce(t, 1, 0)), kitNow)))
	forged := target.announce(t, 1, 0).Marshal()
	forged[len(forged)-1] ^= 1
	require.Equal(t, wire.KindAuth, wire.KindOf(o.HandleFrame(liar.Agent, append(recordFrame(request, target.announce(t, 1, 0))[:5], forged...), kitNow)))
	require.NoError(t, o.HandleFrame(liar.Agent, recordFrame(request+7, target.announce(t, 1, 0)), kitNow), "ignored")
	o.frame(liar, foundFrame(request, nil))
	require.Empty(t, o.take(Done)[0].Found)
	require.Equal(t, uint64(2), o.Stats().BadRecords)
	require.Equal(t, uint64(1), o.Stats().Ignored)
}

// One address has few places in the table and in a lookup, whatever ids it invents.
func TestOneAddressCannotSurround(t *testing.T) {
	o := newOne(t, Config{})
	at := []netip.AddrPort{netip.MustParseAddrPort("6.6.6.6:6")}
	for i := range 500 {
		p := Peer{Addrs: at}
		p.Agent[0], p.Agent[1], p.Agent[2], p.Machine[0] = byte(i), byte(i>>8), 1, 1
		o.KnowPeer(p, kitNow)
	}
	require.LessOrEqual(t, o.Stats().Listed, 8)
	honest := person(t, 1, 1)
	o.up(honest)
	_, err := o.Find(Agent, [32]byte{9}, kitNow)
	require.NoError(t, err)
	request, _, _, err := parseFind(o.sent(honest.Agent)[0][1:])
	require.NoError(t, err)
	var told []Peer
	for i := range maxPeers {
		p := Peer{Addrs: []netip.AddrPort{netip.MustParseAddrPort("7.7.7.7:7")}}
		p.Agent[0], p.Machine[0] = byte(i+1), 1
		told = append(told, p)
	}
	told[7].Addrs = []netip.AddrPort{netip.MustParseAddrPort("192.168.0.1:22")} // of our own network, says a stranger
	o.frame(honest, foundFrame(request, told))
	of := map[netip.Addr]int{}
	for _, c := range o.lookups[0].candidates {
		of[c.Addrs[0].Addr()]++
	}
	require.LessOrEqual(t, of[netip.MustParseAddr("6.6.6.6")], 2)
	require.LessOrEqual(t, of[netip.MustParseAddr("7.7.7.7")], 2)
	require.Zero(t, of[netip.MustParseAddr("192.168.0.1")])
}

// Only peers that an agent was connected to are told to others, and private
// addresses to those only who can use them.
func TestHearsayIsNotPassedOn(t *testing.T) {
	o := newOne(t, Config{})
	a, b, heard := person(t, 1, 1), person(t, 2, 2), person(t, 3, 3)
	b.Addrs = append(b.Addrs, netip.MustParseAddrPort("192.168.0.1:22"))
	o.up(a)
	o.up(b)
	o.KnowPeer(heard.Peer, kitNow)
	_, peers := o.find(a, Key{}, kitNow)
	require.Len(t, peers, 1)
	require.Equal(t, b.Agent, peers[0].Agent)
	require.Equal(t, b.Addrs[:1], peers[0].Addrs)
	o.PeerDown(b.Agent, kitNow) // it may be dead
	_, peers = o.find(a, Key{}, kitNow)
	require.Empty(t, peers)
	o.up(b)
	o.frame(b, idleFrame())
	o.PeerDown(b.Agent, kitNow) // it said why
	_, peers = o.find(a, Key{}, kitNow)
	require.Len(t, peers, 1)
}

// A connection that was made for a lookup is released, that to a holder is not.
func TestIdleIsReleased(t *testing.T) {
	o := newOne(t, Config{Holders: 1})
	p, q := person(t, 1, 1), person(t, 2, 2)
	o.KnowPeer(p.Peer, kitNow)
	_, err := o.Find(Agent, [32]byte{1}, kitNow)
	require.NoError(t, err)
	o.up(p)
	o.up(q) // came by itself
	o.Take()
	o.neighbours = append(o.neighbours, p.Agent)
	o.refreshAt = kitNow.Add(time.Hour)
	o.Tick(kitNow.Add(time.Minute))
	require.Empty(t, o.take(Release))
	o.neighbours = nil
	o.Tick(kitNow.Add(2 * time.Minute))
	actions := o.Take()
	require.Len(t, actions, 2)
	require.Equal(t, []byte{byte(frameIdle)}, actions[0].Frame)
	require.Equal(t, Release, actions[1].Kind)
	require.Equal(t, p.Agent, actions[1].Agent)
}
