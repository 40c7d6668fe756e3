//go:build x0x_test_panic

package bridge

import "github.com/saorsa-labs/x0x-go/capi/internal/abi"

// Features are the X0X_FEATURE_* of this build.
const Features = abi.FeatureTestPanic

// testPanic panics, so that tests of every language see what a defect does.
func testPanic() error { panic("on purpose") }
