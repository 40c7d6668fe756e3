package netns

import (
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Own returns what a command has to start with to have a network of its own. Who
// is not root becomes root of a user namespace, where one may have that.
func Own() (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return attr, nil
}

// Loopback switches the loopback interface on. All IPv4 addresses of prefix are
// its own then, unless prefix is zero: 127.0.0.0/8 it has anyhow.
func Loopback(prefix netip.Prefix) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(s)
	change := func(request uint, set func(*unix.Ifreq) error) {
		r, e := unix.NewIfreq("lo")
		if err == nil && e == nil {
			e = set(r)
		}
		if err == nil && e == nil {
			e = unix.IoctlIfreq(s, request, r)
		}
		if err == nil {
			err = failed(e)
		}
	}
	if prefix.IsValid() {
		change(unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(prefix.Addr().AsSlice()) })
		change(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(net.CIDRMask(prefix.Bits(), 32)) })
	}
	change(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		return nil
	})
	return err
}

func failed(err error) error {
	if err == nil {
		return nil
	}
	return wire.Errorf(wire.KindIO, "set up the loopback interface", "%w", err)
}
