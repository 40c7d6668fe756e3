package trust

import (
	"sync/atomic"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Path is a way by which something of another agent reaches this one. Every
// path asks [Policy.Inbound]; a new path is a new constant here.
type Path uint8

const (
	PathDirect    Path = iota // direct messages
	PathTopic                 // topic messages, judged by their author
	PathPresence              // "agent is online"
	PathDiscovery             // announcements and lookups

	paths // how many there are
)

var pathNames = [paths]string{"direct", "topic", "presence", "discovery"}

// String returns the lower-case name.
func (p Path) String() string { return nameOf(pathNames[:], uint8(p)) }

// barred reports whether the accept-from bar applies: it keeps strangers from
// reaching the user, on the paths that are addressed to or about the user's
// circle. Topics are public by choice of the subscriber.
func (p Path) barred() bool { return p == PathDirect || p == PathPresence }

// Policy is the one point that every inbound path asks before an application
// sees a byte. It counts what it decides.
type Policy struct {
	store *Store
	bar   Level
	count [paths]struct {
		decisions [decisions]atomic.Uint64
		refused   atomic.Uint64
	}
	outboundBlocked atomic.Uint64
}

// NewPolicy returns a policy over the contacts in s. acceptFrom raises the bar
// for direct messages and presence: Known admits only Accept and
// AcceptWithFlag, Trusted only Accept; lower levels admit anyone who is not
// rejected. A machine that the user pinned gives Accept, so passes every bar.
func NewPolicy(s *Store, acceptFrom Level) *Policy { return &Policy{store: s, bar: acceptFrom} }

// Inbound judges one arrival from an agent on a machine, both proven, and
// counts it. The decision goes into the message; deliver says whether the
// application gets it. What is not delivered is dropped silently: the sender
// must not be able to tell it from an agent that does not read.
//
// On PathTopic the machine is ignored, because a topic message proves its
// author and not where it was written: a pinned author is judged by level, and
// a revoked machine stops none.
// An agent's own messages are no arrivals; they are not asked about.
func (p *Policy) Inbound(path Path, agent identity.AgentID, machine identity.MachineID) (d Decision, deliver bool) {
	if path == PathTopic {
		d = p.store.decide(agent, identity.MachineID{}, (*Contact).decideByLevel)
	} else {
		d = p.store.Evaluate(agent, machine)
	}
	deliver = d.Delivered() && (!path.barred() || p.admits(d))
	c := &p.count[path]
	c.decisions[d].Add(1)
	if !deliver {
		c.refused.Add(1)
	}
	return d, deliver
}

func (p *Policy) admits(d Decision) bool {
	switch p.bar {
	case Trusted:
		return d == Accept
	case Known:
		return d == Accept || d == AcceptWithFlag
	}
	return true
}

// Outbound fails with [wire.KindBlocked] if the user blocked the agent, or it was
// revoked: to send there is a mistake that is told at once, before anything leaves.
func (p *Policy) Outbound(agent identity.AgentID) error {
	if p.store.Trust(agent) != Blocked {
		return nil
	}
	p.outboundBlocked.Add(1)
	if p.store.IsRevoked(agent) {
		return wire.Errorf(wire.KindBlocked, "send", "agent %s was revoked", agent.Short())
	}
	return wire.Errorf(wire.KindBlocked, "send", "you have blocked agent %s", agent.Short())
}

// Stats are the counters of a policy since it was made.
type Stats struct {
	Paths           []PathStats // one for each Path, in order
	OutboundBlocked uint64      // sends refused because the agent is blocked or revoked
}

// PathStats are the counters of one path.
type PathStats struct {
	Path      Path
	Decisions map[Decision]uint64 // how often each was given; absent is never
	Refused   uint64              // not delivered, whether rejected or below the bar
}

// Stats returns the counters. They are read one by one, so a total may be a few
// arrivals behind.
func (p *Policy) Stats() Stats {
	s := Stats{OutboundBlocked: p.outboundBlocked.Load()}
	for path := range paths {
		c := &p.count[path]
		ps := PathStats{Path: path, Decisions: make(map[Decision]uint64), Refused: c.refused.Load()}
		for d := range decisions {
			if n := c.decisions[d].Load(); n > 0 {
				ps.Decisions[d] = n
			}
		}
		s.Paths = append(s.Paths, ps)
	}
	return s
}
