package wire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestErrorText(t *testing.T) {
	cause := errors.New("no route")
	tests := []struct {
		name string
		err  *wire.Error
		want string
	}{
		{"op and text", &wire.Error{Kind: wire.KindIO, Op: "dial", Msg: "no route"}, "dial: no route"},
		{"text alone", &wire.Error{Kind: wire.KindIO, Msg: "no route"}, "no route"},
		{"cause alone", &wire.Error{Kind: wire.KindIO, Op: "dial", Err: cause}, "dial: no route"},
		{"bare", &wire.Error{Kind: wire.KindNetworkMismatch}, "network_mismatch"},
		{"formatted", wire.Errorf(wire.KindIO, "dial", "peer %d: %w", 7, cause), "dial: peer 7: no route"},
		{"lines", &wire.Error{Msg: "one\ntwo\r\nthree\u2028four"}, "one two three four"},
		{"terminal", &wire.Error{Msg: "\x1b[31mred\x07\x00\u009b"}, "[31mred"},
		{"bidi", &wire.Error{Msg: "a\u202etxt.exe\u2066"}, "atxt.exe"},
		{"not UTF-8", &wire.Error{Msg: "a\xffb"}, "a\ufffdb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, tt.err.Error()) })
	}
}

func TestErrorTextIsOneShortLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		msg := rapid.OneOf(
			rapid.String(),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 3000), func(b []byte) string { return string(b) }),
			rapid.Map(rapid.StringN(1, 20, -1), func(s string) string { return strings.Repeat(s, 300) }),
		).Draw(t, "msg")
		got := (&wire.Error{Op: "op", Msg: msg}).Error()
		require.LessOrEqual(t, len(got), 1024)
		require.True(t, utf8.ValidString(got))
		require.Equal(t, -1, strings.IndexFunc(got, unicode.IsControl), "%q", got)
	})
}

func TestErrorIs(t *testing.T) {
	timeout := &wire.Error{Kind: wire.KindTimeout}
	err := fmt.Errorf("send: %w", wire.Errorf(wire.KindTimeout, "dial", "after 8 s: %w", io.ErrUnexpectedEOF))
	require.ErrorIs(t, err, timeout)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NotErrorIs(t, err, &wire.Error{Kind: wire.KindIO})
	require.NotErrorIs(t, err, &wire.Error{Kind: wire.KindTimeout, Op: "dial"}, "only a bare error stands for its kind")
	require.NotErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, wire.Errorf(wire.KindClosed, "send", "the agent is closed"), net.ErrClosed)

	both := wire.Errorf(wire.KindIO, "close", "%w, %w", io.ErrShortWrite, fs.ErrPermission)
	require.ErrorIs(t, both, io.ErrShortWrite)
	require.ErrorIs(t, both, fs.ErrPermission)
	require.Equal(t, "close: short write, permission denied", both.Error())
}

func TestTimeoutMethod(t *testing.T) {
	require.True(t, (&wire.Error{Kind: wire.KindTimeout}).Timeout())
	require.False(t, (&wire.Error{Kind: wire.KindIO}).Timeout())
}

func TestRetryableStartsAsTheKindHasIt(t *testing.T) {
	require.True(t, wire.Errorf(wire.KindBusy, "", "full").Retryable)
	require.False(t, wire.Errorf(wire.KindTooLarge, "", "17 MiB").Retryable)
}

func TestKindOf(t *testing.T) {
	_, missing := os.Open(filepath.Join(t.TempDir(), "missing"))
	closedFile, err := os.Open(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, closedFile.Close())
	_, closedRead := closedFile.Read(make([]byte, 1))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	listener, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	require.NoError(t, listener.SetDeadline(time.Unix(1, 0)))
	_, _, late := listener.ReadFrom(make([]byte, 1))
	require.NoError(t, listener.Close())
	_, _, closedSocket := listener.ReadFrom(make([]byte, 1))

	tests := []struct {
		name string
		err  error
		want wire.Kind
	}{
		{"nil", nil, 0},
		{"own", wire.Errorf(wire.KindAuth, "hello", "bad"), wire.KindAuth},
		{"wrapped", fmt.Errorf("x: %w", wire.Errorf(wire.KindAuth, "hello", "bad")), wire.KindAuth},
		{"outermost", wire.Errorf(wire.KindPolicy, "", "%w", wire.Errorf(wire.KindAuth, "", "bad")), wire.KindPolicy},
		{"own before its cause", wire.Errorf(wire.KindDisconnected, "", "%w", context.Canceled), wire.KindDisconnected},
		{"joined", errors.Join(io.EOF, wire.Errorf(wire.KindAuth, "", "bad")), wire.KindAuth},
		{"cancelled", ended.Err(), wire.KindCancelled},
		{"expired", expired.Err(), wire.KindTimeout},
		{"deadline of a socket", late, wire.KindTimeout},
		{"closed socket", closedSocket, wire.KindClosed},
		{"closed file", closedRead, wire.KindClosed},
		{"closed pipe", io.ErrClosedPipe, wire.KindClosed},
		{"missing file", missing, wire.KindNotFound},
		{"permission", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}, wire.KindIO},
		{"anything", errors.New("timeout: closed"), wire.KindIO},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, wire.KindOf(tt.err)) })
	}
}

func TestDelivered(t *testing.T) {
	require.Equal(t, []string{"", "no", "unknown"},
		[]string{wire.DeliveredNA.String(), wire.DeliveredNo.String(), wire.DeliveredUnknown.String()})
}

func TestUndeliveredMarksACopy(t *testing.T) {
	shared := wire.Errorf(wire.KindBlocked, "send", "blocked")
	err := wire.Undelivered(fmt.Errorf("wrapped: %w", shared))
	var e *wire.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, wire.DeliveredNo, e.Delivered)
	require.Equal(t, wire.DeliveredNA, shared.Delivered, "the original may be shared")
	plain := errors.New("plain")
	require.Equal(t, plain, wire.Undelivered(plain))
}
