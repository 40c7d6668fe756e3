package direct

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/mailbox"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Message is one that arrived.
type Message struct {
	Sender     identity.AgentID
	Machine    identity.MachineID
	Payload    []byte // belongs to the receiver; small ones may share memory with their neighbours
	ReceivedAt time.Time
	Sequence   uint64 // in the sender's session, from 1
	Decision   trust.Decision

	at int64
}

func messageSize(m *Message) int   { return len(m.Payload) }
func messageSeq(m *Message) uint64 { return m.Sequence }

// Manager sends and receives the messages of one agent.
type Manager struct {
	cfg   Config
	start time.Time
	inbox *mailbox.Box[Message]
	room  *room
	// inline counts the bytes that wait for the inbox beside large bodies; see
	// peer.admit.
	inline atomic.Int64
	clock  clock
	queue  starved
	stats  counters

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup // goroutines of ours in cfg.Tasks

	mu        sync.RWMutex
	peers     map[identity.AgentID]*peer
	strangers int
	forgotten map[identity.AgentID]struct{} // whose earlier sessions are gone
	closed    bool
}

// New returns a Manager without links. The caller ends it with Close.
func New(cfg Config) *Manager {
	cfg.setDefaults()
	m := &Manager{
		cfg:   cfg,
		inbox: mailbox.New[Message](mailbox.Options{MaxItems: cfg.Inbox.Messages, MaxBytes: cfg.Inbox.Bytes, Policy: mailbox.Block}),
		room:  newRoom(cfg.RoomAgent, cfg.RoomPeer, int64(cfg.MaxBody)),
		peers: make(map[identity.AgentID]*peer),

		forgotten: make(map[identity.AgentID]struct{}),
	}
	m.start = m.wall()
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.clock.init()
	m.inbox.SetRoom(m.feed)
	m.spawn("direct clock", m.runClock)
	return m
}

// Inbox returns the queue of messages that arrived, in order for each sender. When
// it is full, senders wait.
func (m *Manager) Inbox() *mailbox.Box[Message] { return m.inbox }

// now returns the time since the start.
func (m *Manager) now() time.Duration {
	if m.cfg.Now == nil {
		return time.Since(m.start) // reads one clock, where Now reads two
	}
	return m.cfg.Now().Sub(m.start)
}

// wall returns the time of day.
func (m *Manager) wall() time.Time {
	if m.cfg.Now == nil {
		return time.Now()
	}
	return m.cfg.Now()
}

// spawn starts a goroutine that Close waits for.
func (m *Manager) spawn(name string, fn func()) bool {
	m.tasks.Add(1)
	if m.cfg.Tasks.Go(name, func() {
		defer m.tasks.Done()
		fn()
	}) {
		return true
	}
	m.tasks.Done()
	return false
}

// LinkUp makes l the link to its agent. It must come before any stream of l, and
// an older link to the same agent counts as down from then on.
func (m *Manager) LinkUp(l Link) {
	for {
		p, err := m.peer(l.Agent())
		if err != nil || p.agent == m.cfg.Self || p.linkUp(l) {
			return
		}
		// p has been forgotten since, so that the next turn makes another one.
	}
}

// LinkDown tells that l has ended. Sessions wait for another link.
func (m *Manager) LinkDown(l Link, err error) {
	if p := m.lookup(l.Agent()); p != nil {
		p.linkDown(l)
	}
}

// Disconnected tells that no link to an agent is expected soon: sends that asked
// for it fail.
func (m *Manager) Disconnected(agent identity.AgentID) {
	if p := m.lookup(agent); p != nil {
		p.failIf(func(s *Pending) error {
			if s.failFast {
				return s.failure(wire.KindDisconnected, "the connection was lost", nil)
			}
			return nil
		})
	}
}

// PolicyChanged tells that Policy may decide differently about an agent from now
// on.
func (m *Manager) PolicyChanged(agent identity.AgentID) {
	if p := m.lookup(agent); p != nil {
		p.policyChanged()
	}
}

func (m *Manager) lookup(agent identity.AgentID) *peer {
	m.mu.RLock()
	p := m.peers[agent]
	m.mu.RUnlock()
	return p
}

var errClosed = &wire.Error{Kind: wire.KindClosed, Op: "send direct", Msg: "closed", Delivered: wire.DeliveredNo}

// peer returns the state for an agent, and makes it if need be.
func (m *Manager) peer(agent identity.AgentID) (*peer, error) {
	if p := m.lookup(agent); p != nil {
		return p, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errClosed
	}
	if p := m.peers[agent]; p != nil {
		return p, nil
	}
	if len(m.peers) >= m.cfg.MaxSessions {
		return nil, &wire.Error{Kind: wire.KindLimit, Op: "send direct", Msg: "too many sessions", Retryable: true, Delivered: wire.DeliveredNo}
	}
	id, err := m.newID()
	if err != nil {
		return nil, err
	}
	p := &peer{m: m, agent: agent, s: newSession(id, m.cfg.MaxBody)}
	_, forgotten := m.forgotten[agent]
	p.s.in.keeps = !forgotten && len(m.forgotten) < maxForgotten
	p.submit.init(m.cfg.SendQueue)
	if agent == m.cfg.Self {
		p.alone, p.machine = true, m.cfg.Machine
	}
	m.peers[agent] = p
	return p, nil
}

func (m *Manager) newID() (id sessionID, err error) {
	if _, err := io.ReadFull(m.cfg.Rand, id[:]); err != nil {
		return id, wire.Errorf(wire.KindIO, "send direct", "no randomness: %w", err)
	}
	return id, nil
}

// Close fails what is under way with wire.KindClosed, after waiting until ctx ends
// for what can still be acknowledged, closes the inbox, and waits for the
// goroutines. Links must be closed by their owner, before or at the same time:
// streams that are being read are cancelled.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	already := m.closed
	m.closed = true
	peers := make([]*peer, 0, len(m.peers))
	for _, p := range m.peers {
		peers = append(peers, p)
	}
	m.mu.Unlock()
	if !already {
		for _, p := range peers {
			p.drain(ctx)
		}
		flushPeers(ctx, peers)
	}
	m.cancel()
	m.inbox.Close()
	m.mu.Lock()
	clear(m.peers) // links that still come find a closed manager and no peer
	m.strangers = 0
	m.mu.Unlock()
	for _, p := range peers {
		p.close()
	}
	m.tasks.Wait()
	return nil
}

// flushPeers waits until the peers have our last acknowledgements, until ctx ends.
func flushPeers(ctx context.Context, peers []*peer) {
	type wait struct{ confirmed, ended <-chan struct{} }
	var waits []wait
	for _, p := range peers { // all at once: together they take one round trip
		if confirmed, ended := p.flush(); confirmed != nil {
			waits = append(waits, wait{confirmed, ended})
		}
	}
	for _, w := range waits {
		select {
		case <-w.confirmed:
		case <-w.ended:
		case <-ctx.Done():
			return
		}
	}
}

// maxForgotten bounds the memory of whose sessions were forgotten. When it is full, all may
// have been.
const maxForgotten = 8192

// forgets notes that a session that had received something of an agent is gone.
func (m *Manager) forgets(agent identity.AgentID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.forgotten) < maxForgotten {
		m.forgotten[agent] = struct{}{}
	}
}

// starved is the line of peers whose messages wait for the inbox: contacts before
// strangers, and each for a turn.
type starved struct {
	mu        sync.Mutex
	contacts  ring[*peer]
	strangers ring[*peer]
	n         atomic.Int32 // in both
	feeding   bool
	again     bool
}

// wait puts p at the end of the line, unless it stands there already.
func (q *starved) wait(p *peer, stranger bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.inLine {
		return
	}
	p.inLine = true
	if stranger {
		q.strangers.push(p)
	} else {
		q.contacts.push(p)
	}
	q.n.Add(1)
}

// next takes the first in line out of it.
func (q *starved) next() *peer {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := &q.contacts
	if line.len() == 0 {
		line = &q.strangers
	}
	if line.len() == 0 {
		return nil
	}
	p := line.pop()
	p.inLine = false
	q.n.Add(-1)
	return p
}

// feed gives those who wait for the inbox their turns, on a goroutine of its own:
// it is called by the application's goroutine.
func (m *Manager) feed() {
	m.queue.mu.Lock()
	if m.queue.feeding {
		m.queue.again = true
		m.queue.mu.Unlock()
		return
	}
	m.queue.feeding = true
	m.queue.mu.Unlock()
	if !m.spawn("direct feed", m.runFeed) {
		m.queue.mu.Lock()
		m.queue.feeding = false
		m.queue.mu.Unlock()
	}
}

func (m *Manager) runFeed() {
	for {
		for p := m.queue.next(); p != nil; p = m.queue.next() {
			if !p.turn() {
				break // the inbox is full and will call feed again
			}
		}
		m.queue.mu.Lock()
		if !m.queue.again {
			m.queue.feeding = false
			m.queue.mu.Unlock()
			return
		}
		m.queue.again = false
		m.queue.mu.Unlock()
	}
}
