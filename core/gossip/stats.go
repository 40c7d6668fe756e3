package gossip

// Stats are the counters of an Engine since it was made. What is not a counter
// says so.
type Stats struct {
	// Messages.
	Published  uint64 // by this agent
	Signatures uint64 // made: fewer than Published under load
	Received   uint64 // accepted from the network for the first time
	Delivered  uint64 // handed to subscriptions, each counted
	Lagged     uint64 // dropped from full subscription queues

	// Envelopes from the network that were not accepted.
	Duplicates   uint64 // every position in them was known: normal with several paths
	Replayed     uint64 // of an epoch older than all that are remembered
	Forged       uint64 // the signature does not hold
	Malformed    uint64 // not an envelope
	Oversize     uint64 // over a limit
	Unsupported  uint64 // of an unknown version
	Future       uint64 // more than MaxAhead ahead of our clock
	Unwanted     uint64 // in a topic that is neither subscribed nor relayed
	KeyTimeouts  uint64 // waited in vain for the author's key
	KeyOverflows uint64 // no room to wait for the author's key

	// Envelopes that were accepted.
	Blocked     uint64 // not delivered here because of their author; relayed all the same
	Forwarded   uint64 // sent to a peer, each counted
	PeerDropped uint64 // not sent to a peer because it was too far behind, each counted
	Expired     uint64 // left retention
	Shed        uint64 // left the log because it was full
	Repaired    uint64 // came as answers or replays, not by a push
	Answered    uint64 // queued as answers or replays for a peer, each counted

	// Links and announcements.
	Pruned          uint64 // links made lazy from here
	Grafted         uint64 // links made eager by the neighbour
	OptimisedLinks  uint64 // links exchanged for shorter ones
	IHaveSent       uint64 // announcements, each counted
	IHaveReceived   uint64
	IHaveDropped    uint64 // announcements that are impossible, unwanted, or too many
	GraftsSent      uint64 // frames
	IWantSent       uint64 // frames
	DigestsSent     uint64 // frames
	DigestsEqual    uint64 // comparisons that found no difference
	GapsGivenUp     uint64 // gaps and announced messages that no neighbour could fill
	RequestsRefused uint64 // came too often from one neighbour
	AnswersRefused  uint64 // envelopes, asked for too often by one neighbour

	// Frames.
	BadFrames      uint64 // control frames that do not parse
	UnknownFrames  uint64 // of an unknown type
	Strays         uint64 // of a neighbour that is not connected
	GreetedAgain   uint64 // neighbours that lacked our greeting, or we theirs
	ControlDropped uint64 // control frames for a peer that takes none
	KeyRequests    uint64 // sent
	KeysServed     uint64 // sent
	KeysCarried    uint64 // sent ahead of an author's first envelope
	KeysRefused    uint64 // came without having been asked for

	// Now.
	Topics        int
	Subscriptions int
	Peers         int
	EagerLinks    int // topics times neighbours that messages are pushed to
	LazyLinks     int // topics times neighbours that messages are announced to
	Missing       int // announced messages that are awaited
	Streams       int
	Retained      int // envelopes
	RetainedBytes int64
	AwaitingKey   int // envelopes
	PublishQueue  int // messages
}
