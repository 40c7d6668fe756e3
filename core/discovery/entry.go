package discovery

import (
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"unicode/utf8"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	recordVersion = 1
	// maxRecord is far above what a record needs (about 350 bytes); it stops a
	// large file in the folder from becoming memory.
	maxRecord = 4 << 10
	// maxNetworkID equals the limit of the hello, so that every network that
	// can be joined can be registered.
	maxNetworkID = 256
)

// Entry is one agent that listens on this machine.
type Entry struct {
	Machine identity.MachineID // to pin the dial to
	Addrs   []netip.AddrPort   // loopback, IPv4 first
}

// record is the content of one registry file, a JSON object so that a person
// can read the folder with cat:
//
//	{"version":1,"network":"x0x.prod","machine":"<64 hex>","port":40123,
//	 "boot":"<boot id>","netns":4026531840}
//
// Unknown members are ignored, an unknown version is not: version 2 may mean
// something else by the same names.
type record struct {
	Version int    `json:"version"`
	Network string `json:"network"`
	Machine string `json:"machine"`
	Port    uint16 `json:"port"`
	Boot    string `json:"boot"`
	NetNS   uint64 `json:"netns"`

	machine identity.MachineID
}

func (r *record) marshal() ([]byte, error) {
	r.Version = recordVersion
	r.Machine = hex.EncodeToString(r.machine[:])
	b, err := json.Marshal(r)
	if err != nil {
		return nil, wire.Errorf(wire.KindInvalidArgument, "discovery", "encode registry entry: %v", err)
	}
	return append(b, '\n'), nil
}

// parseRecord checks everything that a hostile or foreign file could hold.
func parseRecord(b []byte) (*record, error) {
	const op = "discovery"
	if len(b) > maxRecord {
		return nil, wire.Errorf(wire.KindTooLarge, op, "registry entry has more than %d bytes", maxRecord)
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, wire.Errorf(wire.KindCorrupt, op, "registry entry is not JSON")
	}
	if r.Version != recordVersion {
		return nil, wire.Errorf(wire.KindUnsupported, op, "registry entry has version %d", r.Version)
	}
	if len(r.Network) > maxNetworkID || !utf8.ValidString(r.Network) {
		return nil, wire.Errorf(wire.KindCorrupt, op, "registry entry has an invalid network id")
	}
	if len(r.Machine) != 2*len(r.machine) {
		return nil, wire.Errorf(wire.KindCorrupt, op, "registry entry has an invalid machine id")
	}
	if _, err := hex.Decode(r.machine[:], []byte(r.Machine)); err != nil {
		return nil, wire.Errorf(wire.KindCorrupt, op, "registry entry has an invalid machine id")
	}
	if r.Port == 0 {
		return nil, wire.Errorf(wire.KindCorrupt, op, "registry entry has no port")
	}
	return &r, nil
}

func (r *record) entry() Entry {
	return Entry{
		Machine: r.machine,
		Addrs: []netip.AddrPort{
			netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), r.Port),
			netip.AddrPortFrom(netip.IPv6Loopback(), r.Port),
		},
	}
}
