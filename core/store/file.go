package store

import (
	"sync"
)

// File is one crash-safe file. Its writers take turns, so that the file on disk
// is that of the last Write to begin.
type File struct {
	path string
	max  int64
	mu   sync.Mutex
}

// Open readies the file at path, of at most max bytes, for reading and writing.
// The file need not exist; its folder must, else [wire.KindNotFound]. It removes
// what writers that crashed have left beside the file, and so must not run while
// another process writes the same file.
func Open(path string, max int64) (*File, error) {
	if err := sweep(path); err != nil {
		return nil, err
	}
	return &File{path: path, max: max}, nil
}

// Path returns the path as it was given to Open.
func (f *File) Path() string { return f.path }

// Read is [ReadFile].
func (f *File) Read() ([]byte, error) { return ReadFile(f.path, f.max) }

// Write is [WriteFile]. It refuses more than the file may hold with
// [wire.KindLimit], since nobody could read it back.
func (f *File) Write(data []byte) error {
	if int64(len(data)) > f.max {
		return errTooLong(f.path, f.max)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return WriteFile(f.path, data)
}
