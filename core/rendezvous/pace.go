package rendezvous

import "time"

// bucketOf is the allowance of one peer: a request costs one, each announcement
// in its answer one more, and paceEach brings one back. The zero value is full.
type bucketOf struct{ rested time.Time }

// What one peer can make an agent do. An honest one asks for some ten keys when
// it starts and then a few per minute; a relayed crowd is not honest.
const (
	paceEach  = 100 * time.Millisecond
	paceBurst = 64

	// Dials to addresses that others named, all together: agents must not become
	// a way to knock at a third party's door.
	dialEach  = 200 * time.Millisecond
	dialBurst = 64
)

func (b *bucketOf) take(n int, each time.Duration, burst int, now time.Time) bool {
	if b.rested.Before(now) {
		b.rested = now
	}
	if b.rested.Sub(now)+time.Duration(n)*each > time.Duration(burst)*each {
		return false
	}
	b.rested = b.rested.Add(time.Duration(n) * each)
	return true
}
