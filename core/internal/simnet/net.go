package simnet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Node is a simulated process. A Net calls it from the goroutine of RunUntil,
// never while another call is under way.
type Node interface {
	Up(peer int, now time.Time)         // a connection to peer is up; peer hears it as well
	Down(peer int, now time.Time)       // it ended, by whomever
	DialFailed(peer int, now time.Time) // a Dial of this process has failed
	Receive(peer int, frame []byte, now time.Time)

	// Tick is called when the time of NextTick has come. NextTick is asked
	// after each call of the node, and after Wake; zero: no tick is wanted.
	Tick(now time.Time)
	NextTick() time.Time
}

// Readier is a Node that wants to know when it can go on sending to a peer to
// which a Send was refused.
type Readier interface {
	Ready(peer int, now time.Time) // half of the queue is free again
}

// Net is a network. See the package comment for what it models.
type Net struct {
	cfg     Config
	now     int64     // ns since Config.Start
	time    time.Time // the same, for nodes
	running bool

	events eventHeap
	key    uint64 // of the last event pushed
	calm   int    // events since the time last moved on
	calls  []func()
	idle   []int32 // entries of calls that are free

	procs  []proc
	links  []*link // none is nil
	spare  []int32 // links that are free
	frames frameStore
	dirty  []int32 // ends that were sent on since the last flush

	groups func(id int) int // nil: whole
	loss   float64
	delays *rand.Rand // apart from losses, so that loss does not change latencies
	losses *rand.Rand

	trace trace
	stats Stats
	class [Classes]Counters
	acks  uint64
	past  map[int32]linkCounters // what each process has sent on connections that ended; nil: nothing
}

// proc is what is known of one id.
type proc struct {
	node  Node // nil: no process runs
	group int
	tick  int64     // a tick event is in the heap for this time, or never
	peers []peerRef // links with this process, by peer
}

type peerRef struct {
	peer int32
	link *link
}

const (
	never = math.MaxInt64

	// maxID bounds the table of processes, which has an entry for each id below
	// the largest.
	maxID = 1 << 24

	// maxCalm is how many events may happen at one instant. More is a loop in
	// which time stands still, and would never end.
	maxCalm = 50_000_000
	// maxTicks is the same for one process that wants to be ticked again.
	maxTicks = 1000
)

// New returns a network without processes at time Config.Start.
func New(cfg Config) *Net {
	cfg.setDefaults()
	return &Net{
		cfg:    cfg,
		time:   cfg.Start,
		loss:   cfg.Loss,
		delays: rand.New(rand.NewPCG(cfg.Seed, 1)),
		losses: rand.New(rand.NewPCG(cfg.Seed, 2)),
		trace:  newTrace(cfg.TraceContent),
	}
}

// Now returns the virtual time.
func (n *Net) Now() time.Time { return n.time }

// Add starts a process. Ids are small numbers from 0, for they index tables. An
// id whose process was killed may be used again.
func (n *Net) Add(id int, node Node) {
	if id < 0 || id >= maxID {
		panic(fmt.Sprintf("simnet: id %d is out of range", id))
	}
	for len(n.procs) <= id {
		n.procs = append(n.procs, proc{tick: never})
	}
	p := &n.procs[id]
	if p.node != nil {
		panic(fmt.Sprintf("simnet: process %d runs", id))
	}
	p.node = node
	if n.groups != nil {
		p.group = n.groups(id)
	}
	n.trace.add(n.now, trAdd, 0, int32(id), -1, nil)
	n.arm(int32(id))
}

// Alive reports whether a process with this id runs.
func (n *Net) Alive(id int) bool {
	return id >= 0 && id < len(n.procs) && n.procs[id].node != nil
}

// Wake asks the process for its NextTick, which may have changed by something
// else than a call of the network.
func (n *Net) Wake(id int) {
	if n.Alive(id) {
		n.arm(int32(id))
	}
}

// At calls f at time t, or, if that is past, as the next thing.
func (n *Net) At(t time.Time, f func()) {
	var i int32
	if k := len(n.idle); k > 0 {
		i = n.idle[k-1]
		n.idle = n.idle[:k-1]
		n.calls[i] = f
	} else {
		i = int32(len(n.calls))
		n.calls = append(n.calls, f)
	}
	n.push(max(n.since(t), n.now), evCall, i, 0)
}

// RunUntil runs all that happens up to t, and t itself. Then it is t.
func (n *Net) RunUntil(t time.Time) {
	if n.running {
		panic("simnet: RunUntil within RunUntil")
	}
	n.running = true
	defer func() { n.running = false }()
	n.flush()
	until := n.since(t)
	for len(n.events) > 0 && n.events[0].at <= until {
		e := n.events.pop()
		n.stats.Events++
		n.advance(e.at)
		n.dispatch(e)
	}
	n.advance(max(until, n.now))
}

// advance moves time on to at, never back.
func (n *Net) advance(at int64) {
	if at > n.now {
		n.now = at
		n.time = n.cfg.Start.Add(time.Duration(at))
		n.calm = 0
		return
	}
	if n.calm++; n.calm > maxCalm {
		panic(fmt.Sprintf("simnet: time stands still at %v", n.time))
	}
}

func (n *Net) dispatch(e event) {
	switch k := e.kind(); k {
	case evTick:
		n.tick(e)
	case evCall:
		f := n.calls[e.ref]
		n.calls[e.ref] = nil
		n.idle = append(n.idle, e.ref)
		n.trace.add(n.now, evCall, 0, -1, -1, nil)
		f()
		n.flush()
	case evCut:
		if l := n.links[e.ref]; l.gen == e.gen {
			n.cutOff(l)
		}
	default:
		l, side := n.links[e.ref>>1], int(e.ref&1)
		switch {
		case k == evDial || k == evDialFail:
			if l.dialGen[side] == e.gen && l.dials[side] != nil {
				n.dialled(l, side, k == evDialFail)
			}
		case l.gen != e.gen: // of a connection that is no more
		case k == evControl || k == evBulk:
			n.arrive(l, side, int(k-evControl))
		case k == evLine:
			l.timed[side] = false
			n.pump(l, side)
		case k == evReady:
			n.readied(l, side)
		case k == evDown:
			n.downed(l, side)
		}
	}
}

func (n *Net) tick(e event) {
	p := &n.procs[e.ref]
	if p.tick != e.at {
		return // another took its place, or the process ended
	}
	p.tick = never
	// The wish may have moved to a later time since: moving the event with it
	// each time would fill the heap.
	if t := p.node.NextTick(); t.IsZero() {
		return
	} else if at := n.since(t); at > n.now {
		p.tick = at
		n.push(at, evTick, e.ref, 0)
		return
	}
	for range maxTicks {
		n.trace.add(n.now, evTick, 0, e.ref, -1, nil)
		n.procs[e.ref].node.Tick(n.time)
		n.flush()
		p = &n.procs[e.ref] // Add may have moved it
		if p.node == nil {
			return
		}
		if t := p.node.NextTick(); t.IsZero() || n.since(t) > n.now {
			n.arm(e.ref)
			return
		}
	}
	panic(fmt.Sprintf("simnet: process %d wants to be ticked at %v again and again", e.ref, n.time))
}

// arm sees to it that the process is ticked when it next wants to be.
func (n *Net) arm(id int32) {
	p := &n.procs[id]
	if p.node == nil {
		return
	}
	t := p.node.NextTick()
	if t.IsZero() {
		return
	}
	if at := max(n.since(t), n.now); at < p.tick {
		p.tick = at
		n.push(at, evTick, id, 0)
	}
}

// called ends every call of a node: what it sent leaves, and its wish is heard.
func (n *Net) called(id int32) {
	n.flush()
	n.arm(id)
}

func (n *Net) push(at int64, kind eventKind, ref int32, gen uint32) {
	n.key += 1 << 8
	n.events.push(event{at: at, key: n.key | uint64(kind), ref: ref, gen: gen})
}

func (n *Net) since(t time.Time) int64 { return int64(t.Sub(n.cfg.Start)) }

// SetLoss changes the loss of packets that leave from now on.
func (n *Net) SetLoss(p float64) {
	checkLoss(p)
	n.loss = p
	n.trace.record(n.now, trLoss, 0, -1, -1, 0, math.Float32bits(float32(p)))
}
