package rendezvous

import (
	"math/rand/v2"
	"time"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// ActionKind is what the owner of a State is to do.
type ActionKind uint8

const (
	Send      ActionKind = iota + 1 // Frame to Agent, which is connected
	Dial                            // Peer; then PeerUp or DialFailed
	Release                         // nothing here needs the connection to Agent: it may be closed if nobody else does, after what was sent
	Done                            // Lookup has ended with what it Found, newest first
	Conflicts                       // this agent is announced from two Machines, the first of which is the own
	Renew                           // sign an announcement of a higher sequence, and Publish it
)

func (k ActionKind) String() string {
	return [...]string{"none", "send", "dial", "release", "done", "conflict", "renew"}[min(k, Renew)]
}

// Action is one thing to do. Agent is set in Send, Dial and Release.
type Action struct {
	Kind     ActionKind
	Agent    identity.AgentID
	Peer     Peer
	Frame    []byte
	Lookup   uint64
	Found    []*discovery.Announcement
	Machines [2]identity.MachineID
}

// State is the rendezvous of one agent. It is not safe for concurrent use.
type State struct {
	cfg     Config
	rnd     *rand.Rand
	now     time.Time
	started bool
	actions []Action

	nodes    map[identity.AgentID]*node
	order    []*node // the same, in an order that depends on the inputs alone
	bads     []bad
	dials    []*dial
	dialPace bucketOf

	queries     []*query
	lookups     []*lookup
	lastRequest uint32
	lastLookup  uint64

	store        store
	own          *discovery.Announcement
	publications []*publication
	renewAt      time.Time
	conflictAt   time.Time

	neighbours   []identity.AgentID
	refreshing   bool
	refreshAt    time.Time
	refreshPause time.Duration
	sweepAt      time.Time
	stats        Stats
}

// sweepEach is how often what has expired is thrown away and what is idle released.
const sweepEach = 10 * time.Second

// renewAgain is when an owner that did not renew is asked again.
const renewAgain = 10 * time.Second

// New returns the state of an agent that knows nobody.
func New(c Config) *State {
	c = c.withDefaults()
	return &State{
		cfg: c, rnd: c.Rand,
		nodes: make(map[identity.AgentID]*node),
		store: store{byKey: make(map[Key][]*record)},
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
	s.refreshAt = s.now.Add(s.jitter(time.Second, 2))
	s.sweepAt = s.now.Add(s.jitter(sweepEach, 2))
}

// Tick does what is due. It may be called at any time, and does nothing before
// NextTick.
func (s *State) Tick(now time.Time) {
	s.begin(now)
	for i := 0; i < len(s.dials); i++ {
		if d := s.dials[i]; !s.now.Before(d.ends) {
			s.dialFailed(d.agent)
			i--
		}
	}
	s.expireQueries()
	s.place()
	s.refresh()
	if s.own != nil && !s.now.Before(s.renewAt) {
		s.renewAt = s.now.Add(renewAgain)
		s.actions = append(s.actions, Action{Kind: Renew})
	}
	if !s.now.Before(s.sweepAt) {
		s.sweepAt = s.now.Add(sweepEach)
		s.store.sweep(s.now)
		s.releaseIdle()
	}
}

// NextTick is when Tick should be called next, zero if never. Any input can
// change it.
func (s *State) NextTick() time.Time {
	if !s.started {
		return time.Time{}
	}
	next := s.sweepAt
	earlier := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	if !s.refreshing {
		earlier(s.refreshAt)
	}
	if s.own != nil {
		earlier(s.renewAt)
		for _, p := range s.publications {
			if !p.placing {
				earlier(p.next)
			}
		}
	}
	for _, d := range s.dials {
		earlier(d.ends)
	}
	for _, q := range s.queries {
		earlier(q.ends)
	}
	for _, l := range s.lookups {
		earlier(l.ends)
		earlier(l.grace)
	}
	return next
}

// HandleFrame takes a frame from a connected agent. An error says what is wrong
// with it: wire.KindCorrupt, KindTooLarge, KindUnsupported (of a later version),
// KindAuth, KindLimit (more than one peer may ask), or KindNotFound if the agent
// is not connected. The state is unharmed by it.
func (s *State) HandleFrame(from identity.AgentID, frame []byte, now time.Time) error {
	s.begin(now)
	n := s.nodes[from]
	if n == nil || !n.connected {
		s.stats.Strangers++
		return wire.Errorf(wire.KindNotFound, "rendezvous frame", "agent is not connected")
	}
	s.stats.Received++
	n.silent = false
	err := s.handle(n, frame)
	switch wire.KindOf(err) {
	case 0:
	case wire.KindLimit:
		s.stats.Limited++
	default:
		s.stats.BadFrames++
	}
	return err
}

func (s *State) handle(n *node, frame []byte) error {
	const op = "rendezvous frame"
	switch {
	case len(frame) == 0:
		return wire.Errorf(wire.KindCorrupt, op, "empty frame")
	case len(frame) > maxFrame:
		return wire.Errorf(wire.KindTooLarge, op, "%d bytes, limit %d", len(frame), maxFrame)
	}
	typ, body := frameType(frame[0]), frame[1:]
	switch typ {
	case frameFind, frameStore, frameRenew, frameConflict, frameDrop:
		if !n.budget.take(1, paceEach, paceBurst, s.now) {
			return wire.Errorf(wire.KindLimit, op, "too many requests")
		}
	}
	switch typ {
	case frameFind:
		request, key, records, err := parseFind(body)
		if err == nil {
			s.handleFind(n, request, key, records)
		}
		return err
	case frameRecord:
		request, raw, err := parseRecord(body)
		if err == nil {
			err = s.handleRecord(n, request, raw)
		}
		return err
	case frameFound:
		request, peers, err := parseFound(body)
		if err == nil {
			s.handleFound(n, request, peers)
		}
		return err
	case frameStore:
		request, kind, raw, err := parseStore(body)
		if err == nil {
			s.send(n, storedFrame(request, s.handleStore(n, kind, raw)))
		}
		return err
	case frameRenew:
		request, kind, head, tail, err := parseRenew(body)
		if err == nil {
			s.send(n, storedFrame(request, s.handleRenew(n, kind, head, tail)))
		}
		return err
	case frameStored:
		request, st, err := parseStored(body)
		if err == nil {
			s.handleStored(n, request, st)
		}
		return err
	case frameConflict:
		return s.handleConflict(body)
	case frameDrop:
		kind, err := parseDrop(body)
		if err == nil {
			s.handleDrop(n, kind)
		}
		return err
	case frameIdle:
		n.idle = true
		return wire.NewParser(op, body).Done()
	}
	return wire.Errorf(wire.KindUnsupported, op, "unknown type 0x%02x", byte(typ))
}

// handleConflict takes the proof that this agent is elsewhere as well.
func (s *State) handleConflict(raw []byte) error {
	a, err := discovery.ParseAnnouncement(raw)
	if err != nil {
		return err
	}
	if s.own == nil || a.Agent != s.cfg.Self || a.Machine == s.own.Machine {
		s.stats.Ignored++
		return nil
	}
	if err := s.cfg.Verify(a, s.now); err != nil {
		s.stats.BadRecords++
		return err
	}
	if s.now.Before(s.conflictAt) {
		return nil // each holder says it
	}
	s.conflictAt = s.now.Add(time.Minute)
	s.stats.Conflicts++
	s.actions = append(s.actions, Action{Kind: Conflicts, Machines: [2]identity.MachineID{s.own.Machine, a.Machine}})
	return nil
}

// Take returns what to do now, in order, and empties the list.
func (s *State) Take() []Action {
	a := s.actions
	s.actions = nil
	return a
}

func (s *State) send(n *node, frame []byte) {
	s.stats.Sent++
	if frameType(frame[0]) != frameIdle {
		n.used, n.released = s.now, false
	}
	s.actions = append(s.actions, Action{Kind: Send, Agent: n.Agent, Frame: frame})
}

// jitter is d ± a part of it: agents that started together must not stay in step.
func (s *State) jitter(d time.Duration, part time.Duration) time.Duration {
	return d - d/part + time.Duration(s.rnd.Int64N(int64(2*d/part)+1))
}
