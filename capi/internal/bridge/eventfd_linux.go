package bridge

import (
	"syscall"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// eventFD is a descriptor that poll finds readable between raise and lower.
type eventFD int

const noEventFD eventFD = -1

func newEventFD() (eventFD, error) {
	const nonblock, cloexec = 0x800, 0x80000 // EFD_NONBLOCK, EFD_CLOEXEC of Linux
	fd, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, nonblock|cloexec, 0)
	if errno != 0 {
		return noEventFD, wire.Errorf(wire.KindIO, "make eventfd", "%w", errno)
	}
	return eventFD(fd), nil
}

// raise and lower cannot fail on an eventfd that is ours: the counter goes between
// 0 and 1.
func (fd eventFD) raise() {
	if fd != noEventFD {
		one := [8]byte{0: 1, 7: 1} // not zero in either byte order
		_, _ = syscall.Write(int(fd), one[:])
	}
}

func (fd eventFD) lower() {
	if fd != noEventFD {
		var count [8]byte
		_, _ = syscall.Read(int(fd), count[:])
	}
}

func (fd eventFD) close() {
	if fd != noEventFD {
		_ = syscall.Close(int(fd))
	}
}
