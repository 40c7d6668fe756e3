package x0x

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/gossip"
	"github.com/saorsa-labs/x0x-go/core/transport"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	// linkBytes bounds what waits for one peer beside what QUIC has in flight. It need not be
	// large: gossip keeps what a slow peer has not taken, and offers it again when there is room.
	linkBytes = 256 << 10
	// linkWrite bounds one write to a peer that has stopped reading: beyond it the connection
	// is given up and redialled, and gossip synchronises anew.
	linkWrite = 30 * time.Second
)

// topicLinks carries gossip frames to the connected peers, on one unidirectional stream per
// connection. It implements gossip.Sender.
type topicLinks struct {
	agent   *Agent
	refused atomic.Uint64 // frames not taken for lack of room; gossip offers them again
	sent    atomic.Uint64 // bytes written

	mu    sync.Mutex
	links map[AgentID]*topicLink
}

// topicLink is the queue for one peer. A goroutine writes it while it is not empty, so an idle
// peer costs none.
type topicLink struct {
	owner *topicLinks
	conn  *transport.Conn

	mu       sync.Mutex
	waiting  []byte // frames, ready to be written
	spare    []byte
	writing  bool
	refusing bool // a frame was refused, and its owner wants to know when there is room
	broken   bool
	stream   transport.SendStream
}

func newTopicLinks(a *Agent) *topicLinks {
	return &topicLinks{agent: a, links: map[AgentID]*topicLink{}}
}

// up makes conn the way to its agent; what waited for an older connection is dropped, since
// gossip synchronises anew with a peer that comes up.
func (t *topicLinks) up(conn *transport.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.links[conn.AgentID()] = &topicLink{owner: t, conn: conn}
}

// down forgets conn, and reports whether it was the way to its agent.
func (t *topicLinks) down(conn *transport.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.links[conn.AgentID()]
	if l == nil || l.conn != conn {
		return false
	}
	delete(t.links, conn.AgentID())
	return true
}

// Peers returns the agents that frames can be sent to.
func (t *topicLinks) Peers() []AgentID {
	t.mu.Lock()
	defer t.mu.Unlock()
	ids := make([]AgentID, 0, len(t.links))
	for id := range t.links {
		ids = append(ids, id)
	}
	return ids
}

// Send queues one frame. It never waits; false means that there is no room.
func (t *topicLinks) Send(to AgentID, _ gossip.Class, frame []byte) bool {
	t.mu.Lock()
	l := t.links[to]
	t.mu.Unlock()
	if l == nil || !l.push(frame) {
		t.refused.Add(1)
		return false
	}
	return true
}

func (l *topicLink) push(frame []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken || len(l.waiting) > 0 && len(l.waiting)+len(frame) > linkBytes {
		l.refusing = true
		return false
	}
	l.waiting = wire.AppendFrame(l.waiting, frame[0], frame[1:])
	if !l.writing {
		l.writing = l.owner.agent.tasks.Go("topic link", l.write)
		return l.writing
	}
	return true
}

// write empties the queue, everything that waits at a time, and ends.
func (l *topicLink) write() {
	ctx := l.owner.agent.ctx
	for {
		l.mu.Lock()
		batch := l.waiting
		if len(batch) == 0 || l.broken {
			l.writing, l.waiting, l.spare = false, nil, nil // idle peers hold no buffers
			l.mu.Unlock()
			return
		}
		l.waiting, l.spare = l.spare[:0], nil
		l.mu.Unlock()

		err := l.open(ctx)
		if err == nil {
			l.stream.SetWriteDeadline(time.Now().Add(linkWrite))
			_, err = l.stream.Write(batch)
		}
		l.mu.Lock()
		if err != nil {
			l.broken = true
		}
		l.spare = batch
		ready := l.refusing && !l.broken
		l.refusing = l.refusing && l.broken
		l.mu.Unlock()
		if err != nil {
			// The connection is gone, or its peer does not read topics any more.
			l.owner.agent.log.Debug("topic link lost", "peer", l.conn.AgentID().Short(), "error", err)
			l.lost(err)
			continue
		}
		l.owner.sent.Add(uint64(len(batch)))
		if ready {
			l.owner.agent.gossip.PeerReady(l.conn.AgentID())
		}
	}
}

// lost ends a connection that carries topics no more, though it may carry the rest: it is
// redialled, and gossip synchronises anew. One that another is about to replace has no
// stream to offer, and ends without help.
func (l *topicLink) lost(err error) {
	if l.stream != nil {
		l.stream.Cancel(0)
	}
	if l.stream != nil || wire.KindOf(err) == wire.KindTimeout {
		l.conn.Close(transport.CloseSilent, "topics are not read")
	}
}

func (l *topicLink) open(ctx context.Context) error {
	if l.stream != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, linkWrite)
	defer cancel()
	s, err := l.conn.OpenUni(ctx, transport.KindGossip)
	if err == nil {
		l.stream = s
	}
	return err
}
