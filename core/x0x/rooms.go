package x0x

import (
	"github.com/saorsa-labs/x0x-go/core/direct"
	"github.com/saorsa-labs/x0x-go/core/gossip"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// startRooms makes the rooms that live as long as the agent and connects them: each asks its
// neighbours through a function or a small interface, and knows none of them.
func (a *Agent) startRooms() {
	a.direct = direct.New(direct.Config{
		Self: a.AgentID(), Machine: a.MachineID(),
		Inbox:   direct.Options{Messages: a.opts.InboxMessages, Bytes: a.opts.InboxBytes},
		Timeout: a.opts.SendTimeout, SessionTTL: a.opts.SessionTTL,
		Policy:   a.judgeDirect,
		Outbound: a.policy.Outbound,
		Complete: a.sent,
		Dial:     a.dials.want,
		OnEvent:  a.sessionEvent,
		Tasks:    a.tasks,
	})
	a.inbox.box = a.direct.Inbox()
	a.gossip = gossip.New(gossip.Config{
		Key: a.keys.agent, NetworkID: a.opts.NetworkID, Sender: a.links, RTT: a.links.rtt,
		Policy: a.judgeTopic, NoRelay: a.opts.NoRelay,
		Logger: a.log, OnPanic: a.panicked,
	})
}

// judgeDirect is the policy point for direct messages. A stranger is an agent without a
// contact record; strangers share a budget, so that they can never take the room of contacts.
func (a *Agent) judgeDirect(agent AgentID, machine MachineID) (d TrustDecision, deliver, stranger bool) {
	d, deliver = a.policy.Inbound(trust.PathDirect, agent, machine)
	_, known := a.trust.Get(agent)
	return d, deliver, !known
}

// judgeTopic is the policy point for the authors of topic messages.
func (a *Agent) judgeTopic(author AgentID) (TrustLevel, bool) {
	if author == a.AgentID() {
		return TrustTrusted, true
	}
	_, deliver := a.policy.Inbound(trust.PathTopic, author, MachineID{})
	return a.trust.Trust(author), deliver
}

func (a *Agent) sessionEvent(e direct.Event) {
	switch e.Type {
	case direct.SessionReset:
		a.events.push(Event{Type: SessionReset, Agent: e.Agent})
	case direct.ProtocolError:
		a.events.push(Event{Type: ErrorEvent, Agent: e.Agent, Err: wire.Errorf(wire.KindCorrupt, "direct",
			"agent %s broke the protocol of direct messages, and its connection was closed", e.Agent.Short())})
	}
}
