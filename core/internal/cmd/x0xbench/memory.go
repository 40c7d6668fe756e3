package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// connections is how many idle ones are made.
const connections = 1000

// rss is the resident memory of this process after everything that can be given back was.
func rss() (int64, error) {
	runtime.GC()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS")
}

// answerRSS says the memory at every line of input, until it ends.
func answerRSS(first hello) error {
	var err error
	if first.RSS, err = rss(); err != nil {
		return err
	}
	say(first)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		n, err := rss()
		if err != nil {
			return err
		}
		say(hello{RSS: n})
	}
	return nil
}

// restingAgent is one joined agent that does nothing.
func restingAgent(args []string) error {
	network, dir, _, err := where(args)
	if err != nil {
		return err
	}
	a, err := openAgent(network, dir)
	if err != nil {
		return err
	}
	defer a.Close(context.Background())
	return answerRSS(hello{Addr: a.LocalAddrs()[0].String(), Agent: a.AgentID().String(), Machine: a.MachineID().String()})
}

// restingRaw is one quic-go listener that accepts.
func restingRaw() error {
	l, err := quic.ListenAddr("127.0.0.1:0", ed25519TLS(), &quic.Config{MaxIdleTimeout: time.Minute, KeepAlivePeriod: 15 * time.Second})
	if err != nil {
		return err
	}
	defer l.Close()
	go func() {
		for {
			if _, err := l.Accept(context.Background()); err != nil {
				return
			}
		}
	}()
	return answerRSS(hello{Addr: l.Addr().String()})
}

// spokes makes connections to an agent, each from an identity and a socket of its own.
func spokes(args []string) error {
	network, addr, machine := args[0], netip.MustParseAddrPort(args[1]), args[2]
	id, err := identity.ParseMachineID(machine)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for range connections {
		e, err := endpointOf(network)
		if err != nil {
			return err
		}
		if _, err := e.Dial(ctx, addr, id); err != nil {
			return err
		}
	}
	say(hello{})
	<-untilInputEnds().Done()
	return nil // the process ends, and with it the sockets
}

// rawSpokes makes quic-go connections, each from a socket of its own.
func rawSpokes(args []string) error {
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(args[0]))
	for range connections {
		socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return err
		}
		if _, err := (&quic.Transport{Conn: socket}).Dial(context.Background(), to, ed25519TLS(), &quic.Config{MaxIdleTimeout: time.Minute, KeepAlivePeriod: 15 * time.Second}); err != nil {
			return err
		}
	}
	say(hello{})
	<-untilInputEnds().Done()
	return nil
}

// growth starts a hub, measures it, connects the spokes, and measures it again.
func growth(hub, spokes *process) (rest, each int64, err error) {
	defer spokes.Close()
	var after hello
	if err := hub.ask("rss", &after); err != nil {
		return 0, 0, err
	}
	return hub.hello.RSS, (after.RSS - hub.hello.RSS) / connections, nil
}

// memory is what an agent takes at rest, and what an idle authenticated connection adds.
func memory(b *bench) error {
	dir, err := os.MkdirTemp("", "x0x-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	network := "bench-memory-" + strconv.Itoa(os.Getpid())

	hub, err := startChild("rest", "-network", network, "-runtime-dir", dir)
	if err != nil {
		return err
	}
	defer hub.Close()
	s, err := startChild("spokes", network, hub.hello.Addr, hub.hello.Machine)
	if err != nil {
		return err
	}
	rest, each, err := growth(hub, s)
	if err != nil {
		return err
	}
	rawHub, err := startChild("raw-rest")
	if err != nil {
		return err
	}
	defer rawHub.Close()
	rs, err := startChild("raw-spokes", rawHub.hello.Addr)
	if err != nil {
		return err
	}
	rawRest, rawEach, err := growth(rawHub, rs)
	if err != nil {
		return err
	}
	const mib, kib = 1 << 20, 1 << 10
	atRest := row{Row: "memory_rest", Lang: "go", Value: float64(rest) / mib, Unit: "MiB", Raw: float64(rawRest) / mib, RawWhat: "a quic-go listener", Ratio: float64(rest) / 16e6}.most(1)
	atRest.Target, atRest.Note = "<= 16 MB", "ratio is to the target"
	b.add(atRest)
	conn := row{Row: "memory_connection", Lang: "go", Value: float64(each) / kib, Unit: "KiB", Raw: float64(rawEach) / kib, RawWhat: "a quic-go connection", Ratio: float64(each) / (128 * kib)}.most(1)
	conn.Target, conn.Note = "<= 128 KiB", "ratio is to the target; 1,000 idle connections"
	b.add(conn)
	return nil
}
