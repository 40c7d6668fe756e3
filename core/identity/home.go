package identity

import (
	"path/filepath"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// DefaultHome returns the home folder of the user that this process runs as
// (its effective uid), from the system's account data: /etc/passwd on Linux.
// The environment is never read, so every language finds the same folder. If
// the account is unknown or has no absolute home, the error is
// [wire.KindNotFound] and the caller must name a folder.
func DefaultHome() (string, error) { return accountHome() }

// maxInstanceName is the longest instance name in characters.
const maxInstanceName = 64

// InstanceDir returns the identity folder of a named instance under home:
// "default" is home/.x0x, "alice" is home/.x0x-alice. A name is 1 to 64
// characters: an ASCII letter or digit, then letters, digits or '-'. The rule
// keeps a name from leaving its folder. Nothing is created. The only error is
// [wire.KindInvalidArgument].
func InstanceDir(home, name string) (string, error) {
	const op = "instance folder"
	if home == "" {
		return "", wire.Errorf(wire.KindInvalidArgument, op, "the home folder is empty")
	}
	if !validInstanceName(name) {
		return "", wire.Errorf(wire.KindInvalidArgument, op,
			"an instance name is 1 to %d characters: a letter or digit, then letters, digits or '-'", maxInstanceName)
	}
	if name == "default" {
		return filepath.Join(home, ".x0x"), nil
	}
	return filepath.Join(home, ".x0x-"+name), nil
}

func validInstanceName(name string) bool {
	if len(name) < 1 || len(name) > maxInstanceName || name[0] == '-' {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
		default:
			return false
		}
	}
	return true
}
