package gossip

import (
	"bytes"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// TopicMesh is how one topic flows through this node, for people to look at.
type TopicMesh struct {
	ID            TopicID
	Name          string // empty if the topic was never used here
	Priority      Priority
	Subscriptions int
	Retained      int // envelopes
	Missing       int // announced, and not here yet
	Links         []LinkInfo
}

// LinkInfo is one neighbour in a topic.
type LinkInfo struct {
	Peer       identity.AgentID
	Eager      bool          // messages are pushed; otherwise they are announced
	Carries    bool          // it is sent this topic at all
	Interested bool          // somebody behind it, or itself, subscribes
	Distance   int           // of the nearest such: 0 is the neighbour itself; -1 if not Interested
	RTT        time.Duration // 0 if unknown
	First      uint64        // messages that came from it first
	Duplicates uint64        // messages pushed by it that were here already
}

// Mesh returns the topics of this node with their links, by topic id. Topics
// that stay in the process are left out.
func (e *Engine) Mesh() []TopicMesh {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.router.mesh()
}

func (r *router) mesh() []TopicMesh {
	list := make([]TopicMesh, 0, len(r.topics))
	for _, t := range r.topics {
		if t.local {
			continue
		}
		m := TopicMesh{ID: t.id, Name: t.name, Priority: r.priorities[t.id], Subscriptions: len(t.subs), Retained: len(t.retained), Missing: len(t.missing)}
		for _, id := range r.order {
			p := r.peers[id]
			info := LinkInfo{Peer: id, Eager: true, Carries: r.carries(p, t), Distance: -1, RTT: r.rtt(p)}
			if l := p.links[t.id]; l != nil {
				info.Eager, info.First, info.Duplicates = !l.lazy, l.first, l.duplicates
				if l.distance != nowhere {
					info.Interested, info.Distance = true, int(l.distance)
				}
			}
			m.Links = append(m.Links, info)
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b TopicMesh) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return list
}

// countLinks counts the links over which topics are sent.
func (r *router) countLinks() (eager, lazy int) {
	for _, t := range r.topics {
		for _, p := range r.peers {
			switch l := p.links[t.id]; {
			case !r.carries(p, t):
			case l != nil && l.lazy:
				lazy++
			default:
				eager++
			}
		}
	}
	return eager, lazy
}
