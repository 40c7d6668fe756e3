package x0x

import (
	"errors"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Error is what every method of this package returns when it fails. Its Kind is the branch
// that callers take, and the number of the C status; its text is one line for people.
type Error = wire.Error

// ErrorKind is one row of the table of error kinds.
type ErrorKind = wire.Kind

// KindOf returns the kind of any error that came out of this package, and 0 for nil.
func KindOf(err error) ErrorKind { return wire.KindOf(err) }

// ended gives the end of a context its kind, and keeps errors that have one.
func ended(op string, err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return wire.Errorf(wire.KindOf(err), op, "given up by the caller: %w", err)
}

// What a failed send knows about the fate of its message, in Error.Delivered.
const (
	DeliveredNo      = wire.DeliveredNo      // certainly not delivered
	DeliveredUnknown = wire.DeliveredUnknown // written, never acknowledged
)

// The kinds, for errors.Is.
var (
	ErrInvalidArgument = &Error{Kind: wire.KindInvalidArgument}
	ErrUnsupported     = &Error{Kind: wire.KindUnsupported}
	ErrClosed          = &Error{Kind: wire.KindClosed}
	ErrBusy            = &Error{Kind: wire.KindBusy}
	ErrCancelled       = &Error{Kind: wire.KindCancelled}
	ErrTimeout         = &Error{Kind: wire.KindTimeout}
	ErrNotFound        = &Error{Kind: wire.KindNotFound}
	ErrUnreachable     = &Error{Kind: wire.KindUnreachable}
	ErrDisconnected    = &Error{Kind: wire.KindDisconnected}
	ErrNetworkMismatch = &Error{Kind: wire.KindNetworkMismatch}
	ErrAuth            = &Error{Kind: wire.KindAuth}
	ErrCorrupt         = &Error{Kind: wire.KindCorrupt}
	ErrIO              = &Error{Kind: wire.KindIO}
	ErrBlocked         = &Error{Kind: wire.KindBlocked}
	ErrPolicy          = &Error{Kind: wire.KindPolicy}
	ErrTooLarge        = &Error{Kind: wire.KindTooLarge}
	ErrLimit           = &Error{Kind: wire.KindLimit}
	ErrLagged          = &Error{Kind: wire.KindLagged}
	ErrPanic           = &Error{Kind: wire.KindPanic}
	ErrPoisoned        = &Error{Kind: wire.KindPoisoned}
)
