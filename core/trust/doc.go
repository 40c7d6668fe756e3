// Package trust holds what the user thinks of other agents, and the one point
// that every inbound path asks before an application sees a byte.
//
// Start with [NewStore], the contacts, and [NewPolicy], which judges arrivals
// by them: [Policy.Inbound] with the proven sender, [Policy.Outbound] before a
// send. [Store.Evaluate] answers the same question without counting.
//
// Contacts change only by the user's act. What the network says about agents
// never creates or alters one: that belongs in a bounded cache elsewhere. The
// ids given here must be proven (TLS for the machine, a signature for the
// agent); this package checks no proofs. It does no I/O and starts no
// goroutines. The store lives in memory: whoever wants it durable fills it with
// [Store.Put] and follows it with [Store.OnChange].
//
// Everything is safe for concurrent use.
package trust
