package x0x

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/transport"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// bootstrapHost is a place that may answer: a host and a port, and the machine that answered
// there last, so that a connected one is not dialled again.
type bootstrapHost struct {
	host string
	port uint16

	mu      sync.Mutex
	machine MachineID
	failing bool          // and said so
	pause   time.Duration // since the last try
	next    time.Time     // of the next try
}

// bootstrapPause is the longest pause between tries of a bootstrap host that does not answer.
const bootstrapPause = time.Minute

// due reports whether it is time to try.
func (b *bootstrapHost) due(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !now.Before(b.next)
}

// failed notes a try in vain, and reports whether that is news. Pauses double.
func (b *bootstrapHost) failed(now time.Time) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pause = min(max(2*b.pause, lookAgain), bootstrapPause)
	b.next = now.Add(b.pause)
	news, b.failing = !b.failing, true
	return news
}

// answered notes the machine that answered.
func (b *bootstrapHost) answered(m MachineID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.machine, b.failing, b.pause, b.next = m, false, 0, time.Time{}
}

func parseHost(address string) (*bootstrapHost, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, wire.Errorf(wire.KindInvalidArgument, "parse address", "%q is not host:port", address)
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || p == 0 || host == "" {
		return nil, wire.Errorf(wire.KindInvalidArgument, "parse address", "%q is not host:port", address)
	}
	return &bootstrapHost{host: host, port: uint16(p)}, nil
}

// lookup resolves the host. Addresses are looked up anew for every attempt, since they change.
func (b *bootstrapHost) lookup(ctx context.Context) ([]netip.AddrPort, error) {
	if ip, err := netip.ParseAddr(b.host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip, b.port)}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", b.host)
	if err != nil {
		return nil, wire.Errorf(wire.KindUnreachable, "resolve", "host %q has no address: %w", b.host, err)
	}
	addrs := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		addrs[i] = netip.AddrPortFrom(ip.Unmap(), b.port)
	}
	return addrs, nil
}

// resolveBootstrap reads the list of the options. One host that resolves is enough; if there
// is a list and none does, that is an error, since the user meant somebody.
func (a *Agent) resolveBootstrap(ctx context.Context) ([]*bootstrapHost, error) {
	var hosts []*bootstrapHost
	var wrong []error
	resolved := 0
	for _, entry := range a.opts.Bootstrap {
		b, err := parseHost(entry)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		hosts = append(hosts, b) // a name may resolve later
		if _, err := b.lookup(ctx); err != nil {
			wrong = append(wrong, err)
			continue
		}
		resolved++
	}
	switch {
	case len(a.opts.Bootstrap) == 0 || resolved > 0:
		for _, err := range wrong {
			a.log.Warn("bootstrap host ignored for now", "error", err)
		}
		return hosts, nil
	case len(hosts) > 0:
		return nil, wire.Errorf(wire.KindUnreachable, "join network", "no bootstrap host is usable: %w", wrong[0])
	default:
		return nil, wire.Errorf(wire.KindInvalidArgument, "join network", "no bootstrap host is usable: %w", wrong[0])
	}
}

// dialHost tries the addresses of a host in order until one answers.
func (n *network) dialHost(ctx context.Context, b *bootstrapHost) (*transport.Conn, error) {
	addrs, err := b.lookup(ctx)
	if err != nil {
		return nil, err
	}
	for _, addr := range addrs {
		var c *transport.Conn
		if c, err = n.peers.ConnectAddr(ctx, addr); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// dialBootstrap connects to a bootstrap host unless the machine that answered there last is
// connected. A host that stops answering is reported once, as an event, until it has answered.
func (n *network) dialBootstrap(ctx context.Context, b *bootstrapHost) {
	b.mu.Lock()
	known := b.machine
	b.mu.Unlock()
	if !known.IsZero() && n.machineConnected(known) {
		return
	}
	if !b.due(time.Now()) {
		return
	}
	c, err := n.dialHost(ctx, b)
	if err != nil {
		if n.ctx.Err() == nil && b.failed(time.Now()) {
			n.agent.events.push(Event{Type: ErrorEvent, Addr: net.JoinHostPort(b.host, strconv.Itoa(int(b.port))), Err: err})
		}
		return
	}
	b.answered(c.MachineID())
}
