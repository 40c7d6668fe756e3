package discovery

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// TestMain is also the other process of the tests: started with helperEnv it
// registers one agent, says so on its output, and lives until its input ends.
const helperEnv = "X0X_TEST_REGISTRY_HELPER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		helper(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func helper(dir string) {
	var machine identity.MachineID
	machine[0] = 0xAA
	r, err := OpenRegistry(RegistryOptions{RuntimeDir: dir, Euid: os.Geteuid(), NetworkID: "test", Machine: machine, Port: uint16(os.Getpid()%60000 + 1)})
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	if os.Getenv(helperEnv+"_FORK") != "" {
		// A child that inherits the descriptor of the entry and outlives us.
		inherited := os.NewFile(uintptr(r.folders[0].own.fd), "entry")
		child := exec.Command("/bin/cat")
		child.Stdin = os.Stdin
		child.Stdout = os.Stdout // held open, so that the test can see it end
		child.ExtraFiles = []*os.File{inherited}
		if err := child.Start(); err != nil {
			fmt.Println("error:", err)
			return
		}
		fmt.Println("child", child.Process.Pid)
	}
	entries, err := r.Scan()
	fmt.Println("ready", len(entries), err)
	bufio.NewReader(os.Stdin).ReadString('\n')
	r.Close()
}

// process is a helper process of a test.
type process struct {
	cmd   *exec.Cmd
	lines *bufio.Reader
	stdin interface{ Close() error }
}

func start(t *testing.T, dir string, fork bool) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{helperEnv + "=" + dir}
	if fork {
		cmd.Env = append(cmd.Env, helperEnv+"_FORK=1")
	}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &process{cmd: cmd, lines: bufio.NewReader(out), stdin: in}
}

func (p *process) line(t *testing.T) string {
	t.Helper()
	s, err := p.lines.ReadString('\n')
	require.NoError(t, err)
	return s
}

// eventually waits for a condition that another process or the kernel brings
// about and that has no channel to wait on.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, 10*time.Second, 5*time.Millisecond, what)
}
