package transport

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// stranger speaks the protocol by hand: TLS as a machine, the rest as it likes.
type stranger struct {
	*quic.Conn
	session *session
	machine identity.MachineID
}

func newStranger(t testing.TB, b *Endpoint, machine *identity.Key) *stranger {
	t.Helper()
	cert, err := machineCertificate(machine)
	require.NoError(t, err)
	q, err := dialBare(t, b, baseTLS(cert), &quic.Config{EnableDatagrams: true})
	require.NoError(t, err)
	t.Cleanup(func() { q.CloseWithError(0, "") })
	s, err := newSession(q.ConnectionState().TLS)
	require.NoError(t, err)
	return &stranger{Conn: q, session: s, machine: machine.Public().MachineID()}
}

// dialBare dials with quic-go alone, from a socket that ends with the test: the transport of
// quic.DialAddr would live on for as long as a closed connection lingers.
func dialBare(t testing.TB, b *Endpoint, tlsConf *tls.Config, conf *quic.Config) (*quic.Conn, error) {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	tr := &quic.Transport{Conn: socket}
	t.Cleanup(func() { tr.Close(); socket.Close() })
	return tr.Dial(testContext(t), net.UDPAddrFromAddrPort(b.LocalAddrs()[0]), tlsConf, conf)
}

// listenBare listens likewise.
func listenBare(t testing.TB, tlsConf *tls.Config, conf *quic.Config) (*quic.Listener, error) {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	tr := &quic.Transport{Conn: socket}
	t.Cleanup(func() { tr.Close(); socket.Close() })
	return tr.Listen(tlsConf, conf)
}

// hello makes a hello that holds on this connection.
func (s *stranger) hello(t testing.TB, b *Endpoint, agent *identity.Key) *hello {
	t.Helper()
	h := &hello{network: b.network, seq: 1}
	copy(h.agentKey[:], agent.Public().Bytes())
	require.NoError(t, h.sign(agent, s.binding(b, roleDialler)))
	return h
}

func (s *stranger) binding(b *Endpoint, role byte) *binding {
	return &binding{exporter: s.session.exporter, dialler: s.machine, acceptor: b.MachineID(), role: role}
}

// say sends bytes on the first stream and returns the frame that answers.
func (s *stranger) say(t testing.TB, b []byte) (typ byte, body []byte, err error) {
	t.Helper()
	st, err := s.OpenStream()
	require.NoError(t, err)
	if _, err := st.Write(b); err != nil {
		return 0, nil, err // closed on us
	}
	_ = st.Close() // fails when all was read already
	return wire.NewFrameReader(st, maxHelloFrame).Next()
}

func (s *stranger) sayHello(t testing.TB, h *hello) (typ byte, body []byte, err error) {
	t.Helper()
	return s.say(t, wire.AppendFrame([]byte{byte(KindControl)}, frameHello, h.marshal()))
}

func requireRefused(t testing.TB, code refuseCode, typ byte, body []byte, err error) {
	t.Helper()
	require.NoError(t, err)
	require.Equal(t, byte(frameRefuse), typ)
	r, err := parseRefusal(body)
	require.NoError(t, err)
	require.Equal(t, code, r.code, "%s", r.reason)
}

func TestHelloProofHoldsForOneConnectionOnly(t *testing.T) {
	b := listen(t, testConfig(t, 2))
	machine, agent := testKey(t, 2), testKey(t, 3)
	// A control: what the test makes by hand is what the endpoint takes.
	first := newStranger(t, b, machine)
	good := first.hello(t, b, agent)
	typ, _, err := first.sayHello(t, good)
	require.NoError(t, err)
	require.Equal(t, byte(frameWelcome), typ)
	c, err := b.Accept(testContext(t))
	require.NoError(t, err)
	require.Equal(t, agent.Public().AgentID(), c.AgentID())

	for _, tt := range []struct {
		name string
		code refuseCode
		make func(s *stranger) *hello
	}{
		{"replayed from another connection", refuseAuth, func(*stranger) *hello { return good }},
		{"of another agent", refuseAuth, func(s *stranger) *hello {
			h := s.hello(t, b, agent)
			copy(h.agentKey[:], testKey(t, 9).Public().Bytes())
			return h
		}},
		{"for another acceptor", refuseAuth, func(s *stranger) *hello {
			h := s.hello(t, b, agent)
			bind := s.binding(b, roleDialler)
			bind.acceptor = testKey(t, 9).Public().MachineID()
			require.NoError(t, h.sign(agent, bind))
			return h
		}},
		{"by another machine", refuseAuth, func(s *stranger) *hello {
			h := s.hello(t, b, agent)
			bind := s.binding(b, roleDialler)
			bind.dialler = testKey(t, 9).Public().MachineID()
			require.NoError(t, h.sign(agent, bind))
			return h
		}},
		{"in the other role", refuseAuth, func(s *stranger) *hello {
			h := s.hello(t, b, agent)
			require.NoError(t, h.sign(agent, s.binding(b, roleAcceptor)))
			return h
		}},
		{"with a field changed after signing", refuseAuth, func(s *stranger) *hello {
			h := s.hello(t, b, agent)
			h.seq++
			return h
		}},
		{"under another domain", refuseAuth, func(s *stranger) *hello {
			h := s.hello(t, b, agent)
			sig, err := agent.Sign(s.binding(b, roleDialler).signed(h), []byte(identity.DomainEnvelope))
			require.NoError(t, err)
			copy(h.proof[:], sig)
			return h
		}},
		{"without a proof", refuseAuth, func(s *stranger) *hello {
			h := s.hello(t, b, agent)
			clear(h.proof[:])
			return h
		}},
		{"of another network", refuseNetwork, func(s *stranger) *hello {
			h := s.hello(t, b, agent)
			h.network = networkDigest("another")
			require.NoError(t, h.sign(agent, s.binding(b, roleDialler)))
			return h
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStranger(t, b, machine)
			typ, body, err := s.sayHello(t, tt.make(s))
			requireRefused(t, tt.code, typ, body, err)
		})
	}
	eventually(t, "places are given back", func() bool { return b.Stats().HalfOpen == 0 })
}

// An acceptor that cannot prove its agent is found out by the dialler.
func TestDiallerChecksTheAcceptorsProof(t *testing.T) {
	a := listen(t, testConfig(t, 1))
	machine := testKey(t, 4)
	cert, err := machineCertificate(machine)
	require.NoError(t, err)
	l, err := listenBare(t, serverTLS(cert, newTicketTable()), &quic.Config{EnableDatagrams: true})
	require.NoError(t, err)
	defer l.Close()

	for _, tt := range []struct {
		name   string
		kind   wire.Kind
		answer func(h *hello, s *session) []byte
	}{
		{"its dialler's own proof thrown back", wire.KindAuth, func(h *hello, _ *session) []byte {
			return wire.AppendFrame(nil, frameWelcome, h.marshal())
		}},
		{"another network", wire.KindNetworkMismatch, func(_ *hello, s *session) []byte {
			h := &hello{network: networkDigest("another")}
			return wire.AppendFrame(nil, frameWelcome, h.marshal())
		}},
		{"no frame", wire.KindCorrupt, func(*hello, *session) []byte { return []byte{0} }},
		{"an oversized frame", wire.KindTooLarge, func(*hello, *session) []byte { return []byte{0xff, 0xff, 0xff, 0x7f, 2} }},
		{"an unknown frame", wire.KindCorrupt, func(*hello, *session) []byte { return wire.AppendFrame(nil, 9) }},
		{"a cut refusal", wire.KindCorrupt, func(*hello, *session) []byte { return wire.AppendFrame(nil, frameRefuse, []byte{1}) }},
		{"silence and the end", wire.KindIO, func(*hello, *session) []byte { return nil }},
		{"a refusal with control characters", wire.KindAuth, func(*hello, *session) []byte {
			r := &refusal{code: refuseAuth, reason: "no\x1b[2J\nway"}
			return wire.AppendFrame(nil, frameRefuse, r.marshal())
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := testContext(t)
			served := make(chan struct{})
			go func() {
				defer close(served)
				q, err := l.Accept(ctx)
				if err != nil {
					return
				}
				st, err := q.AcceptStream(ctx)
				if err != nil {
					return
				}
				raw, _ := io.ReadAll(st)
				_, body, _ := wire.NewFrameReader(bytes.NewReader(raw[1:]), maxHelloFrame).Next()
				h, _ := parseHello(body)
				s, _ := newSession(q.ConnectionState().TLS)
				_, _ = st.Write(tt.answer(h, s))
				_ = st.Close()
				<-q.Context().Done()
			}()
			_, err := a.Dial(ctx, udpAddr(l.Addr()), machine.Public().MachineID())
			require.Equal(t, tt.kind, wire.KindOf(err), "%v", err)
			require.NotContains(t, err.Error(), "\x1b")
			require.NotContains(t, err.Error(), "\n")
			<-served
		})
	}
	eventually(t, "nothing stays open", func() bool { return a.Stats().Open == 0 })
}

func TestMalformedHellosEndTheConnection(t *testing.T) {
	b := listen(t, testConfig(t, 2))
	machine, agent := testKey(t, 2), testKey(t, 3)
	for _, tt := range []struct {
		name string
		make func(s *stranger) []byte
	}{
		{"another kind of stream first", func(s *stranger) []byte { return []byte{byte(KindDirect), 1, 2, 3} }},
		{"an unknown kind first", func(s *stranger) []byte { return []byte{0xfe} }},
		{"nothing", func(s *stranger) []byte { return nil }},
		{"only the kind", func(s *stranger) []byte { return []byte{byte(KindControl)} }},
		{"a frame too large", func(s *stranger) []byte { return []byte{byte(KindControl), 0xff, 0xff, 0xff, 0x7f, 1} }},
		{"a frame of no length", func(s *stranger) []byte { return []byte{byte(KindControl), 0} }},
		{"an answer instead of a hello", func(s *stranger) []byte {
			return wire.AppendFrame([]byte{byte(KindControl)}, frameWelcome, s.hello(t, b, agent).marshal())
		}},
		{"a cut frame", func(s *stranger) []byte {
			f := wire.AppendFrame([]byte{byte(KindControl)}, frameHello, s.hello(t, b, agent).marshal())
			return f[:len(f)-1]
		}},
		{"noise", func(s *stranger) []byte { return append([]byte{byte(KindControl)}, noise(64<<10)...) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStranger(t, b, machine)
			_, _, err := s.say(t, tt.make(s))
			require.Error(t, err)
			<-s.Context().Done()
			var app *quic.ApplicationError
			require.ErrorAs(t, context.Cause(s.Context()), &app)
			require.Equal(t, quic.ApplicationErrorCode(CloseProtocol), app.ErrorCode)
		})
	}
	for _, tt := range []struct {
		name string
		code refuseCode
		make func(h []byte) []byte
	}{
		{"a hello cut short", refuseMalformed, func(h []byte) []byte { return h[:len(h)-1] }},
		{"bytes after the hello", refuseMalformed, func(h []byte) []byte { return append(h, 0) }},
		{"an empty hello", refuseMalformed, func(h []byte) []byte { return nil }},
		{"another version", refuseVersion, func(h []byte) []byte { h[0] = 2; return h }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStranger(t, b, machine)
			h := tt.make(s.hello(t, b, agent).marshal())
			typ, body, err := s.say(t, wire.AppendFrame([]byte{byte(KindControl)}, frameHello, h))
			requireRefused(t, tt.code, typ, body, err)
		})
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func TestHelloParseGivesTheSameBytes(t *testing.T) {
	h := &hello{network: networkDigest("n"), instance: [16]byte{1}, seq: 7, gaveUp: ConnID{9}, capabilities: 3}
	_, _ = rand.Read(h.proof[:])
	b := h.marshal()
	require.Len(t, b, helloSize)
	got, err := parseHello(b)
	require.NoError(t, err)
	require.Equal(t, h, got)
	for n := range b {
		_, err := parseHello(b[:n])
		require.Error(t, err, "%d of %d bytes", n, len(b))
	}
	_, err = parseHello(append(b, 0))
	require.Equal(t, wire.KindCorrupt, wire.KindOf(err))
}

func FuzzParseHello(f *testing.F) {
	h := &hello{network: networkDigest("n"), seq: 7}
	good := h.marshal()
	f.Add(good)
	f.Add(good[:100])
	f.Add([]byte{})
	f.Add([]byte{2})
	f.Add(append(bytes.Clone(good), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(b)
		if err != nil {
			return
		}
		if !bytes.Equal(h.marshal(), b) {
			t.Fatal("another encoding of the same hello")
		}
	})
}

func FuzzReadHelloFrame(f *testing.F) {
	f.Add(wire.AppendFrame(nil, frameHello, (&hello{}).marshal()))
	f.Add(wire.AppendFrame(nil, frameRefuse))
	f.Add([]byte{0})
	f.Add([]byte{0x80, 0, 1})
	f.Add([]byte{0xff, 0xff, 0xff, 0x7f, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		typ, body, err := readHelloFrame(bytes.NewReader(b))
		if err != nil {
			return
		}
		if frame := wire.AppendFrame(nil, typ, body); !bytes.HasPrefix(b, frame) || len(body) >= maxHelloFrame {
			t.Fatal("another encoding of the same frame")
		}
		// The reader of all other frames agrees.
		typ2, body2, err := wire.NewFrameReader(bytes.NewReader(b), maxHelloFrame).Next()
		if err != nil || typ2 != typ || !bytes.Equal(body2, body) {
			t.Fatalf("wire reads %d, %d bytes, %v", typ2, len(body2), err)
		}
	})
}

func FuzzParseRefusal(f *testing.F) {
	f.Add((&refusal{code: refuseAuth, reason: "because"}).marshal())
	f.Add((&refusal{code: refuseDuplicate, stays: ConnID{1}}).marshal())
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 300))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRefusal(b)
		if err != nil {
			return
		}
		if r.kind() == 0 {
			t.Fatal("a refusal without a kind")
		}
		if len(r.Error()) > maxReason {
			t.Fatal("an endless reason")
		}
		if !bytes.Equal(r.marshal(), b) {
			t.Fatal("another encoding of the same refusal")
		}
	})
}
