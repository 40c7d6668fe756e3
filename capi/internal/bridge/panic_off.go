//go:build !x0x_test_panic

package bridge

import "github.com/saorsa-labs/x0x-go/core/wire"

// Features are the X0X_FEATURE_* of this build.
const Features = 0

func testPanic() error {
	return wire.Errorf(wire.KindUnsupported, "test panic", "this build has no such method")
}
