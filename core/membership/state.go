package membership

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// ActionKind is what the owner of a State is to do.
type ActionKind uint8

const (
	Send    ActionKind = iota + 1 // Frame to Agent, which is connected
	Dial                          // Peer; then PeerUp or DialFailed
	Up                            // Agent became an active neighbour
	Down                          // Agent ceased to be one
	Release                       // nothing here needs the connection to Agent: it may be closed if nobody else does
)

func (k ActionKind) String() string {
	return [...]string{"none", "send", "dial", "up", "down", "release"}[min(k, Release)]
}

// Action is one thing to do. Agent is set in all, Peer in Dial, Frame in Send.
type Action struct {
	Kind  ActionKind
	Agent identity.AgentID
	Peer  Peer
	Frame []byte
}

// State is the membership of one agent. It is not safe for concurrent use.
type State struct {
	cfg     Config
	rnd     *rand.Rand
	now     time.Time
	started bool
	left    bool // by Leave, until Join
	actions []Action

	peers   map[identity.AgentID]*peer // connected
	linked  []*peer                    // the same, in an order that depends on the inputs alone
	active  []*peer                    // part of linked
	asks    []*ask                     // of linked peers, unanswered
	passive []*entry
	lost    []*entry // vanished without goodbye: tried again, in case it was the network
	dials   []*dial
	contact identity.AgentID
	nobody  bool // to ask or dial, when it was last looked; see fill

	nextShuffle time.Time
	nextFeeler  time.Time
	routes      []route

	incarnation uint64
	suspects    []*peer // part of linked
	relays      []relayed
	rumours     rumours
	fresh       []freshNews

	evictions gate
	joins     allowance
	feelTold  bool // the last peer felt was, or was to be, one only told of
	hearsay   allowance
	places    allowance
	stats     Stats
}

// New returns the state of an agent that knows nobody.
func New(c Config) *State {
	c = c.withDefaults()
	return &State{
		cfg:       c,
		rnd:       c.Rand,
		peers:     make(map[identity.AgentID]*peer),
		rumours:   newRumours(),
		evictions: *newGate(paceEvict),
	}
}

// begin is at the start of every input. Time does not go back.
func (s *State) begin(now time.Time) {
	if now.After(s.now) {
		s.now = now
	}
	if s.started {
		return
	}
	s.started = true
	// A process that starts is newer than all that was said of the one before.
	s.incarnation = uint64(max(s.now.UnixMilli(), 1))
	s.nextShuffle = s.now.Add(s.jitter(s.cfg.ShufflePeriod))
	s.nextFeeler = s.now.Add(s.cfg.ProbePeriod)
}

// settle is at the end of every input.
func (s *State) settle() {
	s.fill()
	s.flushNews()
}

// Join makes contact, once it is connected, introduce this agent to the network.
func (s *State) Join(contact identity.AgentID, now time.Time) {
	s.begin(now)
	s.left = false
	if contact != s.cfg.Self {
		s.contact = contact
		if p := s.peers[contact]; p != nil && !p.active && p.ask == nil {
			s.ask(p, askJoin)
		}
	}
	s.settle()
}

// Leave says goodbye to all neighbours. The state asks nobody any more until
// Join.
func (s *State) Leave(now time.Time) {
	s.begin(now)
	s.left = true
	s.contact = identity.AgentID{}
	for _, p := range slices.Clone(s.linked) {
		s.endAsk(p)
		if p.active {
			s.send(p, disconnectFrame(true))
			s.deactivate(p)
		}
	}
	s.dials = nil
	s.settle()
}

// HandleFrame takes a frame from a connected agent. An error says what is wrong
// with it: wire.KindCorrupt, KindTooLarge, KindUnsupported (of a later version),
// or KindNotFound if the agent is not connected. The state is unharmed by it.
func (s *State) HandleFrame(from identity.AgentID, frame []byte, now time.Time) error {
	s.begin(now)
	p := s.peers[from]
	if p == nil {
		s.stats.Strangers++
		return wire.Errorf(wire.KindNotFound, "membership frame", "agent is not connected")
	}
	s.stats.Received++
	err := s.handle(p, frame)
	if err != nil {
		s.stats.BadFrames++
	}
	s.settle()
	return err
}

func (s *State) handle(p *peer, frame []byte) error {
	switch {
	case len(frame) == 0:
		return wire.Errorf(wire.KindCorrupt, "membership frame", "empty frame")
	case len(frame) > maxFrame:
		return wire.Errorf(wire.KindTooLarge, "membership frame", "%d bytes, limit %d", len(frame), maxFrame)
	}
	s.alive(p)
	typ, body := frameType(frame[0]), frame[1:]
	switch typ {
	case frameJoin:
		return s.handleJoin(p, body)
	case frameForwardJoin:
		return s.handleForwardJoin(p, body)
	case frameNeighbor:
		return s.handleNeighbor(p, body)
	case frameAnswer:
		return s.handleAnswer(p, body)
	case frameDisconnect:
		return s.handleDisconnect(p, body)
	case frameShuffle:
		return s.handleShuffle(p, body)
	case frameShuffleReply:
		return s.handleShuffleReply(p, body)
	case frameProbe:
		return s.handleProbe(p, body)
	case frameProbeRequest:
		return s.handleProbeRequest(p, body)
	case frameAck:
		return s.handleAck(p, body)
	case frameNews:
		return s.handleNews(p, body)
	}
	return wire.Errorf(wire.KindUnsupported, "membership frame", "unknown type 0x%02x", byte(typ))
}

// Take returns what to do now, in order, and empties the list.
func (s *State) Take() []Action {
	a := s.actions
	s.actions = nil
	return a
}

// ActiveView returns the active neighbours.
func (s *State) ActiveView() []identity.AgentID {
	list := make([]identity.AgentID, len(s.active))
	for i, p := range s.active {
		list[i] = p.Agent
	}
	return list
}

// PassiveView returns the peers from which the active view is refilled.
func (s *State) PassiveView() []Peer {
	list := make([]Peer, len(s.passive))
	for i, e := range s.passive {
		list[i] = e.peer
	}
	return list
}

func (s *State) send(p *peer, frame []byte) {
	s.stats.Sent++
	s.actions = append(s.actions, Action{Kind: Send, Agent: p.Agent, Frame: frame})
}

// without removes one element and keeps the order.
func without[T comparable](list []T, x T) []T {
	if i := slices.Index(list, x); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// jitter is ±10 %: agents that started together must not stay in step.
func (s *State) jitter(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(s.rnd.Int64N(int64(d/5)+1))
}
