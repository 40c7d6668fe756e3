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
	// controlBytes and bulkBytes bound what waits for one peer beside what QUIC has in flight, by
	// class. They need not be large: gossip keeps what a slow peer has not taken, and offers it
	// again when there is room.
	controlBytes = 128 << 10
	bulkBytes    = 256 << 10
	// linkWrite bounds one write to a peer that has stopped reading: beyond it the connection
	// is given up and redialled, and gossip synchronises anew.
	linkWrite = 30 * time.Second
)

// topicLinks carries the frames of gossip and of the overlay to the connected peers, on two
// unidirectional streams per connection, so that control frames never wait behind messages.
// It implements gossip.Sender.
type topicLinks struct {
	agent   *Agent
	refused atomic.Uint64 // frames not taken for lack of room; gossip offers them again
	sent    atomic.Uint64 // bytes written

	mu    sync.Mutex
	links map[AgentID]*topicLink
	conns map[*transport.Conn]*topicLink // also those that another connection has replaced
}

// topicLink is the way to one peer, with a lane for each class.
type topicLink struct {
	owner   *topicLinks
	conn    *transport.Conn
	control lane
	bulk    lane
}

// lane is a queue and its stream. A goroutine writes it while it is not empty, so an idle peer
// costs none.
type lane struct {
	link *topicLink
	kind transport.StreamKind
	most int

	mu       sync.Mutex
	waiting  []byte // frames, ready to be written
	spare    []byte
	writing  bool
	refusing bool // a frame was refused, and its owner wants to know when there is room
	broken   bool
	stream   transport.SendStream
}

func newTopicLinks(a *Agent) *topicLinks {
	return &topicLinks{agent: a, links: map[AgentID]*topicLink{}, conns: map[*transport.Conn]*topicLink{}}
}

// up makes conn the way to its agent; what waited for an older connection is dropped, since
// gossip synchronises anew with a peer that comes up.
func (t *topicLinks) up(conn *transport.Conn) {
	l := &topicLink{owner: t, conn: conn}
	l.control = lane{link: l, kind: transport.KindGossipControl, most: controlBytes}
	l.bulk = lane{link: l, kind: transport.KindGossip, most: bulkBytes}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.links[conn.AgentID()], t.conns[conn] = l, l
}

// down forgets conn, and reports whether it was the way to its agent.
func (t *topicLinks) down(conn *transport.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, conn)
	l := t.links[conn.AgentID()]
	if l == nil || l.conn != conn {
		return false
	}
	delete(t.links, conn.AgentID())
	return true
}

// conn returns the connection to a peer, or nil.
func (t *topicLinks) conn(id AgentID) *transport.Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.links[id]; l != nil {
		return l.conn
	}
	return nil
}

// rtt returns the round-trip time to a peer, 0 if it is not known.
func (t *topicLinks) rtt(id AgentID) time.Duration {
	t.mu.Lock()
	l := t.links[id]
	t.mu.Unlock()
	if l == nil {
		return 0
	}
	return l.conn.RTT()
}

// Send queues one frame. It never waits; false means that there is no room.
func (t *topicLinks) Send(to AgentID, class gossip.Class, frame []byte) bool {
	t.mu.Lock()
	l := t.links[to]
	t.mu.Unlock()
	return t.sendOver(l, class, frame)
}

// Reply is Send over the connection that a frame came from: of an agent that runs on two
// machines, each gets its own answer.
func (t *topicLinks) Reply(to *transport.Conn, class gossip.Class, frame []byte) bool {
	t.mu.Lock()
	l := t.conns[to]
	t.mu.Unlock()
	return t.sendOver(l, class, frame)
}

func (t *topicLinks) sendOver(l *topicLink, class gossip.Class, frame []byte) bool {
	if l != nil {
		lane := &l.bulk
		if class == gossip.ClassControl {
			lane = &l.control
		}
		if lane.push(frame) {
			return true
		}
	}
	t.refused.Add(1)
	return false
}

func (l *lane) push(frame []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken || len(l.waiting) > 0 && len(l.waiting)+len(frame) > l.most {
		l.refusing = true
		return false
	}
	l.waiting = wire.AppendFrame(l.waiting, frame[0], frame[1:])
	if !l.writing {
		l.writing = l.link.owner.agent.tasks.Go("topic link", l.write)
		return l.writing
	}
	return true
}

// write empties the queue, everything that waits at a time, and ends.
func (l *lane) write() {
	agent, conn := l.link.owner.agent, l.link.conn
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

		err := l.open(agent.ctx)
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
			agent.log.Debug("topic link lost", "peer", conn.AgentID().Short(), "error", err)
			l.lost(err)
			continue
		}
		l.link.owner.sent.Add(uint64(len(batch)))
		if ready {
			agent.gossip.PeerReady(conn.AgentID())
		}
	}
}

// lost ends a connection that carries topics no more, though it may carry the rest: it is
// redialled, and gossip synchronises anew. One that another is about to replace has no
// stream to offer, and ends without help.
func (l *lane) lost(err error) {
	if l.stream != nil {
		l.stream.Cancel(0)
	}
	if l.stream != nil || wire.KindOf(err) == wire.KindTimeout {
		l.link.conn.Close(transport.CloseSilent, "topics are not read")
	}
}

func (l *lane) open(ctx context.Context) error {
	if l.stream != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, linkWrite)
	defer cancel()
	s, err := l.link.conn.OpenUni(ctx, l.kind)
	if err == nil {
		l.stream = s
	}
	return err
}
