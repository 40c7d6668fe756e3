package identity

import (
	"bytes"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

const hexID = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func TestIDText(t *testing.T) {
	for _, s := range []string{hexID, strings.ToUpper(hexID), hexID[:20] + strings.ToUpper(hexID[20:])} {
		agent, err := ParseAgentID(s)
		require.NoError(t, err)
		machine, err := ParseMachineID(s)
		require.NoError(t, err)
		user, err := ParseUserID(s)
		require.NoError(t, err)
		for _, got := range []string{agent.String(), machine.String(), user.String()} {
			require.Equal(t, hexID, got)
		}
		for _, got := range []string{agent.Short(), machine.Short(), user.Short()} {
			require.Equal(t, hexID[:16], got)
		}
		require.Equal(t, seedOf(0), agent[:])
	}
}

func TestIDErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "AgentId must be 32 bytes, got 0",
		"00":                    "AgentId must be 32 bytes, got 1",
		hexID[2:]:               "AgentId must be 32 bytes, got 31",
		hexID + "00":            "AgentId must be 32 bytes, got 33",
		hexID[1:]:               "Invalid hex encoding: odd number of digits",
		"zz":                    "Invalid hex encoding: invalid character at position 0",
		hexID[:63] + "g":        "Invalid hex encoding: invalid character at position 63",
		" " + hexID:             "Invalid hex encoding: invalid character at position 0",
		hexID + "\n":            "Invalid hex encoding: invalid character at position 64",
		"0x" + hexID[2:]:        "Invalid hex encoding: invalid character at position 1",
		"\u0661" + hexID[2:]:    "Invalid hex encoding: invalid character at position 0",
		hexID[:62] + "\x00\xff": "Invalid hex encoding: invalid character at position 62",
	} {
		id, err := ParseAgentID(text)
		requireKind(t, wire.KindInvalidArgument, err)
		require.Contains(t, err.Error(), want, "%q", text)
		require.True(t, id.IsZero())
	}
	_, err := ParseMachineID("00")
	require.ErrorContains(t, err, "MachineId must be 32 bytes, got 1")
	_, err = ParseUserID("00")
	require.ErrorContains(t, err, "UserId must be 32 bytes, got 1")

	huge := strings.Repeat("a", 1<<20)
	require.Less(t, testing.AllocsPerRun(10, func() { _, _ = ParseAgentID(huge) }), 20.0)
	_, err = ParseAgentID(huge)
	require.Less(t, len(err.Error()), 100)
}

func TestIDOrderAndZero(t *testing.T) {
	low, high := AgentID{1}, AgentID{1, 0, 2}
	require.Equal(t, -1, low.Compare(high))
	require.Equal(t, 1, high.Compare(low))
	require.Equal(t, 0, low.Compare(low))
	require.Equal(t, -1, MachineID{1}.Compare(MachineID{2}))
	require.Equal(t, -1, UserID{1}.Compare(UserID{2}))
	require.True(t, AgentID{}.IsZero() && MachineID{}.IsZero() && UserID{}.IsZero())
	require.False(t, low.IsZero() || MachineID{31: 1}.IsZero() || UserID{31: 1}.IsZero())
}

func TestIDEncodings(t *testing.T) {
	type all struct {
		A AgentID
		M MachineID
		U UserID
	}
	var in all
	copy(in.A[:], seedOf(0))
	copy(in.M[:], seedOf(32))
	copy(in.U[:], seedOf(64))

	text, err := json.Marshal(in)
	require.NoError(t, err)
	require.Contains(t, string(text), `"A":"`+hexID+`"`)
	var out all
	require.NoError(t, json.Unmarshal(text, &out))
	require.Equal(t, in, out)

	packed, err := msgpack.Marshal(in)
	require.NoError(t, err)
	require.True(t, bytes.Contains(packed, append([]byte{0xc4, 32}, in.A[:]...)), "msgpack carries 32 raw bytes")
	out = all{}
	require.NoError(t, msgpack.Unmarshal(packed, &out))
	require.Equal(t, in, out)

	// A bad value leaves the id as it was.
	for _, id := range []interface {
		encoding.TextUnmarshaler
		encoding.BinaryUnmarshaler
	}{&out.A, &out.M, &out.U} {
		require.Error(t, id.UnmarshalText([]byte(hexID[:62]+"zz")))
		require.Error(t, id.UnmarshalText(nil))
		require.Error(t, id.UnmarshalBinary(make([]byte, 31)))
		require.Error(t, id.UnmarshalBinary(make([]byte, 33)))
	}
	require.Equal(t, in, out)
}

func FuzzParseAgentID(f *testing.F) {
	for _, s := range []string{hexID, strings.ToUpper(hexID), "", "0", hexID[1:], hexID + "0", "zz", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseAgentID(s)
		want, hexErr := hex.DecodeString(s)
		if valid := hexErr == nil && len(want) == IDSize; valid != (err == nil) {
			t.Fatalf("%q: got error %v, want valid %v", s, err, valid)
		}
		if err != nil {
			if wire.KindOf(err) != wire.KindInvalidArgument || !id.IsZero() {
				t.Fatalf("%q: got %v, %v", s, id, err)
			}
			return
		}
		if !bytes.Equal(want, id[:]) || id.String() != strings.ToLower(s) {
			t.Fatalf("%q: got %v", s, id)
		}
	})
}

// Every constant of domains.go is read from the source, so that none can be
// forgotten here.
func TestDomainsAreDistinct(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "domains.go", nil, 0)
	require.NoError(t, err)
	seen := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		label, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		require.Regexp(t, `^x0x/[a-z-]+/v[0-9]+$`, label)
		require.LessOrEqual(t, len(label), MaxContextSize)
		require.Empty(t, seen[label], "%s says what %s says", spec.Names[0], seen[label])
		seen[label] = spec.Names[0].Name
		return true
	})
	require.GreaterOrEqual(t, len(seen), 4)
}
