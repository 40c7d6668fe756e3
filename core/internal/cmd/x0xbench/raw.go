package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"os"
	"time"

	"github.com/quic-go/quic-go"
)

// The raw layer: quic-go alone, with its default configuration and an Ed25519 certificate.

const rawALPN = "raw"

func rawTLS(signer any, public any) *tls.Config {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, signer)
	if err != nil {
		panic(err) // our own constants
	}
	return &tls.Config{
		Certificates:       []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: signer}},
		InsecureSkipVerify: true, // the raw layer has no identities
		NextProtos:         []string{rawALPN},
	}
}

func ed25519TLS() *tls.Config {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return rawTLS(private, public)
}

// mldsaTLS is mutual authentication with certificates of the standard library, as a program
// would have it that asks crypto/tls for ML-DSA-65 over X25519MLKEM768.
func mldsaTLS() (*tls.Config, error) {
	key, err := mldsa.GenerateKey(mldsa.MLDSA65())
	if err != nil {
		return nil, err
	}
	c := rawTLS(key, key.Public())
	c.ClientAuth = tls.RequireAnyClientCert
	c.CurvePreferences = []tls.CurveID{tls.X25519MLKEM768}
	return c, nil
}

// untilInputEnds ends ctx with the standard input.
func untilInputEnds() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx
}

// rawServer serves streams: the first byte says how.
//
//	e  echo every byte
//	s  frames of a 4-byte length and a body, read one by one; a byte back at each of length 0
//	b  discard; a byte back after as many bytes as the 8 bytes behind say, repeatedly
func rawServer() error {
	l, err := quic.ListenAddr("127.0.0.1:0", ed25519TLS(), nil)
	if err != nil {
		return err
	}
	defer l.Close()
	ctx := untilInputEnds()
	say(hello{Addr: l.Addr().String()})
	for {
		c, err := l.Accept(ctx)
		if err != nil {
			return nil
		}
		go func() {
			for {
				s, err := c.AcceptStream(ctx)
				if err != nil {
					return
				}
				go rawStream(s)
			}
		}()
	}
}

func rawStream(s *quic.Stream) {
	defer s.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(s, first); err != nil {
		return
	}
	switch first[0] {
	case 'e':
		buf := make([]byte, 64)
		for {
			n, err := s.Read(buf)
			if err != nil {
				return
			}
			if _, err := s.Write(buf[:n]); err != nil {
				return
			}
		}
	case 's':
		r := bufio.NewReaderSize(s, 64<<10)
		head := make([]byte, 4)
		body := make([]byte, 64<<10)
		for {
			if _, err := io.ReadFull(r, head); err != nil {
				return
			}
			n := binary.BigEndian.Uint32(head)
			if n == 0 {
				if _, err := s.Write(head[:1]); err != nil {
					return
				}
				continue
			}
			if _, err := io.ReadFull(r, body[:n]); err != nil {
				return
			}
		}
	case 'b':
		head := make([]byte, 8)
		buf := make([]byte, 256<<10)
		for {
			if _, err := io.ReadFull(s, head); err != nil {
				return
			}
			for left := int64(binary.BigEndian.Uint64(head)); left > 0; {
				n, err := s.Read(buf[:min(left, int64(len(buf)))])
				if err != nil {
					return
				}
				left -= int64(n)
			}
			if _, err := s.Write(head[:1]); err != nil {
				return
			}
		}
	}
}

// rawClient opens a stream of a kind to a raw server.
func rawClient(addr string, kind byte) (*quic.Stream, func(), error) {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, nil, err
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, nil, err
	}
	tr := &quic.Transport{Conn: socket}
	stop := func() { tr.Close(); socket.Close() }
	c, err := tr.Dial(context.Background(), to, ed25519TLS(), nil)
	if err != nil {
		stop()
		return nil, nil, err
	}
	s, err := c.OpenStream()
	if err == nil {
		_, err = s.Write([]byte{kind})
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return s, func() { c.CloseWithError(0, ""); stop() }, nil
}
