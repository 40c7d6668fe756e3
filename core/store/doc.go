// Package store keeps small files so that a crash cannot harm them: after any
// crash a file is whole, and is the old one or the new one.
//
// Start with [Open], which gives a [File] whose Read and Write belong together;
// [ReadFile] and [WriteFile] are the same for a file that is touched once.
//
// It does not know what the bytes mean, keeps no copy of them, and does not
// lock out other processes: of two that write one file the last wins, whole.
// Who owns the folder (see identity.OpenDir) owns the files in it. Files are of
// a size to be rewritten at each change; this is no database.
//
// Everything is safe for concurrent use. Calls block on the disk and start no
// goroutines.
package store
