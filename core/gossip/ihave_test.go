package gossip

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// ends returns two connected subscribers with a lazy link, the one that
// announces sooner first.
func ends(t *testing.T) (s *sim, a, b int) {
	s = mesh(t, 2)
	s.lazy(0, 1, "t")
	s.forget()
	if string(s.routers[0].own[:]) < string(s.routers[1].own[:]) {
		return s, 0, 1
	}
	return s, 1, 0
}

func TestAnnouncementsAreBatched(t *testing.T) {
	s, a, b := ends(t)
	for i, p := range numbered(5) {
		s.publish(a, "t", uint64(i)+1, p)
		s.settle()
		s.wait(time.Millisecond)
	}
	require.Empty(t, s.sentFrames(a, b, frameIHave))
	s.wait(15 * time.Millisecond)
	frames := s.sentFrames(a, b, frameIHave)
	require.Len(t, frames, 1, "20 ms after the first")
	list, err := parseIHave(frames[0].frame[1:])
	require.NoError(t, err)
	require.Len(t, list, 5)
	require.Less(t, len(frames[0].frame), 100, "the stream is named once")
	require.Empty(t, s.sentFrames(a, b, frameEnvelope))
	require.EqualValues(t, 5, s.routers[a].stats.IHaveSent)
	require.EqualValues(t, 5, s.routers[b].stats.IHaveReceived)

	s.forget()
	for i := range maxAnnouncing {
		s.publish(a, "t", uint64(i)+6, "x")
	}
	s.settle()
	require.Len(t, s.sentFrames(a, b, frameIHave), 1, "a full list goes at once")
}

func TestOneEndOfALazyLinkAnnounces(t *testing.T) {
	s := mesh(t, 3)
	a, b := 0, 1
	if string(s.routers[a].own[:]) > string(s.routers[b].own[:]) {
		a, b = b, a
	}
	s.lazy(a, b, "t")
	s.publish(2, "t", 1, "x")
	s.settle()
	s.wait(100 * time.Millisecond)
	require.Len(t, s.sentFrames(a, b, frameIHave), 1)
	require.Empty(t, s.sentFrames(b, a, frameIHave), "it knows that the other has it")
	require.Zero(t, s.routers[a].stats.GraftsSent+s.routers[b].stats.GraftsSent)
}

func TestWhatANeighbourHasIsNotPushed(t *testing.T) {
	s := mesh(t, 2)
	_, frame := s.seal(0, "u", 1, "x")
	r := s.routers[1]
	s.cut[[2]int{1, 0}] = true
	third := s.add(3)
	s.connect(1, third)
	s.settle()
	s.inject(0, 1, iHaveFrames([]mark{{topic: r.topicID("u"), sender: s.routers[0].own, epoch: s.routers[0].cfg.Epoch, from: 1, to: 1, hops: 1}})[0])
	frame = appendRetained(frame, 0, true)
	s.inject(third, 1, frame)
	s.cut = map[[2]int]bool{}
	s.wait(100 * time.Millisecond)
	require.EqualValues(t, 1, r.stats.Received)
	require.Empty(t, s.sentFrames(1, 0, frameEnvelope, frameRetained, frameIHave))
}

func TestAwaitedAnnouncementsAreBounded(t *testing.T) {
	s := mesh(t, 3)
	r := s.routers[0]
	flood := func(from, n int) {
		for i := range n {
			var invented identity.AgentID
			invented[0], invented[1], invented[2], invented[3] = byte(i), byte(i>>8), byte(i>>16), byte(from)
			r.handleFrame(s.routers[from].own, iHaveFrames([]mark{{topic: TopicID{byte(from), byte(i), byte(i >> 8)}, sender: invented, epoch: 1, from: 1, to: 1}})[0], s.now)
		}
	}
	flood(1, maxMissingPeer+100)
	require.Equal(t, maxMissingPeer, r.missing)
	require.EqualValues(t, 100, r.stats.IHaveDropped)
	require.Len(t, r.topics, maxMissingPeer+1, "nor does it make topics")
	flood(2, 10)
	require.Equal(t, maxMissingPeer+10, r.missing, "another neighbour has its own share")
	s.wait(time.Minute)
	require.Zero(t, r.missing, "all given up")
	require.Len(t, r.topics, 1)
	require.EqualValues(t, maxMissingPeer+10, r.stats.GapsGivenUp)
}

func TestImpossibleAnnouncementsAreDropped(t *testing.T) {
	s := mesh(t, 2)
	r := s.routers[1]
	good := mark{topic: r.topicID("t"), sender: s.routers[0].own, epoch: s.routers[0].cfg.Epoch, from: 1, to: 1}
	for _, m := range []mark{
		{topic: good.topic}, // no message
		{topic: good.topic, sender: good.sender, epoch: good.epoch, from: 1, to: maxBundle + 1},
		{topic: good.topic, sender: good.sender, epoch: 1 << 63, from: 1, to: 1}, // from the future
	} {
		before := r.stats.IHaveDropped
		s.inject(0, 1, iHaveFrames([]mark{m})[0])
		require.Equal(t, before+1, r.stats.IHaveDropped)
	}
	require.Zero(t, r.missing)
	s.inject(0, 1, iHaveFrames([]mark{good})[0])
	require.Equal(t, 1, r.missing)
}
