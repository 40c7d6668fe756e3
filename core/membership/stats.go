package membership

// Stats are the counters of a State since it was made. What is not a counter
// says so.
type Stats struct {
	// Frames.
	Sent      uint64
	Received  uint64
	BadFrames uint64 // do not parse, too large or of an unknown type
	Strangers uint64 // from an agent that is not connected
	Ignored   uint64 // of somebody who has no business to send it, or too late
	Limited   uint64 // above the pace that one origin may set

	// Views.
	Asked         uint64 // JOIN and NEIGHBOR sent
	Refused       uint64 // of them
	AskTimeouts   uint64 // of them
	Evicted       uint64 // neighbours dropped to make room
	PrefixRefused uint64 // neighbours refused because their prefix has its share
	ShareRefused  uint64 // passive peers refused because somebody concerned has its share
	Dials         uint64
	DialsFailed   uint64
	DialTimeouts  uint64 // of them, without being told

	Shuffles         uint64 // begun here
	ShufflesAnswered uint64 // ended here

	// Failure detection.
	Probes        uint64
	ProbeRequests uint64 // sent to others
	ProbesRelayed uint64 // made for others
	Suspected     uint64
	Refuted       uint64 // suspects and failed that came back
	Refutations   uint64 // of news that this agent had failed
	Failed        uint64 // neighbours lost, or suspects that did not refute
	NewsSent      uint64 // items
	NewsHeard     uint64 // items that were new

	// Now.
	Connected int
	Active    int
	Passive   int
	Unproved  int // in Passive, told by others and not yet connected to
	Lost      int
	Dialling  int
}

// Stats returns the counters.
func (s *State) Stats() Stats {
	st := s.stats
	st.Connected, st.Active, st.Passive = len(s.linked), len(s.active), len(s.passive)
	st.Lost, st.Dialling = len(s.lost), len(s.dials)
	for _, e := range s.passive {
		if e.told {
			st.Unproved++
		}
	}
	return st
}
