package discovery

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	entrySuffix     = ".entry"
	temporarySuffix = ".tmp"
)

func isTemporary(name string) bool { return strings.HasSuffix(name, temporarySuffix) }

// written is the table of files that this process has registered, by inode.
// Its lock is held whenever any file of a registry is created, opened or
// closed: opening and closing one that is ours would drop its lock.
var written = struct {
	sync.Mutex
	files map[inode]*ownFile
}{files: make(map[inode]*ownFile)}

type inode struct{ dev, ino uint64 }

func inodeOf(st *unix.Stat_t) inode { return inode{uint64(st.Dev), st.Ino} } //nolint:unconvert // Dev is 32 bits wide on some architectures

// ownFile is an entry that this process wrote and holds locked.
type ownFile struct {
	id   inode
	name string
	fd   int
	rec  *record
}

// folder is one candidate folder, closed or open. Not safe for concurrent use:
// its Registry locks.
type folder struct {
	path string
	uid  int

	handle int // of the folder, if opened
	opened bool
	id     inode
	own    *ownFile
	lost   bool // the own entry existed and is gone: the next write restores it
}

func (f *folder) isOpen() bool { return f.opened }

func (f *folder) sameAsOneOf(others []*folder) bool {
	for _, o := range others {
		if o.opened && o.id == f.id {
			return true
		}
	}
	return false
}

// open makes the folder usable if it is not, or is no longer the one that its
// path names. It reports whether it opened it now.
func (f *folder) open() (bool, error) {
	if f.opened {
		var st unix.Stat_t
		same := unix.Lstat(f.path, &st) == nil && inodeOf(&st) == f.id
		if same {
			err := f.check()
			if err == nil {
				return false, nil
			}
			f.close() // somebody opened it to others: not believed until that ends
			return false, err
		}
		f.lost = f.own != nil
		f.close()
	}
	err := unix.Mkdir(f.path, 0o700)
	created := err == nil
	if err != nil && err != unix.EEXIST {
		return false, f.failed("create", err)
	}
	fd, err := unix.Open(f.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, f.failed("open", err)
	}
	f.handle, f.opened = fd, true
	if created {
		// The umask may have taken bits away. A folder that was there is never
		// changed: it may be one that others are meant to enter.
		if err := unix.Fchmod(fd, 0o700); err != nil {
			f.close()
			return false, f.failed("set the mode of", err)
		}
	}
	if err := f.check(); err != nil {
		f.close()
		return false, err
	}
	return true, nil
}

// check is the condition of rule 2, on the open folder.
func (f *folder) check() error {
	var st unix.Stat_t
	if err := unix.Fstat(f.handle, &st); err != nil {
		return f.failed("stat", err)
	}
	f.id = inodeOf(&st)
	if int(st.Uid) != f.uid {
		return wire.Errorf(wire.KindIO, "open registry", "%s belongs to user %d, not to %d", f.path, st.Uid, f.uid)
	}
	if st.Mode&0o077 != 0 {
		return wire.Errorf(wire.KindIO, "open registry", "%s is open to other users (mode %04o, needs 0700)", f.path, st.Mode&0o7777)
	}
	return nil
}

func (f *folder) failed(what string, err error) error {
	return wire.Errorf(wire.KindIO, "open registry", "cannot %s %s: %w", what, f.path, err)
}

// close unlinks the own entry and forgets the folder.
func (f *folder) close() {
	f.dropOwn()
	if f.opened {
		unix.Close(f.handle)
		f.opened = false
	}
}

func (f *folder) dropOwn() {
	if f.own == nil {
		return
	}
	written.Lock()
	defer written.Unlock()
	var st unix.Stat_t
	if err := unix.Fstatat(f.handle, f.own.name, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil && inodeOf(&st) == f.own.id {
		unix.Unlinkat(f.handle, f.own.name, 0)
	}
	delete(written.files, f.own.id)
	unix.Close(f.own.fd)
	f.own = nil
}

// touchOwn reports whether the own entry is still in place, and renews its
// time and its lock.
func (f *folder) touchOwn(now time.Time) bool {
	if f.own == nil {
		return false
	}
	var st unix.Stat_t
	if err := unix.Fstatat(f.handle, f.own.name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil || inodeOf(&st) != f.own.id {
		f.lost = true
		f.dropOwn()
		return false
	}
	// Another copy of this library in the same process may have opened and
	// closed the file, which dropped the lock: taking it again is free.
	if err := lock(f.own.fd); err != nil {
		f.lost = true
		f.dropOwn()
		return false
	}
	tv := unix.NsecToTimeval(now.UnixNano())
	_ = unix.Futimes(f.own.fd, []unix.Timeval{tv, tv}) // only an age: nothing depends on it for a day
	return true
}

// writeOwn is rule 3.
func (f *folder) writeOwn(rec *record) error {
	data, err := rec.marshal()
	if err != nil {
		return err
	}
	var random [16]byte
	rand.Read(random[:])
	final := hex.EncodeToString(random[:]) + entrySuffix
	tmp := final + temporarySuffix

	written.Lock()
	defer written.Unlock()
	fd, err := unix.Openat(f.handle, tmp, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return f.failed("write an entry in", err)
	}
	undo := func(err error) error {
		unix.Unlinkat(f.handle, tmp, 0)
		unix.Close(fd)
		return f.failed("write an entry in", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return undo(err)
	}
	if err := lock(fd); err != nil {
		return undo(err)
	}
	if n, err := unix.Pwrite(fd, data, 0); err != nil || n != len(data) {
		if err == nil {
			err = io.ErrShortWrite
		}
		return undo(err)
	}
	if err := unix.Renameat(f.handle, tmp, f.handle, final); err != nil {
		return undo(err)
	}
	f.own = &ownFile{id: inodeOf(&st), name: final, fd: fd, rec: rec}
	f.lost = false
	written.files[f.own.id] = f.own
	return nil
}

// names lists at most limit files of the folder.
func (f *folder) names(limit int) ([]string, error) {
	// A descriptor of its own, because reading moves the position.
	fd, err := unix.Openat(f.handle, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, f.failed("list", err)
	}
	dir := os.NewFile(uintptr(fd), f.path)
	defer dir.Close()
	all, err := dir.Readdirnames(limit)
	if err != nil && err != io.EOF {
		return nil, f.failed("list", err)
	}
	names := all[:0]
	for _, n := range all {
		if strings.HasSuffix(n, entrySuffix) || isTemporary(n) {
			names = append(names, n)
		}
	}
	return names, nil
}

// found is what one file of a folder turned out to be.
type found struct {
	own    *ownFile // written by this process, not opened
	data   []byte
	locked bool
	mtime  time.Time
	err    error
}

// read looks at one file without trusting it: no links, no pipes or devices
// (opening one may block), nobody else's, nothing large.
func (f *folder) read(name string) found {
	written.Lock()
	defer written.Unlock()
	var st unix.Stat_t
	if err := unix.Fstatat(f.handle, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return found{err: err}
	}
	if own := written.files[inodeOf(&st)]; own != nil {
		return found{own: own}
	}
	if err := f.acceptable(&st); err != nil {
		return found{err: err}
	}
	fd, err := unix.Openat(f.handle, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return found{err: err}
	}
	defer unix.Close(fd)
	before := inodeOf(&st)
	if err := unix.Fstat(fd, &st); err != nil {
		return found{err: err}
	}
	if inodeOf(&st) != before { // exchanged in between
		return found{err: unix.ESTALE}
	}
	if err := f.acceptable(&st); err != nil {
		return found{err: err}
	}
	buf := make([]byte, maxRecord+1)
	n, err := unix.Pread(fd, buf, 0)
	if err != nil {
		return found{err: err}
	}
	locked, err := isLocked(fd)
	return found{data: buf[:n], locked: locked, mtime: time.Unix(st.Mtim.Unix()), err: err}
}

func (f *folder) acceptable(st *unix.Stat_t) error {
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return unix.EINVAL
	case int(st.Uid) != f.uid:
		return unix.EPERM
	case st.Size > maxRecord:
		return unix.EFBIG
	}
	return nil
}

// sweep unlinks a file whose writer is gone. Names are random and never used
// twice, so it cannot hit a new one.
func (f *folder) sweep(name string) { unix.Unlinkat(f.handle, name, 0) }

func lock(fd int) error {
	return unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart})
}

// isLocked reports whether another process holds the file.
func isLocked(fd int) (bool, error) {
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_GETLK, &l); err != nil {
		return false, err
	}
	return l.Type != unix.F_UNLCK, nil
}

// thisHost must run on the thread that will open the sockets if that thread
// was moved into a namespace of its own.
func thisHost() (hostID, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return hostID{}, wire.Errorf(wire.KindUnsupported, "open registry", "this system has no boot id: %v", err)
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return hostID{}, wire.Errorf(wire.KindUnsupported, "open registry", "this system has no network namespaces: %v", err)
	}
	return hostID{boot: strings.TrimSpace(string(boot)), netns: st.Ino}, nil
}
