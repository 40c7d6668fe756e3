package identity

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestInstanceDir(t *testing.T) {
	home := filepath.FromSlash("/home/u")
	for name, want := range map[string]string{
		"default":               ".x0x",
		"alice":                 ".x0x-alice",
		"A":                     ".x0x-A",
		"7":                     ".x0x-7",
		"a-b-":                  ".x0x-a-b-",
		strings.Repeat("n", 64): ".x0x-" + strings.Repeat("n", 64),
	} {
		got, err := InstanceDir(home, name)
		require.NoError(t, err, name)
		require.Equal(t, filepath.Join(home, want), got)
	}
	for _, name := range []string{
		"", "-", "-a", "a_b", "a.b", ".", "..", "a/b", "/", `a\b`, "a b", "a\x00", "é", "a\n",
		strings.Repeat("n", 65), strings.Repeat("n", 1<<20),
	} {
		_, err := InstanceDir(home, name)
		requireKind(t, wire.KindInvalidArgument, err)
		require.Less(t, len(err.Error()), 200)
	}
	_, err := InstanceDir("", "alice")
	requireKind(t, wire.KindInvalidArgument, err)
}

func TestDefaultHomeIgnoresTheEnvironment(t *testing.T) {
	before, err := DefaultHome()
	if wire.KindOf(err) == wire.KindNotFound {
		before = "" // a container may run under a uid without account
	} else {
		require.NoError(t, err)
		require.True(t, filepath.IsAbs(before))
	}
	for _, name := range []string{"HOME", "USER", "LOGNAME", "USERPROFILE", "XDG_CONFIG_HOME"} {
		t.Setenv(name, t.TempDir())
	}
	after, _ := DefaultHome()
	require.Equal(t, before, after)
	if runtime.GOOS == "windows" {
		require.NotEmpty(t, after)
	}
}
