package identity

import (
	"os"
	"path/filepath"
	"sync"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Names of the files in an identity folder.
const (
	MachineKeyFile  = "machine.key"
	AgentKeyFile    = "agent.key"
	UserKeyFile     = "user.key"
	CertificateFile = "agent.cert"
	lockFile        = ".lock"
)

// Dir is an identity folder that this process holds for itself. Two live agents
// with one identity would take each other's messages, so a second [OpenDir] of
// the folder fails, in this process or another, until Close or the end of the
// holder. The lock is the kernel's: nothing stale is left by a crash.
type Dir struct {
	path string
	lock *folderLock
	once sync.Once
}

// OpenDir takes the identity folder at path; create makes it, and missing
// folders above it, with mode 0700. Errors:
//
//   - no such folder: [wire.KindNotFound]
//   - in use by a live process: [wire.KindBusy], naming the folder
//   - group or others may write into it, so could put their key in place of
//     ours: [wire.KindPolicy]. Reading is let be, as key files are 0600.
//   - not a folder, or not usable: [wire.KindIO]; an empty path:
//     [wire.KindInvalidArgument]
func OpenDir(path string, create bool) (*Dir, error) {
	const op = "open identity folder"
	if path == "" {
		return nil, errNoPath(op)
	}
	path, err := filepath.Abs(path) // the host may change its working folder
	if err != nil {
		return nil, wire.Errorf(wire.KindIO, op, "cannot resolve the path: %w", err)
	}
	if create {
		if err := makeFolders(path); err != nil {
			return nil, err
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, wire.Errorf(fileKind(err), op, "cannot open: %w", err)
	}
	if !info.IsDir() {
		return nil, wire.Errorf(wire.KindIO, op, "%s is not a folder", path)
	}
	if writable(info.Mode()) {
		return nil, wire.Errorf(wire.KindPolicy, op,
			"others may write into %s (mode %04o): run chmod 700 on it", path, info.Mode().Perm())
	}
	lock, err := lockFolder(path)
	if err != nil {
		return nil, err
	}
	return &Dir{path: path, lock: lock}, nil
}

// Path returns the absolute path of the folder.
func (d *Dir) Path() string { return d.path }

// File returns the path of a file in the folder.
func (d *Dir) File(name string) string { return filepath.Join(d.path, name) }

// Close lets go of the folder. It is idempotent and does not fail today.
func (d *Dir) Close() error {
	var err error
	d.once.Do(func() { err = d.lock.release() })
	return err
}

func errBusy(path, holder string) error {
	return &wire.Error{Kind: wire.KindBusy, Op: "open identity folder", Retryable: true,
		Msg: path + " is in use by " + holder}
}
