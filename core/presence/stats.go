package presence

// Stats are the counters of a State since it was made. What is not a counter
// says so.
type Stats struct {
	// Frames.
	Sent      uint64
	SentBytes uint64
	Received  uint64
	Refused   uint64 // HandleFrame failed
	Strangers uint64 // from an agent that is not connected
	Ignored   uint64 // of somebody who has no business to send it, or too late
	Limited   uint64 // above the pace or the room that one origin has

	// What was wrong with beacons.
	Oversize    uint64 // frames above MaxFrame
	Forged      uint64 // of another agent or machine, or the signature does not hold
	Replayed    uint64 // not newer than what is known
	Ahead       uint64 // dated more than a minute ahead
	Stale       uint64 // passed on too late
	Leaked      uint64 // passed on though meant for one
	Keyless     uint64 // the key of the agent is not known
	Undelivered uint64 // the policy does not deliver the agent

	BeaconsSent    uint64
	BeaconsHeard   uint64
	SignFailed     uint64
	WatchesRefused uint64 // silently
	Wants          uint64

	CameOnline  uint64
	WentOffline uint64
	Evicted     uint64 // agents that made room
	TableFull   uint64 // agents for whom no room was made

	// Walks.
	Queries       uint64 // begun here
	QueriesHeard  uint64 // of others, once each
	Duplicates    uint64 // of them, that came again
	QueryTimeouts uint64 // that ended before all had answered
	Passed        uint64 // beacons, to who asked

	// Now.
	Connected int
	Known     int
	Online    int
	Watched   int
	Watchers  int // strangers
	Walks     int
}

// Stats returns the counters.
func (s *State) Stats() Stats {
	st := s.stats
	st.Connected, st.Known, st.Watched = len(s.linked), len(s.table), len(s.watched)
	st.Watchers, st.Walks = s.watchers(), len(s.walks)
	for _, e := range s.table {
		if e.Online {
			st.Online++
		}
	}
	return st
}
