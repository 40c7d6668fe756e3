package rendezvous

import (
	"bytes"
	"testing"
	"time"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

func samples(t testing.TB) [][]byte {
	p := person(t, 1, 1)
	a := p.announce(t, 1, 0)
	head, tail := discovery.Split(a.Marshal())
	return [][]byte{
		findFrame(1, KeyOf(Agent, p.Agent), true), recordFrame(1, a), foundFrame(1, []Peer{p.Peer}), foundFrame(2, nil),
		storeFrame(3, Agent, a.Marshal()), renewFrame(4, Machine, sum(head), tail), storedFrame(3, statusWhole),
		conflictFrame(a), idleFrame(), dropFrame(Machine),
	}
}

// rewrite parses a frame and writes it again.
func rewrite(frame []byte) ([]byte, error) {
	body := frame[1:]
	switch frameType(frame[0]) {
	case frameFind:
		request, key, records, err := parseFind(body)
		return findFrame(request, key, records), err
	case frameFound:
		request, peers, err := parseFound(body)
		return foundFrame(request, peers), err
	case frameStore:
		request, kind, raw, err := parseStore(body)
		return storeFrame(request, kind, raw), err
	case frameRenew:
		request, kind, head, tail, err := parseRenew(body)
		return renewFrame(request, kind, head, tail), err
	case frameDrop:
		kind, err := parseDrop(body)
		return dropFrame(kind), err
	case frameStored:
		request, st, err := parseStored(body)
		return storedFrame(request, st), err
	}
	return frame, nil
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
			if k := wire.KindOf(err); k != wire.KindCorrupt {
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
		up := []byte{1, byte(i%4 + 1)}
		step := append([]byte{0, byte(i%4 + 1), byte(len(frame) >> 8), byte(len(frame))}, frame...)
		f.Add(append(up, step...))
		all = append(append(append(all, up...), step...), 5, byte(i*7), 4, byte(i))
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, program []byte) {
		o := newOne(t, Config{Table: 8, Bucket: 2, StoreBytes: 40_000})
		now := kitNow
		for len(program) >= 2 {
			op, arg := program[0], program[1]
			program = program[2:]
			p := Peer{Agent: identity.AgentID{arg % 16, 1}, Machine: identity.MachineID{arg, 1}}
			at := simAddr(int(arg))
			p.Addrs = append(p.Addrs, at)
			switch op % 7 {
			case 0:
				if len(program) < 2 {
					return
				}
				n := min(int(program[0])<<8|int(program[1]), len(program)-2)
				_ = o.HandleFrame(p.Agent, program[2:2+n], now)
				program = program[2+n:]
			case 1:
				o.PeerUp(p, at, now)
			case 2:
				o.PeerDown(p.Agent, now)
			case 3:
				o.DialFailed(p.Agent, now)
			case 4:
				_, _ = o.Find(Kind(arg%4), [32]byte{arg}, now)
			case 5:
				now = now.Add(time.Duration(arg) * time.Second / 4)
				o.Tick(now)
			case 6:
				o.KnowPeer(p, now)
			}
			st := o.Stats()
			if st.RecordBytes > o.cfg.StoreBytes || len(o.bads) > maxBad || len(o.lookups) > maxLookups+8 || st.Listed-st.Connected > 8 {
				t.Fatalf("a bound does not hold: %+v", st)
			}
			if len(o.nodes) != len(o.order) {
				t.Fatalf("%d nodes, %d in order", len(o.nodes), len(o.order))
			}
			for _, a := range o.Take() {
				if n := o.nodes[a.Agent]; a.Kind == Send && op%7 != 2 && (n == nil || !n.connected) {
					t.Fatalf("a frame to %v, which is not connected", a.Agent)
				}
			}
			if next := o.NextTick(); !next.IsZero() && next.Before(now) {
				o.Tick(now)
				if next := o.NextTick(); !next.IsZero() && !next.After(now) {
					t.Fatalf("a tick is wanted at %v, it is %v", next, now)
				}
			}
		}
	})
}
