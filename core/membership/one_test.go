package membership

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// one is a single state whose peers the test plays.
type one struct {
	*State
	t       testing.TB
	now     time.Time
	actions []Action
}

func newOne(t testing.TB, cfg Config) *one {
	cfg.Self = agentID(0)
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(1, 2))
	}
	return &one{State: New(cfg), t: t, now: start}
}

// did returns what the state wants since the last time.
func (o *one) did() []Action {
	a := append(o.actions, o.Take()...)
	o.actions = nil
	return a
}

func (o *one) up(n int)   { o.upFrom(n, addrOf(n)) }
func (o *one) down(n int) { o.PeerDown(agentID(n), o.now) }
func (o *one) upFrom(n int, seen netip.AddrPort) {
	o.PeerUp(Peer{Agent: agentID(n), Machine: identity.MachineID(agentID(n))}, seen, o.now)
}

func (o *one) frame(from int, frame []byte) {
	o.t.Helper()
	require.NoError(o.t, o.HandleFrame(agentID(from), frame, o.now))
}

// neighbors makes agents neighbours.
func (o *one) neighbors(ids ...int) {
	o.t.Helper()
	for _, n := range ids {
		if o.peers[agentID(n)] == nil {
			o.up(n)
		}
		o.frame(n, neighborFrame(false))
		require.Contains(o.t, o.ActiveView(), agentID(n))
	}
	o.did()
}

// tick goes on in time, with a tick whenever one is due.
func (o *one) tick(d time.Duration) {
	end := o.now.Add(d)
	for range 1_000_000 {
		next := o.NextTick()
		if next.IsZero() || next.After(end) {
			break
		}
		if next.After(o.now) {
			o.now = next
		}
		o.Tick(o.now)
	}
	o.now = end
}

// frames filters the actions for frames of a type.
func frames(list []Action, typ frameType) (found []Action) {
	for _, a := range list {
		if a.Kind == Send && frameType(a.Frame[0]) == typ {
			found = append(found, a)
		}
	}
	return found
}

func kinds(list []Action, kind ActionKind) (found []Action) {
	for _, a := range list {
		if a.Kind == kind {
			found = append(found, a)
		}
	}
	return found
}

// after ticks until the state does something that matches, and says how long it
// took.
func (o *one) after(match func(Action) bool) time.Duration {
	o.t.Helper()
	from := o.now
	for range 10_000 {
		for _, a := range o.did() {
			if match(a) {
				return o.now.Sub(from)
			}
		}
		next := o.NextTick()
		require.False(o.t, next.IsZero())
		if next.After(o.now) {
			o.now = next
		}
		o.Tick(o.now)
	}
	require.Fail(o.t, "it never happens")
	return 0
}

func isFrame(to int, typ frameType) func(Action) bool {
	return func(a Action) bool {
		return a.Kind == Send && frameType(a.Frame[0]) == typ && (to < 0 || a.Agent == agentID(to))
	}
}

func equalActions(a, b []Action) bool {
	for i := range a {
		if i >= len(b) || a[i].Kind != b[i].Kind || a[i].Agent != b[i].Agent {
			return false
		}
	}
	return len(a) == len(b)
}
