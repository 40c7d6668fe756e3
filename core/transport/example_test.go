package transport_test

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/transport"
)

// printer is a Handler that prints what arrives.
type printer struct{ done chan struct{} }

func (printer) ConnUp(*transport.Conn)          {}
func (printer) ConnDown(*transport.Conn, error) {}
func (p printer) Stream(_ *transport.Conn, kind transport.StreamKind, s transport.ReceiveStream) {
	text, err := io.ReadAll(s)
	fmt.Println(kind == transport.KindDirect, string(text), err)
	close(p.done)
}

func newEndpoint() *transport.Endpoint {
	machine, err := identity.GenerateKey()
	if err != nil {
		panic(err)
	}
	agent, err := identity.GenerateKey()
	if err != nil {
		panic(err)
	}
	e, err := transport.Listen(transport.Config{
		Machine: machine, Agent: agent, NetworkID: "example", Bind: "127.0.0.1:0",
	})
	if err != nil {
		panic(err)
	}
	return e
}

// Two agents on one host: b listens, a finds it by a hint and sends it a stream.
func ExamplePeers() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	a, b := newEndpoint(), newEndpoint()
	defer a.Close(ctx)
	defer b.Close(ctx)
	arrived := printer{done: make(chan struct{})}
	peers := transport.NewPeers(a, printer{}, transport.PeersConfig{})
	defer peers.Close(ctx)
	others := transport.NewPeers(b, arrived, transport.PeersConfig{})
	defer others.Close(ctx)

	peers.AddHint(transport.Hint{Machine: b.MachineID(), Agent: b.AgentID(), Addrs: b.LocalAddrs()})
	outcome, err := peers.Connect(ctx, b.AgentID())
	fmt.Println(outcome, err)

	s, err := peers.Conn(b.AgentID()).OpenUni(ctx, transport.KindDirect)
	if err != nil {
		panic(err)
	}
	if _, err := s.Write([]byte("hello")); err != nil {
		panic(err)
	}
	s.Close()
	<-arrived.done
	// Output:
	// Direct <nil>
	// true hello <nil>
}
