package direct

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// exchange hands what each session has to say to the other until both are silent.
func exchange(t *testing.T, a, b *session, fx *effects) {
	t.Helper()
	for {
		fromA, _ := a.produce(nil, batchBytes)
		fromB, _ := b.produce(nil, batchBytes)
		if len(fromA)+len(fromB) == 0 {
			return
		}
		for _, way := range []struct {
			bytes []byte
			to    *session
		}{{fromA, b}, {fromB, a}} {
			r := wire.NewFrameReader(bytes.NewReader(way.bytes), maxFrame)
			for {
				typ, body, err := r.Next()
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				f, err := parseFrame(typ, bytes.Clone(body))
				require.NoError(t, err)
				require.NoError(t, way.to.handle(&f, 1, fx))
			}
		}
	}
}

// Of two crossing dials one connection stays, and the peer may never have taken up the other,
// on which this side has written already. Whether that counts as a restart of the peer depends
// on whether it is the same process and remembers everything.
func TestMessagesOfALinkThatThePeerNeverTookUp(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second [16]byte
		keeps         bool
		lost          bool
	}{
		{"the same process, which has forgotten nothing", [16]byte{1}, [16]byte{1}, true, false},
		{"another process", [16]byte{1}, [16]byte{2}, true, true},
		{"the same process, which has forgotten a session", [16]byte{1}, [16]byte{1}, false, true},
		{"nobody knows", [16]byte{}, [16]byte{}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := newSession(sessionID{1}, 1<<20), newSession(sessionID{2}, 1<<20)
			b.in.keeps = c.keeps
			var fx effects
			for range 5 {
				a.out.queue.push(&Pending{payload: []byte("x")})
			}
			a.linkUp([16]byte{7})
			a.out.process = c.first
			written, _ := a.produce(nil, batchBytes)
			require.NotEmpty(t, written, "a new session writes without waiting")
			a.linkDown() // and b never heard of it

			a.linkUp([16]byte{8})
			a.out.process = c.second
			b.linkUp([16]byte{8})
			b.out.process = [16]byte{9}
			exchange(t, &a, &b, &fx)
			if c.lost {
				require.Len(t, fx.completed, 5, "nobody can know whether they arrived")
				require.True(t, fx.reset)
				return
			}
			require.Empty(t, fx.completed)
			require.False(t, fx.reset)
			require.Equal(t, uint64(6), b.in.next, "they are written again")
		})
	}
}
