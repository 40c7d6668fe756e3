package membership

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// newsOf collects the items that an agent is told.
func newsOf(t *testing.T, list []Action, to int) (items []newsItem) {
	for _, a := range frames(list, frameNews) {
		if a.Agent == agentID(to) {
			got, err := parseNews(a.Frame[1:])
			require.NoError(t, err)
			items = append(items, got...)
		}
	}
	return items
}

// keepAlive lets agents answer what they are asked, for d.
func (o *one) keepAlive(d time.Duration, ids ...int) (all []Action) {
	for end := o.now.Add(d); o.now.Before(end); {
		o.tick(100 * time.Millisecond)
		for _, n := range ids {
			o.Heard(agentID(n), o.now)
		}
		all = append(all, o.did()...)
	}
	return all
}

func TestProbeIsAnswered(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1)
	o.frame(1, probeFrame(77, 5, true))
	acks := frames(o.did(), frameAck)
	require.Len(t, acks, 1)
	seq, inc, err := parseAck(acks[0].Frame[1:])
	require.NoError(t, err)
	require.EqualValues(t, 77, seq)
	require.EqualValues(t, start.UnixMilli(), inc)
	require.EqualValues(t, 5, o.peers[agentID(1)].incarnation)

	// An incarnation that nobody could outbid is not believed.
	o.frame(1, probeFrame(78, 1<<63, true))
	require.EqualValues(t, 5, o.peers[agentID(1)].incarnation)
}

// A link that only the other side believes in ends.
func TestProbeOfAForgottenLink(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1, 2, 3, 4, 5, 6)
	o.up(7)
	o.frame(7, probeFrame(1, 1, true))
	require.Len(t, frames(o.did(), frameDisconnect), 1)
	o.frame(7, probeFrame(1, 1, false))
	require.Empty(t, frames(o.did(), frameDisconnect))
}

func TestSuspectRefutesAndComesBack(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1, 2)
	o.frame(1, probeFrame(1, 1000, true))
	o.did()
	acts := o.keepAlive(3200*time.Millisecond, 2)
	require.NotContains(t, o.ActiveView(), agentID(1))
	suspicion := newsItem{status: statusSuspected, incarnation: 1000, agent: agentID(1)}
	require.Equal(t, []newsItem{suspicion}, newsOf(t, acts, 1), "the suspect is told")
	require.Equal(t, []newsItem{suspicion}, newsOf(t, acts, 2), "and the others")
	require.Len(t, frames(acts, frameDisconnect), 1)

	o.frame(1, newsFrame([]newsItem{{incarnation: 1001, agent: agentID(1)}}))
	acts = o.did()
	require.EqualValues(t, 1, o.Stats().Refuted)
	require.Equal(t, []newsItem{{incarnation: 1001, hops: 1, agent: agentID(1)}}, newsOf(t, acts, 2), "its refutation goes on")
	require.Len(t, frames(acts, frameNeighbor), 1, "there is a free place, and it is asked")
	o.frame(1, answerFrame(true))
	require.Contains(t, o.ActiveView(), agentID(1))
	check(t, o.State)
}

func TestSuspectThatDoesNotRefuteHasFailed(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1, 2)
	acts := o.keepAlive(14*time.Second, 2)
	items := newsOf(t, acts, 2)
	require.Len(t, items, 2)
	require.Equal(t, statusFailed, items[1].status)
	require.Equal(t, failed, o.peers[agentID(1)].health)
	require.Empty(t, o.PassiveView())
	// It is not asked, whatever it is that still holds its connection, and is
	// among the lost when that ends.
	require.Empty(t, frames(o.keepAlive(30*time.Second, 2), frameNeighbor))
	o.down(1)
	require.Equal(t, 1, o.Stats().Lost)
}

func TestSuspectIsReplacedAtOnce(t *testing.T) {
	o := newOne(t, Config{Active: 2})
	o.neighbors(1, 2)
	o.up(9)
	o.down(9)
	require.Len(t, o.PassiveView(), 1)
	acts := o.keepAlive(3200*time.Millisecond, 2)
	dials := kinds(acts, Dial)
	require.Len(t, dials, 1)
	require.Equal(t, agentID(9), dials[0].Agent)
}

// What others say of an agent drops nobody: it is looked at.
func TestHearsayDropsNobody(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1, 2, 3, 4, 5, 6)
	o.up(20)
	o.down(20)
	o.did()
	inc := uint64(start.UnixMilli())
	o.frame(1, newsFrame([]newsItem{
		{status: statusFailed, incarnation: inc, agent: agentID(2)},
		{status: statusFailed, incarnation: inc, agent: agentID(20)},
		{status: statusSuspected, incarnation: inc, agent: agentID(99)},
	}))
	acts := o.did()
	require.Len(t, o.ActiveView(), 6)
	require.True(t, isFrame(2, frameProbe)(frames(acts, frameProbe)[0]), "a neighbour is probed")
	require.Len(t, o.PassiveView(), 1)
	require.Len(t, newsOf(t, acts, 3), 3, "and the news goes on")
	require.Empty(t, newsOf(t, acts, 1))

	// The passive peer is dialled soon, and not passed on meanwhile.
	require.Empty(t, o.known(10, agentID(1)))
	acts = o.keepAlive(2100*time.Millisecond, 1, 2, 3, 4, 5, 6)
	require.Len(t, kinds(acts, Dial), 1)
	o.up(20)
	require.Len(t, o.known(10, agentID(1)), 1)
	o.down(20)
	o.DialFailed(agentID(20), o.now)
	require.Len(t, o.PassiveView(), 1, "nobody dials it now")

	// Nor is news told twice.
	o.did()
	o.frame(4, newsFrame([]newsItem{{status: statusFailed, incarnation: inc, agent: agentID(20)}}))
	require.Empty(t, frames(o.did(), frameNews))
}

func TestNewsPrecedence(t *testing.T) {
	at := func(s status, i uint64) newsItem { return newsItem{status: s, incarnation: i} }
	for _, c := range []struct {
		a, b newsItem
		want bool
	}{
		{at(statusAlive, 2), at(statusFailed, 1), true},
		{at(statusAlive, 1), at(statusSuspected, 1), false},
		{at(statusSuspected, 1), at(statusAlive, 1), true},
		{at(statusFailed, 1), at(statusSuspected, 1), true},
		{at(statusSuspected, 1), at(statusSuspected, 1), false},
		{at(statusFailed, 1), at(statusAlive, 2), false},
	} {
		require.Equal(t, c.want, c.a.newer(c.b), "%v newer than %v", c.a, c.b)
	}
}

func TestNewsEnds(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1, 2)
	inc := uint64(start.UnixMilli())
	send := func(hops uint8, inc uint64, agent int) []newsItem {
		o.frame(1, newsFrame([]newsItem{{status: statusFailed, hops: hops, incarnation: inc, agent: agentID(agent)}}))
		return newsOf(t, o.did(), 2)
	}
	require.Len(t, send(maxNewsHops-1, inc, 50), 1)
	require.Empty(t, send(maxNewsHops, inc, 51), "far enough")
	require.Empty(t, send(0, uint64(start.Add(time.Hour).UnixMilli()), 52), "of a time that nobody lives in")
	require.Len(t, send(0, inc, 2), 1, "the subject is told, to refute it")
	require.Empty(t, send(0, inc, 1), "and nobody says so of himself")
	passed := 0
	for n := range 1000 {
		passed += len(send(0, inc, 1000+n))
	}
	require.LessOrEqual(t, passed, paceNews.burst, "a neighbour that invents deaths is slowed")
	check(t, o.State)

	// Hearsay is for neighbours.
	o.up(3)
	o.did()
	o.frame(3, newsFrame([]newsItem{{status: statusFailed, incarnation: inc, agent: agentID(60)}}))
	require.Empty(t, frames(o.did(), frameNews))
}

func TestRefutation(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1, 2)
	inc := uint64(start.UnixMilli())
	// Said of an earlier process: this one is newer already.
	o.frame(1, newsFrame([]newsItem{{status: statusFailed, incarnation: inc - 5, agent: agentID(0)}}))
	acts := o.did()
	require.Equal(t, []newsItem{{incarnation: inc, agent: agentID(0)}}, newsOf(t, acts, 1))
	require.Empty(t, newsOf(t, acts, 2))
	// Said of this one.
	o.frame(1, newsFrame([]newsItem{{status: statusSuspected, incarnation: inc + 3, agent: agentID(0)}}))
	acts = o.did()
	require.Contains(t, newsOf(t, acts, 1), newsItem{incarnation: inc + 4, agent: agentID(0)})
	require.Equal(t, []newsItem{{incarnation: inc + 4, agent: agentID(0)}}, newsOf(t, acts, 2))
	require.EqualValues(t, 1, o.Stats().Refutations)
}

func TestIndirectProbe(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1, 2)
	o.up(3)
	o.did()
	// As the helper.
	o.frame(1, probeRequestFrame(9, agentID(3)))
	probes := frames(o.did(), frameProbe)
	require.Len(t, probes, 1)
	require.Equal(t, agentID(3), probes[0].Agent)
	seq, _, _, err := parseProbe(probes[0].Frame[1:])
	require.NoError(t, err)
	o.frame(2, ackFrame(seq, 1)) // by somebody else: not that one
	require.Empty(t, frames(o.did(), frameAck))
	o.frame(3, ackFrame(seq, 1))
	acks := frames(o.did(), frameAck)
	require.Len(t, acks, 1)
	require.Equal(t, agentID(1), acks[0].Agent)
	seq, _, _ = parseAck(acks[0].Frame[1:])
	require.EqualValues(t, 9, seq)

	// Of somebody unknown, or by one that is no neighbour: nothing.
	o.frame(1, probeRequestFrame(9, agentID(44)))
	o.frame(3, probeRequestFrame(9, agentID(1)))
	require.Empty(t, o.did())
	// And not without end.
	for range 100 {
		o.frame(1, probeRequestFrame(9, agentID(3)))
	}
	require.Len(t, frames(o.did(), frameProbe), paceRelay.burst-1)
}

// Others may vouch for a silent neighbour, a few times.
func TestVouching(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1, 2)
	asked := 0
	for o.peers[agentID(1)].active {
		for _, a := range o.keepAlive(100*time.Millisecond, 2) {
			if isFrame(2, frameProbeRequest)(a) {
				seq, target, err := parseProbeRequest(a.Frame[1:])
				require.NoError(t, err)
				require.Equal(t, agentID(1), target)
				o.frame(2, ackFrame(seq, 1))
				asked++
			}
		}
		require.Less(t, asked, 10)
	}
	require.Equal(t, maxVouched+1, asked)
}

// A process that slept does not take its own silence for that of others.
func TestSleeperSuspectsNobody(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1, 2, 3)
	o.tick(2100 * time.Millisecond) // probes are on their way
	o.did()
	o.now = o.now.Add(time.Hour)
	o.Tick(o.now)
	require.Len(t, o.ActiveView(), 3)
	for n := 1; n <= 3; n++ {
		o.Heard(agentID(n), o.now)
	}
	o.tick(time.Second)
	require.Len(t, o.ActiveView(), 3)
}

// What is heard otherwise saves the probe.
func TestHeardSavesProbes(t *testing.T) {
	o := newOne(t, Config{})
	o.neighbors(1)
	require.Empty(t, frames(o.keepAlive(time.Minute, 1), frameProbe))
}
