// Package transporttest holds what tests of anything that runs over UDP need:
// a faulty network in one process. It is a test kit, not part of the product.
//
// Start with [NewProxy] and point the dialler at [Proxy.Addr] instead of the
// target. The proxy forwards datagrams both ways through real sockets, and
// loses, delays, reorders or swallows them on request. It does not look into
// them: a connection that pins its peer authenticates through it unchanged.
//
// Every random decision comes from one seeded generator per direction, so a
// run can be repeated as far as the order of packets repeats. All methods are
// safe for concurrent use.
package transporttest
