package identity

import (
	"errors"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// A statement signature stands alone: whoever knows the id of the agent can
// verify it.
//
//	offset  bytes
//	0       1      version, 1
//	1       1952   public key of the agent
//	1953    3309   signature
//	5262           end
//
// It covers, under DomainApplication, the context and the payload. No format of
// x0x is signed under that domain: what an application lets its agent sign can
// never pass for a message, certificate or revocation.
const (
	statementVersion = 1

	// StatementSize is the length of a statement signature.
	StatementSize = 1 + PublicKeySize + SignatureSize
)

// SignStatement signs payload for a purpose of the application, named by context
// (1 to 255 bytes of UTF-8, such as "example.org/vote/v1"), and returns a detached
// signature of [StatementSize] bytes. A signature under one context does not hold
// under another. Errors: [wire.KindInvalidArgument], and those of [Key.Sign].
func SignStatement(key *Key, context string, payload []byte) ([]byte, error) {
	const op = "sign statement"
	if err := checkContext(context); err != nil {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "%w", err)
	}
	sig, err := key.Sign(statement(context, payload), []byte(DomainApplication))
	if err != nil {
		return nil, err
	}
	return wire.NewBuilder(make([]byte, 0, StatementSize)).
		U8(statementVersion).Fixed(key.Public().Bytes()).Fixed(sig).Build(), nil
}

// VerifyStatement is nil if agent signed payload under context. Errors:
// [wire.KindInvalidArgument] for a context that nothing is signed under,
// [wire.KindCorrupt] or [wire.KindUnsupported] for bytes that are no statement
// signature, and [wire.KindAuth], where errors.Is tells [ErrWrongSigner] and
// [ErrSignature] apart.
func VerifyStatement(agent AgentID, context string, payload, signature []byte) error {
	const op = "verify statement"
	if err := checkContext(context); err != nil {
		return wire.Errorf(wire.KindInvalidArgument, op, "%w", err)
	}
	p := wire.NewParser(op, signature)
	if err := takeVersion(op, p, statementVersion); err != nil {
		return err
	}
	key := takePublicKey(p)
	sig := p.Fixed(SignatureSize)
	if err := p.Done(); err != nil {
		return err
	}
	if key.AgentID() != agent {
		return wire.Errorf(wire.KindAuth, op, "signed by %s, not %s: %w", key.AgentID().Short(), agent.Short(), ErrWrongSigner)
	}
	if !key.Verify(statement(context, payload), []byte(DomainApplication), sig) {
		return wire.Errorf(wire.KindAuth, op, "agent %s: %w", agent.Short(), ErrSignature)
	}
	return nil
}

func statement(context string, payload []byte) []byte {
	return wire.SignedBytes(DomainApplication, []byte(context), payload)
}

func checkContext(context string) error {
	if context == "" {
		return errors.New("the context is empty: it names what the signature is for")
	}
	return checkText("the context", context, MaxContextSize)
}
