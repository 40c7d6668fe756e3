// Package revocation brings revocations of keys to every agent of a network,
// also to one that was away when they were made.
//
// [State] is a pure state machine: connections, frames and time go in, frames
// for neighbours come out ([State.Take]); [State.NextTick] says when [State.Tick]
// is due. Start with [New]. What revocations there are, it asks a [Set], which
// verifies them, keeps them and is bounded.
//
// It is anti-entropy instead of a topic: a topic forgets after minutes, and a
// revocation must not. Neighbours compare a hash of all that they have when they
// meet and every CompareEvery after that; if they differ they name what they
// have, and ask each other for the rest. What is new is named to all neighbours
// at once.
//
// It does not decide what a revocation means (core/trust does), and does not
// choose neighbours. A State is not safe for concurrent use.
package revocation
