package direct

// ring is a first-in first-out queue in a circular buffer that grows as needed.
// The zero value is empty and holds no memory.
type ring[T any] struct {
	buf  []T // length 0 or a power of two
	head int
	n    int
}

func (r *ring[T]) len() int { return r.n }

// at returns the i-th element from the front, for changing in place.
func (r *ring[T]) at(i int) *T { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

func (r *ring[T]) push(v T) {
	if r.n == len(r.buf) {
		bigger := make([]T, max(8, 2*len(r.buf)))
		for i := range r.n {
			bigger[i] = *r.at(i)
		}
		r.buf, r.head = bigger, 0
	}
	r.n++
	*r.at(r.n - 1) = v
}

func (r *ring[T]) pop() T {
	var zero T
	p := r.at(0)
	v := *p
	*p = zero // what it held may be large
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	return v
}

// clear empties the ring and frees its memory.
func (r *ring[T]) clear() { *r = ring[T]{} }

// keep removes the elements for which ok is false, in place.
func (r *ring[T]) keep(ok func(T) bool) {
	var zero T
	kept := 0
	for i := range r.n {
		if v := *r.at(i); ok(v) {
			*r.at(kept) = v
			kept++
		}
	}
	for i := kept; i < r.n; i++ {
		*r.at(i) = zero
	}
	r.n = kept
}
