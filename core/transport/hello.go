package transport

import (
	"crypto/sha256"
	"crypto/tls"
	"strings"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// The hello is one exchange on the first bidirectional stream, which the dialler
// opens with the byte KindControl. All three are frames of package wire:
//
//	dialler                                acceptor
//	   | -- HELLO(hello) ----------------->  |  checks, decides
//	   | <-- WELCOME(hello) or REFUSE -----  |
//
//	hello:
//	+---------+------------+-------------+---------+------------+--------------+
//	| version | network:32 | instance:16 | seq: 8  | gave up:16 | capabilities |
//	|    :1   |            |             |         |            |      :8      |
//	+---------+------------+-------------+---------+------------+--------------+
//	| agent public key: 1952                                                   |
//	+--------------------------------------------------------------------------+
//	| proof: 3309                                                              |
//	+--------------------------------------------------------------------------+
//
//	REFUSE:
//	+--------+---------------+------------------------------+
//	| code:1 | connection:16 | reason: uvarint length, UTF-8 |
//	+--------+---------------+------------------------------+
//
// network is a digest, so that a dial to the wrong place does not tell the name.
// instance is drawn when an endpoint starts: another one is another process. seq
// rises with every dial of an instance. gave up is the Conn.ID of the last
// connection between the two that the sender considers dead, or zero. Bits of
// capabilities that a version does not know are ignored. The connection of a
// REFUSE is the one that stays when the code is refuseDuplicate, else zero.
//
// The proof is an ML-DSA-65 signature over
//
//	exporter, dialler's machine, acceptor's machine, role, hello without proof
//
// so it holds for one TLS session, one direction and one network.
const (
	frameHello   = 0x01
	frameWelcome = 0x02
	frameRefuse  = 0x03

	helloVersion = 1
	helloSize    = 1 + 32 + 16 + 8 + 16 + 8 + identity.PublicKeySize + identity.SignatureSize
	maxReason    = 200
	// maxHelloFrame bounds what a stranger can make us buffer for a frame.
	maxHelloFrame = 8 << 10
)

// TLS exporter labels (RFC 8446, section 7.5).
const (
	exporterProof = "EXPORTER-x0x-hello"
	exporterID    = "EXPORTER-x0x-connection"
)

// Roles, as signed.
const (
	roleDialler  = 'D'
	roleAcceptor = 'A'
)

// hello is the parsed form.
type hello struct {
	network      [32]byte
	instance     [16]byte
	seq          uint64
	gaveUp       ConnID
	capabilities uint64
	agentKey     [identity.PublicKeySize]byte
	proof        [identity.SignatureSize]byte
}

// networkDigest is how a network id travels.
func networkDigest(id string) [32]byte {
	return sha256.Sum256(wire.SignedBytes(identity.DomainHello, []byte(id)))
}

// unsigned appends all but the proof.
func (h *hello) unsigned(dst []byte) []byte {
	return wire.NewBuilder(dst).
		U8(helloVersion).
		Fixed(h.network[:]).
		Fixed(h.instance[:]).
		U64(h.seq).
		Fixed(h.gaveUp[:]).
		U64(h.capabilities).
		Fixed(h.agentKey[:]).
		Build()
}

func (h *hello) marshal() []byte {
	return append(h.unsigned(make([]byte, 0, helloSize)), h.proof[:]...)
}

// errHelloVersion is a version that this endpoint does not speak.
var errHelloVersion = &wire.Error{Kind: wire.KindUnsupported, Op: "parse hello", Msg: "another protocol version"}

func parseHello(b []byte) (*hello, error) {
	if len(b) > 0 && b[0] != helloVersion {
		return nil, errHelloVersion
	}
	var h hello
	p := wire.NewParser("parse hello", b)
	p.U8()
	p.Into(h.network[:])
	p.Into(h.instance[:])
	h.seq = p.U64()
	p.Into(h.gaveUp[:])
	h.capabilities = p.U64()
	p.Into(h.agentKey[:])
	p.Into(h.proof[:])
	if err := p.Done(); err != nil {
		return nil, err
	}
	return &h, nil
}

// binding is what ties a proof to one TLS session and one direction.
type binding struct {
	exporter          [32]byte
	dialler, acceptor identity.MachineID
	role              byte
}

func (b *binding) signed(h *hello) []byte {
	return wire.SignedBytes(identity.DomainHello,
		b.exporter[:], b.dialler[:], b.acceptor[:], []byte{b.role}, h.unsigned(nil))
}

func (h *hello) sign(agent *identity.Key, b *binding) error {
	sig, err := agent.Sign(b.signed(h), []byte(identity.DomainHello))
	if err != nil {
		return err
	}
	copy(h.proof[:], sig)
	return nil
}

// verify returns the agent that the hello proves.
func (h *hello) verify(b *binding) (identity.AgentID, error) {
	key, err := identity.CachedPublicKey(h.agentKey[:])
	if err != nil {
		return identity.AgentID{}, err
	}
	if !key.Verify(b.signed(h), []byte(identity.DomainHello), h.proof[:]) {
		return identity.AgentID{}, wire.Errorf(wire.KindAuth, "verify hello", "the agent's proof does not hold for this connection")
	}
	return key.AgentID(), nil
}

// session is what both sides derive from one TLS session.
type session struct {
	machine  identity.MachineID // the peer's
	id       ConnID
	exporter [32]byte
	resumed  bool
}

func newSession(cs tls.ConnectionState) (*session, error) {
	const op = "export session"
	machine, err := peerMachine(cs)
	if err != nil {
		return nil, err
	}
	s := &session{machine: machine, resumed: cs.DidResume}
	for _, e := range []struct {
		label string
		dst   []byte
	}{{exporterProof, s.exporter[:]}, {exporterID, s.id[:]}} {
		b, err := cs.ExportKeyingMaterial(e.label, nil, len(e.dst))
		if err != nil {
			return nil, wire.Errorf(wire.KindAuth, op, "%w", err)
		}
		copy(e.dst, b)
	}
	return s, nil
}

// refusal is why an acceptor does not welcome a hello. It is an error, so that
// it can come out of a decision and out of a dial.
type refusal struct {
	code   refuseCode
	stays  ConnID
	reason string
}

type refuseCode uint8

const (
	refuseVersion   refuseCode = 1
	refuseNetwork   refuseCode = 2
	refuseAuth      refuseCode = 3
	refuseLimit     refuseCode = 4
	refuseDuplicate refuseCode = 5 // another connection between the two stays
	refuseSelf      refuseCode = 6 // the dialler has reached itself
	refuseClosing   refuseCode = 7
	refuseMalformed refuseCode = 8
)

func (r *refusal) Error() string { return r.reason }

func (r *refusal) kind() wire.Kind {
	switch r.code {
	case refuseVersion:
		return wire.KindUnsupported
	case refuseNetwork:
		return wire.KindNetworkMismatch
	case refuseLimit:
		return wire.KindLimit
	case refuseDuplicate:
		return wire.KindBusy
	case refuseSelf:
		return wire.KindInvalidArgument
	case refuseClosing:
		return wire.KindUnreachable
	}
	return wire.KindAuth
}

func (r *refusal) marshal() []byte {
	reason := strings.ToValidUTF8(r.reason[:min(len(r.reason), maxReason)], "")
	return wire.NewBuilder(nil).U8(uint8(r.code)).Fixed(r.stays[:]).String(reason).Build()
}

func parseRefusal(b []byte) (*refusal, error) {
	var r refusal
	p := wire.NewParser("parse refusal", b)
	r.code = refuseCode(p.U8())
	p.Into(r.stays[:])
	r.reason = p.String(maxReason)
	if err := p.Done(); err != nil {
		return nil, err
	}
	return &r, nil
}
