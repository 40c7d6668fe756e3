package discovery

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// notices turns changes of folders into calls, by inotify(7).
type notices struct {
	fd   int
	file *os.File
}

// openNotices returns nil if the user has no inotify instance left.
func openNotices() *notices {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil
	}
	return &notices{fd: fd, file: os.NewFile(uintptr(fd), "inotify")}
}

// add watches an open folder. If the kernel refuses, the regular refresh still
// finds what is new.
//
// An entry appears by rename. A deletion matters because it may be the own
// entry, or all of the folder. Touching a file is not reported, so agents that
// refresh do not wake each other.
func (n *notices) add(f *folder) {
	// Through the descriptor: the path may name something else by now.
	path := fmt.Sprintf("/proc/self/fd/%d", f.handle)
	_, _ = unix.InotifyAddWatch(n.fd, path, unix.IN_MOVED_TO|unix.IN_MOVED_FROM|unix.IN_DELETE|unix.IN_ONLYDIR)
}

// run calls changed after each batch of events, until close. What happened
// does not matter: a scan is cheap, and an overflow of the kernel's queue then
// needs no case of its own.
func (n *notices) run(changed func()) {
	buf := make([]byte, 4096)
	for {
		if _, err := n.file.Read(buf); err != nil {
			return
		}
		changed()
	}
}

func (n *notices) close() { n.file.Close() }
