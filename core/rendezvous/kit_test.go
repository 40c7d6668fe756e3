package rendezvous

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/identity"
)

var kitNow = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// someone is an agent on a machine.
type someone struct {
	Peer
	key     *identity.Key
	binding *discovery.Binding
	seen    netip.AddrPort
}

// person makes agent id on a machine; one address each.
func person(t testing.TB, id, machine int) someone {
	key := simKey(t, "agent", id)
	b, err := discovery.NewBinding(simKey(t, "machine", machine), key.Public().AgentID(), kitNow.Add(-time.Hour), kitNow.Add(20*time.Hour))
	require.NoError(t, err)
	at := simAddr(machine)
	return someone{Peer{b.Agent, b.Machine(), []netip.AddrPort{at}}, key, b, at}
}

func (p someone) announce(t testing.TB, sequence uint64, ttl time.Duration) *discovery.Announcement {
	a, err := discovery.NewAnnouncement(p.key, discovery.AnnouncementOptions{Binding: p.binding, Sequence: sequence, IssuedAt: kitNow, TTL: ttl, Addrs: p.Addrs})
	require.NoError(t, err)
	return a
}

// one is a State and what it asked for.
type one struct {
	*State
	t testing.TB
}

func newOne(t testing.TB, c Config) one {
	if c.Self.IsZero() {
		c.Self = identity.AgentID{0x80}
	}
	c.Rand = rand.New(rand.NewPCG(1, 2))
	return one{New(c), t}
}

func (o one) up(p someone) { o.PeerUp(p.Peer, p.seen, kitNow) }

func (o one) frame(p someone, frame []byte) {
	require.NoError(o.t, o.HandleFrame(p.Agent, frame, kitNow))
}

// store has p store at o, and returns the answer and what else was sent.
func (o one) store(p someone, kind Kind, raw []byte) (status, [][]byte) {
	o.Take()
	o.frame(p, storeFrame(9, kind, raw))
	sent := o.sent(p.Agent)
	require.NotEmpty(o.t, sent)
	request, st, err := parseStored(sent[len(sent)-1][1:])
	require.NoError(o.t, err)
	require.Equal(o.t, uint32(9), request)
	return st, sent[:len(sent)-1]
}

// sent takes what was sent to an agent.
func (o one) sent(to identity.AgentID) (frames [][]byte) {
	for _, a := range o.Take() {
		if a.Kind == Send && a.Agent == to {
			frames = append(frames, a.Frame)
		}
	}
	return frames
}

// find asks o as p does, and returns what it answers.
func (o one) find(p someone, key Key, at time.Time) (found []*discovery.Announcement, peers []Peer) {
	o.Take()
	require.NoError(o.t, o.HandleFrame(p.Agent, findFrame(5, key, true), at))
	for _, frame := range o.sent(p.Agent) {
		switch frameType(frame[0]) {
		case frameRecord:
			_, raw, err := parseRecord(frame[1:])
			require.NoError(o.t, err)
			a, err := discovery.ParseAnnouncement(raw)
			require.NoError(o.t, err)
			found = append(found, a)
		case frameFound:
			var err error
			_, peers, err = parseFound(frame[1:])
			require.NoError(o.t, err)
		}
	}
	return found, peers
}
