package transport

import (
	"context"
	"crypto/mldsa"
	"crypto/tls"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/stretchr/testify/require"
)

// BenchmarkDial compares, in one run, a dial with everything against quic-go
// alone with an ML-DSA-65 certificate of the standard library.
func BenchmarkDial(b *testing.B) {
	b.Run("std", func(b *testing.B) {
		cert := stdCertificate(b)
		conf := baseTLS(cert)
		conf.VerifyConnection = nil
		l, err := quic.ListenAddr("127.0.0.1:0", conf, nil)
		require.NoError(b, err)
		tr := listen(b, testConfig(b, 1)).quic
		go func() {
			for {
				if _, err := l.Accept(context.Background()); err != nil {
					return
				}
			}
		}()
		var times durations
		for b.Loop() {
			start := time.Now()
			q, err := tr.Dial(context.Background(), l.Addr(), conf, nil)
			if err != nil {
				b.Fatal(err)
			}
			times.add(start)
			q.CloseWithError(0, "")
		}
		times.report(b)
		l.Close()
	})
	run := func(b *testing.B, resume bool) {
		x, y := listen(b, testConfig(b, 1)), listen(b, testConfig(b, 2))
		if resume {
			pair(b, x, y, y.Addr())
			waitSession(b, x, y.MachineID())
		} else {
			x.sessions = noSessions()
		}
		var times durations
		for b.Loop() {
			start := time.Now()
			c, err := x.Dial(context.Background(), y.Addr(), y.MachineID())
			if err != nil {
				b.Fatal(err)
			}
			times.add(start)
			if c.Resumed() != resume {
				b.Fatal("resumed:", c.Resumed())
			}
			c.Close(CloseGoodbye, "")
			_, _ = y.Accept(context.Background())
		}
		times.report(b)
	}
	b.Run("full", func(b *testing.B) { run(b, false) })
	b.Run("resumed", func(b *testing.B) { run(b, true) })
}

// durations gives the median, which a busy machine disturbs less than the mean.
type durations []time.Duration

func (d *durations) add(start time.Time) { *d = append(*d, time.Since(start)) }

func (d durations) report(b *testing.B) {
	slices.Sort(d)
	b.ReportMetric(float64(d[len(d)/2]), "p50-ns")
}

func stdCertificate(b *testing.B) tls.Certificate {
	b.Helper()
	key, err := mldsa.GenerateKey(mldsa.MLDSA65())
	require.NoError(b, err)
	return selfSigned(b, key.Public(), key)
}

// BenchmarkRoundTrip is 64 bytes there and back on one stream, by way of our
// streams and by way of quic-go's.
func BenchmarkRoundTrip(b *testing.B) {
	x, y := listen(b, testConfig(b, 1)), listen(b, testConfig(b, 2))
	xy, yx := pair(b, x, y, y.Addr())
	go yx.Serve(func(_ StreamKind, s ReceiveStream) {
		buf := make([]byte, 4096)
		for {
			n, err := s.Read(buf)
			if err != nil {
				return
			}
			if _, err := s.(Stream).Write(buf[:n]); err != nil {
				return
			}
		}
	})
	buf := make([]byte, 64)
	trip := func(b *testing.B, s io.ReadWriter) {
		for b.Loop() {
			if _, err := s.Write(buf); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(s, buf); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("ours", func(b *testing.B) {
		s, err := xy.OpenBidi(context.Background(), KindDirect)
		require.NoError(b, err)
		defer s.Cancel(0)
		trip(b, s)
	})
	b.Run("raw", func(b *testing.B) {
		s, err := xy.quic.OpenStreamSync(context.Background())
		require.NoError(b, err)
		defer s.CancelRead(0)
		defer s.CancelWrite(0)
		_, err = s.Write([]byte{byte(KindDirect)})
		require.NoError(b, err)
		trip(b, s)
	})
}

// BenchmarkBulk is one stream of 64 KiB writes.
func BenchmarkBulk(b *testing.B) {
	x, y := listen(b, testConfig(b, 1)), listen(b, testConfig(b, 2))
	xy, yx := pair(b, x, y, y.Addr())
	go yx.Serve(func(_ StreamKind, s ReceiveStream) {
		buf := make([]byte, 64<<10)
		for {
			if _, err := s.Read(buf); err != nil {
				return
			}
		}
	})
	s, err := xy.OpenUni(context.Background(), KindDirect)
	require.NoError(b, err)
	buf := make([]byte, 64<<10)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		if _, err := s.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIdleConnections reports what 1,000 idle connections cost the side that
// accepts them: growth of the resident set of a process of its own, after GC.
func BenchmarkIdleConnections(b *testing.B) {
	const n = 1000
	for b.Loop() {
		h := startHub(b)
		addr, before := h.report(b)
		var clients []*Endpoint
		for i := range 10 {
			clients = append(clients, listen(b, testConfig(b, uint64(10+i))))
		}
		dials := make(chan error, n)
		for _, c := range clients {
			go func() {
				for range n / len(clients) {
					_, err := c.Dial(context.Background(), addr, testKey(b, 2).Public().MachineID())
					dials <- err
				}
			}()
		}
		for range n {
			require.NoError(b, <-dials)
		}
		_, after := h.report(b)
		b.ReportMetric(float64(before), "rest-bytes")
		b.ReportMetric(float64(after-before)/n, "bytes/conn")
		for _, c := range clients {
			_ = c.Close(context.Background())
		}
		h.stop()
	}
}
