package direct

import (
	"container/heap"
	"sync"
	"time"
)

// never is a time that does not come.
const never = time.Duration(1<<63 - 1)

// clock wakes peers: one goroutine and one timer for all deadlines of a Manager. A
// peer is in it once, with its earliest.
type clock struct {
	mu    sync.Mutex
	peers wakeHeap
	wake  chan struct{}
	next  time.Duration // what the goroutine sleeps for
}

func (c *clock) init() {
	c.wake = make(chan struct{}, 1)
	c.next = never
}

// arm wakes p at the time at, or earlier if it was to be woken earlier anyway.
func (c *clock) arm(p *peer, at time.Duration) {
	c.mu.Lock()
	if at < p.heapAt || p.heapIndex == 0 {
		p.heapAt = at
		if p.heapIndex == 0 {
			heap.Push(&c.peers, p)
		} else {
			heap.Fix(&c.peers, p.heapIndex-1)
		}
	}
	early := c.peers[0].heapAt < c.next
	c.mu.Unlock()
	if early {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// runClock is the clock's goroutine.
func (m *Manager) runClock() {
	c := &m.clock
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var due []*peer
	for {
		now := m.now()
		due = due[:0]
		c.mu.Lock()
		for len(c.peers) > 0 && c.peers[0].heapAt <= now {
			due = append(due, heap.Pop(&c.peers).(*peer))
		}
		c.next = never
		if len(c.peers) > 0 {
			c.next = c.peers[0].heapAt
		}
		wait := c.next - now
		c.mu.Unlock()
		for _, p := range due {
			p.tick()
		}
		if len(due) > 0 {
			continue // ticks may have armed
		}
		timer.Reset(min(wait, time.Hour))
		select {
		case <-timer.C:
		case <-c.wake:
		case <-m.ctx.Done():
			return
		}
	}
}

type wakeHeap []*peer

func (h wakeHeap) Len() int           { return len(h) }
func (h wakeHeap) Less(i, j int) bool { return h[i].heapAt < h[j].heapAt }
func (h wakeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i+1, j+1
}

func (h *wakeHeap) Push(x any) {
	p := x.(*peer)
	*h = append(*h, p)
	p.heapIndex = len(*h)
}

func (h *wakeHeap) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	p.heapIndex = 0
	return p
}
