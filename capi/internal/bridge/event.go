package bridge

import (
	"sync/atomic"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/record"
	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// eventSource tells the events of an agent and, when nothing of the agent is left to
// tell, that it is closed.
type eventSource struct {
	node
	agent  *Agent
	puller puller[Event]
	over   atomic.Bool
}

func (s *eventSource) pending() bool {
	return !s.over.Load() && (s.puller.pending() || s.last())
}

// last reports that only the closing record of the agent is left: the agent is
// gone, and its completions and the closing records of what belonged to it are
// drained.
func (s *eventSource) last() bool {
	return s.agent.gone.Load() && s.agent.operations.Load() == 0 && s.agent.children.Load() == 0
}

func (s *eventSource) fill(q *Queue, w *record.Writer) bool {
	if s.over.Load() {
		return true
	}
	if !s.puller.fill(w, &q.scratch.events) {
		return false
	}
	if !s.last() || s.puller.pending() {
		return true
	}
	if !putClosed(w, s.agent.handle, abi.Ok) {
		return false
	}
	s.over.Store(true)
	q.unkeep()
	return true
}

func (s *eventSource) putEvent(w *record.Writer, e *Event) bool {
	h := record.Header{ID: s.agent.handle, UnixMs: uint64(e.Time.UnixMilli())}
	b := w.Meta()
	switch e.Type {
	case x0x.Connected:
		h.Kind = abi.RConnected
		b = record.AppendArray(b, 4)
		b = record.AppendID(b, e.Agent)
		b = record.AppendID(b, e.Machine)
		b = record.AppendString(b, e.Addr)
		b = record.AppendString(b, e.Path)
	case x0x.Disconnected:
		h.Kind = abi.RDisconnected
		b = record.AppendArray(b, 4)
		b = record.AppendID(b, e.Agent)
		b = record.AppendID(b, e.Machine)
		b = appendError(b, e.Err)
	case x0x.PeerJoined:
		h.Kind = abi.RPeerJoined
		b = record.AppendArray(b, 3)
		b = record.AppendID(b, e.Agent)
		b = record.AppendID(b, e.Machine)
		b = record.AppendString(b, e.Addr)
	case x0x.MessageEvent:
		h.Kind = abi.REventMessage
		h.UnixMs = uint64(e.Message.Time.UnixMilli())
		return w.Put(h, appendMessage(b, e.Message), e.Message.Payload)
	case x0x.SessionReset, x0x.ContactChanged:
		h.Kind = abi.RSessionReset
		if e.Type == x0x.ContactChanged {
			h.Kind = abi.RContactChanged
		}
		b = record.AppendArray(b, 1)
		b = record.AppendID(b, e.Agent)
	case x0x.IdentityConflict, x0x.AgentOnline:
		h.Kind = abi.RIdentityConflict
		if e.Type == x0x.AgentOnline {
			h.Kind = abi.RAgentOnline
		}
		b = record.AppendArray(b, 3)
		b = record.AppendID(b, e.Agent)
		b = record.AppendID(b, e.Machine)
		b = appendAddress(b, e.Addr)
	case x0x.AgentOffline:
		h.Kind = abi.RAgentOffline
		b = record.AppendArray(b, 2)
		b = record.AppendID(b, e.Agent)
		b = record.AppendID(b, e.Machine)
	case x0x.Fatal:
		h.Kind = abi.RFatal
		b = record.AppendArray(b, 2)
		b = appendError(b, e.Err)
	case x0x.ErrorEvent:
		h.Kind = abi.RError
		b = record.AppendArray(b, 3)
		b = appendError(b, e.Err)
		if e.Agent == (AgentID{}) {
			b = record.AppendNil(b)
		} else {
			b = record.AppendID(b, e.Agent)
		}
	default: // a type without a record, which a test rules out: not something else's record
		return true
	}
	return w.Put(h, b, nil)
}

func (s *eventSource) putLag(w *record.Writer, lag *Lag) bool { return putLag(w, s.agent.handle, lag) }

// appendAddress appends an address, nil if there is none.
func appendAddress(b []byte, addr string) []byte {
	if addr == "" {
		return record.AppendNil(b)
	}
	return record.AppendString(b, addr)
}

// appendError appends status and message.
func appendError(b []byte, err error) []byte {
	b = record.AppendInt(b, int64(Status(err)))
	if err == nil {
		return record.AppendString(b, "")
	}
	return record.AppendString(b, err.Error())
}
