// Package wire holds what every room agrees on about bytes and errors: one table
// of error kinds, length-prefixed frames, strict fields for signed formats, a
// guard in front of the msgpack decoder, and a hybrid logical clock.
//
// Begin with [FrameReader] and [AppendFrame] for a stream, or with [Builder] and
// [Parser] for a record. Every value has one encoding: integers are big-endian,
// lengths are uvarints in their shortest form, and nothing may follow the end.
//
// Bytes from outside are hostile. Nothing here allocates from a length that was
// merely declared, everything has a bound that the caller names, and what breaks
// a format is an [Error] of KindCorrupt or KindTooLarge, never a panic.
//
// The package knows no message of any room, does no I/O of its own, starts no
// goroutine and reads no clock but the one it is given. Functions and [Clock]
// may be used from any goroutine; a FrameReader, Builder or Parser by one at a
// time.
package wire
