package rendezvous

// Stats are the counters of a State since it was made. What is not a counter
// says so.
type Stats struct {
	// Frames.
	Sent      uint64
	Received  uint64
	BadFrames uint64 // do not parse, too large, of an unknown type, or with a lie
	Strangers uint64 // from an agent that is not connected
	Ignored   uint64 // not asked for, or too late
	Limited   uint64 // above the pace of a peer, or of dials

	// Peers.
	Dials         uint64
	DialsFailed   uint64
	Handshakes    uint64 // dials that succeeded
	Released      uint64 // connections that were no longer needed
	PrefixRefused uint64 // peers whose address had its share

	// Lookups.
	Lookups     uint64
	NotFound    uint64 // of them
	HopTimeouts uint64

	// The own announcement.
	Stores        uint64 // sent whole
	Renewals      uint64 // sent as tails
	StoresRefused uint64 // by holders
	Conflicts     uint64 // reported to the owner

	// Announcements of others.
	Kept          uint64
	Stale         uint64 // older than what was kept
	NotTheirs     uint64 // of another agent or machine than the sender
	BadRecords    uint64 // forged, expired, from the future, of another version
	StoreFull     uint64 // refused
	StoreEvicted  uint64 // made room for a nearer one
	ConflictsTold uint64

	// Now.
	Connected   int
	Listed      int
	Records     int
	RecordBytes int
	Holders     int // of the own announcement
}

// Stats returns the counters.
func (s *State) Stats() Stats {
	st := s.stats
	for _, n := range s.order {
		if n.connected {
			st.Connected++
		}
		if n.listed {
			st.Listed++
		}
	}
	st.Records, st.RecordBytes = len(s.store.list), s.store.bytes
	for _, p := range s.publications {
		st.Holders += len(p.holders)
	}
	return st
}
