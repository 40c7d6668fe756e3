package transport

import (
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
)

// socketBuffer is what the kernel is asked for in each direction, as quic-go does:
// room for one bandwidth-delay product of a fast path.
const socketBuffer = 7 << 20

// socket is the UDP socket as quic-go gets it: its buffers are sized already, and
// errors that pass do not end it. For quic-go, any error of the socket but a
// timeout ends the endpoint when reading and the connection when writing.
type socket struct {
	*net.UDPConn
	batch batchReader
	asked atomic.Int32 // for a descriptor

	readErrors, writeErrors atomic.Uint64 // that were passed over
	received, sent          atomic.Uint64 // bytes of UDP payload
}

// batchReader is what quic-go reads from: recvmmsg where there is one.
type batchReader interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
}

func newSocket(c *net.UDPConn) *socket {
	sizeBuffers(c, socketBuffer)
	return &socket{UDPConn: c, batch: ipv4.NewPacketConn(c)}
}

// Errors that say nothing about the socket: those that an ICMP message to an
// earlier packet left behind, and those of a kernel short of memory.
var (
	passingReads = []error{
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
		syscall.EHOSTDOWN, syscall.ENETDOWN, syscall.ENOBUFS, syscall.ENOMEM,
	}
	passingWrites = []error{syscall.ENOBUFS, syscall.ENOMEM}
)

func isOneOf(err error, list []error) bool {
	return slices.ContainsFunc(list, func(e error) bool { return errors.Is(err, e) })
}

// ReadBatch passes over errors that pass. An ICMP error is gone once it is
// reported; for memory there is a pause, so that waiting for it takes no processor.
func (s *socket) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		n, err := s.batch.ReadBatch(ms, flags)
		if err == nil || !isOneOf(err, passingReads) {
			bytes := 0
			for i := range max(n, 0) {
				bytes += ms[i].N
			}
			s.received.Add(uint64(bytes))
			return n, err
		}
		s.readErrors.Add(1)
		if isOneOf(err, passingWrites) {
			time.Sleep(time.Millisecond)
		}
	}
}

// WriteMsgUDP makes a packet for which the kernel has no room a lost packet.
func (s *socket) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (int, int, error) {
	n, oobn, err := s.UDPConn.WriteMsgUDP(b, oob, addr)
	if err != nil && isOneOf(err, passingWrites) {
		s.writeErrors.Add(1)
		return len(b), len(oob), nil
	}
	s.sent.Add(uint64(max(n, 0)))
	return n, oobn, err
}

var errSized = errors.New("transport: the socket's buffers are sized")

// SyscallConn fails twice. quic-go would size the buffers itself, and where the
// system grants less print a warning to the standard logger, which in a library is
// somebody else's terminal. It does not look at the result when it gets no
// descriptor, so the first two requests for one, of the two buffers, fail; the
// others are those of the fast path.
func (s *socket) SyscallConn() (syscall.RawConn, error) {
	if s.asked.Add(1) <= 2 {
		return nil, errSized
	}
	return s.UDPConn.SyscallConn()
}

// SetReadBuffer does nothing, so that quic-go cannot shrink what was forced.
func (s *socket) SetReadBuffer(int) error { return nil }

// SetWriteBuffer does nothing either.
func (s *socket) SetWriteBuffer(int) error { return nil }
