package x0x

import (
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// DefaultNetworkID is the network that agents join unless they are told another.
const DefaultNetworkID = "x0x.prod"

// Options configure an Agent. The zero value is a good default: a fresh identity that lives
// in memory, an ephemeral port, and the other agents of this user on this machine as peers.
type Options struct {
	// Name makes the identity persistent: "alice" lives in HomeDir/.x0x-alice, "default" in
	// HomeDir/.x0x. 1–64 letters, digits and '-', first a letter or digit.
	Name string
	// HomeDir is the folder for Name; "" is the passwd home of the user.
	HomeDir string
	// IdentityDir holds a persistent identity in this folder instead of HomeDir/.x0x-Name.
	IdentityDir string
	// MachineKeyPath and AgentKeyPath name existing key files.
	MachineKeyPath, AgentKeyPath string
	// MachineKey and AgentKey are key material: a 6,000-byte key file image, a 32-byte seed,
	// or public‖secret (1,952 + 4,032 bytes).
	MachineKey, AgentKey []byte

	// ContactsPath is the file that contacts are kept in, of one agent at a time. "" is
	// contacts.json in the folder of a persistent identity; without one, contacts live in memory.
	ContactsPath string
	// UserKeyPath and UserKey are the key of the person behind the agent, as MachineKeyPath and
	// MachineKey. There is none unless given: the library never makes one.
	UserKeyPath string
	UserKey     []byte

	// NetworkID separates networks: agents of different ones never connect. "" is x0x.prod.
	NetworkID string
	// Bind is the UDP "host:port" to listen on; "" is [::]:0, dual stack, or IPv4 where IPv6
	// is off. A busy explicit port is ErrBusy.
	Bind string
	// Bootstrap lists "host:port" of ordinary agents to try first. They are only hints.
	Bootstrap []string
	// RuntimeDir is the folder of the registry through which agents of one user on one
	// machine find each other; "" is the default of core/discovery.
	RuntimeDir string
	// NoLocalDiscovery neither registers there nor reads it, nor uses the LAN.
	NoLocalDiscovery bool
	// LAN also looks for agents of the network on the local networks of this machine, by
	// multicast DNS, and announces this one there: its machine id, port and a hash of the
	// network id. It never fails a join. NoLocalDiscovery and a Bind to loopback turn it off.
	LAN bool
	// NoRelay does not carry topics that this agent does not subscribe to.
	NoRelay bool

	// DialTimeout bounds one try to one address (8 s: two lost flights and their repetition).
	DialTimeout time.Duration
	// SendTimeout is the default of SendDirect (10 s).
	SendTimeout time.Duration
	// PeerTimeout is the silence after which a connection with unacknowledged data is given
	// up and redialled (1 s).
	PeerTimeout time.Duration
	// SessionTTL is how long a session waits for its peer to come back (60 s).
	SessionTTL time.Duration
	// CloseGrace is how long Close waits for sends in flight (2 s).
	CloseGrace time.Duration

	// AcceptFrom is the least trust whose direct messages are delivered (TrustUnknown and the
	// zero value: anyone who is not blocked).
	AcceptFrom TrustLevel
	// Visibility is to whom this agent says that it is online (VisibleToNetwork).
	Visibility Visibility
	// PresenceInterval is how often it says so (30 s), and PresenceTimeout the silence after
	// which another is offline at the latest (5 min); usually its rhythm tells sooner.
	PresenceInterval, PresenceTimeout time.Duration
	// IdentityTTL is how long this agent is found after it was last heard of (15 min, at most an
	// hour); it announces itself anew at a third of it.
	IdentityTTL time.Duration
	// InboxMessages and InboxBytes bound the direct messages that wait for the application
	// (1,024 and 32 MiB). When it is full the senders' windows close; nothing is dropped.
	InboxMessages int
	InboxBytes    int64
	// EventLimit bounds the events that wait (1,024); the oldest is dropped.
	EventLimit int
	// MaxPeers bounds connections (1,024); further ones are refused.
	MaxPeers int
	// ActivePeers is how many of them topics go through (6), and PassivePeers how many agents
	// are remembered to take the place of one that is lost (30).
	ActivePeers, PassivePeers int
	// MaxPeersPerAddress bounds the active peers at one IPv4 address or IPv6 /64 (3), so that
	// one machine with many identities cannot surround this agent; negative is no bound.
	// Agents on this machine do not count.
	MaxPeersPerAddress int
	// MaxOperations bounds asynchronous operations in flight (4,096); further ones are ErrBusy.
	MaxOperations int

	// Logger receives what an operator may want to know. nil is silence.
	Logger *slog.Logger
}

// withDefaults returns o with every zero replaced, or what is wrong with it.
func (o Options) withDefaults() (Options, error) {
	const op = "open"
	def := func(d *time.Duration, v time.Duration, name string) error {
		if *d < 0 {
			return wire.Errorf(wire.KindInvalidArgument, op, "%s is negative", name)
		}
		if *d == 0 {
			*d = v
		}
		return nil
	}
	for _, t := range []struct {
		d    *time.Duration
		v    time.Duration
		name string
	}{
		{&o.DialTimeout, 8 * time.Second, "dial timeout"},
		{&o.SendTimeout, 10 * time.Second, "send timeout"},
		{&o.PeerTimeout, time.Second, "peer timeout"},
		{&o.SessionTTL, time.Minute, "session time to live"},
		{&o.CloseGrace, 2 * time.Second, "close grace"},
		{&o.IdentityTTL, 15 * time.Minute, "identity time to live"},
		{&o.PresenceInterval, 30 * time.Second, "presence interval"},
		{&o.PresenceTimeout, 5 * time.Minute, "presence timeout"},
	} {
		if err := def(t.d, t.v, t.name); err != nil {
			return o, err
		}
	}
	for _, n := range []struct {
		n    *int
		v    int
		name string
	}{
		{&o.InboxMessages, 1024, "inbox messages"},
		{&o.EventLimit, 1024, "event limit"},
		{&o.MaxPeers, 1024, "maximum of peers"},
		{&o.ActivePeers, 6, "active peers"},
		{&o.PassivePeers, 30, "passive peers"},
		{&o.MaxOperations, 4096, "maximum of operations"},
	} {
		if *n.n < 0 {
			return o, wire.Errorf(wire.KindInvalidArgument, op, "%s is negative", n.name)
		}
		if *n.n == 0 {
			*n.n = n.v
		}
	}
	if o.MaxPeersPerAddress == 0 {
		o.MaxPeersPerAddress = 3
	}
	if o.InboxBytes < 0 {
		return o, wire.Errorf(wire.KindInvalidArgument, op, "inbox bytes is negative")
	}
	if o.InboxBytes == 0 {
		o.InboxBytes = 32 << 20
	}
	if o.AcceptFrom > TrustTrusted {
		return o, wire.Errorf(wire.KindInvalidArgument, op, "unknown trust level %d", o.AcceptFrom)
	}
	if o.AcceptFrom == TrustBlocked { // the zero value
		o.AcceptFrom = TrustUnknown
	}
	if o.IdentityTTL > discovery.MaxTTL {
		return o, wire.Errorf(wire.KindInvalidArgument, op, "identity time to live is over %v", discovery.MaxTTL)
	}
	if o.Visibility > Invisible {
		return o, wire.Errorf(wire.KindInvalidArgument, op, "unknown visibility %d", o.Visibility)
	}
	if o.NetworkID == "" {
		o.NetworkID = DefaultNetworkID
	}
	if len(o.NetworkID) > 255 {
		return o, wire.Errorf(wire.KindInvalidArgument, op, "network id is longer than 255 bytes")
	}
	if o.Bind != "" {
		if err := checkBind(o.Bind); err != nil {
			return o, err
		}
	}
	if o.Name != "" && o.IdentityDir != "" {
		return o, wire.Errorf(wire.KindInvalidArgument, op, "name and identity_dir exclude each other")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// checkBind refuses what could never be listened on, so that the mistake shows at New.
func checkBind(bind string) error {
	host, port, err := net.SplitHostPort(bind)
	if err != nil {
		return wire.Errorf(wire.KindInvalidArgument, "open", "bind address %q is not host:port", bind)
	}
	if _, err := net.LookupPort("udp", port); err != nil || strings.TrimLeft(port, "0123456789") != "" {
		return wire.Errorf(wire.KindInvalidArgument, "open", "bind address %q has no valid port", bind)
	}
	if host == "" || host == "localhost" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return wire.Errorf(wire.KindInvalidArgument, "open", "bind address %q is not an IP address", bind)
	}
	return nil
}

// keys is the identity of one agent: where it came from decides whether it outlives it.
type keys struct {
	dir            *identity.Dir // nil unless persistent
	machine, agent *identity.Key
	user           *identity.Key // nil if there is none here
}

// Close forgets the secrets and unlocks the folder.
func (k *keys) Close() error {
	if k.machine != nil {
		k.machine.Destroy()
	}
	if k.agent != nil {
		k.agent.Destroy()
	}
	if k.user != nil {
		k.user.Destroy()
	}
	if k.dir != nil {
		return k.dir.Close()
	}
	return nil
}

// file returns the path of a file of the identity folder, "" if there is none.
func (k *keys) file(name string) string {
	if k.dir == nil {
		return ""
	}
	return filepath.Join(k.dir.Path(), name)
}

// loadKeys finds or makes the two keys. For each, the first of these that is given counts:
// key material, key path, the identity folder, a fresh key in memory.
func loadKeys(o Options) (k *keys, err error) {
	k = &keys{}
	defer func() {
		if err != nil {
			k.Close()
			k = nil
		}
	}()
	folder := o.IdentityDir
	if o.Name != "" {
		home := o.HomeDir
		if home == "" {
			if home, err = identity.DefaultHome(); err != nil {
				return k, err
			}
		}
		if folder, err = identity.InstanceDir(home, o.Name); err != nil {
			return k, err
		}
	}
	if folder != "" {
		if k.dir, err = identity.OpenDir(folder, o.Name != ""); err != nil {
			return k, err
		}
	}
	one := func(material []byte, path, file string) (*identity.Key, error) {
		switch {
		case len(material) > 0:
			return parseMaterial(material)
		case path != "":
			return identity.LoadKey(path)
		case k.dir != nil:
			return identity.LoadOrCreateKey(filepath.Join(k.dir.Path(), file), false)
		default:
			return identity.GenerateKey()
		}
	}
	if k.machine, err = one(o.MachineKey, o.MachineKeyPath, "machine.key"); err != nil {
		return k, err
	}
	if k.agent, err = one(o.AgentKey, o.AgentKeyPath, "agent.key"); err != nil {
		return k, err
	}
	if len(o.UserKey) > 0 || o.UserKeyPath != "" {
		k.user, err = one(o.UserKey, o.UserKeyPath, "")
	}
	return k, err
}

// parseMaterial reads the three forms of key material; the pair comes concatenated. A damaged
// key file is ErrCorrupt, whether it came as a path or as its bytes.
func parseMaterial(b []byte) (*identity.Key, error) {
	switch len(b) {
	case identity.KeyFileSize:
		return identity.ParseKeyFile(b)
	case identity.PublicKeySize + identity.PrivateKeySize:
		return identity.ParseKey(b[:identity.PublicKeySize], b[identity.PublicKeySize:])
	}
	return identity.ParseKey(b)
}
