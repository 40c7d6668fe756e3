//go:build unix

package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// The tests that need a process to die start this test binary again with a task
// and a path in its environment.
const (
	childTask = "X0X_STORE_TEST_TASK"
	childPath = "X0X_STORE_TEST_PATH"
)

var (
	oldText = bytes.Repeat([]byte("old\n"), 5000)
	newText = bytes.Repeat([]byte("new!\n"), 9000)
)

func TestMain(m *testing.M) {
	if task := os.Getenv(childTask); task != "" {
		os.Exit(runChild(task, os.Getenv(childPath)))
	}
	os.Exit(m.Run())
}

func runChild(task, path string) int {
	report := func(err error) int {
		fmt.Println(wire.KindOf(err))
		return 0
	}
	switch task {
	case "umask": // write under a umask that takes everything
		syscall.Umask(0o777)
		return report(WriteFile(path, newText))
	case "full disk": // every file ends at 1,000 bytes
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1000, Max: 1000}); err != nil {
			return report(err)
		}
		return report(WriteFile(path, newText))
	}
	last, err := strconv.Atoi(task) // die at that step
	if err != nil {
		return 2
	}
	return report(writeFile(path, newText, func(s step) {
		if s == step(last) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal may take a moment
		}
	}))
}

// run returns what the child said and how it ended.
func run(t *testing.T, task, path string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childTask+"="+task, childPath+"="+path, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = time.Minute
	said, err := cmd.Output()
	return string(bytes.TrimSpace(said)), err
}

func TestACrashAtAnyStepLeavesAWholeFile(t *testing.T) {
	for _, before := range [][]byte{nil, oldText} {
		for s := range steps {
			t.Run(fmt.Sprintf("%d bytes, step %d", len(before), s), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "f")
				if before != nil {
					require.NoError(t, WriteFile(path, before))
				}
				_, err := run(t, strconv.Itoa(int(s)), path)
				var exit *exec.ExitError
				require.ErrorAs(t, err, &exit)
				require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())

				left := len(names(t, filepath.Dir(path)))
				f, err := Open(path, limit)
				require.NoError(t, err)
				data, err := f.Read()
				switch {
				case s >= stepRenamed:
					require.NoError(t, err)
					require.Equal(t, newText, data)
				case before == nil:
					require.Equal(t, wire.KindNotFound, wire.KindOf(err))
				default:
					require.NoError(t, err)
					require.Equal(t, before, data)
				}
				now := len(names(t, filepath.Dir(path)))
				if s >= stepCreated && s < stepRenamed {
					require.Equal(t, left-1, now, "the temporary was swept")
				} else {
					require.Equal(t, left, now)
				}
				require.NoError(t, f.Write(oldText), "and life goes on")
				data, err = f.Read()
				require.NoError(t, err)
				require.Equal(t, oldText, data)
			})
		}
	}
}

func TestTheModeIsOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	said, err := run(t, "umask", path)
	require.NoError(t, err)
	require.Equal(t, wire.KindOf(nil).String(), said)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestAFullDiskLeavesTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, WriteFile(path, oldText))
	said, err := run(t, "full disk", path)
	require.NoError(t, err)
	require.Equal(t, wire.KindIO.String(), said)
	data, err := ReadFile(path, limit)
	require.NoError(t, err)
	require.Equal(t, oldText, data)
	require.Equal(t, []string{"f"}, names(t, filepath.Dir(path)), "and nothing beside it")
}

func TestFilesOfOthersAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, WriteFile(path, []byte("x")))
	for mode, kind := range map[os.FileMode]wire.Kind{
		0o600: 0, 0o644: 0, 0o400: 0, 0o620: wire.KindPolicy, 0o602: wire.KindPolicy, 0o666: wire.KindPolicy,
	} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := ReadFile(path, limit)
		require.Equal(t, kind, wire.KindOf(err), "%04o: %v", mode, err)
	}
}

func TestWhatIsNoFileIsRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o600))
	require.NoError(t, os.Symlink("f", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("none", filepath.Join(dir, "dangling")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	for _, name := range []string{"link", "dangling", "fifo", "/dev/zero"} {
		path := name
		if !filepath.IsAbs(name) {
			path = filepath.Join(dir, name)
		}
		_, err := ReadFile(path, limit)
		require.Equal(t, wire.KindIO, wire.KindOf(err), "%s: %v", name, err)
		require.False(t, errors.Is(err, os.ErrNotExist), name)
	}
}
