package bridge

// ring is a first-in first-out queue that grows as needed. What is in it must be
// bounded elsewhere.
type ring[T any] struct {
	items      []T // a power of two
	head, tail uint64
}

func (r *ring[T]) len() int { return int(r.tail - r.head) }

func (r *ring[T]) push(v T) {
	if r.tail-r.head == uint64(len(r.items)) {
		grown := make([]T, max(2*len(r.items), 16))
		n := copy(grown, r.items[r.at(r.head):])
		copy(grown[n:], r.items[:r.at(r.head)])
		r.tail -= r.head
		r.items, r.head = grown, 0
	}
	r.items[r.at(r.tail)] = v
	r.tail++
}

// pushFront puts v before everything else.
func (r *ring[T]) pushFront(v T) {
	r.push(v) // makes room
	r.tail--
	var zero T
	r.items[r.at(r.tail)] = zero
	r.head--
	r.items[r.at(r.head)] = v
}

// front returns at most max of the oldest items without taking them. The slice
// stays readable without a lock until advance, also while others push: they write
// other places, or a larger copy.
func (r *ring[T]) front(max int) []T {
	if r.head == r.tail {
		return nil
	}
	from := r.at(r.head)
	to := from + min(max, r.len())
	return r.items[from:min(to, len(r.items))]
}

// advance drops the n oldest items.
func (r *ring[T]) advance(n int) {
	var zero T
	for range n {
		r.items[r.at(r.head)] = zero
		r.head++
	}
}

func (r *ring[T]) at(i uint64) int { return int(i & uint64(len(r.items)-1)) }
