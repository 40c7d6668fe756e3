//go:build unix

package trust

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// The crash test starts this test binary again with a path in its environment.
// The child changes the contacts there in a fixed order, from a number on, and
// says after each change that it was acknowledged, until it is killed.
const (
	childPath  = "X0X_TRUST_TEST_PATH"
	childStart = "X0X_TRUST_TEST_START"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		os.Exit(runChild(path, os.Getenv(childStart)))
	}
	os.Exit(m.Run())
}

func runChild(path, start string) int {
	var i int
	if _, err := fmt.Sscan(start, &i); err != nil {
		return 2
	}
	s, err := Open(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	for end := i + 100_000; i < end; i++ {
		if err := changeNumber(s, i); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 4
		}
		s.Touch(crashAgent(i), crashMachine(i), at(1767323045+int64(i)))
		fmt.Println(i)
	}
	return 0
}

func crashAgent(i int) (id identity.AgentID) {
	binary.BigEndian.PutUint32(id[:], uint32(i%97)+1)
	return id
}

func crashMachine(i int) identity.MachineID { return identity.MachineID(crashAgent(i)) }

// changeNumber is the i-th change of the child's life. Each can be told from
// the state after it.
func changeNumber(s *Store, i int) (err error) {
	agent := crashAgent(i)
	switch i % 5 {
	case 4:
		_, err = s.Remove(crashAgent(i / 2))
	case 3:
		err = s.Put(Contact{AgentID: agent, Level: Blocked, Label: fmt.Sprint("put ", i), AddedAt: at(1),
			IdentityType: IdentityPinned, Machines: []MachineRecord{{MachineID: crashMachine(i), Pinned: true, FirstSeen: at(2)}}})
	default:
		err = s.SetTrust(agent, Level(i/97%4))
	}
	return err
}

// model is what the contacts must say after the changes up to but without n.
func model(t *testing.T, n int) *Store {
	t.Helper()
	s := NewStore()
	for i := range n {
		require.NoError(t, changeNumber(s, i))
	}
	return s
}

// said is what a user would notice missing: everything but when.
func said(s *Store) []Contact {
	list := s.List()
	for i := range list {
		list[i].AddedAt, list[i].LastSeen = time.Time{}, time.Time{}
		for j := range list[i].Machines {
			list[i].Machines[j].LastSeen = time.Time{}
		}
	}
	return list
}

func TestNothingAcknowledgedIsLostToAKill(t *testing.T) {
	const kills = 60
	path := filepath.Join(t.TempDir(), "contacts.json")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	next, swept := 0, 0
	for kill := range kills {
		acknowledged := runUntilKilled(t, path, next, random)
		entries, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".tmp") {
				swept++
			}
		}

		s, err := Open(path)
		require.NoError(t, err, "kill %d", kill)
		// The change under way when the child died may have made it or not.
		with, without := said(model(t, acknowledged+1)), said(model(t, acknowledged))
		got := said(s)
		if len(got) == len(with) && equalContacts(got, with) {
			acknowledged++
		} else {
			require.Equal(t, without, got, "kill %d after %d acknowledged changes", kill, acknowledged)
		}
		next = acknowledged
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.LessOrEqual(t, len(entries), 1, "what crashes left was swept")
	require.Greater(t, next, kills/2, "the children hardly did anything")
	t.Logf("%d kills, %d changes acknowledged, %d kills within a write", kills, next, swept)
}

func equalContacts(a, b []Contact) bool {
	for i := range a {
		if fmt.Sprint(a[i]) != fmt.Sprint(b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// runUntilKilled returns the number of changes that were acknowledged, counted
// from the first child on.
func runUntilKilled(t *testing.T, path string, next int, random *rand.Rand) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childPath+"="+path, childStart+"="+fmt.Sprint(next), "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	deadline := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer deadline.Stop()

	lines := bufio.NewScanner(stdout)
	arm := next + random.IntN(8) // the change after which the clock of the kill starts
	for lines.Scan() {
		require.Equal(t, fmt.Sprint(next), lines.Text())
		if next == arm {
			timer := time.AfterFunc(time.Duration(random.IntN(5000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
			defer timer.Stop()
		}
		next++
	}
	require.NoError(t, lines.Err())
	err = cmd.Wait()
	exit, ok := err.(*exec.ExitError)
	require.True(t, ok, "the child ended with %v", err)
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())
	return next
}
