package x0x

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOneVersionForEverything compares the version with those of the packages.
func TestOneVersionForEverything(t *testing.T) {
	for file, pattern := range map[string]string{
		"../../python/pyproject.toml":  `(?m)^version = "(.*)"$`,
		"../../python/x0x/__init__.py": `(?m)^__version__ = "(.*)"$`,
		"../../node/package.json":      `(?m)^  "version": "(.*)",$`,
		"../../node/package-lock.json": `(?m)^  "version": "(.*)",$`,
		"../../.github/CHANGELOG.md":   `(?m)^## (.*)$`,
	} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		m := regexp.MustCompile(pattern).FindSubmatch(text)
		require.NotNil(t, m, "%s names no version", file)
		require.Equal(t, Version, string(m[1]), file)
	}
}
