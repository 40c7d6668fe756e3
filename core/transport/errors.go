package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"

	"github.com/quic-go/quic-go"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// CloseCode tells the peer why a connection ends (RFC 9000, section 20.2).
type CloseCode uint64

const (
	CloseGoodbye  CloseCode = 1 // deliberate: do not redial
	CloseShutdown CloseCode = 2 // the process or the agent ends: do not redial
	CloseReplaced CloseCode = 3 // another connection between the two stays
	CloseSilent   CloseCode = 4 // heard nothing for too long
	CloseProtocol CloseCode = 5 // the peer broke the protocol
	CloseRefused  CloseCode = 6 // the hello was refused
	CloseTooLarge CloseCode = 7 // the peer sent more than a limit allows
)

// String names the code for logs and errors.
func (c CloseCode) String() string {
	switch c {
	case CloseGoodbye:
		return "goodbye"
	case CloseShutdown:
		return "shutdown"
	case CloseReplaced:
		return "replaced"
	case CloseSilent:
		return "silent"
	case CloseProtocol:
		return "protocol violation"
	case CloseRefused:
		return "refused"
	case CloseTooLarge:
		return "too large"
	}
	return "code " + strconv.FormatUint(uint64(c), 10)
}

// final reports that a redial at once would be unwanted or lead nowhere.
func (c CloseCode) final() bool {
	switch c {
	case CloseGoodbye, CloseShutdown, CloseProtocol, CloseRefused, CloseTooLarge:
		return true
	}
	return false
}

// wireError gives an error of quic-go, crypto/tls or a socket its kind. It
// returns errors that have one unchanged.
func wireError(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*wire.Error](err); ok {
		return err // such as the pin check, which crypto/tls wraps
	}
	if app, ok := errors.AsType[*quic.ApplicationError](err); ok {
		code := CloseCode(app.ErrorCode)
		if !app.Remote {
			return wire.Errorf(wire.KindClosed, op, "closed here: %s: %w", code, err)
		}
		return wire.Errorf(wire.KindDisconnected, op, "closed by the peer: %s: %w", code, err)
	}
	if t, ok := errors.AsType[*quic.TransportError](err); ok {
		switch {
		case t.ErrorCode.IsCryptoError():
			return wire.Errorf(wire.KindAuth, op, "%w", err)
		case t.ErrorCode == quic.ConnectionRefused:
			return wire.Errorf(wire.KindLimit, op, "the peer is overloaded: %w", err)
		}
		return wire.Errorf(wire.KindDisconnected, op, "%w", err)
	}
	if s, ok := errors.AsType[*quic.StreamError](err); ok {
		if s.Remote {
			return wire.Errorf(wire.KindDisconnected, op, "the peer cancelled the stream: %w", err)
		}
		return wire.Errorf(wire.KindCancelled, op, "%w", err)
	}
	// These say of themselves that they are net.ErrClosed, so they come first.
	if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok {
		return wire.Errorf(wire.KindDisconnected, op, "%w", err)
	}
	if _, ok := errors.AsType[*quic.StatelessResetError](err); ok {
		return wire.Errorf(wire.KindDisconnected, op, "the peer no longer knows the connection: %w", err)
	}
	if _, ok := errors.AsType[*quic.HandshakeTimeoutError](err); ok {
		return wire.Errorf(wire.KindUnreachable, op, "no answer: %w", err)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return wire.Errorf(wire.KindCancelled, op, "%w", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return wire.Errorf(wire.KindTimeout, op, "%w", err)
	case errors.Is(err, quic.ErrTransportClosed), errors.Is(err, quic.ErrServerClosed), errors.Is(err, quic.ErrStreamClosed), errors.Is(err, net.ErrClosed):
		return wire.Errorf(wire.KindClosed, op, "%w", err)
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return wire.Errorf(wire.KindTimeout, op, "%w", err)
	}
	return wire.Errorf(wire.KindIO, op, "%w", err)
}

// streamError is wireError for reads and writes, which go on returning io.EOF.
func streamError(op string, err error) error {
	if err == io.EOF {
		return err
	}
	return wireError(op, err)
}
