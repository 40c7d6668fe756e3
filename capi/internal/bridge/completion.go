package bridge

import (
	"errors"
	"time"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/record"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// completion is how an operation ended. Completions come at the rate of messages,
// so the two results that are frequent stand in fields and are encoded when they
// are drained.
type completion struct {
	agent  *Agent
	token  uint64
	unixMs uint64
	err    error
	form   form
	text   string // path of a receipt, or the MessagePack of any other result
	rttUs  uint64
	seq    uint64
}

type form uint8

const (
	resultNil form = iota
	resultReceipt
	resultText
)

func now() uint64 { return uint64(time.Now().UnixMilli()) }

// put writes the record and reports false if w refused it.
func (c *completion) put(w *record.Writer) bool {
	h := record.Header{Kind: abi.RCompletion, ID: c.token, UnixMs: c.unixMs}
	b := w.Meta()
	if c.err != nil {
		h.Flags = abi.RfError
		b = record.AppendArray(b, 4)
		b = record.AppendInt(b, int64(Status(c.err)))
		b = record.AppendUint(b, uint64(ErrorFlags(c.err)))
		b = record.AppendString(b, c.err.Error())
		b = record.AppendNil(b)
		return w.Put(h, b, nil)
	}
	b = record.AppendArray(b, 2)
	b = record.AppendUint(b, abi.Ok)
	switch c.form {
	case resultReceipt:
		b = record.AppendArray(b, 3)
		b = record.AppendString(b, c.text)
		b = record.AppendUint(b, c.rttUs)
		b = record.AppendUint(b, c.seq)
	case resultText:
		b = append(b, c.text...)
	default:
		b = record.AppendNil(b)
	}
	return w.Put(h, b, nil)
}

// Status returns the number of the kind of err, 0 for nil.
func Status(err error) int32 {
	if e, ok := err.(*wire.Error); ok { // nearly always, and cheaper than KindOf
		return int32(e.Kind)
	}
	return int32(wire.KindOf(err))
}

// ErrorFlags returns the X0X_ERRF_* of err.
func ErrorFlags(err error) (flags uint32) {
	e, ok := errors.AsType[*wire.Error](err)
	if !ok {
		return 0
	}
	if e.Retryable {
		flags |= abi.ErrfRetryable
	}
	if e.Kind == wire.KindPanic || e.Kind == wire.KindPoisoned {
		flags |= abi.ErrfFatal
	}
	switch e.Delivered {
	case wire.DeliveredNo:
		flags |= abi.ErrfNotDelivered
	case wire.DeliveredUnknown:
		flags |= abi.ErrfDeliveryUnknown
	}
	return flags
}
