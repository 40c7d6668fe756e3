package direct

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// room is the memory for large bodies of all peers together. Room is held for a
// whole body from its GRANT until the inbox has it, so that what was begun can be
// finished; requests are served in the order in which they came, so that no peer
// starves another.
//
// Strangers together hold at most half of it: what they occupy, by bodies that
// never come or that nobody reads, they never take from contacts.
type room struct {
	mu        sync.Mutex
	free      int64
	strangers int64 // what strangers may still hold, at most free
	perPeer   int64
	queue     []*inBody
	holders   map[*inBody]struct{}
	watched   bool // the keeper runs
}

// share is what one peer holds of the room.
type share struct{ held int64 }

func newRoom(total, perPeer, largest int64) *room {
	total = max(total, 2*largest) // each half holds one body at least
	return &room{holders: make(map[*inBody]struct{}), free: total, strangers: total / 2, perPeer: max(perPeer, largest)}
}

// ask queues bodies, and returns those that room was found for.
func (r *room) ask(s *share, stranger bool, bodies []*inBody) []*inBody {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range bodies {
		b.share, b.stranger = s, stranger
		r.queue = append(r.queue, b)
	}
	return r.serve()
}

// release takes back what bodies hold or wait for, and returns others that room
// was found for.
func (r *room) release(bodies []*inBody) []*inBody {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range bodies {
		if !b.held {
			for i, q := range r.queue {
				if q == b {
					r.queue = append(r.queue[:i], r.queue[i+1:]...)
					break
				}
			}
			continue
		}
		b.held = false
		delete(r.holders, b)
		size := int64(b.size)
		b.share.held -= size
		r.free += size
		if b.stranger {
			r.strangers += size
		}
	}
	return r.serve()
}

// serve gives room to the longest waiting. A peer at its own bound, and strangers at
// theirs, do not hold up others; a body for which the room as a whole is too small
// does, or small ones would pass it forever.
func (r *room) serve() (granted []*inBody) {
	kept := r.queue[:0]
	for i, b := range r.queue {
		size := int64(b.size)
		s := b.share
		if s.held+size > r.perPeer || b.stranger && size > r.strangers {
			kept = append(kept, b)
			continue
		}
		if size > r.free {
			kept = append(kept, r.queue[i:]...)
			break
		}
		r.free -= size
		s.held += size
		if b.stranger {
			r.strangers -= size
		}
		b.held = true
		r.holders[b] = struct{}{}
		granted = append(granted, b)
	}
	clear(r.queue[len(kept):])
	r.queue = kept
	return granted
}

// used returns how much is held.
func (r *room) used() (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for b := range r.holders {
		n += int64(b.size)
	}
	return n
}

// holds reports whether room is held for b.
func (r *room) holds(b *inBody) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return b.held
}

// grant tells peers that room was found for bodies of theirs.
func grant(bodies []*inBody) {
	for _, b := range bodies {
		b.peer.grant(b)
	}
}

func (p *peer) grant(b *inBody) {
	var fx effects
	p.lock()
	if !p.m.room.holds(b) {
		p.mu.Unlock()
		return
	}
	if b.dead || !b.asked {
		fx.free = append(fx.free, b) // it was given up meanwhile
	} else if !b.granted {
		p.s.in.grant(b)
	}
	p.unlock(&fx)
	p.pump()
}

// watchRoom starts the room's keeper if somebody waits for room.
func (m *Manager) watchRoom() {
	r := m.room
	r.mu.Lock()
	start := len(r.queue) > 0 && !r.watched
	if start {
		r.watched = true
	}
	r.mu.Unlock()
	if start && !m.spawn("direct room", m.keepRoom) {
		r.mu.Lock()
		r.watched = false
		r.mu.Unlock()
	}
}

// keepRoom takes room from bodies that stand still while others wait, until nobody
// waits.
func (m *Manager) keepRoom() {
	r := m.room
	ticker := time.NewTicker(m.cfg.BodyStall)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-m.ctx.Done():
			return
		}
		r.mu.Lock()
		if len(r.queue) == 0 {
			r.watched = false
			r.mu.Unlock()
			return
		}
		holders := slices.Collect(maps.Keys(r.holders))
		r.mu.Unlock()
		for _, b := range holders {
			b.peer.stalled(b)
		}
	}
}

// stalled revokes the room of b if nothing of it came since the last call.
func (p *peer) stalled(b *inBody) {
	var fx effects
	p.lock()
	got := b.got.Load()
	if got == b.seen && got < int64(b.size) {
		p.m.stats.revoked.Add(1)
		p.s.in.revoke(b, &fx)
	}
	b.seen = got
	p.unlock(&fx)
	p.pump()
}
