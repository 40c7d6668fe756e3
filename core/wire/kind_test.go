package wire_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// The numbers are a promise to every program that was ever built against them.
func TestKindsAreFixed(t *testing.T) {
	want := []struct {
		number int32
		name   string
	}{
		{-101, "invalid_argument"}, {-102, "bad_handle"}, {-103, "wrong_kind"}, {-104, "too_small"}, {-105, "unsupported"},
		{-201, "closed"}, {-202, "busy"}, {-203, "cancelled"}, {-204, "timeout"},
		{-301, "not_found"}, {-302, "unreachable"}, {-303, "disconnected"}, {-304, "network_mismatch"},
		{-401, "auth"}, {-402, "corrupt"}, {-403, "io"},
		{-501, "blocked"}, {-502, "policy"}, {-503, "too_large"}, {-504, "limit"}, {-505, "lagged"},
		{-901, "panic"}, {-902, "poisoned"}, {-903, "forked"},
	}
	kinds := wire.Kinds()
	require.Len(t, kinds, len(want))
	for i, w := range want {
		require.Equal(t, wire.Kind(w.number), kinds[i])
		require.Equal(t, w.name, kinds[i].String())
	}
}

// include/x0x.h is the manual; its table and this package's are the same, in the
// same order.
func TestKindsAreThoseOfTheHeader(t *testing.T) {
	header, err := os.ReadFile("../../include/x0x.h")
	require.NoError(t, err)
	lines := regexp.MustCompile(`(?m)^\s*(X0X_E_[A-Z_]+)\s*=\s*(-\d+)`).FindAllSubmatch(header, -1)
	require.NotEmpty(t, lines, "the header has no statuses")
	kinds := wire.Kinds()
	require.Len(t, lines, len(kinds))
	for i, line := range lines {
		number, err := strconv.ParseInt(string(line[2]), 10, 32)
		require.NoError(t, err)
		require.Equal(t, wire.Kind(number), kinds[i], "%s", line[1])
		require.Equal(t, string(line[1]), kinds[i].Symbol())
	}
}

func TestKindsOutsideTheTable(t *testing.T) {
	require.Equal(t, "ok", wire.Kind(0).String())
	require.Equal(t, "X0X_OK", wire.Kind(0).Symbol())
	require.Equal(t, "kind(-7)", wire.Kind(-7).String())
	require.Empty(t, wire.Kind(-7).Symbol())
}
