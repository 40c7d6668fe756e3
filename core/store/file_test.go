package store

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

const limit = 1 << 16

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

func TestWhatIsWrittenIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := Open(path, limit)
	require.NoError(t, err)
	require.Equal(t, path, f.Path())
	_, err = f.Read()
	require.Equal(t, wire.KindNotFound, wire.KindOf(err))
	for _, data := range []string{"one", "", "x", "a longer one than before", string(make([]byte, limit))} {
		require.NoError(t, f.Write([]byte(data)))
		got, err := f.Read()
		require.NoError(t, err)
		require.Equal(t, data, string(got))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	require.Equal(t, []string{"f"}, names(t, filepath.Dir(path)), "and nothing beside it")
}

func TestTooLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := Open(path, 4)
	require.NoError(t, err)
	require.NoError(t, f.Write([]byte("four")))
	require.Equal(t, wire.KindLimit, wire.KindOf(f.Write([]byte("five!"))))
	data, err := f.Read()
	require.NoError(t, err)
	require.Equal(t, "four", string(data))

	require.NoError(t, WriteFile(path, []byte("five!")))
	_, err = f.Read()
	require.Equal(t, wire.KindCorrupt, wire.KindOf(err))
	require.ErrorContains(t, err, path)
	data, err = os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "five!", string(data), "left as it is")
}

func TestNoPathIsNotTheWorkingFolder(t *testing.T) {
	_, err := ReadFile("", limit)
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err))
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(WriteFile("", nil)))
	_, err = Open("", limit)
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err))
}

func TestMissingFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "f")
	_, err := ReadFile(path, limit)
	require.Equal(t, wire.KindNotFound, wire.KindOf(err))
	require.Equal(t, wire.KindNotFound, wire.KindOf(WriteFile(path, nil)))
	_, err = Open(path, limit)
	require.Equal(t, wire.KindNotFound, wire.KindOf(err))
}

func TestAFolderInThePlaceOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.MkdirAll(filepath.Join(path, "full"), 0o700))
	_, err := ReadFile(path, limit)
	require.Equal(t, wire.KindIO, wire.KindOf(err))
	require.Equal(t, wire.KindIO, wire.KindOf(WriteFile(path, []byte("x"))))
	require.Equal(t, []string{"f"}, names(t, filepath.Dir(path)), "a failed write leaves nothing")
}

func TestOpenSweepsItsOwnTemporariesOnly(t *testing.T) {
	const random = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	dir := t.TempDir()
	others := []string{
		".f." + random + "2.tmp", ".f." + random[1:] + ".tmp", ".f." + random[1:] + "1.tmp", ".g." + random + ".tmp",
		"f." + random + ".tmp", ".f.tmp", ".f." + random, "f", ".f.g." + random + ".tmp",
	}
	for _, name := range others {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".f."+random[1:]+"2.tmp"), 0o700))
	left := names(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".f."+random+".tmp"), []byte("x"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".f."+random[1:]+"7.tmp"), []byte("x"), 0o600))
	_, err := Open(filepath.Join(dir, "f"), limit)
	require.NoError(t, err)
	require.ElementsMatch(t, left, names(t, dir))
}

// The order of the steps is what power loss tests; a kill cannot, for the
// system keeps what a dead process has written.
func TestStepsComeInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	var seen []step
	require.NoError(t, writeFile(path, []byte("new"), func(s step) {
		seen = append(seen, s)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		if s < stepRenamed {
			require.Equal(t, "old", string(data), s)
		} else {
			require.Equal(t, "new", string(data), s)
		}
	}))
	want := make([]step, 0, steps)
	for s := range steps {
		want = append(want, s)
	}
	require.Equal(t, want, seen)
}

// Readers see a whole file at every moment, and the end is what the last writer
// wrote.
func TestConcurrentUse(t *testing.T) {
	const writers, rounds = 4, 25
	f, err := Open(filepath.Join(t.TempDir(), "f"), limit)
	require.NoError(t, err)
	text := func(w, i int) []byte {
		line := fmt.Sprintf("%d %d\n", w, i)
		all := []byte{}
		for range 500 + 100*w {
			all = append(all, line...)
		}
		return all
	}
	require.NoError(t, f.Write(text(0, 0)))
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				if err := f.Write(text(w, i)); err != nil {
					t.Error(err)
				}
				data, err := f.Read()
				if err != nil {
					t.Error(err)
				}
				var gotW, gotI int
				if _, err := fmt.Sscan(string(data), &gotW, &gotI); err != nil || string(data) != string(text(gotW, gotI)) {
					t.Errorf("half a file: %v, %d bytes", err, len(data))
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, []string{"f"}, names(t, filepath.Dir(f.Path())))
}
