package transport

import (
	"errors"
	"slices"
	"time"
)

// install makes a proved connection the current one of its peer, or says why
// not: then the one that stays is returned too, if that is the reason. On the
// accepting side it runs before the acknowledgement.
func (p *Peers) install(c *Conn) (stays *Conn, r *refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing.Err() != nil {
		return nil, &refusal{code: refuseClosing, reason: "closing"}
	}
	key := peerKey{c.agent, c.session.machine}
	pr := p.peers[key]
	if pr == nil || pr.current == nil {
		if p.count >= p.cfg.MaxPeers {
			return nil, &refusal{code: refuseLimit, reason: "too many peers"}
		}
		p.count++
	}
	if pr == nil {
		pr = &peer{peerKey: key}
		p.peers[key] = pr
		p.agents[key.agent] = append(p.agents[key.agent], pr)
	}
	old := pr.current
	if old != nil {
		how := choose(c.claim(), old.claim(), p.endpoint.self().less(key))
		if how == oldStays {
			p.duplicates.Add(1)
			return old, &refusal{code: refuseDuplicate, stays: old.session.id, reason: "another connection stays"}
		}
		p.retire(old, how)
	}
	pr.current = c
	return nil, nil
}

// retire ends a connection that another one replaces. The caller holds p.mu.
func (p *Peers) retire(c *Conn, how choice) {
	c.draining.Store(true)
	p.replaced.Add(1)
	p.tasks.Go("retire connection", func() {
		if how == newDrains {
			timer := time.NewTimer(p.cfg.DrainTime)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-c.Done():
			case <-p.closing.Done():
			}
		}
		c.Close(CloseReplaced, "")
	})
}

// up tells the handler of an acknowledged connection and serves it.
func (p *Peers) up(c *Conn) {
	p.mu.Lock()
	pr := p.peers[peerKey{c.agent, c.session.machine}]
	if p.closing.Err() != nil || pr == nil || pr.current != c {
		// Replaced, or closed, between the decision and now.
		p.mu.Unlock()
		c.Close(CloseReplaced, "")
		p.lost(c, c.Err(), false)
		return
	}
	p.serving.Add(1)
	pr.serving++
	event := Event{Agent: c.agent, Machine: c.session.machine, Addr: c.RemoteAddr(), Path: c.Path()}
	p.call(pr, func() {
		// Deferred: also when ConnUp panics, so that its ConnDown comes.
		defer p.tasks.Go("serve connection", func() {
			err := c.Serve(func(kind StreamKind, s ReceiveStream) { p.handler.Stream(c, kind, s) })
			p.lost(c, err, true)
		})
		defer close(c.upped)
		p.handler.ConnUp(c)
	})
	if !pr.announced {
		pr.announced = true
		p.emit(pr, event, Connected)
		if _, ok := p.joined[c.agent]; !ok {
			remember(p.joined, c.agent, struct{}{})
			p.emit(pr, event, PeerJoined)
		}
	}
	p.mu.Unlock()
	p.book.prove(c.session.machine, c.agent, event.Addr)
}

// lost takes a connection that has ended out of the table.
func (p *Peers) lost(c *Conn, err error, served bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pr := p.peers[peerKey{c.agent, c.session.machine}]
	if pr == nil {
		return
	}
	if served {
		pr.serving--
		p.call(pr, func() {
			defer p.serving.Done()
			p.handler.ConnDown(c, err)
		})
	}
	if pr.current != c {
		return
	}
	pr.current = nil
	p.count--
	remember(p.dead, pr.machine, c.session.id)
	// One that dies young would be redialled without a pause, again and again;
	// unless the peer knows a better one, whose acknowledgement is under way.
	young := time.Since(c.since) < p.cfg.BackoffMin &&
		!(c.CloseCode() == CloseReplaced && p.flights[pr.machine] != nil)
	switch {
	case p.closing.Err() != nil, c.CloseCode().final(), !pr.announced, young:
		p.disconnected(pr, err)
	case !pr.redialling:
		pr.redialling = true
		addr, timeout := c.RemoteAddr(), p.redialTimeout(c)
		if !p.tasks.Go("redial", func() { p.redial(pr, addr, timeout, err) }) {
			p.disconnected(pr, err)
		}
	}
}

// disconnected is the end of a peer, unless it is kept. The caller holds p.mu.
func (p *Peers) disconnected(pr *peer, err error) {
	if pr.current != nil {
		return
	}
	if pr.announced {
		pr.announced = false
		p.emit(pr, Event{Agent: pr.agent, Machine: pr.machine, Err: err}, Disconnected)
	}
	p.forgetIfIdle(pr)
	if k := p.kept[pr.agent]; k != nil {
		p.startKeeper(pr.agent, k, p.cfg.BackoffMin)
	}
}

// forgetIfIdle drops the record of a peer that nothing refers to any more.
func (p *Peers) forgetIfIdle(pr *peer) {
	if pr.current != nil || pr.announced || pr.redialling || pr.serving > 0 || pr.calling || p.peers[pr.peerKey] != pr {
		return
	}
	delete(p.peers, pr.peerKey)
	left := slices.DeleteFunc(p.agents[pr.agent], func(x *peer) bool { return x == pr })
	if len(left) == 0 {
		delete(p.agents, pr.agent)
	} else {
		p.agents[pr.agent] = left
	}
}

func (p *Peers) emit(pr *peer, e Event, t EventType) {
	e.Type = t
	p.call(pr, func() { p.cfg.OnEvent(e) })
}

// call queues a callback of one peer. They run in order on one goroutine at a
// time, which exists while there are any. The queue is bounded by what can happen
// to a peer: each entry stands for a connection or a change of state. The caller
// holds p.mu.
func (p *Peers) call(pr *peer, fn func()) {
	pr.calls = append(pr.calls, fn)
	if pr.calling {
		return
	}
	pr.calling = true
	p.tasks.Go("peer callbacks", func() { p.runCalls(pr) })
}

func (p *Peers) runCalls(pr *peer) {
	done := false
	defer func() {
		if !done { // a callback panics: the rest still has to run
			p.tasks.Go("peer callbacks", func() { p.runCalls(pr) })
		}
	}()
	for {
		p.mu.Lock()
		if len(pr.calls) == 0 {
			done = true
			pr.calls, pr.calling = nil, false
			p.forgetIfIdle(pr)
			p.mu.Unlock()
			return
		}
		fn := pr.calls[0]
		pr.calls = pr.calls[1:]
		p.mu.Unlock()
		fn()
	}
}

// remember adds to a bounded map; at the bound any other entry makes room.
func remember[K comparable, V any](m map[K]V, k K, v V) {
	if _, ok := m[k]; !ok && len(m) >= maxRemembered {
		for other := range m {
			delete(m, other)
			break
		}
	}
	m[k] = v
}

// asDuplicate returns the connection that stays, if err is that refusal.
func asDuplicate(err error) (ConnID, bool) {
	r, ok := errors.AsType[*refusal](err)
	if !ok || r.code != refuseDuplicate {
		return ConnID{}, false
	}
	return r.stays, true
}
