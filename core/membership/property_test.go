package membership

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// watch asserts of every action that it makes sense.
type watch struct {
	t         require.TestingT
	state     *State
	connected map[identity.AgentID]bool
	active    map[identity.AgentID]bool
}

func newWatch(t require.TestingT, s *State) *watch {
	return &watch{t: t, state: s, connected: make(map[identity.AgentID]bool), active: make(map[identity.AgentID]bool)}
}

func (w *watch) up(n int) {
	if n != 0 {
		w.connected[agentID(n)] = true
	}
}

func (w *watch) down(n int) { delete(w.connected, agentID(n)) }

func (w *watch) check(list []Action) {
	for _, a := range list {
		require.NotEqual(w.t, w.state.cfg.Self, a.Agent)
		switch a.Kind {
		case Send:
			// What was sent just before a connection ended is moot, but the
			// list is taken after each input.
			require.True(w.t, w.connected[a.Agent], "a frame to somebody who is not connected")
			require.LessOrEqual(w.t, len(a.Frame), maxFrame)
			_, err := rewrite(a.Frame)
			require.NoError(w.t, err)
		case Dial:
			require.False(w.t, w.connected[a.Agent], "a dial to somebody who is connected")
			require.Equal(w.t, a.Agent, a.Peer.Agent)
			require.NotEmpty(w.t, a.Peer.Addrs)
		case Up:
			require.True(w.t, w.connected[a.Agent])
			require.False(w.t, w.active[a.Agent], "up twice")
			w.active[a.Agent] = true
		case Down:
			require.True(w.t, w.active[a.Agent], "down twice")
			delete(w.active, a.Agent)
		case Release:
			require.True(w.t, w.connected[a.Agent])
			require.False(w.t, w.active[a.Agent])
		default:
			require.Fail(w.t, "unknown action")
		}
	}
	require.Len(w.t, w.state.active, len(w.active))
	for _, a := range w.state.ActiveView() {
		require.True(w.t, w.active[a])
	}
	require.LessOrEqual(w.t, len(w.state.dials), 4*maxActive)
	check(w.t, w.state)
}

// Any inputs in any order.
func TestAnyInputs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		cfg := Config{
			Self:         agentID(0),
			Active:       rapid.IntRange(1, 6).Draw(t, "active"),
			Passive:      rapid.IntRange(1, 20).Draw(t, "passive"),
			MaxPerPrefix: rapid.IntRange(-1, 4).Draw(t, "perPrefix"),
			Rand:         rand.New(rand.NewPCG(seed, 1)),
		}
		s := New(cfg)
		w := newWatch(t, s)
		now := start
		rnd := rand.New(rand.NewPCG(seed, 2))
		all := samples()
		agent := rapid.IntRange(0, 24)
		t.Repeat(map[string]func(*rapid.T){
			"up": func(t *rapid.T) {
				n := agent.Draw(t, "agent")
				from := addrOf(n % rapid.IntRange(1, 25).Draw(t, "addresses"))
				s.PeerUp(Peer{Agent: agentID(n)}, from, now)
				w.up(n)
			},
			"down": func(t *rapid.T) {
				n := agent.Draw(t, "agent")
				s.PeerDown(agentID(n), now)
				w.down(n)
			},
			"dialFailed": func(t *rapid.T) { s.DialFailed(agentID(agent.Draw(t, "agent")), now) },
			"dialled": func(t *rapid.T) {
				if len(s.dials) > 0 {
					a := s.dials[0].agent
					s.PeerUp(Peer{Agent: a}, addrOf(indexOf(a)), now)
					w.connected[a] = true
				}
			},
			"sample": func(t *rapid.T) {
				frame := rapid.SampledFrom(all).Draw(t, "frame")
				_ = s.HandleFrame(agentID(agent.Draw(t, "agent")), frame, now)
			},
			"attack": func(t *rapid.T) {
				_ = s.HandleFrame(agentID(agent.Draw(t, "agent")), attack(rnd), now)
			},
			"garbage": func(t *rapid.T) {
				frame := rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, "frame")
				_ = s.HandleFrame(agentID(agent.Draw(t, "agent")), frame, now)
			},
			"reply": func(t *rapid.T) {
				if len(s.routes) > 0 {
					r := s.routes[len(s.routes)-1]
					_ = s.HandleFrame(r.to, shuffleReplyFrame(shuffleReply{nonce: r.nonce, entries: inventedList(rnd)}), now)
				}
			},
			"heard": func(t *rapid.T) { s.Heard(agentID(agent.Draw(t, "agent")), now) },
			"join":  func(t *rapid.T) { s.Join(agentID(agent.Draw(t, "agent")), now) },
			"leave": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "really") == 0 {
					s.Leave(now)
				}
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond)
				s.Tick(now)
			},
			"due": func(t *rapid.T) {
				if next := s.NextTick(); next.After(now) {
					now = next
				}
				s.Tick(now)
				if next := s.NextTick(); !next.IsZero() {
					require.True(t, next.After(now), "a tick leaves nothing due")
				}
			},
			"": func(t *rapid.T) { w.check(s.Take()) },
		})
	})
}

// check asserts what always holds of a state.
func check(t require.TestingT, s *State) {
	require.LessOrEqual(t, len(s.active), s.cfg.Active)
	require.LessOrEqual(t, len(s.passive), s.cfg.Passive)
	require.LessOrEqual(t, len(s.lost), s.cfg.Passive)
	require.LessOrEqual(t, len(s.routes), maxRoutes)
	require.LessOrEqual(t, len(s.relays), maxRelayed)
	require.LessOrEqual(t, len(s.rumours.items), maxRumours)
	require.Len(t, s.linked, len(s.peers))
	prefixes := make(map[origin]int)
	for _, p := range s.active {
		require.NotEqual(t, s.cfg.Self, p.Agent)
		require.Same(t, p, s.peers[p.Agent], "active and not connected")
		require.Nil(t, s.entry(p.Agent), "in both views")
		if !p.origin.exempt() {
			prefixes[p.origin]++
			require.LessOrEqual(t, prefixes[p.origin], s.cfg.MaxPerPrefix)
		}
	}
	charged := make(map[origin]int)
	agents := make(map[identity.AgentID]bool)
	for _, e := range s.passive {
		require.NotEqual(t, s.cfg.Self, e.peer.Agent)
		require.False(t, agents[e.peer.Agent], "twice in the passive view")
		agents[e.peer.Agent] = true
		require.NotEmpty(t, e.peer.Addrs)
		require.LessOrEqual(t, len(e.peer.Addrs), maxAddrs)
		for _, o := range e.charged {
			charged[o]++
			require.LessOrEqual(t, charged[o], s.passiveShare(o))
		}
	}
	for _, a := range s.asks {
		require.Same(t, a.peer, s.peers[a.peer.Agent])
		require.Same(t, a, a.peer.ask)
	}
}
