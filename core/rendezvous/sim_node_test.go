package rendezvous

import (
	"net/netip"
	"time"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/internal/simnet"
)

// simNode is one process of a swarm: the rendezvous of an agent, connected as the
// façade connects it, without goroutines.
type simNode struct {
	*State
	w    *swarm
	id   int
	ours map[int]bool // connections and dials that were made for it
	at   time.Time

	binding  *discovery.Binding
	sequence uint64
	born     time.Time
	died     time.Time // zero: alive
	waits    map[uint64]func([]*discovery.Announcement, time.Time)
}

var _ simnet.Node = (*simNode)(nil)

func simAddr(id int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{50, byte(id >> 16), byte(id >> 8), byte(id)}), 5483)
}

func (w *swarm) peer(id int) Peer {
	return Peer{Agent: w.agents[id], Machine: w.machines[id], Addrs: []netip.AddrPort{simAddr(id)}}
}

func (n *simNode) Up(peer int, now time.Time) {
	n.PeerUp(n.w.peer(peer), simAddr(peer), now)
	n.act(now)
}

func (n *simNode) Down(peer int, now time.Time) {
	delete(n.ours, peer)
	n.PeerDown(n.w.agents[peer], now)
	n.act(now)
}

func (n *simNode) DialFailed(peer int, now time.Time) {
	delete(n.ours, peer)
	n.State.DialFailed(n.w.agents[peer], now)
	n.act(now)
}

func (n *simNode) Receive(peer int, frame []byte, now time.Time) {
	if err := n.HandleFrame(n.w.agents[peer], frame, now); err != nil {
		n.w.t.Errorf("node %d refused a frame 0x%02x of node %d: %v", n.id, frame[0], peer, err)
	}
	n.act(now)
}

func (n *simNode) Tick(now time.Time) {
	n.State.Tick(now)
	n.act(now)
}

// act is after every input, and does what the State wants, in order.
func (n *simNode) act(now time.Time) {
	for _, a := range n.Take() {
		switch a.Kind {
		case Send:
			n.w.bytes[a.Frame[0]] += uint64(len(a.Frame))
			if !n.w.net.Send(n.id, n.w.index[a.Agent], simnet.Control, a.Frame) {
				n.w.t.Errorf("node %d: a link is full", n.id)
			}
		case Dial:
			peer, known := n.w.index[a.Agent]
			if !known || len(a.Peer.Addrs) != 1 || a.Peer.Addrs[0] != simAddr(peer) {
				n.w.t.Fatalf("node %d dials %v at %v", n.id, a.Agent, a.Peer.Addrs)
			}
			n.ours[peer] = true
			n.w.net.Dial(n.id, peer)
		case Release:
			peer := n.w.index[a.Agent]
			n.w.net.At(now.Add(time.Millisecond), func() {
				if n.ours[peer] && n.died.IsZero() {
					delete(n.ours, peer)
					n.w.net.Close(n.id, peer)
				}
			})
		case Done:
			if f := n.waits[a.Lookup]; f != nil {
				delete(n.waits, a.Lookup)
				f(a.Found, now)
			}
		case Conflicts:
			n.w.t.Errorf("node %d: a conflict", n.id)
		case Renew:
			n.announce(now)
			n.act(now)
		}
	}
}

// announce signs and publishes.
func (n *simNode) announce(now time.Time) {
	n.sequence++
	a, err := discovery.NewAnnouncement(simKey(n.w.t, "agent", n.id), discovery.AnnouncementOptions{
		Binding: n.binding, Sequence: n.sequence, IssuedAt: now, TTL: simTTL,
		Addrs: []netip.AddrPort{simAddr(n.id)}, Capabilities: discovery.Direct,
	})
	if err != nil {
		n.w.t.Fatal(err)
	}
	n.Publish(a, now)
}
