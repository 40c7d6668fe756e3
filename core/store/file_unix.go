//go:build unix

package store

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

const (
	openNonblock = syscall.O_NONBLOCK
	openNoFollow = syscall.O_NOFOLLOW
)

// writable reports whether group or others may write a file.
func writable(mode fs.FileMode) bool { return mode.Perm()&0o022 != 0 }

// syncFolder makes the names in a folder durable, where the file system can:
// some network file systems refuse to sync a folder, and nothing else helps.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}
