package bridge

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/handle"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// What a process may have open. The limits stop a loop that leaks.
const (
	maxQueues        = 1024
	maxAgents        = 1024
	maxSubscriptions = 4096 // of one agent, those counted whose closing record waits
)

// Library holds everything that one process has open. Make it with New.
type Library struct {
	open func(Options) (Core, error)

	queues        *handle.Table[Queue]
	agents        *handle.Table[Agent]
	subscriptions *handle.Table[Subscription]
	inboxes       *handle.Table[Inbox]
	operations    *handle.Table[operation]

	mu         sync.Mutex        // makes the limit of queues exact, and guards closing
	closing    map[uint64]*Agent // by the handle that they had, until they are gone
	agentsKept atomic.Int64      // open, closing, or with a closing record not drained

	logTo  atomic.Pointer[logTarget]
	logger *slog.Logger
}

// New returns a Library whose agents are made by open.
func New(open func(Options) (Core, error)) *Library {
	l := &Library{
		open:          open,
		closing:       map[uint64]*Agent{},
		queues:        handle.New[Queue](abi.KindQueue),
		agents:        handle.New[Agent](abi.KindAgent),
		subscriptions: handle.New[Subscription](abi.KindSubscription),
		inboxes:       handle.New[Inbox](abi.KindInbox),
		operations:    handle.New[operation](abi.KindOperation),
	}
	l.logger = slog.New(logHandler{library: l})
	return l
}

// Kind returns the kind of an open handle.
func (l *Library) Kind(h uint64) (kind int, err error) {
	kind = handle.KindOf(h)
	switch kind {
	case abi.KindQueue:
		_, err = l.queues.Get(h)
	case abi.KindAgent:
		_, err = l.agents.Get(h)
	case abi.KindSubscription:
		_, err = l.subscriptions.Get(h)
	case abi.KindInbox:
		_, err = l.inboxes.Get(h)
	case abi.KindOperation:
		_, err = l.operations.Get(h)
	default:
		err = handle.ErrBad
	}
	return kind, err
}

// Live returns how many handles of a kind are open; abi.KindAny counts all.
func (l *Library) Live(kind uint32) int {
	counts := []int{abi.KindQueue: l.queues.Live(), abi.KindAgent: l.agents.Live(),
		abi.KindSubscription: l.subscriptions.Live(), abi.KindInbox: l.inboxes.Live(),
		abi.KindOperation: l.operations.Live()}
	if kind == abi.KindAny {
		sum := 0
		for _, n := range counts {
			sum += n
		}
		return sum
	}
	if int64(kind) >= int64(len(counts)) {
		return 0
	}
	return counts[kind]
}

var errWrongKind = &wire.Error{Kind: wire.KindWrongKind, Op: "handle", Msg: "the handle is of another kind"}

// wrongKind says why h was not found in the table of the kind that was wanted: it
// may be an open handle of another kind, or a closed one.
func (l *Library) wrongKind(h uint64, err error) error {
	if err != handle.ErrBad {
		return err
	}
	if _, err = l.Kind(h); err == nil {
		return errWrongKind
	}
	return err
}

// Queue returns the queue of a handle.
func (l *Library) Queue(h uint64) (*Queue, error) {
	q, err := l.queues.Get(h)
	if err != nil {
		return nil, l.wrongKind(h, err)
	}
	return q, nil
}

// agent returns the agent of a handle if it can still work.
func (l *Library) agent(h uint64) (*Agent, error) {
	a, err := l.agents.Get(h)
	if err != nil {
		return nil, l.wrongKind(h, err)
	}
	if a.core.Poisoned() != nil {
		return nil, errPoisoned
	}
	return a, nil
}

var errPoisoned = &wire.Error{Kind: wire.KindPoisoned, Op: "agent", Msg: "this agent met a defect earlier; close it"}

// Close ends a handle of any kind.
func (l *Library) Close(h uint64) error {
	switch handle.KindOf(h) {
	case abi.KindQueue:
		q, err := l.queues.Get(h)
		if err != nil {
			return err
		}
		return q.close()
	case abi.KindAgent:
		_, err := l.CloseAgent(h, 0)
		return err
	case abi.KindSubscription:
		s, err := l.subscriptions.Close(h)
		if err != nil {
			return err
		}
		return s.close()
	case abi.KindInbox:
		i, err := l.inboxes.Close(h)
		if err != nil {
			return err
		}
		i.close()
		return nil
	case abi.KindOperation:
		_, err := l.operations.Close(h)
		return err
	}
	return handle.ErrBad
}

// Shutdown closes every agent and queue and waits at most timeout. It reports
// whether everything has ended; what has not goes on closing, and queues that agents
// are still attached to stay open.
func (l *Library) Shutdown(timeout time.Duration) bool {
	deadline := time.Now().Add(timeout)
	left := func() time.Duration {
		if timeout == Forever {
			return Forever
		}
		return max(time.Until(deadline), 0)
	}
	var closing []*Agent
	for _, a := range l.agents.All() {
		_, _ = l.CloseAgent(a.handle, graceWithin(a.grace, timeout)) // or another thread does
	}
	l.mu.Lock()
	for _, a := range l.closing {
		closing = append(closing, a)
	}
	l.mu.Unlock()
	all := true
	for _, a := range closing {
		all = a.waitGone(left()) && all
	}
	for _, q := range l.queues.All() {
		all = q.close() == nil && all
	}
	return all
}

// start runs fn on a goroutine of its own. A panic in it poisons a, if there is one,
// and is otherwise logged.
func (l *Library) start(name string, a *Agent, fn func()) {
	go func() {
		defer func() {
			if v := recover(); v != nil {
				_ = l.panicked(name, a, v)
			}
		}()
		fn()
	}()
}

// panicked contains a panic: it poisons a, if there is one, and returns the error
// for the call that met it.
func (l *Library) panicked(name string, a *Agent, v any) error {
	stack := string(debug.Stack())
	l.logger.Error("panic", "in", name, "value", fmt.Sprint(v), "stack", stack)
	if a != nil {
		a.core.Poison(fmt.Errorf("panic in %s: %v", name, v))
	}
	return &wire.Error{Kind: wire.KindPanic, Op: name, Msg: fmt.Sprintf("a defect inside the library: %v", v)}
}

// Contain is deferred by an export: it turns a panic that reached it into an error.
// Those that concern one agent were contained before.
func (l *Library) Contain(name string, err *error) {
	if v := recover(); v != nil {
		*err = l.panicked(name, nil, v)
	}
}
