package transport

import (
	"log/slog"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/task"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Config says who an endpoint is and how patient it is. Zero durations and
// counts mean the default that each field names.
type Config struct {
	// Machine signs the TLS handshake, Agent the hello. Both are required and
	// stay the caller's.
	Machine, Agent *identity.Key

	// NetworkID separates networks: peers of another one are refused. Required.
	NetworkID string

	// Bind is "host:port" with a literal address. Empty is [::]:0, which takes
	// IPv4 too, or 0.0.0.0:0 where IPv6 is off. An explicit port that is taken
	// makes Listen fail with wire.KindBusy.
	Bind string

	// DialTimeout bounds one try to one address, hello included: 8 s. That
	// leaves room for three lost flights on a satellite link.
	DialTimeout time.Duration

	// HelloTimeout is how long a stranger may take from the end of the
	// handshake to a complete hello: 5 s. It stops slow-loris clients.
	HelloTimeout time.Duration

	// PeerTimeout is how long a watched connection may hear nothing before it
	// is given up: 1 s. See [Conn.Watch].
	PeerTimeout time.Duration

	// IdleProbe is how often an idle connection is probed, 15 s, which keeps
	// NAT bindings (RFC 4787 asks for 2 min, home routers give 30 s), and
	// IdleTimeout when it is given up, 45 s: three probes.
	IdleProbe, IdleTimeout time.Duration

	// MaxHalfOpen bounds connections that have not finished their hello, 256:
	// each may cost up to 256 KiB. Beyond half of it, a newcomer must first
	// prove its address (RFC 9000, section 8.1.2), so forged addresses cannot
	// fill the room; one address that is not loopback gets at most a quarter.
	MaxHalfOpen int

	// MaxStreams bounds the streams that a peer may have open in each
	// direction type: 64. Each is a goroutine while it lives.
	MaxStreams int

	// MaxReceiveWindow bounds what a peer may send ahead of our reading, in
	// bytes per connection: 15 MiB. Windows start small and grow with use.
	MaxReceiveWindow uint64

	// Logger gets debug lines; nil is silent. It never gets secrets.
	Logger *slog.Logger

	// Tasks lends its OnPanic. Goroutines run in a group of the endpoint's own,
	// which [Endpoint.Close] waits for.
	Tasks *task.Group
}

// Initial flow-control windows, in bytes: what a peer can make us hold before
// anything was read, and so before its hello was checked. quic-go doubles them
// towards the maximum when they limit the rate.
const (
	initialStreamWindow = 256 << 10
	initialConnWindow   = 256 << 10
	maxStreamWindow     = 6 << 20
)

// maxNetworkID keeps a network id a name.
const maxNetworkID = 256

func (c Config) withDefaults() (Config, error) {
	const op = "listen"
	switch {
	case c.Machine == nil || c.Agent == nil:
		return c, wire.Errorf(wire.KindInvalidArgument, op, "a machine key and an agent key are required")
	case c.NetworkID == "" || len(c.NetworkID) > maxNetworkID:
		return c, wire.Errorf(wire.KindInvalidArgument, op, "a network id has 1 to %d bytes, got %d", maxNetworkID, len(c.NetworkID))
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		std   time.Duration
	}{
		{"dial timeout", &c.DialTimeout, 8 * time.Second},
		{"hello timeout", &c.HelloTimeout, 5 * time.Second},
		{"peer timeout", &c.PeerTimeout, time.Second},
		{"idle probe", &c.IdleProbe, 15 * time.Second},
		{"idle timeout", &c.IdleTimeout, 45 * time.Second},
	} {
		switch {
		case *d.value < 0:
			return c, wire.Errorf(wire.KindInvalidArgument, op, "negative %s", d.name)
		case *d.value == 0:
			*d.value = d.std
		}
	}
	if c.MaxHalfOpen <= 0 {
		c.MaxHalfOpen = 256
	}
	if c.MaxStreams <= 0 {
		c.MaxStreams = 64
	}
	if c.MaxReceiveWindow == 0 {
		c.MaxReceiveWindow = 15 << 20
	}
	c.MaxReceiveWindow = max(c.MaxReceiveWindow, initialConnWindow)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
