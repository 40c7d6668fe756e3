package revocation

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

var start = time.Unix(1_790_000_000, 0)

// bag is a Set in which what begins with "forged" does not verify.
type bag struct {
	items map[Name][]byte
	limit int
}

var errForged = errors.New("forged")

func (b *bag) Add(r []byte, _ time.Time) (bool, error) {
	if bytes.HasPrefix(r, []byte("forged")) {
		return false, errForged
	}
	name := NameOf(r)
	if _, ok := b.items[name]; ok || len(b.items) == b.limit {
		return false, nil
	}
	b.items[name] = r
	return true, nil
}

func (b *bag) Names() (names []Name) {
	for n := range b.items {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b Name) int { return bytes.Compare(a[:], b[:]) })
	return names
}

func (b *bag) Get(n Name) ([]byte, bool) {
	r, ok := b.items[n]
	return r, ok
}

type node struct {
	*State
	id  identity.AgentID
	set *bag
}

// net is some nodes, and links whose frames arrive in order, a millisecond later.
type net struct {
	t      *testing.T
	now    time.Time
	nodes  []*node
	links  map[[2]int]bool
	frames int
}

func newNet(t *testing.T, n int, cfg Config) *net {
	w := &net{t: t, now: start, links: map[[2]int]bool{}}
	for i := range n {
		set := &bag{items: map[Name][]byte{}, limit: 1 << 20}
		c := cfg
		c.Set = set
		id := identity.AgentID{byte(i), 1}
		w.nodes = append(w.nodes, &node{New(c), id, set})
	}
	return w
}

func (w *net) link(a, b int) {
	w.links[[2]int{a, b}], w.links[[2]int{b, a}] = true, true
	w.nodes[a].PeerUp(w.nodes[b].id, w.now)
	w.nodes[b].PeerUp(w.nodes[a].id, w.now)
}

func (w *net) cut(a, b int) {
	delete(w.links, [2]int{a, b})
	delete(w.links, [2]int{b, a})
	w.nodes[a].PeerDown(w.nodes[b].id, w.now)
	w.nodes[b].PeerDown(w.nodes[a].id, w.now)
}

func (w *net) run(d time.Duration) {
	for end := w.now.Add(d); ; {
		busy := false
		for i, n := range w.nodes {
			for _, a := range n.Take() {
				to := int(a.Agent[0])
				if w.links[[2]int{i, to}] {
					busy = true
					w.frames++
					_ = w.nodes[to].HandleFrame(n.id, a.Frame, w.now) // its counters tell
				}
			}
		}
		if busy {
			w.now = w.now.Add(time.Millisecond)
			continue
		}
		next := end
		for _, n := range w.nodes {
			if at := n.NextTick(); !at.IsZero() && at.Before(next) {
				next = at
			}
		}
		if !next.Before(end) {
			w.now = end
			return
		}
		w.now = next
		for _, n := range w.nodes {
			n.Tick(w.now)
		}
	}
}

func (w *net) make(at int, text string) Name {
	kept, err := w.nodes[at].set.Add([]byte(text), w.now)
	require.NoError(w.t, err)
	require.True(w.t, kept)
	name := NameOf([]byte(text))
	w.nodes[at].Added(name)
	return name
}

func TestARevocationReachesEverybodyOnce(t *testing.T) {
	w := newNet(t, 20, Config{})
	for i := range w.nodes {
		w.link(i, (i+1)%20)
		w.link(i, (i+7)%20)
	}
	w.run(time.Second)
	w.make(3, "agent 1 is gone")
	w.run(time.Second)
	sent := uint64(0)
	for _, n := range w.nodes {
		require.Len(t, n.set.items, 1)
		sent += n.Stats().Sent
	}
	require.EqualValues(t, 19, sent, "the bytes of a revocation come to each once")

	// At rest there are only comparisons.
	before := w.frames
	w.run(time.Hour)
	require.Less(t, w.frames-before, 80*7*2)
}

func TestWhoWasAwayCatchesUp(t *testing.T) {
	w := newNet(t, 3, Config{})
	w.link(0, 1)
	for i := range 40 {
		w.make(0, fmt.Sprint("left ", i))
		w.make(2, fmt.Sprint("right ", i))
	}
	w.run(time.Hour)
	require.Len(t, w.nodes[1].set.items, 40)
	w.link(1, 2)
	w.run(time.Second)
	for i, n := range w.nodes {
		require.Len(t, n.set.items, 80, "node %d", i)
	}
}

// More than one neighbour may bring at once comes with later comparisons.
func TestManyRevocationsTakeTheirTime(t *testing.T) {
	w := newNet(t, 2, Config{})
	for i := range 2000 {
		w.make(0, fmt.Sprint(i))
	}
	w.link(0, 1)
	w.run(time.Second)
	require.Len(t, w.nodes[1].set.items, 64)
	require.NotZero(t, w.nodes[1].Stats().Limited)
	w.run(8 * time.Hour)
	require.Len(t, w.nodes[1].set.items, 2000)
}

func TestWhoNamesAndDoesNotSendIsPassedOver(t *testing.T) {
	w := newNet(t, 3, Config{})
	w.link(0, 1)
	w.link(2, 1)
	w.run(time.Second)
	name := NameOf([]byte("late"))
	require.NoError(t, w.nodes[1].HandleFrame(w.nodes[0].id, nameFrames(frameHave, []Name{name})[0], w.now)) // 0 lies
	w.make(2, "late")
	w.run(4 * time.Second)
	require.Empty(t, w.nodes[1].set.items)
	w.run(2 * time.Second)
	require.Len(t, w.nodes[1].set.items, 1)

	// So it is when the one who was asked goes away.
	other := NameOf([]byte("later"))
	require.NoError(t, w.nodes[1].HandleFrame(w.nodes[0].id, nameFrames(frameHave, []Name{other})[0], w.now))
	w.make(2, "later")
	w.run(10 * time.Millisecond)
	w.cut(0, 1)
	w.run(10 * time.Millisecond)
	require.Len(t, w.nodes[1].set.items, 2)
}

func TestHostileNeighbour(t *testing.T) {
	w := newNet(t, 2, Config{})
	w.link(0, 1)
	w.run(time.Second)
	n, liar := w.nodes[1], w.nodes[0].id

	require.NoError(t, n.HandleFrame(liar, revocationFrame([]byte("nobody asked")), w.now))
	require.Empty(t, n.set.items)
	require.NoError(t, n.HandleFrame(identity.AgentID{99}, revocationFrame([]byte("x")), w.now))
	require.EqualValues(t, 1, n.Stats().Strangers)

	// A forged one is refused, and does not come again from the same place.
	require.NoError(t, n.HandleFrame(liar, nameFrames(frameHave, []Name{NameOf([]byte("forged"))})[0], w.now))
	require.ErrorIs(t, n.HandleFrame(liar, revocationFrame([]byte("forged")), w.now), errForged)
	require.EqualValues(t, 1, n.Stats().Refused)
	require.Empty(t, n.wanted)

	// Names of what does not exist fill no more than its allowance.
	for i := range 100 {
		names := make([]Name, maxNames)
		for j := range names {
			binary.BigEndian.PutUint32(names[j][:], uint32(i*maxNames+j))
		}
		require.NoError(t, n.HandleFrame(liar, nameFrames(frameHave, names)[0], w.now))
	}
	require.LessOrEqual(t, len(n.wanted), 64)
	require.Len(t, n.order, len(n.wanted))
	w.run(time.Minute)
	require.Empty(t, n.wanted)

	// Nor does asking for one thing for ever get it for ever.
	name := w.make(1, "real")
	n.Take()
	for range 3 * serveBurst {
		require.NoError(t, n.HandleFrame(liar, nameFrames(frameWant, []Name{name})[0], w.now))
	}
	require.Len(t, n.Take(), serveBurst)

	for _, frame := range [][]byte{
		nil, {0x70}, {0x70, 1}, append(summaryFrame(Name{}, true), 0), {0x71}, {0x71, 1}, {0x72, 2}, {0x7f},
		make([]byte, 1+maxNames*32+1), summaryFrame(Name{}, true)[:33],
	} {
		require.Error(t, n.HandleFrame(liar, frame, w.now), "%x", frame)
	}
}

func TestDefaultsAndParameters(t *testing.T) {
	c := Config{}.withDefaults()
	require.Equal(t, Config{CompareEvery: 10 * time.Minute, AskTimeout: 5 * time.Second, Rate: 10 * time.Second, Burst: 64}, c)

	s := New(Config{Set: &bag{items: map[Name][]byte{}}, CompareEvery: time.Minute, AskTimeout: time.Second, Burst: 2, Rate: time.Hour})
	require.Zero(t, s.NextTick())
	p := identity.AgentID{128}
	s.PeerUp(p, start)
	require.Equal(t, start.Add(time.Minute), s.NextTick())
	names := []Name{{1}, {2}, {3}}
	require.NoError(t, s.HandleFrame(p, nameFrames(frameHave, names)[0], start))
	require.Equal(t, start.Add(time.Second), s.NextTick())
	require.EqualValues(t, 1, s.Stats().Limited)
}

func FuzzHandleFrame(f *testing.F) {
	f.Add(summaryFrame(Name{1}, true))
	f.Add(nameFrames(frameHave, []Name{{1}, {2}})[0])
	f.Add(nameFrames(frameWant, []Name{{1}})[0])
	f.Add(revocationFrame([]byte("kept")))
	f.Fuzz(func(t *testing.T, frame []byte) {
		s := New(Config{Set: &bag{items: map[Name][]byte{NameOf([]byte("kept")): []byte("kept")}, limit: 4}})
		p := identity.AgentID{1}
		s.PeerUp(p, start)
		err := s.HandleFrame(p, frame, start)
		if k := wire.KindOf(err); err != nil && !errors.Is(err, errForged) {
			require.Contains(t, []wire.Kind{wire.KindCorrupt, wire.KindTooLarge, wire.KindUnsupported}, k)
		}
		require.LessOrEqual(t, len(s.wanted), maxNames)
		for _, a := range s.Take() {
			require.LessOrEqual(t, len(a.Frame), 1+MaxSize)
		}
		s.Tick(s.NextTick())
	})
}
