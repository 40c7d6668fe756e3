package transport

import (
	"crypto/rand"
	"crypto/tls"
	"sync"
	"sync/atomic"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// How many sessions are kept in each role. A session is about 3 KB, most of it
// the peer's certificate. Who is pushed out pays one full handshake.
const (
	maxClientSessions = 256
	maxTickets        = 1024
)

// sessionCache holds what a dialler needs to resume. There is one for each
// endpoint and so for each local identity: with a shared one, the second identity
// would resume as the first. The key is the machine and the network, never the
// address.
type sessionCache struct {
	lru     tls.ClientSessionCache
	network string
}

func newSessionCache(network string) *sessionCache {
	return &sessionCache{lru: tls.NewLRUClientSessionCache(maxClientSessions), network: network}
}

func (c *sessionCache) key(m identity.MachineID) string { return string(m[:]) + c.network }

// slot is the view of one dial. Going by the machine and not by the name that
// crypto/tls offers, a dial needs no server name, which would travel in clear.
func (c *sessionCache) slot(m identity.MachineID) *sessionSlot {
	s := &sessionSlot{cache: c}
	if !m.IsZero() {
		s.learn(m)
	}
	return s
}

// sessionSlot implements tls.ClientSessionCache for one machine. Until learn it
// is empty: a dial to any machine has nothing to resume.
type sessionSlot struct {
	cache *sessionCache
	key   atomic.Pointer[string]
}

func (s *sessionSlot) learn(m identity.MachineID) {
	key := s.cache.key(m)
	s.key.Store(&key)
}

func (s *sessionSlot) Get(string) (*tls.ClientSessionState, bool) {
	if key := s.key.Load(); key != nil {
		return s.cache.lru.Get(*key)
	}
	return nil, false
}

func (s *sessionSlot) Put(_ string, cs *tls.ClientSessionState) {
	if key := s.key.Load(); key != nil {
		s.cache.lru.Put(*key, cs)
	}
}

// ticketTable keeps the acceptor's sessions here and gives the dialler a 16-byte
// random name for each, instead of 5.5 KB of sealed state that would come back
// in the next ClientHello. A name is worthless elsewhere and after a restart.
type ticketTable struct {
	mu    sync.Mutex
	state map[[16]byte][]byte
	ring  [maxTickets][16]byte // in order of age
	next  int
}

func newTicketTable() *ticketTable {
	return &ticketTable{state: make(map[[16]byte][]byte)}
}

// wrap implements tls.Config.WrapSession.
func (t *ticketTable) wrap(_ tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
	s.EarlyData = false // 0-RTT data would be accepted before the pin and the hello
	b, err := s.Bytes()
	if err != nil {
		return nil, err
	}
	var name [16]byte
	if _, err := rand.Read(name[:]); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.state, t.ring[t.next])
	t.ring[t.next] = name
	t.next = (t.next + 1) % maxTickets
	t.state[name] = b
	return name[:], nil
}

// unwrap implements tls.Config.UnwrapSession. An unknown name is no error: the
// handshake goes on in full.
func (t *ticketTable) unwrap(name []byte, _ tls.ConnectionState) (*tls.SessionState, error) {
	if len(name) != 16 {
		return nil, nil
	}
	t.mu.Lock()
	b := t.state[[16]byte(name)]
	t.mu.Unlock()
	if b == nil {
		return nil, nil
	}
	return tls.ParseSessionState(b)
}
