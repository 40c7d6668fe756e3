package transport

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestChoose(t *testing.T) {
	var none ConnID
	x, y := ConnID{1}, ConnID{2}
	p, q := [16]byte{1}, [16]byte{2}
	for _, tt := range []struct {
		name         string
		c, current   claim
		smaller      bool
		want, mirror choice // mirror: when the two arrive the other way round
	}{
		{"the same side's later dial", claim{x, true, 2, none, p, false}, claim{y, true, 1, none, p, false}, true, newStays, oldStays},
		{"our dial, our id smaller", claim{x, true, 1, none, p, false}, claim{y, false, 9, none, p, false}, true, newDrains, oldStays},
		{"our dial, our id greater", claim{x, true, 1, none, p, false}, claim{y, false, 9, none, p, false}, false, oldStays, newDrains},
		{"given up by the other side", claim{x, false, 1, y, p, false}, claim{y, true, 9, none, p, false}, true, newStays, oldStays},
		{"a restarted peer", claim{x, false, 1, none, q, false}, claim{y, true, 9, none, p, false}, true, newStays, newStays},
		{"the current one has ended", claim{x, false, 1, none, p, false}, claim{y, true, 9, none, p, true}, true, newStays, newDrains},
	} {
		require.Equal(t, tt.want, choose(tt.c, tt.current, tt.smaller), tt.name)
		require.Equal(t, tt.mirror, choose(tt.current, tt.c, tt.smaller), tt.name)
	}
}

// Two connections between two living processes: whatever they are, and in
// whatever order each side learns of them, both keep the same one.
func TestBothSidesKeepTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type link struct {
			id     ConnID
			byA    bool
			seq    uint64
			gaveUp ConnID
		}
		one := link{id: ConnID{1}, byA: rapid.Bool().Draw(t, "first dialled by a"), seq: rapid.Uint64Range(1, 4).Draw(t, "seq")}
		two := link{id: ConnID{2}, byA: rapid.Bool().Draw(t, "second dialled by a"), seq: rapid.Uint64Range(1, 4).Draw(t, "seq")}
		if one.byA == two.byA && one.seq == two.seq {
			two.seq++ // a dialler never repeats a number
		}
		// A dialler only gives up what was there before.
		if rapid.Bool().Draw(t, "the second gives up the first") {
			two.gaveUp = one.id
		}
		aSmaller := rapid.Bool().Draw(t, "a is smaller")
		keeps := func(side string) ConnID {
			isA := side == "a"
			view := func(l link) claim {
				return claim{id: l.id, dialled: l.byA == isA, seq: l.seq, gaveUp: l.gaveUp, peer: [16]byte{9}}
			}
			current, next := one, two
			if rapid.Bool().Draw(t, side+" learns of the second first") {
				current, next = two, one
			}
			if choose(view(next), view(current), aSmaller == isA) == oldStays {
				return current.id
			}
			return next.id
		}
		require.Equal(t, keeps("a"), keeps("b"))
	})
}
