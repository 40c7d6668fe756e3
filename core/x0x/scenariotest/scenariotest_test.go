package scenariotest

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const listPath = "../../../include/scenarios.json"

// TestLoadReadsEveryScenario counts them again without the types of this package.
func TestLoadReadsEveryScenario(t *testing.T) {
	list, err := Load(listPath)
	require.NoError(t, err)
	text, err := os.ReadFile(listPath)
	require.NoError(t, err)
	var plain struct{ Scenarios []map[string]any }
	require.NoError(t, json.Unmarshal(text, &plain))
	require.NotEmpty(t, plain.Scenarios)
	require.Len(t, list, len(plain.Scenarios))
	for i, s := range list {
		require.Equal(t, plain.Scenarios[i]["name"], s.Name)
		require.Len(t, s.Steps, len(plain.Scenarios[i]["steps"].([]any)))
		require.Len(t, s.Agents, len(plain.Scenarios[i]["agents"].(map[string]any)))
	}
}

func TestParseRefusesWhatItDoesNotKnow(t *testing.T) {
	const good = `{"version": 1, "scenarios": [{"name": "n", "why": "w", "agents": {"a": {}, "b": {}},
		"steps": [{"actor": "a", "call": "send", "args": {"to": "@b", "payload": {"repeat": "x", "times": 3}}, "error": "timeout"}]}]}`
	_, err := Parse([]byte(good))
	require.NoError(t, err)
	for _, c := range []struct{ name, old, new string }{
		{"a later version", `"version": 1`, `"version": 2`},
		{"a call", `"send"`, `"sent"`},
		{"an actor", `"actor": "a"`, `"actor": "c"`},
		{"an argument", `"to"`, `"two"`},
		{"a field of a step", `"error"`, `"errors"`},
		{"an option", `"a": {}`, `"a": {"nmae": "x"}`},
		{"an agent twice", `"b": {}`, `"a": {}`},
		{"a form of bytes", `"repeat"`, `"again"`},
		{"too many bytes", `"times": 3`, `"times": 99999999999`},
		{"a result of a failure", `"error": "timeout"`, `"error": "timeout", "expect": {}`},
		{"a scenario without a why", `"why": "w"`, `"why": ""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := strings.Replace(good, c.old, c.new, 1)
			require.NotEqual(t, good, bad)
			_, err := Parse([]byte(bad))
			require.Error(t, err)
		})
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		want      []byte
	}{
		{"text", `"hi"`, []byte("hi")},
		{"no text", `""`, []byte{}},
		{"hex", `{"hex": "00ff"}`, []byte{0, 255}},
		{"no bytes", `{"hex": ""}`, []byte{}},
		{"repeat", `{"repeat": "ab", "times": 2}`, []byte("abab")},
		{"random", `{"random": 7, "size": 4}`, []byte{217, 224, 231, 238}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := parsed[value]([]byte(c.raw))
			require.NoError(t, err)
			require.Equal(t, c.want, v.raw())
		})
	}
	far := random(7, 600)
	require.Equal(t, byte((7*31+512*7+2*13)%256), far[512], "the third term counts blocks of 256")
	require.Equal(t, "m-12", string(value{text: "m"}.numbered(12)))
}

// A comparison that cannot fail would make every scenario pass.
func TestCompare(t *testing.T) {
	r := &run{
		actors:  map[string]*actor{"a": {agentID: ID{1}, machineID: ID{2}}},
		results: map[string]Result{"old": {"agent_id": ID{1}}},
	}
	result := Result{"id": ID{1}, "payload": []byte("x"), "word": "Direct", "yes": true, "n": uint64(3)}
	for _, c := range []struct {
		name, expect string
		ok           bool
	}{
		{"an agent", `{"id": "@a"}`, true},
		{"its machine", `{"id": "@a.machine"}`, false},
		{"a saved id", `{"id": "$old.agent_id"}`, true},
		{"nothing saved", `{"id": "$new.agent_id"}`, false},
		{"a short id", `{"id": {"hex": "01"}}`, false},
		{"a payload", `{"payload": "x"}`, true},
		{"another payload", `{"payload": {"hex": "79"}}`, false},
		{"one of two words", `{"word": ["Coordinated", "Direct"]}`, true},
		{"another word", `{"word": "NotFound"}`, false},
		{"true", `{"yes": true}`, true},
		{"false", `{"yes": false}`, false},
		{"a number", `{"n": 3}`, true},
		{"another number", `{"n": 4}`, false},
		{"a word for a number", `{"n": "3"}`, false},
		{"no such field", `{"lagged": 3}`, false},
		{"one right and one wrong", `{"n": 3, "yes": false}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var expect map[string]json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(c.expect), &expect))
			err := r.compare(expect, result)
			require.Equal(t, c.ok, err == nil, "%v", err)
		})
	}
}

func FuzzParse(f *testing.F) {
	text, err := os.ReadFile(listPath)
	require.NoError(f, err)
	f.Add(text[:min(len(text), 4000)])
	f.Add([]byte(`{"version": 1, "scenarios": [{"name": "n", "why": "w", "agents": {"a": {}}, "steps": [{"actor": "a", "call": "join"}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) { Parse(b) })
}
