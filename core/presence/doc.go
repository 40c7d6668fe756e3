// Package presence knows who is online: it says so of its own agent, and notices
// when others come and go.
//
// Start with [New] and [State.Tick]. The owner tells the [State] what happens
// ([State.PeerUp], [State.PeerDown], [State.NeighborUp], [State.HandleFrame],
// and [State.Tick] at [State.NextTick]) and after each of these does what
// [State.Take] returns, in order.
//
// An agent says that it is there by a beacon: a signed statement of its
// addresses, sent every BeaconInterval to those who are connected and concerned.
// These are its neighbours in the overlay, its contacts, and strangers who watch
// it; [Visibility] says which of them. A beacon is never flooded, so what an
// agent sends and receives at rest depends on the number of its neighbours, not
// on that of all agents. Who is further away is found by a walk of friends of a
// friend, made when somebody asks ([State.Query]): neighbours answer with the
// beacons that they have heard themselves, and ask their own neighbours in turn.
//
// An agent is offline when it says so (GOODBYE), when its connection is lost and
// does not come back, or when it is silent for longer than its beacons have been
// before, by mean and deviation of their intervals: the idea is that of
// Jacobson's retransmission timer (RFC 6298) and of accrual detectors
// (Hayashibara, Défago, Yared, Katayama: The φ accrual failure detector, SRDS
// 2004), with a bound. [Online] and [Offline] tell transitions, each once. They
// tell what this agent sees: an agent that moved away in the overlay, so that
// nobody near hears it, goes offline here. Whoever must not be lost sight of is
// watched ([State.Watch]). Silence of a connected agent that owes no beacons, a
// former neighbour, says nothing.
//
// # Hostile input
//
// A beacon over a connection must be of the agent and the machine at its other
// end. A beacon that others pass on carries its key, must be fresh, and newer
// than what is known. What an agent sends itself is believed over hearsay. What
// is forged, repeated, dated ahead, or too large is refused and counted. Agents
// that the policy does not deliver are not kept, cause no event, and learn
// nothing: a watch that is refused looks like silence. Limits stand where they
// apply, with the attack that they stop.
//
// # What it does not do
//
// It has no sockets, goroutines, locks or clock, and no order of a map shows in
// what it does: the same configuration, seed and inputs give the same actions.
// It finds and connects nobody: it asks for that with [Want]. Addresses are
// hints; whoever dials one pins the machine. Clocks that are further apart than
// a minute (ahead) hide agents from each other. A State is used by one goroutine
// at a time.
package presence
