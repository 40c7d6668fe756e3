package simnet

// eventKind is what happens. Its numbers are part of the trace.
type eventKind uint8

const (
	evTick     eventKind = iota // ref: process
	evControl                   // ref: end whose oldest control frame arrives at its peer
	evBulk                      // ref: likewise, bulk
	evLine                      // ref: end whose line is free
	evReady                     // ref: end that has room again
	evDial                      // ref: end whose dial arrives
	evDialFail                  // ref: end whose dial has taken too long
	evDown                      // ref: end whose connection is over
	evCut                       // ref: link that a partition has cut for DownAfter
	evCall                      // ref: index in Net.calls

	// These are in the trace only.
	trUp
	trAdd
	trKill
	trClose
	trPartition
	trHeal
	trLoss
)

// event is one entry of the heap: a value of 24 bytes, so that tens of
// thousands are in the cache and none is garbage.
type event struct {
	at  int64  // ns since Config.Start
	key uint64 // order among events of one instant, with the kind in the low byte
	ref int32
	gen uint32 // of what ref names: an event of an earlier generation is stale
}

func (e *event) kind() eventKind { return eventKind(e.key) }

func (e *event) before(f *event) bool {
	return e.at < f.at || e.at == f.at && e.key < f.key
}

// eventHeap is a heap of four children per node, which needs half the levels
// of a binary one and reads a node's children from one or two cache lines.
type eventHeap []event

func (h *eventHeap) push(e event) {
	s := append(*h, e)
	*h = s
	i := len(s) - 1
	for i > 0 {
		p := (i - 1) / 4
		if !e.before(&s[p]) {
			break
		}
		s[i] = s[p]
		i = p
	}
	s[i] = e
}

// pop takes the first event out of a heap that is not empty.
func (h *eventHeap) pop() event {
	s := *h
	first, last := s[0], s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	if len(s) == 0 {
		return first
	}
	i := 0
	for {
		c := 4*i + 1
		if c >= len(s) {
			break
		}
		least := c
		for j := c + 1; j < min(c+4, len(s)); j++ {
			if s[j].before(&s[least]) {
				least = j
			}
		}
		if !s[least].before(&last) {
			break
		}
		s[i] = s[least]
		i = least
	}
	s[i] = last
	return first
}
