package gossip

import (
	"container/list"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// topicState is what is known of one topic, wanted here or only relayed.
type topicState struct {
	id       TopicID
	local    bool
	subs     []*Subscription
	streams  map[identity.AgentID]*stream
	retained []*entry // oldest first
	messages int      // in retained
	bytes    int64    // in retained
	class    int      // of its priority
	name     string   // if it was used here

	index      map[place]*entry // of retained
	interested int              // peers that want it for themselves or others
	interest   time.Time        // when peers were told of a change of it last
	telling    bool             // they will be told of another
	missing    map[place]*missing
	late       lateness
	grafted    time.Time        // when GRAFT was sent last
	looped     time.Time        // when the first duplicate was pushed
	mixed      time.Time        // when messages of two senders were on their way at once last
	turned     time.Time        // when a message of another sender than the one before came last
	sender     identity.AgentID // of the last message
	came       time.Time        // that message
	digesting  bool             // the next digest is planned
	optimise   struct {
		pause time.Duration
		until time.Time
	}
}

// stream is which messages of one sender in one topic have been accepted. It
// knows the newest epochs of the sender: a late relay may still deliver what an
// earlier process published.
type stream struct {
	topic  *topicState
	sender identity.AgentID
	epochs []epochSeen // ascending
	lru    *list.Element
	used   uint64 // greater is later
}

type epochSeen struct {
	epoch uint64
	seen  ranges
	gaps  gaps
}

// maxEpochs bounds how many processes of one sender are told apart. Anything
// older than the oldest is a replay.
const maxEpochs = 4

// epoch returns the state of one epoch, or nil.
func (s *stream) epoch(epoch uint64) *epochSeen {
	if s == nil {
		return nil
	}
	if i, found := s.search(epoch); found {
		return &s.epochs[i]
	}
	return nil
}

// seen returns the set of one epoch, or nil; old says that the epoch is older
// than all that are remembered and there is no room for more.
func (s *stream) seen(epoch uint64) (r *ranges, old bool) {
	i, found := s.search(epoch)
	if found {
		return &s.epochs[i].seen, false
	}
	return nil, i == 0 && len(s.epochs) == maxEpochs
}

func (s *stream) search(epoch uint64) (int, bool) {
	return slices.BinarySearchFunc(s.epochs, epoch, func(e epochSeen, epoch uint64) int {
		switch {
		case e.epoch < epoch:
			return -1
		case e.epoch > epoch:
			return 1
		}
		return 0
	})
}

// open returns the state of one epoch, which must not be old, and makes it if
// needed.
func (s *stream) open(epoch uint64) *epochSeen {
	i, found := s.search(epoch)
	if !found {
		if len(s.epochs) == maxEpochs {
			s.epochs = slices.Delete(s.epochs, 0, 1)
			i--
		}
		s.epochs = slices.Insert(s.epochs, i, epochSeen{epoch: epoch})
	}
	return &s.epochs[i]
}

// peer is one neighbour with a connection.
type peer struct {
	id     identity.AgentID
	number uint32 // of the connection, from 1
	ready  bool   // its interest is known
	relay  bool   // it takes every topic
	wants  int    // topics
	wild   bool   // it wants more topics than we keep in mind, so it counts as wanting all
	links  map[TopicID]*link
	has    map[streamKey]ranges // told before ready

	greeted      time.Time // last
	lostControl  bool      // something was dropped since
	carried      []carriedKey
	control      [][]byte
	controlBytes int
	lanes        [classes]lane
	queued       map[*entry]struct{} // in a backfill
	queuedBytes  int64
	announcing   []announcement
	announceAt   time.Time // when the first of them is due; zero: nothing is planned
	grafting     []mark    // to be asked for at the end of this tick or frame
	wanting      []mark    // likewise, without a change of links
	waiting      int       // messages that it announced first and that are missing
	stalled      bool      // takes nothing for so long that its cursors hold nothing any more
	answers      budget    // bytes of answers that it may still cause
	requests     budget    // requests that it may still make

	// The last offer was refused for want of room; it is not repeated until a
	// timer or the Sender says so.
	refusing      bool
	refusedAt     time.Time
	refusingSince time.Time // when it took something last
}

// lane is what a peer is sent of one class.
type lane struct {
	backfill []*entry // answers and what it lacks, to be sent before what is at the cursor
	cursor   *entry   // nil: up to date
}

type streamKey struct {
	topic  TopicID
	sender identity.AgentID
	epoch  uint64
}

// lru is a bounded set of keys with values, least recently used out.
type lru[K comparable, V any] struct {
	max   int
	items map[K]*list.Element
	order list.List
}

type lruItem[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](max int) *lru[K, V] {
	return &lru[K, V]{max: max, items: make(map[K]*list.Element)}
}

func (l *lru[K, V]) get(k K) (v V, ok bool) {
	el, ok := l.items[k]
	if !ok {
		return v, false
	}
	l.order.MoveToFront(el)
	return el.Value.(*lruItem[K, V]).value, true
}

func (l *lru[K, V]) put(k K, v V) {
	if el, ok := l.items[k]; ok {
		el.Value.(*lruItem[K, V]).value = v
		l.order.MoveToFront(el)
		return
	}
	l.items[k] = l.order.PushFront(&lruItem[K, V]{k, v})
	if l.order.Len() > l.max {
		oldest := l.order.Remove(l.order.Back()).(*lruItem[K, V])
		delete(l.items, oldest.key)
	}
}

func (l *lru[K, V]) len() int { return l.order.Len() }
