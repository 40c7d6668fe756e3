package x0x

import (
	"net/netip"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/transport"
	"github.com/saorsa-labs/x0x-go/core/trust"
)

// The three kinds of identity: SHA-256 of the 1,952-byte ML-DSA-65 public key (FIPS 204) of
// the machine, the agent and the person.
type (
	MachineID = identity.MachineID
	AgentID   = identity.AgentID
	UserID    = identity.UserID
)

// ParseAgentID and ParseMachineID read 64 hexadecimal digits, in either case.
func ParseAgentID(s string) (AgentID, error)     { return identity.ParseAgentID(s) }
func ParseMachineID(s string) (MachineID, error) { return identity.ParseMachineID(s) }

// TrustLevel is what this agent thinks of another, TrustDecision what that meant for one
// message, Contact one entry of the list of agents that it has an opinion about, with how it
// knows them (IdentityType) and on which machines it expects them (MachineRecord).
type (
	TrustLevel    = trust.Level
	TrustDecision = trust.Decision
	Contact       = trust.Contact
	IdentityType  = trust.IdentityType
	MachineRecord = trust.MachineRecord
)

const (
	TrustBlocked = trust.Blocked // never heard, never told so
	TrustUnknown = trust.Unknown // everyone without a contact record
	TrustKnown   = trust.Known
	TrustTrusted = trust.Trusted
)

const (
	IdentityAnonymous = trust.IdentityAnonymous // by its id only
	IdentityKnown     = trust.IdentityKnown     // met before
	IdentityTrusted   = trust.IdentityTrusted   // checked by the user
	IdentityPinned    = trust.IdentityPinned    // only on machines that the user pinned
)

const (
	DecisionUnknown               = trust.DecisionUnknown       // a stranger: delivered, marked so
	DecisionAccept                = trust.Accept                // delivered
	DecisionAcceptWithFlag        = trust.AcceptWithFlag        // delivered: known, not trusted
	DecisionRejectBlocked         = trust.RejectBlocked         // not delivered
	DecisionRejectMachineMismatch = trust.RejectMachineMismatch // not delivered: pinned elsewhere
)

// ConnectOutcome says how a connection came about, in the words Direct, Coordinated,
// AlreadyConnected, Unreachable and NotFound.
type ConnectOutcome = transport.Outcome

const (
	Direct           = transport.Direct
	Coordinated      = transport.Coordinated
	AlreadyConnected = transport.AlreadyConnected
	Unreachable      = transport.Unreachable
	NotFound         = transport.NotFound
)

// ConnectResult is the outcome of a connection attempt and, if there is a connection, the
// address at its other end.
type ConnectResult struct {
	Outcome ConnectOutcome
	Addr    netip.AddrPort
}

// PeerInfo describes one connected peer.
type PeerInfo struct {
	AgentID   AgentID
	MachineID MachineID
	Addr      netip.AddrPort
	Path      string        // "direct"
	RTT       time.Duration // smoothed round-trip time
	Dialled   bool          // this side opened the connection
	Connected time.Time
}
