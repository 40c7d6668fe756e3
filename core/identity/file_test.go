//go:build unix

package identity

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestSaveAndLoad(t *testing.T) {
	dir := privateDir(t)
	path := filepath.Join(dir, AgentKeyFile)
	k := testKey(t, 1)
	require.NoError(t, SaveKey(path, k))

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
	onDisk, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(k.MarshalKeyFile(), onDisk))
	require.Equal(t, []string{AgentKeyFile}, names(t, dir), "nothing temporary stays")

	back, err := LoadKey(path)
	require.NoError(t, err)
	require.True(t, k.Public().Equal(back.Public()))

	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(path, link))
	back, err = LoadKey(link)
	require.NoError(t, err, "mounted secrets are often links")
	require.True(t, k.Public().Equal(back.Public()))
}

func TestSaveNeverReplaces(t *testing.T) {
	dir := privateDir(t)
	path := filepath.Join(dir, AgentKeyFile)
	first, second := testKey(t, 1), testKey(t, 2)
	require.NoError(t, SaveKey(path, first))
	before, err := os.Stat(path)
	require.NoError(t, err)

	require.NoError(t, SaveKey(path, first), "the same key is there already")
	err = SaveKey(path, second)
	requireKind(t, wire.KindPolicy, err)
	require.ErrorIs(t, err, fs.ErrExist)
	require.ErrorContains(t, err, path)

	after, err := os.Stat(path)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	k, err := LoadKey(path)
	require.NoError(t, err)
	require.True(t, first.Public().Equal(k.Public()))
	require.Equal(t, []string{AgentKeyFile}, names(t, dir))
}

// What is at the path already, whatever it is, is refused for the right reason
// by every function and stays as it was.
func TestWhatIsThereStays(t *testing.T) {
	good := testKey(t, 1).MarshalKeyFile()
	flipped := bytes.Clone(good)
	flipped[3000] ^= 4
	file := func(content []byte, mode fs.FileMode) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, content, mode))
			require.NoError(t, os.Chmod(path, mode))
		}
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		kind wire.Kind
	}{
		"empty":            {file(nil, 0o600), wire.KindCorrupt},
		"one byte":         {file([]byte{1}, 0o600), wire.KindCorrupt},
		"truncated":        {file(good[:KeyFileSize-1], 0o600), wire.KindCorrupt},
		"one byte more":    {file(append(bytes.Clone(good), 0), 0o600), wire.KindCorrupt},
		"a large file":     {file(make([]byte, 1<<20), 0o600), wire.KindCorrupt},
		"zeros":            {file(make([]byte, KeyFileSize), 0o600), wire.KindCorrupt},
		"flipped bit":      {file(flipped, 0o600), wire.KindCorrupt},
		"a seed":           {file(seedOf(1), 0o600), wire.KindCorrupt},
		"text":             {file(bytes.Repeat([]byte("-----BEGIN"), 600), 0o600), wire.KindCorrupt},
		"read by group":    {file(good, 0o640), wire.KindPolicy},
		"read by others":   {file(good, 0o604), wire.KindPolicy},
		"written by group": {file(good, 0o620), wire.KindPolicy},
		"run by others":    {file(good, 0o701), wire.KindPolicy},
		"open to all":      {file(good, 0o666), wire.KindPolicy},
		"folder":           {func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o700)) }, wire.KindIO},
		"fifo":             {func(t *testing.T, path string) { require.NoError(t, syscall.Mkfifo(path, 0o600)) }, wire.KindIO},
		"link to itself":   {func(t *testing.T, path string) { require.NoError(t, os.Symlink(path, path)) }, wire.KindIO},
		"device":           {func(t *testing.T, path string) { require.NoError(t, os.Symlink("/dev/null", path)) }, wire.KindIO},
		"dangling link":    {func(t *testing.T, path string) { require.NoError(t, os.Symlink("nowhere", path)) }, wire.KindNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			dir := privateDir(t)
			path := filepath.Join(dir, AgentKeyFile)
			c.make(t, path)
			info, err := os.Lstat(path)
			require.NoError(t, err)
			var content []byte
			if info.Mode().IsRegular() {
				content, err = os.ReadFile(path)
				require.NoError(t, err)
			}

			_, err = LoadKey(path)
			requireKind(t, c.kind, err)
			require.ErrorContains(t, err, path)
			_, err = LoadOrCreateKey(path, true)
			requireKind(t, c.kind, err)
			_, err = LoadOrCreateKey(path, false)
			requireKind(t, c.kind, err)
			requireKind(t, c.kind, SaveKey(path, testKey(t, 2)))

			after, err := os.Lstat(path)
			require.NoError(t, err)
			require.True(t, os.SameFile(info, after))
			require.Equal(t, info.Mode(), after.Mode())
			require.Equal(t, info.ModTime(), after.ModTime())
			if content != nil {
				now, err := os.ReadFile(path)
				require.NoError(t, err)
				require.True(t, bytes.Equal(content, now))
			}
			require.Equal(t, []string{AgentKeyFile}, names(t, dir))
		})
	}
}

func TestMissingAndUnreadable(t *testing.T) {
	dir := privateDir(t)
	plain := filepath.Join(dir, "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	for name, c := range map[string]struct {
		path         string
		load, create wire.Kind // create: LoadOrCreateKey without parents, 0 for success
	}{
		"no file":          {filepath.Join(dir, "none"), wire.KindNotFound, 0},
		"no folder":        {filepath.Join(dir, "no", "such", "file"), wire.KindNotFound, wire.KindNotFound},
		"file as a folder": {filepath.Join(plain, "file"), wire.KindIO, wire.KindIO},
		"name too long":    {filepath.Join(dir, strings.Repeat("n", 300)), wire.KindIO, wire.KindIO},
		"NUL in the name":  {filepath.Join(dir, "a\x00b"), wire.KindIO, wire.KindIO},
		"empty path":       {"", wire.KindInvalidArgument, wire.KindInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadKey(c.path)
			requireKind(t, c.load, err)
			_, err = LoadOrCreateKey(c.path, false)
			if c.create == 0 {
				require.NoError(t, err)
				return
			}
			requireKind(t, c.create, err)
			if c.create == wire.KindNotFound {
				require.ErrorIs(t, err, fs.ErrNotExist)
				require.ErrorContains(t, err, filepath.Dir(c.path))
			}
		})
	}
	requireKind(t, wire.KindInvalidArgument, SaveKey("", testKey(t, 1)))
	if runtime.GOOS == "linux" {
		// A regular file, open to its owner, whose first page reads as EIO.
		_, err := LoadKey("/proc/self/mem")
		requireKind(t, wire.KindIO, err)
	}
}

func TestCreateParents(t *testing.T) {
	root := privateDir(t)
	path := filepath.Join(root, "a", "b", AgentKeyFile)
	k, err := LoadOrCreateKey(path, true)
	require.NoError(t, err)
	for _, dir := range []string{"a", "a/b"} {
		info, err := os.Stat(filepath.Join(root, dir))
		require.NoError(t, err)
		require.Equal(t, fs.ModeDir|0o700, info.Mode())
	}
	again, err := LoadOrCreateKey(path, true)
	require.NoError(t, err)
	require.True(t, k.Public().Equal(again.Public()))

	plain := filepath.Join(root, "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	_, err = LoadOrCreateKey(filepath.Join(plain, "x", "y"), true)
	requireKind(t, wire.KindIO, err)
}

func TestModeDoesNotDependOnUmask(t *testing.T) {
	path := filepath.Join(privateDir(t), AgentKeyFile)
	c := start(t, "umask", path)
	require.Equal(t, "kind ok", c.line())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
}

func TestRacingGoroutinesGetOneKey(t *testing.T) {
	path := filepath.Join(privateDir(t), "sub", AgentKeyFile)
	keys := make([]*Key, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = LoadOrCreateKey(path, true); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		require.NotNil(t, k)
		require.True(t, keys[0].Public().Equal(k.Public()))
	}
	require.Equal(t, []string{AgentKeyFile}, names(t, filepath.Dir(path)))
}

func TestRacingProcessesGetOneKey(t *testing.T) {
	for range 5 {
		path := filepath.Join(privateDir(t), "sub", AgentKeyFile)
		var children []*child
		for range 5 {
			children = append(children, start(t, "create", path))
		}
		for _, c := range children {
			require.Equal(t, "ready", c.line())
		}
		for _, c := range children {
			_, err := c.stdin.Write([]byte("\n"))
			require.NoError(t, err)
		}
		ids := map[string]bool{}
		for _, c := range children {
			ids[c.line()] = true
		}
		k, err := LoadKey(path)
		require.NoError(t, err)
		require.Equal(t, map[string]bool{k.Public().AgentID().String(): true}, ids)
		require.Equal(t, []string{AgentKeyFile}, names(t, filepath.Dir(path)))
	}
}

func TestCrashBeforeTheFileIsInPlace(t *testing.T) {
	dir := privateDir(t)
	path := filepath.Join(dir, AgentKeyFile)
	start(t, "die before the link", path).died()
	left := names(t, dir)
	require.Len(t, left, 1, "the temporary file is left")
	require.NotEqual(t, AgentKeyFile, left[0])

	_, err := LoadKey(path)
	requireKind(t, wire.KindNotFound, err)
	k, err := LoadOrCreateKey(path, false)
	require.NoError(t, err)
	abandoned, err := LoadKey(filepath.Join(dir, left[0]))
	require.NoError(t, err)
	require.False(t, abandoned.Public().Equal(k.Public()), "what the crash left is not used")
}

func TestCrashAfterTheFileIsInPlace(t *testing.T) {
	dir := privateDir(t)
	path := filepath.Join(dir, AgentKeyFile)
	start(t, "die after the link", path).died()
	k, err := LoadKey(path)
	require.NoError(t, err)
	again, err := LoadOrCreateKey(path, false)
	require.NoError(t, err)
	require.True(t, k.Public().Equal(again.Public()))
}

func TestKillAtAnyTimeLeavesWholeFiles(t *testing.T) {
	for round := range 5 {
		dir := privateDir(t)
		c := start(t, "churn", dir)
		for range round*3 + 1 {
			require.Equal(t, "saved", c.line())
		}
		c.kill()
		whole := 0
		for _, name := range names(t, dir) {
			if strings.HasSuffix(name, ".tmp") {
				continue
			}
			_, err := LoadKey(filepath.Join(dir, name))
			require.NoError(t, err, name)
			whole++
		}
		require.GreaterOrEqual(t, whole, round*3+1)
	}
}

func TestFullDiskLeavesNothing(t *testing.T) {
	dir := privateDir(t)
	c := start(t, "full disk", filepath.Join(dir, AgentKeyFile))
	require.Equal(t, "kind io", c.line())
	require.Empty(t, names(t, dir))
}
