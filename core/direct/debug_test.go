package direct

import "fmt"

// dump shows the state of all sessions, for tests that fail.
func dump(m *Manager) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := ""
	for _, p := range m.peers {
		p.mu.Lock()
		o, in := &p.s.out, &p.s.in
		s += fmt.Sprintf("peer %d link=%v broken=%v reading=%v opened=%v mark=%v gate=%d sub=%d\n out q=%d tombs=%d sent=%d base=%d next=%d cur=%d live=%d win=%d credit=%d written=%d voids=%d ready=%v answered=%v\n in opened=%v base=%d next=%d slots=%d bytes=%d off=%d overt=%d pushing=%d gen=%d sb=%d win=%d cred=%d state=%v ack=%v pushed=%v fresh=%d refuse=%v drop=%v rew=%v grants=%d bodies=%d pushingflag=%v\n stats %+v\n",
			p.agent[0], p.link != nil, p.broken, p.reading, p.s.opened, p.s.mark, p.gate.v.Load(), p.submit.waiting.Load(),
			o.queue.len(), o.tombs, o.sent.len(), o.base, o.next, o.cursor, o.live, o.window, o.credit, o.written, len(o.voids), o.ready, o.answered,
			in.opened, in.base, in.next, in.slots.len(), in.bytes, in.offered, len(in.overtake), len(in.pushing), in.gen, in.streamBytes, in.window, in.credit, in.stateDue, in.ackDue, in.pushed, in.fresh, in.refuse, in.dropping, in.rewinding, len(in.grants), in.bodies, p.pushing, p.m.stats.protocolErrors.Load())
		p.mu.Unlock()
	}
	return s
}
