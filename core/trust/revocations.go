package trust

import "github.com/saorsa-labs/x0x-go/core/identity"

// Revocations are the revocations that were proven.
type Revocations struct{}

// Agent reports whether an agent was revoked.
func (r *Revocations) Agent(identity.AgentID) bool { return false }

// Machine reports whether a machine was revoked.
func (r *Revocations) Machine(identity.MachineID) bool { return false }
