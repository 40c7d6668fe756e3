package identity

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// LoadKey reads the key file at path, following symbolic links.
//
//   - no such file or folder: [wire.KindNotFound]; an empty path:
//     [wire.KindInvalidArgument]
//   - a folder, a device, or an unreadable file: [wire.KindIO]
//   - not a key file, truncated or damaged: [wire.KindCorrupt]
//   - mode grants group or others anything: [wire.KindPolicy]. Who else has
//     read the key is not ours to know, so the mode is not ours to fix.
func LoadKey(path string) (*Key, error) {
	const op = "load key"
	f, info, err := openFile(op, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if exposed(info.Mode()) {
		return nil, wire.Errorf(wire.KindPolicy, op,
			"%s may be used by others (mode %04o): run chmod 600 on it, or replace the key", path, info.Mode().Perm())
	}
	// One byte more than a key file, so that a longer file shows.
	var buf [KeyFileSize + 1]byte
	defer clear(buf[:])
	n, err := io.ReadFull(f, buf[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, wire.Errorf(wire.KindIO, op, "cannot read %s: %w", path, err)
	}
	if n > KeyFileSize {
		return nil, wire.Errorf(wire.KindCorrupt, op, "%s is longer than a key file (%d bytes)", path, KeyFileSize)
	}
	k, err := ParseKeyFile(buf[:n])
	if err != nil {
		return nil, wire.Errorf(wire.KindCorrupt, op, "%s is not intact and is left as it is: %w", path, err)
	}
	return k, nil
}

// openFile opens a regular file for reading.
func openFile(op, path string) (*os.File, fs.FileInfo, error) {
	if path == "" {
		return nil, nil, errNoPath(op)
	}
	// Opening without blocking: a FIFO in place of the file must not hang us.
	f, err := os.OpenFile(path, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, nil, wire.Errorf(fileKind(err), op, "cannot open: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, wire.Errorf(wire.KindIO, op, "cannot open: %w", err)
	}
	return f, info, nil
}

// SaveKey writes a key file of mode 0600 into an existing folder and returns
// when it is on disk. A crash leaves the whole file or none, and perhaps a
// temporary file that nothing reads. An existing file is never replaced: if it
// holds the same key SaveKey succeeds, else it fails with the error of
// [LoadKey], or with [wire.KindPolicy] (errors.Is(err, fs.ErrExist)) if it holds
// another key. A missing folder is [wire.KindNotFound].
//
// The file system must know hard links: linking a finished file into place is
// the one portable step that is both atomic and refuses to overwrite.
func SaveKey(path string, k *Key) error {
	const op = "save key"
	if path == "" {
		return errNoPath(op)
	}
	if _, err := os.Lstat(path); err == nil {
		return sameKey(path, k) // spare the disk a copy of the secret
	}
	image := k.MarshalKeyFile()
	if image == nil {
		return wire.Errorf(wire.KindClosed, op, "the key was destroyed")
	}
	defer clear(image)
	tmp, err := writeTemporary(op, path, image)
	if err != nil {
		return err
	}
	err = os.Link(tmp, path)
	if rmErr := os.Remove(tmp); err == nil && rmErr != nil {
		err = rmErr
	}
	switch {
	case errors.Is(err, fs.ErrExist): // somebody was faster
		return sameKey(path, k)
	case err != nil:
		return wire.Errorf(fileKind(err), op, "cannot put the key file in place: %w", err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return wire.Errorf(wire.KindIO, op, "%s may not survive a crash: %w", path, err)
	}
	return nil
}

// writeTemporary writes and syncs a file of mode 0600 under a name of its own in
// the folder of path, and leaves nothing behind on error.
func writeTemporary(op, path string, content []byte) (name string, err error) {
	name = filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()+".tmp")
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", wire.Errorf(fileKind(err), op, "cannot create a file in %s: %w", filepath.Dir(path), err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o600) // whatever the umask took away
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(name)
		return "", wire.Errorf(wire.KindIO, op, "cannot write the file: %w", err)
	}
	return name, nil
}

// sameKey is nil if the file at path holds k.
func sameKey(path string, k *Key) error {
	old, err := LoadKey(path)
	if err != nil {
		return err
	}
	defer old.Destroy()
	if !old.Public().Equal(k.Public()) {
		return wire.Errorf(wire.KindPolicy, "save key", "%s holds another key and is left as it is: %w", path, fs.ErrExist)
	}
	return nil
}

// LoadOrCreateKey returns the key at path, making and saving one if there is no
// file. Processes that race for the same path all get the key of the first. An
// existing file is never replaced, whatever is in it. A missing folder is
// [wire.KindNotFound] unless createParents, which makes it with mode 0700.
// Other errors are those of [LoadKey] and [SaveKey].
func LoadOrCreateKey(path string, createParents bool) (*Key, error) {
	k, err := LoadKey(path)
	if wire.KindOf(err) != wire.KindNotFound {
		return k, err // found, or there but unusable
	}
	if createParents {
		if err := makeFolders(filepath.Dir(path)); err != nil {
			return nil, err
		}
	}
	if k, err = GenerateKey(); err != nil {
		return nil, err
	}
	if err = SaveKey(path, k); err == nil {
		return k, nil
	}
	k.Destroy()
	if errors.Is(err, fs.ErrExist) {
		return LoadKey(path)
	}
	return nil, err
}

// makeFolders makes the missing folders of path with mode 0700 and syncs the
// folder above each, so that a key written next is still there after a crash.
func makeFolders(path string) error {
	const op = "make folder"
	var missing []string
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		missing = append(missing, dir)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return wire.Errorf(fileKind(err), op, "cannot make %s: %w", path, err)
	}
	for _, dir := range missing {
		if err := syncFolder(filepath.Dir(dir)); err != nil {
			return wire.Errorf(wire.KindIO, op, "%s may not survive a crash: %w", dir, err)
		}
	}
	return nil
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
