package gossip

import "slices"

// maxSpans bounds what one stream of one sender can make us remember. Only a
// sender that skips numbers, or heavy loss, gets anywhere near.
const maxSpans = 64

// span is the numbers from through to, both included.
type span struct{ from, to uint64 }

// ranges is a set of sequence numbers, which start at 1. A stream without gaps
// is one number. The zero value is empty.
type ranges struct {
	floor uint64 // 1 … floor are in the set
	spans []span // above floor+1, ascending, neither overlapping nor adjacent
}

func (r *ranges) has(n uint64) bool {
	if n <= r.floor {
		return true
	}
	i, found := slices.BinarySearchFunc(r.spans, n, func(s span, n uint64) int {
		switch {
		case s.to < n:
			return -1
		case s.from > n:
			return 1
		}
		return 0
	})
	return found && i < len(r.spans)
}

// covers reports whether every number from through to is in the set.
func (r *ranges) covers(from, to uint64) bool {
	if to <= r.floor {
		return true
	}
	from = max(from, r.floor+1)
	for _, s := range r.spans {
		if s.from <= from && to <= s.to {
			return true
		}
	}
	return false
}

// add puts the numbers from through to into the set. If that makes too many
// spans, the lowest gap is closed: its numbers count as present from then on,
// so they are lost rather than remembered.
func (r *ranges) add(from, to uint64) {
	if to <= r.floor {
		return
	}
	from = max(from, 1)
	// The spans that touch from…to, or stand next to it, become one.
	i := 0
	for i < len(r.spans) && r.spans[i].to+1 < from {
		i++
	}
	j := i
	for j < len(r.spans) && r.spans[j].from <= to+1 {
		from, to = min(from, r.spans[j].from), max(to, r.spans[j].to)
		j++
	}
	r.spans = slices.Replace(r.spans, i, j, span{from, to})
	if len(r.spans) > maxSpans {
		r.floor = r.spans[0].from - 1
	}
	for len(r.spans) > 0 && r.spans[0].from <= r.floor+1 {
		r.floor = max(r.floor, r.spans[0].to)
		r.spans = slices.Delete(r.spans, 0, 1)
	}
}
