package headergen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../../.."

// TestGeneratedFilesMatchTheHeader fails when the header changed and `make generate` was not
// run, or when a generated file was edited by hand.
func TestGeneratedFilesMatchTheHeader(t *testing.T) {
	files, err := Generate(root)
	require.NoError(t, err)
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err, "run make generate")
		require.Equal(t, want, string(got), "%s differs from the header: run make generate", path)
	}
}

// TestParseReadsEveryTaggedLine counts the tags of the header text against what was parsed.
func TestParseReadsEveryTaggedLine(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "include", "x0x.h"))
	require.NoError(t, err)
	h, err := Parse(string(text))
	require.NoError(t, err)
	require.Len(t, h.Methods, strings.Count(string(text), "/* @async ")+strings.Count(string(text), "/* @now "))
	require.Len(t, h.Records, strings.Count(string(text), "/* @record "))
	require.Len(t, h.Funcs, strings.Count(string(text), "\nX0X_API "))
	require.Len(t, h.Enums, strings.Count(string(text), "\nenum x0x_"))
	for _, m := range h.Methods { // a result within a result is read to its end
		require.Equal(t, strings.Count(m.Result, "("), strings.Count(m.Result, ")"), m.Name)
	}
	require.Len(t, h.Structs, strings.Count(string(text), "\ntypedef struct "))
	for _, s := range h.Structs {
		if s.Name != "x0x_record" {
			require.Equal(t, "size", s.Fields[0].Name, "%s must start with its size", s.Name)
		}
	}
}

func TestParseRefusesWhatItCannotRead(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "include", "x0x.h"))
	require.NoError(t, err)
	for _, c := range []struct{ name, old, new string }{
		{"an enumerator without a value", "X0X_S_AGAIN = 1,", "X0X_S_AGAIN,"},
		{"a method without a tag", "/* @async agent (timeout_ms:u32?) -> nil : listen", "/* listen"},
		{"a record without a tag", "/* @record meta(agent_id:id) the peer's", "/* the peer's"},
		{"a field of an unknown shape", "    uint32_t event_limit;", "    uint32_t *(event_limit)(void);"},
		{"a parameter of an unknown shape", "x0x_op_cancel(uint64_t op)", "x0x_op_cancel(void (*op)(int))"},
		{"a define that is no number", "#define X0X_ID_SIZE 32", "#define X0X_ID_SIZE sizeof(x)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken := strings.Replace(string(text), c.old, c.new, 1)
			require.NotEqual(t, string(text), broken, "the header no longer has the text that this test breaks")
			_, err := Parse(broken)
			require.Error(t, err)
		})
	}
}
