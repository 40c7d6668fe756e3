package gossip

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A greeting that is lost at one end or both comes again.
func TestLostGreetingIsRepeated(t *testing.T) {
	for _, both := range []bool{false, true} {
		s := newSim(t)
		a, b := s.add(1), s.add(2)
		s.subscribe(a, "t", true)
		s.subscribe(b, "t", true)
		s.connect(a, b)
		s.routers[a].peers[s.routers[b].own].control = nil // as if b had not known a yet
		if both {
			s.routers[b].peers[s.routers[a].own].control = nil
		}
		s.settle()
		require.False(t, s.routers[b].peers[s.routers[a].own].ready)
		s.publish(a, "t", 1, "from a")
		s.publish(b, "t", 1, "from b")
		s.wait(12 * time.Second)
		require.Contains(t, s.texts(a), "from b")
		require.Contains(t, s.texts(b), "from a")
		require.Equal(t, []int{0, 0}, s.distances("t", [2]int{a, b}, [2]int{b, a}))
		again := s.routers[a].stats.GreetedAgain + s.routers[b].stats.GreetedAgain
		require.LessOrEqual(t, again, uint64(4))
		s.wait(5 * time.Minute)
		require.Equal(t, again, s.routers[a].stats.GreetedAgain+s.routers[b].stats.GreetedAgain, "and that is all")
	}
}

// One that never greets is asked ever more rarely, and cannot have itself
// greeted all the time.
func TestGreetingsAreBounded(t *testing.T) {
	s := newSim(t)
	a, b := s.add(1), s.add(2)
	s.connect(a, b)
	s.cut[[2]int{b, a}] = true
	s.wait(10 * time.Minute)
	require.LessOrEqual(t, s.routers[a].stats.GreetedAgain, uint64(15))
	s.forget()
	before := s.routers[a].stats.GreetedAgain
	for range 100 {
		s.routers[a].handleFrame(s.routers[b].own, []byte{byte(frameGreet)}, s.now)
	}
	require.LessOrEqual(t, s.routers[a].stats.GreetedAgain-before, uint64(1))
}

// Interest that was dropped because too much waited for a neighbour is told when
// it reads again.
func TestDroppedInterestIsTold(t *testing.T) {
	s := newSim(t)
	a, b := s.add(1), s.add(2)
	s.connect(a, b)
	over := s.subscribe(a, "over", true)
	s.publish(a, "over", 1, "x") // so that the topic is known afterwards
	s.settle()
	s.wait(10 * time.Second)
	s.cut[[2]int{a, b}] = true
	p := s.routers[a].peers[s.routers[b].own]
	for range maxControl {
		s.routers[a].control(p, pruneFrame(TopicID{}))
	}
	s.subscribe(a, "t", true)
	s.routers[a].unsubscribe(over, s.now)
	require.Positive(t, s.routers[a].stats.ControlDropped)
	delete(s.cut, [2]int{a, b})
	s.wait(10 * time.Second)
	require.Equal(t, []int{0}, s.distances("t", [2]int{b, a}))
	require.Equal(t, []int{nowhere}, s.distances("over", [2]int{b, a}))
}
