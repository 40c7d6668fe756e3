package membership

import "time"

// Tick does what is due. It may be called at any time, and does nothing before
// NextTick.
func (s *State) Tick(now time.Time) {
	due := s.NextTick()
	s.begin(now)
	if s.left {
		return
	}
	if !due.IsZero() && s.now.Sub(due) > s.cfg.ProbeTimeout {
		s.restartProbes()
	}
	s.nobody = false
	s.checkProbes()
	s.expireAsks()
	s.expireDials()
	s.confirmSuspects()
	if !s.now.Before(s.nextShuffle) {
		s.nextShuffle = s.now.Add(s.jitter(s.cfg.ShufflePeriod))
		s.shuffle()
		s.feel(false)
		s.retryLost()
		s.releaseIdle()
	}
	if !s.now.Before(s.nextFeeler) {
		s.nextFeeler = s.now.Add(s.cfg.ProbePeriod)
		s.feel(true)
	}
	s.settle()
}

// NextTick is when Tick should be called next, zero if never. Any input can
// change it.
func (s *State) NextTick() time.Time {
	if !s.started || s.left {
		return time.Time{}
	}
	next := s.nextShuffle
	earlier := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	earlier(s.nextFeeler)
	for _, p := range s.active {
		switch {
		case p.probe.sequence == 0:
			earlier(p.heard.Add(s.cfg.ProbePeriod))
		case !p.probe.indirect:
			earlier(p.probe.sent.Add(s.cfg.ProbeTimeout))
		default:
			earlier(p.probe.sent.Add(2 * s.cfg.ProbeTimeout))
		}
	}
	for _, a := range s.asks {
		earlier(a.ends)
	}
	for _, d := range s.dials {
		earlier(d.ends)
	}
	for _, p := range s.suspects {
		earlier(p.suspectEnds)
	}
	return next
}
