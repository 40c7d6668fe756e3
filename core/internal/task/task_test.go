package task_test

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/saorsa-labs/x0x-go/core/internal/task"
)

func TestMain(m *testing.M) {
	if os.Getenv("TASK_TEST_PANIC") != "" { // the child of TestPanicWithoutHandlerEndsTheProcess
		var g task.Group
		g.Go("boom", func() { panic("nobody listens") })
		g.Wait()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func TestWaitWaitsForAll(t *testing.T) {
	var g task.Group
	var ran atomic.Int64
	release := make(chan struct{})
	for range 100 {
		require.True(t, g.Go("work", func() {
			<-release
			ran.Add(1)
		}))
	}
	require.Zero(t, ran.Load())
	close(release)
	g.Wait()
	require.Equal(t, int64(100), ran.Load())
	g.Wait()
}

func TestGoAfterCloseDoesNotRun(t *testing.T) {
	for name, end := range map[string]func(*task.Group){"Close": (*task.Group).Close, "Wait": (*task.Group).Wait} {
		t.Run(name, func(t *testing.T) {
			var g task.Group
			end(&g)
			require.False(t, g.Go("late", func() { t.Error("ran") }))
			g.Wait()
		})
	}
}

func TestAFunctionMayStartAnother(t *testing.T) {
	var g task.Group
	inner := make(chan struct{})
	g.Go("outer", func() { g.Go("inner", func() { close(inner) }) })
	<-inner
	g.Wait()
}

func TestPanicIsReportedOnceBeforeWaitReturns(t *testing.T) {
	type report struct {
		name  string
		value any
		stack string
	}
	var mu sync.Mutex
	var reports []report
	g := task.New(func(name string, value any, stack []byte) {
		mu.Lock()
		defer mu.Unlock()
		reports = append(reports, report{name, value, string(stack)})
	})
	g.Go("reader", func() { explode() })
	g.Go("fine", func() {})
	g.Wait()
	require.Len(t, reports, 1)
	require.Equal(t, "reader", reports[0].name)
	require.Equal(t, "boom", reports[0].value)
	require.Contains(t, reports[0].stack, "explode", "the stack shows where it was")
}

//go:noinline
func explode() { panic("boom") }

func TestNilDereferenceIsReported(t *testing.T) {
	var got any
	g := task.New(func(_ string, value any, _ []byte) { got = value })
	g.Go("nil", func() {
		var p *int
		*p = 1
	})
	g.Wait()
	require.Implements(t, (*runtime.Error)(nil), got)
}

func TestGoexitIsAnEnd(t *testing.T) {
	g := task.New(func(name string, value any, _ []byte) { t.Errorf("%s: reported %v", name, value) })
	g.Go("exits", runtime.Goexit)
	g.Wait()
}

// Starting and ending at the same time: whatever Go accepted has run when Wait
// returns.
func TestGoAgainstWait(t *testing.T) {
	for range 200 {
		var g task.Group
		var accepted, ran atomic.Int64
		var starters sync.WaitGroup
		for range 4 {
			starters.Go(func() {
				for range 10 {
					if g.Go("work", func() { ran.Add(1) }) {
						accepted.Add(1)
					}
				}
			})
		}
		g.Wait()
		during := ran.Load()
		starters.Wait()
		require.Equal(t, accepted.Load(), ran.Load())
		require.Equal(t, during, ran.Load(), "something ran after Wait")
	}
}

func TestPanicWithoutHandlerEndsTheProcess(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), exe)
	child.Env = append(os.Environ(), "TASK_TEST_PANIC=1")
	out, err := child.CombinedOutput()
	require.Error(t, err)
	require.True(t, strings.Contains(string(out), "panic: nobody listens"), "got %s", out)
}

func BenchmarkGo(b *testing.B) {
	g := task.New(func(string, any, []byte) {})
	b.ReportAllocs()
	for b.Loop() {
		g.Go("work", func() {})
	}
	g.Wait()
}
