package membership

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func full(t *testing.T, cfg Config) *one {
	o := newOne(t, cfg)
	o.neighbors(1, 2, 3, 4, 5, 6)
	return o
}

func TestJoinMakesRoomAndIsTold(t *testing.T) {
	o := full(t, Config{})
	o.up(7)
	require.Empty(t, o.did(), "a full view asks nobody")
	o.frame(7, joinFrame())
	acts := o.did()
	require.Contains(t, o.ActiveView(), agentID(7))
	require.Len(t, o.ActiveView(), 6)
	require.Len(t, frames(acts, frameForwardJoin), 5, "all other neighbours are told")
	dropped := frames(acts, frameDisconnect)
	require.Len(t, dropped, 1)
	require.Len(t, kinds(acts, Down), 1)
	require.Equal(t, dropped[0].Agent, kinds(acts, Down)[0].Agent)
	require.Contains(t, agents(o.PassiveView()), dropped[0].Agent, "who was dropped is a good peer still")
	require.Equal(t, []byte{byte(frameAnswer), 1}, frames(acts, frameAnswer)[0].Frame)

	o.frame(7, joinFrame())
	require.Len(t, o.did(), 1, "said twice it is answered, no more")
}

func agents(list []Peer) (ids []any) {
	for _, p := range list {
		ids = append(ids, p.Agent)
	}
	return ids
}

// Joins are cheap for an attacker and cost others walks and neighbours.
func TestJoinsArePaced(t *testing.T) {
	o := full(t, Config{})
	for n := 100; n < 400; n++ {
		o.up(n)
		o.frame(n, joinFrame())
	}
	require.LessOrEqual(t, len(frames(o.did(), frameForwardJoin)), 5*paceJoin.burst)

	o = full(t, Config{})
	o.up(7)
	o.did()
	for range 100 {
		o.frame(7, joinFrame())
		o.frame(7, disconnectFrame(false))
	}
	require.LessOrEqual(t, len(frames(o.did(), frameForwardJoin)), 6*paceEvict.burst)
}

func TestWalkEndsAsNeighbor(t *testing.T) {
	o := full(t, Config{})
	o.frame(1, forwardJoinFrame(walk{ttl: 0}, peerOf(50)))
	dials := kinds(o.did(), Dial)
	require.Len(t, dials, 1)
	require.Equal(t, peerOf(50), dials[0].Peer)
	o.up(50)
	require.Len(t, frames(o.did(), frameNeighbor), 1)
	o.frame(50, answerFrame(true))
	require.Contains(t, o.ActiveView(), agentID(50), "room is made for it")
	require.Len(t, o.ActiveView(), 6)

	// One that is connected already is asked without a dial.
	o.up(51)
	o.frame(1, forwardJoinFrame(walk{ttl: 0}, peerOf(51)))
	acts := o.did()
	require.Empty(t, kinds(acts, Dial))
	require.Len(t, frames(acts, frameNeighbor), 1)

	// Walks of those who are no neighbours go nowhere.
	o.up(52)
	o.did()
	o.frame(52, forwardJoinFrame(walk{ttl: 0}, peerOf(53)))
	require.Empty(t, o.did())
}

func TestNeighborPriority(t *testing.T) {
	o := full(t, Config{})
	o.up(7)
	o.frame(7, neighborFrame(false))
	require.Equal(t, []byte{byte(frameAnswer), 0}, o.did()[0].Frame)
	require.NotContains(t, o.ActiveView(), agentID(7))
	o.frame(7, neighborFrame(true))
	require.Contains(t, o.ActiveView(), agentID(7))
	require.Len(t, o.ActiveView(), 6)

	// An agent with less than half of its neighbours asks with high priority.
	o = newOne(t, Config{})
	for n := 1; n <= 5; n++ {
		o.up(n)
		ask := frames(o.did(), frameNeighbor)
		require.Len(t, ask, 1)
		require.Equal(t, neighborFrame(n <= 3), ask[0].Frame)
		o.frame(n, answerFrame(true))
	}
}

// Both ask at once: one link, told once.
func TestCrossingRequests(t *testing.T) {
	o := newOne(t, Config{})
	o.up(1)
	require.Len(t, frames(o.did(), frameNeighbor), 1)
	o.frame(1, neighborFrame(true))
	o.frame(1, answerFrame(true))
	acts := o.did()
	require.Len(t, kinds(acts, Up), 1)
	require.Empty(t, kinds(acts, Down))
	require.Empty(t, frames(acts, frameDisconnect))
}

// An answer that comes too late, or unasked, leaves no link that one side only
// believes in.
func TestLateAnswer(t *testing.T) {
	o := newOne(t, Config{NeighborTimeout: time.Second})
	o.up(1)
	o.tick(1500 * time.Millisecond)
	require.EqualValues(t, 1, o.Stats().AskTimeouts)
	o.did()
	o.frame(1, answerFrame(true))
	acts := o.did()
	require.Empty(t, o.ActiveView())
	require.Len(t, frames(acts, frameDisconnect), 1)
}

func TestRefusedAsksTheNext(t *testing.T) {
	o := newOne(t, Config{Active: 1})
	o.up(1)
	o.up(2)
	require.Len(t, frames(o.did(), frameNeighbor), 1)
	o.frame(1, answerFrame(false))
	next := frames(o.did(), frameNeighbor)
	require.Len(t, next, 1)
	require.Equal(t, agentID(2), next[0].Agent)
	o.frame(2, answerFrame(false))
	require.Empty(t, o.did(), "nobody is pestered")
	o.tick(o.cfg.ProbePeriod)
	require.NotEmpty(t, frames(o.did(), frameNeighbor), "but asked again")
}

func TestLostNeighborIsReplacedFromThePassiveView(t *testing.T) {
	o := full(t, Config{})
	o.frame(1, shuffleFrame(shuffle{entries: []Peer{peerOf(40), peerOf(41)}}))
	o.did()
	o.down(2)
	acts := o.did()
	dials := kinds(acts, Dial)
	require.Len(t, dials, 1)
	require.Len(t, kinds(acts, Down), 1)
	o.DialFailed(dials[0].Agent, o.now)
	again := kinds(o.did(), Dial)
	require.Len(t, again, 1, "the next, at once")
	require.NotEqual(t, dials[0].Agent, again[0].Agent)
	require.Len(t, o.PassiveView(), 1, "what cannot be dialled is no passive peer")
	o.up(indexOf(again[0].Agent))
	o.frame(indexOf(again[0].Agent), answerFrame(true))
	require.Len(t, o.ActiveView(), 6)
	require.Empty(t, o.PassiveView())
}

// The answer to a shuffle goes back the way it came, and only from the hop that
// was asked.
func TestShuffleGoesAndComesBack(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1, 2)
	o.frame(1, shuffleFrame(shuffle{nonce: 99, walk: walk{ttl: 5}, entries: []Peer{peerOf(30)}}))
	acts := o.did()
	on := frames(acts, frameShuffle)
	require.Len(t, on, 1)
	require.Equal(t, agentID(2), on[0].Agent)
	sh, err := parseShuffle(on[0].Frame[1:])
	require.NoError(t, err)
	require.NotEqual(t, uint64(99), sh.nonce)
	require.Empty(t, o.PassiveView(), "what passes by is not kept")

	reply := shuffleReply{nonce: sh.nonce, entries: []Peer{peerOf(31)}}
	o.frame(1, shuffleReplyFrame(reply))
	require.Empty(t, o.did(), "not from there")
	o.frame(2, shuffleReplyFrame(reply))
	back := frames(o.did(), frameShuffleReply)
	require.Len(t, back, 1)
	require.Equal(t, agentID(1), back[0].Agent)
	got, err := parseShuffleReply(back[0].Frame[1:])
	require.NoError(t, err)
	require.Equal(t, shuffleReply{nonce: 99, path: []prefix{prefixOf(addrOf(2).Addr())}, entries: reply.entries}, got)
	o.frame(2, shuffleReplyFrame(reply))
	require.Empty(t, o.did(), "once")
}

// Only who has been seen is passed on.
func TestHearsayIsNotPassedOn(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1, 2, 3, 4, 5, 6)
	o.frame(1, shuffleFrame(shuffle{entries: []Peer{peerOf(30)}}))
	o.did()
	o.frame(2, shuffleFrame(shuffle{nonce: 1, entries: []Peer{peerOf(31)}}))
	r, err := parseShuffleReply(frames(o.did(), frameShuffleReply)[0].Frame[1:])
	require.NoError(t, err)
	require.Empty(t, r.entries)
	o.up(30)
	o.did()
	o.frame(2, shuffleFrame(shuffle{nonce: 2, entries: []Peer{peerOf(31)}}))
	r, err = parseShuffleReply(frames(o.did(), frameShuffleReply)[0].Frame[1:])
	require.NoError(t, err)
	require.Equal(t, []Peer{peerOf(30)}, r.entries)
}

// The address of a peer is where its packets come from.
func TestAddressIsTheOneSeen(t *testing.T) {
	o := newOne(t, Config{})
	liar := peerOf(1)
	liar.Addrs = []Peer{peerOf(77)}[0].Addrs
	o.PeerUp(liar, addrOf(1), o.now)
	require.Equal(t, []Peer{peerOf(1)}, o.PassiveView())
	// Nor does hearsay move one that has been seen.
	o.neighbors(2)
	moved := peerOf(1)
	moved.Addrs = peerOf(78).Addrs
	o.frame(2, shuffleFrame(shuffle{entries: []Peer{moved}}))
	require.Equal(t, []Peer{peerOf(1)}, o.PassiveView())
}

func TestIdleConnectionsAreReleased(t *testing.T) {
	o := full(t, Config{})
	o.up(7)
	acts := o.keepAlive(25*time.Second, 1, 2, 3, 4, 5, 6)
	released := kinds(acts, Release)
	require.Len(t, released, 1, "once")
	require.Equal(t, agentID(7), released[0].Agent)
}

// A lost peer is tried again, and is made a neighbour even if views are full:
// the network may have been in two parts.
func TestLostPeerIsTriedAgain(t *testing.T) {
	o := full(t, Config{})
	o.down(6)
	o.neighbors(7)
	for !o.dialling(agentID(6)) {
		o.keepAlive(100*time.Millisecond, 1, 2, 3, 4, 5, 7)
		require.Less(t, o.now.Sub(start), time.Minute)
	}
	o.up(6)
	asked := frames(o.did(), frameNeighbor)
	require.Len(t, asked, 1)
	require.Equal(t, neighborFrame(true), asked[0].Frame)
	o.frame(6, answerFrame(true))
	require.Contains(t, o.ActiveView(), agentID(6))
	require.Len(t, o.ActiveView(), 6)
}

// An attacker who comes and goes does not fill the list of the lost.
func TestLostHaveShares(t *testing.T) {
	o := newOne(t, Config{})
	for n := range 100 {
		o.upFrom(attackerFirst+n, netip.AddrPortFrom(attackerAddr, uint16(n+1)))
		o.frame(attackerFirst+n, neighborFrame(false))
		o.down(attackerFirst + n)
	}
	require.Equal(t, 3, o.Stats().Lost)
	for n := 1; n < 100; n++ {
		o.neighbors(n)
		o.down(n)
	}
	require.Equal(t, 30, o.Stats().Lost)
	check(t, o.State)
}

// Which is given up in the end.
func TestLostPeerIsGivenUp(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1)
	o.down(1)
	for range 12 * 60 {
		o.tick(10 * time.Second)
		for _, a := range kinds(o.did(), Dial) {
			o.DialFailed(a.Agent, o.now)
		}
	}
	require.Zero(t, o.Stats().Lost)
	require.EqualValues(t, maxLostTries, o.Stats().Dials)
}

func TestLeaver(t *testing.T) {
	o := full(t, Config{})
	o.frame(3, disconnectFrame(true))
	require.NotContains(t, o.ActiveView(), agentID(3))
	require.Empty(t, o.PassiveView())
	acts := o.keepAlive(time.Minute, 1, 2, 4, 5, 6)
	for _, a := range frames(acts, frameNeighbor) {
		require.NotEqual(t, agentID(3), a.Agent, "it is not asked to come back")
	}
	o.frame(3, neighborFrame(false))
	require.Contains(t, o.ActiveView(), agentID(3), "but may")
}

// What an owner sends on Up must not be there before the answer that makes this
// agent a neighbour.
func TestAnswerStandsBeforeUp(t *testing.T) {
	for _, request := range [][]byte{joinFrame(), neighborFrame(false), neighborFrame(true)} {
		o := newOne(t, Config{})
		o.up(1)
		o.did()
		o.frame(1, request)
		answered := false
		for _, a := range o.did() {
			answered = answered || isFrame(1, frameAnswer)(a)
			require.True(t, a.Kind != Up || answered, "%x", request)
		}
		require.Equal(t, []any{agentID(1)}, []any{o.ActiveView()[0]})
		require.True(t, answered)
	}
}
