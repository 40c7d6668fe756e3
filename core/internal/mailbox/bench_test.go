package mailbox_test

import (
	"context"
	"testing"

	"github.com/saorsa-labs/x0x-go/core/internal/mailbox"
)

// message is about what a room queues for each message: a few words and a body.
type message struct {
	from, seq uint64
	body      []byte
}

func BenchmarkPushPop(b *testing.B) {
	box := mailbox.New[message](mailbox.Options{MaxItems: 1024, MaxBytes: 8 << 20})
	var dst [1]mailbox.Entry[message]
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		box.Push(message{seq: uint64(i)}, 100, uint64(i))
		box.TryPop(1, dst[:0])
	}
}

func BenchmarkPushThenBatchPop(b *testing.B) {
	box := mailbox.New[message](mailbox.Options{MaxItems: 1024, MaxBytes: 8 << 20})
	dst := make([]mailbox.Entry[message], 0, 256)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		box.Push(message{seq: uint64(i)}, 100, uint64(i))
		if i%256 == 255 {
			dst = box.TryPop(256, dst[:0])
		}
	}
}

func BenchmarkBatchPushBatchPop(b *testing.B) {
	box := mailbox.New[message](mailbox.Options{MaxItems: 1024, MaxBytes: 8 << 20})
	dst := make([]mailbox.Entry[message], 0, 256)
	src := make([]message, 256)
	size := func(m *message) int { return len(m.body) }
	seq := func(m *message) uint64 { return m.seq }
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%256 == 255 { // so that ns/op is per message
			box.PushBatch(src, size, seq)
			dst = box.TryPop(256, dst[:0])
		}
	}
}

func BenchmarkDropOldest(b *testing.B) {
	box := mailbox.New[message](mailbox.Options{MaxItems: 1024, Policy: mailbox.DropOldest})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		box.Push(message{seq: uint64(i)}, 100, uint64(i))
	}
}

// BenchmarkHandOver moves items from one goroutine to another, which waits in
// PopMany; the producer waits for room as the rooms do.
func BenchmarkHandOver(b *testing.B) {
	for _, bench := range []struct {
		name string
		push int
		max  int
	}{{"push1-pop256", 1, 256}, {"push64-pop256", 64, 256}, {"push1-pop1", 1, 1}} {
		b.Run(bench.name, func(b *testing.B) {
			box := mailbox.New[message](mailbox.Options{MaxItems: 1024, MaxBytes: 8 << 20})
			room := make(chan struct{}, 1)
			box.SetRoom(func() {
				select {
				case room <- struct{}{}:
				default:
				}
			})
			done := make(chan int)
			go func() {
				n := 0
				dst := make([]mailbox.Entry[message], 0, bench.max)
				for {
					var err error
					if dst, err = box.PopMany(context.Background(), bench.max, dst[:0]); err != nil {
						done <- n
						return
					}
					n += len(dst)
				}
			}()
			src := make([]message, bench.push)
			size := func(m *message) int { return 100 }
			seq := func(m *message) uint64 { return m.seq }
			b.ReportAllocs()
			b.ResetTimer()
			for sent := 0; sent < b.N; {
				batch := src[:min(len(src), b.N-sent)]
				for len(batch) > 0 {
					n := box.PushBatch(batch, size, seq)
					sent += n
					if batch = batch[n:]; len(batch) > 0 {
						<-room
					}
				}
			}
			box.Close()
			if n := <-done; n != b.N {
				b.Fatalf("received %d of %d", n, b.N)
			}
		})
	}
}

// BenchmarkChannel is the same with a Go channel, as a yardstick.
func BenchmarkChannel(b *testing.B) {
	ch := make(chan message, 1024)
	done := make(chan int)
	go func() {
		n := 0
		for range ch {
			n++
		}
		done <- n
	}()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		ch <- message{seq: uint64(i)}
	}
	close(ch)
	<-done
}
