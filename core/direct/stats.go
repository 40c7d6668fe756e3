package direct

import (
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

type counters struct {
	acknowledged, failed, busy    atomic.Uint64
	received, dropped             atomic.Uint64
	resets, resumes               atomic.Uint64
	protocolErrors                atomic.Uint64
	staleBodies, revoked, refused atomic.Uint64
}

// Stats are the counters of a Manager since its start, and its present load.
type Stats struct {
	Acknowledged   uint64 // messages sent and accepted
	Failed         uint64 // messages that ended with an error
	Busy           uint64 // sends refused since too much was under way
	Received       uint64 // messages that the inbox took
	Dropped        uint64 // messages not taken: the sender is blocked, or the room was full (it sends those again)
	Resets         uint64 // sessions that began anew
	Resumes        uint64 // sessions that went on after an earlier link was lost
	ProtocolErrors uint64 // links ended since the peer broke the protocol
	StaleBodies    uint64 // body streams that nothing waited for
	Revoked        uint64 // bodies that stood still and lost their room to others
	Refused        uint64 // message streams refused: too many strangers

	Sessions   int   // peers that state is kept for
	Strangers  int   // of these, strangers with a session
	InboxItems int   // messages that the application has not read
	InboxBytes int64 // their bytes
	RoomInline int64 // bytes that wait for the inbox or for earlier messages
	RoomBodies int64 // bytes of room that large bodies hold
}

// Stats returns the counters.
func (m *Manager) Stats() Stats {
	c := &m.stats
	s := Stats{
		Acknowledged: c.acknowledged.Load(), Failed: c.failed.Load(), Busy: c.busy.Load(),
		Received: c.received.Load(), Dropped: c.dropped.Load(),
		Resets: c.resets.Load(), Resumes: c.resumes.Load(), ProtocolErrors: c.protocolErrors.Load(),
		StaleBodies: c.staleBodies.Load(), Revoked: c.revoked.Load(), Refused: c.refused.Load(),
		InboxItems: m.inbox.Len(), InboxBytes: m.inbox.Bytes(),
		RoomInline: m.inline.Load(), RoomBodies: m.room.used(),
	}
	m.mu.RLock()
	s.Sessions, s.Strangers = len(m.peers), m.strangers
	m.mu.RUnlock()
	return s
}

// SessionInfo tells of the session with one agent.
type SessionInfo struct {
	Agent      identity.AgentID
	Machine    identity.MachineID // of its last link
	Linked     bool
	Path       string        // of the link
	RTT        time.Duration // of the link
	Queued     int           // messages that were not written yet
	Unanswered int           // messages written and not acknowledged
	Waiting    int           // messages received that wait for the inbox or for earlier ones
	Sent       uint64        // the last position given to a message of ours
	Received   uint64        // the last position accepted from the peer
	Blocked    bool          // what it sends is dropped
}

// Sessions returns the sessions in no particular order.
func (m *Manager) Sessions() []SessionInfo {
	m.mu.RLock()
	peers := make([]*peer, 0, len(m.peers))
	for _, p := range m.peers {
		peers = append(peers, p)
	}
	m.mu.RUnlock()
	infos := make([]SessionInfo, 0, len(peers))
	for _, p := range peers {
		infos = append(infos, p.info())
	}
	return infos
}

func (p *peer) info() SessionInfo {
	p.lock()
	defer p.mu.Unlock()
	o, in := &p.s.out, &p.s.in
	i := SessionInfo{
		Agent: p.agent, Machine: p.machine, Linked: p.link != nil,
		Queued: o.queue.len() - o.tombs, Unanswered: o.live, Waiting: in.slots.len(),
		Sent: o.next - 1, Received: in.base - 1, Blocked: in.blocked,
	}
	if p.link != nil {
		i.Path, i.RTT = p.link.Path(), p.link.RTT()
	}
	return i
}
