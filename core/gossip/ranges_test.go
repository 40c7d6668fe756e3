package gossip

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The set agrees with a map, as long as there are few gaps.
func TestRangesProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r ranges
		model := map[uint64]bool{}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			from := rapid.Uint64Range(1, 120).Draw(t, "from")
			to := from + rapid.Uint64Range(0, 5).Draw(t, "length")
			r.add(from, to)
			for i := from; i <= to; i++ {
				model[i] = true
			}
		}
		for i := uint64(1); i < 130; i++ {
			if r.has(i) != model[i] {
				t.Fatalf("has(%d) = %v", i, r.has(i))
			}
			all := true
			for j := i; j < 130 && j < i+8; j++ {
				all = all && model[j]
				if r.covers(i, j) != all {
					t.Fatalf("covers(%d, %d) = %v", i, j, r.covers(i, j))
				}
			}
		}
		end := r.floor
		for _, s := range r.spans {
			if s.from < end+2 || s.to < s.from {
				t.Fatalf("not in normal form: %+v", r)
			}
			end = s.to
		}
	})
}

func TestRangesAreBounded(t *testing.T) {
	var r ranges
	for i := uint64(1); i <= 1000; i++ {
		r.add(3*i, 3*i)
	}
	require.Len(t, r.spans, maxSpans)
	require.True(t, r.has(1), "the lowest gaps are closed")
	require.True(t, r.has(3*(1000-maxSpans)))
	require.False(t, r.has(3*1000-1))
	require.True(t, r.has(3000))
	require.False(t, r.has(3001))
}
