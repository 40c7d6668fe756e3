//go:build unix

package identity

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// The tests that need another process start this test binary again with a task
// and a path in its environment. A child says what it did on standard output
// and waits for its parent on standard input, whose end is its own.
const (
	childTask = "X0X_IDENTITY_TEST_TASK"
	childPath = "X0X_IDENTITY_TEST_PATH"
)

func TestMain(m *testing.M) {
	if task := os.Getenv(childTask); task != "" {
		os.Exit(runChild(task, os.Getenv(childPath)))
	}
	os.Exit(m.Run())
}

func runChild(task, path string) int {
	say := func(text string) { fmt.Println(text) }
	report := func(err error) int {
		say("kind " + wire.KindOf(err).String())
		return 0
	}
	in := bufio.NewReader(os.Stdin)
	wait := func() { _, _ = in.ReadString('\n') }
	switch task {
	case "create": // the key at path, on a signal of the parent
		say("ready")
		wait()
		k, err := LoadOrCreateKey(path, true)
		if err != nil {
			return report(err)
		}
		say(k.Public().AgentID().String())
	case "umask": // the key at path under a umask that takes everything
		syscall.Umask(0o777)
		_, err := LoadOrCreateKey(path, false)
		return report(err)
	case "try": // whether the folder at path is free
		_, err := OpenDir(path, false)
		return report(err)
	case "hold": // the folder at path, until the end
		if _, err := OpenDir(path, false); err != nil {
			return report(err)
		}
		say("held")
		wait()
	case "hold and share": // as hold, but a child of its own inherits the descriptor
		dir, err := OpenDir(path, false)
		if err != nil {
			return report(err)
		}
		heir := exec.Command(os.Args[0])
		heir.Env = append(os.Environ(), childTask+"=idle")
		heir.Stdin, heir.ExtraFiles = os.Stdin, []*os.File{dir.lock.file}
		if err := heir.Start(); err != nil {
			return report(err)
		}
		say("held")
		_ = heir.Wait()
	case "idle":
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "die before the link":
		if _, err := writeTemporary("test", path, mustGenerate().MarshalKeyFile()); err != nil {
			return report(err)
		}
		crash()
	case "die after the link":
		tmp, err := writeTemporary("test", path, mustGenerate().MarshalKeyFile())
		if err == nil {
			err = os.Link(tmp, path)
		}
		if err != nil {
			return report(err)
		}
		crash()
	case "churn": // keys into the folder at path until killed
		for i := range 100_000 {
			if err := SaveKey(filepath.Join(path, fmt.Sprint(i)), mustGenerate()); err != nil {
				return report(err)
			}
			say("saved")
		}
	case "full disk": // every file ends at 1,000 bytes
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1000, Max: 1000}); err != nil {
			return report(err)
		}
		return report(SaveKey(path, mustGenerate()))
	default:
		return 2
	}
	return 0
}

func crash() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal may take a moment
}

func mustGenerate() *Key {
	k, err := GenerateKey()
	if err != nil {
		panic(err)
	}
	return k
}

// child is a process of ours that a test talks to.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Reader
}

func start(t *testing.T, task, path string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childTask+"="+task, childPath+"="+path,
		"GORACE=atexit_sleep_ms=0") // or each child of a race build ends a second late
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	deadline := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	c := &child{t: t, cmd: cmd, stdin: stdin, lines: bufio.NewReader(stdout)}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
		deadline.Stop()
	})
	return c
}

// line returns the next line that the child says.
func (c *child) line() string {
	c.t.Helper()
	line, err := c.lines.ReadString('\n')
	require.NoError(c.t, err, "the child fell silent")
	return strings.TrimSuffix(line, "\n")
}

// kill ends the child as a crash would and waits until the system has seen it.
func (c *child) kill() {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Kill())
	c.died()
}

// died waits until the child was killed, by itself or by the test.
func (c *child) died() {
	c.t.Helper()
	said, err := io.ReadAll(c.lines)
	require.NoError(c.t, err)
	var exit *exec.ExitError
	require.ErrorAs(c.t, c.cmd.Wait(), &exit, "the child said %q", said)
	require.Equal(c.t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())
}

// privateDir is a temporary folder as an identity folder is: mode 0700.
func privateDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	return dir
}

// names lists a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}
