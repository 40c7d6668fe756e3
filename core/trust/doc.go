// Package trust holds what the user thinks of other agents, and the one point
// that every inbound path asks before an application sees a byte.
//
// Start with [Open], the contacts of a user in a file, or [NewStore], which
// forgets; and with [NewPolicy], which judges arrivals by them: [Policy.Inbound]
// with the proven sender, [Policy.Outbound] before a send. [Store.Evaluate]
// answers the same question without counting. [OpenRevocations] adds what keys
// and users have revoked.
//
// Contacts change only by the user's act. What the network says about agents
// never creates or alters one: that belongs in a bounded cache elsewhere. The
// ids given here must be proven (TLS for the machine, a signature for the
// agent); this package checks no proofs but those of revocations. It starts no
// goroutines: who owns a store or revocations calls Flush now and then, and Close
// at the end.
//
// Changes wait for the disk, questions never do. A damaged file is refused and
// left as it is, for to start without it would admit whom the user has blocked.
//
// Everything is safe for concurrent use.
package trust
