package transport

import (
	"context"
	"net"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestAdmissionShares(t *testing.T) {
	a := newAdmission(16)
	var cancels []context.CancelFunc
	from := func(ip string, verified bool) error {
		ctx, cancel := context.WithCancel(context.Background())
		cancels = append(cancels, cancel)
		_, err := a.admit(ctx, &quic.ClientInfo{
			RemoteAddr: &net.UDPAddr{IP: net.ParseIP(ip), Port: 1}, AddrVerified: verified,
		})
		return err
	}
	for range 4 {
		require.NoError(t, from("192.0.2.1", true))
	}
	require.Equal(t, wire.KindLimit, wire.KindOf(from("192.0.2.1", true)), "a quarter is one address's share")
	require.NoError(t, from("192.0.2.1", false), "a forger cannot use up, and an unproved address has no, share")
	require.NoError(t, from("192.0.2.2", true))
	// A customer's IPv6 network is one address.
	for i := range 4 {
		require.NoError(t, from([]string{"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "2001:db8:0:2::1"}[i], true))
	}
	require.Equal(t, wire.KindLimit, wire.KindOf(from("2001:db8:0:ff::9", true)))
	require.True(t, a.suspicious(nil))
	for range 6 {
		require.NoError(t, from("127.0.0.1", true), "loopback is exempt")
	}
	require.Equal(t, wire.KindLimit, wire.KindOf(from("127.0.0.1", true)), "the whole is not")

	half, turned := a.counts()
	require.Equal(t, 16, half)
	require.Equal(t, uint64(3), turned)
	for _, cancel := range cancels {
		cancel()
	}
	eventually(t, "all places are free", func() bool { half, _ := a.counts(); return half == 0 })
	require.Empty(t, a.shares)
}
