package direct

import (
	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Unreachable tells that a dial to an agent has failed. If there has never been a link to it,
// nobody knows when there will be one, and what waits fails with kind and msg; messages of a
// session that lost its link wait for another until their own time is over. It reports whether
// any wait.
func (m *Manager) Unreachable(agent identity.AgentID, kind wire.Kind, msg string, cause error) (waiting bool) {
	p := m.lookup(agent)
	if p == nil {
		return false
	}
	var fx effects
	p.lock()
	if p.link == nil && p.s.links == [8][16]byte{} {
		p.s.out.failIf(func(s *Pending) error { return s.failure(kind, msg, cause) }, &fx)
	}
	waiting = p.link == nil && (p.s.out.live > 0 || p.s.out.queue.len() > p.s.out.tombs)
	p.unlock(&fx)
	return waiting
}
