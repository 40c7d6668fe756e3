//go:build darwin || windows

package identity

import (
	"os/user"
	"path/filepath"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// On macOS and Windows os/user asks the system (getpwuid_r of libSystem, the
// profile of the process token), with and without cgo, never the environment.
func accountHome() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", wire.Errorf(wire.KindNotFound, "default home", "no account data: set home_dir: %w", err)
	}
	if !filepath.IsAbs(u.HomeDir) {
		return "", wire.Errorf(wire.KindNotFound, "default home", "the user has no home: set home_dir")
	}
	return u.HomeDir, nil
}
