// Package gossip carries signed messages from publishers to subscribers of a
// topic, over whatever neighbours an agent has.
//
// Start with [New] and [Engine.Subscribe]; [Engine.Publish] sends. The owner
// tells the engine who is connected ([Engine.PeerUp], [Engine.PeerDown]), gives
// it what neighbours send ([Engine.HandleFrame]), and carries what it sends
// ([Sender]).
//
// What holds for every message that a subscriber gets:
//
//   - its author signed it, with ML-DSA-65, for this topic and network;
//   - it comes once, however many ways it took; two messages with the same
//     bytes are two messages;
//   - it was published while the subscription was there, or, with replay,
//     shortly before: each node retains the newest messages of a topic, and a
//     neighbour gets what it lacks when it connects or subscribes. So it does
//     not matter who is first, the publisher or the subscriber;
//   - a subscriber that is slow loses the oldest messages from its own queue,
//     sees how many and where, and slows nobody.
//
// Every node verifies before it relays, so forged messages end at the first
// honest node. A message whose author is blocked here is not delivered here but
// relayed all the same: trust is personal and must not tear the mesh.
//
// The package does not choose neighbours, does not encrypt (connections are
// encrypted by the transport, and relays read topic messages) and keeps nothing
// on disk.
//
// # Inside
//
// router is the logic, a plain state machine without goroutines, locks or
// clock. Engine owns one, locks it, and has two goroutines: one signs, one
// serves the timer. The log (see log.go) is retention and send queue in one:
// nothing is queued per neighbour. All methods of Engine and Subscription may
// be called from any goroutine, also from Sender.Send, from a queue's notify
// function and, except Close, from PublishAsync's done.
package gossip
