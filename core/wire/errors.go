package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Delivered says what is known about a message whose sending failed.
type Delivered uint8

const (
	DeliveredNA      Delivered = iota // the call delivers nothing
	DeliveredNo                       // the recipient has certainly not accepted it
	DeliveredUnknown                  // it may or may not have been accepted
)

// String returns "", "no" or "unknown".
func (d Delivered) String() string {
	switch d {
	case DeliveredNo:
		return "no"
	case DeliveredUnknown:
		return "unknown"
	}
	return ""
}

// Error is the error of every room. Callers branch on Kind, by [KindOf] or by
// errors.Is against a bare &Error{Kind: k}, and never on text.
type Error struct {
	Kind      Kind
	Op        string    // what was tried, "dial" or "open key file"
	Msg       string    // what went wrong; may hold text from a peer, never secrets
	Retryable bool      // the same call may succeed later without a change by the caller
	Delivered Delivered // of a send
	Err       error     // the cause, if there is one
}

// Errorf returns an Error whose Msg is the formatted text. A cause given with
// %w is kept for errors.Is and errors.As. Retryable starts as the kind has it:
// true for busy, timeout, unreachable, disconnected and limit.
func Errorf(kind Kind, op, format string, args ...any) *Error {
	formatted := fmt.Errorf(format, args...)
	cause := errors.Unwrap(formatted)
	if cause == nil {
		if _, several := formatted.(interface{ Unwrap() []error }); several {
			cause = formatted
		}
	}
	return &Error{Kind: kind, Op: op, Msg: formatted.Error(), Retryable: kind.retryable(), Err: cause}
}

func (k Kind) retryable() bool {
	switch k {
	case KindBusy, KindTimeout, KindUnreachable, KindDisconnected, KindLimit:
		return true
	}
	return false
}

// maxErrorText bounds an error's text in bytes, so that a peer whose words end up in
// an error cannot fill a log.
const maxErrorText = 1024

// Error returns "op: msg" on one line of at most 1 KiB. Without a Msg the text
// of Err stands in its place, and without both the name of the kind. Control
// characters and bidirectional overrides, which could forge lines of a log or
// the look of a terminal, are taken out.
func (e *Error) Error() string {
	msg := e.Msg
	if msg == "" && e.Err != nil {
		msg = e.Err.Error()
	}
	if msg == "" {
		msg = e.Kind.String()
	}
	if e.Op != "" {
		msg = e.Op + ": " + msg
	}
	return oneLine(msg)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes a bare &Error{Kind: k} match every error of that kind, and
// net.ErrClosed those of KindClosed.
func (e *Error) Is(target error) bool {
	if target == net.ErrClosed {
		return e.Kind == KindClosed
	}
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && *t == Error{Kind: t.Kind}
}

// Timeout is what net.Error asks for.
func (e *Error) Timeout() bool { return e.Kind == KindTimeout }

// KindOf returns the kind of the outermost *Error in the chain of err. Without
// one it maps what the standard library returns: an expired deadline to
// KindTimeout, a cancelled context to KindCancelled, something closed to
// KindClosed, a missing file to KindNotFound; and everything else to KindIO. It
// returns 0 for nil.
func KindOf(err error) Kind {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*Error](err); ok && e != nil {
		return e.Kind
	}
	switch {
	case errors.Is(err, context.Canceled):
		return KindCancelled
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return KindTimeout
	case errors.Is(err, net.ErrClosed), errors.Is(err, fs.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return KindClosed
	case errors.Is(err, fs.ErrNotExist):
		return KindNotFound
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return KindTimeout
	}
	return KindIO
}

// oneLine takes from s what could break a line or a terminal, and cuts it to
// maxErrorText.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r // an invalid byte comes as utf8.RuneError and leaves as U+FFFD
	}, s)
	if len(s) <= maxErrorText {
		return s
	}
	const ellipsis = "…"
	cut := maxErrorText - len(ellipsis)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + ellipsis
}

// Undelivered returns err with the mark that what it is about was certainly not delivered.
func Undelivered(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		marked := *e
		marked.Delivered = DeliveredNo
		return &marked
	}
	return err
}
