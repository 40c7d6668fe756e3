package presence

import (
	"net/netip"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Source is how this agent knows of another.
type Source uint8

const (
	Direct Source = iota + 1 // it said so itself, over a connection
	FOAF                     // others passed on what it said
)

// String returns the lower-case name.
func (s Source) String() string { return [...]string{"none", "direct", "foaf"}[min(s, FOAF)] }

// Entry is what is known of an agent.
type Entry struct {
	Agent     identity.AgentID
	Machine   identity.MachineID
	Addresses []netip.AddrPort // hints; not to be changed
	LastSeen  time.Time        // by this agent's clock
	Source    Source
	Online    bool
}

type entry struct {
	Entry
	sequence uint64
	interval time.Duration // to the next beacon, as it says
	arrived  time.Time     // of the last beacon on the present connection
	train    train
	contact  bool
	deadline time.Time // when it is offline, or forgotten if it is; zero: never
	beacon   *beacon   // to be passed on; nil: not heard by this agent, or not to be
}

// Online returns the agents that are online, by id.
func (s *State) Online() []Entry {
	var list []Entry
	for _, e := range s.table {
		if e.Online && !s.blocked(e.Agent) {
			list = append(list, e.Entry)
		}
	}
	slices.SortFunc(list, func(a, b Entry) int { return a.Agent.Compare(b.Agent) })
	return list
}

// Status returns what is known of one agent, and whether anything is. Contacts
// are remembered when they are offline, others not for long.
func (s *State) Status(a identity.AgentID) (Entry, bool) {
	e := s.table[a]
	if e == nil || s.blocked(a) {
		return Entry{}, false
	}
	return e.Entry, true
}

// handleBeacon takes what an agent says of itself over its own connection.
func (s *State) handleBeacon(p *peer, body []byte) error {
	const op = "presence beacon"
	b, err := parseBeacon(body)
	switch {
	case err != nil:
		return err
	case !p.beacons.take(paceBeacon, s.now):
		s.stats.Limited++
		return nil
	case b.agent != p.agent || b.machine != p.machine:
		s.stats.Forged++
		return wire.Errorf(wire.KindAuth, op, "of another agent or machine than its sender")
	case b.sent.After(s.now.Add(maxAhead)):
		s.stats.Ahead++
		return wire.Errorf(wire.KindPolicy, op, "dated %v ahead", b.sent.Sub(s.now).Round(time.Second))
	case b.sequence <= p.sequence:
		s.stats.Replayed++
		return wire.Errorf(wire.KindAuth, op, "repeated")
	case !s.cfg.Deliver(p.agent, p.machine):
		s.stats.Undelivered++
		delete(s.table, p.agent)
		return nil
	}
	key, ok := s.cfg.PublicKey(p.agent)
	if !ok {
		s.stats.Keyless++
		return wire.Errorf(wire.KindNotFound, op, "key of the agent is not known")
	}
	if !s.verify(key, &b) {
		s.stats.Forged++
		return wire.Errorf(wire.KindAuth, op, "signature does not hold")
	}
	p.sequence = b.sequence
	s.stats.BeaconsHeard++
	e := s.admit(p.agent, Direct)
	if e == nil {
		return nil
	}
	if e.interval != b.interval {
		e.train, e.arrived = train{}, time.Time{} // of another process, or configured anew
	}
	if gap := s.now.Sub(e.arrived); e.Online && !e.arrived.IsZero() && gap < s.cfg.OfflineTimeout {
		e.train.add(gap) // a longer one was this agent's own pause
	}
	e.arrived, e.beacon = s.now, nil
	if b.visibility == Network {
		e.beacon = &b
	}
	e.take(&b, Direct, s.now)
	s.expireAt(e, s.now.Add(e.timeout(&s.cfg)))
	s.online(e)
	return nil
}

func (e *entry) take(b *beacon, source Source, seen time.Time) {
	e.Machine, e.Addresses, e.LastSeen, e.Source = b.machine, b.addrs, seen.Round(0).UTC(), source
	e.sequence, e.interval = b.sequence, b.interval
}

// handleGoodbye is of an agent that leaves, or hides.
func (s *State) handleGoodbye(p *peer, body []byte) error {
	sequence, err := parseGoodbye(body)
	if err != nil {
		return err
	}
	e := s.table[p.agent]
	if e == nil {
		return nil
	}
	e.sequence = max(e.sequence, sequence)
	e.LastSeen = s.now.Round(0).UTC()
	s.offline(e)
	return nil
}

// learn takes a beacon that others passed on, genuine and fresh. It returns what
// is then known of the agent, and false if that is nothing to be shown.
func (s *State) learn(b *beacon) (Entry, bool) {
	if b.agent == s.self {
		return Entry{}, false
	}
	if !s.cfg.Deliver(b.agent, b.machine) {
		s.stats.Undelivered++
		return Entry{}, false
	}
	e := s.table[b.agent]
	if e != nil && (b.sequence <= e.sequence || e.Online && s.peers[b.agent] != nil && e.Source == Direct) {
		if !e.Online {
			s.stats.Replayed++ // of one who has gone since
		}
		return e.Entry, e.Online
	}
	if e = s.admit(b.agent, FOAF); e == nil {
		return Entry{}, false
	}
	seen := b.sent
	if seen.After(s.now) {
		seen = s.now
	}
	e.take(b, FOAF, seen)
	s.extend(e, seen.Add(s.cfg.OfflineTimeout))
	s.online(e)
	return e.Entry, true
}

func (s *State) online(e *entry) {
	if !e.Online {
		e.Online = true
		s.stats.CameOnline++
		s.actions = append(s.actions, Action{Kind: Online, Agent: e.Agent, Entry: e.Entry})
	}
}

func (s *State) offline(e *entry) {
	if !e.Online {
		return
	}
	e.Online, e.beacon, e.arrived = false, nil, time.Time{}
	s.offlineSince(e)
	if !s.cfg.Deliver(e.Agent, e.Machine) {
		delete(s.table, e.Agent)
		return
	}
	s.stats.WentOffline++
	s.actions = append(s.actions, Action{Kind: Offline, Agent: e.Agent, Entry: e.Entry})
}

// offlineSince has an agent that is offline remembered for as long as somebody
// could pass on a beacon that is older; contacts for good.
func (s *State) offlineSince(e *entry) {
	e.deadline = time.Time{}
	if !e.contact {
		s.expireAt(e, s.now.Add(s.cfg.OfflineTimeout+2*maxAhead))
	}
}

// extend sets a later deadline, expireAt any.
func (s *State) extend(e *entry, t time.Time) {
	if !e.Online || t.After(e.deadline) {
		s.expireAt(e, t)
	}
}

func (s *State) expireAt(e *entry, t time.Time) {
	e.deadline = t
	if s.nextExpiry.IsZero() || t.Before(s.nextExpiry) {
		s.nextExpiry = t
	}
}

// excuse puts off all deadlines: this process stood still, and what it did not
// hear meanwhile was its own fault.
func (s *State) excuse(late time.Duration) {
	for _, e := range s.table {
		if e.Online {
			s.expireAt(e, e.deadline.Add(late))
		}
	}
}

// expireEntries looks at all entries, but only when one may have expired.
func (s *State) expireEntries() {
	if s.nextExpiry.IsZero() || s.now.Before(s.nextExpiry) {
		return
	}
	s.nextExpiry = time.Time{}
	var due []*entry
	for _, e := range s.table {
		switch {
		case e.deadline.IsZero():
		case !s.now.Before(e.deadline):
			due = append(due, e)
		default:
			s.expireAt(e, e.deadline)
		}
	}
	slices.SortFunc(due, func(a, b *entry) int { return a.Agent.Compare(b.Agent) })
	neighbors := s.neighbors()
	for _, e := range due {
		switch p := s.peers[e.Agent]; {
		case !e.Online:
			delete(s.table, e.Agent)
		case p != nil && e.Source == Direct && !s.owed(p, neighbors):
			e.beacon, e.arrived = nil, time.Time{}
			s.expireAt(e, s.now.Add(s.cfg.OfflineTimeout))
		default:
			s.offline(e)
		}
	}
}

// owed says whether a peer owes this agent beacons. One that was a neighbour and
// is none any more does not: it is there for as long as its connection is, and
// its silence says nothing.
func (s *State) owed(p *peer, neighbors []*peer) bool {
	return !p.renewAt.IsZero() || slices.Contains(neighbors, p)
}

// Who makes room for whom in a full table, the first one first. Ids cost
// nothing, so a stranger takes the place of a stranger only, and one of whom
// others told that of one of whom others told.
const (
	rankGone       = iota // a stranger who is offline
	rankTold              // a stranger of whom others told
	rankStranger          // a stranger who is or was connected
	rankAbsent            // a contact who is offline
	rankContact           // a contact
	rankImpossible        // nobody's
)

func (e *entry) rank() int {
	switch {
	case e.contact && e.Online:
		return rankContact
	case e.contact:
		return rankAbsent
	case !e.Online:
		return rankGone
	case e.Source == FOAF:
		return rankTold
	}
	return rankStranger
}

// admit returns the entry of an agent, a new one if there is room or can be
// made; nil otherwise.
func (s *State) admit(a identity.AgentID, source Source) *entry {
	if e := s.table[a]; e != nil {
		e.contact = s.contact(a)
		return e
	}
	e := &entry{Entry: Entry{Agent: a, Source: source}, contact: s.contact(a)}
	if len(s.table) >= s.cfg.MaxAgents && !s.evict(e) {
		s.stats.TableFull++
		return nil
	}
	s.table[a] = e
	return e
}

// evict makes room for a newcomer: of the lowest rank, who was seen longest ago.
func (s *State) evict(newcomer *entry) bool {
	limit := rankTold
	switch {
	case newcomer.contact:
		limit = rankAbsent
	case newcomer.Source == Direct:
		limit = rankStranger
	}
	var victim *entry
	lowest := rankImpossible
	for _, e := range s.table {
		r := e.rank()
		if victim == nil || r < lowest || r == lowest && older(e, victim) {
			victim, lowest = e, r
		}
	}
	if victim == nil || lowest > limit {
		return false
	}
	s.stats.Evicted++
	s.offline(victim)
	delete(s.table, victim.Agent)
	return true
}

func older(a, b *entry) bool {
	if !a.LastSeen.Equal(b.LastSeen) {
		return a.LastSeen.Before(b.LastSeen)
	}
	return a.Agent.Compare(b.Agent) < 0
}
