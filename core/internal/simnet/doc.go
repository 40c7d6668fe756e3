// Package simnet is a network in virtual time, for tests of protocols that are
// state machines: it carries bytes between simulated processes and knows no
// protocol. It has room for 10,000 processes and tens of millions of events,
// and the same seed gives the same run, event for event.
//
// Start with [New] and [Net.Add]; [Net.RunUntil] runs. A process is a [Node]:
// what it wants to do (Send, Dial, Close, Kill, At) it asks of the [Net] while
// it is called, and nothing calls it back before it has returned.
//
// # What is modelled
//
//   - Connections. A dial takes Config.DialRTTs round trips and then both ends
//     hear Up at one instant, the dialler first. There is at most one connection
//     between two processes: dials that cross give one. A dial that cannot
//     succeed now tries again, with doubling pauses, and fails after DialTimeout.
//   - Links. What QUIC gives: frames of one class arrive whole, once and in
//     order while the connection lives, and are lost only with it. There are two
//     classes, Control before Bulk: whenever a packet leaves it takes what
//     waits in Control first, so control overtakes bulk between two packets.
//   - Packets. What a process sends on one link within one call is packed
//     together into packets of MTU bytes. Latency is drawn for each packet. A path
//     does not reorder (a packet that drew a short latency waits for those
//     before it), except that a lost packet comes late. Of frames of two classes
//     that arrive in one instant either may be handed over first.
//   - Loss. Each packet and each retransmission of it is lost with probability
//     Loss, and sent again after a probe time-out, RTT + RTO, which doubles with
//     each loss up to RTOMax (RFC 9002, section 6.2). What is behind it in its
//     class waits; the other class does not. Losses are drawn when a packet
//     first leaves. Handshakes lose packets as well.
//   - Bandwidth. Each direction of each link is a line of Bandwidth bytes/s,
//     overhead included. A retransmission takes its time on the line along with
//     the packet.
//   - Back-pressure. Per link, direction and class at most Queue bytes are
//     accepted that have not arrived. Then Send refuses, and a [Readier] hears
//     Ready when half is free again.
//   - Ends. Close is heard by its caller at once and by the peer one latency
//     later, after what left before; what has not left is lost. Kill says
//     nothing: peers hear Down after DownAfter, and frames on their way are lost.
//     A process may start again under the same id: when it connects to a peer
//     that still believes in the old connection, that peer hears Down, then Up.
//   - Partitions. Packets are held back; connections across it end after
//     DownAfter, and those that live to see [Net.Heal] deliver all, one probe
//     time-out later. Dials across it fail after DialTimeout.
//   - Unequal reach. Config.CanDial says who can dial whom, as NATs do.
//   - Bytes on the interface. Overhead bytes for each packet (IPv4 and UDP 28,
//     QUIC short header and tag about 20), retransmissions, and an estimate of
//     the packets that only acknowledge: one for every AckEvery packets that
//     arrive, or after AckDelay (RFC 9000, section 13.2), unless data leaves the
//     other way meanwhile and takes it along. Acknowledgements are counted, they
//     take no time on the line and are never lost.
//
// # What is not modelled
//
// Congestion control and slow start; a shared access line of a process; CPU
// time; corrupted packets; bytes of handshakes and of keep-alives; migration;
// stateless resets (a restarted process does not answer for its predecessor); a
// connection that dies of loss alone. Queue room is freed when a frame arrives,
// not when its acknowledgement would be back.
//
// # Determinism
//
// The Net calls nodes from one goroutine, that of RunUntil, in an order that
// depends only on the Config and on what they do; latencies, losses and nothing
// else are drawn from Config.Seed. [Net.Trace] is a hash over all that happened.
// A run is as reproducible as its nodes: they must take time from the argument,
// randomness from a seeded source, and nothing from the order of a map.
//
// [Stats] count packets and bytes, and a [Plot] draws what runs have measured.
//
// No method may be called from two goroutines at once. Frames are not copied: a
// sender gives a frame away, a receiver keeps nothing of it and changes nothing.
package simnet
