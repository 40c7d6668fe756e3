package membership

import (
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// health is what this agent thinks of one that it is connected to.
type health uint8

const (
	healthy   health = iota
	suspected        // did not answer; no neighbour any more, may refute
	failed           // did not refute; its connection still lives
	departed         // said goodbye, and is not asked before it asks
)

// probe is a PROBE on its way. Sequence 0: none is.
type probe struct {
	sequence uint64
	sent     time.Time
	indirect bool // others have been asked too
}

// maxVouched is how often in a row the word of others keeps a silent neighbour.
// Then it is suspected all the same: a message has to go over this very
// connection, and a helper may be lying.
const maxVouched = 3

// relayed is a probe made for another.
type relayed struct {
	sequence     uint64
	target, back identity.AgentID
	backSequence uint64
	ends         time.Time
}

// maxRelayed bounds the probes made for others. The oldest is forgotten.
const maxRelayed = 32

// Heard tells that something came from a connected agent that is not a frame of
// this package, such as a gossip message: it is alive, and need not be probed.
func (s *State) Heard(a identity.AgentID, now time.Time) {
	s.begin(now)
	if p := s.peers[a]; p != nil {
		s.alive(p)
	}
	s.settle()
}

// alive notes a sign of life, which refutes all suspicion.
func (s *State) alive(p *peer) {
	p.heard, p.probe, p.vouched = s.now, probe{}, 0
	if p.health == suspected || p.health == failed {
		s.stats.Refuted++
		s.lift(p)
	}
}

func (s *State) lift(p *peer) {
	p.health, p.retryAt, s.nobody = healthy, time.Time{}, false
	s.suspects = without(s.suspects, p)
	s.verified(p.Peer, true)
}

// checkProbes does what is due for the active peers. SWIM probes one random
// member a period; a neighbour has so few neighbours that each is probed when it
// was silent for a period, which finds a stuck one within one round.
func (s *State) checkProbes() {
	for _, p := range slices.Clone(s.active) {
		switch {
		case p.probe.sequence == 0:
			if s.now.Sub(p.heard) >= s.cfg.ProbePeriod {
				s.sendProbe(p)
			}
		case !p.probe.indirect:
			if s.now.Sub(p.probe.sent) >= s.cfg.ProbeTimeout {
				p.probe.indirect = true
				for _, q := range s.randomActive(s.cfg.IndirectProbes, p.Agent) {
					s.stats.ProbeRequests++
					s.send(q, probeRequestFrame(p.probe.sequence, p.Agent))
				}
			}
		case s.now.Sub(p.probe.sent) >= 2*s.cfg.ProbeTimeout:
			s.suspect(p)
		}
	}
}

func (s *State) sendProbe(p *peer) {
	p.probe = probe{sequence: s.rnd.Uint64() | 1, sent: s.now}
	s.stats.Probes++
	s.send(p, probeFrame(p.probe.sequence, s.incarnation, true))
}

// restartProbes gives neighbours their time again, when it was this process that
// slept.
func (s *State) restartProbes() {
	for _, p := range s.active {
		if p.probe.sequence != 0 {
			p.probe.sent = s.now
		}
	}
}

// suspect drops a neighbour that does not answer, and tells all, itself
// included: it may refute.
func (s *State) suspect(p *peer) {
	s.stats.Suspected++
	item := newsItem{status: statusSuspected, incarnation: p.incarnation, agent: p.Agent}
	s.send(p, newsFrame([]newsItem{item}))
	s.drop(p, false)
	s.forget(p.Agent)
	p.health, p.suspectEnds = suspected, s.now.Add(s.cfg.SuspectTimeout)
	s.suspects = append(s.suspects, p)
	s.report(item)
}

// confirmSuspects gives up those who had their time to refute.
func (s *State) confirmSuspects() {
	for _, p := range slices.Clone(s.suspects) {
		if !s.now.Before(p.suspectEnds) {
			p.health = failed
			s.suspects = without(s.suspects, p)
			s.stats.Failed++
			s.report(newsItem{status: statusFailed, incarnation: p.incarnation, agent: p.Agent})
		}
	}
}

func (s *State) handleProbe(p *peer, body []byte) error {
	sequence, incarnation, neighbor, err := parseProbe(body)
	if err != nil {
		return err
	}
	s.noteIncarnation(p, incarnation)
	s.send(p, ackFrame(sequence, s.incarnation))
	if neighbor && !p.active && p.ask == nil {
		// What ended it here was lost with a connection that was replaced.
		s.send(p, disconnectFrame(false))
	}
	return nil
}

func (s *State) handleAck(p *peer, body []byte) error {
	sequence, incarnation, err := parseAck(body)
	if err != nil {
		return err
	}
	for i, r := range s.relays {
		if r.sequence == sequence && r.target == p.Agent {
			s.relays = slices.Delete(s.relays, i, i+1)
			s.noteIncarnation(p, incarnation)
			if back := s.peers[r.back]; back != nil {
				s.send(back, ackFrame(r.backSequence, incarnation))
			}
			return nil
		}
	}
	// Of a third one that we asked for: its incarnation is hearsay.
	for _, q := range s.active {
		if q != p && q.probe.indirect && q.probe.sequence == sequence && p.active {
			if q.vouched++; q.vouched <= maxVouched {
				q.heard, q.probe = s.now, probe{}
			}
			return nil
		}
	}
	s.noteIncarnation(p, incarnation)
	return nil
}

func (s *State) handleProbeRequest(p *peer, body []byte) error {
	sequence, target, err := parseProbeRequest(body)
	if err != nil {
		return err
	}
	q := s.peers[target]
	if !p.active || q == nil || q == p {
		s.stats.Ignored++
		return nil
	}
	if !p.requests.take(paceRelay, s.now) {
		s.stats.Limited++
		return nil
	}
	s.relays = slices.DeleteFunc(s.relays, func(r relayed) bool { return !s.now.Before(r.ends) })
	if len(s.relays) >= maxRelayed {
		s.relays = slices.Delete(s.relays, 0, 1)
	}
	r := relayed{sequence: s.rnd.Uint64() | 1, target: target, back: p.Agent, backSequence: sequence, ends: s.now.Add(2 * s.cfg.ProbeTimeout)}
	s.relays = append(s.relays, r)
	s.stats.ProbesRelayed++
	s.send(q, probeFrame(r.sequence, s.incarnation, q.active))
	return nil
}

// noteIncarnation keeps what a peer says of itself, unless it is far ahead of
// all clocks.
func (s *State) noteIncarnation(p *peer, incarnation uint64) {
	if s.credible(incarnation) {
		p.incarnation = max(p.incarnation, incarnation)
	}
}

// credible says whether an incarnation can be outbid: one that nobody could
// would let a liar keep an agent dead, or a dead one alive, for ever.
func (s *State) credible(incarnation uint64) bool {
	return incarnation <= uint64(max(s.now.Add(maxAhead).UnixMilli(), 0))
}

// maxAhead is how much a clock may be ahead of ours. Incarnations begin with the
// time at which a process started, in ms.
const maxAhead = 10 * time.Minute
