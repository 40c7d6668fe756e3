package x0x

import (
	"github.com/saorsa-labs/x0x-go/core/gossip"
	"github.com/saorsa-labs/x0x-go/core/membership"
)

// TopicMesh is how one topic flows through this agent, and TopicLink one neighbour in it.
type (
	TopicMesh = gossip.TopicMesh
	TopicLink = gossip.LinkInfo
)

// GossipStats are the counters of topics.
type GossipStats = gossip.Stats

// KnownPeer is an agent that is remembered to take the place of a lost neighbour. What is
// known of it may be hearsay: connecting proves it.
type KnownPeer = membership.Peer

// TopicPriority says which topics this agent serves first. It is local: no peer is told.
type TopicPriority = gossip.Priority

// The priorities, from the default on.
const (
	PriorityNormal = gossip.Normal
	PriorityHigh   = gossip.High // sent to each peer before all others, shed last
	PriorityLow    = gossip.Low  // sent after all others, shed first
)

// SetTopicPriority says how this agent serves a topic from now on, whether it subscribes to it
// or relays it. Errors: ErrInvalidArgument, ErrLimit (65,536 topics), ErrClosed.
func (a *Agent) SetTopicPriority(topic string, p TopicPriority) error {
	if err := a.usable("set topic priority"); err != nil {
		return err
	}
	return a.gossip.SetPriority(topic, p)
}

// TopicMesh returns the topics that flow through this agent, with the neighbours in each.
func (a *Agent) TopicMesh() []TopicMesh { return a.gossip.Mesh() }

// GossipStats returns the counters of topics; they are in Stats as well, as "gossip.name".
func (a *Agent) GossipStats() GossipStats { return a.gossip.Stats() }

// Neighbors returns the connected agents that topics go through, some six of them: the active
// view of HyParView. None before joining.
func (a *Agent) Neighbors() []AgentID {
	if n := a.net.Load(); n != nil {
		return n.overlay.active()
	}
	return nil
}

// KnownPeers returns the agents from which a lost neighbour would be replaced: the passive
// view. None before joining.
func (a *Agent) KnownPeers() []KnownPeer {
	if n := a.net.Load(); n != nil {
		return n.overlay.passive()
	}
	return nil
}
