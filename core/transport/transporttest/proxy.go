package transporttest

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Direction names one half of a path through the proxy.
type Direction uint8

const (
	// ToTarget is what clients send to the target.
	ToTarget Direction = iota
	// ToClient is what the target answers.
	ToClient
)

// The proxy's own bounds. A path that queues more than this is a router with
// a full buffer: it drops, and counts the drop as Overflow.
const (
	maxQueued    = 32 << 10
	maxDatagram  = 64 << 10
	socketBuffer = 4 << 20
)

// Forever makes [Proxy.Blackhole] last until the next call of it.
const Forever = time.Duration(1<<63 - 1)

// Counters counts datagrams in one direction.
type Counters struct {
	Received   uint64 // read from the sender
	Forwarded  uint64 // handed on
	Lost       uint64 // dropped by SetLoss
	Reordered  uint64 // held back by SetReorder
	Blackholed uint64 // dropped by Blackhole
	Overflow   uint64 // dropped since the queue was full or the socket refused
	Bytes      uint64 // payload bytes handed on
	// Flights is the causal depth of what was handed on: a datagram's depth is
	// one more than the deepest datagram its sender had received by then. The
	// first flight of a client is 1, the answer 2, the client's answer 3. It
	// counts round trips without reading a clock; it is exact when the delay
	// is longer than a sender needs to write one flight.
	Flights int
}

// Stats is a snapshot of both directions.
type Stats struct {
	ToTarget, ToClient Counters
	Clients            int // distinct client addresses seen
	Rebinds            int // source ports given up by Rebind
}

// Proxy is a faulty path in front of one UDP address. Make it with [NewProxy].
type Proxy struct {
	front  *net.UDPConn
	target netip.AddrPort
	wake   chan struct{} // something earlier than before was queued
	quit   chan struct{}
	wg     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	flows   map[netip.AddrPort]*flow
	rng     [2]*rand.Rand
	count   [2]Counters
	rebinds int
	loss    float64
	reorder float64
	hold    time.Duration
	delay   time.Duration
	dark    [2]time.Time // swallowed until
	queue   packetHeap
	order   uint64
	last    [2]time.Time // due time of the newest packet, keeps delay changes in order
}

// flow is one client address and the socket that speaks for it.
type flow struct {
	client netip.AddrPort
	back   *net.UDPConn // replaced by Rebind
	depth  [2]int       // deepest datagram received by the target, by the client
}

type packet struct {
	due   time.Time
	order uint64
	flow  *flow
	dir   Direction
	depth int
	data  []byte
}

// NewProxy starts a proxy on a free loopback port of the target's address
// family. It closes with t; with a nil t the caller closes it. It fails t, or
// panics without one, when no socket can be had.
func NewProxy(t testing.TB, target netip.AddrPort, seed uint64) *Proxy {
	p, err := newProxy(target, seed)
	if err != nil {
		if t == nil {
			panic(err)
		}
		t.Helper()
		t.Fatal(err)
	}
	if t != nil {
		t.Cleanup(p.Close)
	}
	return p
}

func newProxy(target netip.AddrPort, seed uint64) (*Proxy, error) {
	target = netip.AddrPortFrom(target.Addr().Unmap(), target.Port())
	front, err := listenLike(target)
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		front:  front,
		target: target,
		wake:   make(chan struct{}, 1),
		quit:   make(chan struct{}),
		flows:  make(map[netip.AddrPort]*flow),
		rng: [2]*rand.Rand{
			rand.New(rand.NewPCG(seed, 0)),
			rand.New(rand.NewPCG(seed, 1)),
		},
	}
	p.wg.Go(p.readFront)
	p.wg.Go(p.deliver)
	return p, nil
}

func listenLike(target netip.AddrPort) (*net.UDPConn, error) {
	addr := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if target.Addr().Is6() {
		addr = netip.IPv6Loopback()
	}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		return nil, fmt.Errorf("transporttest: proxy socket: %w", err)
	}
	_ = c.SetReadBuffer(socketBuffer) // best effort: the kernel may grant less
	_ = c.SetWriteBuffer(socketBuffer)
	return c, nil
}

// Addr is where clients send.
func (p *Proxy) Addr() netip.AddrPort {
	return p.front.LocalAddr().(*net.UDPAddr).AddrPort()
}

// SetLoss drops this percentage of datagrams (0 to 100) in each direction.
func (p *Proxy) SetLoss(percent float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loss = percent / 100
}

// SetDelay holds every datagram for oneWay: the round trip grows by twice that.
// Datagrams stay in order, also when the delay shrinks.
func (p *Proxy) SetDelay(oneWay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = oneWay
}

// SetReorder holds this percentage of datagrams back for hold longer than
// SetDelay, so that later ones overtake them.
func (p *Proxy) SetReorder(percent float64, hold time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reorder, p.hold = percent/100, hold
}

// Blackhole swallows everything, in both directions and what is under way,
// for d from now. [Forever] lasts until the next call, 0 ends it.
func (p *Proxy) Blackhole(d time.Duration) {
	p.BlackholeOne(ToTarget, d)
	p.BlackholeOne(ToClient, d)
}

// BlackholeOne is [Proxy.Blackhole] for one direction.
func (p *Proxy) BlackholeOne(dir Direction, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := time.Time{}
	if d == Forever {
		until = time.Now().Add(1 << 61)
	} else if d > 0 {
		until = time.Now().Add(d)
	}
	p.dark[dir] = until
}

// Rebind gives every client a new source port towards the target, as a NAT
// that lost its table does. Answers to the old ports are lost.
func (p *Proxy) Rebind() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	for _, f := range p.flows {
		back, err := listenLike(p.target)
		if err != nil {
			return err
		}
		f.back.Close() // its reader ends
		f.back = back
		p.rebinds++
		p.wg.Go(func() { p.readBack(f, back) })
	}
	return nil
}

// Stats returns the counters so far.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{
		ToTarget: p.count[ToTarget],
		ToClient: p.count[ToClient],
		Clients:  len(p.flows),
		Rebinds:  p.rebinds,
	}
}

// Close stops forwarding, drops what is under way and waits for the proxy's
// goroutines. It may be called more than once.
func (p *Proxy) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.quit)
		p.front.Close()
		for _, f := range p.flows {
			f.back.Close()
		}
	}
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *Proxy) readFront() {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := p.front.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // an ICMP error of an earlier write
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if f := p.flow(from); f != nil {
			p.admit(f, ToTarget, buf[:n])
		}
	}
}

func (p *Proxy) readBack(f *flow, back *net.UDPConn) {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := back.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		if from.Port() == p.target.Port() {
			p.admit(f, ToClient, buf[:n])
		}
	}
}

// flow returns the flow of a client address, made at first sight; nil after Close.
func (p *Proxy) flow(client netip.AddrPort) *flow {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f, ok := p.flows[client]; ok || p.closed {
		return f
	}
	back, err := listenLike(p.target)
	if err != nil {
		return nil
	}
	f := &flow{client: client, back: back}
	p.flows[client] = f
	p.wg.Go(func() { p.readBack(f, back) })
	return f
}

// admit decides the fate of one datagram. data is copied if it has to wait.
func (p *Proxy) admit(f *flow, dir Direction, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, now := &p.count[dir], time.Now()
	c.Received++
	// Draw both numbers every time, so that the fate of the n-th datagram
	// depends on the seed alone and not on which faults are on.
	lose, late := p.rng[dir].Float64() < p.loss, p.rng[dir].Float64() < p.reorder
	// What the target knows was sent to it (ToTarget), and so for the client.
	depth := f.depth[1-dir] + 1
	switch {
	case now.Before(p.dark[dir]):
		c.Blackholed++
		return
	case lose:
		c.Lost++
		return
	}
	due := now.Add(p.delay)
	if late {
		c.Reordered++
		due = due.Add(p.hold)
	} else if due.Before(p.last[dir]) {
		due = p.last[dir]
	} else {
		p.last[dir] = due
	}
	pkt := packet{due: due, flow: f, dir: dir, depth: depth, data: data}
	if len(p.queue) == 0 && !due.After(now) {
		p.forward(pkt, now)
		return
	}
	if len(p.queue) >= maxQueued {
		c.Overflow++
		return
	}
	pkt.data = append([]byte(nil), data...)
	pkt.order = p.order
	p.order++
	heap.Push(&p.queue, pkt)
	if p.queue[0].order == pkt.order {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// forward hands one datagram on. The caller holds p.mu.
func (p *Proxy) forward(pkt packet, now time.Time) {
	c := &p.count[pkt.dir]
	if now.Before(p.dark[pkt.dir]) {
		c.Blackholed++
		return
	}
	var err error
	if pkt.dir == ToTarget {
		_, err = pkt.flow.back.WriteToUDPAddrPort(pkt.data, p.target)
	} else {
		_, err = p.front.WriteToUDPAddrPort(pkt.data, pkt.flow.client)
	}
	if err != nil {
		c.Overflow++
		return
	}
	c.Forwarded++
	c.Bytes += uint64(len(pkt.data))
	pkt.flow.depth[pkt.dir] = max(pkt.flow.depth[pkt.dir], pkt.depth)
	c.Flights = max(c.Flights, pkt.depth)
}

// deliver forwards what is due, in order of due time.
func (p *Proxy) deliver() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		p.mu.Lock()
		wait := time.Hour
		for now := time.Now(); len(p.queue) > 0; {
			if d := p.queue[0].due.Sub(now); d > 0 {
				wait = d
				break
			}
			p.forward(heap.Pop(&p.queue).(packet), now)
		}
		p.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-p.wake:
		case <-p.quit:
			return
		}
	}
}

type packetHeap []packet

func (h packetHeap) Len() int { return len(h) }
func (h packetHeap) Less(i, j int) bool {
	if h[i].due.Equal(h[j].due) {
		return h[i].order < h[j].order
	}
	return h[i].due.Before(h[j].due)
}
func (h packetHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *packetHeap) Push(x any)   { *h = append(*h, x.(packet)) }
func (h *packetHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = packet{}
	*h = old[:len(old)-1]
	return last
}
