package transport

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestDialProvesBothEnds(t *testing.T) {
	a, b := listen(t, testConfig(t, 1)), listen(t, testConfig(t, 2))
	ab, ba := pair(t, a, b, b.Addr())

	require.True(t, ab.Dialled())
	require.False(t, ba.Dialled())
	require.Equal(t, b.AgentID(), ab.AgentID())
	require.Equal(t, b.MachineID(), ab.MachineID())
	require.Equal(t, a.AgentID(), ba.AgentID())
	require.Equal(t, a.MachineID(), ba.MachineID())
	require.Equal(t, a.AgentID(), ba.AgentKey().AgentID())
	require.Equal(t, a.Addr(), ba.RemoteAddr())
	require.NoError(t, ab.Err())

	ab.Close(CloseGoodbye, "enough")
	err := waitDone(t, ba)
	require.Equal(t, wire.KindDisconnected, wire.KindOf(err))
	require.Equal(t, CloseGoodbye, ba.CloseCode())
	require.Equal(t, wire.KindClosed, wire.KindOf(waitDone(t, ab)))
}

func TestStreamsCarryTheirKind(t *testing.T) {
	a, b := listen(t, testConfig(t, 1)), listen(t, testConfig(t, 2))
	ab, ba := pair(t, a, b, b.Addr())
	ctx := testContext(t)

	type got struct {
		kind StreamKind
		data string
	}
	seen := make(chan got, 4)
	served := make(chan error, 1)
	go func() {
		served <- ba.Serve(func(kind StreamKind, s ReceiveStream) {
			data, err := io.ReadAll(s)
			if err != nil {
				return
			}
			if both, ok := s.(Stream); ok {
				_, _ = both.Write([]byte("re: " + string(data)))
				_ = both.Close()
			}
			seen <- got{kind, string(data)}
		})
	}()

	uni, err := ab.OpenUni(ctx, KindDirect)
	require.NoError(t, err)
	_, err = uni.Write([]byte("one"))
	require.NoError(t, err)
	require.NoError(t, uni.Close())
	require.Equal(t, got{KindDirect, "one"}, <-seen)

	both, err := ab.OpenBidi(ctx, KindGossip)
	require.NoError(t, err)
	_, err = both.Write([]byte("two"))
	require.NoError(t, err)
	require.NoError(t, both.Close())
	answer, err := io.ReadAll(both)
	require.NoError(t, err)
	require.Equal(t, "re: two", string(answer))
	require.Equal(t, got{KindGossip, "two"}, <-seen)

	empty, err := ab.OpenUni(ctx, KindDirectBody)
	require.NoError(t, err)
	require.NoError(t, empty.Close())
	require.Equal(t, got{KindDirectBody, ""}, <-seen)

	ab.Close(CloseGoodbye, "")
	require.Equal(t, wire.KindDisconnected, wire.KindOf(<-served))
}
