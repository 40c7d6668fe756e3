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

// Inside fails likewise.
func Inside(func(int) error) error { return errLinux }

// Cable fails likewise.
func Cable(string, string, int) error { return errLinux }

// Up fails likewise.
func Up(string, netip.Prefix) error { return errLinux }
