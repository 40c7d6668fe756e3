package gossip

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Who has the same says so in some bytes; positions are told when there is a
// difference, and not as often as somebody asks for them.
func TestDigestsAreHashesFirst(t *testing.T) {
	s := mesh(t, 2)
	for i, p := range numbered(10) {
		s.publish(0, "t", uint64(i)+1, p)
	}
	s.settle()
	s.forget()
	s.wait(time.Minute)
	frames := append(s.sentFrames(0, 1, frameDigest), s.sentFrames(1, 0, frameDigest)...)
	require.Greater(t, len(frames), 5)
	for _, f := range frames {
		require.Len(t, f.frame, 2+32+hashSize)
	}
	require.EqualValues(t, len(frames), s.routers[0].stats.DigestsEqual+s.routers[1].stats.DigestsEqual)

	env, frame := s.seal(0, "t", 11, "lost")
	s.cut[[2]int{0, 1}] = true
	s.routers[0].publish("t", env, frame, s.now)
	s.routers[0].peers[s.routers[1].own].lanes[classNormal].cursor = nil
	s.cut = map[[2]int]bool{}
	s.wait(20 * time.Second)
	require.Contains(t, s.texts(1), "lost")

	topic := env.topic
	s.wait(time.Second)
	s.forget()
	before := s.routers[1].stats.RequestsRefused
	for range 50 {
		s.routers[1].handleFrame(s.routers[0].own, digestHashFrame(topic, [hashSize]byte{1}), s.now)
	}
	require.EqualValues(t, 49, s.routers[1].stats.RequestsRefused-before, "a small question brings a large answer")
	bad := s.routers[1].stats.BadFrames
	s.routers[1].handleFrame(s.routers[0].own, digestHashFrame(topic, [hashSize]byte{1})[:30], s.now)
	require.Equal(t, bad+1, s.routers[1].stats.BadFrames)
}

// Who has nothing of a topic says so, and gets it all.
func TestDigestHashOfWhatIsUnknown(t *testing.T) {
	s := mesh(t, 2)
	s.cut[[2]int{1, 0}], s.cut[[2]int{0, 1}] = true, true
	s.publish(0, "t", 1, "one")
	s.routers[0].peers[s.routers[1].own].lanes[classNormal].cursor = nil
	s.cut = map[[2]int]bool{}
	s.wait(20 * time.Second)
	require.Equal(t, []string{"one"}, s.texts(1))
}
