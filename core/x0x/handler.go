package x0x

import (
	"context"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/direct"
	"github.com/saorsa-labs/x0x-go/core/gossip"
	"github.com/saorsa-labs/x0x-go/core/membership"
	"github.com/saorsa-labs/x0x-go/core/presence"
	"github.com/saorsa-labs/x0x-go/core/rendezvous"
	"github.com/saorsa-labs/x0x-go/core/revocation"
	"github.com/saorsa-labs/x0x-go/core/transport"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// handler hands connections and streams from transport to the rooms. It implements
// transport.Handler.
type handler struct {
	a   *Agent
	net *network
}

// ConnUp is called for each new connection before any of its streams.
func (h handler) ConnUp(c *transport.Conn) {
	if c.AgentID() == h.a.AgentID() {
		// The connection stays, idle: closed, it would be dialled again for ever.
		h.a.conflicts.saw(h.a, c.MachineID(), c.RemoteAddr())
		return
	}
	h.a.peerCache.connected(c)
	h.a.links.up(c)
	h.a.direct.LinkUp(link{c})
	h.net.presence.peerUp(c.AgentID(), c.MachineID())
	h.net.overlay.peerUp(c)
	h.net.rendezvous.peerUp(c)
	h.a.trust.Touch(c.AgentID(), c.MachineID(), time.Now().UTC())
}

// ConnDown is called when a connection is gone.
func (h handler) ConnDown(c *transport.Conn, err error) {
	if c.AgentID() == h.a.AgentID() {
		return
	}
	h.a.trust.Touch(c.AgentID(), c.MachineID(), time.Now().UTC())
	h.a.direct.LinkDown(link{c}, err)
	if h.a.links.down(c) {
		h.net.overlay.peerDown(c.AgentID())
		h.net.rendezvous.peerDown(c.AgentID())
		h.net.presence.peerDown(c)
	}
}

// Stream runs on a goroutine of the connection for each stream of the peer.
func (h handler) Stream(c *transport.Conn, kind transport.StreamKind, s transport.ReceiveStream) {
	if c.AgentID() == h.a.AgentID() {
		return
	}
	switch kind {
	case transport.KindDirect, transport.KindDirectBody:
		h.a.direct.HandleStream(link{c}, byte(kind), s)
	case transport.KindGossip, transport.KindGossipControl:
		h.topics(c, s)
	}
}

// topics reads frames of gossip and of the other rooms until the stream ends. What cannot be a
// frame ends the connection, since its sender proved that it does not speak the protocol.
func (h handler) topics(c *transport.Conn, s transport.ReceiveStream) {
	r := wire.NewFrameReader(s, gossip.MaxFrame)
	var frame []byte
	var heard time.Time // when the overlay was last told that the peer is alive
	for {
		typ, body, err := r.Next()
		if err != nil {
			if k := wire.KindOf(err); k == wire.KindCorrupt || k == wire.KindTooLarge {
				c.Close(transport.CloseProtocol, "malformed topic frame")
			}
			return
		}
		frame = append(append(frame[:0], typ), body...) // nobody keeps anything of it
		if ours, err := h.roomFrame(c, typ, frame); ours {
			if err != nil {
				h.a.log.Debug("frame refused", "type", typ, "peer", c.AgentID().Short(), "error", err)
			}
			continue
		}
		if now := time.Now(); now.Sub(heard) > heardPause {
			heard = now
			h.net.overlay.heard(c.AgentID())
		}
		h.a.gossip.HandleFrame(c.AgentID(), frame)
		if cap(frame) > 64<<10 {
			frame = nil // one large message must not pin its size for ever
		}
	}
}

// roomFrame gives a frame to the room that its first byte names; false if it is gossip's.
func (h handler) roomFrame(c *transport.Conn, typ byte, frame []byte) (ours bool, err error) {
	switch {
	case membership.IsFrame(typ):
		err = h.net.overlay.handleFrame(c.AgentID(), frame)
	case presence.IsFrame(typ):
		err = h.net.presence.handleFrame(c.AgentID(), frame)
	case rendezvous.IsFrame(typ):
		err = h.net.rendezvous.handleFrame(c, frame)
	case revocation.IsFrame(typ):
		err = h.net.revocations.handleFrame(c.AgentID(), frame)
	default:
		return false, nil
	}
	return true, err
}

// peerEvent turns what transport saw into an event for the application.
func (a *Agent) peerEvent(e transport.Event) {
	ev := Event{Agent: e.Agent, Machine: e.Machine, Path: e.Path, Err: e.Err}
	if e.Addr.IsValid() {
		ev.Addr = e.Addr.String()
	}
	switch e.Type {
	case transport.Connected:
		ev.Type = Connected
	case transport.Disconnected:
		ev.Type = Disconnected
		a.direct.Disconnected(e.Agent)
		if a.waits(e.Agent) {
			a.dials.want(e.Agent)
		}
	case transport.PeerJoined:
		ev.Type = PeerJoined
	default:
		ev.Type = ErrorEvent
	}
	a.events.push(ev)
}

// waits reports whether a message waits for an agent. A peer that nothing waits for is left
// alone when it goes.
func (a *Agent) waits(id AgentID) bool {
	return slices.ContainsFunc(a.direct.Sessions(), func(s direct.SessionInfo) bool {
		return s.Agent == id && s.Queued+s.Unanswered > 0
	})
}

// link shows a connection to core/direct in its own words.
type link struct{ *transport.Conn }

func (l link) Agent() AgentID     { return l.AgentID() }
func (l link) Machine() MachineID { return l.MachineID() }

func (l link) OpenUni(ctx context.Context, kind byte) (direct.SendStream, error) {
	return l.Conn.OpenUni(ctx, transport.StreamKind(kind))
}

// Fail ends a connection whose peer broke the protocol.
func (l link) Fail(reason string) { l.Close(transport.CloseProtocol, reason) }
