package bridge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	defaultGrace      = 2 * time.Second // as x0x.h has it
	defaultOperations = 4096
	// callsWait bounds the wait for asynchronous calls after their context ended.
	// They end at once; the bound keeps one that does not from keeping its agent.
	callsWait = 5 * time.Second
)

// Agent is an open agent. Its life:
//
//	open ──CloseAgent──▶ closing ──▶ gone ──closing record drained──▶ (nothing left)
//
// The handle is valid while it is open.
type Agent struct {
	library *Library
	queue   *Queue
	core    Core
	handle  uint64
	grace   time.Duration

	ctx    context.Context // of asynchronous calls
	cancel context.CancelCauseFunc
	calls  sync.WaitGroup

	events eventSource
	inbox  mail

	gone   atomic.Bool
	isGone chan struct{} // closed then

	// children counts the subscriptions and inboxes whose closing record was not
	// drained, open ones included.
	children atomic.Int64

	mu            sync.Mutex
	closing       bool
	subscriptions map[*Subscription]struct{}

	maxOperations int64
	operations    atomic.Int64 // in flight, or completed and not drained
	opsMu         sync.Mutex
	ops, opsFree  *operation
	opsEnded      bool

	// lastTopic is the topic of the last publish: programs publish to few, and so
	// the name is not copied each time.
	lastTopic atomic.Pointer[string]
}

// OpenAgent makes an agent whose records go to queue, and returns its handle.
func (l *Library) OpenAgent(o Options, queue uint64) (h uint64, err error) {
	q, err := l.Queue(queue)
	if err != nil {
		return 0, err
	}
	if l.agentsKept.Add(1) > maxAgents {
		l.agentsKept.Add(-1)
		return 0, wire.Errorf(wire.KindLimit, "open", "%d agents are open or their closing records not drained", maxAgents)
	}
	if err := q.attach(); err != nil {
		l.agentsKept.Add(-1)
		return 0, err
	}
	defer func() {
		if err != nil {
			q.unkeep()
			q.detach()
		}
	}()
	if o.CloseGrace == 0 {
		o.CloseGrace = defaultGrace
	}
	if o.MaxOperations == 0 {
		o.MaxOperations = defaultOperations
	}
	a := &Agent{library: l, queue: q, grace: o.CloseGrace, maxOperations: int64(o.MaxOperations),
		isGone: make(chan struct{}), subscriptions: map[*Subscription]struct{}{}}
	o.EventLimit = q.options.EventLimit
	o.Logger = l.logger
	// The grace of each closing is passed with it, so the core's own is only a cap.
	o.CloseGrace = MaxGrace
	if a.core, err = l.open(o); err != nil {
		return 0, err
	}
	a.ctx, a.cancel = context.WithCancelCause(context.Background())
	a.events = eventSource{agent: a}
	a.events.puller.feed = a.core.Events()
	a.events.puller.put = a.events.putEvent
	a.events.puller.lagged = a.events.putLag
	a.events.puller.credit.set(abi.CreditUnlimited)
	a.inbox.puller.feed = a.core.Inbox()
	a.inbox.puller.put = a.inbox.putDirect
	a.inbox.puller.lagged = a.inbox.putLag
	if err := l.agents.Open(a, &a.handle); err != nil {
		_ = a.core.Close(a.ctx)
		return 0, err
	}
	a.events.puller.feed.SetNotify(func() { q.notify(&a.events) })
	q.notify(&a.events)
	return a.handle, nil
}

// MaxGrace is the longest that closing waits for sends in flight.
const MaxGrace = 10 * time.Minute

// ID and MachineID return the identity of an agent.
func (l *Library) ID(h uint64) (id AgentID, err error) {
	a, err := l.agent(h)
	if err != nil {
		return id, err
	}
	defer a.guard("agent id", &err)
	return a.core.AgentID(), nil
}

func (l *Library) MachineID(h uint64) (id MachineID, err error) {
	a, err := l.agent(h)
	if err != nil {
		return id, err
	}
	defer a.guard("machine id", &err)
	return a.core.MachineID(), nil
}

// CloseAgent begins to close an agent; a grace of 0 is its default. What it owns
// loses its handle at once.
func (l *Library) CloseAgent(h uint64, grace time.Duration) (*Agent, error) {
	l.mu.Lock()
	a, err := l.agents.Close(h)
	if err != nil {
		l.mu.Unlock()
		return nil, l.wrongKind(h, err)
	}
	l.closing[a.handle] = a
	l.mu.Unlock()

	a.mu.Lock()
	a.closing = true
	for s := range a.subscriptions {
		_, _ = l.subscriptions.Close(s.handle)
	}
	if i := a.inbox.open; i != nil {
		_, _ = l.inboxes.Close(i.handle)
	}
	a.mu.Unlock()
	if grace <= 0 {
		grace = a.grace
	}
	l.start("close", nil, func() { a.close(min(grace, MaxGrace)) })
	return a, nil
}

// CloseAgentWait closes an agent and waits until it is gone. It reports false if the
// time is over before; closing goes on. If the agent was closed before, it waits for
// that, and fails with wire.KindClosed.
func (l *Library) CloseAgentWait(h uint64, timeout time.Duration) (bool, error) {
	var grace time.Duration
	if a, err := l.agents.Get(h); err == nil {
		grace = graceWithin(a.grace, timeout)
	}
	a, err := l.CloseAgent(h, grace)
	if err != nil {
		l.mu.Lock()
		a = l.closing[h]
		l.mu.Unlock()
		if a == nil {
			return false, err
		}
	}
	if !a.waitGone(timeout) {
		return false, nil
	}
	return true, err
}

// graceWithin leaves a part of timeout for the goodbye after the grace, so that who
// waits that long sees the end.
func graceWithin(grace, timeout time.Duration) time.Duration {
	if timeout == Forever {
		return grace
	}
	return max(min(grace, timeout/4*3), time.Millisecond)
}

func (a *Agent) waitGone(timeout time.Duration) bool {
	select { // whoever is gone is gone, also with no time left
	case <-a.isGone:
		return true
	default:
	}
	if timeout == Forever {
		<-a.isGone
		return true
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-a.isGone:
		return true
	case <-timer.C:
		return false
	}
}

// close ends everything of the agent, in the order of the records that tell it.
func (a *Agent) close(grace time.Duration) {
	a.endOperations()
	a.cancel(errAgentClosed)
	a.closeCore(grace)
	a.waitCalls()
	a.completeRest()

	a.mu.Lock()
	var ended []source
	for s := range a.subscriptions {
		if s.phase.CompareAndSwap(phaseOpen, phaseEnded) {
			ended = append(ended, s)
		}
	}
	clear(a.subscriptions)
	if i := a.inbox.open; i != nil && i.phase.CompareAndSwap(phaseOpen, phaseEnded) {
		ended = append(ended, i)
	}
	a.mu.Unlock()

	// Whoever drains the closing record may close the queue at once, so the agent lets go of
	// it before the record can be drained.
	a.queue.detach()
	a.gone.Store(true)
	for _, s := range ended {
		a.queue.notify(s)
	}
	a.queue.notify(&a.events)
	a.library.mu.Lock()
	delete(a.library.closing, a.handle)
	a.library.mu.Unlock()
	close(a.isGone)
}

func (a *Agent) closeCore(grace time.Duration) {
	var err error
	defer a.guard("close", &err)
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := a.core.Close(ctx); err != nil {
		a.library.logger.Warn("closing an agent", "error", err)
	}
}

func (a *Agent) waitCalls() {
	done := make(chan struct{})
	a.library.start("wait for calls", nil, func() {
		a.calls.Wait()
		close(done)
	})
	timer := time.NewTimer(callsWait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		a.library.logger.Error("an asynchronous call does not end", "agent", a.core.AgentID())
	}
}

// addChild counts a subscription or inbox in; dropChild counts it out when its
// closing record was drained.
func (a *Agent) addChild() error {
	if a.children.Add(1) > maxSubscriptions {
		a.dropChild()
		return wire.Errorf(wire.KindLimit, "subscribe", "%d subscriptions are open or their closing records not drained", maxSubscriptions)
	}
	return nil
}

func (a *Agent) dropChild() {
	if a.children.Add(-1) == 0 && a.gone.Load() {
		a.queue.notify(&a.events)
	}
}

// guard is deferred by everything that calls the core: it contains a panic.
func (a *Agent) guard(name string, err *error) {
	if v := recover(); v != nil {
		*err = a.library.panicked(name, a, v)
	}
}
