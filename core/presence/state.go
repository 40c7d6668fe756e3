package presence

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// ActionKind is what the owner of a State is to do.
type ActionKind uint8

const (
	Send    ActionKind = iota + 1 // Frame to Agent, which is connected
	Want                          // find Agent, which is watched, and connect to it
	Online                        // Entry is online now, and was not before
	Offline                       // Agent was online, and is not any more
	Result                        // the walk Query found Entries
)

func (k ActionKind) String() string {
	return [...]string{"none", "send", "want", "online", "offline", "result"}[min(k, Result)]
}

// Action is one thing to do. Agent is set in all but Result, Frame in Send, Entry
// in Online and Offline, Query and Entries in Result.
type Action struct {
	Kind    ActionKind
	Agent   identity.AgentID
	Frame   []byte
	Entry   Entry
	Query   uint64
	Entries []Entry
}

// State is what one agent knows of who is online. It is not safe for concurrent
// use.
type State struct {
	cfg     Config
	self    identity.AgentID
	rnd     *rand.Rand
	verify  func(key []byte, b *beacon) bool
	now     time.Time
	started bool
	left    bool // by Leave, for good
	actions []Action

	peers  map[identity.AgentID]*peer // connected
	linked []*peer                    // the same, in an order that depends on the inputs alone

	visibility Visibility
	sequence   uint64 // of the last beacon
	frame      []byte // the last beacon; nil: none that is still right
	framed     time.Time
	nextRound  time.Time

	table      map[identity.AgentID]*entry
	nextExpiry time.Time // no entry expires before; zero: none does

	watched   []*watched
	wants     allowance
	wantPause time.Time // nobody is wanted before

	walks  []*walk
	heard  map[uint64]bool // ids of queries
	heards []uint64        // the same, oldest first

	stats Stats
}

// New returns the state of an agent that knows nobody.
func New(c Config) *State {
	c = c.withDefaults()
	return &State{
		cfg:        c,
		self:       c.Key.Public().AgentID(),
		rnd:        c.Rand,
		verify:     verify,
		visibility: c.Visibility,
		peers:      make(map[identity.AgentID]*peer),
		table:      make(map[identity.AgentID]*entry),
		heard:      make(map[uint64]bool),
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
	// Anywhere in an interval: agents that start together do not stay in step.
	s.nextRound = s.now.Add(time.Duration(s.rnd.Int64N(int64(s.cfg.BeaconInterval))))
}

// HandleFrame takes a frame from a connected agent, and keeps nothing of it. An
// error says what is wrong with it: wire.KindCorrupt, KindTooLarge,
// KindUnsupported (of a later version), KindAuth (forged or repeated),
// KindPolicy (dated ahead, or not to be passed on), or KindNotFound if the agent
// is not connected or its key is not known. The state is unharmed by it. What is
// only unwelcome is counted, and no error.
func (s *State) HandleFrame(from identity.AgentID, frame []byte, now time.Time) error {
	s.begin(now)
	if s.left {
		return nil
	}
	p := s.peers[from]
	if p == nil {
		s.stats.Strangers++
		return wire.Errorf(wire.KindNotFound, "presence frame", "agent is not connected")
	}
	s.stats.Received++
	err := s.handle(p, frame)
	if err != nil {
		s.stats.Refused++
	}
	return err
}

func (s *State) handle(p *peer, frame []byte) error {
	switch {
	case len(frame) == 0:
		return wire.Errorf(wire.KindCorrupt, "presence frame", "empty frame")
	case len(frame) > MaxFrame:
		s.stats.Oversize++
		return wire.Errorf(wire.KindTooLarge, "presence frame", "%d bytes, limit %d", len(frame), MaxFrame)
	}
	typ, body := frameType(frame[0]), frame[1:]
	switch typ {
	case frameBeacon:
		return s.handleBeacon(p, body)
	case frameGoodbye:
		return s.handleGoodbye(p, body)
	case frameWatch:
		return s.handleWatch(p, body)
	case frameUnwatch:
		return s.handleUnwatch(p, body)
	case frameQuery:
		return s.handleQuery(p, body)
	case frameAnswer:
		return s.handleAnswer(p, body)
	}
	return wire.Errorf(wire.KindUnsupported, "presence frame", "unknown type 0x%02x", byte(typ))
}

// Tick does what is due. It may be called at any time, and does nothing before
// NextTick.
func (s *State) Tick(now time.Time) {
	due := s.NextTick()
	s.begin(now)
	if s.left {
		return
	}
	if late := s.now.Sub(due); !due.IsZero() && late > s.cfg.LostTimeout {
		s.excuse(late)
	}
	s.expireEntries()
	s.expireWalks()
	if !s.now.Before(s.nextRound) {
		s.nextRound = s.now.Add(s.jitter(s.cfg.BeaconInterval))
		s.round()
	}
	s.wantMissing()
}

// NextTick is when Tick should be called next, zero if never. Any input can
// change it.
func (s *State) NextTick() time.Time {
	if !s.started || s.left {
		return time.Time{}
	}
	next := s.nextRound
	earlier := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	earlier(s.nextExpiry)
	if w := s.nextWant(); w != nil {
		earlier(later(w.at, s.wantPause))
	}
	for _, w := range s.walks {
		earlier(w.ends)
	}
	return next
}

// Leave says goodbye to all who have heard that this agent is online. It is the
// last input: the state does nothing any more.
func (s *State) Leave(now time.Time) {
	s.begin(now)
	if s.left {
		return
	}
	for _, p := range s.linked {
		s.goodbye(p)
	}
	s.left = true
	s.walks, s.watched = nil, nil
}

// Take returns what to do now, in order, and empties the list.
func (s *State) Take() []Action {
	a := s.actions
	s.actions = nil
	return a
}

func (s *State) send(p *peer, frame []byte) {
	s.stats.Sent++
	s.stats.SentBytes += uint64(len(frame))
	s.actions = append(s.actions, Action{Kind: Send, Agent: p.agent, Frame: frame})
}

func (s *State) blocked(a identity.AgentID) bool { return s.cfg.Trust(a) == trust.Blocked }

// neighbors are the active peers of the overlay that are connected and not
// blocked.
func (s *State) neighbors() (list []*peer) {
	for _, a := range s.cfg.Neighbors() {
		if p := s.peers[a]; p != nil && !s.blocked(a) {
			list = append(list, p)
		}
	}
	return list
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// without removes one element and keeps the order.
func without[T comparable](list []T, x T) []T {
	if i := slices.Index(list, x); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// jitter is ±10 %.
func (s *State) jitter(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(s.rnd.Int64N(int64(d/5)+1))
}
