package x0x

import "github.com/saorsa-labs/x0x-go/core/identity"

// Sign signs payload in the name of this agent for a purpose of the application, which context
// names (1 to 255 bytes of UTF-8, such as "example.org/vote/v1"). The result stands alone: with
// it, the same context and payload, anybody who knows the agent id can [Verify] who said this,
// also long after. A signature under one context does not hold under another, and none can pass
// for a message of x0x.
func (a *Agent) Sign(context string, payload []byte) ([]byte, error) {
	if err := a.usable("sign"); err != nil {
		return nil, err
	}
	return identity.SignStatement(a.keys.agent, context, payload)
}

// Verify returns nil if the agent has signed payload under context with [Agent.Sign]. Errors:
// ErrAuth if it has not, ErrCorrupt and ErrUnsupported for what is no such signature,
// ErrInvalidArgument for a context that nothing is signed under.
func Verify(agent AgentID, context string, payload, signature []byte) error {
	return identity.VerifyStatement(agent, context, payload, signature)
}

// IdentityWords returns four words, such as "acid pelican rural cobalt", by which two people
// can compare an id aloud. They are a check aid and no name: never look anything up by them.
func IdentityWords[ID MachineID | AgentID | UserID](id ID) string {
	return identity.IdentityWords([32]byte(id))
}
