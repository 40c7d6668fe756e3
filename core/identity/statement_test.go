package identity

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

const testContext = "example.org/vote/v1"

func TestStatements(t *testing.T) {
	key := testKey(t, testAgent)
	agent := key.Public().AgentID()
	rapid.Check(t, func(t *rapid.T) {
		context := rapid.StringOfN(rapid.RuneFrom([]rune("aé/.中 ")), 1, -1, MaxContextSize).Draw(t, "context")
		payload := rapid.SliceOf(rapid.Byte()).Draw(t, "payload")
		sig, err := SignStatement(key, context, payload)
		if err != nil {
			t.Fatal(err)
		}
		if len(sig) != StatementSize {
			t.Fatalf("%d bytes", len(sig))
		}
		if err := VerifyStatement(agent, context, payload, sig); err != nil {
			t.Fatal(err)
		}
		if len(payload) > 0 { // the border between context and payload does not move
			moved := context + string(payload[:1])
			if checkContext(moved) == nil && VerifyStatement(agent, moved, payload[1:], sig) == nil {
				t.Fatal("another context holds")
			}
		}
	})
}

func TestStatementForgeries(t *testing.T) {
	key, other := testKey(t, testAgent), testKey(t, 9)
	agent, payload := key.Public().AgentID(), []byte("yes")
	sig, err := SignStatement(key, testContext, payload)
	require.NoError(t, err)
	requireRefused(t, ErrSignature, VerifyStatement(agent, testContext, []byte("no"), sig))
	requireRefused(t, ErrSignature, VerifyStatement(agent, testContext, nil, sig))
	requireRefused(t, ErrSignature, VerifyStatement(agent, testContext+"2", payload, sig))
	requireRefused(t, ErrWrongSigner, VerifyStatement(other.Public().AgentID(), testContext, payload, sig))

	others, err := SignStatement(other, testContext, payload)
	require.NoError(t, err)
	requireRefused(t, ErrWrongSigner, VerifyStatement(agent, testContext, payload, others))
	mixed := append(bytes.Clone(sig[:1+PublicKeySize]), others[1+PublicKeySize:]...)
	requireRefused(t, ErrSignature, VerifyStatement(agent, testContext, payload, mixed))

	for name, bad := range map[string][]byte{"empty": nil, "short": sig[:len(sig)-1], "long": append(bytes.Clone(sig), 0)} {
		require.Equal(t, wire.KindCorrupt, wire.KindOf(VerifyStatement(agent, testContext, payload, bad)), name)
	}
	for _, version := range []byte{0, 2} {
		bad := bytes.Clone(sig)
		bad[0] = version
		requireKind(t, wire.KindUnsupported, VerifyStatement(agent, testContext, payload, bad))
	}
	flips(sig, func(i int) bool { return i > 0 }, func(at int, bad []byte) {
		require.Error(t, VerifyStatement(agent, testContext, payload, bad), "bit flipped in byte %d", at)
	})

	for _, bad := range []string{"", strings.Repeat("c", MaxContextSize+1), "\xff", "a\x00"} {
		_, err := SignStatement(key, bad, payload)
		requireKind(t, wire.KindInvalidArgument, err)
		requireKind(t, wire.KindInvalidArgument, VerifyStatement(agent, bad, payload, sig))
	}
	key.Destroy()
	_, err = SignStatement(key, testContext, payload)
	requireKind(t, wire.KindClosed, err)
}

// What an application has its agent sign is nothing to x0x, whatever the context
// and payload are: an application may let a peer choose them.
func TestStatementsPassForNothingElse(t *testing.T) {
	key := testKey(t, testAgent)
	made, err := NewAgentRevocation(key, "", testNow)
	require.NoError(t, err)
	for _, payload := range [][]byte{made.signed(), made.signed()[1+len(DomainRevocation):]} {
		sig, err := SignStatement(key, DomainRevocation, payload)
		require.NoError(t, err)
		forged := *made
		forged.Signature = sig[1+PublicKeySize:]
		requireRefused(t, ErrSignature, forged.Verify(testNow))
	}
	card := *testCard(t)
	sig, err := SignStatement(key, DomainCard, card.signed())
	require.NoError(t, err)
	card.Signature = sig[1+PublicKeySize:]
	requireRefused(t, ErrSignature, card.Verify(testNow))
}

func FuzzVerifyStatement(f *testing.F) {
	key := testKey(f, testAgent)
	agent := key.Public().AgentID()
	good, err := SignStatement(key, testContext, []byte("yes"))
	require.NoError(f, err)
	f.Add(testContext, []byte("yes"), good)
	f.Add(testContext, []byte("no"), good)
	f.Add("", []byte{}, []byte{})
	f.Add(testContext+"y", []byte("es"), good)
	f.Add(testContext, []byte("yes"), good[:100])
	f.Add(testContext, []byte("yes"), append(bytes.Clone(good), 0))
	f.Add(testContext, []byte("yes"), append([]byte{0}, good[1:]...))
	f.Fuzz(func(t *testing.T, context string, payload, sig []byte) {
		err := VerifyStatement(agent, context, payload, sig)
		if err == nil && (context != testContext || string(payload) != "yes") {
			t.Fatal("a forged statement holds")
		}
		switch wire.KindOf(err) {
		case 0, wire.KindAuth, wire.KindCorrupt, wire.KindUnsupported, wire.KindInvalidArgument:
		default:
			t.Fatalf("got %v", err)
		}
	})
}
