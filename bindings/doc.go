// Package bindings is the C ABI of x0x (include/x0x.h) as a Go client, through purego and
// without cgo. It exists to prove the ABI from one more language.
//
// Go programs should import core/x0x instead: libx0x.so is written in Go, so this package
// brings a second Go runtime into the process, which Go does not support
// (golang.org/issue/18976). It works on Linux in the tests of this repository and is refused
// elsewhere unless [LoadOptions] says otherwise.
//
// The calls to start with are [Load], [Library.NewQueue] and [Queue.Open]. One [Queue] serves
// any number of agents: its goroutine waits for records, drains them and hands each to the
// operation, agent, subscription or inbox that it concerns. Every method may be called from
// any goroutine. Methods that wait take a context, whose end cancels the operation.
//
// Nothing is read ahead: a subscription or inbox lets one message out of the library for each
// Recv that waits, so what waits is bounded by the library's own limits.
//
// It knows nothing of the core but its C header, and has no part of the protocol.
package bindings
