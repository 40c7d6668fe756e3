package revocation

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Set is what revocations an agent has.
type Set interface {
	// Add verifies a revocation and keeps it if it is worth it. It reports
	// whether it is kept and was not known before.
	Add(revocation []byte, now time.Time) (kept bool, err error)
	// Names returns the names of all that are kept.
	Names() []Name
	// Get returns one by its name.
	Get(Name) (revocation []byte, ok bool)
}

// Config are the parameters of a [State]. A zero field takes the default that
// stands beside it.
type Config struct {
	Set Set

	CompareEvery time.Duration // 10 min, ±10 %: how often a neighbour is compared with again
	AskTimeout   time.Duration // 5 s: so long one neighbour has to send what it named

	// Rate and Burst bound the new revocations that one neighbour may bring: one
	// each 10 s, 64 at once. Keys cost an attacker nothing, and so do their
	// revocations: without a bound, inventing them would be a flood through the
	// whole network. What is refused is asked for again at the next comparison.
	Rate  time.Duration
	Burst int
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&c.CompareEvery, 10*time.Minute)
	def(&c.AskTimeout, 5*time.Second)
	def(&c.Rate, 10*time.Second)
	if c.Burst <= 0 {
		c.Burst = 64
	}
	return c
}

const (
	// maxWanted bounds what is asked for at a time, in all; the rest waits for
	// the next comparison. It bounds what neighbours who name what does not exist
	// make us remember.
	maxWanted = 4096
	// maxNamers bounds of whom one revocation is asked.
	maxNamers = 4
	// serveBurst is how much is sent to one neighbour at once, and serveRate how
	// much in the long run: asking costs little, answering 7 KB.
	serveBurst = 1024
	serveRate  = 100 * time.Millisecond
)

// Action is a frame to be sent to a connected agent.
type Action struct {
	Agent identity.AgentID
	Frame []byte
}

// Stats are the counters of a [State] since it was made.
type Stats struct {
	Received  uint64 // revocations that came and were kept
	Known     uint64 // came, and were there or not worth keeping
	Refused   uint64 // came, and did not verify
	Sent      uint64 // revocations
	Asked     uint64 // names
	Limited   uint64 // names and revocations above what a neighbour may bring or take
	BadFrames uint64 // do not parse, or of an unknown type
	Strangers uint64 // from an agent that is no neighbour
}

// peer is a neighbour.
type peer struct {
	id      identity.AgentID
	compare time.Time // when it is compared with again
	brought allowance // new revocations, see Config.Rate
	served  allowance
}

// wanted is a revocation that was named and has not come.
type wanted struct {
	namers []identity.AgentID // who may be asked, the one who is asked now first
	due    time.Time
}

// State makes what is kept here and at the neighbours the same.
type State struct {
	cfg     Config
	peers   []*peer
	wanted  map[Name]*wanted
	order   []Name // of wanted
	actions []Action
	stats   Stats
}

// New returns a State without neighbours.
func New(cfg Config) *State {
	return &State{cfg: cfg.withDefaults(), wanted: make(map[Name]*wanted)}
}

// Take returns what is to be sent since the last call, in order.
func (s *State) Take() []Action {
	a := s.actions
	s.actions = nil
	return a
}

// Stats returns the counters.
func (s *State) Stats() Stats { return s.stats }

func (s *State) send(to identity.AgentID, frames ...[]byte) {
	for _, f := range frames {
		s.actions = append(s.actions, Action{to, f})
	}
}

func (s *State) peer(id identity.AgentID) *peer {
	if i := slices.IndexFunc(s.peers, func(p *peer) bool { return p.id == id }); i >= 0 {
		return s.peers[i]
	}
	return nil
}

// PeerUp tells of a neighbour, or of a new connection to one.
func (s *State) PeerUp(id identity.AgentID, now time.Time) {
	p := s.peer(id)
	if p == nil {
		p = &peer{id: id}
		s.peers = append(s.peers, p)
	}
	s.compareWith(p, now)
}

// PeerDown tells that one is gone. What it was asked for, the next is.
func (s *State) PeerDown(id identity.AgentID, now time.Time) {
	s.peers = slices.DeleteFunc(s.peers, func(p *peer) bool { return p.id == id })
	for _, name := range slices.Clone(s.order) {
		w := s.wanted[name]
		asked := w.namers[0] == id
		w.namers = slices.DeleteFunc(w.namers, func(o identity.AgentID) bool { return o == id })
		if len(w.namers) == 0 {
			s.found(name)
		} else if asked {
			s.ask(name, w, now)
		}
	}
}

// Added tells of a revocation that did not come through here: made or imported
// by this agent.
func (s *State) Added(name Name) { s.announce(name, identity.AgentID{}) }

func (s *State) announce(name Name, except identity.AgentID) {
	for _, p := range s.peers {
		if p.id != except {
			s.send(p.id, nameFrames(frameHave, []Name{name})...)
		}
	}
}

func (s *State) compareWith(p *peer, now time.Time) {
	// Spread by the id, so that neighbours are not all compared with at once.
	jitter := time.Duration(int64(p.id[0])-128) * s.cfg.CompareEvery / 1280
	p.compare = now.Add(s.cfg.CompareEvery + jitter)
	s.send(p.id, summaryFrame(summary(s.cfg.Set.Names()), true))
}

// summary is the hash of all names.
func summary(names []Name) Name {
	names = slices.Clone(names)
	slices.SortFunc(names, func(a, b Name) int { return bytes.Compare(a[:], b[:]) })
	h := sha256.New()
	for i := range names {
		h.Write(names[i][:])
	}
	return Name(h.Sum(nil))
}

// Tick does what is due.
func (s *State) Tick(now time.Time) {
	for _, p := range s.peers {
		if !now.Before(p.compare) {
			s.compareWith(p, now)
		}
	}
	for _, name := range slices.Clone(s.order) {
		w := s.wanted[name]
		if now.Before(w.due) {
			continue
		}
		if w.namers = w.namers[1:]; len(w.namers) == 0 {
			s.found(name)
		} else {
			s.ask(name, w, now)
		}
	}
}

// NextTick is when Tick should be called next, zero if never. Any input can
// change it.
func (s *State) NextTick() (next time.Time) {
	earlier := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, p := range s.peers {
		earlier(p.compare)
	}
	for _, w := range s.wanted {
		earlier(w.due)
	}
	return next
}

func (s *State) ask(name Name, w *wanted, now time.Time) {
	w.due = now.Add(s.cfg.AskTimeout)
	s.stats.Asked++
	s.send(w.namers[0], nameFrames(frameWant, []Name{name})...)
}

func (s *State) found(name Name) {
	if _, ok := s.wanted[name]; ok {
		delete(s.wanted, name)
		s.order = slices.DeleteFunc(s.order, func(o Name) bool { return o == name })
	}
}

// HandleFrame takes a frame of a neighbour. An error means that it is not one of
// this protocol; the sender is at fault, and nothing else happens.
func (s *State) HandleFrame(from identity.AgentID, frame []byte, now time.Time) error {
	p := s.peer(from)
	if p == nil {
		s.stats.Strangers++
		return nil
	}
	err := s.handle(p, frame, now)
	if err != nil {
		s.stats.BadFrames++
	}
	return err
}

func (s *State) handle(p *peer, frame []byte, now time.Time) error {
	const op = "handle revocation frame"
	if len(frame) == 0 || len(frame) > max(1+MaxSize, 1+maxNames*len(Name{})) {
		return wire.Errorf(wire.KindTooLarge, op, "%d bytes", len(frame))
	}
	switch body := frame[1:]; frameType(frame[0]) {
	case frameSummary:
		return s.handleSummary(p, body)
	case frameHave:
		return s.handleHave(p, body, now)
	case frameWant:
		return s.handleWant(p, body, now)
	case frameRevocation:
		return s.handleRevocation(p, body, now)
	}
	return wire.Errorf(wire.KindUnsupported, op, "frame type %#x", frame[0])
}

func (s *State) handleSummary(p *peer, body []byte) error {
	theirs, ask, err := parseSummary(body)
	if err != nil {
		return err
	}
	names := s.cfg.Set.Names()
	ours := summary(names)
	if ours == theirs {
		return nil
	}
	s.send(p.id, nameFrames(frameHave, names)...)
	if ask {
		s.send(p.id, summaryFrame(ours, false)) // now name yours
	}
	return nil
}

func (s *State) handleHave(p *peer, body []byte, now time.Time) error {
	names, err := parseNames(body)
	if err != nil {
		return err
	}
	var ask []Name
	for _, name := range names {
		if _, ok := s.cfg.Set.Get(name); ok {
			continue
		}
		if w := s.wanted[name]; w != nil {
			if len(w.namers) < maxNamers && !slices.Contains(w.namers, p.id) {
				w.namers = append(w.namers, p.id)
			}
			continue
		}
		if len(s.wanted) >= maxWanted || !p.brought.take(s.cfg.Rate, s.cfg.Burst, now) {
			s.stats.Limited++
			continue
		}
		s.wanted[name] = &wanted{namers: []identity.AgentID{p.id}, due: now.Add(s.cfg.AskTimeout)}
		s.order = append(s.order, name)
		ask = append(ask, name)
	}
	s.stats.Asked += uint64(len(ask))
	s.send(p.id, nameFrames(frameWant, ask)...)
	return nil
}

func (s *State) handleWant(p *peer, body []byte, now time.Time) error {
	names, err := parseNames(body)
	if err != nil {
		return err
	}
	for _, name := range names {
		r, ok := s.cfg.Set.Get(name)
		if !ok {
			continue
		}
		if !p.served.take(serveRate, serveBurst, now) {
			s.stats.Limited++
			continue
		}
		s.stats.Sent++
		s.send(p.id, revocationFrame(r))
	}
	return nil
}

// handleRevocation takes only what was asked for: all that comes has been counted
// against its neighbour before it is verified.
func (s *State) handleRevocation(p *peer, body []byte, now time.Time) error {
	name := NameOf(body)
	w := s.wanted[name]
	if w == nil {
		s.stats.Limited++
		return nil
	}
	s.found(name)
	kept, err := s.cfg.Set.Add(slices.Clone(body), now)
	switch {
	case err != nil:
		s.stats.Refused++
		return err
	case !kept:
		s.stats.Known++
	default:
		s.stats.Received++
		s.announce(name, p.id)
	}
	return nil
}

// allowance is a bucket: one per interval, and burst at once after a rest.
type allowance struct{ rested time.Time }

func (a *allowance) take(interval time.Duration, burst int, now time.Time) bool {
	if a.rested.Before(now) {
		a.rested = now
	}
	if a.rested.Sub(now) > time.Duration(burst-1)*interval {
		return false
	}
	a.rested = a.rested.Add(interval)
	return true
}
