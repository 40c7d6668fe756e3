package simnet_test

import (
	"fmt"
	"time"

	"github.com/saorsa-labs/x0x-go/core/internal/simnet"
)

// echo answers each frame once, and says what it sees.
type echo struct {
	net *simnet.Net
	id  int
}

func (e *echo) Up(peer int, now time.Time) {
	fmt.Printf("%v: %d is connected to %d\n", now.Format("05.000"), e.id, peer)
}

func (e *echo) Down(peer int, now time.Time) {
	fmt.Printf("%v: %d has lost %d\n", now.Format("05.000"), e.id, peer)
}

func (e *echo) Receive(peer int, frame []byte, now time.Time) {
	fmt.Printf("%v: %d got %q\n", now.Format("05.000"), e.id, frame)
	if string(frame) == "ping" {
		e.net.Send(e.id, peer, simnet.Control, []byte("pong"))
	}
}

func (e *echo) DialFailed(int, time.Time) {}
func (e *echo) Tick(time.Time)            {}
func (e *echo) NextTick() time.Time       { return time.Time{} }

func Example() {
	n := simnet.New(simnet.Config{Latency: simnet.Constant(20 * time.Millisecond)})
	for id := range 2 {
		n.Add(id, &echo{net: n, id: id})
	}
	n.Dial(0, 1)
	n.RunUntil(n.Now().Add(time.Second))

	n.Send(0, 1, simnet.Bulk, []byte("ping"))
	n.At(n.Now().Add(time.Second), func() { n.Kill(1) })
	n.RunUntil(n.Now().Add(time.Minute))
	// Output:
	// 00.080: 0 is connected to 1
	// 00.080: 1 is connected to 0
	// 01.020: 1 got "ping"
	// 01.040: 0 got "pong"
	// 03.000: 0 has lost 1
}
