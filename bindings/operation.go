package bindings

import (
	"context"
	"time"
)

// Operation is an asynchronous call on its way. It completes exactly once.
type Operation struct {
	op     string
	queue  *Queue
	handle uint64
	done   chan struct{} // closed after result and err are set
	result []byte        // MessagePack
	err    error
}

// start registers a token and calls begin with it. The library answers with exactly one
// completion if begin succeeds, and with none otherwise.
func (q *Queue) start(op string, begin func(token uint64, opOut *uint64, e *CErr) int32) (*Operation, error) {
	o := &Operation{op: op, queue: q, done: make(chan struct{})}
	e := newErr()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.token++
	token := q.token
	if err := failure(op, begin(token, &o.handle, e), e); err != nil {
		return nil, err
	}
	q.ops[token] = o
	return o, nil
}

// complete reads the meta of a completion:
// (status, result), or with RfError (status, flags, message, details).
func (o *Operation) complete(r Record) {
	u := unpack(r.Meta)
	if r.Flags&RfError == 0 {
		u.fields(2)
		u.int()
		if u.err == nil {
			o.result = r.Meta[len(r.Meta)-u.r.Len():]
		}
	} else {
		u.fields(3)
		e := &Error{Op: o.op, Status: int32(u.int()), Flags: uint32(u.uint())}
		e.Message = u.str()
		o.err = e
	}
	if u.err != nil {
		o.err = u.err
	}
	close(o.done)
}

func (o *Operation) fail(err error) {
	o.err = err
	close(o.done)
}

// Cancel asks the operation to stop; its completion tells whether it did.
func (o *Operation) Cancel() error { return failure("cancel", o.queue.lib.OpCancel(o.handle), nil) }

// Done is closed when the operation has completed.
func (o *Operation) Done() <-chan struct{} { return o.done }

// wait returns the result. When ctx ends it cancels the operation and waits on: the library
// completes what is cancelled at once, and only the completion tells which side won.
func (o *Operation) wait(ctx context.Context) ([]byte, error) {
	select {
	case <-o.done:
		return o.result, o.err
	case <-ctx.Done():
	}
	if err := o.Cancel(); err != nil && StatusOf(err) != EClosed { // closed: it has completed
		return nil, err
	}
	<-o.done
	if StatusOf(o.err) == ECancelled {
		return nil, errorf(o.op, StatusOf(ctx.Err()), "%v", o.err)
	}
	return o.result, o.err
}

// millis turns a timeout into what the ABI takes: 0 stays the default, and a shorter one than
// a millisecond is one.
func millis(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	return uint32(min(max(d.Milliseconds(), 1), NoWait-1))
}

// until is the time that ctx leaves, as the ABI takes it.
func until(ctx context.Context) uint32 {
	deadline, ok := ctx.Deadline()
	if !ok {
		return NoTimeout
	}
	return millis(max(time.Until(deadline), time.Millisecond))
}
