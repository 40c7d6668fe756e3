package lan

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	serviceName = "_x0x._udp.local."
	version     = "v=1"
	machineKey  = "m="

	// lifetime is the TTL of every record: what RFC 6762 section 10 gives to
	// records that name a host.
	lifetime = 120 * time.Second
	// maxPacket is the largest message of RFC 6762 section 17.
	maxPacket = 9000
	// maxRecords stops one packet from costing more than it did to send: an
	// answer of ours has four records, a query one for each known agent.
	maxRecords = 64
	// maxKnown bounds the known answers of a query, which so stays in one
	// Ethernet frame: each takes 46 bytes behind the compressed names.
	maxKnown = 24

	topBit = 1 << 15 // cache flush in answers, unicast wish in questions: RFC 6762 section 18
)

// packets writes and reads the messages of one agent.
//
//	_0123456789abcdef0123._sub._x0x._udp.local.  PTR  INSTANCE
//	INSTANCE                                     SRV  0 0 PORT HOST
//	INSTANCE                                     TXT  "v=1" "m=<machine id, 64 hex digits>"
//	HOST                                         A or AAAA
//
// where INSTANCE is <32 hex digits>._x0x._udp.local. and HOST x0x-<the same
// digits>.local., the digits being the first of the machine id: a label ends at
// 63 bytes, and 128 bits need no probing for conflicts.
type packets struct {
	machine                   identity.MachineID
	port                      uint16
	subtype, instance, target dnsmessage.Name
}

func newPackets(networkID string, machine identity.MachineID, port uint16) (*packets, error) {
	p := &packets{machine: machine, port: port}
	sum := sha256.Sum256([]byte(networkID))
	short := hex.EncodeToString(machine[:16])
	var err error
	for _, n := range []struct {
		to   *dnsmessage.Name
		name string
	}{
		{&p.subtype, "_" + hex.EncodeToString(sum[:10]) + "._sub." + serviceName},
		{&p.instance, short + "." + serviceName},
		{&p.target, "x0x-" + short + ".local."},
	} {
		if *n.to, err = dnsmessage.NewName(n.name); err != nil {
			return nil, wire.Errorf(wire.KindInvalidArgument, "lan", "name %q: %w", n.name, err)
		}
	}
	return p, nil
}

// query asks who is there, and lists who is known: they need not answer
// (RFC 6762 section 7.1).
func (p *packets) query(known []knownAnswer) ([]byte, error) {
	m := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: p.subtype, Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}}}
	for _, k := range known[:min(len(known), maxKnown)] {
		name, err := dnsmessage.NewName(hex.EncodeToString(k.machine[:16]) + "." + serviceName)
		if err != nil {
			return nil, err
		}
		m.Answers = append(m.Answers, p.record(p.subtype, false, k.left, &dnsmessage.PTRResource{PTR: name}))
	}
	return m.Pack()
}

type knownAnswer struct {
	machine identity.MachineID
	left    time.Duration
}

// answer says that this agent is there for ttl, or with a ttl of zero that it is
// gone (RFC 6762 section 10.1).
func (p *packets) answer(ttl time.Duration, addr netip.Addr) ([]byte, error) {
	m := dnsmessage.Message{
		Header: dnsmessage.Header{Response: true, Authoritative: true},
		Answers: []dnsmessage.Resource{
			p.record(p.subtype, false, ttl, &dnsmessage.PTRResource{PTR: p.instance}),
			p.record(p.instance, true, ttl, &dnsmessage.SRVResource{Port: p.port, Target: p.target}),
			p.record(p.instance, true, ttl, &dnsmessage.TXTResource{TXT: []string{version, machineKey + hex.EncodeToString(p.machine[:])}}),
		},
	}
	switch {
	case addr.Is4():
		m.Answers = append(m.Answers, p.record(p.target, true, ttl, &dnsmessage.AResource{A: addr.As4()}))
	case addr.Is6():
		m.Answers = append(m.Answers, p.record(p.target, true, ttl, &dnsmessage.AAAAResource{AAAA: addr.As16()}))
	}
	return m.Pack()
}

func (p *packets) record(name dnsmessage.Name, flush bool, ttl time.Duration, body dnsmessage.ResourceBody) dnsmessage.Resource {
	class := dnsmessage.ClassINET
	if flush {
		class |= topBit
	}
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name, Class: class, TTL: uint32(ttl / time.Second)}, Body: body}
}

// message is what a packet means to this agent: nothing, if neither is set.
type message struct {
	asks    bool // it asks for agents of this network, and does not know this one
	answers bool // it is about this agent of this network:
	machine identity.MachineID
	port    uint16
	ttl     time.Duration // 0: it is leaving
}

// read understands a packet. An error says that it is about this network and
// malformed, or no DNS message at all.
func (p *packets) read(b []byte) (message, error) {
	if len(b) > maxPacket {
		return message{}, malformed("more than %d bytes", maxPacket)
	}
	var d dnsmessage.Parser
	h, err := d.Start(b)
	switch {
	case err != nil:
		return message{}, malformed("%w", err)
	case h.OpCode != 0 || h.RCode != 0:
		return message{}, nil // to be ignored: RFC 6762 section 18
	case h.Response:
		return p.readAnswer(&d)
	default:
		return p.readQuery(&d)
	}
}

func (p *packets) readQuery(d *dnsmessage.Parser) (message, error) {
	asks := false
	for n := 0; ; n++ {
		q, err := d.Question()
		if err == dnsmessage.ErrSectionDone {
			break
		}
		if err != nil || n == maxRecords {
			return message{}, malformed("question %d: %w", n, err)
		}
		asks = asks || q.Class&^topBit == dnsmessage.ClassINET && (q.Type == dnsmessage.TypePTR || q.Type == dnsmessage.TypeALL) && p.same(q.Name, p.subtype)
	}
	if !asks {
		return message{}, nil
	}
	for n := 0; ; n++ {
		h, err := d.AnswerHeader()
		if err == dnsmessage.ErrSectionDone {
			return message{asks: true}, nil
		}
		if err != nil || n == maxRecords {
			return message{}, malformed("known answer %d: %w", n, err)
		}
		if h.Type != dnsmessage.TypePTR {
			if err := d.SkipAnswer(); err != nil {
				return message{}, malformed("known answer %d: %w", n, err)
			}
			continue
		}
		r, err := d.PTRResource()
		if err != nil {
			return message{}, malformed("known answer %d: %w", n, err)
		}
		if p.same(h.Name, p.subtype) && p.same(r.PTR, p.instance) && time.Duration(h.TTL)*time.Second >= lifetime/2 {
			return message{}, nil
		}
	}
}

// readAnswer takes the first agent of this network that an answer names: agents
// answer for themselves alone. Addresses in it are not read, see the package.
func (p *packets) readAnswer(d *dnsmessage.Parser) (message, error) {
	if err := d.SkipAllQuestions(); err != nil {
		return message{}, malformed("%w", err)
	}
	var (
		m        message
		instance *dnsmessage.Name
		services []service
		texts    []text
	)
	for n := 0; ; n++ {
		h, err := d.AnswerHeader()
		if err == dnsmessage.ErrSectionDone {
			break
		}
		if err != nil || n == maxRecords {
			return message{}, malformed("answer %d: %w", n, err)
		}
		switch h.Type {
		case dnsmessage.TypePTR:
			r, e := d.PTRResource()
			if err = e; e == nil && instance == nil && p.same(h.Name, p.subtype) {
				instance, m.ttl = &r.PTR, min(time.Duration(h.TTL)*time.Second, lifetime)
			}
		case dnsmessage.TypeSRV:
			r, e := d.SRVResource()
			services, err = append(services, service{h.Name, r.Port}), e
		case dnsmessage.TypeTXT:
			r, e := d.TXTResource()
			texts, err = append(texts, text{h.Name, r.TXT}), e
		default:
			err = d.SkipAnswer()
		}
		if err != nil {
			return message{}, malformed("answer %d: %w", n, err)
		}
	}
	if instance == nil {
		return message{}, nil
	}
	s := slices.IndexFunc(services, func(s service) bool { return p.same(s.name, *instance) })
	t := slices.IndexFunc(texts, func(t text) bool { return p.same(t.name, *instance) })
	if s < 0 || t < 0 || services[s].port == 0 {
		return message{}, malformed("no port or no text of the agent")
	}
	var err error
	m.answers, m.port = true, services[s].port
	m.machine, err = parseText(texts[t].text)
	return m, err
}

type service struct {
	name dnsmessage.Name
	port uint16
}

type text struct {
	name dnsmessage.Name
	text []string
}

// parseText returns the machine id of a TXT record of this version. Keys that it
// does not know are from later ones that kept the meaning of these two.
func parseText(strs []string) (id identity.MachineID, err error) {
	if !slices.Contains(strs, version) {
		return id, malformed("not of version 1")
	}
	found := false
	for _, s := range strs {
		digits, ok := strings.CutPrefix(s, machineKey)
		switch {
		case !ok:
			continue
		case found || len(digits) != hex.EncodedLen(len(id)):
			return id, malformed("the machine id is there twice, or has not 64 digits")
		}
		if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
			return id, malformed("machine id: %w", err)
		}
		found = true
	}
	if id.IsZero() {
		return id, malformed("no machine id")
	}
	return id, nil
}

func (*packets) same(a, b dnsmessage.Name) bool {
	return strings.EqualFold(string(a.Data[:a.Length]), string(b.Data[:b.Length]))
}

func malformed(format string, args ...any) error {
	return wire.Errorf(wire.KindCorrupt, "read mDNS packet", format, args...)
}
