package presence

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// answers are the answers sent to an agent.
func answers(t *testing.T, actions []Action, to int) (list []answer) {
	for _, a := range actions {
		if a.Kind == Send && a.Agent == agentID(to) && frameType(a.Frame[0]) == frameAnswer {
			parsed, err := parseAnswer(a.Frame[1:])
			require.NoError(t, err)
			list = append(list, parsed)
		}
	}
	return list
}

func queries(t *testing.T, actions []Action) (to []int, q query) {
	for _, a := range actions {
		if a.Kind == Send && frameType(a.Frame[0]) == frameQuery {
			var err error
			q, err = parseQuery(a.Frame[1:])
			require.NoError(t, err)
			to = append(to, nameOf(a.Agent))
		}
	}
	return to, q
}

func result(actions []Action) (found []int, done bool) {
	for _, a := range actions {
		if a.Kind == Result {
			done = true
			for _, e := range a.Entries {
				found = append(found, nameOf(e.Agent))
			}
		}
	}
	return found, done
}

// Only what its agents show to the network is passed on, and only what was heard
// from them.
func TestAnswer(t *testing.T) {
	o := newOne(t, Config{})
	for n := 1; n <= 5; n++ {
		o.neighbor(n)
	}
	o.beacon(1)
	o.beacon(2)
	o.beacon(3, func(b *beacon) { b.visibility = Social })
	o.mute[agentID(4)] = true
	o.beacon(4)
	id, _ := o.Query(1, 0, o.now)
	o.give(5, answerFrame(answer{id: id, final: true, beacons: []relayed{passed(9, o.made(9))}}))
	o.Take()
	o.give(1, queryFrame(query{id: 7, ttl: 1, budget: time.Second}))
	list := answers(t, o.Take(), 1)
	require.Len(t, list, 1)
	require.True(t, list[0].final)
	require.Len(t, list[0].beacons, 1, "neither the asker, nor the social, the muted, or hearsay")
	require.Equal(t, agentID(2), list[0].beacons[0].agent)
	require.True(t, verify(list[0].beacons[0].key, &list[0].beacons[0].beacon))

	// Who has gone is not told of, nor whom only old beacons tell of.
	o.give(2, goodbyeFrame(1<<60))
	o.give(1, queryFrame(query{id: 8, ttl: 1, budget: time.Second}))
	require.Empty(t, answers(t, o.Take(), 1)[0].beacons)
}

func TestWalkIsPassedOn(t *testing.T) {
	o := newOne(t, Config{})
	for n := 1; n <= 6; n++ {
		o.neighbor(n)
	}
	o.levels[agentID(6)] = trust.Blocked
	o.beacon(2)
	o.Take()
	o.give(1, queryFrame(query{id: 7, ttl: 2, budget: 4 * time.Second}))
	actions := o.Take()
	to, q := queries(t, actions)
	require.Len(t, to, o.cfg.FOAFFanout)
	require.NotContains(t, to, 1)
	require.NotContains(t, to, 6, "blocked")
	require.Equal(t, query{id: 7, ttl: 1, budget: 3 * time.Second}, q)
	list := answers(t, actions, 1)
	require.Len(t, list, 1)
	require.False(t, list[0].final)

	// The same query by another way is answered, and goes nowhere.
	o.give(5, queryFrame(query{id: 7, ttl: 2, budget: 4 * time.Second}))
	actions = o.Take()
	require.Len(t, answers(t, actions, 5), 1)
	require.True(t, answers(t, actions, 5)[0].final)
	again, _ := queries(t, actions)
	require.Empty(t, again)
	require.EqualValues(t, 1, o.Stats().Duplicates)

	// Answers come back along the path, each agent once.
	b8, b9 := passed(8, o.made(8)), passed(9, o.made(9))
	o.give(to[0], answerFrame(answer{id: 7, final: true, beacons: []relayed{b8, passed(2, o.made(2))}}))
	list = answers(t, o.Take(), 1)
	require.Len(t, list, 1)
	require.False(t, list[0].final)
	require.Len(t, list[0].beacons, 1)
	require.Equal(t, agentID(8), list[0].beacons[0].agent)
	o.give(to[1], answerFrame(answer{id: 7, final: true, beacons: []relayed{b8}}))
	require.Empty(t, answers(t, o.Take(), 1))
	_, known := o.Status(agentID(8))
	require.False(t, known, "what is passed on is not kept")

	// The last one does not answer.
	o.run(3 * time.Second)
	require.Empty(t, answers(t, o.Take(), 1))
	o.run(time.Second)
	list = answers(t, o.Take(), 1)
	require.Len(t, list, 1)
	require.True(t, list[0].final)
	o.give(to[2], answerFrame(answer{id: 7, final: true, beacons: []relayed{b9}}))
	require.Empty(t, o.Take())
	require.EqualValues(t, 1, o.Stats().Ignored)
	require.Zero(t, o.Stats().Walks)
}

func TestQuery(t *testing.T) {
	o := newOne(t, Config{})
	_, err := o.Query(0, 0, o.now)
	require.NoError(t, err)
	found, done := result(o.Take())
	require.True(t, done, "at once when there is nobody to ask")
	require.Empty(t, found)

	o.neighbor(1)
	o.neighbor(2)
	o.levels[agentID(7)] = trust.Blocked
	o.beacon(1)
	o.Take()
	id, _ := o.Query(9, 0, o.now)
	to, q := queries(t, o.Take())
	require.Equal(t, []int{1, 2}, to)
	require.Equal(t, query{id: id, ttl: maxTTL, budget: 5 * time.Second}, q)
	o.give(1, queryFrame(q)) // its own query comes back
	list := answers(t, o.Take(), 1)
	require.True(t, list[0].final)
	require.Empty(t, list[0].beacons)

	o.give(1, answerFrame(answer{id: id, beacons: []relayed{passed(3, o.made(3)), passed(7, o.made(7)), passed(0, o.made(0))}}))
	o.give(1, answerFrame(answer{id: id, final: true, beacons: []relayed{passed(4, o.made(4))}}))
	o.give(2, answerFrame(answer{id: id, beacons: []relayed{passed(1, o.made(1)), passed(3, o.made(3))}}))
	actions := o.Take()
	require.Equal(t, []string{"online 3", "online 4"}, events(actions))
	_, done = result(actions)
	require.False(t, done)
	o.lost(2)
	found, done = result(o.Take())
	require.True(t, done, "nobody is left who could answer")
	require.Equal(t, []int{3, 4, 1}, found, "blocked agents and oneself are not found")
	e, _ := o.Status(agentID(3))
	require.Equal(t, FOAF, e.Source)
	e, _ = o.Status(agentID(1))
	require.Equal(t, Direct, e.Source, "hearsay does not take the place of what it says itself")

	// Of whom others told, the fallback decides.
	o.run(299 * time.Second)
	require.NotContains(t, events(o.Take()), "offline 3")
	o.run(2 * time.Second)
	require.Contains(t, events(o.Take()), "offline 3")
}

func TestQueryTimesOut(t *testing.T) {
	o := newOne(t, Config{FOAFTimeout: 2 * time.Second})
	o.neighbor(1)
	o.neighbor(2)
	id, _ := o.Query(2, 0, o.now)
	o.give(1, answerFrame(answer{id: id, final: true, beacons: []relayed{passed(3, o.made(3))}}))
	o.run(2*time.Second - time.Millisecond)
	_, done := result(o.Take())
	require.False(t, done)
	o.run(time.Millisecond)
	found, done := result(o.Take())
	require.True(t, done)
	require.Equal(t, []int{3}, found)
	require.EqualValues(t, 1, o.Stats().QueryTimeouts)

	for range maxWalks {
		_, err := o.Query(0, 0, o.now)
		require.NoError(t, err)
	}
	_, err := o.Query(0, 0, o.now)
	require.Equal(t, wire.KindBusy, wire.KindOf(err))
}

func TestQueriesAreLimited(t *testing.T) {
	o := newOne(t, Config{})
	for n := 1; n <= 4; n++ {
		o.neighbor(n)
	}
	o.levels[agentID(4)] = trust.Blocked
	o.Take()
	for i := range 1000 {
		o.give(1, queryFrame(query{id: uint64(i), ttl: 2, budget: time.Minute}))
	}
	actions := o.Take()
	require.Len(t, answers(t, actions, 1), 1000, "small ones, so that it need not wait")
	asked, _ := queries(t, actions)
	require.Len(t, asked, 2*paceQuery.burst)
	require.EqualValues(t, 1000-paceQuery.burst, o.Stats().Limited)
	o.give(4, queryFrame(query{id: 5000, ttl: 1, budget: time.Second}))
	require.Empty(t, o.Take(), "a blocked agent hears nothing")

	for i := range 2 * maxHeard {
		o.run(paceQuery.interval)
		o.give(1, queryFrame(query{id: uint64(10000 + i), ttl: 1, budget: time.Minute}))
	}
	require.Len(t, o.heard, maxHeard)
	require.LessOrEqual(t, o.Stats().Walks, maxRoutes+maxWalks)
}

// Each answer that must not be believed, and the counter that shows it.
func TestHostileAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		beacon func(o *one) relayed
		kind   wire.Kind // zero: no fault of who passed it on
		count  func(*Stats) uint64
	}{
		{"signature broken", func(o *one) relayed {
			r := passed(3, o.made(3))
			r.signature[7] ^= 1
			return r
		}, wire.KindAuth, func(s *Stats) uint64 { return s.Forged }},
		{"key of another agent", func(o *one) relayed {
			b := o.made(3)
			require.NoError(o.t, b.sign(keyOf(4)))
			return passed(4, b)
		}, wire.KindAuth, func(s *Stats) uint64 { return s.Forged }},
		{"key that is not its agent's, beacon genuine", func(o *one) relayed {
			_, err := identity.CachedPublicKey(keyOf(3).Public().Bytes())
			require.NoError(o.t, err)
			r := passed(3, o.made(3))
			r.key[9] ^= 1
			return r
		}, wire.KindAuth, func(s *Stats) uint64 { return s.Forged }},
		{"not for others", func(o *one) relayed {
			return passed(3, o.made(3, func(b *beacon) { b.visibility = Social }))
		}, wire.KindPolicy, func(s *Stats) uint64 { return s.Leaked }},
		{"dated ahead", func(o *one) relayed {
			return passed(3, o.made(3, func(b *beacon) { b.sent = o.now.Add(maxAhead + time.Millisecond) }))
		}, 0, func(s *Stats) uint64 { return s.Ahead }},
		{"stale", func(o *one) relayed {
			return passed(3, o.made(3, func(b *beacon) { b.sent = o.now.Add(-o.cfg.OfflineTimeout - time.Millisecond) }))
		}, 0, func(s *Stats) uint64 { return s.Stale }},
		{"blocked", func(o *one) relayed {
			o.levels[agentID(3)] = trust.Blocked
			return passed(3, o.made(3))
		}, 0, func(s *Stats) uint64 { return s.Undelivered }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOne(t, Config{})
			o.neighbor(1)
			o.neighbor(2)
			id, _ := o.Query(1, 0, o.now)
			o.Take()
			err := o.HandleFrame(agentID(1), answerFrame(answer{id: id, beacons: []relayed{tt.beacon(o)}}), o.now)
			if tt.kind == 0 {
				require.NoError(t, err)
			} else {
				require.Equal(t, tt.kind, wire.KindOf(err), "%v", err)
			}
			st := o.Stats()
			require.EqualValues(t, 1, tt.count(&st))
			require.Empty(t, o.Take())
			require.Empty(t, o.Online())

			// The other one is believed; who lied is not heard any more.
			o.give(2, answerFrame(answer{id: id, final: true, beacons: []relayed{passed(5, o.made(5))}}))
			if tt.kind != 0 {
				require.NoError(t, o.HandleFrame(agentID(1), answerFrame(answer{id: id, final: true}), o.now))
				require.EqualValues(t, 1, o.Stats().Ignored)
			} else {
				o.give(1, answerFrame(answer{id: id, final: true}))
			}
			found, done := result(o.Take())
			require.True(t, done)
			require.Equal(t, []int{5}, found)
		})
	}

	o := newOne(t, Config{})
	o.neighbor(1)
	o.up(2)
	id, _ := o.Query(1, 0, o.now)
	o.give(2, answerFrame(answer{id: id, beacons: []relayed{passed(3, o.made(3))}})) // was not asked
	require.EqualValues(t, 1, o.Stats().Ignored)
	many := make([]relayed, maxAnswer+1)
	for i := range many {
		many[i] = passed(3, o.made(3))
	}
	require.Error(t, o.HandleFrame(agentID(1), answerFrame(answer{id: id, beacons: many}), o.now))
	require.Empty(t, o.Online())
	o.levels[agentID(1)] = trust.Blocked
	o.give(1, answerFrame(answer{id: id, beacons: []relayed{passed(3, o.made(3))}}))
	require.EqualValues(t, 2, o.Stats().Ignored)
	require.Empty(t, o.Online())
}
