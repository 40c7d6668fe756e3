package x0x

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/lan"
	"github.com/saorsa-labs/x0x-go/core/transport"
)

const (
	// lanDials bounds dials to agents on the LAN at a time. They have slots of their own, so
	// that a stranger there who announces agents that do not exist keeps nobody from the agents
	// of this machine.
	lanDials = 4
	// lanFound bounds those who were found and wait for a dial. Who finds no room is met by
	// the next pass over all entries.
	lanFound = 64
	// lanAgain is the interval of dials to who does not answer, and of tries to start where
	// there is no LAN.
	lanAgain = 30 * time.Second
)

// wantsLAN reports whether this agent looks for others on the LAN. Who listens on loopback
// alone does not: nobody there could reach it.
func (n *network) wantsLAN() bool {
	o := n.agent.opts
	return o.LAN && !o.NoLocalDiscovery && !n.endpoint.Addr().Addr().IsLoopback()
}

// searchLAN announces this agent on the LAN and dials who is found there, until the network is
// left. A machine without LAN or mDNS goes on without.
func (n *network) searchLAN() {
	tick := time.NewTicker(lanAgain)
	defer tick.Stop()
	for {
		found := make(chan lan.Entry, lanFound)
		s, err := lan.Open(n.lanOptions(found))
		if err == nil {
			defer s.Close()
			n.lan.Store(s)
			n.dialLAN(s, found)
			return
		}
		n.agent.log.Debug("no LAN discovery now", "error", err)
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *network) lanOptions(found chan<- lan.Entry) lan.Options {
	a := n.agent
	o := lan.Options{
		NetworkID: a.opts.NetworkID, Machine: a.MachineID(), Port: n.endpoint.Addr().Port(),
		OnFound: func(e lan.Entry) {
			select {
			case found <- e:
			default:
			}
		},
		OnPanic: a.panicked, Logger: a.log,
	}
	if addr := n.endpoint.Addr().Addr(); !addr.IsUnspecified() {
		o.Interfaces = func() ([]net.Interface, error) { return interfacesOf(addr) }
	}
	return o
}

// interfacesOf returns the multicast interface that has an address: who is bound to it cannot
// be reached through others.
func interfacesOf(addr netip.Addr) ([]net.Interface, error) {
	all, err := net.Interfaces()
	const want = net.FlagUp | net.FlagMulticast
	return slices.DeleteFunc(all, func(i net.Interface) bool {
		addrs, _ := i.Addrs() // it may have left in between
		return i.Flags&want != want || !slices.ContainsFunc(addrs, func(a net.Addr) bool {
			n, ok := a.(*net.IPNet)
			return ok && n.IP.Equal(net.IP(addr.AsSlice()))
		})
	}), err
}

// dialLAN dials who is found, and again from time to time who is not connected.
func (n *network) dialLAN(s *lan.Service, found <-chan lan.Entry) {
	slots := make(chan struct{}, lanDials)
	tried := map[MachineID]time.Time{}
	dial := func(e lan.Entry) {
		tried[e.Machine] = time.Now()
		try(n.ctx, n.tasks, slots, "dial on the LAN", func() {
			ctx, cancel := context.WithTimeout(n.ctx, n.agent.opts.DialTimeout)
			defer cancel()
			n.dialNeighbour(ctx, transport.Hint{Machine: e.Machine, Addrs: e.Addrs, Source: "lan"})
		})
	}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case e := <-found:
			// Both find each other at once: one dials, and the other only if that was in vain.
			if n.agent.MachineID().Compare(e.Machine) < 0 {
				dial(e)
			}
		case <-tick.C:
			old := tried
			tried = make(map[MachineID]time.Time, len(old)) // forgets who is gone
			for _, e := range s.Entries() {
				if at, ok := old[e.Machine]; ok && time.Since(at) < lanAgain {
					tried[e.Machine] = at
				} else if !n.machineConnected(e.Machine) {
					dial(e)
				}
			}
		}
	}
}
