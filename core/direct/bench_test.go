package direct

import (
	"bufio"
	"context"
	"io"
	"testing"

	"github.com/saorsa-labs/x0x-go/core/internal/mailbox"
)

// rawStream returns both ends of one bidirectional stream.
func rawStream(b *testing.B) (near, far io.ReadWriter) {
	ca, cb := quicConns(b)
	sa, err := ca.OpenStreamSync(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	sa.Write([]byte{0})
	sb, err := cb.AcceptStream(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	io.ReadFull(sb, make([]byte, 1))
	return sa, sb
}

func BenchmarkRoundTrip64(b *testing.B) {
	b.Run("raw", func(b *testing.B) {
		near, far := rawStream(b)
		go io.CopyBuffer(struct{ io.Writer }{far}, struct{ io.Reader }{far}, make([]byte, 64))
		buf := make([]byte, 64)
		for b.Loop() {
			near.Write(buf)
			io.ReadFull(near, buf)
		}
	})
	b.Run("direct", func(b *testing.B) {
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
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.Send(other.cfg.Self, buf, SendOptions{}, nil); err != nil {
				b.Fatal(err)
			}
			if _, err := m.Inbox().Pop(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("direct-wait", func(b *testing.B) {
		m, other := quicPair(b, nil)
		ctx := context.Background()
		go func() {
			for {
				e, err := other.Inbox().Pop(ctx)
				if err != nil {
					return
				}
				other.SendWait(ctx, e.Item.Sender, e.Item.Payload, SendOptions{})
			}
		}()
		buf := make([]byte, 64)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.SendWait(ctx, other.cfg.Self, buf, SendOptions{}); err != nil {
				b.Fatal(err)
			}
			if _, err := m.Inbox().Pop(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOneWay100(b *testing.B) {
	b.Run("raw", func(b *testing.B) {
		near, far := rawStream(b)
		b.ResetTimer()
		raw100(b, near, far, b.N)
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	})
	b.Run("direct", func(b *testing.B) {
		m, other := quicPair(b, nil)
		b.ReportAllocs()
		b.ResetTimer()
		direct100(b, m, other, b.N)
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	})
}

// raw100 sends n times 100 bytes through buffers, and waits until all are read.
func raw100(b *testing.B, near io.Writer, far io.Reader, n int) {
	done := make(chan error, 1)
	go func() {
		r := bufio.NewReaderSize(far, 64<<10)
		buf := make([]byte, 100)
		for range n {
			if _, err := io.ReadFull(r, buf); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	buf := make([]byte, 100)
	w := bufio.NewWriterSize(near, 64<<10)
	for range n {
		w.Write(buf)
	}
	w.Flush()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// direct100 sends n messages of 100 bytes and waits until each was read and
// acknowledged.
func direct100(b *testing.B, m, other *Manager, n int) {
	ctx := context.Background()
	read := make(chan struct{})
	go func() {
		defer close(read)
		var batch []mailbox.Entry[Message]
		for got := 0; got < n; got += len(batch) {
			var err error
			if batch, err = other.Inbox().PopMany(ctx, 256, batch[:0]); err != nil {
				b.Error(err)
				return
			}
		}
	}()
	acked, room, all := 0, make(chan struct{}, 1), make(chan struct{})
	done := func(_ Receipt, err error) { // never concurrent: acks come from one reader
		if err != nil {
			b.Error(err)
		}
		acked++
		if acked == n {
			close(all)
		}
		if acked%512 == 0 {
			select {
			case room <- struct{}{}:
			default:
			}
		}
	}
	buf := make([]byte, 100)
	for range n {
		for {
			if _, err := m.Send(other.cfg.Self, buf, SendOptions{}, done); err == nil {
				break
			}
			<-room
		}
	}
	<-all
	<-read
}

func BenchmarkBulk16M(b *testing.B) {
	const size = 16 << 20
	b.Run("raw", func(b *testing.B) {
		near, far := rawStream(b)
		n := b.N
		done := make(chan error, 1)
		go func() {
			buf := make([]byte, 64<<10)
			for left := n * size; left > 0; {
				k, err := far.Read(buf)
				if err != nil {
					done <- err
					return
				}
				left -= k
			}
			done <- nil
		}()
		body := make([]byte, size)
		b.SetBytes(size)
		b.ResetTimer()
		for range n {
			near.Write(body)
		}
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	})
	for _, parallel := range []int{1, 2} {
		name := "direct-wait"
		if parallel > 1 {
			name = "direct-two"
		}
		b.Run(name, func(b *testing.B) {
			m, other := quicPair(b, nil)
			ctx := context.Background()
			n := b.N
			read := make(chan struct{})
			go func() {
				defer close(read)
				for range n {
					other.Inbox().Pop(ctx)
				}
			}()
			body := make([]byte, size)
			b.SetBytes(size)
			b.ResetTimer()
			slots := make(chan struct{}, parallel)
			for range n {
				slots <- struct{}{}
				go func() {
					if _, err := m.SendWait(ctx, other.cfg.Self, body, SendOptions{}); err != nil {
						b.Error(err)
					}
					<-slots
				}()
			}
			for range parallel {
				slots <- struct{}{}
			}
			<-read
		})
	}
}
