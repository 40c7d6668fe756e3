package store

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// step is a moment in writing a file at which a crash may come. The order is
// what makes the file safe: its bytes are on disk before its name leads to
// them, and the name is on disk before the writer hears of success.
type step uint8

const (
	stepStart   step = iota
	stepCreated      // the temporary file is there, empty
	stepHalf         // half of the bytes are in it
	stepWritten      // all are
	stepSynced       // and are on disk
	stepRenamed      // the file is the new one
	stepDone         // and its name is on disk

	steps // how many there are
)

// WriteFile makes data the contents of the file at path, with mode 0600, and
// returns when they are on disk. A crash at any moment leaves the old file or
// the new one, whole, and perhaps a temporary file beside it, which [Open]
// removes.
//
// A missing folder is [wire.KindNotFound], an empty path
// [wire.KindInvalidArgument], everything else [wire.KindIO]. After an error the
// file is the old one, unless only the very last step failed: then it is the
// new one, but a loss of power may bring the old one back.
func WriteFile(path string, data []byte) error { return writeFile(path, data, func(step) {}) }

func writeFile(path string, data []byte, at func(step)) error {
	const op = "write file"
	if path == "" {
		return errNoPath(op)
	}
	at(stepStart)
	tmp, err := writeTemporary(path, data, at)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return wire.Errorf(fileKind(err), op, "cannot put %s in place: %w", path, err)
	}
	at(stepRenamed)
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return wire.Errorf(wire.KindIO, op, "%s may not survive a crash: %w", path, err)
	}
	at(stepDone)
	return nil
}

// writeTemporary writes and syncs data under a name of its own in the folder of
// path, where a rename stays on one file system, and leaves nothing behind on
// error.
func writeTemporary(path string, data []byte, at func(step)) (name string, err error) {
	const op = "write file"
	name = prefix(path) + rand.Text() + suffix
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", wire.Errorf(fileKind(err), op, "cannot create a file in %s: %w", filepath.Dir(path), err)
	}
	at(stepCreated)
	half := len(data) / 2
	_, err = f.Write(data[:half])
	if err == nil {
		at(stepHalf)
		_, err = f.Write(data[half:])
	}
	if err == nil {
		err = f.Chmod(0o600) // whatever the umask took away
	}
	if err == nil {
		at(stepWritten)
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(name)
		return "", wire.Errorf(wire.KindIO, op, "cannot write %s: %w", path, err)
	}
	at(stepSynced)
	return name, nil
}

// Temporary files of "dir/name" are called "dir/.name.RANDOM.tmp".
const suffix = ".tmp"

func prefix(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".")
}

// sweep removes the temporary files that crashed writers of path have left.
func sweep(path string) error {
	const op = "open file"
	if path == "" {
		return errNoPath(op)
	}
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return wire.Errorf(fileKind(err), op, "cannot list %s: %w", dir, err)
	}
	for _, e := range entries {
		if !isTemporary(e.Name(), filepath.Base(path)) || !e.Type().IsRegular() {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return wire.Errorf(wire.KindIO, op, "cannot remove what a crash has left: %w", err)
		}
	}
	return nil
}

// isTemporary reports whether name is what writeTemporary calls its files for
// base: the random part is that of [rand.Text], 26 characters of base 32.
func isTemporary(name, base string) bool {
	random, ok := strings.CutPrefix(name, "."+base+".")
	random, cut := strings.CutSuffix(random, suffix)
	return ok && cut && len(random) == 26 && strings.Trim(random, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}
