//go:build x0x_asan

package main

import (
	"path/filepath"
	"testing"
	"time"
)

// The same programs under AddressSanitizer, with the library built for it: an access to a
// byte of a caller's buffer that was not passed is an error in the Go line that made it.
// It takes minutes, and so has a tag: go test -tags x0x_asan -run ASan ./capi
func TestASan(t *testing.T) {
	dir := t.TempDir()
	shell(t, 15*time.Minute, root, nil, "go", "build", "-asan", "-buildmode=c-shared", "-tags", "netgo,osusergo,x0x_test_panic",
		"-o", filepath.Join(dir, "libx0x.so"), "./capi")
	// Go's memory is not the leak detector's to judge, and its shadow counts as resident.
	env := []string{"ASAN_OPTIONS=detect_leaks=0:abort_on_error=1", "X0X_TEST_NO_CEILING=1"}
	for name, args := range programs() {
		t.Run(name, func(t *testing.T) {
			t.Log(execute(t, *spin+5*time.Minute, env, compile(t, "ctest/"+name+".c", dir, "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"), args...))
		})
	}
}
