//go:build unix

package identity

import (
	"io/fs"
	"os"
	"syscall"
)

const (
	openNonblock = syscall.O_NONBLOCK
	openNoFollow = syscall.O_NOFOLLOW
)

// exposed reports whether group or others may do anything with a file.
func exposed(mode fs.FileMode) bool { return mode.Perm()&0o077 != 0 }

// writable reports whether group or others may put files into a folder.
func writable(mode fs.FileMode) bool { return mode.Perm()&0o022 != 0 }

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
