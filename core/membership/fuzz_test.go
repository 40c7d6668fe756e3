package membership

import (
	"bytes"
	"testing"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func FuzzFrame(f *testing.F) {
	for _, frame := range samples() {
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) == 0 {
			return
		}
		again, err := rewrite(frame)
		if err != nil {
			if k := wire.KindOf(err); k != wire.KindCorrupt && k != wire.KindUnsupported {
				t.Fatalf("an error of kind %s: %v", k, err)
			}
			return
		}
		if !bytes.Equal(again, frame) { // one value, one encoding
			t.Fatalf("written again: %x\nwas: %x", again, frame)
		}
	})
}

// FuzzState plays a program against a state: each step is an operation, an
// agent, and for frames a length and the bytes.
func FuzzState(f *testing.F) {
	var all []byte
	for i, frame := range samples() {
		step := append([]byte{0, byte(i%4 + 1), byte(len(frame) >> 8), byte(len(frame))}, frame...)
		up := []byte{1, byte(i%4 + 1)}
		f.Add(append(up, step...))
		all = append(append(append(all, up...), step...), 5, byte(i*7))
	}
	f.Add(all)
	f.Add([]byte{1, 1, 1, 2, 6, 1, 2, 1, 3, 4, 7, 0, 5, 200, 4, 2})
	f.Fuzz(func(t *testing.T, program []byte) {
		o := newOne(t, Config{Active: 3, Passive: 10})
		watch := newWatch(t, o.State)
		for len(program) >= 2 {
			op, arg := program[0], program[1]
			program = program[2:]
			agent := int(arg) % 16
			switch op % 8 {
			case 0:
				if len(program) < 2 {
					return
				}
				n := min(int(program[0])<<8|int(program[1]), len(program)-2)
				frame := program[2 : 2+n]
				program = program[2+n:]
				_ = o.HandleFrame(agentID(agent), frame, o.now) // any error but a panic
			case 1:
				o.up(agent)
				watch.up(agent)
			case 2:
				o.down(agent)
				watch.down(agent)
			case 3:
				o.DialFailed(agentID(agent), o.now)
			case 4:
				o.Join(agentID(agent), o.now)
			case 5:
				o.tick(time.Duration(arg) * 100 * time.Millisecond)
			case 6:
				o.upFrom(agent, addrOf(1)) // all from one address
				watch.up(agent)
			case 7:
				if arg == 0 {
					o.Leave(o.now)
				}
			}
			watch.check(o.did())
		}
	})
}
