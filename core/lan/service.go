package lan

import (
	"cmp"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/task"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	// firstQuery to lastQuery are the intervals of queries, each twice the one
	// before (RFC 6762 section 5.2). The last is a quarter of the lifetime of an
	// entry: two lost packets do not lose anybody. Interfaces are looked at with
	// each query.
	firstQuery = time.Second
	lastQuery  = lifetime / 4
	// answerGap is the least time between two answers on a link, whoever asks:
	// RFC 6762 section 6.
	answerGap = time.Second
	// Answers and first questions wait for a random time in between, so that
	// many agents do not speak at once (RFC 6762 section 6).
	leastDelay, mostDelay = 20 * time.Millisecond, 120 * time.Millisecond
	// maxLinks bounds sockets on a machine with hundreds of virtual interfaces:
	// 16 interfaces of both families.
	maxLinks = 32
	// readPause keeps a socket that only fails from becoming a busy loop.
	readPause = 100 * time.Millisecond
)

// Options say what to announce and where.
type Options struct {
	// NetworkID separates networks: only agents of the same one are found.
	NetworkID string
	// Machine and Port are what is announced: who answers where.
	Machine identity.MachineID
	Port    uint16
	// Interfaces returns where to announce and listen. It is called again every
	// half minute at least, and must not block. If nil, all interfaces that are
	// up, can multicast, and are not the loopback.
	Interfaces func() ([]net.Interface, error)
	// OnFound is called for each entry that is new, with the address that is, and
	// again when it has another port. Calls come from goroutines of the service,
	// one at a time; it must not block and must not call Close.
	OnFound func(Entry)
	// OnPanic receives a panic of the service's goroutines; if nil, it is raised
	// again.
	OnPanic func(name string, value any, stack []byte)
	// Logger receives what an operator may want to know; nil is silence.
	Logger *slog.Logger
}

// Stats counts packets and entries since Open. Signed fields are what is now.
type Stats struct {
	Received  uint64 // packets of neighbours
	Ignored   uint64 // of them: about other services or networks, or nothing new to say to
	Foreign   uint64 // packets that no neighbour sent to the group: not counted in Received
	Malformed uint64 // about this network and broken, or no DNS at all
	Refused   uint64 // entries beyond the bound, or the share of their address
	Throttled uint64 // entries that came too fast after others
	Found     uint64
	Goodbyes  uint64
	Answers   uint64 // packets sent
	Queries   uint64
	Failed    uint64 // packets that could not be sent
	ReadFails uint64
	Entries   int64 // addresses of agents
	Links     int64 // sockets
}

// Service announces one agent and knows its neighbours. Create it with [Open];
// it owns goroutines until [Service.Close].
type Service struct {
	opts    Options
	packets *packets
	log     *slog.Logger
	tasks   *task.Group

	wake    chan struct{} // capacity 1: an answer became due
	stop    chan struct{}
	closing sync.Once

	calls sync.Mutex // held during OnFound

	mu    sync.Mutex // guards what follows and the loop's part of links
	links map[linkID]*link
	table *table
	stats Stats
}

// Open starts to announce and to look. It fails with KindInvalidArgument for
// options that cannot work, KindUnsupported where there is no multicast interface
// or no mDNS on this platform, and KindIO if the system refused on all of them.
func Open(o Options) (*Service, error) {
	const op = "open lan"
	if o.Machine.IsZero() || o.Port == 0 {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "a machine id and a port are needed")
	}
	p, err := newPackets(o.NetworkID, o.Machine, o.Port)
	if err != nil {
		return nil, err
	}
	if o.Interfaces == nil {
		o.Interfaces = multicastInterfaces
	}
	s := &Service{
		opts:    o,
		packets: p,
		log:     cmp.Or(o.Logger, slog.New(slog.DiscardHandler)),
		tasks:   task.New(o.OnPanic),
		wake:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		links:   map[linkID]*link{},
		table:   newTable(),
	}
	if _, err := s.rescan(); len(s.links) == 0 {
		s.Close()
		if err == nil {
			return nil, wire.Errorf(wire.KindUnsupported, op, "no interface that can multicast is up")
		}
		return nil, wire.Errorf(kindOf(err), op, "no interface can be used: %w", err)
	}
	s.tasks.Go("lan", s.run)
	return s, nil
}

// multicastInterfaces is what Options.Interfaces is if not given.
func multicastInterfaces() ([]net.Interface, error) {
	all, err := net.Interfaces()
	const want = net.FlagUp | net.FlagMulticast
	return slices.DeleteFunc(all, func(i net.Interface) bool {
		return i.Flags&want != want || i.Flags&net.FlagLoopback != 0
	}), err
}

// Entries returns who is there now: who has been heard of in the last two minutes
// and has not said goodbye.
func (s *Service) Entries() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.entries(time.Now())
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Entries, st.Links = int64(len(s.table.of)), int64(len(s.links))
	return st
}

// Close says goodbye and waits for the service's goroutines: when it returns,
// OnFound does not run. Idempotent.
func (s *Service) Close() error {
	s.closing.Do(func() {
		close(s.stop)
		s.tasks.Close() // no new readers
		s.mu.Lock()
		for _, l := range s.links {
			s.answer(l, 0)
			l.conn.Close()
		}
		clear(s.links)
		s.mu.Unlock()
	})
	s.tasks.Wait()
	return nil
}

func (s *Service) closed() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// rescan opens links of interfaces that came and closes those of interfaces that
// left. It reports whether there are new ones, and the reasons of those that
// could not be opened.
func (s *Service) rescan() (fresh bool, err error) {
	list, err := s.opts.Interfaces()
	if err != nil {
		return false, wire.Errorf(wire.KindIO, "lan", "list the interfaces: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed() {
		return false, nil
	}
	for id, l := range s.links {
		if !slices.ContainsFunc(list, func(i net.Interface) bool { return i.Index == id.index }) {
			l.conn.Close() // which ends its reader
			delete(s.links, id)
		}
	}
	var problems []error
	for i := range list {
		addrs, err := list[i].Addrs()
		if err != nil { // it has left in between
			problems = append(problems, wire.Errorf(wire.KindIO, "lan", "addresses of %s: %w", list[i].Name, err))
			continue
		}
		for _, six := range []bool{false, true} {
			id := linkID{list[i].Index, six}
			addr, ok := firstAddr(addrs, six)
			if s.links[id] != nil || !ok || len(s.links) >= maxLinks {
				continue
			}
			l, err := openLink(&list[i], six, addr)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			if !s.tasks.Go("lan: read", func() { s.read(l) }) {
				l.conn.Close()
				return fresh, nil
			}
			// Announced twice: RFC 6762 section 8.3.
			l.announce, l.again = time.Now().Add(delay()), 1
			s.links[id] = l
			fresh = true
		}
	}
	return fresh, errors.Join(problems...)
}

func firstAddr(addrs []net.Addr, six bool) (netip.Addr, bool) {
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok && addr.Unmap().Is6() == six {
				return addr.Unmap(), true
			}
		}
	}
	return netip.Addr{}, false
}

func delay() time.Duration { return leastDelay + rand.N(mostDelay-leastDelay) }

// run asks and answers when it is time to.
func (s *Service) run() {
	interval := firstQuery
	query := time.Now().Add(delay())
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.wake:
		case <-timer.C:
		}
		now := time.Now()
		if !now.Before(query) {
			fresh, err := s.rescan()
			if err != nil {
				s.log.Debug("an interface is not used for LAN discovery", "error", err)
			}
			if fresh {
				interval = firstQuery
			}
			s.ask(now)
			query = now.Add(interval)
			interval = min(2*interval, lastQuery)
		}
		timer.Reset(time.Until(s.announce(now, query)))
	}
}

// ask sends a query on every link.
func (s *Service) ask(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.sweep(now)
	for id, l := range s.links {
		b, err := s.packets.query(s.table.known(now, id))
		s.send(l, b, err, &s.stats.Queries)
	}
}

// announce answers on every link where it is time to, and returns when it is
// again, or next if that is earlier.
func (s *Service) announce(now, next time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if l.announce.IsZero() {
			continue
		}
		if !now.Before(l.announce) {
			s.answer(l, lifetime)
			l.last, l.announce = now, time.Time{}
			if l.again > 0 {
				l.again--
				l.announce = now.Add(answerGap)
			}
		}
		if !l.announce.IsZero() && l.announce.Before(next) {
			next = l.announce
		}
	}
	return next
}

// answer sends the announcement, or with a ttl of zero the goodbye. Called with
// the lock held.
func (s *Service) answer(l *link, ttl time.Duration) {
	b, err := s.packets.answer(ttl, l.addr)
	s.send(l, b, err, &s.stats.Answers)
}

func (s *Service) send(l *link, b []byte, err error, counter *uint64) {
	if err == nil {
		err = l.write(b)
	}
	if err != nil {
		s.stats.Failed++
		s.log.Debug("sending mDNS", "interface", l.name, "error", err)
		return
	}
	*counter++
}

// read handles what comes on one link until its socket is closed.
func (s *Service) read(l *link) {
	b := make([]byte, maxPacket+1)
	for {
		n, from, ok, err := l.read(b)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			s.mu.Lock()
			s.stats.ReadFails++
			s.mu.Unlock()
			select {
			case <-s.stop:
				return
			case <-time.After(readPause):
			}
		case !ok:
			s.mu.Lock()
			s.stats.Foreign++
			s.mu.Unlock()
		default:
			m, err := s.packets.read(b[:n])
			if e, found := s.take(l.id, from, m, err, time.Now()); found && s.opts.OnFound != nil {
				s.tell(e)
			}
		}
	}
}

func (s *Service) tell(e Entry) {
	s.calls.Lock()
	defer s.calls.Unlock() // also if it panics
	s.opts.OnFound(e)
}

// take draws the consequences of a packet, and returns the entry that it brings.
func (s *Service) take(id linkID, from netip.Addr, m message, err error, now time.Time) (e Entry, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Received++
	switch {
	case err != nil:
		s.stats.Malformed++
	case m.asks:
		if l := s.links[id]; l != nil && l.announce.IsZero() {
			l.announce = now.Add(delay())
			if soonest := l.last.Add(answerGap); l.announce.Before(soonest) {
				l.announce = soonest
			}
			select {
			case s.wake <- struct{}{}:
			default:
			}
		}
	case !m.answers || m.machine == s.opts.Machine:
		s.stats.Ignored++
	case m.ttl == 0:
		if s.table.remove(sighting{m.machine, from}) {
			s.stats.Goodbyes++
		}
	default:
		isNew, full, fast := s.table.add(now, sighting{m.machine, from}, seen{m.port, now.Add(m.ttl), id})
		switch {
		case full:
			s.stats.Refused++
		case fast:
			s.stats.Throttled++
		case isNew:
			s.stats.Found++
			return Entry{Machine: m.machine, Addrs: []netip.AddrPort{netip.AddrPortFrom(from, m.port)}}, true
		}
	}
	return e, false
}
