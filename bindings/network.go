package bindings

import (
	"context"
	"time"
)

// JoinNetwork listens and looks for peers; see X0X_M_JOIN.
func (a *Agent) JoinNetwork(ctx context.Context) error {
	_, err := a.call(ctx, "join network", MJoin, until(ctx))
	return err
}

// LeaveNetwork says goodbye; see X0X_M_LEAVE.
func (a *Agent) LeaveNetwork(ctx context.Context) error {
	_, err := a.call(ctx, "leave network", MLeave, until(ctx))
	return err
}

// ConnectToAgent connects to an agent by what is known of it.
func (a *Agent) ConnectToAgent(ctx context.Context, id ID) (Outcome, error) {
	return a.connect(ctx, "connect to agent", MConnectAgent, id)
}

// ConnectToMachine connects to a machine by what is known of it.
func (a *Agent) ConnectToMachine(ctx context.Context, id ID) (Outcome, error) {
	return a.connect(ctx, "connect to machine", MConnectMachine, id)
}

func (a *Agent) connect(ctx context.Context, op string, method uint32, id ID) (Outcome, error) {
	u, err := a.call(ctx, op, method, id, until(ctx))
	if err != nil {
		return 0, err
	}
	u.fields(1)
	return result(u, op, Outcome(u.uint()))
}

// ConnectToAddress connects to whoever answers there and says who it is.
func (a *Agent) ConnectToAddress(ctx context.Context, address string) (agent, machine ID, err error) {
	u, err := a.call(ctx, "connect to address", MConnectAddress, address, until(ctx))
	if err != nil {
		return ID{}, ID{}, err
	}
	u.fields(2)
	ids, err := result(u, "connect to address", [2]ID{u.id(), u.id()})
	return ids[0], ids[1], err
}

// AddPeer is a hint where a machine listens, and which agent lives there if that is known.
func (a *Agent) AddPeer(machine, agent ID, addresses []string) error {
	args := []any{machine, addresses}
	if agent != (ID{}) {
		args = append(args, agent)
	}
	return a.do("add peer", MAddPeer, args...)
}

// do runs an immediate method without a result.
func (a *Agent) do(op string, method uint32, args ...any) error {
	_, err := a.queue.callNow(op, a.Handle(), method, args...)
	return err
}

// ask runs an immediate method with one bool as its result.
func (a *Agent) ask(op string, method uint32, args ...any) (bool, error) {
	u, err := a.queue.callNow(op, a.Handle(), method, args...)
	if err != nil {
		return false, err
	}
	u.fields(1)
	return result(u, op, u.bool())
}

// IsConnected reports whether there is at least one peer.
func (a *Agent) IsConnected() (bool, error) { return a.ask("is connected", MIsConnected) }

// IsAgentConnected reports whether that agent is connected.
func (a *Agent) IsAgentConnected(id ID) (bool, error) {
	return a.ask("is agent connected", MIsAgentConnected, id)
}

// Peers returns the connected peers.
func (a *Agent) Peers() ([]Peer, error) {
	u, err := a.queue.callNow("peers", a.Handle(), MPeers)
	if err != nil {
		return nil, err
	}
	var list []Peer
	for range u.array() {
		more := u.fields(7)
		list = append(list, Peer{Agent: u.id(), Machine: u.id(), Address: u.str(), Path: u.str(),
			RTT: time.Duration(u.uint()) * time.Microsecond, Dialled: u.bool(), Connected: unixMilli(u.uint())})
		u.skip(more)
	}
	return result(u, "peers", list)
}

// LocalAddresses returns addresses that others on this machine can dial; none before joining.
func (a *Agent) LocalAddresses() ([]string, error) {
	u, err := a.queue.callNow("local addresses", a.Handle(), MLocalAddresses)
	if err != nil {
		return nil, err
	}
	var list []string
	for range u.array() {
		list = append(list, u.str())
	}
	return result(u, "local addresses", list)
}

// Stats returns every counter by name.
func (a *Agent) Stats() (map[string]uint64, error) {
	u, err := a.queue.callNow("stats", a.Handle(), MStats)
	if err != nil {
		return nil, err
	}
	all := map[string]uint64{}
	for range u.mapping() {
		name := u.str()
		all[name] = u.uint()
	}
	return result(u, "stats", all)
}

// SetTopicPriority says how this agent serves a topic from now on: Priority….
func (a *Agent) SetTopicPriority(topic string, p TopicPriority) error {
	return a.do("set topic priority", MSetTopicPriority, topic, uint8(p))
}

// TopicMesh returns the topics that flow through this agent, with the neighbours in each.
func (a *Agent) TopicMesh() ([]TopicMesh, error) {
	u, err := a.queue.callNow("topic mesh", a.Handle(), MTopicMesh)
	if err != nil {
		return nil, err
	}
	var list []TopicMesh
	for range u.array() {
		more := u.fields(7)
		m := TopicMesh{Topic: u.id(), Name: u.str(), Priority: TopicPriority(u.uint()),
			Subscriptions: u.uint(), Retained: u.uint(), Missing: u.uint()}
		for range u.array() {
			more := u.fields(7)
			l := TopicLink{Agent: u.id(), Eager: u.bool(), Carries: u.bool(), Distance: -1}
			if !u.null() {
				l.Distance = int(u.uint())
			}
			l.RTT, l.First, l.Duplicates = time.Duration(u.uint())*time.Microsecond, u.uint(), u.uint()
			m.Links = append(m.Links, l)
			u.skip(more)
		}
		list = append(list, m)
		u.skip(more)
	}
	return result(u, "topic mesh", list)
}

// Neighbors returns the connected agents that topics go through.
func (a *Agent) Neighbors() ([]ID, error) {
	u, err := a.queue.callNow("neighbors", a.Handle(), MNeighbors)
	if err != nil {
		return nil, err
	}
	var list []ID
	for range u.array() {
		list = append(list, u.id())
	}
	return result(u, "neighbors", list)
}

// KnownPeers returns the agents that may take the place of a lost neighbour.
func (a *Agent) KnownPeers() ([]KnownPeer, error) {
	u, err := a.queue.callNow("known peers", a.Handle(), MKnownPeers)
	if err != nil {
		return nil, err
	}
	var list []KnownPeer
	for range u.array() {
		more := u.fields(3)
		p := KnownPeer{Agent: u.id(), Machine: u.id()}
		for range u.array() {
			p.Addresses = append(p.Addresses, u.str())
		}
		list = append(list, p)
		u.skip(more)
	}
	return result(u, "known peers", list)
}

// SetEvents chooses events: Events… or-ed.
func (a *Agent) SetEvents(mask uint32) error { return a.do("set events", MSetEvents, mask) }
