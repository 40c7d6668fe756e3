// Package netns runs a program in a network namespace of its own, for tests and
// benchmarks that need addresses or interface counters of their own. Linux
// alone has such; elsewhere every call says so.
//
// Begin with [Own] for the command that starts it, and [Loopback] in the program. It makes no interfaces but the loopback one of the namespace,
// and needs no privilege where user namespaces are allowed.
package netns
