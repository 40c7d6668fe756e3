package rendezvous

import (
	"net/netip"
	"time"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/identity"
)

// node is a peer that is connected, or listed in the table, or both.
type node struct {
	Peer
	bucket int
	origin netip.Prefix // zero: exempt
	listed bool         // may be asked and told of
	proved time.Time    // when it was last known to be there; zero: only told of, or doubted

	connected bool
	dialled   bool // the connection was made for this package
	released  bool
	silent    bool // it did not answer
	idle      bool // it said that it closes because it does not need us
	seen      netip.Addr
	used      time.Time
	budget    bucketOf
}

// provedFor is how long a peer is told to others after it was last seen.
const provedFor = time.Hour

// badFor is how long hearsay of a peer that could not be dialled is ignored.
const badFor = 5 * time.Minute

type bad struct {
	agent identity.AgentID
	until time.Time
}

func (s *State) originOf(addrs []netip.AddrPort, seen netip.Addr) netip.Prefix {
	a := seen
	if !a.IsValid() && len(addrs) > 0 {
		a = addrs[0].Addr()
	}
	a = a.Unmap()
	if s.cfg.MaxPerPrefix < 0 || !a.IsValid() || s.cfg.PrefixExempt(a) {
		return netip.Prefix{}
	}
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // it has as many
	return p
}

// KnowPeer tells of a peer that may be there: a neighbour's neighbour, a
// bootstrap peer, one from an earlier run.
func (s *State) KnowPeer(p Peer, now time.Time) {
	s.begin(now)
	s.hear(p)
}

// hear lists a peer that somebody told of, if there is room.
func (s *State) hear(p Peer) {
	if p.Agent == s.cfg.Self || p.Agent.IsZero() || len(p.Addrs) == 0 {
		return
	}
	if n := s.nodes[p.Agent]; n != nil {
		if !n.connected && n.proved.IsZero() {
			n.Addrs = p.Addrs
		}
		return
	}
	if s.isBad(p.Agent) {
		return
	}
	p.Addrs = p.Addrs[:min(len(p.Addrs), maxAddrs)]
	n := &node{Peer: p, bucket: common(s.cfg.Self, p.Agent), origin: s.originOf(p.Addrs, netip.Addr{})}
	if s.list(n) {
		s.nodes[n.Agent] = n
		s.order = append(s.order, n)
	}
}

// PeerUp tells that an authenticated connection is up, and from where its packets
// come. p.Addrs is where others can dial it, and empty if they cannot. Of an agent
// that is connected already it tells that this has changed.
func (s *State) PeerUp(p Peer, seen netip.AddrPort, now time.Time) {
	s.begin(now)
	if p.Agent == s.cfg.Self || p.Agent.IsZero() {
		return
	}
	n := s.nodes[p.Agent]
	if n == nil {
		n = &node{bucket: common(s.cfg.Self, p.Agent)}
		s.nodes[p.Agent] = n
		s.order = append(s.order, n)
	}
	p.Addrs = p.Addrs[:min(len(p.Addrs), maxAddrs)]
	n.Peer, n.seen = p, seen.Addr().Unmap()
	n.origin = s.originOf(p.Addrs, n.seen)
	n.proved, n.used = s.now, s.now
	n.idle, n.released, n.silent = false, false, false
	if !n.connected {
		n.connected = true
		n.budget = bucketOf{}
		n.dialled = s.endDial(p.Agent)
		if n.dialled {
			s.stats.Handshakes++
		}
	}
	s.bads = forget(s.bads, p.Agent)
	if !n.listed {
		s.list(n)
	}
	s.flushQueries(n)
}

// PeerDown tells that the connection to an agent has ended.
func (s *State) PeerDown(a identity.AgentID, now time.Time) {
	s.begin(now)
	n := s.nodes[a]
	if n == nil || !n.connected {
		return
	}
	n.connected, n.dialled = false, false
	n.proved = s.now
	if !n.idle && !n.released {
		n.proved = time.Time{} // it may be dead
	}
	s.failQueries(a)
	s.lostHolder(a)
	if len(n.Addrs) == 0 || !n.listed || s.bucketFull(n) {
		s.drop(n)
	}
}

// DialFailed tells that a dial that this State asked for has failed.
func (s *State) DialFailed(a identity.AgentID, now time.Time) {
	s.begin(now)
	s.dialFailed(a)
}

func (s *State) dialFailed(a identity.AgentID) {
	if !s.endDial(a) {
		return
	}
	s.stats.DialsFailed++
	n := s.nodes[a]
	if n != nil && n.connected {
		return
	}
	if n != nil {
		s.drop(n)
	}
	if len(s.bads) == maxBad {
		s.bads = s.bads[1:]
	}
	s.bads = append(forget(s.bads, a), bad{a, s.now.Add(badFor)})
	s.failQueries(a)
	s.lostHolder(a)
}

func forget(list []bad, a identity.AgentID) []bad {
	for i := range list {
		if list[i].agent == a {
			return append(list[:i:i], list[i+1:]...)
		}
	}
	return list
}

func (s *State) isBad(a identity.AgentID) bool {
	for i := range s.bads {
		if s.bads[i].agent == a {
			return s.now.Before(s.bads[i].until)
		}
	}
	return false
}

func (s *State) drop(n *node) {
	n.listed = false
	if n.connected {
		return
	}
	delete(s.nodes, n.Agent)
	for i, o := range s.order {
		if o == n {
			s.order = append(s.order[:i:i], s.order[i+1:]...)
			return
		}
	}
}

// rank orders peers by how much is known of them.
func (n *node) rank() int {
	switch {
	case n.connected:
		return 2
	case !n.proved.IsZero():
		return 1
	}
	return 0
}

// list puts a node into its bucket if there is room, or one there of which less
// is known.
func (s *State) list(n *node) bool {
	inBucket, unconnected, sameHere, same := 0, 0, 0, 0
	var worst *node
	for _, o := range s.order {
		if !o.listed {
			continue
		}
		if !o.connected {
			unconnected++
		}
		if n.origin.IsValid() && o.origin == n.origin {
			same++
			if o.bucket == n.bucket {
				sameHere++
			}
		}
		if o.bucket == n.bucket {
			inBucket++
			if worst == nil || o.rank() < worst.rank() || o.rank() == worst.rank() && o.proved.Before(worst.proved) {
				worst = o
			}
		}
	}
	if n.origin.IsValid() && (sameHere >= s.cfg.MaxPerPrefix || same >= 4*s.cfg.MaxPerPrefix) {
		s.stats.PrefixRefused++
		return false
	}
	switch {
	case inBucket >= s.cfg.Bucket && worst.rank() < n.rank():
		s.drop(worst)
	case inBucket >= s.cfg.Bucket && !n.connected:
		return false
	case unconnected >= s.cfg.Table && !n.connected:
		return false
	}
	n.listed = true
	return true
}

func (s *State) bucketFull(n *node) bool {
	count := 0
	for _, o := range s.order {
		if o != n && o.listed && o.bucket == n.bucket {
			count++
		}
	}
	return count >= s.cfg.Bucket
}

// nearest returns the k listed peers nearest to a key that fit, nearest first.
func (s *State) nearest(key Key, k int, fits func(*node) bool) []*node {
	list := make([]*node, 0, k+1)
	for _, n := range s.order {
		if !n.listed || fits != nil && !fits(n) {
			continue
		}
		i := len(list)
		for i > 0 && nearer(key, n.Agent, list[i-1].Agent) {
			i--
		}
		if i == k {
			continue
		}
		list = append(list, nil)
		copy(list[i+1:], list[i:])
		list[i] = n
		list = list[:min(len(list), k)]
	}
	return list
}

// tellable are the peers nearest to a key that may be told to an asker.
func (s *State) tellable(key Key, asker *node) []Peer {
	var peers []Peer
	for _, n := range s.nearest(key, maxPeers, func(n *node) bool {
		return n != asker && len(n.Addrs) > 0 && !n.silent && (n.connected || s.now.Sub(n.proved) < provedFor)
	}) {
		p := n.Peer
		p.Addrs = nil
		for _, a := range n.Addrs {
			if discovery.MayTell(a.Addr(), asker.seen) {
				p.Addrs = append(p.Addrs, a)
			}
		}
		if len(p.Addrs) > 0 {
			peers = append(peers, p)
		}
	}
	return peers
}
