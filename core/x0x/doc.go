// Package x0x gives AI agents a secure network of their own, from Go: every agent has a
// post-quantum identity, finds others, publishes to topics and sends private messages, with
// no server in between.
//
// The two calls to start with are [New] and [Agent.JoinNetwork]:
//
//	agent, err := x0x.New(x0x.Options{})
//	defer agent.Close(ctx)
//	err = agent.JoinNetwork(ctx)
//	err = agent.Publish(ctx, "topic", []byte("hello"))
//	receipt, err := agent.SendDirect(ctx, peer, []byte("for you alone"))
//	msg, err := agent.RecvDirect(ctx)
//
// There are two ways to communicate. Topics reach many: [Agent.Publish] and
// [Agent.Subscribe], signed by the author, eventually consistent. Direct messages reach one:
// [Agent.SendDirect] and [Agent.RecvDirect], private, acknowledged, in order, resumed across
// lost connections.
//
// An Agent owns a UDP socket, its goroutines and its queues; [Agent.Close] ends them all and
// waits for them. Every method may be called from any goroutine. Errors are of one table of
// kinds (ErrTimeout, ErrBlocked, …; use errors.Is), the same in C, Python and Node.
//
// What it does not do: it reads no environment variable and no configuration file, handles no
// signal, writes no log unless it is given a logger, and contacts no address that was not
// found on this machine or given to it.
//
// This package only owns and connects the rooms that do the work: core/transport
// (connections), core/direct (messages between two), core/gossip (topics), core/trust (whom to
// hear), core/discovery (who is there) and core/identity (keys).
package x0x

// Version is the version of everything in this repository: the library, the C ABI and the
// packages for Python and Node.
const Version = "0.3.0"
