// Package lan finds agents of the same network on the same LAN by multicast DNS
// (RFC 6762) and DNS service discovery (RFC 6763).
//
// Start with [Open], which announces this agent and asks for others, and take
// what it finds from Options.OnFound or [Service.Entries]. [Service.Close] says
// goodbye.
//
// An [Entry] is a hint and nothing more; the proof is a connection pinned to its
// machine id. The package does not dial, does not judge trust and reads no
// environment. All methods are safe for concurrent use. Linux only: elsewhere
// Open answers wire.KindUnsupported, and the caller goes on without.
//
// # Names
//
// The service type is _x0x._udp. A network is a subtype of it (RFC 6763 section
// 7.1), so that agents of one network ask for, and hear answers of, that network
// alone. A network id is up to 255 bytes of any text and a DNS label 63 bytes, so
// the subtype carries the first 10 bytes of its SHA-256 in hex: nobody meets
// another network by chance, and the hello of the connection decides anyhow. The
// hash does not hide a network id that can be guessed.
//
// What a neighbour on the LAN sees is that hash, the machine id and the port:
// nothing about the agent or its user, and not the name of the host. Questions
// for the service type itself are not answered.
//
// # What comes from the LAN is hostile
//
// Only packets to the multicast group, from port 5353 and with TTL 255 are read:
// no router lets those through. An agent is where its packet came from, whatever
// addresses the packet names, so nobody can aim our dials at a third party.
// Answers go to the group alone, at most one a second on each interface, so
// nobody can aim or multiply those either; the price is that tools which ask from
// another port (RFC 6762 section 6.7) are not answered. The number of entries is
// bounded, as is the share of one address and the rate of new ones.
//
// Who can send on the LAN can still fill the table with fakes, hide agents that
// way, or see who is there. mDNS cannot prevent that; it costs failed dials.
//
// # Sharing port 5353
//
// Each interface has a socket for each address family, bound to the group with
// SO_REUSEADDR: the mDNS daemon of the machine and other agents keep working.
package lan
