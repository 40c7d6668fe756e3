package transport

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Connect makes a connection to an agent unless there is one, and returns after
// the handler's ConnUp. Concurrent calls
// for one machine share the dial, which goes on for the others when ctx of one
// ends. The error is nil for Direct, Coordinated and AlreadyConnected; for
// NotFound it is wire.KindNotFound, and for Unreachable what the best address
// came to: KindUnreachable, KindAuth, KindNetworkMismatch, KindLimit, KindTimeout
// and KindCancelled for ctx.
func (p *Peers) Connect(ctx context.Context, agent identity.AgentID) (Outcome, error) {
	const op = "connect"
	if p.Conn(agent) != nil {
		return AlreadyConnected, nil
	}
	machines := p.book.machinesOf(agent)
	if len(machines) == 0 {
		return NotFound, wire.Errorf(wire.KindNotFound, op, "nothing is known about where agent %s is", agent.Short())
	}
	var firstErr error
	for _, m := range machines {
		c, fresh, err := p.dialMachine(ctx, m, p.book.addrs(m))
		switch {
		case err == nil && c.agent != agent:
			err = wire.Errorf(wire.KindAuth, op, "machine %s runs agent %s, not %s", m.Short(), c.agent.Short(), agent.Short())
		case err == nil && fresh:
			return Direct, nil
		case err == nil:
			return AlreadyConnected, nil
		}
		if firstErr == nil {
			firstErr = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	if p.Conn(agent) != nil { // the peer dialled us meanwhile
		return AlreadyConnected, nil
	}
	return Unreachable, firstErr
}

// ConnectMachine is [Peers.Connect] for whatever agent the machine runs.
func (p *Peers) ConnectMachine(ctx context.Context, m identity.MachineID) (Outcome, error) {
	if p.connTo(m) != nil {
		return AlreadyConnected, nil
	}
	addrs := p.book.addrs(m)
	if len(addrs) == 0 {
		return NotFound, wire.Errorf(wire.KindNotFound, "connect", "nothing is known about where machine %s is", m.Short())
	}
	_, fresh, err := p.dialMachine(ctx, m, addrs)
	switch {
	case err == nil && fresh:
		return Direct, nil
	case err == nil || p.connTo(m) != nil:
		return AlreadyConnected, nil
	}
	return Unreachable, err
}

// ConnectAddr connects to whoever answers at an address, for bootstrap. It
// returns the connection that stays, which may be an earlier one.
func (p *Peers) ConnectAddr(ctx context.Context, addr netip.AddrPort) (*Conn, error) {
	c, _, err := p.dialAddr(ctx, addr, identity.MachineID{})
	return c, err
}

// Keep says whether to stay connected to an agent: while kept and not connected
// it is dialled again and again, with a growing pause.
func (p *Peers) Keep(agent identity.AgentID, keep bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.kept[agent]
	switch {
	case !keep && k != nil:
		delete(p.kept, agent)
		k.nudge()
	case keep && k == nil:
		k = &keeper{wake: make(chan struct{}, 1)}
		p.kept[agent] = k
		if p.connLocked(agent) == nil {
			p.startKeeper(agent, k, 0)
		}
	}
}

// keeper redials one kept agent while it is not connected. Peers.mu guards it.
type keeper struct {
	wake    chan struct{}
	running bool
}

// nudge ends the pause.
func (k *keeper) nudge() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// startKeeper starts the loop unless it runs. The caller holds p.mu.
func (p *Peers) startKeeper(agent identity.AgentID, k *keeper, pause time.Duration) {
	if !k.running && p.closing.Err() == nil {
		k.running = p.tasks.Go("keep peer", func() { p.keep(agent, k, pause) })
	}
}

func (p *Peers) keep(agent identity.AgentID, k *keeper, pause time.Duration) {
	next := max(pause, p.cfg.BackoffMin)
	for {
		if pause > 0 {
			timer := time.NewTimer(pause/2 + rand.N(pause/2+1))
			select {
			case <-timer.C:
			case <-k.wake:
				next = p.cfg.BackoffMin // news
			case <-p.closing.Done():
			}
			timer.Stop()
		}
		p.mu.Lock()
		if p.closing.Err() != nil || p.kept[agent] != k || p.connLocked(agent) != nil {
			k.running = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		if _, err := p.Connect(p.closing, agent); err != nil {
			p.report(agent, err)
		}
		pause, next = next, min(2*next, p.cfg.BackoffMax)
	}
}

// report emits Error for failures that time alone does not mend.
func (p *Peers) report(agent identity.AgentID, err error) {
	switch wire.KindOf(err) {
	case wire.KindAuth, wire.KindNetworkMismatch, wire.KindUnsupported, wire.KindLimit:
		p.cfg.OnEvent(Event{Type: Error, Agent: agent, Err: err})
	}
}

// redialTimeout is the patience for the one redial of a lost connection.
func (p *Peers) redialTimeout(c *Conn) time.Duration {
	if p.cfg.RedialTimeout > 0 {
		return p.cfg.RedialTimeout
	}
	return min(max(p.endpoint.cfg.PeerTimeout, 16*c.RTT()), p.endpoint.cfg.DialTimeout)
}

// redialPause is between tries of a redial that fail at once, such as while an
// interface is down for a moment.
const redialPause = 100 * time.Millisecond

// redial tries for one timeout to bring a lost peer back: its last address first.
func (p *Peers) redial(pr *peer, last netip.AddrPort, timeout time.Duration, lostErr error) {
	ctx, cancel := context.WithTimeout(p.closing, timeout)
	defer cancel()
	addrs := p.book.addrs(pr.machine)
	if i := slices.Index(addrs, last); i >= 0 {
		addrs = slices.Delete(addrs, i, i+1)
	}
	addrs = slices.Insert(addrs, 0, last)
	p.redials.Add(1)
	for ctx.Err() == nil {
		_, _, err := p.dialMachine(ctx, pr.machine, addrs)
		if err == nil || !passes(err) || p.connTo(pr.machine) != nil {
			break
		}
		select {
		case <-time.After(redialPause):
		case <-ctx.Done():
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	pr.redialling = false
	if pr.current == nil {
		p.redialsFailed.Add(1)
		p.disconnected(pr, lostErr)
	}
}

// passes reports that a failed dial may succeed a moment later.
func passes(err error) bool {
	switch wire.KindOf(err) {
	case wire.KindIO, wire.KindDisconnected, wire.KindUnreachable:
		r, refused := errors.AsType[*refusal](err)
		return !refused || r.code != refuseClosing
	}
	return false
}

// flight is one dial to a machine that callers share.
type flight struct {
	done  chan struct{}
	conn  *Conn
	fresh bool
	err   error
}

// dialMachine joins or starts the dial to a machine. fresh is false when an
// earlier connection turned out to stay.
func (p *Peers) dialMachine(ctx context.Context, m identity.MachineID, addrs []netip.AddrPort) (c *Conn, fresh bool, err error) {
	const op = "connect"
	if len(addrs) == 0 {
		return nil, false, wire.Errorf(wire.KindUnreachable, op, "no address of machine %s is known", m.Short())
	}
	p.mu.Lock()
	f := p.flights[m]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		p.flights[m] = f
		if !p.tasks.Go("dial", func() { p.fly(f, m, addrs) }) {
			delete(p.flights, m)
			p.mu.Unlock()
			return nil, false, wire.Errorf(wire.KindClosed, op, "closing")
		}
	}
	p.mu.Unlock()
	select {
	case <-f.done:
		return f.conn, f.fresh, f.err
	case <-ctx.Done():
		return nil, false, wireError(op, ctx.Err())
	}
}

// fly races the addresses: each gets a head start on the next. The first
// connection wins and cancels the rest.
func (p *Peers) fly(f *flight, m identity.MachineID, addrs []netip.AddrPort) {
	ctx, cancel := context.WithCancel(p.closing)
	defer cancel()
	type result struct {
		conn  *Conn
		fresh bool
		err   error
	}
	results := make(chan result, len(addrs))
	timer := time.NewTimer(0)
	defer timer.Stop()
	started, finished := 0, 0
	var first result
	for finished < len(addrs) {
		select {
		case <-timer.C:
			addr := addrs[started]
			started++
			if !p.tasks.Go("dial address", func() {
				c, fresh, err := p.dialAddr(ctx, addr, m)
				results <- result{c, fresh, err}
			}) {
				results <- result{err: wire.Errorf(wire.KindClosed, "connect", "closing")}
			}
			if started < len(addrs) {
				timer.Reset(p.cfg.Stagger)
			}
			continue
		case r := <-results:
			finished++
			if r.err == nil {
				first = r
			} else if first.err == nil {
				first = r // the best address's failure says most
			}
			if r.err != nil && started < len(addrs) {
				timer.Reset(0)
			}
		}
		if first.err == nil {
			break
		}
	}
	cancel()
	p.mu.Lock()
	f.conn, f.fresh, f.err = first.conn, first.fresh, first.err
	delete(p.flights, m)
	p.mu.Unlock()
	close(f.done)
}

// dialAddr dials one address and brings the connection up.
func (p *Peers) dialAddr(ctx context.Context, addr netip.AddrPort, expect identity.MachineID) (c *Conn, fresh bool, err error) {
	var machine identity.MachineID
	gaveUp := func(m identity.MachineID) ConnID {
		machine = m
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.dead[m]
	}
	c, err = p.endpoint.dial(ctx, addr, expect, gaveUp)
	if id, ok := asDuplicate(err); ok {
		if c := p.live(machine, id); c != nil {
			return c, false, nil
		}
		// The peer holds on to a connection that is gone here. Say so.
		c, err = p.endpoint.dial(ctx, addr, expect, func(identity.MachineID) ConnID { return id })
	}
	if err != nil {
		return nil, false, err
	}
	stays, r := p.install(c)
	if r != nil {
		c.Close(CloseReplaced, "")
		if stays != nil {
			return stays, false, nil
		}
		return nil, false, wire.Errorf(r.kind(), "connect", "%w", r)
	}
	p.up(c)
	select {
	case <-c.upped:
		return c, true, nil
	case <-c.Done(): // lost, or replaced at once
		if stays := p.connTo(machine); stays != nil {
			return stays, false, nil
		}
		return nil, false, c.Err()
	}
}

// live returns the connection with this id if it is a current one.
func (p *Peers) live(m identity.MachineID, id ConnID) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, pr := range p.peers {
		if key.machine == m && pr.current != nil && pr.current.session.id == id {
			return pr.current
		}
	}
	return nil
}
