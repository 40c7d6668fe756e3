package identity

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// folderLock is a lock file opened without sharing: Windows refuses a second
// open, from this process or another, until the handle is gone.
type folderLock struct{ handle syscall.Handle }

// errorSharingViolation is ERROR_SHARING_VIOLATION of winerror.h.
const errorSharingViolation = syscall.Errno(32)

func lockFolder(folder string) (*folderLock, error) {
	const op = "open identity folder"
	name, err := syscall.UTF16PtrFromString(filepath.Join(folder, lockFile))
	if err != nil {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "bad path: %w", err)
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_HIDDEN, 0)
	if errors.Is(err, errorSharingViolation) {
		return nil, errBusy(folder, "another agent")
	}
	if err != nil {
		return nil, wire.Errorf(wire.KindIO, op, "cannot open the lock file: %w", os.NewSyscallError("CreateFile", err))
	}
	return &folderLock{handle: h}, nil
}

func (l *folderLock) release() error { return syscall.CloseHandle(l.handle) }
