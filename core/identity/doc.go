// Package identity holds the names and keys of x0x: who a machine, an agent
// and a person are, how they sign, and how their keys lie on disk.
//
// Start with [LoadOrCreateKey], which returns the key at a path, and
// [CachedPublicKey], which turns 1,952 bytes from a peer into a key that
// verifies. [OpenDir] takes a whole identity folder for one process.
//
// There is one algorithm, ML-DSA-65 (FIPS 204), and one rule for names: an id
// is the SHA-256 of the 1,952-byte public key. [MachineID], [AgentID] and
// [UserID] are distinct types, so that the compiler keeps the roles apart.
//
// What agents say about each other, each signed and each proving by itself that
// its signer may say it: [Certificate] binds an agent to a user, [Revocation]
// ends what was said before, [Card] and [Introduction] describe an agent, and
// [SignStatement] is for applications. Parsing one checks its form only; nothing
// counts before Verify, which takes the time, since there is no clock here.
//
// The package does not talk to the network, decide whom to trust (see
// core/trust), start goroutines or read the environment. It does not encrypt
// key files: they are protected by mode 0600 in folders of mode 0700.
//
// Signing and verifying go through circl: with expanded keys it is four to
// nine times faster than the standard library, and it loads the expanded
// 4,032-byte secret keys that key files carry. The tests hold both against
// each other.
//
// Everything here is safe for concurrent use, except that [Dir.Close] must not
// race with the use of its folder.
package identity
