package bridge

import (
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/record"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// phase is where a source of one handle stands:
//
//	open ──▶ stopped ──▶ over     closed by its caller: what waits is discarded
//	open ──▶ ended ────▶ over     closed with its agent: what waits is still told
//
// The step to over is the writing of the closing record.
type phase = int32

const (
	phaseOpen phase = iota
	phaseStopped
	phaseEnded
	phaseOver
)

// Subscription is an open subscription and the source of its records.
type Subscription struct {
	node
	agent  *Agent
	handle uint64
	topic  Topic
	name   string
	puller puller[Message]
	phase  atomic.Int32
}

// Subscribe opens a subscription and returns its handle. credit is as in x0x.h.
func (l *Library) Subscribe(agent uint64, topic string, o SubscribeOptions, credit uint32) (h uint64, err error) {
	a, err := l.agent(agent)
	if err != nil {
		return 0, err
	}
	defer a.guard("subscribe", &err)
	if err := checkTopic(topic); err != nil {
		return 0, err
	}
	if err := a.addChild(); err != nil {
		return 0, err
	}
	t, err := a.core.Subscribe(topic, o)
	if err != nil {
		a.dropChild()
		return 0, err
	}
	s := &Subscription{agent: a, topic: t, name: topic}
	s.puller.feed = t.Feed()
	s.puller.put = s.putMessage
	s.puller.lagged = func(w *record.Writer, lag *Lag) bool { return putLag(w, s.handle, lag) }
	s.puller.credit.set(credit)

	a.mu.Lock()
	if !a.closing {
		err = l.subscriptions.Open(s, &s.handle)
	} else {
		err = errAgentClosed
	}
	if err != nil {
		a.mu.Unlock()
		t.Close()
		a.dropChild()
		return 0, err
	}
	a.subscriptions[s] = struct{}{}
	a.mu.Unlock()
	s.puller.feed.SetNotify(func() { a.queue.notify(s) })
	a.queue.notify(s) // what is retained was there before the notice was set
	return s.handle, nil
}

// checkTopic keeps to what every language can write.
func checkTopic(topic string) error {
	switch {
	case len(topic) > abi.MaxTopicName:
		return wire.Errorf(wire.KindInvalidArgument, "topic", "%d bytes, limit %d", len(topic), abi.MaxTopicName)
	case !utf8.ValidString(topic):
		return wire.Errorf(wire.KindInvalidArgument, "topic", "it is not UTF-8")
	case strings.IndexByte(topic, 0) >= 0:
		return wire.Errorf(wire.KindInvalidArgument, "topic", "it contains a NUL")
	}
	return nil
}

// close is called by the one whose Close of the handle succeeded.
func (s *Subscription) close() (err error) {
	defer s.agent.guard("close subscription", &err)
	s.agent.mu.Lock()
	delete(s.agent.subscriptions, s)
	s.agent.mu.Unlock()
	if s.phase.CompareAndSwap(phaseOpen, phaseStopped) {
		s.topic.Close()
		s.agent.queue.notify(s)
	}
	return nil
}

func (s *Subscription) pending() bool {
	switch s.phase.Load() {
	case phaseOpen:
		return s.puller.pending()
	case phaseOver:
		return false
	}
	return true
}

func (s *Subscription) fill(q *Queue, w *record.Writer) bool {
	p := s.phase.Load()
	if p == phaseOver {
		return true
	}
	if p != phaseStopped {
		if !s.puller.fill(w, &q.scratch.messages) {
			return false
		}
		if p == phaseOpen || s.puller.pending() {
			return true
		}
	}
	status := int64(abi.Ok)
	if !putClosed(w, s.handle, status) {
		return false
	}
	s.phase.Store(phaseOver)
	s.puller.stash = nil
	s.puller.stashed.Store(0)
	s.agent.dropChild()
	return true
}

func (s *Subscription) putMessage(w *record.Writer, m *Message) bool {
	return w.Put(record.Header{Kind: abi.RMessage, ID: s.handle, Seq: m.Sequence, UnixMs: uint64(m.Time.UnixMilli())},
		appendMessage(w.Meta(), m), m.Payload)
}

func appendMessage(b []byte, m *Message) []byte {
	b = record.AppendArray(b, 4)
	b = record.AppendID(b, m.Sender)
	b = record.AppendUint(b, m.Epoch)
	b = record.AppendUint(b, uint64(m.TrustLevel))
	return record.AppendString(b, m.Topic)
}

func putLag(w *record.Writer, h uint64, lag *Lag) bool {
	b := record.AppendArray(w.Meta(), 3)
	b = record.AppendUint(b, lag.Count)
	b = record.AppendUint(b, lag.FirstSeq)
	b = record.AppendUint(b, lag.LastSeq)
	return w.Put(record.Header{Kind: abi.RLagged, ID: h, UnixMs: now()}, b, nil)
}

func putClosed(w *record.Writer, h uint64, status int64) bool {
	b := record.AppendArray(w.Meta(), 1)
	b = record.AppendInt(b, status)
	return w.Put(record.Header{Kind: abi.RClosed, ID: h, UnixMs: now()}, b, nil)
}

// AddCredit allows n more records of a subscription or inbox.
func (l *Library) AddCredit(h uint64, n uint32) error {
	if s, err := l.subscriptions.Get(h); err == nil {
		s.puller.credit.add(n)
		s.agent.queue.notify(s)
		return nil
	}
	i, err := l.inboxes.Get(h)
	if err == nil {
		i.agent.inbox.puller.credit.add(n)
		i.agent.queue.notify(i)
		return nil
	}
	return l.wrongKind(h, err)
}
