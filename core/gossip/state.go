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
}

// stream is which messages of one sender in one topic have been accepted. It
// knows the newest epochs of the sender: a late relay may still deliver what an
// earlier process published.
type stream struct {
	topic  *topicState
	sender identity.AgentID
	epochs []epochSeen // ascending
	lru    *list.Element
}

type epochSeen struct {
	epoch uint64
	seen  ranges
}

// maxEpochs bounds how many processes of one sender are told apart. Anything
// older than the oldest is a replay.
const maxEpochs = 4

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

// open returns the set of one epoch, which must not be old, and makes it if
// needed.
func (s *stream) open(epoch uint64) *ranges {
	i, found := s.search(epoch)
	if !found {
		if len(s.epochs) == maxEpochs {
			s.epochs = slices.Delete(s.epochs, 0, 1)
			i--
		}
		s.epochs = slices.Insert(s.epochs, i, epochSeen{epoch: epoch})
	}
	return &s.epochs[i].seen
}

// peer is one neighbour with a connection.
type peer struct {
	id     identity.AgentID
	ready  bool // its interest is known
	relay  bool // it takes every topic
	topics map[TopicID]struct{}
	has    map[streamKey]ranges // told before ready

	control  [][]byte
	backfill []*entry // retained envelopes that it lacks, to be sent before those at the cursor
	cursor   *entry   // nil: up to date
	stalled  bool     // takes nothing for so long that its cursor holds nothing any more

	// The last offer was refused for want of room; it is not repeated until a
	// timer or the Sender says so.
	refusing      bool
	refusingSince time.Time
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
