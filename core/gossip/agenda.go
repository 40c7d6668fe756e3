package gossip

import (
	"container/heap"
	"time"
)

// agenda holds what is to be done later, in order of time, and of entry where
// times are equal. Nothing is ever taken out early: what has become pointless
// finds out when its time comes. The owners bound how much they put in.
type agenda struct {
	items appointments
	count uint64
}

type appointment struct {
	at    time.Time
	count uint64
	do    func(now time.Time)
}

func (a *agenda) add(at time.Time, do func(now time.Time)) {
	a.count++
	heap.Push(&a.items, appointment{at, a.count, do})
}

// run does what is due. What that adds for the same moment is done as well.
func (a *agenda) run(now time.Time) {
	for len(a.items) > 0 && !a.items[0].at.After(now) {
		heap.Pop(&a.items).(appointment).do(now)
	}
}

// next returns the time of the earliest appointment.
func (a *agenda) next() (time.Time, bool) {
	if len(a.items) == 0 {
		return time.Time{}, false
	}
	return a.items[0].at, true
}

// appointments implements heap.Interface.
type appointments []appointment

func (a appointments) Len() int      { return len(a) }
func (a appointments) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a appointments) Less(i, j int) bool {
	if a[i].at.Equal(a[j].at) {
		return a[i].count < a[j].count
	}
	return a[i].at.Before(a[j].at)
}
func (a *appointments) Push(x any) { *a = append(*a, x.(appointment)) }
func (a *appointments) Pop() any {
	old := *a
	last := old[len(old)-1]
	old[len(old)-1] = appointment{}
	*a = old[:len(old)-1]
	return last
}
