//go:build !linux

package bridge

import "github.com/saorsa-labs/x0x-go/core/wire"

// eventFD exists on Linux only; other platforms wait or set a wake callback.
type eventFD int

const noEventFD eventFD = -1

func newEventFD() (eventFD, error) {
	return noEventFD, wire.Errorf(wire.KindUnsupported, "make eventfd", "not on this platform")
}

func (eventFD) raise() {}
func (eventFD) lower() {}
func (eventFD) close() {}
