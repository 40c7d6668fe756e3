package transport

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// script is a batchReader that returns errors first.
type script struct {
	batchReader
	errs []error
}

func (s *script) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		return 0, &net.OpError{Op: "read", Err: os.NewSyscallError("recvmmsg", err)}
	}
	return s.batchReader.ReadBatch(ms, flags)
}

func TestPassingSocketErrorsDoNotEndTheEndpoint(t *testing.T) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	s := newSocket(c)
	defer s.Close()
	errs := []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENOBUFS, syscall.ENOMEM, syscall.ENETDOWN}
	s.batch = &script{s.batch, errs}
	_, err = c.WriteToUDP([]byte("hi"), c.LocalAddr().(*net.UDPAddr))
	require.NoError(t, err)
	ms := []ipv4.Message{{Buffers: [][]byte{make([]byte, 10)}}}
	n, err := s.ReadBatch(ms, 0)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, uint64(len(errs)), s.readErrors.Load())

	s.batch = &script{s.batch, []error{syscall.EBADF}}
	_, err = s.ReadBatch(ms, 0)
	require.ErrorIs(t, err, syscall.EBADF, "an error of the socket itself is not passed over")
}

// A socket that really fails is reported, and nothing hangs.
func TestFailedSocketIsReported(t *testing.T) {
	a, b := startNode(t, testConfig(t, 1), PeersConfig{}), startNode(t, testConfig(t, 2), PeersConfig{})
	a.hintTo(b, b.Addr())
	_, err := a.Connect(testContext(t), b.Endpoint.AgentID())
	require.NoError(t, err)
	a.socket.UDPConn.Close()
	a.rec.wait(t, "an error and a disconnect", func(r *recorder) bool {
		return r.count(Error) == 1 && r.count(Disconnected) == 1
	})
	_, err = a.Endpoint.Dial(context.Background(), b.Addr(), b.MachineID())
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
}
