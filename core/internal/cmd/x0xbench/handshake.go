package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/transport"
	"github.com/saorsa-labs/x0x-go/core/transport/transporttest"
)

// rawDialServer accepts quic-go connections with ML-DSA-65 certificates of the standard library.
func rawDialServer() error {
	conf, err := mldsaTLS()
	if err != nil {
		return err
	}
	l, err := quic.ListenAddr("127.0.0.1:0", conf, nil)
	if err != nil {
		return err
	}
	defer l.Close()
	ctx := untilInputEnds()
	say(hello{Addr: l.Addr().String()})
	for {
		if _, err := l.Accept(ctx); err != nil {
			return nil
		}
	}
}

// dialServer is an endpoint that accepts whoever proves itself.
func dialServer() error {
	e, err := endpoint()
	if err != nil {
		return err
	}
	ctx := untilInputEnds()
	say(hello{Addr: e.LocalAddrs()[0].String(), Machine: e.MachineID().String()})
	for {
		if _, err := e.Accept(ctx); err != nil {
			return e.Close(context.Background())
		}
	}
}

func endpoint() (*transport.Endpoint, error) { return endpointOf("bench") }

func endpointOf(network string) (*transport.Endpoint, error) {
	machine, err := identity.GenerateKey()
	if err != nil {
		return nil, err
	}
	agent, err := identity.GenerateKey()
	if err != nil {
		return nil, err
	}
	return transport.Listen(transport.Config{Machine: machine, Agent: agent, NetworkID: network, Bind: "127.0.0.1:0"})
}

// dial makes one connection and returns how many microseconds it took.
func dial(e *transport.Endpoint, addr netip.AddrPort, machine identity.MachineID) (us float64, resumed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	start := time.Now()
	c, err := e.Dial(ctx, addr, machine)
	if err != nil {
		return 0, false, err
	}
	us = float64(time.Since(start).Microseconds())
	c.Close(transport.CloseGoodbye, "")
	return us, c.Resumed(), nil
}

// firstDials is the median of n dials by endpoints that never met the server. Making them and
// closing them is not measured.
func firstDials(n int, addr netip.AddrPort, machine identity.MachineID) (float64, error) {
	var strangers []*transport.Endpoint
	defer func() {
		for _, e := range strangers {
			e.Close(context.Background())
		}
	}()
	for range n {
		e, err := endpoint()
		if err != nil {
			return 0, err
		}
		strangers = append(strangers, e)
	}
	i := 0
	return medianOf(n, func() (float64, error) {
		us, resumed, err := dial(strangers[i], addr, machine)
		if resumed {
			err = errors.New("a first dial was resumed")
		}
		i++
		return us, err
	})
}

// medianOf runs one measurement n times.
func medianOf(n int, one func() (float64, error)) (float64, error) {
	var v []float64
	for range n {
		x, err := one()
		if err != nil {
			return 0, err
		}
		v = append(v, x)
	}
	return median(v), nil
}

// handshake is a dial with everything: TLS, both machines, both agents, acknowledged.
func handshake(b *bench) error {
	rawChild, err := startChild("raw-dials")
	if err != nil {
		return err
	}
	defer rawChild.Close()
	server, err := startChild("dials")
	if err != nil {
		return err
	}
	defer server.Close()
	addr, err := netip.ParseAddrPort(server.hello.Addr)
	if err != nil {
		return err
	}
	machine, err := identity.ParseMachineID(server.hello.Machine)
	if err != nil {
		return err
	}
	conf, err := mldsaTLS()
	if err != nil {
		return err
	}
	rawAddr := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(rawChild.hello.Addr))
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer socket.Close()
	tr := &quic.Transport{Conn: socket}
	defer tr.Close()
	const dials = 20
	raw := func() (float64, error) {
		return medianOf(dials, func() (float64, error) {
			start := time.Now()
			c, err := tr.Dial(context.Background(), rawAddr, conf, nil)
			if err != nil {
				return 0, err
			}
			us := float64(time.Since(start).Microseconds())
			return us, c.CloseWithError(0, "")
		})
	}
	v, r, ratio, err := compare(b.rounds, raw, func() (float64, error) { return firstDials(dials, addr, machine) })
	if err != nil {
		return err
	}
	const what = "quic-go with ML-DSA-65 certificates of the standard library, no agent proof"
	b.add(row{Row: "handshake", Lang: "go", Value: v, Unit: "us", Raw: r, RawWhat: what, Ratio: ratio}.most(0.85))

	e, err := endpoint()
	if err != nil {
		return err
	}
	defer e.Close(context.Background())
	for try := 0; ; try++ { // the first dials, until the ticket of one has arrived
		if _, resumed, err := dial(e, addr, machine); err != nil {
			return err
		} else if resumed || try > 100 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	v, r, ratio, err = compare(b.rounds, raw, func() (float64, error) {
		return medianOf(dials, func() (float64, error) {
			us, resumed, err := dial(e, addr, machine)
			if !resumed && err == nil {
				err = errors.New("the session was not resumed")
			}
			return us, err
		})
	})
	if err != nil {
		return err
	}
	b.add(row{Row: "handshake_resumed", Lang: "go", Value: v, Unit: "us", Raw: r, RawWhat: what, Ratio: ratio}.most(0.55))

	// Distance: over a path with 50 ms of round-trip time a dial takes one round trip for the
	// handshake and one for the acknowledgement of the hello.
	const rtt = 50 * time.Millisecond
	proxy := transporttest.NewProxy(nil, addr, 1)
	defer proxy.Close()
	proxy.SetDelay(rtt / 2)
	far, err := firstDials(5, proxy.Addr(), machine)
	if err != nil {
		return err
	}
	b.add(row{Row: "handshake_50ms", Lang: "go", Value: far, Unit: "us", Raw: float64(rtt.Microseconds()), RawWhat: "one round trip", Ratio: far / float64(rtt.Microseconds()), Note: "handshake, and acknowledged hello"}.most(2.4))
	return nil
}
