package main

// The tests of the C ABI in C: this builds the library and the programs of ctest as a C user
// would, runs them, and looks at the library file itself.

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	spin    = flag.Duration("spin", 2*time.Second, "how long the random calls go on")
	garbage = flag.Int("garbage", 20_000, "rounds of damaged arguments")
)

const root = ".."

// released and testing are the two builds of the library that the Makefile knows.
const (
	released = ".build/lib/libx0x.so"
	tested   = ".build/test/libx0x.so"
)

var built bool

// libraryDir returns the folder of a build.
func libraryDir(t *testing.T, which string) string {
	t.Helper()
	if !built {
		shell(t, 10*time.Minute, root, nil, "make", "-s", released, tested)
		built = true
	}
	abs, err := filepath.Abs(filepath.Join(root, filepath.Dir(which)))
	require.NoError(t, err)
	return abs
}

// shell runs a program and returns what it prints. The test fails if it fails or takes
// longer than limit.
func shell(t *testing.T, limit time.Duration, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	require.NoError(t, ctx.Err(), "%s took longer than %v:\n%s", name, limit, tail(out))
	require.NoError(t, err, "%s %v:\n%s", name, args, tail(out))
	return string(out)
}

func tail(out []byte) string {
	const most = 8000
	return string(out[max(len(out)-most, 0):])
}

// compile builds a C program against the library in dir.
func compile(t *testing.T, source, dir string, flags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(source), ".c"))
	args := append([]string{"-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I" + root + "/include", source, "-o", program},
		flags...)
	shell(t, time.Minute, ".", nil, "gcc", append(args, "-L"+dir, "-lx0x", "-lpthread", "-Wl,-rpath,"+dir)...)
	return program
}

// files is the soft limit of open files that the programs start with.
const files = "1024"

// execute runs a compiled program under that limit, with a registry of its own.
func execute(t *testing.T, limit time.Duration, env []string, program string, args ...string) string {
	t.Helper()
	runtime := t.TempDir()
	require.NoError(t, os.Chmod(runtime, 0o700))
	env = append([]string{"X0X_TEST_RUNTIME_DIR=" + runtime}, env...)
	return shell(t, limit, ".", env, "bash", append([]string{"-c", `ulimit -S -n ` + files + `; exec "$@"`, "limited", program}, args...)...)
}

// programs are the tests in C with their arguments.
func programs() map[string][]string {
	return map[string][]string{
		"misuse":    nil,
		"lifecycle": nil,
		"process":   {files},
		"msgpack":   nil,
		"spin":      {fmt.Sprint(spin.Milliseconds())},
		"garbage":   {fmt.Sprint(*garbage)},
	}
}

func TestC(t *testing.T) {
	for name, args := range programs() {
		t.Run(name, func(t *testing.T) {
			t.Log(execute(t, *spin+2*time.Minute, nil, compile(t, "ctest/"+name+".c", libraryDir(t, released)), args...))
		})
	}
	t.Run("process, with the method that panics", func(t *testing.T) {
		out := execute(t, time.Minute, nil, compile(t, "ctest/process.c", libraryDir(t, tested)), files)
		require.Contains(t, out, "panicked on purpose")
	})
}

// The scenarios that every language runs, in C; and some that are wrong, which the runner
// must notice.
func TestScenarios(t *testing.T) {
	program := compile(t, "ctest/scenarios.c", libraryDir(t, released), "ctest/scenarios_calls.c", "ctest/scenarios_records.c", "ctest/json.c")
	out := execute(t, 5*time.Minute, nil, program, root+"/include/scenarios.json")
	list, err := os.ReadFile(root + "/include/scenarios.json")
	require.NoError(t, err)
	want := len(regexp.MustCompile(`(?m)^\{"name":`).FindAllString(string(list), -1))
	require.Contains(t, out, fmt.Sprintf("\n%d scenarios passed, 0 failed, 0 skipped\n", want))
	t.Logf("%d scenarios passed, 0 failed, 0 skipped", want)
	t.Log(execute(t, time.Minute, nil, program, "--wrong", "ctest/wrong.json"))
}

func TestExamples(t *testing.T) {
	dir := libraryDir(t, released)
	out := execute(t, time.Minute, nil, compile(t, "examples/quickstart.c", dir))
	for _, line := range []string{"bob received: hello, bob", "alice received: hello, alice", "bob (news) received: hello, everyone"} {
		require.Contains(t, out, line)
	}
	compile(t, "examples/demo_peer.c", dir) // `make demo` runs it
}

// The headers are C11 and C++17 without a warning.
func TestHeaders(t *testing.T) {
	source := filepath.Join(t.TempDir(), "headers")
	text := "#include \"x0x.h\"\n#include \"x0x_msgpack.h\"\nint main(void) { return 0; }\n"
	for _, c := range [][]string{{".c", "gcc", "-std=c11"}, {".cc", "g++", "-std=c++17"}} {
		require.NoError(t, os.WriteFile(source+c[0], []byte(text), 0o600))
		shell(t, time.Minute, ".", nil, c[1], c[2], "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Wshadow", "-Werror",
			"-I"+root+"/include", "-c", source+c[0], "-o", os.DevNull)
	}
}

// Exactly the functions of the header leave the library.
func TestSymbols(t *testing.T) {
	header, err := os.ReadFile(root + "/include/x0x.h")
	require.NoError(t, err)
	var want, got []string
	for _, m := range regexp.MustCompile(`(?m)^X0X_API [^;(]*?(x0x_\w+)\(`).FindAllStringSubmatch(string(header), -1) {
		want = append(want, m[1])
	}
	file := filepath.Join(libraryDir(t, released), "libx0x.so")
	for line := range strings.Lines(shell(t, time.Minute, ".", nil, "nm", "-D", "--defined-only", file)) {
		f := strings.Fields(line)
		got = append(got, f[len(f)-1])
	}
	slices.Sort(want)
	slices.Sort(got)
	require.NotEmpty(t, want)
	require.Equal(t, want, got)
}

// The library loads with glibc 2.17, from anywhere, and stays loaded.
func TestLibraryFile(t *testing.T) {
	file := filepath.Join(libraryDir(t, released), "libx0x.so")
	for _, m := range regexp.MustCompile(`GLIBC_(\d+)\.(\d+)`).FindAllStringSubmatch(shell(t, time.Minute, ".", nil, "objdump", "-T", file), -1) {
		var major, minor int
		_, err := fmt.Sscan(m[1]+" "+m[2], &major, &minor)
		require.NoError(t, err)
		require.False(t, major > 2 || minor > 17, "it needs %s", m[0])
	}
	dynamic := shell(t, time.Minute, ".", nil, "readelf", "-d", file)
	require.Contains(t, dynamic, "NODELETE")
	require.NotContains(t, dynamic, "TEXTREL")
	require.NotContains(t, dynamic, "RUNPATH")
	for _, m := range regexp.MustCompile(`NEEDED.*\[(.*)\]`).FindAllStringSubmatch(dynamic, -1) {
		require.Contains(t, []string{"libc.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}, m[1])
	}
}

// Statuses have names in C, too.
func TestEveryStatusHasItsName(t *testing.T) {
	header, err := os.ReadFile(root + "/include/x0x.h")
	require.NoError(t, err)
	source, err := os.ReadFile(root + "/capi/abi.c")
	require.NoError(t, err)
	names := regexp.MustCompile(`(?m)^    (X0X_(?:OK|[SE]_\w+)) = `).FindAllStringSubmatch(string(header), -1)
	require.Greater(t, len(names), 20)
	for _, m := range names {
		require.Contains(t, string(source), "NAME("+m[1]+");")
	}
}
