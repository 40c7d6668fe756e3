// Package bridge is what stands between the exports of the C ABI and the façade:
// handles, queues, operations and logs. It is the C ABI without C.
//
// A [Library] holds everything that a process has open. Programs make a queue
// ([Library.NewQueue]), open agents into it ([Library.OpenAgent]) and drain it
// ([Queue.Drain]):
//
//	core feeds ──notify──▶ ready sources ─┐
//	                                      ├─ Drain ─▶ buffer of the caller
//	done callbacks ──────▶ completions ───┘
//
// Messages stay in the bounded feeds of the core until they are drained, straight
// into the caller's memory, so that a slow reader costs what the core's bounds say
// and back-pressure works. Completions and closing records are never dropped: what
// causes them is counted until they are drained, and limited.
//
// The order of records: those of one subscription, inbox or agent come in their
// order, and the closing record of each is its last; an agent's comes after all its
// completions and after those of its subscriptions and inbox. Nothing else is
// ordered.
//
// Locks, in the order in which they may be taken: Queue.draining, Agent.mu,
// Agent.opsMu, Queue.mu, then those of the core's feeds. None is held while code
// of the core runs that may call back, nor while a wake callback runs; that one has
// a lock of its own.
//
// A panic in here or in the façade poisons the agent that was called and no other.
//
// Every method may be called from any goroutine.
package bridge
