//go:build unix

package identity

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// folderLock is a POSIX record lock (fcntl F_SETLK) on the lock file of a
// folder. Unlike flock it does not live on in a child that a host forked, and
// F_GETLK names the holder. It has two quirks that held answers: it never
// conflicts within one process, and closing any descriptor of the file drops
// it. So a lock file that we hold is never opened a second time.
type folderLock struct {
	file *os.File
	id   fileID
}

type fileID struct{ dev, ino uint64 }

var held = struct {
	sync.Mutex // also makes stat, open and lock one step

	// locks also keeps the files reachable: a Dir that its owner forgot to
	// close stays locked until the process ends.
	locks map[fileID]*folderLock
}{locks: make(map[fileID]*folderLock)}

func lockFolder(folder string) (*folderLock, error) {
	const op = "open identity folder"
	path := filepath.Join(folder, lockFile)
	held.Lock()
	defer held.Unlock()

	if info, err := os.Lstat(path); err == nil && held.locks[idOf(info)] != nil {
		return nil, errBusy(folder, "another agent of this process")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|openNoFollow|openNonblock, 0o600)
	if err != nil {
		return nil, wire.Errorf(wire.KindIO, op, "cannot open the lock file: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a file")
	}
	if err != nil {
		_ = f.Close()
		return nil, wire.Errorf(wire.KindIO, op, "cannot use the lock file %s: %w", path, err)
	}
	err = syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart})
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		err = errBusy(folder, holderOf(f))
		_ = f.Close()
		return nil, err
	}
	if err != nil {
		_ = f.Close()
		return nil, wire.Errorf(wire.KindIO, op, "cannot lock %s: %w", path, err)
	}
	l := &folderLock{file: f, id: idOf(info)}
	held.locks[l.id] = l
	return l, nil
}

func (l *folderLock) release() error {
	held.Lock()
	defer held.Unlock()
	delete(held.locks, l.id)
	return l.file.Close()
}

// holderOf names the process that holds the lock, as far as the kernel tells:
// in another PID namespace it has no number.
func holderOf(f *os.File) string {
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock)
	if err != nil || lock.Type == syscall.F_UNLCK || lock.Pid <= 0 {
		return "another process"
	}
	return fmt.Sprintf("process %d", lock.Pid)
}

func idOf(info os.FileInfo) fileID {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fileID{dev: uint64(st.Dev), ino: uint64(st.Ino)}
	}
	return fileID{}
}
