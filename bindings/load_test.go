package bindings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
	"github.com/saorsa-labs/x0x-go/core/x0x"
)

func TestLoadRefusesWhatIsNotTheLibrary(t *testing.T) {
	text := filepath.Join(t.TempDir(), "libx0x.so")
	require.NoError(t, os.WriteFile(text, []byte("no library"), 0o600))
	for _, c := range []struct {
		name, path string
		want       int32
	}{
		{"no path", "", EInvalidArgument},
		{"no file", filepath.Join(t.TempDir(), "libx0x.so"), EUnsupported},
		{"a text file", text, EUnsupported},
		{"another library", "/lib/x86_64-linux-gnu/libc.so.6", EUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(LoadOptions{Path: c.path})
			require.Equal(t, c.want, StatusOf(err), "%v", err)
		})
	}
}

func TestCompatible(t *testing.T) {
	for _, c := range []struct {
		name    string
		version uint32
		ok      bool
	}{
		{"the same", AbiMajor<<16 | AbiMinor, true},
		{"a later minor", AbiMajor<<16 | AbiMinor + 1, true},
		{"a later major", (AbiMajor + 1) << 16, false},
		{"an earlier major", (AbiMajor-1)<<16 | 7, false},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.ok, compatible(c.version) == nil) })
	}
}

func TestVersions(t *testing.T) {
	lib := library(t)
	require.Equal(t, x0x.Version, lib.Version())
	line, err := lib.BuildLine()
	require.NoError(t, err)
	require.Contains(t, line, x0x.Version)
	require.Contains(t, line, SchemaHash, "the library and this client come from different headers")
	require.NotContains(t, line, "\n")
}

// The one table of kinds is the same in the header, in Go and in the library.
func TestStatuses(t *testing.T) {
	lib := library(t)
	for status, symbol := range StatusNames {
		require.Equal(t, symbol, lib.StatusName(status))
	}
	require.Equal(t, "X0X_E_UNKNOWN", lib.StatusName(-12345))
	kinds := wire.Kinds()
	errors := 0
	for status := range StatusNames {
		if status < 0 {
			errors++
		}
	}
	require.Len(t, kinds, errors)
	for _, k := range kinds {
		require.Equal(t, k.Symbol(), StatusNames[int32(k)])
		require.Equal(t, k.String(), Kind(int32(k)))
		require.Equal(t, strings.ToLower(strings.TrimPrefix(k.Symbol(), "X0X_E_")), Kind(int32(k)))
	}
}
