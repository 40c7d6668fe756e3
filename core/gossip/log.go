package gossip

import (
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// log holds every accepted envelope once, in order of acceptance, for as long as
// somebody needs it. It is retention and send queue in one: a topic retains its
// newest envelopes, and each peer has a cursor, the next envelope to consider
// for it: to be pushed to it, announced, or neither (see way). A peer that is
// slow costs no memory of its own until it is so far behind that its cursor
// holds what no topic retains. Each class of priority has its own lane, and a
// peer a cursor in each.
//
//	oldest                                                   newest
//	  e ── e ── e ── e ── e ── e ── e ── e ── e ── e ── e ── e
//	            ^ cursor of a slow peer            ^ cursor   ^ (nil: up to date)
//
// An envelope leaves when its topic no longer retains it and no cursor is at or
// before it; or, oldest first, when the log as a whole is over its limit, which
// the peers concerned count as lost.
type log struct {
	lanes  [classes]struct{ head, tail *entry }
	next   uint64 // index of the next entry
	bytes  int64
	behind int64 // bytes that only cursors hold
}

// entry is one envelope in the log.
type entry struct {
	frame  []byte // as pushed: type, hops of the receiver, envelope. Nil for local topics. Never modified
	local  *localMessage
	topic  *topicState
	sender identity.AgentID
	from   identity.AgentID // the neighbour that it came from; zero if published here
	known  []uint32         // numbers of peers that have said that they have it
	hops   uint8            // from the publisher to here
	epoch  uint64
	first  uint64
	count  int
	time   wire.HLC
	at     time.Time // when it was live, by our clock
	size   int64
	class  int
	// announced is when it was first announced, if it came by being asked for.
	announced time.Time
	early     bool // it was asked for while the tree may still bring it, which it has not

	index      uint64
	prev, next *entry
	retained   bool
	removed    bool
}

// localMessage stands for the envelope in topics that stay in the process.
type localMessage struct{ payloads [][]byte }

// place is where an envelope stands in its topic. Everybody has the same
// envelopes, since they are signed as they are.
type place struct {
	sender identity.AgentID
	epoch  uint64
	first  uint64
}

func (e *entry) place() place { return place{e.sender, e.epoch, e.first} }
func (e *entry) last() uint64 { return e.first + uint64(e.count) - 1 }

func (e *entry) knows(p *peer) {
	if !slices.Contains(e.known, p.number) {
		e.known = append(e.known, p.number)
	}
}

// entryOverhead is what an entry costs beside its frame, so that the limits in
// bytes hold for tiny messages as well.
const entryOverhead = 512

func (l *log) empty() bool {
	for i := range l.lanes {
		if l.lanes[i].head != nil {
			return false
		}
	}
	return true
}

func (l *log) push(e *entry) {
	l.next++
	e.index = l.next
	e.retained = true
	lane := &l.lanes[e.class]
	if lane.tail == nil {
		lane.head = e
	} else {
		lane.tail.next, e.prev = e, lane.tail
	}
	lane.tail = e
	l.bytes += e.size
}

// unlink takes e out. e.next stays, for cursors that are being moved off it.
func (l *log) unlink(e *entry) {
	lane := &l.lanes[e.class]
	if e.prev == nil {
		lane.head = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		lane.tail = e.prev
	} else {
		e.next.prev = e.prev
	}
	l.bytes -= e.size
	if !e.retained {
		l.behind -= e.size
	}
	e.removed = true
}
