package bindings

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// Options configure an agent as x0x_options does; zero is the default.
type Options struct {
	Name, HomeDir, IdentityDir, RuntimeDir, NetworkID, Bind string
	Bootstrap                                               []string
	MachineKeyPath, AgentKeyPath, UserKeyPath, ContactsPath string
	MachineKey, AgentKey, UserKey                           []byte
	DialTimeout, SendTimeout, PeerTimeout                   time.Duration
	SessionTTL, CloseGrace                                  time.Duration
	AcceptFrom                                              TrustLevel
	InboxMessages, MaxOperations, MaxPeers                  uint32
	ActivePeers, PassivePeers                               uint32
	MaxPeersPerAddress                                      int32
	InboxBytes                                              uint64
	Visibility                                              Visibility
	PresenceInterval, PresenceTimeout                       time.Duration
	NoLocalDiscovery, NoRelay                               bool
}

// eventLimit bounds the events that wait here for NextEvent, as the library bounds its own.
const eventLimit = 1024

// Agent is one agent behind the ABI.
type Agent struct {
	queue  *Queue
	events *box

	inboxMu sync.Mutex
	inbox   *box // opened by the first call that reads it
}

// Open makes an agent whose records come through this queue.
func (q *Queue) Open(o Options) (*Agent, error) {
	var pin runtime.Pinner // the struct holds pointers to what Go must neither move nor free
	defer pin.Unpin()
	text := func(s string) unsafe.Pointer {
		if s == "" {
			return nil
		}
		b := append([]byte(s), 0)
		pin.Pin(&b[0])
		return unsafe.Pointer(&b[0])
	}
	bytes := func(b []byte) (unsafe.Pointer, uintptr) {
		if len(b) == 0 {
			return nil, 0
		}
		pin.Pin(&b[0])
		return unsafe.Pointer(&b[0]), uintptr(len(b))
	}
	for _, s := range append([]string{o.Name, o.HomeDir, o.IdentityDir, o.RuntimeDir, o.NetworkID, o.Bind, o.MachineKeyPath, o.AgentKeyPath, o.UserKeyPath, o.ContactsPath}, o.Bootstrap...) {
		if strings.IndexByte(s, 0) >= 0 {
			return nil, errorf("open", EInvalidArgument, "an option contains a NUL")
		}
	}
	c := &COptions{
		Name: text(o.Name), HomeDir: text(o.HomeDir), IdentityDir: text(o.IdentityDir), RuntimeDir: text(o.RuntimeDir),
		NetworkId: text(o.NetworkID), Bind: text(o.Bind), Bootstrap: text(strings.Join(o.Bootstrap, ",")),
		MachineKeyPath: text(o.MachineKeyPath), AgentKeyPath: text(o.AgentKeyPath),
		UserKeyPath: text(o.UserKeyPath), ContactsPath: text(o.ContactsPath),
		DialTimeoutMs: millis(o.DialTimeout), SendTimeoutMs: millis(o.SendTimeout), PeerTimeoutMs: millis(o.PeerTimeout),
		SessionTtlMs: millis(o.SessionTTL), CloseGraceMs: millis(o.CloseGrace), AcceptFrom: uint32(o.AcceptFrom),
		InboxMessages: o.InboxMessages, InboxBytes: o.InboxBytes, MaxOperations: o.MaxOperations, MaxPeers: o.MaxPeers,
		ActivePeers: o.ActivePeers, PassivePeers: o.PassivePeers, MaxPeersPerAddress: o.MaxPeersPerAddress,
		Visibility: uint32(o.Visibility), PresenceIntervalMs: millis(o.PresenceInterval), PresenceTimeoutMs: millis(o.PresenceTimeout),
	}
	c.Size = uint32(unsafe.Sizeof(*c))
	c.MachineKey, c.MachineKeyLen = bytes(o.MachineKey)
	c.AgentKey, c.AgentKeyLen = bytes(o.AgentKey)
	c.UserKey, c.UserKeyLen = bytes(o.UserKey)
	if o.NoLocalDiscovery {
		c.Flags |= OpenNoLocalDiscovery
	}
	if o.NoRelay {
		c.Flags |= OpenNoRelay
	}
	pin.Pin(c)
	a := &Agent{queue: q, events: newBox(eventLimit)}
	err := q.open("open", a.events, func(handle *uint64, e *CErr) int32 {
		return q.lib.Open(c, q.handle, handle, e)
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Handle returns the number of the agent in the ABI.
func (a *Agent) Handle() uint64 { return a.events.handle }

// Close closes the agent, waits until it is gone, no longer than ctx, and until its last
// record has come. Closing twice is harmless.
func (a *Agent) Close(ctx context.Context) error {
	st := a.queue.lib.CloseWait(a.Handle(), until(ctx))
	if err := failure("close", st, nil); err != nil && st != EClosed {
		return err
	}
	return a.events.wait(ctx)
}

// Identity returns the ids of the agent.
func (a *Agent) Identity() (agent, machine ID, err error) {
	if err := failure("agent id", a.queue.lib.AgentId(a.Handle(), unsafe.Pointer(&agent)), nil); err != nil {
		return ID{}, ID{}, err
	}
	err = failure("machine id", a.queue.lib.MachineId(a.Handle(), unsafe.Pointer(&machine)), nil)
	return agent, machine, err
}

// NextEvent waits for the next event. After a gap it fails once with ELagged.
func (a *Agent) NextEvent(ctx context.Context) (Event, error) {
	r, err := a.events.pop(ctx, "next event")
	if err != nil {
		return Event{}, err
	}
	return r.event()
}

// call starts an asynchronous method and waits for its result.
func (a *Agent) call(ctx context.Context, op string, method uint32, args ...any) (*unpacker, error) {
	packed, err := pack(args...)
	if err != nil {
		return nil, err
	}
	o, err := a.queue.start(op, func(token uint64, opOut *uint64, e *CErr) int32 {
		return a.queue.lib.Call(a.Handle(), method, pointer(packed), uintptr(len(packed)), token, opOut, e)
	})
	if err != nil {
		return nil, err
	}
	result, err := o.wait(ctx)
	return unpack(result), err
}

// callNow runs an immediate method of a handle.
func (q *Queue) callNow(op string, handle uint64, method uint32, args ...any) (*unpacker, error) {
	packed, err := pack(args...)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 4096)
	for range 4 { // what it tells may grow between two tries
		var n uintptr
		e := newErr()
		st := q.lib.CallNow(handle, method, pointer(packed), uintptr(len(packed)), unsafe.Pointer(&out[0]), uintptr(len(out)), &n, e)
		if st == ETooSmall && n > uintptr(len(out)) && n <= maxMeta {
			out = make([]byte, n+n/4)
			continue
		}
		if err := failure(op, st, e); err != nil {
			return nil, err
		}
		return unpack(out[:n]), nil
	}
	return nil, errorf(op, ETooSmall, "the result grows")
}

// pointer is the address of a byte slice, or NULL for an empty one.
func pointer(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }
