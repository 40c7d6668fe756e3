// Package netns runs a program in a network namespace of its own, for tests and
// benchmarks that need addresses or interface counters of their own. Linux
// alone has such; elsewhere every call says so.
//
// Begin with [Own] for the command that starts it, and [Loopback] in the program.
// A program that has a namespace of its own can make more of them with [Inside],
// and join two with [Cable]. None of it needs privilege where user namespaces are
// allowed.
package netns
