package bindings

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// Error is a status of the library, with what it said about it.
type Error struct {
	Op      string
	Status  int32  // negative: E…
	Flags   uint32 // Errf…
	Message string // one line
}

func errorf(op string, status int32, format string, args ...any) *Error {
	return &Error{Op: op, Status: status, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string {
	s := e.Op + ": " + Kind(e.Status)
	if e.Message != "" {
		s += " (" + e.Message + ")"
	}
	return s
}

// Is makes errors.Is(err, &Error{Status: ETimeout}) true for every timeout.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Status == e.Status
}

// Timeout reports whether the time allowed ran out, as net.Error has it.
func (e *Error) Timeout() bool { return e.Status == ETimeout }

// Kind returns the name of a status as all languages have it, such as "timeout".
func Kind(status int32) string {
	symbol, ok := StatusNames[status]
	if !ok {
		return fmt.Sprintf("status %d", status)
	}
	return strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(symbol, "X0X_E_"), "X0X_"))
}

// StatusOf returns the status of any error of this package, those of contexts included, and
// Ok for nil. EInvalidArgument stands for an error from elsewhere.
func StatusOf(err error) int32 {
	var e *Error
	switch {
	case err == nil:
		return Ok
	case errors.As(err, &e):
		return e.Status
	case errors.Is(err, context.DeadlineExceeded):
		return ETimeout
	case errors.Is(err, context.Canceled):
		return ECancelled
	}
	return EInvalidArgument
}

// ended is the error of a wait that a context ended.
func ended(op string, ctx context.Context) error {
	return errorf(op, StatusOf(ctx.Err()), "%v", ctx.Err())
}

// LaggedError says that messages were dropped because this reader was slow. It is an Error
// with the status ELagged.
type LaggedError struct{ Count, First, Last uint64 }

func (e *LaggedError) Error() string {
	return fmt.Sprintf("receive: %d messages were dropped", e.Count)
}

// Unwrap makes StatusOf and errors.Is see the status.
func (e *LaggedError) Unwrap() error { return &Error{Op: "receive", Status: ELagged} }

// failure turns a status and what the library wrote beside it into an error, or nil.
func failure(op string, status int32, c *CErr) error {
	if status >= Ok {
		return nil
	}
	e := &Error{Op: op, Status: status}
	if c != nil && c.Code == status {
		text, _, _ := bytes.Cut(c.Message[:], []byte{0})
		e.Flags, e.Message = c.Flags, string(text)
	}
	return e
}
