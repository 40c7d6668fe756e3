package presence

import (
	"bytes"
	"testing"
	"time"

	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// samples are frames of each type.
func samples(t testing.TB) [][]byte {
	o := newOne(t, Config{})
	b := o.made(1)
	return [][]byte{
		beaconFrame(b),
		beaconFrame(o.made(2, func(b *beacon) { b.addrs, b.visibility = nil, Social })),
		goodbyeFrame(b.sequence),
		watchFrame(time.Minute),
		unwatchFrame(),
		queryFrame(query{id: 7, ttl: 2, budget: time.Second}),
		answerFrame(answer{id: 7}),
		answerFrame(answer{id: 7, final: true, beacons: []relayed{passed(1, b), passed(3, o.made(3))}}),
	}
}

// rewrite parses a frame and writes it again.
func rewrite(frame []byte) ([]byte, error) {
	body := frame[1:]
	switch frameType(frame[0]) {
	case frameBeacon:
		b, err := parseBeacon(body)
		if err != nil {
			return nil, err
		}
		b.encode()
		return beaconFrame(&b), nil
	case frameGoodbye:
		sequence, err := parseGoodbye(body)
		return goodbyeFrame(sequence), err
	case frameWatch:
		lease, err := parseWatch(body)
		return watchFrame(lease), err
	case frameUnwatch:
		return unwatchFrame(), parseUnwatch(body)
	case frameQuery:
		q, err := parseQuery(body)
		return queryFrame(q), err
	case frameAnswer:
		a, err := parseAnswer(body)
		for i := range a.beacons {
			a.beacons[i].encode()
		}
		return answerFrame(a), err
	}
	return nil, wire.Errorf(wire.KindUnsupported, "rewrite", "unknown type")
}

func TestFrames(t *testing.T) {
	for _, frame := range samples(t) {
		again, err := rewrite(frame)
		if err != nil || !bytes.Equal(again, frame) {
			t.Errorf("type 0x%02x: written again %x (%v)", frame[0], again, err)
		}
		if !IsFrame(frame[0]) || len(frame) > MaxFrame {
			t.Errorf("type 0x%02x of %d bytes", frame[0], len(frame))
		}
		for n := 1; n < len(frame); n += 1 + n/20 { // no part of a frame is one
			if _, err := rewrite(frame[:n]); err == nil {
				t.Errorf("type 0x%02x: the first %d of %d bytes pass", frame[0], n, len(frame))
			}
		}
	}
}

func FuzzFrame(f *testing.F) {
	for _, frame := range samples(f) {
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
	for i, frame := range samples(f) {
		step := append([]byte{0, byte(i%4 + 1), byte(len(frame) >> 8), byte(len(frame))}, frame...)
		up := []byte{1, byte(i%4 + 1)}
		f.Add(append(up, step...))
		all = append(append(append(all, up...), step...), 5, byte(i*7))
	}
	f.Add(all)
	f.Add([]byte{1, 1, 1, 2, 6, 1, 2, 1, 3, 4, 7, 0, 5, 200, 4, 2})
	f.Fuzz(func(t *testing.T, program []byte) {
		o := newOne(t, Config{MaxAgents: 3, MaxWatchers: 2})
		o.levels[agentID(1)] = trust.Known
		o.State.verify = func(_ []byte, b *beacon) bool { return b.signature[0]&1 == 0 }
		online := make(map[[32]byte]bool)
		for len(program) >= 2 {
			op, arg := program[0], program[1]
			program = program[2:]
			n := int(arg) % 8
			switch op % 9 {
			case 0:
				if len(program) < 2 {
					return
				}
				size := min(int(program[0])<<8|int(program[1]), len(program)-2)
				_ = o.HandleFrame(agentID(n), program[2:2+size], o.now) // any error but a panic
				program = program[2+size:]
			case 1:
				o.up(n)
			case 2:
				o.lost(n)
			case 3:
				o.neighbor(n)
			case 4:
				_, _ = o.Query(n, 0, o.now)
			case 5:
				o.run(time.Duration(arg) * time.Second)
			case 6:
				_ = o.Watch(agentID(n), o.now)
			case 7:
				o.SetVisibility(Visibility(n%3), o.now)
			case 8:
				o.levels[agentID(n)] = trust.Level(arg / 8 % 4)
				o.TrustChanged(agentID(n), o.now)
				if o.levels[agentID(n)] == trust.Blocked {
					delete(online, agentID(n)) // silently
				}
			}
			for _, a := range o.Take() {
				switch a.Kind {
				case Send:
					if _, err := rewrite(a.Frame); err != nil {
						t.Fatalf("sends what it would refuse: %v", err)
					}
				case Online, Offline:
					if online[a.Agent] == (a.Kind == Online) {
						t.Fatalf("%v twice", a.Kind)
					}
					online[a.Agent] = a.Kind == Online
				}
			}
			if st := o.Stats(); st.Known > 3 || st.Watchers > 2 || len(o.heard) > maxHeard {
				t.Fatalf("unbounded: %+v", st)
			}
		}
	})
}
