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
// Messages of one author usually come in order. When links break, or the tree
// changes, one may come after a later one; Epoch and Sequence tell.
//
// Every node verifies before it relays, so forged messages end at the first
// honest node. A message whose author is blocked here is not delivered here but
// relayed all the same: trust is personal and must not tear the mesh.
//
// The package does not choose neighbours, does not encrypt (connections are
// encrypted by the transport, and relays read topic messages) and keeps nothing
// on disk.
//
// # How messages travel
//
// Plumtree (Leitão, Pereira, Rodrigues: Epidemic Broadcast Trees, 2007), for
// each topic by itself. A link to a neighbour is eager or lazy (link.go): over
// eager links messages are pushed, over lazy ones announced (ihave.go). A
// duplicate makes a link lazy (PRUNE); an announced message that does not come
// makes one eager (GRAFT, graft.go). What stays eager is a tree that all
// publishers share, and the announcements are what mends it. So that it comes to
// rest although many publish at once, the loops in it are cut one at a time, and
// the tree is not changed for a message earlier than it has lately been late; the
// message itself is asked for sooner (IWANT). Large envelopes are announced and
// missed later than small ones. While one author has a topic to itself, a link
// that would be shorter by OptimiseBy hops takes the place of a long one, more
// rarely each time.
//
// Two more things find what the tree has lost: sequences are dense, so a hole is
// asked for by range (repair.go); and every DigestPeriod each topic is compared
// with one neighbour, by a hash first (digest.go), so that whatever anybody retains reaches
// everybody who is connected, after any fault.
//
// A topic is sent to the neighbours that want it, for themselves or for others
// behind them (interest.go): interest spreads with its distance, up to
// MaxInterestHops. With fewer than MinInterested such neighbours, those that
// relay are sent it as well. A node with NoRelay takes its own topics alone.
//
// # What is dropped when there is too much
//
// Publishing waits while neighbours are behind (MaxBehind), but only
// PeerPatience for one that takes nothing. When the log is over MaxLogBytes,
// topics of low priority lose first, then normal, then high ([Engine.SetPriority]);
// within a class the oldest goes first, so what is only retained goes before what
// a neighbour still waits for. Control frames go before messages. Whatever is
// dropped is counted in [Stats].
//
// # Hostile neighbours
//
// A neighbour can withhold, delay and announce what does not exist. It cannot
// forge or replay. What it makes us remember (topics, announced messages,
// envelopes without a key) fills its own share and no other's; what it makes us
// do (requests) and send (answers) is bounded per second. If it lies about hops
// to draw links to itself, the others' announcements bring what it withholds, and
// links are exchanged ever more rarely.
//
// # Inside
//
// router is the logic, a plain state machine without goroutines, locks or
// clock; with the same seed, the same calls give the same frames. Engine owns
// one, locks it, and has two goroutines: one signs, one serves the timer. The log
// (log.go) is retention and send queue in one: nothing is queued per neighbour.
// All methods of Engine and Subscription may be called from any goroutine, also
// from Sender.Send, from a queue's notify function and, except Close, from
// PublishAsync's done.
package gossip
