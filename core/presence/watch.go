package presence

import (
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// watched is an agent that the user wants to know of, connected or not.
type watched struct {
	agent identity.AgentID
	at    time.Time // when it is wanted, if it is not connected
	tries int
}

// maxWatched bounds what one agent has others searched for.
const maxWatched = 1024

// paceWant bounds searches, each of which asks many and may dial: somebody with
// a thousand absent contacts looks for one every other second.
var paceWant = pace{2 * time.Second, 8}

// Watch has an agent watched: contacts that are connected are watched without
// it, others are wanted until they are. It fails with wire.KindLimit at 1,024
// agents.
func (s *State) Watch(a identity.AgentID, now time.Time) error {
	s.begin(now)
	if s.left || a == s.self || a.IsZero() || s.watchedEntry(a) != nil {
		return nil
	}
	if len(s.watched) == maxWatched {
		return wire.Errorf(wire.KindLimit, "watch", "%d agents are watched", maxWatched)
	}
	s.watched = append(s.watched, &watched{agent: a, at: s.now})
	if e := s.table[a]; e != nil {
		e.contact = true
	}
	if p := s.peers[a]; p != nil {
		s.rewatch(p)
	}
	s.wantMissing()
	return nil
}

// Unwatch ends Watch.
func (s *State) Unwatch(a identity.AgentID, now time.Time) {
	s.begin(now)
	w := s.watchedEntry(a)
	if w == nil {
		return
	}
	s.watched = without(s.watched, w)
	if e := s.table[a]; e != nil {
		e.contact = s.contact(a)
		if !e.Online {
			s.offlineSince(e)
		}
	}
	if p := s.peers[a]; p != nil {
		s.rewatch(p)
	}
}

func (s *State) watchedEntry(a identity.AgentID) *watched {
	if i := slices.IndexFunc(s.watched, func(w *watched) bool { return w.agent == a }); i >= 0 {
		return s.watched[i]
	}
	return nil
}

// contact says whether the user cares about an agent.
func (s *State) contact(a identity.AgentID) bool {
	return s.cfg.Trust(a) >= trust.Known || s.watchedEntry(a) != nil
}

// rewatch brings the watch of a peer up to date: begun, renewed, or ended. One
// who is blocked is told nothing, and the lease ends.
func (s *State) rewatch(p *peer) {
	switch {
	case s.blocked(p.agent):
		p.renewAt = time.Time{}
	case s.contact(p.agent):
		if p.renewAt.IsZero() || !s.now.Before(p.renewAt) {
			p.renewAt = s.now.Add(s.cfg.WatchLease / 2)
			s.send(p, watchFrame(s.cfg.WatchLease))
		}
	case !p.renewAt.IsZero():
		p.renewAt = time.Time{}
		s.send(p, unwatchFrame())
	}
}

// wantMissing asks for watched agents that are not connected, again and again
// with doubling pauses; who has waited longest comes first.
func (s *State) wantMissing() {
	for !s.now.Before(s.wantPause) {
		w := s.nextWant()
		if w == nil || s.now.Before(w.at) {
			return
		}
		if !s.blocked(w.agent) {
			if !s.wants.take(paceWant, s.now) {
				s.wantPause = s.now.Add(paceWant.interval)
				return
			}
			s.stats.Wants++
			s.actions = append(s.actions, Action{Kind: Want, Agent: w.agent})
		}
		w.at = s.now.Add(s.jitter(s.cfg.BeaconInterval << min(w.tries, 4)))
		w.tries++
	}
}

// nextWant is who is wanted next, nil if all are connected.
func (s *State) nextWant() (next *watched) {
	for _, w := range s.watched {
		if s.peers[w.agent] == nil && (next == nil || w.at.Before(next.at)) {
			next = w
		}
	}
	return next
}

// handleWatch takes a stranger in if the visibility permits and there is room.
// It says neither: who is refused sees what silence looks like.
func (s *State) handleWatch(p *peer, body []byte) error {
	lease, err := parseWatch(body)
	if err != nil {
		return err
	}
	if s.blocked(p.agent) {
		s.stats.WatchesRefused++
		return nil
	}
	if !p.watches.After(s.now) && s.cfg.Trust(p.agent) < trust.Known && s.watchers() >= s.cfg.MaxWatchers {
		s.stats.WatchesRefused++ // every watcher costs a beacon in each interval
		return nil
	}
	p.watches = s.now.Add(min(lease, maxLease))
	s.tell(p)
	return nil
}

func (s *State) handleUnwatch(p *peer, body []byte) error {
	if err := parseUnwatch(body); err != nil {
		return err
	}
	p.watches = time.Time{}
	return nil
}

// watchers are the strangers who watch this agent.
func (s *State) watchers() (n int) {
	for _, p := range s.linked {
		if p.watches.After(s.now) && s.cfg.Trust(p.agent) < trust.Known {
			n++
		}
	}
	return n
}
