package discovery

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Capabilities are bits of an announcement. Those that a version does not know
// are kept and mean nothing to it.
type Capabilities uint8

const (
	Relay       Capabilities = 1 << iota // carries packets for others
	Coordinator                          // helps two others through their NATs
	Direct                               // can receive direct connections
)

// Has reports whether all bits of c are set.
func (a *Announcement) Has(c Capabilities) bool { return a.Capabilities&c == c }

const (
	// DefaultTTL is how long an announcement is valid.
	DefaultTTL = 900 * time.Second
	// MaxTTL bounds it: whoever has died is found for so long.
	MaxTTL = time.Hour
	// MaxAddrs is how many addresses an announcement has room for.
	MaxAddrs = 8
	// MaxAnnouncement is the length of the longest announcement.
	MaxAnnouncement = headSize + 8 + 8 + 8 + 1 + 1 + MaxAddrs*(1+saltSize+16+2) + 2 + maxCertificate + identity.SignatureSize

	announcementVersion = 1
	maxCertificate      = 8 << 10
	saltSize            = 16
	// headSize is how long the part is that stays the same while a binding does.
	headSize = 1 + identity.PublicKeySize + bindingSize
)

// Announcement is the word of an agent on which machine and where it is. Make
// one with [NewAnnouncement] or [ParseAnnouncement]; it is a value to read, and
// may be shared as long as nobody changes it.
type Announcement struct {
	Agent     identity.AgentID
	AgentKey  []byte // encoded, 1,952 bytes
	Machine   identity.MachineID
	Binding   *Binding
	Sequence  uint64 // of this agent, rises with each announcement
	IssuedAt  time.Time
	ExpiresAt time.Time
	Addrs     []netip.AddrPort // those that are shown, see [Announcement.Scoped]

	Capabilities Capabilities
	User         identity.UserID // zero: not disclosed

	places      []place
	certificate []byte // encoded, since parsed it has 40 KiB
	signature   []byte
}

// place is an address, or what is left of it in a copy for those to whom it is
// of no use. The agent signs the hashes of all, so that a copy with fewer is as
// genuine; the salt, which only those learn who see the address, keeps others
// from trying all the private addresses there are.
type place struct {
	addr netip.AddrPort // zero: hidden
	salt [saltSize]byte
	hash [32]byte
}

func (p *place) shown() bool { return p.addr.IsValid() }

func (p *place) seal() {
	h := sha256.New()
	h.Write(p.salt[:])
	h.Write(p.addr.Addr().AsSlice())
	h.Write(binary.BigEndian.AppendUint16(nil, p.addr.Port()))
	h.Sum(p.hash[:0])
}

// AnnouncementOptions are what an agent says of itself.
type AnnouncementOptions struct {
	Binding      *Binding
	Sequence     uint64
	IssuedAt     time.Time
	TTL          time.Duration // 0: DefaultTTL; at most MaxTTL, and cut to the end of the binding
	Addrs        []netip.AddrPort
	Capabilities Capabilities
	// Certificate discloses the user. That the user consents is the caller's to know.
	Certificate *identity.Certificate
}

// NewAnnouncement signs an announcement. Addresses at which no host can be are
// left out, and those after the first [MaxAddrs]. Errors: wire.KindInvalidArgument
// for options that contradict each other, and those of [identity.Key.Sign].
func NewAnnouncement(agent *identity.Key, o AnnouncementOptions) (*Announcement, error) {
	const op = "new announcement"
	id := agent.Public().AgentID()
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	switch {
	case o.Binding == nil || o.Binding.Agent != id:
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "the binding is not of this agent")
	case o.TTL < time.Millisecond || o.TTL > MaxTTL:
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "a time to live of %v, at most %v", o.TTL, MaxTTL)
	case o.Certificate != nil && o.Certificate.Agent != id:
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "the certificate is of another agent")
	}
	a := &Announcement{
		Agent: id, AgentKey: agent.Public().Bytes(), Machine: o.Binding.Machine(), Binding: o.Binding,
		Sequence: o.Sequence, IssuedAt: milliseconds(o.IssuedAt), Capabilities: o.Capabilities,
	}
	a.ExpiresAt = milliseconds(a.IssuedAt.Add(o.TTL))
	if a.ExpiresAt.After(o.Binding.ExpiresAt) {
		a.ExpiresAt = o.Binding.ExpiresAt
	}
	if !a.IssuedAt.Before(a.ExpiresAt) {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "the binding has expired")
	}
	if o.Certificate != nil {
		a.User, a.certificate = o.Certificate.UserID(), o.Certificate.Bare().Marshal()
	}
	for _, at := range o.Addrs {
		at = netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
		if len(a.places) == MaxAddrs || ScopeOf(at.Addr()) == ScopeNone || at.Port() == 0 {
			continue
		}
		p := place{addr: at}
		_, _ = rand.Read(p.salt[:]) // never fails
		p.seal()
		a.places = append(a.places, p)
	}
	a.show()
	var err error
	a.signature, err = agent.Sign(a.signed(), []byte(identity.DomainAnnounce))
	if err != nil {
		return nil, err
	}
	return a, nil
}

// show sets Addrs.
func (a *Announcement) show() {
	a.Addrs = nil
	for i := range a.places {
		if a.places[i].shown() {
			a.Addrs = append(a.Addrs, a.places[i].addr)
		}
	}
}

// Scoped returns the announcement as it may be sent to somebody whose packets
// come from to: without the addresses that cannot work there. Loopback goes to
// loopback only, link-local no further than link-local, private addresses no
// further than private ones. The signature holds for it too.
func (a *Announcement) Scoped(to netip.Addr) *Announcement {
	var places []place
	for i, p := range a.places {
		if !p.shown() || MayTell(p.addr.Addr(), to) {
			continue
		}
		if places == nil {
			places = bytesOf(a.places)
		}
		places[i] = place{hash: p.hash}
	}
	if places == nil {
		return a
	}
	scoped := *a
	scoped.places = places
	scoped.show()
	return &scoped
}

func bytesOf(p []place) []place { return append([]place(nil), p...) }

// merge returns a with the addresses that b, another copy of it, shows.
func (a *Announcement) merge(b *Announcement) *Announcement {
	if a == b || !bytes.Equal(a.signature, b.signature) || len(a.places) != len(b.places) {
		return a
	}
	var places []place
	for i := range a.places {
		if p := b.places[i]; !a.places[i].shown() && p.shown() && p.hash == a.places[i].hash {
			if places == nil {
				places = bytesOf(a.places)
			}
			places[i] = p
		}
	}
	if places == nil {
		return a
	}
	merged := *a
	merged.places = places
	merged.show()
	return &merged
}

// Certificate returns the certificate of the user, nil without one.
func (a *Announcement) Certificate() *identity.Certificate {
	if a.certificate == nil {
		return nil
	}
	c, err := identity.ParseCertificate(a.certificate)
	if err != nil {
		return nil // it was parsed before
	}
	return c
}

// Expired reports whether the announcement is over at now.
func (a *Announcement) Expired(now time.Time) bool { return !now.Before(a.ExpiresAt) }

// Newer reports whether a replaces b of the same agent: by when it was issued,
// then by its sequence.
func (a *Announcement) Newer(b *Announcement) bool {
	if !a.IssuedAt.Equal(b.IssuedAt) {
		return a.IssuedAt.After(b.IssuedAt)
	}
	return a.Sequence > b.Sequence
}

// Digest names the announcement and what this copy of it shows.
func (a *Announcement) Digest() [32]byte { return sha256.Sum256(a.Marshal()) }

// Verify is nil if the announcement holds at now: both keys have signed, it is
// neither over nor from the future, and its user, if it names one, certifies the
// agent. Errors are wire.KindAuth, and errors.Is tells [identity.ErrExpired],
// [identity.ErrFutureDated] and [identity.ErrSignature] apart.
func (a *Announcement) Verify(now time.Time) error {
	const op = "verify announcement"
	if err := checkWindow(op, a.IssuedAt, a.ExpiresAt, now); err != nil {
		return err
	}
	if a.ExpiresAt.Sub(a.IssuedAt) > MaxTTL {
		return wire.Errorf(wire.KindAuth, op, "it lives longer than %v", MaxTTL)
	}
	if a.ExpiresAt.After(a.Binding.ExpiresAt) {
		return wire.Errorf(wire.KindAuth, op, "it lives longer than its binding")
	}
	key, err := identity.CachedPublicKey(a.AgentKey)
	if err != nil {
		return err
	}
	if !key.Verify(a.signed(), []byte(identity.DomainAnnounce), a.signature) {
		return wire.Errorf(wire.KindAuth, op, "agent %s: %w", a.Agent.Short(), identity.ErrSignature)
	}
	if err := a.Binding.Verify(now); err != nil {
		return err
	}
	if c := a.Certificate(); c != nil {
		if c.Agent != a.Agent {
			return wire.Errorf(wire.KindAuth, op, "the certificate is of another agent: %w", identity.ErrWrongSigner)
		}
		return c.Verify(now)
	}
	return nil
}

// signed is what the agent signs, under DomainAnnounce: all that Marshal writes,
// with the hash of each address in its place.
func (a *Announcement) signed() []byte {
	hashes := make([]byte, 0, len(a.places)*32)
	for i := range a.places {
		hashes = append(hashes, a.places[i].hash[:]...)
	}
	binding, certificate := sha256.Sum256(a.Binding.signed()), sha256.Sum256(a.certificate)
	return wire.SignedBytes(identity.DomainAnnounce, []byte{announcementVersion}, a.Agent[:], a.Machine[:], binding[:],
		binary.BigEndian.AppendUint64(nil, a.Sequence), timeBytes(a.IssuedAt), timeBytes(a.ExpiresAt),
		[]byte{byte(a.Capabilities)}, hashes, certificate[:])
}

// Marshal returns the binary form. Times are Unix milliseconds, big-endian.
//
//	offset  bytes
//	0       1     version, 1
//	1       1952  public key of the agent
//	1953    5277  binding, see there
//	7230    8     sequence
//	7238    8     issued at
//	7246    8     expires at
//	7254    1     capabilities
//	7255          addresses: uvarint, at most 8 ×
//	                0 hidden: u8 | hash:32
//	                4 or 6: u8 | salt:16 | IP: 4 or 16 bytes | port: u16
//	              certificate: uvarint length, at most 8 KiB, 0 for none
//	        3309  signature of the agent
//
// The hash of an address is SHA-256(salt | IP | port). The first 7,230 bytes are
// the same for as long as the binding is: see [Announcement.Split].
func (a *Announcement) Marshal() []byte {
	w := wire.NewBuilder(make([]byte, 0, headSize+4096+len(a.certificate)))
	w.U8(announcementVersion).Fixed(a.AgentKey)
	a.Binding.append(w)
	w.U64(a.Sequence).Fixed(timeBytes(a.IssuedAt)).Fixed(timeBytes(a.ExpiresAt)).U8(uint8(a.Capabilities))
	w.Uvarint(uint64(len(a.places)))
	for i := range a.places {
		p := &a.places[i]
		if !p.shown() {
			w.U8(0).Fixed(p.hash[:])
			continue
		}
		family := uint8(6)
		if p.addr.Addr().Is4() {
			family = 4
		}
		w.U8(family).Fixed(p.salt[:]).Fixed(p.addr.Addr().AsSlice()).U16(p.addr.Port())
	}
	return w.Bytes(a.certificate).Fixed(a.signature).Build()
}

// ParseAnnouncement reads the binary form and copies it. It checks no signature
// and no time. Errors: wire.KindCorrupt, KindTooLarge, and KindUnsupported for
// another version, older or newer.
func ParseAnnouncement(b []byte) (*Announcement, error) {
	const op = "parse announcement"
	if len(b) > MaxAnnouncement {
		return nil, wire.Errorf(wire.KindTooLarge, op, "%d bytes, limit %d", len(b), MaxAnnouncement)
	}
	p := wire.NewParser(op, b)
	if v := p.U8(); p.Err() == nil && v != announcementVersion {
		return nil, wire.Errorf(wire.KindUnsupported, op, "version %d, only %d is supported", v, announcementVersion)
	}
	a := &Announcement{AgentKey: bytes.Clone(p.Fixed(identity.PublicKeySize))}
	if p.Err() == nil {
		a.Agent = digest(a.AgentKey)
	}
	a.Binding = takeBinding(p, a.Agent)
	a.Sequence, a.IssuedAt, a.ExpiresAt = p.U64(), takeTime(p), takeTime(p)
	a.Capabilities = Capabilities(p.U8())
	n := p.Uvarint()
	if n > MaxAddrs {
		p.Failf("%d addresses", n)
	}
	for i := uint64(0); i < n && p.Err() == nil; i++ {
		a.places = append(a.places, takePlace(p))
	}
	if c := p.Bytes(maxCertificate); len(c) > 0 {
		certificate, err := identity.ParseCertificate(c)
		if err != nil {
			return nil, err
		}
		if certificate.Accepted() {
			p.Failf("the certificate repeats the agent")
		}
		a.User, a.certificate = certificate.UserID(), bytes.Clone(c)
	}
	a.signature = bytes.Clone(p.Fixed(identity.SignatureSize))
	if err := p.Done(); err != nil {
		return nil, err
	}
	a.Machine = a.Binding.Machine()
	a.show()
	return a, nil
}

func takePlace(p *wire.Parser) (at place) {
	size := 0
	switch family := p.U8(); family {
	case 0:
		p.Into(at.hash[:])
		return at
	case 4:
		size = 4
	case 6:
		size = 16
	default:
		p.Failf("impossible address family %d", family)
	}
	p.Into(at.salt[:])
	ip, ok := netip.AddrFromSlice(p.Fixed(size))
	port := p.U16()
	if p.Err() == nil && (!ok || ip.Is4In6() || ScopeOf(ip) == ScopeNone || port == 0) {
		p.Failf("impossible address")
	}
	if p.Err() != nil {
		return at
	}
	at.addr = netip.AddrPortFrom(ip, port)
	at.seal()
	return at
}

// Split divides the binary form: head stays the same for as long as the binding
// does, tail is new with each announcement. Whoever has the head of one can be
// told of the next by its tail alone, which is a third of the whole.
func Split(b []byte) (head, tail []byte) {
	n := min(headSize, len(b))
	return b[:n:n], b[n:]
}

func digest(b []byte) [32]byte { return sha256.Sum256(b) }

// maxUnixMilli is the end of the year 9999, the last one that RFC 3339 can write.
const maxUnixMilli = 253402300799999

func milliseconds(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

func timeBytes(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.UnixMilli()))
}

func takeTime(p *wire.Parser) time.Time {
	ms := p.U64()
	if ms > maxUnixMilli {
		p.Failf("time is after the year 9999")
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

func checkWindow(op string, issued, expires, now time.Time) error {
	switch {
	case issued.After(now.Add(identity.MaxClockSkew)):
		return wire.Errorf(wire.KindAuth, op, "%w", identity.ErrFutureDated)
	case !now.Before(expires):
		return wire.Errorf(wire.KindAuth, op, "%w", identity.ErrExpired)
	case !issued.Before(expires):
		return wire.Errorf(wire.KindAuth, op, "it expires before it is issued")
	}
	return nil
}
