package direct

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"
)

// compare runs both functions in turns, so that what else the machine does falls on
// both alike, and reports the medians of the times and of the ratio direct/raw.
func compare(b *testing.B, rounds int, raw, direct func()) {
	var x, y, ratio []float64
	for range rounds {
		start := time.Now()
		raw()
		mid := time.Now()
		direct()
		end := time.Now()
		x = append(x, mid.Sub(start).Seconds())
		y = append(y, end.Sub(mid).Seconds())
		ratio = append(ratio, y[len(y)-1]/x[len(x)-1])
	}
	slices.Sort(x)
	slices.Sort(y)
	slices.Sort(ratio)
	b.ReportMetric(x[rounds/2]*1e6, "raw-µs")
	b.ReportMetric(y[rounds/2]*1e6, "direct-µs")
	b.ReportMetric(ratio[rounds/2], "ratio")
	b.ReportMetric(ratio[rounds/4], "ratio-p25")
}

func BenchmarkRatioRoundTrip64(b *testing.B) {
	near, far := rawStream(b)
	go io.CopyBuffer(struct{ io.Writer }{far}, struct{ io.Reader }{far}, make([]byte, 64))
	m, other := quicPair(b, nil)
	ctx := context.Background()
	go func() {
		for {
			e, err := other.Inbox().Pop(ctx)
			if err != nil {
				return
			}
			other.Send(e.Item.Sender, e.Item.Payload, SendOptions{}, nil)
		}
	}()
	buf := make([]byte, 64)
	for b.Loop() {
		compare(b, 41, func() {
			for range 500 {
				near.Write(buf)
				io.ReadFull(near, buf)
			}
		}, func() {
			for range 500 {
				m.Send(other.cfg.Self, buf, SendOptions{}, nil)
				m.Inbox().Pop(ctx)
			}
		})
	}
}

// BenchmarkRatioOneWay100 compares times: a ratio of 2 is half of the raw rate.
func BenchmarkRatioOneWay100(b *testing.B) {
	near, far := rawStream(b)
	m, other := quicPair(b, nil)
	const each = 100_000
	for b.Loop() {
		compare(b, 15, func() { raw100(b, near, far, each) }, func() { direct100(b, m, other, each) })
	}
}
