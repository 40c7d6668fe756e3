package x0x

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/direct"
	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/gossip"
	"github.com/saorsa-labs/x0x-go/core/internal/mailbox"
	"github.com/saorsa-labs/x0x-go/core/internal/task"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Agent is one participant: an identity, its connections, its topics and its direct messages.
// Make it with New and end it with Close.
//
// Its life, in states:
//
//	New ──▶ open ◀──JoinNetwork / LeaveNetwork──▶ joined
//	          │                                      │
//	          └──────────────── Close ───────────────┴──▶ closed
//
// An open agent already delivers its own topic messages and messages to itself; what it
// publishes is kept for the peers to come.
type Agent struct {
	opts        Options
	log         *slog.Logger
	keys        *keys
	person      *person
	hints       cardHints
	trust       *trust.Store
	revocations *trust.Revocations
	policy      *trust.Policy
	tasks       *task.Group // every goroutine of the façade and its rooms
	events      *events
	copies      *copies
	direct      *direct.Manager
	gossip      *gossip.Engine
	links       *topicLinks
	dials       *dialQueue
	peerCache   *peerCache
	conflicts   conflicts
	cache       *discovery.Cache
	disclosed   atomic.Bool // the user, by AnnounceIdentity
	line        *publishLine
	inbox       Feed[DirectMessage]

	ctx    context.Context // ends when closing begins
	cancel context.CancelCauseFunc

	joining chan struct{} // capacity 1: taken while joining, leaving or closing
	net     atomic.Pointer[network]

	operations atomic.Int64 // asynchronous ones in flight
	refused    atomic.Uint64
	poison     atomic.Pointer[Error]
	closing    atomic.Bool
	closer     *task.Group // what closes the rest; Close waits for done
	closeErr   error       // set before done
	done       chan struct{}

	opinions atomic.Uint64 // counts changes of trust, see trustChanged
}

// New makes an agent. It reads or makes keys and opens no socket.
//
// Errors: ErrInvalidArgument (an option, named in the text), ErrNotFound (a key path that
// does not exist), ErrCorrupt (a damaged key, certificate, contacts or revocations file, left as
// it is: the text says how to recover), ErrPolicy (a key that others can read, a file that others
// can write), ErrBusy (the identity folder is in use by a live process), ErrAuth (the agent's
// certificate is of another user), ErrIO.
func New(o Options) (*Agent, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	k, err := loadKeys(o)
	if err != nil {
		return nil, err
	}
	p, contacts, revocations, err := k.open(o)
	if err != nil {
		k.Close()
		return nil, err
	}
	a := &Agent{opts: o, log: o.Logger, keys: k, person: p, trust: contacts, revocations: revocations, joining: make(chan struct{}, 1), done: make(chan struct{})}
	a.ctx, a.cancel = context.WithCancelCause(context.Background())
	a.tasks, a.closer = task.New(a.panicked), task.New(a.panicked)
	a.policy = trust.NewPolicy(a.trust, o.AcceptFrom)
	a.cache = newDiscoveryCache(a)
	a.events = newEvents(o.EventLimit)
	a.copies = newCopies(a)
	a.links = newTopicLinks(a)
	a.peerCache = newPeerCache(a)
	a.dials = newDialQueue(a)
	a.line = &publishLine{agent: a}
	a.startRooms()
	a.trust.OnChange(a.trustChanged)
	a.revocations.OnRevoke(a.revoked)
	return a, nil
}

// AgentID returns the portable identity: it follows the agent from machine to machine.
func (a *Agent) AgentID() AgentID { return a.keys.agent.Public().AgentID() }

// MachineID returns the identity of this installation, which connections authenticate.
func (a *Agent) MachineID() MachineID { return a.keys.machine.Public().MachineID() }

// Done is closed when the agent is closed and everything of it has ended.
func (a *Agent) Done() <-chan struct{} { return a.done }

// Events returns what happens to the agent, oldest dropped first when nobody reads.
func (a *Agent) Events() *Feed[Event] { return &a.events.feed }

// SetEventMask chooses which events are collected: EventsLifecycle (the default) and
// EventsMessage.
func (a *Agent) SetEventMask(mask EventMask) {
	a.events.mask.Store(uint32(mask))
	a.copies.listen(mask&EventsMessage != 0)
}

const (
	// closeWait is how long Close waits after CloseGrace for goroutines to end. They end at
	// once, unless a function of the application does not return.
	closeWait = 2 * time.Second
	// callbackWait is how long closing holds the goodbye back for functions of the application
	// that are told the end of their sends.
	callbackWait = 250 * time.Millisecond
)

// Close waits up to CloseGrace, and no longer than ctx, for sends in flight, fails what
// remains with ErrClosed, says goodbye to the peers, and returns when everything has ended. A
// second call waits for the first.
//
// It fails with ErrTimeout or ErrCancelled if functions of the application that the library
// has called have not returned by the end of ctx, or two seconds after CloseGrace. The agent
// is closed all the same, and Done tells when the last of them has returned.
func (a *Agent) Close(ctx context.Context) error {
	first := a.closing.CompareAndSwap(false, true)
	if first {
		a.closer.Go("close", func() { a.shut(ctx) })
	}
	patience := time.NewTimer(a.opts.CloseGrace + closeWait)
	defer patience.Stop()
	kind := wire.KindTimeout
	select {
	case <-a.done:
	case <-patience.C:
	case <-ctx.Done():
		kind = wire.KindOf(context.Cause(ctx))
	}
	select {
	case <-a.done:
		if first {
			return a.closeErr
		}
		return nil
	default:
		return wire.Errorf(kind, "close", "closing, but functions of the application are still running")
	}
}

// shut ends everything, from the messages down to the keys.
func (a *Agent) shut(ctx context.Context) {
	grace, cancel := context.WithTimeout(ctx, a.opts.CloseGrace)
	defer cancel()
	drained := make(chan struct{})
	a.closer.Go("end direct messages", func() {
		defer close(drained)
		a.direct.Close(grace) // waits for acknowledgements, so it comes before the connections
	})
	select {
	case <-drained:
	case <-grace.Done():
		select {
		case <-drained:
		case <-time.After(callbackWait):
		}
	}
	a.cancel(closedError("close"))
	a.joining <- struct{}{} // a join that is under way ends by a.ctx
	if n := a.net.Swap(nil); n != nil {
		n.leave(grace)
	}
	<-a.joining
	a.dials.close()
	a.gossip.Close(context.Background())
	<-drained
	a.tasks.Wait()
	a.events.box.Close()
	a.closeErr = errors.Join(a.revocations.Close(), a.trust.Close(), a.keys.Close())
	close(a.done)
}

// enter takes the right to join or leave, and returns how to give it back.
func (a *Agent) enter(ctx context.Context, op string) (leave func(), err error) {
	if err := a.usable(op); err != nil {
		return nil, err
	}
	if ctx.Err() == nil {
		select {
		case a.joining <- struct{}{}:
			if err := a.usable(op); err != nil {
				<-a.joining
				return nil, err
			}
			return func() { <-a.joining }, nil
		case <-ctx.Done():
		}
	}
	return nil, ended(op, context.Cause(ctx))
}

// usable is asked at the door of every call.
func (a *Agent) usable(op string) error {
	if p := a.poison.Load(); p != nil {
		return &Error{Kind: wire.KindPoisoned, Op: op, Msg: "the agent met a defect earlier: " + p.Msg}
	}
	if a.closing.Load() {
		return closedError(op)
	}
	return nil
}

func closedError(op string) *Error { return wire.Errorf(wire.KindClosed, op, "the agent is closed") }

// Poison marks the agent as broken: every later call fails with ErrPoisoned, and one Fatal
// event tells why. The C ABI calls it when a panic reached one of its exports.
func (a *Agent) Poison(reason error) {
	e := &Error{Kind: wire.KindPanic, Op: "agent", Msg: reason.Error()}
	if !a.poison.CompareAndSwap(nil, e) {
		return
	}
	a.log.Error("agent poisoned", "reason", reason)
	a.events.push(Event{Type: Fatal, Agent: a.AgentID(), Err: e})
}

// Poisoned returns why the agent is broken, or nil.
func (a *Agent) Poisoned() error {
	if p := a.poison.Load(); p != nil {
		return p
	}
	return nil
}

func (a *Agent) panicked(name string, value any, stack []byte) {
	a.log.Error("panic", "goroutine", name, "value", fmt.Sprint(value), "stack", string(stack))
	a.Poison(fmt.Errorf("panic in %s: %v", name, value))
}

// guard calls a function of the application. If it panics the agent is poisoned, and those
// who wait behind it still get their answers.
func (a *Agent) guard(name string, fn func()) {
	defer func() {
		if v := recover(); v != nil {
			a.panicked(name, v, debug.Stack())
		}
	}()
	fn()
}

// begin counts an asynchronous operation in, or refuses it when too many are in flight; end
// counts it out. The limit stops a caller who never waits from taking all memory.
func (a *Agent) begin(op string) error {
	if err := a.usable(op); err != nil {
		return err
	}
	if a.operations.Add(1) > int64(a.opts.MaxOperations) {
		a.operations.Add(-1)
		a.refused.Add(1)
		return &Error{Kind: wire.KindBusy, Op: op, Retryable: true,
			Msg: fmt.Sprintf("%d operations are in flight", a.opts.MaxOperations)}
	}
	return nil
}

func (a *Agent) end() { a.operations.Add(-1) }

// EventType names what happened.
type EventType uint8

const (
	Connected      EventType = iota + 1 // an authenticated peer is there
	Disconnected                        // it is gone: it said goodbye, or the redial failed too
	PeerJoined                          // a peer is seen for the first time since joining
	MessageEvent                        // a copy of a topic message, see EventsMessage
	ErrorEvent                          // something went wrong outside any call
	SessionReset                        // the peer's process is a new one: its earlier session ended
	Fatal                               // a defect poisoned the agent
	ContactChanged                      // a contact was added, changed or removed, by this agent's own calls
	// IdentityConflict: this agent runs on another machine too, which Machine names. Messages
	// for it go to either; end one of the two. Each machine is told of once.
	IdentityConflict
	AgentOnline  // an agent that is visible to this one is online, see Presence
	AgentOffline // it is not any more
)

// EventMask chooses events.
type EventMask uint32

const (
	EventsLifecycle EventMask = 1 // everything but messages
	EventsMessage   EventMask = 2 // copies of the messages of subscribed topics; no back-pressure
)

// Event is one thing that happened. Which fields are set depends on its Type.
type Event struct {
	Type    EventType
	Time    time.Time
	Agent   AgentID
	Machine MachineID
	Addr    string
	Path    string
	Err     error
	Message *Message
}

// events is the bounded queue of events.
type events struct {
	box  *mailbox.Box[Event]
	feed Feed[Event]
	mask atomic.Uint32
	seq  atomic.Uint64
}

func newEvents(limit int) *events {
	e := &events{box: mailbox.New[Event](mailbox.Options{MaxItems: limit, MaxBytes: 8 << 20, Policy: mailbox.DropOldest})}
	e.feed.box = e.box
	e.mask.Store(uint32(EventsLifecycle))
	return e
}

func (e *events) push(ev Event) {
	class := EventsLifecycle
	size := 0
	if ev.Type == MessageEvent {
		class, size = EventsMessage, len(ev.Message.Payload)
	}
	if EventMask(e.mask.Load())&class == 0 && ev.Type != Fatal {
		return
	}
	if ev.Time.IsZero() {
		ev.Time = time.Now()
	}
	e.box.Push(ev, size, e.seq.Add(1))
}
