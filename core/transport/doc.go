// Package transport connects agents: authenticated, encrypted QUIC connections
// between machines, each joining exactly two agents.
//
// Start with [Listen], which opens one UDP socket for everything, and
// [NewPeers], which keeps at most one connection to each peer on top of it.
// [Endpoint.Dial] and [Endpoint.Accept] work without Peers, one connection at a
// time.
//
// What a connection proves, before anyone above sees it:
//
//   - the machine, by TLS 1.3 with mutual ML-DSA-65 certificates over
//     X25519MLKEM768 and nothing else. There is no CA: a machine is the SHA-256
//     of its key, and a dialler pins the one that it wants;
//   - the agent, by a signature over a value exported from that very TLS
//     session, both machine ids, the role and the network ([DomainHello] in
//     package identity). A hello recorded on one connection fails on another;
//   - the network: a hello of another network is refused with that reason.
//
// A dial is up only when the peer has acknowledged the hello. That is one round
// trip for the handshake and one for the hello, also the first time.
//
// The package knows nothing of messages: it carries streams, whose first byte
// says which room they belong to. It does not decide trust either. It keeps no
// state on disk.
//
// Every exported method is safe for concurrent use unless it says otherwise.
// Specifications: RFC 9000 (QUIC), RFC 9001, RFC 8446 (TLS 1.3, sections 2.2
// and 7.5), RFC 9221 (datagrams, used as probes), FIPS 204 (ML-DSA).
package transport
