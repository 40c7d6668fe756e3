package discovery

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// ErrReplayed is why an announcement is refused that is not newer than what was
// heard of the same agent on the same machine. It comes in an error of wire.KindAuth.
var ErrReplayed = errors.New("it is not newer than what is known")

// CacheConfig are the parameters of a [Cache].
type CacheConfig struct {
	// Size is how many agents are remembered: 4,096.
	Size int
	// Contact says who is a contact: nobody, if nil. Strangers never push them out.
	Contact func(identity.AgentID) bool
	// Verify checks an announcement: [Announcement.Verify], if nil.
	Verify func(*Announcement, time.Time) error
}

// Cache remembers what agents announced of themselves, each verified. It is
// bounded: of strangers, those make room whose teller told of most, and one
// teller's address has an eighth of the room at most, so nobody can use it up by
// inventing agents. What has expired is never returned. Methods are safe for
// concurrent use.
type Cache struct {
	cfg CacheConfig

	mu       sync.Mutex
	entries  map[identity.AgentID]*known
	byPrefix map[netip.Prefix]int // strangers, by who told of them
	stats    CacheStats
}

// CacheStats are the counters of a Cache; Agents is no counter.
type CacheStats struct {
	Added     uint64 // new or newer, kept
	Widened   uint64 // known, but with addresses that were not shown before
	Malformed uint64 // no announcement
	Versions  uint64 // of another version, older or newer
	Forged    uint64 // signatures that do not hold, or claims that contradict each other
	Replayed  uint64
	Expired   uint64
	Future    uint64 // dated more than a minute ahead
	Refused   uint64 // strangers for whom there was no room
	Evicted   uint64
	Conflicts uint64
	Agents    int
}

// Conflict is one agent that is announced from two machines at once: its key is
// in two places, by mistake or by theft.
type Conflict struct {
	Agent  identity.AgentID
	Routed identity.MachineID // of the newer announcement, which is believed
	Other  identity.MachineID
}

// known is what is known of an agent.
type known struct {
	best    *Announcement
	rival   *Announcement // from another machine, if there is one that has not expired
	from    netip.Prefix
	contact bool
	added   time.Time
	// until is when the last of all that was accepted expires: forgotten before, an
	// older one that was to live longer could come back.
	until time.Time
}

// over reports whether nothing of it is valid any more.
func (k *known) over(now time.Time) bool {
	return !now.Before(k.until)
}

// live returns the announcement to route by, nil if all have expired.
func (k *known) live(now time.Time) *Announcement {
	if !k.best.Expired(now) {
		return k.best
	}
	if k.rival != nil && !k.rival.Expired(now) {
		return k.rival
	}
	return nil
}

// NewCache returns an empty cache.
func NewCache(c CacheConfig) *Cache {
	if c.Size <= 0 {
		c.Size = 4096
	}
	if c.Contact == nil {
		c.Contact = func(identity.AgentID) bool { return false }
	}
	if c.Verify == nil {
		c.Verify = (*Announcement).Verify
	}
	return &Cache{cfg: c, entries: make(map[identity.AgentID]*known), byPrefix: make(map[netip.Prefix]int)}
}

// AddBytes is Add of an announcement in binary form.
func (c *Cache) AddBytes(b []byte, from netip.Addr, now time.Time) (*Announcement, *Conflict, error) {
	a, err := ParseAnnouncement(b)
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if wire.KindOf(err) == wire.KindUnsupported {
			c.stats.Versions++
		} else {
			c.stats.Malformed++
		}
		return nil, nil, err
	}
	conflict, err := c.Add(a, from, now)
	return a, conflict, err
}

// Add verifies an announcement that came from an address (not valid: not from
// the network) and keeps it. The conflict is not nil if the agent is on another
// machine as well, also with an error [ErrReplayed]. Errors are those of
// [Announcement.Verify], [ErrReplayed], and wire.KindLimit if there is no room.
func (c *Cache) Add(a *Announcement, from netip.Addr, now time.Time) (*Conflict, error) {
	const op = "add announcement"
	if err := c.cfg.Verify(a, now); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case errors.Is(err, identity.ErrExpired):
			c.stats.Expired++
		case errors.Is(err, identity.ErrFutureDated):
			c.stats.Future++
		default:
			c.stats.Forged++
		}
		return nil, err
	}
	contact := c.cfg.Contact(a.Agent)
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.entries[a.Agent]
	if k == nil {
		k = &known{from: prefixOf(from), contact: contact, added: now, best: a, until: a.ExpiresAt}
		if !c.makeRoom(k, now) {
			c.stats.Refused++
			return nil, wire.Errorf(wire.KindLimit, op, "no room for strangers")
		}
		c.entries[a.Agent] = k
		if !contact {
			c.byPrefix[k.from]++
		}
		c.stats.Added++
		return nil, nil
	}
	if k.contact != contact { // it became one, or ceased to be one
		if k.contact = contact; contact {
			c.forgetPrefix(k.from)
		} else {
			c.byPrefix[k.from]++
		}
	}
	return c.update(k, a, now)
}

// update takes news of a known agent.
func (c *Cache) update(k *known, a *Announcement, now time.Time) (*Conflict, error) {
	if k.rival != nil && k.rival.Expired(now) {
		k.rival = nil
	}
	same := &k.best // what was said of the same machine
	if k.best.Machine != a.Machine {
		same = &k.rival
	}
	switch old := *same; {
	case old == nil: // another machine
		if k.best.Expired(now) {
			k.best, k.until = a, later(k.until, a.ExpiresAt)
			c.stats.Added++
			return nil, nil
		}
		k.rival = a
	case old.Machine != a.Machine: // a third machine: the newest two are remembered
		if old.Newer(a) {
			c.stats.Replayed++
			return c.conflict(k, now), replayed()
		}
		k.rival = a
	case a.Sequence == old.Sequence:
		merged := old.merge(a)
		if merged == old {
			c.stats.Replayed++
			return c.conflict(k, now), replayed()
		}
		c.stats.Widened++
		*same = merged
		return c.conflict(k, now), nil
	case a.Sequence < old.Sequence:
		c.stats.Replayed++
		return c.conflict(k, now), replayed()
	default:
		*same = a
	}
	k.until = later(k.until, a.ExpiresAt)
	if k.rival != nil && k.rival.Newer(k.best) {
		k.best, k.rival = k.rival, k.best
	}
	c.stats.Added++
	return c.conflict(k, now), nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func replayed() error {
	return wire.Errorf(wire.KindAuth, "add announcement", "%w", ErrReplayed)
}

func (c *Cache) conflict(k *known, now time.Time) *Conflict {
	if k.rival == nil || k.rival.Expired(now) || k.best.Expired(now) {
		return nil
	}
	c.stats.Conflicts++
	return &Conflict{Agent: k.best.Agent, Routed: k.best.Machine, Other: k.rival.Machine}
}

// makeRoom sees to it that there is room for k, or says that there is none.
func (c *Cache) makeRoom(k *known, now time.Time) bool {
	share := max(1, c.cfg.Size/8)
	if !k.contact && c.byPrefix[k.from] >= share && !c.evict(now, func(e *known) bool { return !e.contact && e.from == k.from }) {
		return false
	}
	if len(c.entries) < c.cfg.Size {
		return true
	}
	most, n := netip.Prefix{}, 0
	for p, count := range c.byPrefix {
		if count > n || count == n && n > 0 && p.String() < most.String() {
			most, n = p, count
		}
	}
	switch {
	case n > 0 && (k.contact || n > 1 || k.from != most):
		return c.evict(now, func(e *known) bool { return !e.contact && e.from == most })
	case k.contact: // contacts alone fill it
		return c.evict(now, func(e *known) bool { return true })
	}
	return false
}

// evict forgets one of those that match: one that has expired, or the one that
// was learnt first.
func (c *Cache) evict(now time.Time, match func(*known) bool) bool {
	var worst *known
	for _, e := range c.entries {
		if !match(e) {
			continue
		}
		if worst == nil || worse(e, worst, now) {
			worst = e
		}
	}
	if worst == nil {
		return false
	}
	c.remove(worst)
	c.stats.Evicted++
	return true
}

func worse(e, than *known, now time.Time) bool {
	if a, b := e.over(now), than.over(now); a != b {
		return a
	}
	if !e.added.Equal(than.added) {
		return e.added.Before(than.added)
	}
	return e.best.Agent.Compare(than.best.Agent) < 0
}

func (c *Cache) remove(k *known) {
	delete(c.entries, k.best.Agent)
	if !k.contact {
		c.forgetPrefix(k.from)
	}
}

func (c *Cache) forgetPrefix(p netip.Prefix) {
	if c.byPrefix[p]--; c.byPrefix[p] <= 0 {
		delete(c.byPrefix, p)
	}
}

// Sweep forgets what has expired.
func (c *Cache) Sweep(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.entries {
		if k.over(now) {
			c.remove(k)
		}
	}
}

// Forget drops an agent, one that was revoked for example.
func (c *Cache) Forget(id identity.AgentID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.entries[id]; k != nil {
		c.remove(k)
	}
}

// Agent returns what an agent announced, nil if nothing is known that is valid.
func (c *Cache) Agent(id identity.AgentID, now time.Time) *Announcement {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.entries[id]; k != nil {
		return k.live(now)
	}
	return nil
}

// MachineForAgent returns where an agent is.
func (c *Cache) MachineForAgent(id identity.AgentID, now time.Time) (identity.MachineID, bool) {
	if a := c.Agent(id, now); a != nil {
		return a.Machine, true
	}
	return identity.MachineID{}, false
}

// Agents returns all that are valid, by agent id.
func (c *Cache) Agents(now time.Time) []*Announcement {
	return c.list(now, func(*Announcement) bool { return true })
}

// Machine returns the agents on a machine, by agent id.
func (c *Cache) Machine(id identity.MachineID, now time.Time) []*Announcement {
	return c.list(now, func(a *Announcement) bool { return a.Machine == id })
}

// ByUser returns the agents of a user who discloses it, by agent id.
func (c *Cache) ByUser(id identity.UserID, now time.Time) []*Announcement {
	return c.list(now, func(a *Announcement) bool { return !id.IsZero() && a.User == id })
}

// Machines returns the machines of all agents, in order.
func (c *Cache) Machines(now time.Time) []identity.MachineID {
	var list []identity.MachineID
	for _, a := range c.Agents(now) {
		list = append(list, a.Machine)
	}
	slices.SortFunc(list, identity.MachineID.Compare)
	return slices.Compact(list)
}

func (c *Cache) list(now time.Time, match func(*Announcement) bool) []*Announcement {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []*Announcement
	for _, k := range c.entries {
		if a := k.live(now); a != nil && match(a) {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b *Announcement) int { return a.Agent.Compare(b.Agent) })
	return list
}

// Stats returns the counters.
func (c *Cache) Stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Agents = len(c.entries)
	return s
}

// prefixOf is what one teller gets cheaply in any number of ids: an IPv4 address
// or an IPv6 /64.
func prefixOf(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	if !a.IsValid() {
		return netip.Prefix{}
	}
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
