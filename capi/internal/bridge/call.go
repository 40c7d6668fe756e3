package bridge

import (
	"context"
	"net/netip"
	"time"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/record"
	"github.com/saorsa-labs/x0x-go/core/wire"
	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// callTimeout is the default of asynchronous calls. Dialling one address takes at
// most 8 s by default, so that one full try fits.
const callTimeout = 10 * time.Second

const (
	maxAddresses = 64 // of one hint: a machine has few, and each may cost a dial
	maxAddress   = 512
)

// step is the body of an asynchronous call; its result is MessagePack, nil for nil.
type step func(ctx context.Context) ([]byte, error)

// Call starts an asynchronous method. args is read before Call returns.
func (l *Library) Call(h uint64, method uint32, args []byte, token uint64, op *uint64) (err error) {
	if err := wants(method, true); err != nil {
		return err
	}
	a, err := l.agent(h)
	if err != nil {
		return err
	}
	defer a.guard("call", &err)
	run, timeout, err := a.parseCall(method, record.ParseArgs(args))
	if err != nil {
		return err
	}
	o, err := a.begin(token, op != nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(a.ctx)
	stop := context.CancelFunc(func() {})
	if timeout != Forever {
		ctx, stop = context.WithTimeout(ctx, timeout)
	}
	handle := o.handle
	// Closing waits for calls once no operation can begin: count this one in before.
	a.opsMu.Lock()
	ended := a.opsEnded
	if !ended {
		a.calls.Add(1)
	}
	a.opsMu.Unlock()
	if ended {
		stop()
		cancel(nil)
		return a.launched(o, handle, nil, errAgentClosed, op)
	}
	l.start("call", a, func() {
		defer a.calls.Done()
		defer cancel(nil)
		defer stop()
		result, err := a.runCall(ctx, run)
		o.completeCall(result, err)
	})
	return a.launched(o, handle, func() { cancel(errCancelled) }, nil, op)
}

// runCall gives the error of a call that was stopped the reason why it was.
func (a *Agent) runCall(ctx context.Context, run step) (result []byte, err error) {
	defer a.guard("call", &err)
	result, err = run(ctx)
	if err != nil && ctx.Err() != nil {
		if e, ok := context.Cause(ctx).(*wire.Error); ok {
			return nil, e
		}
	}
	return result, err
}

// wants says whether a method exists and is called as it must be.
func wants(method uint32, async bool) error {
	m, ok := abi.Methods[method]
	switch {
	case !ok:
		return wire.Errorf(wire.KindUnsupported, "call", "no method %d", method)
	case m.Async && !async:
		return wire.Errorf(wire.KindInvalidArgument, "call", "%s is asynchronous", m.Name)
	case !m.Async && async:
		return wire.Errorf(wire.KindInvalidArgument, "call", "%s is immediate", m.Name)
	}
	return nil
}

func (a *Agent) parseCall(method uint32, args *record.Args) (run step, timeout time.Duration, err error) {
	switch method {
	case abi.MJoin:
		run = func(ctx context.Context) ([]byte, error) { return nil, a.core.JoinNetwork(ctx) }
	case abi.MLeave:
		run = func(ctx context.Context) ([]byte, error) { return nil, a.core.LeaveNetwork(ctx) }
	case abi.MConnectAgent:
		id := AgentID(args.ID())
		run = func(ctx context.Context) ([]byte, error) { return connected(a.core.ConnectToAgent(ctx, id)) }
	case abi.MConnectMachine:
		id := MachineID(args.ID())
		run = func(ctx context.Context) ([]byte, error) { return connected(a.core.ConnectToMachine(ctx, id)) }
	case abi.MConnectAddress:
		address := args.String()
		if len(address) > maxAddress {
			return nil, 0, wire.Errorf(wire.KindInvalidArgument, "connect address", "the address is over %d bytes", maxAddress)
		}
		run = func(ctx context.Context) ([]byte, error) {
			agent, machine, err := a.core.ConnectToAddress(ctx, address)
			b := record.AppendArray(nil, 2)
			b = record.AppendID(b, agent)
			return record.AppendID(b, machine), err
		}
	case abi.MPresenceFoaf:
		return a.presenceWalk(args), Forever, args.Done()
	default:
		return nil, 0, wire.Errorf(wire.KindUnsupported, "call", "method %d is not in this build", method)
	}
	timeout = Timeout(uint32(args.OptionalUint(abi.NoTimeout)), callTimeout)
	return run, timeout, args.Done()
}

// Timeout reads a timeout in milliseconds as x0x.h has it: 0 is the default.
func Timeout(ms uint32, otherwise time.Duration) time.Duration {
	switch ms {
	case 0:
		return otherwise
	case abi.NoTimeout:
		return Forever
	}
	return time.Duration(ms) * time.Millisecond
}

func connected(r ConnectResult, err error) ([]byte, error) {
	b := record.AppendArray(nil, 2)
	b = record.AppendUint(b, outcome(r.Outcome))
	if !r.Addr.IsValid() {
		return record.AppendNil(b), err
	}
	return record.AppendString(b, r.Addr.String()), err
}

// CallNow runs an immediate method and returns its result. room is how large a result
// the caller can take: a method that changes something does not run if that is too
// small.
func (l *Library) CallNow(h uint64, method uint32, args []byte, room int) (result []byte, err error) {
	if err := wants(method, false); err != nil {
		return nil, err
	}
	parsed := record.ParseArgs(args)
	switch method {
	case abi.MSubscriptionInfo:
		s, err := l.subscriptions.Get(h)
		if err != nil {
			return nil, l.wrongKind(h, err)
		}
		return s.info(), parsed.Done()
	case abi.MInboxInfo:
		i, err := l.inboxes.Get(h)
		if err != nil {
			return nil, l.wrongKind(h, err)
		}
		return i.info(), parsed.Done()
	}
	a, err := l.agent(h)
	if err != nil {
		return nil, err
	}
	defer a.guard("call", &err)
	return a.callNow(method, parsed, room)
}

func (s *Subscription) info() []byte {
	b := record.AppendArray(nil, 4)
	b = record.AppendString(b, s.name)
	b = record.AppendUint(b, uint64(s.puller.waiting()))
	b = record.AppendUint(b, s.puller.feed.Dropped())
	return record.AppendUint(b, s.puller.delivered.Load())
}

func (i *Inbox) info() []byte {
	p := &i.agent.inbox.puller
	b := record.AppendArray(nil, 2)
	b = record.AppendUint(b, uint64(p.waiting()))
	return record.AppendUint(b, uint64(p.feed.Bytes()))
}

// resultNil and resultBool are what the methods that change something return.
const (
	sizeNil  = 1
	sizeBool = 2
)

func (a *Agent) callNow(method uint32, args *record.Args, room int) (b []byte, err error) {
	// change runs fn only if the arguments are right and the result will fit.
	change := func(size int, fn func() error) ([]byte, error) {
		if err := args.Done(); err != nil {
			return nil, err
		}
		if room < size {
			return make([]byte, size), nil // the caller sees by the size that it does not fit
		}
		if err := fn(); err != nil {
			return nil, err
		}
		return record.AppendNil(nil), nil
	}
	if fn := a.contactChange(method, args); fn != nil {
		return change(sizeNil, fn)
	}
	if fn := a.presenceChange(method, args); fn != nil {
		return change(sizeNil, fn)
	}
	switch method {
	case abi.MSetEvents:
		mask := args.Uint(abi.EventsLifecycle | abi.EventsMessage)
		return change(sizeNil, func() error { a.core.SetEventMask(EventMask(mask)); return nil })
	case abi.MAddPeer:
		machine, texts, agent := MachineID(args.ID()), args.Strings(maxAddresses), AgentID(args.OptionalID())
		addrs := make([]netip.AddrPort, len(texts))
		for i, text := range texts {
			if addrs[i], err = netip.ParseAddrPort(text); err != nil {
				return nil, wire.Errorf(wire.KindInvalidArgument, "add peer", "address %d is not IP:port", i+1)
			}
		}
		return change(sizeNil, func() error { return a.core.AddPeer(machine, agent, addrs) })
	case abi.MSetTopicPriority:
		topic, priority := args.String(), args.Uint(abi.PriorityLow)
		return change(sizeNil, func() error { return a.core.SetTopicPriority(topic, x0x.TopicPriority(priority)) })
	case abi.MTestPanic:
		return change(sizeNil, testPanic)
	case abi.MRemoveContact:
		id := AgentID(args.ID())
		existed := false
		b, err := change(sizeBool, func() (err error) { existed, err = a.core.RemoveContact(id); return err })
		if err != nil || room < sizeBool {
			return b, err
		}
		return record.AppendBool(record.AppendArray(nil, 1), existed), nil
	}

	if b, mine, err := a.callIdentity(method, args, room); mine {
		return b, err
	}

	// The rest only reads.
	switch method {
	case abi.MIdentity:
		b = record.AppendArray(nil, 3)
		b = record.AppendID(b, a.core.AgentID())
		b = record.AppendID(b, a.core.MachineID())
		if user, ok := a.core.UserID(); ok {
			b = record.AppendID(b, user)
		} else {
			b = record.AppendNil(b)
		}
	case abi.MIsConnected:
		b = record.AppendBool(record.AppendArray(nil, 1), a.core.IsConnected())
	case abi.MIsAgentConnected:
		id := AgentID(args.ID())
		b = record.AppendBool(record.AppendArray(nil, 1), a.core.IsAgentConnected(id))
	case abi.MTrust:
		id := AgentID(args.ID())
		b = record.AppendUint(record.AppendArray(nil, 1), uint64(a.core.Trust(id)))
	case abi.MPeers:
		peers := a.core.Peers()
		b = record.AppendArray(nil, len(peers))
		for i := range peers {
			b = appendPeer(b, &peers[i])
		}
	case abi.MStats:
		b = a.appendStats(nil)
	case abi.MLocalAddresses:
		addrs := a.core.LocalAddrs()
		b = record.AppendArray(nil, len(addrs))
		for _, addr := range addrs {
			b = record.AppendString(b, addr.String())
		}
	case abi.MTopicMesh:
		b = appendMesh(nil, a.core.TopicMesh())
	case abi.MNeighbors:
		ids := a.core.Neighbors()
		b = record.AppendArray(nil, len(ids))
		for _, id := range ids {
			b = record.AppendID(b, id)
		}
	case abi.MKnownPeers:
		b = appendKnown(nil, a.core.KnownPeers())
	case abi.MContacts:
		b = appendContacts(nil, a.core.Contacts()...)
	case abi.MContact:
		if c, ok := a.core.Contact(AgentID(args.ID())); ok {
			b = appendContacts(nil, c)
		} else {
			b = appendContacts(nil)
		}
	case abi.MEvaluateTrust:
		id, machine := AgentID(args.ID()), MachineID(args.OptionalID())
		b = record.AppendUint(record.AppendArray(nil, 1), uint64(a.core.EvaluateTrust(id, machine)))
	case abi.MPresence:
		b = appendPresence(nil, a.core.Presence())
	case abi.MPresenceStatus:
		if e, ok := a.core.PresenceStatus(AgentID(args.ID())); ok {
			b = appendPresenceEntry(nil, &e)
		} else {
			b = record.AppendNil(nil)
		}
	default:
		return nil, wire.Errorf(wire.KindUnsupported, "call", "method %d is not in this build", method)
	}
	return b, args.Done()
}

func appendPeer(b []byte, p *PeerInfo) []byte {
	b = record.AppendArray(b, 7)
	b = record.AppendID(b, p.AgentID)
	b = record.AppendID(b, p.MachineID)
	b = record.AppendString(b, p.Addr.String())
	b = record.AppendString(b, p.Path)
	b = record.AppendUint(b, micros(p.RTT))
	b = record.AppendBool(b, p.Dialled)
	return record.AppendUint(b, unixMs(p.Connected))
}

// appendStats appends the counters of the core and those of this agent here.
func (a *Agent) appendStats(b []byte) []byte {
	stats := a.core.Stats()
	b = record.AppendMap(b, len(stats)+2)
	for name, n := range stats {
		b = record.AppendString(b, name)
		b = record.AppendUint(b, n)
	}
	b = record.AppendString(b, "capi.operations")
	b = record.AppendUint(b, uint64(a.operations.Load()))
	b = record.AppendString(b, "capi.events_dropped")
	return record.AppendUint(b, a.events.puller.feed.Dropped())
}

// unixMs returns the milliseconds since 1970, 0 for no time.
func unixMs(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixMilli())
}

// outcome returns the X0X_OUTCOME_* of how a connection came about.
func outcome(o x0x.ConnectOutcome) uint64 {
	switch o {
	case x0x.Direct:
		return abi.OutcomeDirect
	case x0x.Coordinated:
		return abi.OutcomeCoordinated
	case x0x.AlreadyConnected:
		return abi.OutcomeAlreadyConnected
	case x0x.Unreachable:
		return abi.OutcomeUnreachable
	}
	return abi.OutcomeNotFound
}
