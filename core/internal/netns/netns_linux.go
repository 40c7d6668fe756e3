package netns

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
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
func Loopback(prefix netip.Prefix) error { return Up("lo", prefix) }

// Up gives an interface of the namespace an IPv4 address, unless it is zero, and
// switches it on.
func Up(name string, addr netip.Prefix) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return failed(name, err)
	}
	defer unix.Close(s)
	change := func(request uint, set func(*unix.Ifreq) error) {
		r, e := unix.NewIfreq(name)
		if err == nil && e == nil {
			e = set(r)
		}
		if err == nil && e == nil {
			e = unix.IoctlIfreq(s, request, r)
		}
		if err == nil {
			err = failed(name, e)
		}
	}
	if addr.IsValid() {
		change(unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(addr.Addr().AsSlice()) })
		change(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(net.CIDRMask(addr.Bits(), 32)) })
	}
	change(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_MULTICAST)
		return nil
	})
	return err
}

// Inside runs fn on a thread in a new namespace, where its sockets and those of
// functions that it calls are made; goroutines that it starts are outside. fd is
// the namespace, for Cable, and good until fn returns. Sockets stay good, and keep
// the namespace; without any it goes, with its end of every cable.
func Inside(fn func(fd int) error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- failed("the namespace", err)
			return
		}
		fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			done <- failed("the namespace", err)
			return
		}
		defer unix.Close(fd)
		done <- fn(fd)
	}()
	return <-done
}

// Cable makes two Ethernet interfaces that are joined, near in this namespace and
// far in the one of fd. Both are off until Up.
//
// The request is RTM_NEWLINK of rtnetlink(7): attributes are length ‖ type ‖
// value, each from a multiple of 4, and those of a veth are nested three deep.
func Cable(near, far string, fd int) error {
	// IFLA_LINKINFO and what is in it, of linux/if_link.h.
	const infoKind, infoData, vethPeer = 1, 2, 1
	attr := func(kind uint16, parts ...[]byte) []byte {
		value := slices.Concat(parts...)
		b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtAttr+len(value)))
		b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
		return append(b, make([]byte, -len(b)&3)...)
	}
	name := func(s string) []byte { return attr(unix.IFLA_IFNAME, append([]byte(s), 0)) }
	info := make([]byte, unix.SizeofIfInfomsg)
	body := slices.Concat(info, name(near),
		attr(unix.IFLA_LINKINFO, attr(infoKind, []byte("veth")),
			attr(infoData, attr(vethPeer, info, name(far),
				attr(unix.IFLA_NET_NS_FD, binary.NativeEndian.AppendUint32(nil, uint32(fd)))))))
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, unix.RTM_NEWLINK)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	b = append(append(b, make([]byte, 8)...), body...)

	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return failed(near, err)
	}
	defer unix.Close(s)
	if err := unix.Sendto(s, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return failed(near, err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(s, answer, 0)
	switch {
	case err != nil:
		return failed(near, err)
	case n < unix.SizeofNlMsghdr+4:
		return failed(near, unix.EBADMSG)
	}
	if code := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); code != 0 {
		return failed(near, unix.Errno(-code))
	}
	return nil
}

func failed(what string, err error) error {
	if err == nil {
		return nil
	}
	return wire.Errorf(wire.KindIO, "set up the network", "%s: %w", what, err)
}
