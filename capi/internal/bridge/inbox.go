package bridge

import (
	"sync/atomic"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/record"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Inbox is one opening of the inbox of an agent, and the source of its records. The
// messages are the agent's: what is not drained waits for the next opening.
type Inbox struct {
	node
	agent  *Agent
	handle uint64
	phase  atomic.Int32
}

// mail is what the openings of an agent's inbox share.
type mail struct {
	puller puller[DirectMessage]
	open   *Inbox // guarded by Agent.mu; nil if it is closed

	// to is the handle in the records now written: that of the opening which fills.
	to uint64
}

// OpenInbox opens the inbox of an agent and returns its handle. It fails with
// wire.KindBusy while it is open already.
func (l *Library) OpenInbox(agent uint64, credit uint32) (h uint64, err error) {
	a, err := l.agent(agent)
	if err != nil {
		return 0, err
	}
	defer a.guard("open inbox", &err)
	if err := a.addChild(); err != nil {
		return 0, err
	}
	i := &Inbox{agent: a}
	a.mu.Lock()
	switch {
	case a.closing:
		err = errAgentClosed
	case a.inbox.open != nil:
		err = errInboxOpen
	default:
		err = l.inboxes.Open(i, &i.handle)
	}
	if err != nil {
		a.mu.Unlock()
		a.dropChild()
		return 0, err
	}
	a.inbox.open = i
	a.inbox.puller.credit.set(credit)
	a.mu.Unlock()
	a.inbox.puller.feed.SetNotify(func() { a.queue.notify(i) })
	a.queue.notify(i)
	return i.handle, nil
}

var errInboxOpen = wire.Errorf(wire.KindBusy, "open inbox", "the inbox of this agent is open already")

// close is called by the one whose Close of the handle succeeded.
func (i *Inbox) close() {
	i.agent.mu.Lock()
	if i.agent.inbox.open == i {
		i.agent.inbox.open = nil
		i.agent.inbox.puller.feed.SetNotify(nil)
	}
	i.agent.mu.Unlock()
	if i.phase.CompareAndSwap(phaseOpen, phaseStopped) {
		i.agent.queue.notify(i)
	}
}

func (i *Inbox) pending() bool {
	switch i.phase.Load() {
	case phaseOpen:
		return i.agent.inbox.puller.pending()
	case phaseOver:
		return false
	}
	return true
}

func (i *Inbox) fill(q *Queue, w *record.Writer) bool {
	p := i.phase.Load()
	if p == phaseOver {
		return true
	}
	if p != phaseStopped {
		i.agent.inbox.to = i.handle
		if !i.agent.inbox.puller.fill(w, &q.scratch.directs) {
			return false
		}
		if p == phaseOpen || i.agent.inbox.puller.pending() {
			return true
		}
	}
	if !putClosed(w, i.handle, abi.Ok) {
		return false
	}
	i.phase.Store(phaseOver)
	i.agent.dropChild()
	return true
}

func (m *mail) putDirect(w *record.Writer, d *DirectMessage) bool {
	b := record.AppendArray(w.Meta(), 3)
	b = record.AppendID(b, d.Sender)
	b = record.AppendID(b, d.Machine)
	b = record.AppendUint(b, uint64(d.Decision))
	return w.Put(record.Header{Kind: abi.RDirect, ID: m.to, Seq: d.Sequence, UnixMs: uint64(d.ReceivedAt.UnixMilli())}, b, d.Payload)
}

func (m *mail) putLag(w *record.Writer, lag *Lag) bool { return putLag(w, m.to, lag) }
