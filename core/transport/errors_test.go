package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestEveryErrorHasItsKind(t *testing.T) {
	for _, tt := range []struct {
		err  error
		kind wire.Kind
	}{
		{&quic.ApplicationError{Remote: true, ErrorCode: quic.ApplicationErrorCode(CloseGoodbye)}, wire.KindDisconnected},
		{&quic.ApplicationError{ErrorCode: quic.ApplicationErrorCode(CloseGoodbye)}, wire.KindClosed},
		{&quic.TransportError{ErrorCode: 0x100 + 42}, wire.KindAuth}, // a TLS alert
		{&quic.TransportError{ErrorCode: quic.ConnectionRefused, Remote: true}, wire.KindLimit},
		{&quic.TransportError{ErrorCode: quic.ProtocolViolation}, wire.KindDisconnected},
		{&quic.StreamError{Remote: true}, wire.KindDisconnected},
		{&quic.StreamError{}, wire.KindCancelled},
		{&quic.IdleTimeoutError{}, wire.KindDisconnected},
		{&quic.HandshakeTimeoutError{}, wire.KindUnreachable},
		{&quic.StatelessResetError{}, wire.KindDisconnected},
		{quic.ErrTransportClosed, wire.KindClosed},
		{quic.ErrServerClosed, wire.KindClosed},
		{quic.ErrStreamClosed, wire.KindClosed},
		{net.ErrClosed, wire.KindClosed},
		{context.Canceled, wire.KindCancelled},
		{context.DeadlineExceeded, wire.KindTimeout},
		{os.ErrDeadlineExceeded, wire.KindTimeout},
		{io.ErrUnexpectedEOF, wire.KindIO},
		{fmt.Errorf("wrapped by TLS: %w", wire.Errorf(wire.KindAuth, "pin", "no")), wire.KindAuth},
	} {
		err := wireError("test", tt.err)
		require.Equal(t, tt.kind, wire.KindOf(err), "%T %v", tt.err, tt.err)
		require.ErrorIs(t, err, tt.err, "the cause is kept")
	}
	require.NoError(t, wireError("test", nil))
	require.Equal(t, io.EOF, streamError("test", io.EOF), "the end of a stream is not an error to dress up")
	require.False(t, errors.Is(wireError("test", &quic.IdleTimeoutError{}), &wire.Error{Kind: wire.KindClosed}))
}

func TestCloseCodesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for c := CloseGoodbye; c <= CloseTooLarge; c++ {
		require.NotContains(t, c.String(), "code ")
		require.False(t, seen[c.String()])
		seen[c.String()] = true
	}
	require.Equal(t, "code 99", CloseCode(99).String())
}
