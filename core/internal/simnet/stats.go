package simnet

// Counters count what was sent by somebody, or by all.
type Counters struct {
	Frames        uint64 // that left, wholly
	Bytes         uint64 // of frames, that left
	Packets       uint64 // that carried them, each counted once
	Retransmitted uint64 // packets that were sent again
	Resent        uint64 // bytes of frames in them
	Acks          uint64 // packets that only acknowledge, estimated; not by class
	Wire          uint64 // bytes on the interface: all of these with overhead
}

func (c *Counters) packet(size, lost, overhead uint64) {
	c.Bytes += size
	c.Packets++
	c.Retransmitted += lost
	c.Resent += size * lost
	c.Wire += (size + overhead) * (1 + lost)
}

func (c *Counters) add(d Counters) {
	c.Frames += d.Frames
	c.Bytes += d.Bytes
	c.Packets += d.Packets
	c.Retransmitted += d.Retransmitted
	c.Resent += d.Resent
	c.Acks += d.Acks
	c.Wire += d.Wire
}

// Stats count what a network did.
type Stats struct {
	Total Counters          // acknowledgements included
	Class [Classes]Counters // a packet of several classes counts for its first

	Delivered [Classes]uint64 // frames that arrived
	Refused   [Classes]uint64 // frames that Send refused because the queue was full
	Lost      [Classes]uint64 // frames that ended with their connection

	Connections uint64 // that came up
	Downs       uint64 // ends of connections that were told so
	DialsFailed uint64
	Live        int // connections with an end that is up

	Events uint64 // that were taken from the heap, stale ones included
}

// Stats returns what has happened so far.
func (n *Net) Stats() Stats {
	s := n.stats
	for i := range n.class {
		s.Class[i] = n.class[i]
		s.Total.add(n.class[i])
	}
	acks := n.acks
	for _, l := range n.links {
		if l.state != [2]endState{} {
			s.Live++
		}
		for side := range l.ends {
			acks += uint64(l.due(side, n.now))
		}
	}
	s.Total.Acks += acks
	s.Total.Wire += acks * uint64(n.cfg.AckBytes)
	return s
}

// LinkStats returns what from has sent to its peer to in the connection that
// they have: zero without one.
func (n *Net) LinkStats(from, to int) Counters {
	if l, side := n.find(from, to); l != nil {
		return n.counters(l.current(side, n.now))
	}
	return Counters{}
}

// NodeStats returns what the processes with this id have sent in all.
func (n *Net) NodeStats(id int) Counters {
	if id < 0 || id >= len(n.procs) {
		return Counters{}
	}
	c := n.counters(n.past[int32(id)])
	for _, r := range n.procs[id].peers {
		side := 0
		if r.link.ids[1] == int32(id) {
			side = 1
		}
		c.add(n.counters(r.link.current(side, n.now)))
	}
	return c
}

// linkCounters are Counters without what follows from the others, small enough
// for every link.
type linkCounters struct {
	bytes, resent                uint64
	frames, packets, again, acks uint32
}

func (c *linkCounters) packet(frames uint32, size, lost int) {
	c.frames += frames
	c.bytes += uint64(size)
	c.packets++
	c.again += uint32(lost)
	c.resent += uint64(size * lost)
}

func (n *Net) counters(c linkCounters) Counters {
	return Counters{
		Frames: uint64(c.frames), Bytes: c.bytes, Packets: uint64(c.packets),
		Retransmitted: uint64(c.again), Resent: c.resent, Acks: uint64(c.acks),
		Wire: c.bytes + c.resent + uint64(c.packets+c.again)*uint64(n.cfg.Overhead) +
			uint64(c.acks)*uint64(n.cfg.AckBytes),
	}
}

// retire keeps what a process sent on a connection that ends.
func (n *Net) retire(id int32, c linkCounters) {
	if c == (linkCounters{}) {
		return
	}
	if n.past == nil {
		n.past = make(map[int32]linkCounters)
	}
	p := n.past[id]
	p.bytes += c.bytes
	p.resent += c.resent
	p.frames += c.frames
	p.packets += c.packets
	p.again += c.again
	p.acks += c.acks
	n.past[id] = p
}

// current returns what an end has sent up to now.
func (l *link) current(side int, now int64) linkCounters {
	c := l.ends[side].sent
	c.acks += l.due(side, now)
	return c
}

// acker estimates, with link.ackable, the packets by which an end only
// acknowledges.
type acker struct {
	last     int64 // when the last packet that is not acknowledged arrives
	deadline int64 // when an acknowledgement leaves by itself
}

// arrives notes a packet that arrives at this end at time at, and returns how
// many acknowledgements have left by it.
func (l *link) arrives(side int, at int64, cfg *Config) (acks uint32) {
	if cfg.AckEvery < 0 {
		return 0
	}
	a, due := &l.ends[side].acks, &l.ackable[side]
	if *due > 0 && at > a.deadline {
		acks, *due = 1, 0
	}
	if *due == 0 {
		*a = acker{last: at, deadline: at + int64(cfg.AckDelay)}
	}
	*due++
	a.last = max(a.last, at)
	if int(*due) >= cfg.AckEvery {
		acks, *due = acks+1, 0
	}
	return acks
}

// leaves notes a packet with data that leaves this end at time at, and takes
// along what has arrived and is due.
func (l *link) leaves(side int, at int64) (acks uint32) {
	a, due := &l.ends[side].acks, &l.ackable[side]
	switch {
	case *due == 0:
	case at > a.deadline:
		acks, *due = 1, 0
	case at >= a.last:
		*due = 0
	}
	return acks
}

// due returns the acknowledgement that has left this end since the last packet.
func (l *link) due(side int, now int64) uint32 {
	if l.ackable[side] > 0 && now > l.ends[side].acks.deadline {
		return 1
	}
	return 0
}
