package simnet

import "time"

// link is what two processes have with each other: dials under way, and a
// connection, of which each may have its end.
//
// With tens of thousands of links a run is bound by what it fetches from
// memory. So the parts that each event needs are in the first 64 bytes, an end
// is 128 and the whole 384, which the allocator aligns.
type link struct {
	gen   uint32 // of the connection: its events carry it
	index int32
	ids   [2]int32 // the smaller first
	rtt   int64    // of the connection, for time-outs
	cut   int64    // when a partition came between the two, or never

	state   [2]endState
	dirty   [2]bool  // the end is in Net.dirty
	timed   [2]bool  // an evLine is in the heap
	ackable [2]uint8 // packets that arrived at the end and are not acknowledged
	dials   [2]*dial // under way; nil is none
	_       [8]byte

	ends [2]end

	dialGen [2]uint32 // of the dials: their events carry it
	_       [56]byte
}

// endState is what one process knows of the connection.
type endState uint8

const (
	down   endState = iota
	up              // it can send
	ending          // it cannot send any more, and hears Down in this instant
)

// dial is one process's try to connect.
type dial struct {
	from  int64 // when it began
	rtt   int64
	tries int // that came to nothing
}

// end is what one process sends on a connection.
type end struct {
	queues [Classes]queue
	line   int64 // when the line is free
	path   int64 // when the last packet that was not lost arrives: paths do not reorder
	acks   acker
	sent   linkCounters
}

// queue is a list of frames in frameStore: first those that are wholly on the
// line, then, from next, those that wait.
type queue struct {
	head, next, tail int32 // none: -1
	off              int32 // bytes of next that are on the line already
	held             int32 // bytes of all in the list
	armed            bool  // an event is in the heap for head
	refused          bool  // a Send was, and Ready is due
	arrives          int64 // when what is on the line so far has arrived, in order
}

var emptyQueue = queue{head: -1, next: -1, tail: -1}

// frameStore is a pool of list entries.
type frameStore struct {
	all  []frame
	free int32 // list of free entries; 0 is the end, entry 0 is never used
}

type frame struct {
	data    []byte
	arrives int64
	next    int32
}

func (s *frameStore) put(data []byte) int32 {
	i := s.free
	if i == 0 {
		if len(s.all) == 0 {
			s.all = append(s.all, frame{})
		}
		s.all = append(s.all, frame{})
		i = int32(len(s.all) - 1)
	} else {
		s.free = s.all[i].next
	}
	s.all[i] = frame{data: data, next: -1}
	return i
}

func (s *frameStore) release(i int32) {
	s.all[i] = frame{next: s.free}
	s.free = i
}

// weight is what a frame takes of a queue: also an empty one takes something.
func weight(frame []byte) int { return max(len(frame), 1) }

// Send gives a frame to the connection that from has with to. It reports false,
// and takes nothing, if there is no connection or the queue of this class is
// full; in the second case a Readier hears Ready later. The frame must not be
// changed after.
func (n *Net) Send(from, to, class int, frame []byte) bool {
	l, side := n.find(from, to)
	if l == nil || l.state[side] != up {
		return false
	}
	q := &l.ends[side].queues[class]
	w := weight(frame)
	if q.held > 0 && int(q.held)+w > n.cfg.Queue {
		q.refused = true
		n.stats.Refused[class]++
		return false
	}
	q.held += int32(w)
	i := n.frames.put(frame)
	if q.head < 0 {
		q.head = i
	} else {
		n.frames.all[q.tail].next = i
	}
	q.tail = i
	if q.next < 0 {
		q.next = i
	}
	if !l.dirty[side] {
		l.dirty[side] = true
		n.dirty = append(n.dirty, l.index<<1|int32(side))
	}
	return true
}

// flush lets leave what was sent since the last time, packed together.
func (n *Net) flush() {
	for _, ref := range n.dirty {
		l := n.links[ref>>1]
		l.dirty[ref&1] = false
		n.pump(l, int(ref&1))
	}
	n.dirty = n.dirty[:0]
}

// flows reports whether packets of the end reach its peer.
func (l *link) flows(side int) bool {
	return l.cut == never && l.state[side] == up && l.state[1-side] == up
}

// pump puts packets on the line as long as it is free and there are any.
func (n *Net) pump(l *link, side int) {
	if !l.flows(side) {
		return
	}
	e := &l.ends[side]
	for e.queues[Control].next >= 0 || e.queues[Bulk].next >= 0 {
		if e.line > n.now {
			if !l.timed[side] {
				l.timed[side] = true
				n.push(e.line, evLine, l.index<<1|int32(side), l.gen)
			}
			return
		}
		n.packet(l, side)
	}
}

// packet fills one packet, the more urgent class first, and sends it.
func (n *Net) packet(l *link, side int) {
	e := &l.ends[side]
	lost := n.draw()
	room := n.cfg.MTU
	owner := Control
	if e.queues[Control].next < 0 {
		owner = Bulk
	}

	// How much there is to carry decides when it arrives.
	size := 0
	for c := range e.queues {
		q := &e.queues[c]
		off := int(q.off)
		for i := q.next; i >= 0 && size < room; i = n.frames.all[i].next {
			size += len(n.frames.all[i].data) - off
			off = 0
		}
	}
	size = min(size, room)
	sent := n.now
	if n.cfg.Bandwidth > 0 {
		took := int64(size+n.cfg.Overhead) * int64(time.Second) / n.cfg.Bandwidth
		sent += took
		e.line = sent + took*int64(lost)
	}
	from, to := l.ids[side], l.ids[1-side]
	arrives := max(e.path, sent+n.delay(from, to))
	e.path = arrives
	if lost > 0 {
		arrives += n.resend(l.rtt, lost)
	}

	frames := uint32(0)
	for c := range e.queues {
		q := &e.queues[c]
		for q.next >= 0 {
			f := &n.frames.all[q.next]
			take := min(room, len(f.data)-int(q.off))
			if take == 0 && len(f.data) > 0 {
				break // the packet is full
			}
			room -= take
			q.off += int32(take)
			q.arrives = max(q.arrives, arrives)
			if int(q.off) < len(f.data) {
				break
			}
			f.arrives = q.arrives
			if !q.armed {
				q.armed = true
				n.push(f.arrives, evControl+eventKind(c), l.index<<1|int32(side), l.gen)
			}
			q.next, q.off = f.next, 0
			frames++
			n.class[c].Frames++
		}
	}

	n.class[owner].packet(uint64(size), uint64(lost), uint64(n.cfg.Overhead))
	e.sent.packet(frames, size, lost)
	n.acked(e, l.leaves(side, n.now))
	n.acked(&l.ends[1-side], l.arrives(1-side, arrives, &n.cfg))
}

// acked counts packets by which an end only acknowledges.
func (n *Net) acked(e *end, acks uint32) {
	if acks > 0 {
		e.sent.acks += acks
		n.acks += uint64(acks)
	}
}

func (n *Net) delay(from, to int32) int64 {
	return max(int64(n.cfg.Latency(int(from), int(to), n.delays)), 0)
}

// maxLost bounds how often one packet is lost.
const maxLost = 64

// draw says how often a packet is lost before it arrives.
func (n *Net) draw() (lost int) {
	if n.loss == 0 {
		return 0
	}
	for lost < maxLost && n.losses.Float64() < n.loss {
		lost++
	}
	return lost
}

// resend is how much later a packet arrives that is lost so many times.
func (n *Net) resend(rtt int64, lost int) (wait int64) {
	pto := rtt + int64(n.cfg.RTO)
	most := max(pto, int64(n.cfg.RTOMax))
	for range lost {
		wait += pto
		pto = min(2*pto, most)
	}
	return wait
}

// arrive hands over the frames of one class that have arrived from this end.
func (n *Net) arrive(l *link, side, class int) {
	q := &l.ends[side].queues[class]
	gen := l.gen
	for l.gen == gen && q.head != q.next && n.frames.all[q.head].arrives <= n.now {
		if l.cut != never || l.state[1-side] != up {
			q.armed = false // held back: Heal goes on, or Down drops it
			return
		}
		n.deliver(l, side, class)
	}
	if l.gen != gen {
		return
	}
	if q.armed = q.head != q.next; q.armed {
		n.push(n.frames.all[q.head].arrives, evControl+eventKind(class), l.index<<1|int32(side), gen)
	}
}

// deliver hands over the first frame of a queue.
func (n *Net) deliver(l *link, side, class int) {
	e := &l.ends[side]
	q := &e.queues[class]
	i := q.head
	data := n.frames.all[i].data
	q.head = n.frames.all[i].next
	n.frames.release(i)
	q.held -= int32(weight(data))
	if q.refused && int(q.held) <= n.cfg.Queue/2 {
		q.refused = false
		n.push(n.now+l.rtt/2, evReady, l.index<<1|int32(side), l.gen)
	}
	n.stats.Delivered[class]++
	from, to := l.ids[side], l.ids[1-side]
	n.trace.add(n.now, evControl+eventKind(class), class, from, to, data)
	n.procs[to].node.Receive(int(from), data, n.time)
	n.called(to)
}

func (n *Net) readied(l *link, side int) {
	id := l.ids[side]
	node, ok := n.procs[id].node.(Readier)
	if l.state[side] != up || !ok {
		return
	}
	n.trace.add(n.now, evReady, 0, id, l.ids[1-side], nil)
	node.Ready(int(l.ids[1-side]), n.time)
	n.called(id)
}
