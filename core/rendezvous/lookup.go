package rendezvous

import (
	"net/netip"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// lookup goes nearer to a key, asking Alpha peers at a time, until the nearest
// have answered or it has found what it looks for.
type lookup struct {
	id     uint64 // of Find; 0: for this package
	key    Key
	kind   Kind // of what is wanted; 0: the peers near to the key
	target [32]byte
	want   int                        // how many of the nearest must have answered before it ends
	done   func(nearest []*candidate) // of those without id

	candidates []*candidate // nearest first
	alpha      int          // asked at a time; 0: Alpha
	asked      int
	open       int // asked and not yet answered
	found      []*discovery.Announcement
	ends       time.Time
	grace      time.Time // something was found: when to stop waiting for others
	over       bool
}

type candidateState uint8

const (
	fresh candidateState = iota
	asked
	answered
	failed
)

type candidate struct {
	Peer
	state  candidateState
	origin netip.Prefix
}

// query is a FIND that waits for a connection or for its answer.
type query struct {
	request uint32
	agent   identity.AgentID
	lookup  *lookup
	to      *candidate
	sent    bool
	records int
	ends    time.Time
}

// Find looks for the announcements that name an id. [Done] says what was found,
// and comes before LookupTimeout has passed. The error is wire.KindBusy if too
// many lookups are under way.
func (s *State) Find(kind Kind, id [32]byte, now time.Time) (uint64, error) {
	s.begin(now)
	if !kind.valid() || id == [32]byte{} {
		return 0, wire.Errorf(wire.KindInvalidArgument, "find", "no such kind or id")
	}
	finds := 0
	for _, l := range s.lookups {
		if l.id != 0 {
			finds++
		}
	}
	if finds >= maxLookups {
		return 0, wire.Errorf(wire.KindBusy, "find", "%d lookups are under way", finds)
	}
	s.lastLookup++
	s.stats.Lookups++
	// It asks more than keep a key: some are new there, and have not got it yet.
	l := &lookup{id: s.lastLookup, key: KeyOf(kind, id), kind: kind, target: id, want: s.cfg.Holders + s.cfg.Holders/2}
	for _, r := range s.store.live(l.key, s.now) {
		l.found = append(l.found, r.a)
	}
	if len(l.found) > 0 {
		l.grace = s.now.Add(s.cfg.Grace)
	}
	s.startLookup(l)
	return l.id, nil
}

func (s *State) startLookup(l *lookup) {
	l.ends = s.now.Add(s.cfg.LookupTimeout)
	if l.alpha == 0 {
		l.alpha = s.cfg.Alpha
	}
	for _, n := range s.nearest(l.key, 2*s.cfg.Bucket, nil) {
		s.addCandidate(l, n.Peer)
	}
	s.lookups = append(s.lookups, l)
	s.advance(l)
}

// addCandidate remembers a peer, if it is among the nearest and its address has
// not its share.
func (s *State) addCandidate(l *lookup, p Peer) {
	if p.Agent == s.cfg.Self {
		return
	}
	i, exists := slices.BinarySearchFunc(l.candidates, p.Agent, func(c *candidate, a identity.AgentID) int {
		return compareDistance(distance(c.Agent, l.key), distance(a, l.key))
	})
	if exists || i == maxCandidates {
		return
	}
	c := &candidate{Peer: p, origin: s.originOf(p.Addrs, netip.Addr{})}
	if n := s.nodes[p.Agent]; n != nil && n.connected {
		c.origin = n.origin
	}
	if c.origin.IsValid() {
		same := 0
		for _, o := range l.candidates {
			if o.origin == c.origin && o.state != failed {
				same++
			}
		}
		if same >= s.cfg.MaxPerPrefix {
			s.stats.PrefixRefused++
			return
		}
	}
	l.candidates = slices.Insert(l.candidates, i, c)
	l.candidates = l.candidates[:min(len(l.candidates), maxCandidates)]
}

// advance asks the next peers, or ends the lookup.
func (s *State) advance(l *lookup) {
	if l.over {
		return
	}
	waiting := len(l.found) > 0
	near := 0
	for _, c := range l.candidates {
		if waiting || near == l.want || l.open >= l.alpha || l.asked >= maxAsked {
			break
		}
		switch c.state {
		case failed:
			continue
		case fresh:
			if !s.ask(l, c) {
				c.state = failed
				continue
			}
		}
		near++
	}
	switch {
	case l.open > 0 && s.now.Before(l.ends) && (l.grace.IsZero() || s.now.Before(l.grace)):
	default:
		s.endLookup(l)
	}
}

// ask sends FIND, after a dial if need be.
func (s *State) ask(l *lookup, c *candidate) bool {
	n := s.nodes[c.Agent]
	if (n == nil || !n.connected) && !s.dialling(c.Agent) && !s.dial(c.Peer) {
		return false
	}
	s.lastRequest++
	q := &query{request: s.lastRequest, agent: c.Agent, lookup: l, to: c, ends: s.now.Add(s.cfg.HopTimeout)}
	s.queries = append(s.queries, q)
	c.state = asked
	l.asked++
	l.open++
	if n != nil && n.connected {
		s.sendQuery(n, q)
	}
	return true
}

func (s *State) sendQuery(n *node, q *query) {
	q.sent = true
	s.send(n, findFrame(q.request, q.lookup.key, q.lookup.kind != 0))
}

// flushQueries sends what waited for the connection.
func (s *State) flushQueries(n *node) {
	for _, q := range s.queries {
		if q.agent == n.Agent && !q.sent {
			s.sendQuery(n, q)
		}
	}
}

// failQueries gives up what was asked of an agent.
func (s *State) failQueries(a identity.AgentID) {
	for _, q := range slices.Clone(s.queries) {
		if q.agent == a {
			s.endQuery(q, failed)
		}
	}
}

func (s *State) endQuery(q *query, state candidateState) {
	if !slices.Contains(s.queries, q) {
		return
	}
	s.queries = without(s.queries, q)
	q.to.state = state
	q.lookup.open--
	s.advance(q.lookup)
}

func (s *State) expireQueries() {
	for _, q := range slices.Clone(s.queries) {
		if s.now.Before(q.ends) {
			continue
		}
		s.stats.HopTimeouts++
		if n := s.nodes[q.agent]; n != nil && q.sent {
			n.silent = true // told to nobody until it is heard
		}
		s.endQuery(q, failed)
	}
	for _, l := range slices.Clone(s.lookups) {
		if !s.now.Before(l.ends) || !l.grace.IsZero() && !s.now.Before(l.grace) {
			s.endLookup(l)
		}
	}
}

func (s *State) queryOf(n *node, request uint32) *query {
	for _, q := range s.queries {
		if q.request == request && q.agent == n.Agent && q.sent {
			return q
		}
	}
	return nil
}

// handleRecord takes an announcement that was asked for.
func (s *State) handleRecord(n *node, request uint32, raw []byte) error {
	q := s.queryOf(n, request)
	if q == nil || q.lookup.kind == 0 || q.records >= maxRecords {
		s.stats.Ignored++ // late, or never asked for
		return nil
	}
	q.records++
	a, err := discovery.ParseAnnouncement(raw)
	if err != nil {
		return err
	}
	l := q.lookup
	if idOf(l.kind, a) != l.target {
		s.stats.BadRecords++
		return wire.Errorf(wire.KindAuth, "rendezvous record", "an announcement that was not asked for")
	}
	if err := s.cfg.Verify(a, s.now); err != nil {
		s.stats.BadRecords++
		return err
	}
	if l.grace.IsZero() {
		l.grace = s.now.Add(s.cfg.Grace)
	}
	for i, have := range l.found {
		if have.Agent == a.Agent && have.Machine == a.Machine {
			if a.Sequence > have.Sequence || a.Sequence == have.Sequence && len(a.Addrs) > len(have.Addrs) {
				l.found[i] = a
			}
			return nil
		}
	}
	l.found = append(l.found, a)
	return nil
}

// handleFound takes the peers that one knows of.
func (s *State) handleFound(n *node, request uint32, peers []Peer) {
	q := s.queryOf(n, request)
	if q == nil {
		s.stats.Ignored++
		return
	}
	n.proved = s.now
	for _, p := range peers {
		p = hint(p, n.seen)
		if len(p.Addrs) == 0 || p.Agent == s.cfg.Self || s.isBad(p.Agent) {
			continue
		}
		s.hear(p)
		s.addCandidate(q.lookup, p)
	}
	s.endQuery(q, answered)
}

func (s *State) endLookup(l *lookup) {
	if l.over {
		return
	}
	l.over = true
	s.lookups = without(s.lookups, l)
	for _, q := range slices.Clone(s.queries) {
		if q.lookup == l {
			s.queries = without(s.queries, q)
		}
	}
	if l.id == 0 {
		var near []*candidate
		for _, c := range l.candidates {
			if c.state == answered && len(near) < l.want {
				near = append(near, c)
			}
		}
		l.done(near)
		return
	}
	found := slices.DeleteFunc(l.found, func(a *discovery.Announcement) bool { return a.Expired(s.now) })
	slices.SortFunc(found, func(a, b *discovery.Announcement) int {
		if a.Newer(b) {
			return -1
		}
		return 1
	})
	if len(found) == 0 {
		s.stats.NotFound++
	}
	s.actions = append(s.actions, Action{Kind: Done, Lookup: l.id, Found: found})
}

// dial asks for a connection, if the pace of dials allows.
func (s *State) dial(p Peer) bool {
	if len(p.Addrs) == 0 || s.isBad(p.Agent) {
		return false
	}
	if !s.dialPace.take(1, dialEach, dialBurst, s.now) {
		s.stats.Limited++
		return false
	}
	s.stats.Dials++
	s.dials = append(s.dials, &dial{agent: p.Agent, ends: s.now.Add(s.cfg.DialTimeout)})
	p.Addrs = slices.Clone(p.Addrs)
	s.actions = append(s.actions, Action{Kind: Dial, Agent: p.Agent, Peer: p})
	return true
}

type dial struct {
	agent identity.AgentID
	ends  time.Time
}

func (s *State) dialling(a identity.AgentID) bool {
	return slices.ContainsFunc(s.dials, func(d *dial) bool { return d.agent == a })
}

func (s *State) endDial(a identity.AgentID) bool {
	for i, d := range s.dials {
		if d.agent == a {
			s.dials = slices.Delete(s.dials, i, i+1)
			return true
		}
	}
	return false
}
