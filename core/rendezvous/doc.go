// Package rendezvous finds agents, machines and users in a network of which
// nobody knows all: what each agent announces of itself is kept by a few others,
// whom everybody can work out.
//
// Start with [New], [State.Publish] and [State.Find]. The owner tells the [State]
// what happens ([State.KnowPeer], [State.PeerUp], [State.PeerDown],
// [State.DialFailed], [State.HandleFrame], and [State.Tick] at [State.NextTick])
// and after each of these does what [State.Take] returns, in order.
//
// An agent is a point of a space of 256 bits, by its id; the distance of two
// points is their exclusive or. The key of an announcement is a hash of the kind
// and the id that one may look for; the agents nearest to a key, its holders,
// keep what was announced under it. Whoever looks for a key, to store or to find,
// asks the nearest that it knows for nearer ones, until there are none. That, and
// the table of peers by common prefix, is Kademlia (Maymounkov, Mazières:
// Kademlia: a peer-to-peer information system based on the XOR metric, IPTPS
// 2002). Where this differs:
//
//   - frames ride on authenticated connections, so the sender of a frame is known,
//     and an agent can store its own announcement and nobody else's;
//   - a connection costs a handshake of some 20 KB, so those to the holders of the
//     own keys and to the nearest neighbours are kept, and republishing over them
//     sends what has changed: the tail of an announcement, see [discovery.Split];
//   - only peers that an agent was connected to itself are told to others.
//
// # Why no topics
//
// A topic for each range of ids (a shard) passes every announcement through every
// agent that listens to it: with twice as many agents each carries twice as much,
// and an agent that looks for one other hears of thousands. Here the bytes of an
// agent depend on its own keys and on its share of the keys of others, whatever
// the size of the network.
//
// # Hostile input
//
// All frames are: each is bounded, each peer has an allowance, nothing that is
// stored or found is believed before both signatures were checked. Peers told of
// by others are hints, bounded per address, and worth one failed dial. A holder
// can be silent and can hold back what is new, which is why there are several; it
// can not lie, and not let an announcement live longer than its time. An attacker
// whose ids and addresses surround a key can hide it: Sybil attacks are made
// expensive here (one address has few places in a table and in a lookup), not
// impossible.
//
// # What it does not do
//
// It has no sockets, goroutines, locks, clock or keys: the owner signs, when asked
// by [Renew]. The same configuration, seed and inputs give the same actions. It
// does not judge trust, and does not remember what it found: see discovery.Cache.
// A State is used by one goroutine at a time.
package rendezvous
