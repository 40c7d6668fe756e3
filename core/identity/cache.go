package identity

import (
	"container/list"
	"crypto/sha256"
	"sync"
)

// publicKeyCacheSize bounds the parsed keys of a process: 256 × 40 KiB = 10 MiB.
// A stranger who presents many keys can push others out, which costs a parse
// (some 60 µs) when they speak next and nothing else: entries are found by
// the digest of the key itself, so no entry can stand for another key.
const publicKeyCacheSize = 256

var publicKeys = newKeyCache(publicKeyCacheSize)

// CachedPublicKey is [ParsePublicKey] through the one bounded cache of parsed
// keys that all agents of a process share (256 keys, least recently used out).
func CachedPublicKey(b []byte) (*PublicKey, error) {
	if len(b) != PublicKeySize {
		return nil, errPublicKeySize(len(b))
	}
	if p, ok := publicKeys.get(sha256.Sum256(b)); ok {
		return p, nil
	}
	// Parsed outside the lock. Two callers may both parse a new key: cheaper
	// than making every other caller wait for one of them.
	p, err := ParsePublicKey(b)
	if err != nil {
		return nil, err
	}
	return publicKeys.add(p), nil
}

// LookupPublicKey returns the key with this digest (the bytes of its id) if
// the cache still has it. A miss means nothing but that the 1,952 bytes are
// needed again.
func LookupPublicKey(digest [32]byte) (*PublicKey, bool) { return publicKeys.get(digest) }

// CacheStats counts the work of the cache of parsed keys since process start.
type CacheStats struct {
	Keys                  int
	Hits, Misses, Evicted uint64
}

// PublicKeyCacheStats returns the counters of the cache of parsed keys.
func PublicKeyCacheStats() CacheStats { return publicKeys.stats() }

// keyCache is a least-recently-used map from digest to parsed key.
type keyCache struct {
	mu      sync.Mutex
	max     int
	entries map[[32]byte]*list.Element // of *PublicKey
	order   list.List                  // most recently used first
	counts  CacheStats
}

func newKeyCache(max int) *keyCache {
	return &keyCache{max: max, entries: make(map[[32]byte]*list.Element)}
}

func (c *keyCache) get(digest [32]byte) (*PublicKey, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[digest]
	if !ok {
		c.counts.Misses++
		return nil, false
	}
	c.counts.Hits++
	c.order.MoveToFront(e)
	return e.Value.(*PublicKey), true
}

// add returns the key that is now in the cache: p, or the one that came first.
func (c *keyCache) add(p *PublicKey) *PublicKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[p.digest]; ok {
		c.order.MoveToFront(e)
		return e.Value.(*PublicKey)
	}
	c.entries[p.digest] = c.order.PushFront(p)
	if c.order.Len() > c.max {
		oldest := c.order.Remove(c.order.Back()).(*PublicKey)
		delete(c.entries, oldest.digest)
		c.counts.Evicted++
	}
	return p
}

func (c *keyCache) stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.counts
	s.Keys = c.order.Len()
	return s
}
