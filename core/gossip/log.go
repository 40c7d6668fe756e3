package gossip

import (
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// log holds every accepted envelope once, in order of acceptance, for as long as
// somebody needs it. It is retention and send queue in one: a topic retains its
// newest envelopes, and each peer has a cursor, the next envelope to consider
// for it. A peer that is slow costs no memory of its own until it is so far
// behind that its cursor holds what no topic retains.
//
//	oldest                                                   newest
//	  e ── e ── e ── e ── e ── e ── e ── e ── e ── e ── e ── e
//	            ^ cursor of a slow peer            ^ cursor   ^ (nil: up to date)
//
// An envelope leaves when its topic no longer retains it and no cursor is at or
// before it; or, oldest first, when the log as a whole is over its limit, which
// the peers concerned count as lost.
type log struct {
	head, tail *entry
	next       uint64 // index of the next entry
	bytes      int64
	behind     int64 // bytes that only cursors hold
}

// entry is one envelope in the log.
type entry struct {
	frame  []byte // as sent: type and envelope. Nil for local topics. Never modified
	local  *localMessage
	topic  *topicState
	sender identity.AgentID
	from   identity.AgentID // the neighbour that it came from; zero if published here
	epoch  uint64
	first  uint64
	count  int
	time   wire.HLC
	at     time.Time // when it was live, by our clock
	size   int64

	index      uint64
	prev, next *entry
	retained   bool
	removed    bool
}

// localMessage stands for the envelope in topics that stay in the process.
type localMessage struct{ payloads [][]byte }

// entryOverhead is what an entry costs beside its frame, so that the limits in
// bytes hold for tiny messages as well.
const entryOverhead = 256

func (l *log) push(e *entry) {
	l.next++
	e.index = l.next
	e.retained = true
	if l.tail == nil {
		l.head = e
	} else {
		l.tail.next, e.prev = e, l.tail
	}
	l.tail = e
	l.bytes += e.size
}

// unlink takes e out. e.next stays, for cursors that are being moved off it.
func (l *log) unlink(e *entry) {
	if e.prev == nil {
		l.head = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.tail = e.prev
	} else {
		e.next.prev = e.prev
	}
	l.bytes -= e.size
	if !e.retained {
		l.behind -= e.size
	}
	e.removed = true
}
