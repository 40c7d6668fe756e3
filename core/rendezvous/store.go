package rendezvous

import (
	"net/netip"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/discovery"
)

// record is an announcement of another agent, kept for it under one key.
type record struct {
	key    Key
	a      *discovery.Announcement
	size   int
	origin netip.Prefix // of who stored it; zero: exempt
}

// store is bounded in bytes. What is nearest to this agent stays.
type store struct {
	byKey map[Key][]*record
	list  []*record // all, in the order of arrival
	bytes int
}

// recordCost is what a record takes beside its bytes.
const recordCost = 512

func (t *store) remove(r *record) {
	t.list = without(t.list, r)
	if rest := without(t.byKey[r.key], r); len(rest) > 0 {
		t.byKey[r.key] = rest
	} else {
		delete(t.byKey, r.key)
	}
	t.bytes -= r.size
}

func (t *store) add(r *record) {
	t.list = append(t.list, r)
	t.byKey[r.key] = append(t.byKey[r.key], r)
	t.bytes += r.size
}

func (t *store) sweep(now time.Time) {
	for _, r := range slices.Clone(t.list) {
		if r.a.Expired(now) {
			t.remove(r)
		}
	}
}

// live are the records of a key that have not expired: a holder never answers
// with anything else.
func (t *store) live(key Key, now time.Time) (list []*record) {
	for _, r := range t.byKey[key] {
		if !r.a.Expired(now) {
			list = append(list, r)
		}
	}
	return list
}

func without[T comparable](list []T, x T) []T {
	if i := slices.Index(list, x); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// handleStore takes the announcement of the peer itself. Nobody stores those of
// others, so a peer has three records here at most and cannot bring back old ones.
func (s *State) handleStore(n *node, kind Kind, raw []byte) status {
	a, err := discovery.ParseAnnouncement(raw)
	if err != nil {
		s.stats.BadRecords++
		return statusRefused
	}
	id := idOf(kind, a)
	if a.Agent != n.Agent || a.Machine != n.Machine || id == [32]byte{} {
		s.stats.NotTheirs++
		return statusRefused
	}
	key := KeyOf(kind, id)
	var old *record
	for _, r := range s.store.byKey[key] {
		if r.a.Agent == a.Agent && r.a.Machine == a.Machine {
			old = r
		}
	}
	if old != nil && a.Sequence < old.a.Sequence && !old.a.Expired(s.now) {
		s.stats.Stale++
		return statusStale
	}
	if err := s.cfg.Verify(a, s.now); err != nil {
		s.stats.BadRecords++
		return statusRefused
	}
	r := &record{key: key, a: a, size: len(raw) + recordCost, origin: n.origin}
	if old != nil {
		s.store.remove(old)
	}
	if !s.fits(r) {
		s.stats.StoreFull++
		return statusFull
	}
	s.store.add(r)
	s.stats.Kept++
	if kind == Agent {
		for _, other := range s.store.live(key, s.now) {
			if other.a.Machine != a.Machine {
				s.stats.ConflictsTold++
				s.send(n, conflictFrame(other.a.Scoped(n.seen)))
			}
		}
	}
	return statusKept
}

// fits makes room for a record, at the expense of those that are farther from
// this agent. The records of one key are bounded, and those of one address have
// an eighth of the room: ids that are near to this agent cost an attacker time,
// but no addresses.
func (s *State) fits(r *record) bool {
	if same := s.store.byKey[r.key]; len(same) >= s.cfg.KeyRecords {
		first := slices.MinFunc(same, func(a, b *record) int { return a.a.ExpiresAt.Compare(b.a.ExpiresAt) })
		s.store.remove(first)
		s.stats.StoreEvicted++
	}
	if r.origin.IsValid() {
		of := r.size
		for _, o := range s.store.list {
			if o.origin == r.origin {
				of += o.size
			}
		}
		if of > s.cfg.StoreBytes/8 {
			return false
		}
	}
	for s.store.bytes+r.size > s.cfg.StoreBytes {
		var far *record
		for _, o := range s.store.list {
			if o.a.Expired(s.now) {
				far = o
				break
			}
			if nearer(Key(s.cfg.Self), r.key, o.key) && (far == nil || nearer(Key(s.cfg.Self), far.key, o.key)) {
				far = o
			}
		}
		if far == nil {
			return false
		}
		s.store.remove(far)
		s.stats.StoreEvicted++
	}
	return true
}

// handleRenew is handleStore of an announcement of which the head is here.
func (s *State) handleRenew(n *node, kind Kind, head [32]byte, tail []byte) status {
	for _, r := range s.store.list {
		if r.a.Agent != n.Agent || r.a.Machine != n.Machine {
			continue
		}
		have, _ := discovery.Split(r.a.Marshal())
		if sum(have) == head {
			return s.handleStore(n, kind, append(have, tail...))
		}
	}
	return statusWhole
}

// handleDrop forgets what the peer itself has stored.
func (s *State) handleDrop(n *node, kind Kind) {
	for _, r := range slices.Clone(s.store.list) {
		if r.a.Agent == n.Agent && r.a.Machine == n.Machine && r.key == KeyOf(kind, idOf(kind, r.a)) {
			s.store.remove(r)
		}
	}
}

// handleFind answers with what is stored under a key, and who is near to it.
func (s *State) handleFind(n *node, request uint32, key Key, records bool) {
	if records {
		for _, r := range s.store.live(key, s.now) {
			if !n.budget.take(1, paceEach, paceBurst, s.now) {
				s.stats.Limited++
				break
			}
			s.send(n, recordFrame(request, r.a.Scoped(n.seen)))
		}
	}
	s.send(n, foundFrame(request, s.tellable(key, n)))
}
