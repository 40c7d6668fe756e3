package gossip

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	// maxKeys bounds the known public keys, at 2 KB each.
	maxKeys = 2048
	// Envelopes whose author's key is not known wait for it. A neighbour has
	// verified what it forwards, so it has the key; one that sends envelopes of
	// invented authors fills only its own share.
	maxAwaiting          = 1024
	maxAwaitingBytes     = 16 << 20
	maxAwaitingPeer      = 256
	maxAwaitingPeerBytes = 4 << 20
	// keyRetry is when a request is repeated to the next neighbour, and
	// keyTries how often before the envelopes are given up.
	keyRetry = time.Second
	keyTries = 5
)

// keyring holds the public keys of authors, and the envelopes that wait for one.
type keyring struct {
	known   *lru[identity.AgentID, []byte]
	own     identity.AgentID
	ownKey  []byte
	carried *lru[identity.AgentID, struct{}] // authors whose keys have been sent ahead
	waiting map[identity.AgentID]*awaited
	count   int
	bytes   int
	perPeer map[identity.AgentID]*share
}

type share struct{ count, bytes int }

// awaited is what waits for one key.
type awaited struct {
	asked   []identity.AgentID // neighbours that sent envelopes of the author, asked in turn
	tries   int
	last    time.Time
	pending []awaiting
}

type awaiting struct {
	from identity.AgentID
	body []byte
	how  arrival
	live time.Time
}

func newKeyring(own *identity.PublicKey) keyring {
	return keyring{
		known:   newLRU[identity.AgentID, []byte](maxKeys),
		own:     own.AgentID(),
		ownKey:  own.Bytes(),
		carried: newLRU[identity.AgentID, struct{}](maxKeys),
		waiting: make(map[identity.AgentID]*awaited),
		perPeer: make(map[identity.AgentID]*share),
	}
}

func (k *keyring) get(id identity.AgentID) ([]byte, bool) {
	if id == k.own {
		return k.ownKey, true
	}
	return k.known.get(id)
}

func (k *keyring) put(id identity.AgentID, key []byte) {
	if id != k.own {
		k.known.put(id, key)
	}
}

// await keeps an envelope until its author's key comes, and asks for the key.
func (r *router) await(from identity.AgentID, env *envelope, body []byte, a arrival, now time.Time) {
	k := &r.keys
	s := k.perPeer[from]
	if s == nil {
		s = &share{}
	}
	if k.count >= maxAwaiting || k.bytes+len(body) > maxAwaitingBytes ||
		s.count >= maxAwaitingPeer || s.bytes+len(body) > maxAwaitingPeerBytes {
		r.stats.KeyOverflows++
		return
	}
	w := k.waiting[env.sender]
	if w == nil {
		w = &awaited{}
		k.waiting[env.sender] = w
	}
	w.pending = append(w.pending, awaiting{from, slices.Clone(body), a, now.Add(-a.age)})
	k.count++
	k.bytes += len(body)
	s.count++
	s.bytes += len(body)
	k.perPeer[from] = s
	if !slices.Contains(w.asked, from) {
		w.asked = append(w.asked, from)
	}
	if w.last.IsZero() {
		r.askKey(env.sender, w, now)
	}
}

// askKey sends a request to the next of those that should have the key.
func (r *router) askKey(author identity.AgentID, w *awaited, now time.Time) {
	w.last = now
	for range w.asked {
		to := w.asked[w.tries%len(w.asked)]
		w.tries++
		if p := r.peers[to]; p != nil {
			r.stats.KeyRequests++
			r.control(p, keyRequestFrame(author))
			return
		}
	}
}

// askOthers makes requests that went to a neighbour that is gone due at once;
// the next tick repeats them.
func (r *router) askOthers(gone identity.AgentID) {
	for _, w := range r.keys.waiting {
		if slices.Contains(w.asked, gone) {
			w.last = time.Time{}
		}
	}
}

// forgetAwaited takes out everything that waits for a key.
func (r *router) forgetAwaited(author identity.AgentID) []awaiting {
	k := &r.keys
	w := k.waiting[author]
	if w == nil {
		return nil
	}
	delete(k.waiting, author)
	for _, a := range w.pending {
		k.count--
		k.bytes -= len(a.body)
		s := k.perPeer[a.from]
		s.count--
		s.bytes -= len(a.body)
		if s.count == 0 {
			delete(k.perPeer, a.from)
		}
	}
	return w.pending
}

func (r *router) handleKeyRequest(p *peer, body []byte) error {
	ids, err := parseKeyRequest(body)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if key, ok := r.keys.get(id); ok {
			r.stats.KeysServed++
			r.control(p, keyFrame(key))
		}
	}
	return nil
}

func (r *router) handleKey(p *peer, body []byte, now time.Time) error {
	if len(body) != identity.PublicKeySize {
		return wire.Errorf(wire.KindCorrupt, "parse key", "%d bytes", len(body))
	}
	author := identity.AgentID(sha256.Sum256(body))
	if r.keys.waiting[author] == nil { // nobody may fill our memory with keys
		if _, known := r.keys.get(author); known || !p.keepCarried(author, slices.Clone(body), now) {
			r.stats.KeysRefused++
		}
		return nil
	}
	r.keys.put(author, slices.Clone(body))
	for _, a := range r.forgetAwaited(author) {
		a.how.age = clampAge(now.Sub(a.live))
		r.handleEnvelope(a.from, a.body, a.how, now)
	}
	return nil
}

// tickKeys repeats requests and gives up.
func (r *router) tickKeys(now time.Time) {
	if len(r.keys.waiting) == 0 {
		return
	}
	authors := make([]identity.AgentID, 0, len(r.keys.waiting))
	for author := range r.keys.waiting {
		authors = append(authors, author)
	}
	slices.SortFunc(authors, func(a, b identity.AgentID) int { return bytes.Compare(a[:], b[:]) })
	for _, author := range authors {
		switch w := r.keys.waiting[author]; {
		case now.Sub(w.last) < keyRetry:
		case w.tries >= keyTries:
			r.stats.KeyTimeouts += uint64(len(r.forgetAwaited(author)))
		default:
			r.askKey(author, w, now)
		}
	}
}
