package transport

import (
	"crypto/mldsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// alpn names the protocol and its version in the handshake.
const alpn = "x0x/1"

// machineCertificate wraps a machine key in the certificate that TLS wants.
//
// Nobody checks the certificate's own signature: the key in it is the identity,
// and CertificateVerify proves possession of it (RFC 8446, section 4.4.3). So the
// signature is one zero byte instead of 3,309: the certificate has 2,056 bytes,
// and the server's first flight stays below three times the client's, which is
// what an address not yet validated may get (RFC 9000, section 8.1). A full
// handshake then takes one round trip instead of two.
func machineCertificate(key *identity.Key) (tls.Certificate, error) {
	const op = "make certificate"
	signer := key.Signer()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		// Fixed, so that the certificate tells nothing but the key. The end is
		// the "no well-defined expiry" of RFC 5280, section 4.1.2.5.
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:  time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return tls.Certificate{}, wire.Errorf(wire.KindUnsupported, op, "%w", err)
	}
	var parts struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if _, err := asn1.Unmarshal(signed, &parts); err != nil {
		return tls.Certificate{}, wire.Errorf(wire.KindCorrupt, op, "%w", err)
	}
	parts.Signature = asn1.BitString{Bytes: []byte{0}, BitLength: 8}
	der, err := asn1.Marshal(parts)
	if err != nil {
		return tls.Certificate{}, wire.Errorf(wire.KindCorrupt, op, "%w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, wire.Errorf(wire.KindCorrupt, op, "%w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: signer, Leaf: leaf}, nil
}

// peerMachine returns the machine that a TLS session belongs to. TLS has proved
// that the peer holds the key, now or in the session that this one resumes.
func peerMachine(cs tls.ConnectionState) (identity.MachineID, error) {
	const op = "authenticate machine"
	if len(cs.PeerCertificates) != 1 {
		return identity.MachineID{}, wire.Errorf(wire.KindAuth, op, "%d certificates, want 1", len(cs.PeerCertificates))
	}
	key, ok := cs.PeerCertificates[0].PublicKey.(*mldsa.PublicKey)
	if !ok || key.Parameters() != mldsa.MLDSA65() {
		return identity.MachineID{}, wire.Errorf(wire.KindAuth, op, "the certificate's key is not ML-DSA-65")
	}
	return sha256.Sum256(key.Bytes()), nil
}

// baseTLS is what both roles share. crypto/tls must not check names or chains:
// there are none. VerifyConnection does what stands in their place, and unlike
// VerifyPeerCertificate it also runs when a session is resumed.
func baseTLS(cert tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates:       []tls.Certificate{cert},
		MinVersion:         tls.VersionTLS13,
		CurvePreferences:   []tls.CurveID{tls.X25519MLKEM768},
		NextProtos:         []string{alpn},
		InsecureSkipVerify: true,
		ClientAuth:         tls.RequireAnyClientCert,
	}
}

// serverTLS accepts any machine, and resumes what is in the table.
func serverTLS(cert tls.Certificate, tickets *ticketTable) *tls.Config {
	c := baseTLS(cert)
	c.WrapSession, c.UnwrapSession = tickets.wrap, tickets.unwrap
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		_, err := peerMachine(cs)
		return err
	}
	return c
}

// clientTLS accepts the expected machine only, or any if expect is zero, and
// resumes with a session of that machine only.
func clientTLS(cert tls.Certificate, sessions *sessionCache, expect identity.MachineID) *tls.Config {
	c := baseTLS(cert)
	slot := sessions.slot(expect)
	c.ClientSessionCache = slot
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		got, err := peerMachine(cs)
		if err != nil {
			return err
		}
		if !expect.IsZero() && got != expect {
			return wire.Errorf(wire.KindAuth, "authenticate machine", "machine %s answers instead of %s", got.Short(), expect.Short())
		}
		slot.learn(got)
		return nil
	}
	return c
}
