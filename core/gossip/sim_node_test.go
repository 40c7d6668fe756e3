package gossip

import (
	"net/netip"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/simnet"
	"github.com/saorsa-labs/x0x-go/core/membership"
)

const (
	// swarmDials is how many dials a node makes at a time, as the façade does.
	swarmDials = 4
	// swarmJoinAgain is how long one contact has to answer JOIN, as in the façade.
	swarmJoinAgain = 5 * time.Second
)

// swarmNode is one process of a swarm: the membership and the router of an
// agent, connected as the façade and Engine connect them, without goroutines.
type swarmNode struct {
	*router
	w  *swarm
	id int

	state   *membership.State
	joined  time.Time     // when JOIN was last sent
	dialled map[int]bool  // for the overlay
	dialing map[int]bool  // now
	waiting []int         // to be dialled
	stateAt time.Time     // when the membership is to be ticked
	tickAt  time.Time     // and when the router
	born    time.Time     // when it began
	dead    bool          // killed
	key     *identity.Key // of those who have published

	subs     map[string]time.Time // when it subscribed to topics
	got      []time.Duration      // since the start of the run, by message; 0: not yet
	sequence uint64
}

var (
	_ simnet.Node    = (*swarmNode)(nil)
	_ simnet.Readier = (*swarmNode)(nil)
)

func (n *swarmNode) agent(peer int) identity.AgentID { return n.w.agents[peer] }

// Up is a connection.
func (n *swarmNode) Up(peer int, now time.Time) {
	n.dialEnded(peer, now)
	id, at := n.agent(peer), swarmAddr(peer)
	if len(n.state.ActiveView()) == 0 && now.Sub(n.joined) > swarmJoinAgain {
		n.joined = now
		n.state.Join(id, now)
	}
	n.state.PeerUp(membership.Peer{Agent: id, Machine: identity.MachineID(id), Addrs: []netip.AddrPort{at}}, at, now)
	n.act(now)
}

// Down is the end of a connection.
func (n *swarmNode) Down(peer int, now time.Time) {
	n.state.PeerDown(n.agent(peer), now)
	n.act(now)
}

func (n *swarmNode) DialFailed(peer int, now time.Time) {
	n.dialEnded(peer, now)
	n.state.DialFailed(n.agent(peer), now)
	n.act(now)
}

func (n *swarmNode) Receive(peer int, frame []byte, now time.Time) {
	if frame[0] >= 0x20 && frame[0] < 0x40 {
		if err := n.state.HandleFrame(n.agent(peer), frame, now); err != nil {
			n.w.t.Errorf("%v: node %d refused a membership frame of node %d: %v", n.w, n.id, peer, err)
		}
		n.act(now)
		return
	}
	if typ := frameType(frame[0]); typ == frameEnvelope || typ == frameRetained {
		n.w.copies++
	}
	n.handleFrame(n.agent(peer), frame, now)
	n.pump(now)
}

// Ready is PeerReady.
func (n *swarmNode) Ready(peer int, now time.Time) {
	if p := n.peers[n.agent(peer)]; p != nil {
		p.refusing = false
		n.pump(now)
	}
}

func (n *swarmNode) Tick(now time.Time) {
	if !n.stateAt.IsZero() && !n.stateAt.After(now) {
		n.state.Tick(now)
		n.act(now)
	}
	if n.tickAt.IsZero() || n.tickAt.After(now) {
		return
	}
	n.tickAt = time.Time{}
	n.router.tick(now)
	for _, id := range n.order {
		p := n.peers[id]
		if p.refusing && now.Sub(p.refusingSince) > n.cfg.PeerPatience {
			n.stall(p)
		}
		if now.Sub(p.refusedAt) >= resendAfter {
			p.refusing = false
		}
	}
	n.pump(now)
}

func (n *swarmNode) NextTick() time.Time {
	if n.stateAt.IsZero() || !n.tickAt.IsZero() && n.tickAt.Before(n.stateAt) {
		return n.tickAt
	}
	return n.stateAt
}

// act is after every input of the membership, and does what it wants, in order.
func (n *swarmNode) act(now time.Time) {
	n.stateAt = n.state.NextTick()
	for _, a := range n.state.Take() {
		peer, known := n.w.index[a.Agent]
		if !known {
			n.w.t.Fatalf("%v: node %d: %v of an agent that does not exist", n.w, n.id, a.Kind)
		}
		switch a.Kind {
		case membership.Send:
			n.send(peer, ClassControl, a.Frame)
		case membership.Dial:
			n.dial(peer, a.Peer.Addrs, now)
		case membership.Release:
			if n.dialled[peer] {
				delete(n.dialled, peer)
				n.w.net.Close(n.id, peer)
			}
		case membership.Up:
			n.w.ups++
			n.peerUp(a.Agent, now)
			n.pump(now)
		case membership.Down:
			n.peerDown(a.Agent, now)
			n.pump(now)
		}
	}
}

func (n *swarmNode) send(peer int, class Class, frame []byte) bool {
	if !n.w.net.Send(n.id, peer, int(class), frame) {
		return false
	}
	n.w.bytes[frame[0]] += uint64(len(frame))
	return true
}

// dial connects to a peer if there is room, and later otherwise. Hearsay may be
// wrong: then nobody answers.
func (n *swarmNode) dial(peer int, addrs []netip.AddrPort, now time.Time) {
	if !slices.Contains(addrs, swarmAddr(peer)) {
		n.w.t.Fatalf("%v: node %d heard of node %d at %v", n.w, n.id, peer, addrs)
	}
	n.dialled[peer] = true
	n.waiting = append(n.waiting, peer)
	n.startDials(now)
}

func (n *swarmNode) startDials(now time.Time) {
	for len(n.dialing) < swarmDials && len(n.waiting) > 0 {
		peer := n.waiting[0]
		n.waiting = n.waiting[1:]
		if n.dialing[peer] || n.w.net.Connected(n.id, peer) {
			continue
		}
		n.dialing[peer] = true
		n.w.net.Dial(n.id, peer)
	}
}

func (n *swarmNode) dialEnded(peer int, now time.Time) {
	if n.dialing[peer] {
		delete(n.dialing, peer)
		n.startDials(now)
	}
}

// pump does what an Engine does after every change.
func (n *swarmNode) pump(now time.Time) {
	n.handOver(now)
	for progress := true; progress; {
		progress = false
		for _, id := range n.order {
			p := n.peers[id]
			if p.refusing {
				continue
			}
			out := n.outgoingFor(p, offerAtOnce, now)
			if len(out) == 0 {
				continue
			}
			peer, sent := n.w.index[id], 0
			for sent < len(out) && n.send(peer, out[sent].class, out[sent].frame) {
				sent++
			}
			n.sent(p, out, sent, now)
			progress = progress || sent > 0
		}
	}
	d := n.interval(now)
	for _, p := range n.peers {
		if p.refusing && (d == 0 || d > resendAfter) {
			d = resendAfter
		}
	}
	if d > 0 && (n.tickAt.IsZero() || now.Add(d).Before(n.tickAt)) {
		n.tickAt = now.Add(d)
	}
}

// handOver takes what the router delivers to the subscriptions.
func (n *swarmNode) handOver(now time.Time) {
	for i := range n.deliveries {
		m := &n.deliveries[i].msg
		n.w.delivered(n, place{m.Sender, m.Epoch, m.Sequence}, m, now)
	}
	n.deliveries = nil
}

func (n *swarmNode) has(m int) bool { return m < len(n.got) && n.got[m] != 0 }

// holds reports whether it could give a message to others.
func (n *swarmNode) holds(m *swarmMessage) bool {
	t := n.topics[m.topicID]
	return t != nil && t.index[m.at] != nil
}

func (n *swarmNode) subscribes(topic string) bool { return !n.subs[topic].IsZero() }
