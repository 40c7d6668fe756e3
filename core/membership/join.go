package membership

import "slices"

// handleJoin: HyParView algorithm 1. The contact makes room for the new agent
// and tells its other neighbours of it.
func (s *State) handleJoin(p *peer, body []byte) error {
	if err := parseEmpty("parse join", body); err != nil {
		return err
	}
	p.back()
	if p.active {
		s.send(p, answerFrame(true))
		return nil
	}
	if s.left || !s.joins.take(paceJoin, s.now) {
		s.stats.Limited++
		s.send(p, answerFrame(false))
		return nil
	}
	// The places of the contact may be taken by others of its prefix, but the
	// walks can find it neighbours elsewhere.
	walks := s.evictions.take(p.origin, s.now)
	s.accept(p, walks)
	if !walks {
		s.stats.Limited++
		return nil
	}
	for _, q := range slices.Clone(s.active) {
		if q != p && len(p.Addrs) > 0 {
			s.send(q, forwardJoinFrame(walk{ttl: s.cfg.ARWL}, p.Peer))
		}
	}
	return nil
}

// back ends a departure.
func (p *peer) back() {
	if p.health == departed {
		p.health = healthy
	}
}

func (s *State) handleForwardJoin(p *peer, body []byte) error {
	w, joiner, err := parseForwardJoin(body)
	if err != nil {
		return err
	}
	if !p.active || joiner.Agent == s.cfg.Self || joiner.Agent == p.Agent {
		s.stats.Ignored++
		return nil
	}
	if !p.walks.take(paceWalk, s.now) {
		s.stats.Limited++
		return nil
	}
	w.ttl = min(w.ttl, s.cfg.ARWL) // a walk without end would be everybody's
	joiner = hint(joiner, p.seen)
	next := s.randomActive(1, p.Agent, joiner.Agent)
	if w.ttl == 0 || len(next) == 0 {
		s.welcome(p, joiner)
		return nil
	}
	if w.ttl == s.cfg.PRWL {
		s.heard(joiner, p, w.path)
	}
	s.send(next[0], forwardJoinFrame(walk{ttl: w.ttl - 1, path: onward(w.path, p)}, joiner))
	return nil
}

// welcome makes the agent at the end of its walk a neighbour.
func (s *State) welcome(teller *peer, joiner Peer) {
	q := s.peers[joiner.Agent]
	switch {
	case s.left:
	case q != nil:
		if !q.active && q.ask == nil && q.health == healthy && s.roomFor(q.origin) {
			s.ask(q, askWalk)
		}
	case len(joiner.Addrs) == 0 || s.dialling(joiner.Agent):
	case !s.hearsay.take(paceHearsay, s.now):
		s.stats.Limited++
	default:
		s.dial(joiner, dialWalk)
	}
}

// onward is the path that a walk has when it leaves here. A full one loses its
// beginning: what the honest have added on at most maxTTL hops stays, so a liar
// cannot push himself out by a long path that he invented.
func onward(path []prefix, from *peer) []prefix {
	if from.origin.exempt() {
		return path
	}
	path = append(slices.Clone(path), from.origin.prefix)
	return path[max(0, len(path)-maxPath):]
}

func (s *State) handleNeighbor(p *peer, body []byte) error {
	high, err := parseFlag("parse neighbor", body)
	if err != nil {
		return err
	}
	p.back()
	// Whoever says that it has nobody may be lying: it gets the place of
	// another only as often as its prefix may.
	evict := high && len(s.active) >= s.cfg.Active && s.evictions.take(p.origin, s.now)
	s.accept(p, evict)
	return nil
}

func (s *State) handleAnswer(p *peer, body []byte) error {
	accepted, err := parseFlag("parse answer", body)
	if err != nil {
		return err
	}
	if p.active {
		// Both asked, and its request came first; or the answer to that.
		s.endAsk(p)
		return nil
	}
	a := s.endAsk(p)
	switch {
	case !accepted:
		s.refused(p)
		s.stats.Refused++
	case a == nil || !s.activate(p, a.kind != askNeighbor, nil):
		// It counts on us, too late or without having been asked.
		s.send(p, disconnectFrame(false))
		p.retryAt = s.now.Add(s.cfg.ShufflePeriod)
	}
	return nil
}

func (s *State) handleDisconnect(p *peer, body []byte) error {
	leaving, err := parseFlag("parse disconnect", body)
	if err != nil {
		return err
	}
	wasActive := p.active
	s.deactivate(p)
	p.retryAt = s.now.Add(s.cfg.ShufflePeriod)
	switch {
	case !leaving && wasActive:
		s.verified(p.Peer, true)
	case leaving:
		s.forget(p.Agent)
		p.health = departed
		s.suspects = without(s.suspects, p)
		if wasActive && s.evictions.take(p.origin, s.now) {
			s.report(newsItem{status: statusFailed, incarnation: p.incarnation, agent: p.Agent})
		}
	}
	return nil
}
