package rendezvous

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/identity"
)

// publication is one key under which this agent is to be found.
type publication struct {
	kind    Kind
	key     Key
	next    time.Time // when to look for holders and store; while placing: zero, or sooner than in a pause
	placing bool
	pause   time.Duration
	holders []*holder
}

// holder is a peer that keeps an announcement of this agent.
type holder struct {
	Peer
	head    [32]byte // of the announcement that it keeps, zero: none
	kept    uint64   // the sequence of it
	request uint32
	pending bool
	whole   bool // the whole was sent for this request
}

// Publish makes a the announcement under which this agent is found: by its own
// id, its machine's, and its user's if it names one. It replaces the one before,
// at once. When it has lived for a third of its time, [Renew] asks for another.
func (s *State) Publish(a *discovery.Announcement, now time.Time) {
	s.begin(now)
	if a.Agent != s.cfg.Self {
		return
	}
	s.own = a
	s.renewAt = s.now.Add(s.third())
	for _, kind := range []Kind{Agent, Machine, User} {
		id := idOf(kind, a)
		i := slices.IndexFunc(s.publications, func(p *publication) bool { return p.kind == kind })
		if id == [32]byte{} { // the user is not disclosed any more: it expires
			if i >= 0 {
				s.publications = slices.Delete(s.publications, i, i+1)
			}
			continue
		}
		if key := KeyOf(kind, id); i < 0 || s.publications[i].key != key {
			p := &publication{kind: kind, key: key}
			if i < 0 {
				s.publications = append(s.publications, p)
			} else {
				s.publications[i] = p
			}
		}
	}
	for _, p := range s.publications {
		p.next = s.now
	}
	s.place()
}

// third of the time that the announcement has to live, ±10 %: one loss of a
// republishing, and another, and it is still found.
func (s *State) third() time.Duration {
	return s.jitter(s.own.ExpiresAt.Sub(s.own.IssuedAt)*3/10, 10)
}

// place looks for the holders of what is due.
func (s *State) place() {
	if s.own == nil {
		return
	}
	for _, p := range s.publications {
		if p.placing || s.now.Before(p.next) {
			continue
		}
		p.placing, p.next = true, time.Time{}
		l := &lookup{key: p.key, want: s.cfg.Holders}
		l.done = func(near []*candidate) { s.placed(p, near) }
		for _, h := range p.holders {
			s.addCandidate(l, h.Peer)
		}
		s.startLookup(l)
	}
}

// placed stores at the nearest that answered.
func (s *State) placed(p *publication, near []*candidate) {
	p.placing = false
	if s.own == nil || !slices.Contains(s.publications, p) {
		return // withdrawn meanwhile
	}
	var holders []*holder
	changed := false
	for _, c := range near {
		i := slices.IndexFunc(p.holders, func(h *holder) bool { return h.Agent == c.Agent })
		h := &holder{Peer: c.Peer}
		if i >= 0 {
			h = p.holders[i]
		}
		changed = changed || i < 0
		holders = append(holders, h)
	}
	for _, h := range p.holders {
		// Who keeps it no longer would answer with what is outdated.
		if n := s.nodes[h.Agent]; n != nil && n.connected && !slices.Contains(holders, h) {
			s.send(n, dropFrame(p.kind))
		}
	}
	p.holders = holders
	p.pause = s.pause(p.pause, changed || len(holders) == 0)
	if next := s.now.Add(s.jitter(p.pause, 10)); p.next.IsZero() || p.next.After(next) {
		p.next = next
	}
	for _, h := range holders {
		if h.head != [32]byte{} && h.kept == s.own.Sequence {
			continue
		}
		if n := s.nodes[h.Agent]; n != nil && n.connected {
			s.storeAt(n, p, h, false)
		}
	}
}

// pause is how long it takes until an agent looks again who is near to a key: a
// little while at first, and longer while nothing changes. A network that grows
// fast would else keep its announcements where they were first put.
func (s *State) pause(last time.Duration, changed bool) time.Duration {
	switch {
	case last == 0:
		return 2 * s.cfg.Repair
	case changed:
		return last
	}
	return min(2*last, s.cfg.Refresh)
}

// storeAt sends the announcement, or its tail to who has the head.
func (s *State) storeAt(n *node, p *publication, h *holder, whole bool) {
	raw := s.own.Scoped(n.seen).Marshal()
	head, tail := discovery.Split(raw)
	s.lastRequest++
	h.request, h.pending = s.lastRequest, true
	digest := sum(head)
	h.whole = whole || h.head != digest
	h.head, h.kept = digest, s.own.Sequence
	if h.whole {
		s.stats.Stores++
		s.send(n, storeFrame(h.request, p.kind, raw))
		return
	}
	s.stats.Renewals++
	s.send(n, renewFrame(h.request, p.kind, digest, tail))
}

func (s *State) handleStored(n *node, request uint32, st status) {
	for _, p := range s.publications {
		for _, h := range p.holders {
			if h.Agent != n.Agent || h.request != request || !h.pending {
				continue
			}
			h.pending = false
			switch {
			case st == statusKept:
			case st == statusWhole && !h.whole:
				s.storeAt(n, p, h, true)
			default:
				h.head = [32]byte{}
				s.stats.StoresRefused++
			}
			return
		}
	}
	s.stats.Ignored++
}

// Withdraw takes back what was published, from the holders that are connected; the
// others forget it in time.
func (s *State) Withdraw(now time.Time) {
	s.begin(now)
	for _, p := range s.publications {
		for _, h := range p.holders {
			if n := s.nodes[h.Agent]; n != nil && n.connected {
				s.send(n, dropFrame(p.kind))
			}
		}
		p.holders = nil
	}
	s.own, s.publications = nil, nil
}

// lostHolder has another one found for what a peer kept, and another neighbour.
func (s *State) lostHolder(a identity.AgentID) {
	soon := s.now.Add(s.jitter(s.cfg.Repair, 2))
	for _, p := range s.publications {
		for _, h := range p.holders {
			if h.Agent == a {
				h.head, h.pending = [32]byte{}, false
				if p.next.IsZero() || p.next.After(soon) {
					p.next = soon
				}
			}
		}
	}
	if slices.Contains(s.neighbours, a) {
		s.neighbours = without(s.neighbours, a)
		if s.refreshAt.After(soon) {
			s.refreshAt = soon
		}
	}
}

// refresh looks who is nearest to this agent.
func (s *State) refresh() {
	if s.refreshing || s.now.Before(s.refreshAt) {
		return
	}
	s.refreshing = true
	l := &lookup{key: Key(s.cfg.Self), want: s.cfg.Bucket}
	l.done = func(near []*candidate) {
		s.refreshing = false
		changed := len(near) == 0
		var neighbours []identity.AgentID
		for _, c := range near {
			changed = changed || !slices.Contains(s.neighbours, c.Agent)
			neighbours = append(neighbours, c.Agent)
		}
		s.neighbours = neighbours
		s.refreshPause = s.pause(s.refreshPause, changed)
		s.refreshAt = s.now.Add(s.jitter(s.refreshPause, 10))
		if s.refreshPause == s.cfg.Refresh {
			s.refreshBucket()
		}
	}
	s.startLookup(l)
}

// refreshBucket has a look at the nearest part of the space of which too little is
// known to tell others: without, those who ask for a key there would end here.
func (s *State) refreshBucket() {
	deepest := 0 // from here on the neighbours are all there are
	for i, a := range s.neighbours {
		if c := common(s.cfg.Self, a); i == 0 || c < deepest {
			deepest = c
		}
	}
	for b := range deepest {
		known := 0
		for _, n := range s.order {
			if n.listed && n.bucket == b && !n.silent && (n.connected || s.now.Sub(n.proved) < provedFor*3/4) {
				known++
			}
		}
		if known >= 2 {
			continue
		}
		key := Key(s.cfg.Self)
		key[b/8] ^= 0x80 >> (b % 8)
		for i := b + 1; i < 64; i++ { // any point there
			key[i/8] ^= byte(s.rnd.UintN(2)) << (7 - i%8)
		}
		s.startLookup(&lookup{key: key, want: 1, alpha: 1, done: func([]*candidate) {}})
		return
	}
}

// needed says whether the connection to a peer serves now or soon.
func (s *State) needed(n *node) bool {
	if slices.Contains(s.neighbours, n.Agent) || slices.ContainsFunc(s.queries, func(q *query) bool { return q.agent == n.Agent }) {
		return true
	}
	for _, p := range s.publications {
		if slices.ContainsFunc(p.holders, func(h *holder) bool { return h.Agent == n.Agent }) {
			return true
		}
	}
	return false
}

// releaseIdle gives up connections that were made for lookups that are over.
func (s *State) releaseIdle() {
	for _, n := range s.order {
		if !n.connected || !n.dialled || n.released || s.now.Sub(n.used) < s.cfg.IdleAfter || s.needed(n) {
			continue
		}
		n.released = true
		s.send(n, idleFrame())
		s.stats.Released++
		s.actions = append(s.actions, Action{Kind: Release, Agent: n.Agent})
	}
}

func sum(b []byte) [32]byte { return sha256.Sum256(b) }
