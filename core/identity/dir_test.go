//go:build unix

package identity

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// try asks another process whether it could take the folder.
func try(t *testing.T, path string) string {
	t.Helper()
	return start(t, "try", path).line()
}

func TestOpenDirMakesAPrivateFolder(t *testing.T) {
	path := filepath.Join(privateDir(t), "home", ".x0x-alice")
	_, err := OpenDir(path, false)
	requireKind(t, wire.KindNotFound, err)
	require.ErrorIs(t, err, fs.ErrNotExist)

	dir, err := OpenDir(path, true)
	require.NoError(t, err)
	require.Equal(t, path, dir.Path())
	require.Equal(t, filepath.Join(path, AgentKeyFile), dir.File(AgentKeyFile))
	for _, p := range []string{path, filepath.Dir(path)} {
		info, err := os.Stat(p)
		require.NoError(t, err)
		require.Equal(t, fs.ModeDir|0o700, info.Mode())
	}
	info, err := os.Stat(dir.File(lockFile))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())

	require.NoError(t, dir.Close())
	require.NoError(t, dir.Close())
	again, err := OpenDir(path, false)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

func TestOpenDirErrors(t *testing.T) {
	root := privateDir(t)
	_, err := OpenDir("", true)
	requireKind(t, wire.KindInvalidArgument, err)
	file := filepath.Join(root, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, create := range []bool{false, true} {
		_, err := OpenDir(file, create)
		requireKind(t, wire.KindIO, err)
		_, err = OpenDir(filepath.Join(file, "sub"), create)
		requireKind(t, wire.KindIO, err)
	}

	for mode, want := range map[fs.FileMode]wire.Kind{
		0o700: 0, 0o750: 0, 0o755: 0, 0o711: 0,
		0o770: wire.KindPolicy, 0o702: wire.KindPolicy, 0o777: wire.KindPolicy,
	} {
		path := filepath.Join(root, mode.String())
		require.NoError(t, os.Mkdir(path, 0o700))
		require.NoError(t, os.Chmod(path, mode))
		dir, err := OpenDir(path, true)
		if want != 0 {
			requireKind(t, want, err)
			require.ErrorContains(t, err, path)
		} else {
			require.NoError(t, err, mode)
			require.NoError(t, dir.Close())
		}
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, fs.ModeDir|mode, info.Mode(), "the mode of a folder that is there is its owner's")
	}

	for name, make := range map[string]func(lock string) error{
		"folder": func(lock string) error { return os.Mkdir(lock, 0o700) },
		"link":   func(lock string) error { return os.Symlink(file, lock) },
	} {
		path := filepath.Join(root, "lock is a "+name)
		require.NoError(t, os.Mkdir(path, 0o700))
		require.NoError(t, make(filepath.Join(path, lockFile)))
		_, err := OpenDir(path, false)
		requireKind(t, wire.KindIO, err)
	}
}

func TestFolderInUseByThisProcess(t *testing.T) {
	path := privateDir(t)
	alias := filepath.Join(privateDir(t), "alias")
	require.NoError(t, os.Symlink(path, alias))
	dir, err := OpenDir(path, false)
	require.NoError(t, err)

	for _, p := range []string{path, alias} {
		_, err = OpenDir(p, true)
		requireKind(t, wire.KindBusy, err)
		require.ErrorContains(t, err, p)
	}
	require.Equal(t, "kind busy", try(t, path), "a refused second open has not dropped the first lock")

	require.NoError(t, dir.Close())
	require.Equal(t, "kind ok", try(t, path))
}

func TestFolderInUseByAnotherProcess(t *testing.T) {
	path := privateDir(t)
	holder := start(t, "hold", path)
	require.Equal(t, "held", holder.line())

	_, err := OpenDir(path, true)
	requireKind(t, wire.KindBusy, err)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, fmt.Sprintf("process %d", holder.cmd.Process.Pid))
	require.Equal(t, "kind busy", try(t, path))

	holder.kill()
	dir, err := OpenDir(path, false)
	require.NoError(t, err, "a crash leaves no lock")
	require.NoError(t, dir.Close())
}

// A host may fork children that inherit every descriptor and outlive it.
func TestAnInheritedDescriptorHoldsNothing(t *testing.T) {
	path := privateDir(t)
	holder := start(t, "hold and share", path)
	require.Equal(t, "held", holder.line())
	require.Equal(t, "kind busy", try(t, path))
	require.NoError(t, holder.cmd.Process.Kill())
	_, _ = holder.cmd.Process.Wait()

	dir, err := OpenDir(path, false)
	require.NoError(t, err)
	require.NoError(t, dir.Close())
}

func TestOneOfManyWinsTheFolder(t *testing.T) {
	path := privateDir(t)
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			_, err := OpenDir(path, false) // kept open to the end
			switch wire.KindOf(err) {
			case 0:
				won.Add(1)
			case wire.KindBusy:
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, won.Load())
}

func TestFoldersDoNotDisturbEachOther(t *testing.T) {
	a, b := privateDir(t), privateDir(t)
	dirA, err := OpenDir(a, false)
	require.NoError(t, err)
	dirB, err := OpenDir(b, false)
	require.NoError(t, err)
	require.NoError(t, dirA.Close())
	require.Equal(t, "kind ok", try(t, a))
	require.Equal(t, "kind busy", try(t, b))
	require.NoError(t, dirB.Close())
}
