package store

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// ReadFile returns the file at path.
//
//   - no such file or folder: [wire.KindNotFound]; an empty path:
//     [wire.KindInvalidArgument]
//   - longer than max bytes: [wire.KindCorrupt], for no writer of ours made it;
//     no more than max+1 bytes are read
//   - a symbolic link, folder, device or FIFO, or unreadable: [wire.KindIO].
//     Links are refused because [WriteFile] would replace the link and not what
//     it points to
//   - group or others may write it: [wire.KindPolicy]. Who wrote it last is not
//     ours to know.
func ReadFile(path string, max int64) ([]byte, error) {
	const op = "read file"
	if path == "" {
		return nil, errNoPath(op)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, wire.Errorf(fileKind(err), op, "cannot open: %w", err)
	}
	if !info.Mode().IsRegular() { // before opening, which may have effects on a device
		return nil, errNoFile(op, path)
	}
	// Lstat may be out of date by now, so neither follow nor block.
	f, err := os.OpenFile(path, os.O_RDONLY|openNonblock|openNoFollow, 0)
	if err != nil {
		return nil, wire.Errorf(fileKind(err), op, "cannot open: %w", err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, wire.Errorf(wire.KindIO, op, "cannot open: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, errNoFile(op, path)
	}
	if writable(info.Mode()) {
		return nil, wire.Errorf(wire.KindPolicy, op,
			"%s may be written by others (mode %04o): check what it says, then run chmod 600 on it", path, info.Mode().Perm())
	}
	if info.Size() > max {
		return nil, errLong(op, path, max)
	}
	data, err := io.ReadAll(io.LimitReader(f, max+1)) // it may be growing
	if err != nil {
		return nil, wire.Errorf(wire.KindIO, op, "cannot read %s: %w", path, err)
	}
	if int64(len(data)) > max {
		return nil, errLong(op, path, max)
	}
	return data, nil
}

func errNoFile(op, path string) error {
	return wire.Errorf(wire.KindIO, op, "%s is not a regular file", path)
}

func errLong(op, path string, max int64) error {
	return wire.Errorf(wire.KindCorrupt, op, "%s is longer than %d bytes and is left as it is", path, max)
}

func errTooLong(path string, max int64) error {
	return wire.Errorf(wire.KindLimit, "write file", "%s may not be longer than %d bytes", path, max)
}

// errNoPath keeps an empty path, most likely an option that was not set, from
// meaning the working folder.
func errNoPath(op string) error {
	return wire.Errorf(wire.KindInvalidArgument, op, "the path is empty")
}

// fileKind tells a file that is not there from one that cannot be used.
func fileKind(err error) wire.Kind {
	if errors.Is(err, fs.ErrNotExist) {
		return wire.KindNotFound
	}
	return wire.KindIO
}
