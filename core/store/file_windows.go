package store

import "io/fs"

const (
	openNonblock = 0
	openNoFollow = 0
)

// Windows protects a profile folder by access lists that mode bits do not show.
func writable(fs.FileMode) bool { return false }

// NTFS journals names; a folder cannot be synced.
func syncFolder(string) error { return nil }
