//go:build !linux

package netns

import (
	"net/netip"
	"syscall"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

var errLinux = wire.Errorf(wire.KindUnsupported, "network namespace", "only Linux has them")

// Own fails: there is no such namespace here.
func Own() (*syscall.SysProcAttr, error) { return nil, errLinux }

// Loopback fails likewise.
func Loopback(netip.Prefix) error { return errLinux }
