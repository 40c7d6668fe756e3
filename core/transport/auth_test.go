package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/transport/transporttest"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestCertificateIsShortAndTellsNothingButTheKey(t *testing.T) {
	key := testKey(t, 1)
	one, err := machineCertificate(key)
	require.NoError(t, err)
	two, err := machineCertificate(key)
	require.NoError(t, err)
	require.Equal(t, one.Certificate, two.Certificate)
	require.Less(t, len(one.Certificate[0]), 2100)
	m, err := peerMachine(tls.ConnectionState{PeerCertificates: []*x509.Certificate{one.Leaf}})
	require.NoError(t, err)
	require.Equal(t, key.Public().MachineID(), m)
}

// A dialler takes no machine but the one that it asked for.
func TestDialPinsTheMachine(t *testing.T) {
	a, b := listen(t, testConfig(t, 1)), listen(t, testConfig(t, 2))
	_, err := a.Dial(testContext(t), b.Addr(), testKey(t, 99).Public().MachineID())
	require.Equal(t, wire.KindAuth, wire.KindOf(err))
	require.ErrorContains(t, err, b.MachineID().Short())

	// Any machine, for a bootstrap address, says which one it was.
	c, err := a.Dial(testContext(t), b.Addr(), identity.MachineID{})
	require.NoError(t, err)
	require.Equal(t, b.MachineID(), c.MachineID())
}

func TestResumption(t *testing.T) {
	a, b := listen(t, testConfig(t, 1)), listen(t, testConfig(t, 2))
	ids := map[ConnID]bool{}
	exporters := map[[32]byte]bool{}
	for i := range 4 {
		ab, ba := pair(t, a, b, b.Addr())
		require.Equal(t, i > 0, ab.Resumed())
		require.Equal(t, i > 0, ba.Resumed())
		require.Equal(t, b.MachineID(), ab.MachineID())
		require.Equal(t, a.MachineID(), ba.MachineID())
		require.Equal(t, a.AgentID(), ba.AgentID())
		require.Equal(t, ab.session.exporter, ba.session.exporter)
		ids[ab.ID()], exporters[ab.session.exporter] = true, true
		waitSession(t, a, b.MachineID())
		ab.Close(CloseGoodbye, "")
		waitDone(t, ba)
	}
	require.Len(t, ids, 4, "the id differs on every connection")
	require.Len(t, exporters, 4, "and so does what the proof is bound to")
}

// waitSession waits for the ticket, which follows the handshake.
func waitSession(t testing.TB, e *Endpoint, m identity.MachineID) {
	t.Helper()
	eventually(t, "a session to resume", func() bool {
		_, ok := e.sessions.slot(m).Get("")
		return ok
	})
}

func TestTicketsAreShort(t *testing.T) {
	a, b := listen(t, testConfig(t, 1)), listen(t, testConfig(t, 2))
	pair(t, a, b, b.Addr())
	waitSession(t, a, b.MachineID())
	cs, _ := a.sessions.slot(b.MachineID()).Get("")
	ticket, state, err := cs.ResumptionState()
	require.NoError(t, err)
	require.Len(t, ticket, 16)
	require.False(t, state.EarlyData, "0-RTT data would leave before the pin is checked")
}

// The address of b is taken over by another machine: the dial that could resume
// with b must fail, and go on failing when the impostor cannot know the ticket.
func TestResumptionWithAnotherMachineFails(t *testing.T) {
	a, b := listen(t, testConfig(t, 1)), listen(t, testConfig(t, 2))
	pair(t, a, b, b.Addr())
	waitSession(t, a, b.MachineID())
	at := b.Addr()
	require.NoError(t, b.Close(testContext(t)))

	cfg := testConfig(t, 3)
	cfg.Bind = at.String()
	listen(t, cfg)
	for range 2 {
		_, err := a.Dial(testContext(t), at, b.MachineID())
		require.Equal(t, wire.KindAuth, wire.KindOf(err))
	}
}

// Even with b's session under c's name, the pin holds: it is checked on what the
// session says about the peer, and crypto/tls checks it on resumption too.
func TestMisfiledSessionFails(t *testing.T) {
	a, b, c := listen(t, testConfig(t, 1)), listen(t, testConfig(t, 2)), listen(t, testConfig(t, 3))
	pair(t, a, b, b.Addr())
	waitSession(t, a, b.MachineID())
	cs, _ := a.sessions.slot(b.MachineID()).Get("")
	a.sessions.slot(c.MachineID()).Put("", cs)
	_, err := a.Dial(testContext(t), b.Addr(), c.MachineID())
	require.Equal(t, wire.KindAuth, wire.KindOf(err))
	require.ErrorContains(t, err, b.MachineID().Short())
}

// Two identities in one process resume as themselves.
func TestIdentitiesShareNoSession(t *testing.T) {
	a1, a2, b := listen(t, testConfig(t, 1)), listen(t, testConfig(t, 3)), listen(t, testConfig(t, 2))
	pair(t, a1, b, b.Addr())
	waitSession(t, a1, b.MachineID())
	first, ba := pair(t, a2, b, b.Addr())
	require.False(t, first.Resumed())
	require.Equal(t, a2.MachineID(), ba.MachineID())
	require.NotSame(t, a1.sessions.lru, a2.sessions.lru)
	for range 2 {
		waitSession(t, a2, b.MachineID())
		_, ba1 := pair(t, a1, b, b.Addr())
		_, ba2 := pair(t, a2, b, b.Addr())
		require.True(t, ba1.Resumed())
		require.True(t, ba2.Resumed())
		require.Equal(t, a1.MachineID(), ba1.MachineID())
		require.Equal(t, a2.MachineID(), ba2.MachineID())
	}
	// The other trap: one machine, two networks.
	require.NotEqual(t, newSessionCache("x").key(b.MachineID()), newSessionCache("y").key(b.MachineID()))
}

// A server name would tell every observer on the way whom we look for.
func TestClientHelloNamesNobody(t *testing.T) {
	b := testConfig(t, 2)
	cert, err := machineCertificate(b.Machine)
	require.NoError(t, err)
	names := make(chan string, 1)
	conf := serverTLS(cert, newTicketTable())
	conf.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		names <- h.ServerName
		return nil, nil
	}
	l, err := listenBare(t, conf, &quic.Config{})
	require.NoError(t, err)
	a := listen(t, testConfig(t, 1))
	ctx, cancel := context.WithCancel(testContext(t))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = a.Dial(ctx, udpAddr(l.Addr()), b.Machine.Public().MachineID())
	}()
	require.Empty(t, <-names)
	cancel()
	<-done
}

// When the acceptor rejects the certificate, the dialler's handshake is already
// over: the dial must fail all the same, and say why.
func TestRejectedCertificateFailsTheDial(t *testing.T) {
	b := listen(t, testConfig(t, 2))
	for _, tt := range []struct {
		name string
		cert func(t *testing.T) tls.Certificate
	}{
		{"ECDSA", ecdsaCertificate},
		{"ML-DSA-44", mldsa44Certificate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := listen(t, testConfig(t, 1))
			a.cert = tt.cert(t)
			_, err := a.Dial(testContext(t), b.Addr(), b.MachineID())
			require.Equal(t, wire.KindAuth, wire.KindOf(err), "%v", err)
			require.ErrorContains(t, err, "bad certificate")
		})
	}
}

func ecdsaCertificate(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return selfSigned(t, key.Public(), key)
}

func mldsa44Certificate(t *testing.T) tls.Certificate {
	key, err := mldsa.GenerateKey(mldsa.MLDSA44())
	require.NoError(t, err)
	return selfSigned(t, key.Public(), key)
}

func selfSigned(t testing.TB, pub, priv any) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, priv)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: priv}
}

// Whoever offers less than X25519MLKEM768, or no certificate, is no peer.
func TestWeakHandshakesFail(t *testing.T) {
	b := listen(t, testConfig(t, 2))
	cert, err := machineCertificate(testKey(t, 1))
	require.NoError(t, err)
	for _, tt := range []struct {
		name string
		edit func(*tls.Config)
	}{
		{"classical key exchange", func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519} }},
		{"no certificate", func(c *tls.Config) { c.Certificates = nil }},
		{"another protocol", func(c *tls.Config) { c.NextProtos = []string{"h3"} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conf := baseTLS(cert)
			tt.edit(conf)
			ctx := testContext(t)
			q, err := dialBare(t, b, conf, &quic.Config{})
			if err == nil { // the server looks at the certificate later
				select {
				case <-q.Context().Done():
					err = context.Cause(q.Context())
				case <-ctx.Done():
					t.Fatal("still connected")
				}
			}
			var te *quic.TransportError
			require.True(t, errors.As(err, &te) && te.ErrorCode.IsCryptoError(), "%v", err)
		})
	}
}

func TestAnotherNetworkIsRefusedWithAReason(t *testing.T) {
	a, other := testConfig(t, 1), testConfig(t, 2)
	other.NetworkID += "-other"
	e, b := listen(t, a), listen(t, other)
	_, err := e.Dial(testContext(t), b.Addr(), b.MachineID())
	require.Equal(t, wire.KindNetworkMismatch, wire.KindOf(err))
	require.Equal(t, uint64(1), b.Stats().RefusedHellos)
	require.NotContains(t, err.Error(), t.Name(), "the name of the network stays at home")
}

func TestDiallingOneselfIsRefused(t *testing.T) {
	a := listen(t, testConfig(t, 1))
	_, err := a.Dial(testContext(t), a.Addr(), a.MachineID())
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(err))
}

// One machine key may run two agents.
func TestTwoAgentsOnOneMachineConnect(t *testing.T) {
	a, cfg := testConfig(t, 1), testConfig(t, 2)
	cfg.Machine = a.Machine
	one, two := listen(t, a), listen(t, cfg)
	ab, ba := pair(t, one, two, two.Addr())
	require.Equal(t, ab.MachineID(), ba.MachineID())
	require.Equal(t, two.AgentID(), ab.AgentID())
	require.Equal(t, one.AgentID(), ba.AgentID())
}

// flights counts the flights of a dial by causality: transporttest.Counters. A
// slow machine can only add flights, so the least of a few tries is the count.
func flights(t *testing.T, a, b *Endpoint, tries int) (dial int) {
	t.Helper()
	for range tries {
		proxy := transporttest.NewProxy(t, b.Addr(), 1)
		proxy.SetDelay(25 * time.Millisecond) // a 50 ms round trip
		c, err := a.Dial(testContext(t), proxy.Addr(), b.MachineID())
		require.NoError(t, err)
		n := proxy.Stats().ToClient.Flights
		c.Close(CloseGoodbye, "")
		if dial == 0 || n < dial {
			dial = n
		}
		_, err = b.Accept(testContext(t))
		require.NoError(t, err)
	}
	return dial
}

// The handshake is one round trip (flights 1 and 2), the hello and its
// acknowledgement another (3 and 4), resumed or not. With a certificate of full
// size the server's flight would not fit in what an unproven address may get.
func TestDialTakesOneRoundTripForEach(t *testing.T) {
	b := listen(t, testConfig(t, 2))
	a := listen(t, testConfig(t, 1))
	a.sessions = noSessions()
	require.Equal(t, 4, flights(t, a, b, 5), "full handshake")

	resuming := listen(t, testConfig(t, 1))
	pair(t, resuming, b, b.Addr())
	waitSession(t, resuming, b.MachineID())
	require.Equal(t, 4, flights(t, resuming, b, 5), "resumed")

	cfg, err := testConfig(t, 3).withDefaults()
	require.NoError(t, err)
	l, err := listenWith(cfg, longCertificate(t, cfg.Machine))
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close(testContext(t))) }()
	require.Greater(t, flights(t, a, l, 3), 4, "the test can tell the difference")
}

// noSessions is a cache that remembers nothing.
func noSessions() *sessionCache { return &sessionCache{lru: forgetful{}} }

type forgetful struct{}

func (forgetful) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (forgetful) Put(string, *tls.ClientSessionState)        {}

func longCertificate(t *testing.T, key *identity.Key) tls.Certificate {
	t.Helper()
	return selfSigned(t, key.Signer().Public(), key.Signer())
}
