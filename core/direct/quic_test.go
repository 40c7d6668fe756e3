package direct

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// quicConns returns the two ends of a connection over loopback.
func quicConns(t testing.TB) (dialled, accepted *quic.Conn) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, pub, priv)
	if err != nil {
		t.Fatal(err)
	}
	server := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: priv}}, NextProtos: []string{"test"}}
	client := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"test"}}
	config := &quic.Config{MaxIncomingUniStreams: 100}
	socket := func() *quic.Transport {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		tr := &quic.Transport{Conn: c}
		t.Cleanup(func() { tr.Close(); c.Close() })
		return tr
	}
	st, ct := socket(), socket()
	listener, err := st.Listen(server, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	dialled, err = ct.Dial(ctx, st.Conn.LocalAddr(), client, config)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err = listener.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.CloseWithError(0, ""); accepted.CloseWithError(0, "") })
	return dialled, accepted
}

// quicLink is a Link over a QUIC connection.
type quicLink struct {
	*quic.Conn
	id      [16]byte
	agent   identity.AgentID
	machine identity.MachineID
}

type quicSend struct{ *quic.SendStream }

func (s quicSend) Cancel(code uint64) { s.CancelWrite(quic.StreamErrorCode(code)) }

type quicReceive struct{ *quic.ReceiveStream }

func (s quicReceive) Cancel(code uint64) { s.CancelRead(quic.StreamErrorCode(code)) }

func (l *quicLink) Agent() identity.AgentID     { return l.agent }
func (l *quicLink) Machine() identity.MachineID { return l.machine }
func (l *quicLink) ID() [16]byte                { return l.id }
func (l *quicLink) RTT() time.Duration          { return l.ConnectionStats().SmoothedRTT }
func (l *quicLink) Path() string                { return "direct" }
func (l *quicLink) Watch() func()               { return func() {} }
func (l *quicLink) Done() <-chan struct{}       { return l.Context().Done() }
func (l *quicLink) Fail(reason string)          { l.CloseWithError(1, reason) }

func (l *quicLink) OpenUni(ctx context.Context, kind byte) (SendStream, error) {
	s, err := l.OpenUniStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.Write([]byte{kind}); err != nil {
		return nil, err
	}
	return quicSend{s}, nil
}

// serve hands the streams of l to m until the connection ends.
func (l *quicLink) serve(m *Manager) {
	var streams sync.WaitGroup
	defer streams.Wait()
	for {
		s, err := l.AcceptUniStream(context.Background())
		if err != nil {
			m.LinkDown(l, err)
			return
		}
		streams.Go(func() {
			var kind [1]byte
			if _, err := s.Read(kind[:]); err == nil {
				m.HandleStream(l, kind[0], quicReceive{s})
			}
		})
	}
}

// quicPair returns two managers linked over loopback.
func quicPair(t testing.TB, change func(*Config)) (a, b *Manager) {
	a, b = newManager(t, 1, change), newManager(t, 2, change)
	ca, cb := quicConns(t)
	id := [16]byte{1}
	la := &quicLink{Conn: ca, id: id, agent: b.cfg.Self, machine: b.cfg.Machine}
	lb := &quicLink{Conn: cb, id: id, agent: a.cfg.Self, machine: a.cfg.Machine}
	a.LinkUp(la)
	b.LinkUp(lb)
	var serving sync.WaitGroup
	serving.Go(func() { la.serve(a) })
	serving.Go(func() { lb.serve(b) })
	t.Cleanup(func() {
		ca.CloseWithError(0, "")
		cb.CloseWithError(0, "")
		serving.Wait()
	})
	return a, b
}
