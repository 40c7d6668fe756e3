// Package direct carries messages between two agents: each is accepted exactly once,
// in order, and acknowledged when it is, also when connections are lost in between.
//
// Begin with [New] and [Manager.SendWait], or [Manager.Send] for callers that do not
// spend a goroutine on each message; what arrives is in [Manager.Inbox]. The owner
// of the connections tells of them by [Manager.LinkUp] and [Manager.LinkDown] and
// hands over their streams by [Manager.HandleStream].
//
// # What is promised
//
// A send succeeds when the recipient's library has put the message into the queue of
// its application. Messages of one sender enter that queue in the order of the calls
// of Send, but for those sent Unordered. A lost link changes nothing: the session
// goes on over the next one, with nothing lost and nothing twice. A session ends with
// the process on either side, or after Config.SessionTTL without a link; what was on
// its way then fails with KindDisconnected and delivered=unknown. A process that has
// died may have accepted messages that its application never saw.
//
// # Back-pressure
//
// The inbox never drops. When it is full, messages wait in a room of known size, then
// the sender's window closes, then its queue fills, and then Send says busy and
// SendWait waits. Nothing of this slows other senders, nor links, nor the bytes of
// other messages. Payloads over 256 KiB travel on streams of their own once the
// receiver has room for them, and are handed over in their turn.
//
// Strangers may use half of the room for large bodies and half of the sessions, and
// wait behind contacts for the inbox. There is no limit on their rate: two fresh
// agents talk at full speed.
//
// A blocked sender is read, counted and not answered: it sees what it would see from
// an agent that does not read.
//
// # How it is built
//
// session is a state machine without I/O, clock or lock; peer drives it. Senders
// leave messages in a submission; whoever finds the gate of a peer open writes, the
// caller itself if that cannot block; what is read is handled and acknowledged in
// batches. No timer delays anything. The frames are drawn in frame.go.
//
// All methods may be called from any goroutine, and from callbacks.
package direct
