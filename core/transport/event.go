package transport

import (
	"net/netip"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// EventType says what happened to a peer.
type EventType uint8

const (
	// Connected: there was no connection to the peer and now there is one.
	Connected EventType = iota + 1
	// Disconnected: the connection is gone, and a redial did not bring it back
	// or was not wanted. Replacements and quick redials are silent.
	Disconnected
	// PeerJoined: the first Connected with this agent since the start.
	PeerJoined
	// Error: a dial in the background failed in a way that waiting may not mend;
	// or, without an agent, the endpoint's socket has failed.
	Error
)

// String returns the name in lower case with underscores.
func (t EventType) String() string {
	switch t {
	case Connected:
		return "connected"
	case Disconnected:
		return "disconnected"
	case PeerJoined:
		return "peer_joined"
	case Error:
		return "error"
	}
	return "unknown"
}

// Event is one change of a peer. Events of one peer come in order.
type Event struct {
	Type    EventType
	Agent   identity.AgentID
	Machine identity.MachineID
	Addr    netip.AddrPort
	Path    string
	Err     error // of Disconnected and Error
}

// Outcome is what a Connect came to.
type Outcome uint8

const (
	NotFound         Outcome = iota // nothing known about where the peer is
	Unreachable                     // addresses known, none led to the peer
	AlreadyConnected                // nothing to do
	Direct                          // dialled
	Coordinated                     // dialled with a third agent's help
)

// String returns the name as other x0x systems spell it.
func (o Outcome) String() string {
	switch o {
	case Unreachable:
		return "Unreachable"
	case AlreadyConnected:
		return "AlreadyConnected"
	case Direct:
		return "Direct"
	case Coordinated:
		return "Coordinated"
	}
	return "NotFound"
}

// PeerInfo describes one connected peer.
type PeerInfo struct {
	Agent   identity.AgentID
	Machine identity.MachineID
	Addr    netip.AddrPort
	Path    string
	RTT     time.Duration
	Dialled bool
	Resumed bool
	Since   time.Time
}
