package simnet

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A link without loss does what a line does that is fed packet by packet.
func TestALinkIsALine(t *testing.T) {
	type sent struct {
		at    time.Duration
		class int
		size  int
	}
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{
			Latency:   Constant(time.Duration(rapid.IntRange(0, 20).Draw(t, "latency")) * ms),
			MTU:       rapid.IntRange(1, 200).Draw(t, "mtu"),
			Overhead:  rapid.IntRange(1, 50).Draw(t, "overhead"),
			Bandwidth: rapid.SampledFrom([]int64{0, 1000, 33_333, 1_000_000}).Draw(t, "bandwidth"),
		}
		var sends []sent
		at := time.Second
		for range rapid.IntRange(1, 40).Draw(t, "sends") {
			at += time.Duration(rapid.SampledFrom([]int{0, 0, 1, 7, 50}).Draw(t, "pause")) * ms
			sends = append(sends, sent{at, rapid.IntRange(0, Classes-1).Draw(t, "class"), rapid.IntRange(1, 600).Draw(t, "size")})
		}

		// The line: what waits, by class, and when it is free.
		want := make([]time.Duration, len(sends))
		var waiting [Classes][]int
		left := make([]int, len(sends))
		free := time.Duration(0)
		run := func(until time.Duration) {
			for len(waiting[0])+len(waiting[1]) > 0 && free <= until {
				room := cfg.MTU
				var done []int
				for c := range waiting {
					for len(waiting[c]) > 0 {
						i := waiting[c][0]
						take := min(room, left[i])
						if take == 0 && left[i] > 0 {
							break
						}
						room -= take
						if left[i] -= take; left[i] > 0 {
							break
						}
						done = append(done, i)
						waiting[c] = waiting[c][1:]
					}
				}
				if cfg.Bandwidth > 0 {
					free += time.Duration(int64(cfg.MTU-room+cfg.Overhead) * int64(time.Second) / cfg.Bandwidth)
				}
				for _, i := range done {
					want[i] = free + cfg.Latency(0, 0, nil)
				}
			}
		}
		for i, s := range sends {
			run(s.at - 1)
			if i == 0 || sends[i-1].at != s.at {
				run(s.at) // a packet that can leave before s is sent does
			}
			free = max(free, s.at)
			left[i] = s.size
			waiting[s.class] = append(waiting[s.class], i)
		}
		run(time.Hour)

		n := New(cfg)
		n.Add(0, &host{net: n})
		got := make([]time.Duration, len(sends))
		receiver := &host{net: n, id: 1}
		receiver.onReceive = func(_ int, frame []byte) { got[frame[0]] = n.Now().Sub(n.cfg.Start) }
		n.Add(1, receiver)
		n.Dial(0, 1)
		for i, s := range sends {
			if n.Now() != n.cfg.Start.Add(s.at) {
				n.RunUntil(n.cfg.Start.Add(s.at))
			}
			frame := make([]byte, s.size)
			frame[0] = byte(i)
			require.True(t, n.Send(0, 1, s.class, frame))
		}
		n.run(time.Hour)
		require.Equal(t, want, got)
	})
}

// witness is a Node that checks what a connection promises.
type witness struct {
	t       require.TestingT
	net     *Net
	id      int
	serials *uint32
	dials   map[int]bool
	refused map[int]bool
	conns   map[int]*promise
	last    time.Time
}

// promise is one connection, as one end sees it.
type promise struct {
	serial   uint32 // of this end, among all
	peer     uint32 // the serial of the other end, once heard
	sent     [Classes]uint32
	received [Classes]uint32
}

func (w *witness) check(now time.Time) {
	require.True(w.t, w.net.Now().Equal(now) && !now.Before(w.last), "time goes on")
	require.True(w.t, w.net.Alive(w.id))
	w.last = now
}

func (w *witness) Up(peer int, now time.Time) {
	w.check(now)
	require.Nil(w.t, w.conns[peer], "one connection at a time")
	require.True(w.t, w.net.Connected(w.id, peer))
	*w.serials++
	w.conns[peer] = &promise{serial: *w.serials}
	delete(w.dials, peer)
}

func (w *witness) Down(peer int, now time.Time) {
	w.check(now)
	require.NotNil(w.t, w.conns[peer])
	require.False(w.t, w.net.Connected(w.id, peer))
	delete(w.conns, peer)
	delete(w.refused, peer)
}

func (w *witness) DialFailed(peer int, now time.Time) {
	w.check(now)
	require.True(w.t, w.dials[peer])
	require.Nil(w.t, w.conns[peer])
	delete(w.dials, peer)
}

func (w *witness) Ready(peer int, now time.Time) {
	w.check(now)
	require.True(w.t, w.refused[peer])
	require.True(w.t, w.net.Connected(w.id, peer))
}

func (w *witness) Receive(peer int, frame []byte, now time.Time) {
	w.check(now)
	p := w.conns[peer]
	require.NotNil(w.t, p, "frames come within a connection")
	serial, class, seq := binary.BigEndian.Uint32(frame), int(frame[4]), binary.BigEndian.Uint32(frame[5:])
	if p.peer == 0 {
		p.peer = serial
	}
	require.Equal(w.t, p.peer, serial, "of one connection")
	require.Equal(w.t, p.received[class], seq, "in order, without a gap")
	p.received[class]++
}

func (w *witness) Tick(time.Time)      {}
func (w *witness) NextTick() time.Time { return time.Time{} }

func TestConnectionsKeepTheirPromise(t *testing.T) {
	const size = 4
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{
			Seed:      rapid.Uint64().Draw(t, "seed"),
			Latency:   Uniform(ms, 30*ms),
			Loss:      rapid.SampledFrom([]float64{0, 0.1, 0.5}).Draw(t, "loss"),
			Bandwidth: rapid.SampledFrom([]int64{0, 20_000}).Draw(t, "bandwidth"),
			Queue:     5000,
			MTU:       500,
		}
		n := New(cfg)
		accepted, refused, serials := uint64(0), uint64(0), uint32(0)
		var w [size]*witness
		start := func(id int) {
			w[id] = &witness{t: t, net: n, id: id, serials: &serials, last: n.Now(),
				dials: map[int]bool{}, refused: map[int]bool{}, conns: map[int]*promise{}}
			n.Add(id, w[id])
		}
		for id := range w {
			start(id)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			a := rapid.IntRange(0, size-1).Draw(t, "a")
			b := (a + rapid.IntRange(1, size-1).Draw(t, "b")) % size
			switch rapid.SampledFrom([]string{"dial", "dial", "send", "send", "send", "send", "close", "kill", "start", "partition", "heal", "loss"}).Draw(t, "what") {
			case "dial":
				if n.Alive(a) && !n.Connected(a, b) {
					w[a].dials[b] = true
				}
				n.Dial(a, b)
			case "send":
				for range rapid.IntRange(1, 20).Draw(t, "frames") {
					class := rapid.IntRange(0, Classes-1).Draw(t, "class")
					frame := make([]byte, 9+rapid.IntRange(0, 1500).Draw(t, "size"))
					p := w[a].conns[b]
					if p != nil {
						binary.BigEndian.PutUint32(frame, p.serial)
						frame[4] = byte(class)
						binary.BigEndian.PutUint32(frame[5:], p.sent[class])
					}
					connected := n.Connected(a, b)
					switch ok := n.Send(a, b, class, frame); {
					case ok:
						require.True(t, connected && p != nil)
						p.sent[class]++
						accepted++
					case connected:
						refused++
						w[a].refused[b] = true
					}
				}
			case "close":
				delete(w[a].dials, b)
				n.Close(a, b)
			case "kill":
				n.Kill(a)
			case "start":
				if !n.Alive(a) {
					start(a)
				}
			case "partition":
				odd := rapid.Bool().Draw(t, "odd")
				n.Partition(func(id int) int {
					if odd {
						return id % 2
					}
					return id / 2
				})
			case "heal":
				n.Heal()
			case "loss":
				n.SetLoss(rapid.SampledFrom([]float64{0, 0.3}).Draw(t, "p"))
			}
			n.run(time.Duration(rapid.SampledFrom([]int{0, 1, 10, 100, 1100}).Draw(t, "pause")) * ms)
		}
		n.Heal()
		n.run(10 * time.Minute)

		for a := range w {
			for b := range w {
				if !n.Alive(a) || a == b {
					continue
				}
				require.Empty(t, w[a].dials, "every dial ends")
				require.Equal(t, n.Connected(a, b), n.Connected(b, a))
				require.Equal(t, n.Connected(a, b), w[a].conns[b] != nil)
				if p := w[a].conns[b]; p != nil {
					q := w[b].conns[a]
					require.Equal(t, p.sent, q.received, "all arrives")
				}
			}
		}
		s := n.Stats()
		require.Equal(t, accepted, s.Delivered[0]+s.Delivered[1]+s.Lost[0]+s.Lost[1])
		require.Equal(t, refused, s.Refused[0]+s.Refused[1])
		require.Empty(t, n.events)
	})
}
