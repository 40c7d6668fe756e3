// Package membership chooses the few agents that an agent is a neighbour of, in
// a network of which nobody knows all, and notices when one of them fails.
//
// Start with [New] and [State.Join]. The owner tells the [State] what happens
// ([State.PeerUp], [State.PeerDown], [State.DialFailed], [State.HandleFrame],
// and [State.Tick] at [State.NextTick]) and after each of these does what
// [State.Take] returns, in order.
//
// The active view has some six neighbours; it is symmetric: whoever is my
// neighbour has me as one. Gossip runs over it. The passive view has some thirty
// peers that take the place of neighbours that fail, and is mixed by shuffles.
// Both follow HyParView (Leitão, Pereira, Rodrigues: HyParView: a membership
// protocol for reliable gossip-based broadcast, DSN 2007). Where this differs:
//
//   - the connected may be more than the active: a neighbour is made and
//     unmade by frames (NEIGHBOR, DISCONNECT), not by connections;
//   - a walk carries the prefixes of those who passed it on, and its answer
//     comes back the way it went: nobody is dialled for an exchange of entries;
//   - only peers that an agent has been connected to are passed on, and passive
//     peers are verified one by one;
//   - peers that vanish are tried again for a while, so that a network in two
//     parts grows together.
//
// Failure detection follows SWIM (Das, Gupta, Motivala: SWIM: scalable
// weakly-consistent infection-style process group membership protocol, DSN
// 2002): probes, probes by others, suspicion, and incarnation numbers by which a
// suspect refutes. The end of a connection is certain; probes are for a process
// that is stuck while its connection lives.
//
// # Hostile input
//
// The sender of a frame is the agent at the other end of its connection; nothing
// that a frame says of itself is believed. The address of a connected peer is
// where its packets come from. What is said of others (entries, news) is
// hearsay: it is bounded per origin, is never a reason to drop a neighbour, and
// is believed when this agent has seen it itself. An attacker with one address
// and any number of ids has at most MaxPerPrefix neighbours and a tenth of the
// passive view, whatever he says and invents. Limits stand where they apply,
// with the attack that they stop.
//
// # What it does not do
//
// It has no sockets, goroutines, locks or clock, and no order of a map shows in
// what it does: the same configuration, seed and inputs give the same actions.
// It does not check who somebody is (the transport does), does not find the
// first contact, and does not close connections: see [Release]. A State is used
// by one goroutine at a time.
package membership
