package bridge

import (
	"time"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// operation is something asynchronous that owes exactly one completion:
//
//	begin ──▶ started ──▶ finish        the usual order
//	begin ──▶ finish ──▶ started        it completed before its start returned
//	begin ──▶ abort                     it did not start: no completion
//
// Operations without a handle are used again, with their callbacks, so that a send
// costs no garbage here.
type operation struct {
	agent  *Agent
	token  uint64
	handle uint64 // 0 if the caller wanted none

	// Set once, so that a send needs no closure of its own.
	sent      func(Receipt, error)
	published func(error)

	// Agent.opsMu guards these.
	prev, next *operation // the agent's list, or next alone its free list
	cancel     func()
	began      bool // the call that started it has returned
	done       bool
}

// begin makes an operation and counts it in; withHandle gives it a handle.
func (a *Agent) begin(token uint64, withHandle bool) (*operation, error) {
	if a.operations.Add(1) > a.maxOperations {
		a.operations.Add(-1)
		return nil, errBusyOperations
	}
	var op *operation
	if withHandle { // before anyone can complete it, and close the handle
		op = a.newOperation()
		if err := a.library.operations.Open(op, &op.handle); err != nil {
			a.settled(1)
			return nil, err
		}
	}
	a.opsMu.Lock()
	if a.opsEnded {
		a.opsMu.Unlock()
		if withHandle {
			_, _ = a.library.operations.Close(op.handle)
		}
		a.settled(1)
		return nil, errAgentClosed
	}
	if op == nil {
		if op = a.opsFree; op != nil {
			a.opsFree = op.next
			op.began, op.done, op.cancel = false, false, nil
		} else {
			op = a.newOperation()
		}
	}
	op.token = token
	op.prev, op.next = nil, a.ops
	if a.ops != nil {
		a.ops.prev = op
	}
	a.ops = op
	a.opsMu.Unlock()
	return op, nil
}

func (a *Agent) newOperation() *operation {
	op := &operation{agent: a}
	op.sent = op.completeSend
	op.published = op.completePublish
	return op
}

var (
	errBusyOperations = wire.Errorf(wire.KindBusy, "start operation", "too many operations are in flight or their completions not drained")
	errAgentClosed    = &wire.Error{Kind: wire.KindClosed, Op: "agent", Msg: "the agent is closed", Delivered: wire.DeliveredNA}
	errCancelled      = &wire.Error{Kind: wire.KindCancelled, Op: "operation", Msg: "cancelled by the caller"}
)

// started tells that the call that started op has returned; cancel stops it.
func (a *Agent) started(op *operation, cancel func()) {
	a.opsMu.Lock()
	op.began = true
	if op.done {
		a.recycle(op)
	} else {
		op.cancel = cancel
	}
	a.opsMu.Unlock()
}

// recycle makes op free for the next. It is called with opsMu held, when the
// operation is done and nobody else knows it.
func (a *Agent) recycle(op *operation) {
	if op.handle == 0 {
		op.next = a.opsFree
		a.opsFree = op
	}
}

// unlink takes op out of the list, and reports false if that was done before.
func (a *Agent) unlink(op *operation) bool {
	if op.done {
		return false
	}
	op.done = true
	op.cancel = nil
	if op.prev != nil {
		op.prev.next = op.next
	} else {
		a.ops = op.next
	}
	if op.next != nil {
		op.next.prev = op.prev
	}
	op.prev, op.next = nil, nil
	return true
}

// abort takes back an operation that did not start. It reports false if a completion
// was made all the same. The operation is not used again: after a panic, the core may
// still know its callbacks.
func (a *Agent) abort(op *operation) bool {
	a.opsMu.Lock()
	mine := a.unlink(op)
	a.opsMu.Unlock()
	if mine {
		if op.handle != 0 {
			_, _ = a.library.operations.Close(op.handle)
		}
		a.settled(1)
	}
	return mine
}

// guardStart is deferred by what starts op: a panic there takes op back, unless its
// completion says already how it ended.
func (a *Agent) guardStart(name string, op *operation, err *error) {
	if v := recover(); v != nil {
		*err = a.library.panicked(name, a, v)
		if !a.abort(op) {
			*err = nil
		}
	}
}

// finish completes op, unless it is complete already.
func (op *operation) finish(c completion) {
	a := op.agent
	a.opsMu.Lock()
	if !a.unlink(op) {
		a.opsMu.Unlock()
		return
	}
	c.agent, c.token, c.unixMs = a, op.token, now()
	handle := op.handle
	if op.began {
		a.recycle(op)
	}
	a.opsMu.Unlock()
	if handle != 0 {
		_, _ = a.library.operations.Close(handle) // the caller may have closed it
	}
	a.queue.complete(c)
}

func (op *operation) completeSend(r Receipt, err error) {
	if err != nil {
		op.finish(completion{err: err})
		return
	}
	op.finish(completion{form: resultReceipt, text: r.Path, rttUs: micros(r.RTT), seq: r.Sequence})
}

func (op *operation) completePublish(err error) { op.finish(completion{err: err}) }

// publishedAtOnce completes a publish with NoWait, which was cancelled at once: if that
// took effect, there was no room.
func (op *operation) publishedAtOnce(err error) {
	if Status(err) == abi.ECancelled {
		err = errNoRoom
	}
	op.finish(completion{err: err})
}

func (op *operation) completeCall(result []byte, err error) {
	switch {
	case err != nil:
		op.finish(completion{err: err})
	case result == nil:
		op.finish(completion{})
	default:
		op.finish(completion{form: resultText, text: string(result)})
	}
}

// endOperations lets no operation begin any more.
func (a *Agent) endOperations() {
	a.opsMu.Lock()
	a.opsEnded = true
	a.opsMu.Unlock()
}

// completeRest completes the operations that the core has left when it was closed,
// which after a panic it may have.
func (a *Agent) completeRest() {
	for {
		a.opsMu.Lock()
		op := a.ops
		if op != nil {
			op.began = false // the core may still call back: it must not be used again
		}
		a.opsMu.Unlock()
		if op == nil {
			return
		}
		op.finish(completion{err: errAgentClosed})
	}
}

// settled counts out operations whose completion was drained, or that never began.
func (a *Agent) settled(n int) {
	if a.operations.Add(int64(-n)) == 0 && a.gone.Load() {
		a.queue.notify(&a.events)
	}
}

// CancelOperation asks an operation to stop.
func (l *Library) CancelOperation(h uint64) error {
	op, err := l.operations.Get(h)
	if err != nil {
		return l.wrongKind(h, err)
	}
	op.agent.opsMu.Lock()
	cancel := op.cancel
	op.agent.opsMu.Unlock()
	if cancel != nil {
		cancel()
	}
	return nil
}

func micros(d time.Duration) uint64 { return uint64(max(d.Microseconds(), 0)) }
