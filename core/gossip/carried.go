package gossip

import (
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

const (
	// Keys that came before an envelope of their author, per neighbour: one that
	// sends keys of invented authors fills only this.
	maxCarried = 8
	carriedFor = time.Second
)

// carriedKey is a key that nobody has asked for.
type carriedKey struct {
	author identity.AgentID
	key    []byte
	until  time.Time
}

// carryKey sends the key of an author ahead of the first envelope of it that is
// pushed from here, so that its way is not three times as long at every hop. It
// is done once for each author, 2 KB on each eager link.
func (r *router) carryKey(e *entry) {
	if _, done := r.keys.carried.get(e.sender); done {
		return
	}
	r.keys.carried.put(e.sender, struct{}{})
	key, ok := r.keys.get(e.sender)
	if !ok {
		return
	}
	for _, id := range r.order {
		if p := r.peers[id]; r.way(p, e) == push {
			r.stats.KeysCarried++
			r.control(p, keyFrame(key))
		}
	}
}

// keepCarried keeps a key for the envelope that should follow.
func (p *peer) keepCarried(author identity.AgentID, key []byte, now time.Time) bool {
	for len(p.carried) > 0 && now.After(p.carried[0].until) {
		p.carried = p.carried[1:]
	}
	if len(p.carried) >= maxCarried {
		return false
	}
	p.carried = append(p.carried, carriedKey{author, key, now.Add(carriedFor)})
	return true
}

// carriedKey returns the key that a neighbour sent ahead of an envelope.
func (r *router) carriedKey(from, author identity.AgentID, now time.Time) ([]byte, bool) {
	if p := r.peers[from]; p != nil {
		for _, c := range p.carried {
			if c.author == author && !now.After(c.until) {
				return c.key, true
			}
		}
	}
	return nil, false
}
