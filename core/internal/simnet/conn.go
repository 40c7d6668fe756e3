package simnet

import (
	"fmt"
	"slices"
)

// find returns the link between two processes and from's side of it, or nil.
func (n *Net) find(from, to int) (*link, int) {
	if from < 0 || from >= len(n.procs) {
		return nil, 0
	}
	peers := n.procs[from].peers
	i, found := search(peers, int32(to))
	if !found || int(peers[i].peer) != to {
		return nil, 0
	}
	side := 0
	if from > to {
		side = 1
	}
	return peers[i].link, side
}

func search(peers []peerRef, peer int32) (int, bool) {
	return slices.BinarySearchFunc(peers, peer, func(r peerRef, p int32) int { return int(r.peer) - int(p) })
}

// linkOf returns the link between two processes, which it makes if need be.
func (n *Net) linkOf(from, to int) (*link, int) {
	if l, side := n.find(from, to); l != nil {
		return l, side
	}
	for len(n.procs) <= to {
		n.procs = append(n.procs, proc{tick: never})
	}
	var l *link
	if k := len(n.spare); k > 0 {
		l = n.links[n.spare[k-1]]
		n.spare = n.spare[:k-1]
	} else {
		l = &link{index: int32(len(n.links))}
		n.links = append(n.links, l)
	}
	l.ids = [2]int32{int32(min(from, to)), int32(max(from, to))}
	l.cut = never
	for side := range l.ends {
		l.reset(side)
		p := &n.procs[l.ids[side]]
		i, _ := search(p.peers, l.ids[1-side])
		p.peers = slices.Insert(p.peers, i, peerRef{l.ids[1-side], l})
	}
	if from > to {
		return l, 1
	}
	return l, 0
}

// reset makes an end fit for a connection. Its frames have been dropped.
func (l *link) reset(side int) {
	l.state[side] = down
	l.timed[side] = false
	l.ackable[side] = 0
	l.ends[side] = end{queues: [Classes]queue{emptyQueue, emptyQueue}}
}

// endDial ends a dial: its event is stale.
func (l *link) endDial(side int) {
	l.dials[side] = nil
	l.dialGen[side]++
}

// settle frees a link that nobody has a part in any more.
func (n *Net) settle(l *link) {
	if l.state != [2]endState{} {
		return
	}
	n.clear(l)
	if l.dials != [2]*dial{} {
		return
	}
	for side, id := range l.ids {
		p := &n.procs[id]
		if i, found := search(p.peers, l.ids[1-side]); found {
			p.peers = slices.Delete(p.peers, i, i+1)
		}
	}
	n.spare = append(n.spare, l.index)
}

// clear ends a connection of which both ends are down.
func (n *Net) clear(l *link) {
	l.gen++
	for side := range l.ends {
		e := &l.ends[side]
		n.drop(e)
		n.acked(e, l.due(side, n.now))
		n.retire(l.ids[side], e.sent)
		l.reset(side)
	}
}

// drop frees the frames of an end. They are lost.
func (n *Net) drop(e *end) {
	for c := range e.queues {
		q := &e.queues[c]
		for i := q.head; i >= 0; {
			next := n.frames.all[i].next
			n.frames.release(i)
			n.stats.Lost[c]++
			i = next
		}
		*q = emptyQueue
	}
}

// Dial has process a connect to b. Both hear Up, or a hears DialFailed. With a
// connection or a dial of a's under way it does nothing.
func (n *Net) Dial(a, b int) {
	if a == b || b < 0 || b >= maxID {
		panic(fmt.Sprintf("simnet: %d cannot dial %d", a, b))
	}
	if !n.Alive(a) {
		return
	}
	l, side := n.linkOf(a, b)
	if l.state[side] == up || l.dials[side] != nil {
		return
	}
	d := &dial{from: n.now, rtt: n.delay(int32(a), int32(b)) + n.delay(int32(b), int32(a))}
	l.dials[side] = d
	took := d.rtt * int64(n.cfg.DialRTTs)
	for range 2 * n.cfg.DialRTTs { // a flight each way
		took += n.resend(d.rtt, n.draw())
	}
	n.dialNext(l, side, n.now+took)
}

// dialNext has the dial arrive at time at, if that is not too late for it.
func (n *Net) dialNext(l *link, side int, at int64) {
	kind := evDial
	if end := l.dials[side].from + int64(n.cfg.DialTimeout); at > end {
		kind, at = evDialFail, max(end, n.now)
	}
	n.push(at, kind, l.index<<1|int32(side), l.dialGen[side])
}

// dialled is where a dial succeeds, goes on, or fails.
func (n *Net) dialled(l *link, side int, late bool) {
	d := l.dials[side]
	from, to := l.ids[side], l.ids[1-side]
	if late {
		l.endDial(side)
		n.settle(l)
		n.stats.DialsFailed++
		n.trace.add(n.now, evDialFail, 0, from, to, nil)
		n.procs[from].node.DialFailed(int(to), n.time)
		n.called(from)
		return
	}
	if n.procs[to].node == nil || n.apart(l) || n.cfg.CanDial != nil && !n.cfg.CanDial(int(from), int(to)) {
		pause := max(d.rtt, int64(n.cfg.RTO)) << min(d.tries, 16)
		d.tries++
		n.dialNext(l, side, n.now+pause)
		return
	}
	// An end that is still up is of a connection with a process that is gone:
	// the new one takes its place.
	for s := range l.ends {
		if l.state[s] != down {
			n.push(n.now, evDial, l.index<<1|int32(side), l.dialGen[side]) // see again, for Down may lead to anything
			n.downed(l, s)
			return
		}
	}
	n.clear(l)
	gen := l.gen
	l.rtt = d.rtt
	l.cut = never
	for s := range l.ends {
		l.state[s] = up
		l.endDial(s)
	}
	n.stats.Connections++
	for _, s := range []int{side, 1 - side} {
		if l.gen != gen || l.state[s] != up {
			continue // it has been killed
		}
		id, peer := l.ids[s], l.ids[1-s]
		n.trace.add(n.now, trUp, 0, id, peer, nil)
		n.procs[id].node.Up(int(peer), n.time)
		n.called(id)
	}
}

// Connected reports whether process a has a connection to b, as far as it
// knows: it may take time to see that b is gone.
func (n *Net) Connected(a, b int) bool {
	l, side := n.find(a, b)
	return l != nil && l.state[side] == up
}

// Close has process a end its connection to b, or its dial, of which it then
// hears no more. Both hear Down: a in this instant, b when the news arrives.
func (n *Net) Close(a, b int) {
	l, side := n.find(a, b)
	if l == nil {
		return
	}
	if l.dials[side] != nil {
		l.endDial(side)
	}
	if l.state[side] != up {
		n.settle(l)
		return
	}
	n.pump(l, side) // what was sent before leaves before
	n.trace.add(n.now, trClose, 0, int32(a), int32(b), nil)
	if l.state[1-side] == up {
		at := n.now + int64(n.cfg.DownAfter)
		if l.cut == never {
			at = max(l.ends[side].path, n.now+n.delay(int32(a), int32(b)))
		}
		n.push(at, evDown, l.index<<1|int32(1-side), l.gen)
	}
	n.over(l, side)
}

// over ends the connection for one side, which hears so in this instant.
func (n *Net) over(l *link, side int) {
	l.state[side] = ending
	n.push(n.now, evDown, l.index<<1|int32(side), l.gen)
}

// downed tells one side that its connection is over.
func (n *Net) downed(l *link, side int) {
	gen := l.gen
	// What arrives in the instant of the end came before it.
	for c := range l.ends[1-side].queues {
		q := &l.ends[1-side].queues[c]
		for l.gen == gen && l.state[side] == up && l.cut == never &&
			q.head != q.next && n.frames.all[q.head].arrives <= n.now {
			n.deliver(l, 1-side, c)
		}
	}
	if l.gen != gen || l.state[side] == down {
		return
	}
	l.state[side] = down
	id, peer := l.ids[side], l.ids[1-side]
	n.settle(l)
	n.stats.Downs++
	n.trace.add(n.now, evDown, 0, id, peer, nil)
	n.procs[id].node.Down(int(peer), n.time)
	n.called(id)
}

// Kill ends a process without a goodbye. Nothing is called any more on its
// Node; its peers hear Down after DownAfter.
func (n *Net) Kill(id int) {
	if !n.Alive(id) {
		return
	}
	p := &n.procs[id]
	p.node = nil
	p.tick = never
	n.trace.add(n.now, trKill, 0, int32(id), -1, nil)
	for _, r := range slices.Clone(p.peers) { // settle changes it
		l, side := r.link, 0
		if l.ids[1] == int32(id) {
			side = 1
		}
		if l.dials[side] != nil {
			l.endDial(side)
		}
		n.drop(&l.ends[side])
		l.state[side] = down
		if l.state[1-side] == up {
			n.push(n.now+int64(n.cfg.DownAfter), evDown, l.index<<1|int32(1-side), l.gen)
		}
		n.settle(l)
	}
}
