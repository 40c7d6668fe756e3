package bridge

import (
	"time"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// NoWait is the timeout of a publish that does not wait for room.
const NoWait time.Duration = -2

var errNoRoom = &wire.Error{Kind: wire.KindBusy, Op: "publish", Msg: "no room in the publish queue", Retryable: true}

// Publish starts publishing a copy of payload. topic and payload may be memory of
// the caller. op receives the handle of the operation unless it is nil.
func (l *Library) Publish(agent uint64, topic, payload []byte, timeout time.Duration, token uint64, op *uint64) (err error) {
	a, err := l.agent(agent)
	if err != nil {
		return err
	}
	defer a.guard("publish", &err)
	name, err := a.topicName(topic)
	if err != nil {
		return err
	}
	if len(payload) > abi.MaxTopicPayload {
		return wire.Errorf(wire.KindTooLarge, "publish", "%d bytes, limit %d", len(payload), abi.MaxTopicPayload)
	}
	o, err := a.begin(token, op != nil)
	if err != nil {
		return err
	}
	defer a.guardStart("publish", o, &err)
	h := o.handle
	payload = append([]byte(nil), payload...)
	if timeout == NoWait {
		cancel, err := a.core.PublishAsync(name, payload, 0, o.publishedAtOnce)
		if err == nil {
			cancel() // a message that found room is beyond it
		}
		return a.launched(o, h, cancel, err, op)
	}
	cancel, err := a.core.PublishAsync(name, payload, finite(timeout), o.published)
	return a.launched(o, h, cancel, err, op)
}

// Send starts sending a copy of payload to one agent.
func (l *Library) Send(agent uint64, to AgentID, payload []byte, o SendOptions, token uint64, op *uint64) (err error) {
	a, err := l.agent(agent)
	if err != nil {
		return err
	}
	defer a.guard("send", &err)
	if len(payload) > abi.MaxDirectPayload {
		return &wire.Error{Kind: wire.KindTooLarge, Op: "send", Msg: "over 16 MiB", Delivered: wire.DeliveredNo}
	}
	begun, err := a.begin(token, op != nil)
	if err != nil {
		return err
	}
	defer a.guardStart("send", begun, &err)
	h := begun.handle
	o.Timeout = finite(o.Timeout)
	cancel, err := a.core.SendAsync(to, append([]byte(nil), payload...), o, begun.sent)
	return a.launched(begun, h, cancel, err, op)
}

// launched is what follows the start of an operation. h is the handle that it had
// before it could complete. If the start failed, but a closing that ran meanwhile has
// completed the operation, that completion is the answer.
func (a *Agent) launched(o *operation, h uint64, cancel func(), err error, op *uint64) error {
	switch {
	case err == nil:
		a.started(o, cancel)
	case a.abort(o):
		return err
	}
	if op != nil {
		*op = h
	}
	return nil
}

func (a *Agent) topicName(topic []byte) (string, error) {
	if last := a.lastTopic.Load(); last != nil && *last == string(topic) {
		return *last, nil
	}
	name := string(topic)
	if err := checkTopic(name); err != nil {
		return "", err
	}
	a.lastTopic.Store(&name)
	return name, nil
}

// finite replaces Forever by a time that no process sees.
func finite(timeout time.Duration) time.Duration {
	const century = 100 * 365 * 24 * time.Hour
	if timeout == Forever {
		return century
	}
	return timeout
}
