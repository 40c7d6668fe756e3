package x0x

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"sync"

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
	ctx, cancel := context.WithTimeout(ctx, joinPass)
	defer cancel()
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
// connected. A host that does not answer is reported once a try, as an event.
func (n *network) dialBootstrap(ctx context.Context, b *bootstrapHost) {
	b.mu.Lock()
	known := b.machine
	b.mu.Unlock()
	if !known.IsZero() && n.machineConnected(known) {
		return
	}
	c, err := n.dialHost(ctx, b)
	if err != nil {
		if n.ctx.Err() == nil {
			n.agent.events.push(Event{Type: ErrorEvent, Addr: net.JoinHostPort(b.host, strconv.Itoa(int(b.port))), Err: err})
		}
		return
	}
	b.mu.Lock()
	b.machine = c.MachineID()
	b.mu.Unlock()
}
