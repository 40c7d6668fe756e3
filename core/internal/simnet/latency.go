package simnet

import (
	"math"
	"math/rand/v2"
	"time"
)

// Constant is the same latency for every packet.
func Constant(d time.Duration) func(a, b int, rnd *rand.Rand) time.Duration {
	return func(int, int, *rand.Rand) time.Duration { return d }
}

// Uniform draws the latency of each packet from [least, most].
func Uniform(least, most time.Duration) func(a, b int, rnd *rand.Rand) time.Duration {
	span := int64(most-least) + 1
	return func(_, _ int, rnd *rand.Rand) time.Duration {
		return least + time.Duration(rnd.Int64N(span))
	}
}

// Plane places every process on a square, by its id and the seed. The latency
// is near for two at one place, far for two in opposite corners, in proportion
// to their distance between, and up to jitter more, drawn for each packet. It
// is the same in both directions but for the jitter, and on average near plus
// 0.37 of the rest of the way.
func Plane(seed uint64, near, far, jitter time.Duration) func(a, b int, rnd *rand.Rand) time.Duration {
	span := float64(far-near) / math.Sqrt2
	return func(a, b int, rnd *rand.Rand) time.Duration {
		ax, ay := place(seed, a)
		bx, by := place(seed, b)
		d := near + time.Duration(span*math.Sqrt((ax-bx)*(ax-bx)+(ay-by)*(ay-by)))
		if jitter > 0 {
			d += time.Duration(rnd.Int64N(int64(jitter) + 1))
		}
		return d
	}
}

// place is a point of the unit square. It is computed, not kept, so that ids
// need no bounds and the order in which they are asked for does not matter.
func place(seed uint64, id int) (x, y float64) {
	h := mix(seed ^ mix(uint64(id)))
	return float64(h>>32) / (1 << 32), float64(h&(1<<32-1)) / (1 << 32)
}

// mix is the output function of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
