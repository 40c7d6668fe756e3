package identity

import (
	"bytes"
	"encoding/hex"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// IDSize is the length of every id in bytes.
const IDSize = 32

// MachineID names a machine: SHA-256 of the public key in its TLS certificate.
type MachineID [IDSize]byte

// AgentID names an agent, which may move between machines with its key.
type AgentID [IDSize]byte

// UserID names the person behind an agent. It is shown only by consent.
type UserID [IDSize]byte

// ParseMachineID reads 64 hexadecimal digits of either case. It fails with
// [wire.KindInvalidArgument], as the two functions below do.
func ParseMachineID(s string) (id MachineID, err error) {
	err = parseHex(id[:], "MachineId", s)
	return id, err
}

// ParseAgentID reads 64 hexadecimal digits of either case.
func ParseAgentID(s string) (id AgentID, err error) {
	err = parseHex(id[:], "AgentId", s)
	return id, err
}

// ParseUserID reads 64 hexadecimal digits of either case.
func ParseUserID(s string) (id UserID, err error) {
	err = parseHex(id[:], "UserId", s)
	return id, err
}

// String returns 64 lower-case hexadecimal digits.
func (id MachineID) String() string { return hex.EncodeToString(id[:]) }
func (id AgentID) String() string   { return hex.EncodeToString(id[:]) }
func (id UserID) String() string    { return hex.EncodeToString(id[:]) }

// Short returns the first 16 digits: enough for logs, never for decisions.
func (id MachineID) Short() string { return hex.EncodeToString(id[:8]) }
func (id AgentID) Short() string   { return hex.EncodeToString(id[:8]) }
func (id UserID) Short() string    { return hex.EncodeToString(id[:8]) }

// IsZero reports whether id is the zero value, which no key has.
func (id MachineID) IsZero() bool { return id == MachineID{} }
func (id AgentID) IsZero() bool   { return id == AgentID{} }
func (id UserID) IsZero() bool    { return id == UserID{} }

// Compare orders ids as byte strings: -1, 0 or +1.
func (id MachineID) Compare(other MachineID) int { return bytes.Compare(id[:], other[:]) }
func (id AgentID) Compare(other AgentID) int     { return bytes.Compare(id[:], other[:]) }
func (id UserID) Compare(other UserID) int       { return bytes.Compare(id[:], other[:]) }

// MarshalText is the text form for JSON and TOML: the digits of String.
func (id MachineID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }
func (id AgentID) MarshalText() ([]byte, error)   { return hex.AppendEncode(nil, id[:]), nil }
func (id UserID) MarshalText() ([]byte, error)    { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads what MarshalText wrote. It leaves id unchanged on error.
func (id *MachineID) UnmarshalText(text []byte) error {
	return parseHex(id[:], "MachineId", string(text))
}
func (id *AgentID) UnmarshalText(text []byte) error {
	return parseHex(id[:], "AgentId", string(text))
}
func (id *UserID) UnmarshalText(text []byte) error {
	return parseHex(id[:], "UserId", string(text))
}

// MarshalBinary is the form for binary encodings such as msgpack: 32 bytes.
func (id MachineID) MarshalBinary() ([]byte, error) { return bytes.Clone(id[:]), nil }
func (id AgentID) MarshalBinary() ([]byte, error)   { return bytes.Clone(id[:]), nil }
func (id UserID) MarshalBinary() ([]byte, error)    { return bytes.Clone(id[:]), nil }

// UnmarshalBinary reads exactly 32 bytes. It leaves id unchanged on error.
func (id *MachineID) UnmarshalBinary(b []byte) error { return setID(id[:], "MachineId", b) }
func (id *AgentID) UnmarshalBinary(b []byte) error   { return setID(id[:], "AgentId", b) }
func (id *UserID) UnmarshalBinary(b []byte) error    { return setID(id[:], "UserId", b) }

func setID(dst []byte, name string, b []byte) error {
	if len(b) != IDSize {
		return errIDSize(name, len(b))
	}
	copy(dst, b)
	return nil
}

// parseHex checks before it decodes: a wrong text of any length costs no
// memory, is never quoted in the error, and leaves dst as it was.
func parseHex(dst []byte, name, s string) error {
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return wire.Errorf(wire.KindInvalidArgument, "parse "+name,
				"Invalid hex encoding: invalid character at position %d", i)
		}
	}
	if len(s)%2 != 0 {
		return wire.Errorf(wire.KindInvalidArgument, "parse "+name,
			"Invalid hex encoding: odd number of digits")
	}
	if len(s) != 2*IDSize {
		return errIDSize(name, len(s)/2)
	}
	_, err := hex.Decode(dst, []byte(s))
	return err
}

func errIDSize(name string, got int) error {
	return wire.Errorf(wire.KindInvalidArgument, "parse "+name,
		"%s must be %d bytes, got %d", name, IDSize, got)
}
