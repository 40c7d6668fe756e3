package gossip

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// bytesOnLink publishes on one of two connected nodes and returns the bytes of
// the frames that this sent to the other.
func bytesOnLink(t *testing.T, publish func(a *node), messages int) int {
	n := newPipeNet(t)
	a, b := n.add(1), n.add(2)
	n.connect(a, b)
	s := b.subscribe("t", SubscribeOptions{Messages: messages + 1})
	a.publish("t", "up")
	next(t, s)
	before := a.sentTo(b)
	publish(a)
	payloads(t, s, messages)
	return a.sentTo(b) - before
}

func TestWireSize(t *testing.T) {
	one := bytesOnLink(t, func(a *node) { a.publish("t", string(make([]byte, 64))) }, 1)
	t.Logf("one message of 64 bytes: %d bytes", one)
	require.LessOrEqual(t, one, 3500, "3,600 with the headers of three QUIC packets")

	const burst = 1000
	all := bytesOnLink(t, func(a *node) {
		release := holdSigner(t, a) // what comes in a burst waits in the queue
		for range burst {
			require.NoError(t, a.PublishAsync("t", make([]byte, 100), func(error) {}))
		}
		release()
	}, burst)
	overhead := float64(all-burst*100) / burst
	t.Logf("burst of %d: %.1f bytes of overhead per message", burst, overhead)
	require.Less(t, overhead, 90.0, "100 with the headers of QUIC packets")
}

// Two nodes, everything delivered: signed, sent, verified, handed over.
func BenchmarkTwoNodes(b *testing.B) {
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			n := newPipeNet(b)
			pub, sub := n.add(1), n.add(2)
			n.connect(pub, sub)
			s := sub.subscribe("t", SubscribeOptions{Messages: 1 << 20, Bytes: 1 << 30})
			pub.publish("t", "up")
			next(b, s)
			payload := make([]byte, size)
			places := make(chan struct{}, 1024)
			b.ReportAllocs()
			b.ResetTimer()
			go func() {
				for range b.N {
					places <- struct{}{}
					if err := pub.PublishAsync("t", payload, func(error) { <-places }); err != nil {
						b.Error(err)
						return
					}
				}
			}()
			got := 0
			for got < b.N {
				batch, err := s.Box().PopMany(context.Background(), 256, nil)
				require.NoError(b, err)
				for _, e := range batch {
					if e.Lagged != nil {
						b.Fatal("lost")
					}
				}
				got += len(batch)
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			if d := pub.Stats().PeerDropped; d > 0 {
				b.Fatalf("%d dropped", d)
			}
		})
	}
}

// One message at a time: sign, send, verify, deliver.
func BenchmarkPublishToDeliver(b *testing.B) {
	n := newPipeNet(b)
	pub, sub := n.add(1), n.add(2)
	n.connect(pub, sub)
	s := sub.subscribe("t", SubscribeOptions{})
	pub.publish("t", "up")
	next(b, s)
	payload := make([]byte, 64)
	for b.Loop() {
		require.NoError(b, pub.Publish(context.Background(), "t", payload))
		next(b, s)
	}
}

func BenchmarkSealEnvelope(b *testing.B) {
	for _, count := range []int{1, maxBundle} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			e := &envelope{epoch: 1, first: 1}
			for range count {
				e.payloads = append(e.payloads, make([]byte, 100))
			}
			for b.Loop() {
				_, err := sealEnvelope(testKey(b, 1), testNetwork, e)
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkParseAndVerify(b *testing.B) {
	for _, count := range []int{1, maxBundle} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			e := &envelope{epoch: 1, first: 1}
			for range count {
				e.payloads = append(e.payloads, make([]byte, 100))
			}
			frame, err := sealEnvelope(testKey(b, 1), testNetwork, e)
			require.NoError(b, err)
			key := testKey(b, 1).Public()
			for b.Loop() {
				env, err := parseEnvelope(frame[envelopeAt:])
				if err != nil || !env.verify(key, testNetwork) {
					b.Fatal(err)
				}
			}
		})
	}
}
