package trust

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/store"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Bounds of [Revocations]. Anyone can make keys and revoke them, so what
// concerns no contact has a small room of its own, in which the least recently
// needed goes first; it can never push out a revocation of a contact.
const (
	MaxRevocations        = 4096 // all together
	MaxForeignRevocations = 1024 // of what is no contact's, and not kept by the user
)

// evictedAtOnce makes the search for what may go cheap per revocation, also in
// a flood.
const evictedAtOnce = MaxForeignRevocations / 8

// Revocations are the revocations that were proven, of agents, machines and
// certificates. [Store.Evaluate] rejects for ever whom they revoke.
//
// What was proven counts at once, even if the disk refuses to keep it. A
// revocation of a contact, or by the user, is on disk when the call returns;
// others, which strangers could send without end, are written with the next of
// those or by Flush.
type Revocations struct {
	contacts *Store
	file     *store.File // nil: in memory only

	writing sync.Mutex // held through each change, taken before mu
	closed  bool       // under writing

	mu    sync.RWMutex // guards what follows; written under writing too
	kept  map[fact]*kept
	dirty bool // memory has what the file does not

	uses    atomic.Uint64 // a clock that ticks with each use
	evicted atomic.Uint64
	changes listeners[Revoked]
}

// Revoked is what a revocation says.
type Revoked struct {
	Subject identity.RevocationSubject
	ID      [identity.IDSize]byte // of the agent or machine, or the digest of the certificate
	Reason  string                // a stranger's text
	At      time.Time
	Signer  [identity.IDSize]byte // whose key has signed: the subject itself, or a user
}

// fact is what a revocation is about. One of each is kept: the first.
type fact struct {
	subject identity.RevocationSubject
	id      [identity.IDSize]byte
}

func (r *Revoked) fact() fact { return fact{r.Subject, r.ID} }

type kept struct {
	Revoked
	proof []byte // the signed form; parsed it would take 40 KiB
	own   bool   // kept because the user said so
	used  atomic.Uint64
}

func newRevocations(contacts *Store) *Revocations {
	return &Revocations{contacts: contacts, kept: make(map[fact]*kept)}
}

// NewRevocations returns a set that lives in memory and decides for contacts.
func NewRevocations(contacts *Store) *Revocations {
	r := newRevocations(contacts)
	contacts.signed.Store(r)
	return r
}

// Agent reports whether an agent was revoked.
func (r *Revocations) Agent(id identity.AgentID) bool { return r.has(fact{identity.RevokeAgent, id}) }

// Machine reports whether a machine was revoked.
func (r *Revocations) Machine(id identity.MachineID) bool {
	return r.has(fact{identity.RevokeMachine, id})
}

// Certificate reports whether the certificate of this digest was revoked.
func (r *Revocations) Certificate(digest [32]byte) bool {
	return r.has(fact{identity.RevokeCertificate, digest})
}

// has also notes the use, which keeps what is needed from being evicted.
func (r *Revocations) has(f fact) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.kept[f]
	if ok {
		k.used.Store(r.uses.Add(1))
	}
	return ok
}

// List returns what is revoked, oldest first.
func (r *Revocations) List() []Revoked {
	r.mu.RLock()
	list := make([]Revoked, 0, len(r.kept))
	for _, k := range r.kept {
		list = append(list, k.Revoked)
	}
	r.mu.RUnlock()
	slices.SortFunc(list, func(a, b Revoked) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Subject, b.Subject), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return list
}

// All returns the signed forms, for those who have not heard, in no order. The
// caller does not change them.
func (r *Revocations) All() [][]byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := make([][]byte, 0, len(r.kept))
	for _, k := range r.kept {
		list = append(list, k.proof)
	}
	return list
}

// Evicted returns how many were given up for want of room: see [MaxForeignRevocations].
func (r *Revocations) Evicted() uint64 { return r.evicted.Load() }

// OnRevoke calls fn with each new revocation, as [Store.OnChange] does, which
// tells of revoked agents and of the contacts of revoked machines as well.
func (r *Revocations) OnRevoke(fn func(Revoked)) (cancel func()) { return r.changes.add(fn) }

// add keeps what was proven, and reports whether it is new.
func (r *Revocations) add(what Revoked, proof []byte, own bool) (isNew bool, err error) {
	if isNew, err = r.keep(what, proof, own); !isNew {
		return false, err
	}
	switch what.Subject {
	case identity.RevokeAgent:
		r.contacts.changes.tell(what.ID)
	case identity.RevokeMachine:
		for _, agent := range r.contacts.agentsOn(what.ID) {
			r.contacts.changes.tell(agent)
		}
	}
	r.changes.tell(what)
	return true, err
}

func (r *Revocations) keep(what Revoked, proof []byte, own bool) (isNew bool, err error) {
	const op = "keep revocation"
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.closed {
		return false, wire.Errorf(wire.KindClosed, op, "the revocations are closed")
	}
	if old, ok := r.kept[what.fact()]; ok {
		if !own || old.own {
			return false, nil
		}
		r.mu.Lock()
		old.own = true
		r.dirty = true
		r.mu.Unlock()
		return false, r.flush(op)
	}
	k := &kept{Revoked: what, proof: proof, own: own}
	k.used.Store(r.uses.Add(1))
	foreign := !own && !r.contacts.knows(what.fact())
	if err := r.makeRoom(op, foreign); err != nil {
		return false, err
	}
	r.mu.Lock()
	r.kept[what.fact()] = k
	r.dirty = true
	r.mu.Unlock()
	if foreign {
		return true, nil
	}
	return true, r.flush(op)
}

// makeRoom evicts foreign revocations if one more, foreign or not, would be too
// many. Who is a contact is asked now, for it may not have been one before.
func (r *Revocations) makeRoom(op string, oneForeign bool) error {
	full := len(r.kept) >= MaxRevocations // mu is not needed to read: only holders of writing change the set
	if !full && (!oneForeign || len(r.kept) < MaxForeignRevocations) {
		return nil
	}
	circle := r.contacts.circle()
	var foreign []*kept
	for f, old := range r.kept {
		if !old.own && !circle[f] {
			foreign = append(foreign, old)
		}
	}
	if !full && len(foreign) < MaxForeignRevocations {
		return nil
	}
	if len(foreign) == 0 {
		return wire.Errorf(wire.KindLimit, op, "there are %d revocations", MaxRevocations)
	}
	slices.SortFunc(foreign, func(a, b *kept) int { return cmp.Compare(a.used.Load(), b.used.Load()) })
	gone := foreign[:min(len(foreign), evictedAtOnce)]
	r.mu.Lock()
	for _, old := range gone {
		delete(r.kept, old.fact())
	}
	r.mu.Unlock()
	r.evicted.Add(uint64(len(gone)))
	return nil
}

// Flush writes what is not on disk yet; nothing without a file.
func (r *Revocations) Flush() error {
	r.writing.Lock()
	defer r.writing.Unlock()
	return r.flush("flush revocations")
}

// Close is Flush, and the end of changes: they fail with [wire.KindClosed] from
// now on. Questions are answered as before. A second Close does nothing.
func (r *Revocations) Close() error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	return r.flush("close revocations")
}

// flush writes the file if it is out of date. The caller holds r.writing.
func (r *Revocations) flush(op string) error {
	if !r.dirty || r.file == nil {
		return nil
	}
	list := slices.SortedFunc(maps.Values(r.kept), func(a, b *kept) int { return cmp.Compare(a.used.Load(), b.used.Load()) })
	if err := r.file.Write(marshalRevocations(list)); err != nil {
		return wire.Errorf(wire.KindOf(err), op, "%w", err)
	}
	r.mu.Lock()
	r.dirty = false
	r.mu.Unlock()
	return nil
}

// knows reports whether a revocation concerns a contact or a machine of one. That
// of a certificate does not: anyone can certify any agent, and take it back.
func (s *Store) knows(f fact) bool {
	switch f.subject {
	case identity.RevokeAgent:
		s.mu.RLock()
		defer s.mu.RUnlock()
		_, ok := s.contacts[f.id]
		return ok
	case identity.RevokeMachine:
		return len(s.agentsOn(f.id)) > 0
	}
	return false
}

// circle is all that knows says yes to.
func (s *Store) circle() map[fact]bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	circle := make(map[fact]bool, 2*len(s.contacts))
	for id, c := range s.contacts {
		circle[fact{identity.RevokeAgent, id}] = true
		for _, m := range c.Machines {
			circle[fact{identity.RevokeMachine, m.MachineID}] = true
		}
	}
	return circle
}

// agentsOn returns the contacts that have a machine in their record.
func (s *Store) agentsOn(machine identity.MachineID) (agents []identity.AgentID) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, c := range s.contacts {
		if c.machine(machine) >= 0 {
			agents = append(agents, id)
		}
	}
	return agents
}
