package simnet

// Partition lets only processes of the same group reach each other, from now
// until the next Partition or Heal. Groups of ids that are added later are
// asked for then.
func (n *Net) Partition(groups func(id int) int) {
	n.groups = groups
	for id := range n.procs {
		n.procs[id].group = groups(id)
	}
	n.trace.record(n.now, trPartition, 0, -1, -1, uint32(len(n.procs)), 0)
	n.recut()
}

// Heal ends a partition.
func (n *Net) Heal() {
	n.groups = nil
	n.trace.record(n.now, trHeal, 0, -1, -1, 0, 0)
	n.recut()
}

func (n *Net) apart(l *link) bool {
	return n.groups != nil && n.procs[l.ids[0]].group != n.procs[l.ids[1]].group
}

// recut has each link feel the partition, or its end.
func (n *Net) recut() {
	for _, l := range n.links {
		if l.state == [2]endState{} {
			continue
		}
		switch apart := n.apart(l); {
		case apart && l.cut == never:
			l.cut = n.now
			n.push(n.now+int64(n.cfg.DownAfter), evCut, l.index, l.gen)
		case !apart && l.cut != never:
			cut := l.cut
			l.cut = never
			for side := range l.ends {
				n.resume(l, side, cut)
			}
		}
	}
}

// resume sends again what a partition since cut has held back, and then the rest.
func (n *Net) resume(l *link, side int, cut int64) {
	if !l.flows(side) {
		return
	}
	at := n.now + n.resend(l.rtt, 1) + n.delay(l.ids[side], l.ids[1-side])
	for c := range l.ends[side].queues {
		q := &l.ends[side].queues[c]
		if q.arrives >= cut && q.arrives <= n.now {
			q.arrives = at // also the part of a frame that is not wholly on the line
		}
		if q.head != q.next && !q.armed {
			q.armed = true
			n.push(at, evControl+eventKind(c), l.index<<1|int32(side), l.gen)
		}
	}
	n.pump(l, side)
}

// cutOff ends a connection across which nothing has come for DownAfter.
func (n *Net) cutOff(l *link) {
	if l.cut == never || l.cut+int64(n.cfg.DownAfter) != n.now {
		return
	}
	for side := range l.ends {
		if l.state[side] == up {
			n.over(l, side)
		}
	}
}
