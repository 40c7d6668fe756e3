package bindings

import (
	"context"
	"time"
)

// Presence returns the agents that are online, as far as this agent has heard.
func (a *Agent) Presence() ([]PresenceEntry, error) {
	u, err := a.queue.callNow("presence", a.Handle(), MPresence)
	if err != nil {
		return nil, err
	}
	return presenceList(u, "presence")
}

// PresenceStatus returns what is known of one agent, if anything.
func (a *Agent) PresenceStatus(id ID) (e PresenceEntry, ok bool, err error) {
	u, err := a.queue.callNow("presence status", a.Handle(), MPresenceStatus, id)
	if err != nil || u.null() {
		return PresenceEntry{}, false, err
	}
	e, err = result(u, "presence status", u.presence())
	return e, err == nil, err
}

// PresenceFOAF asks friends of friends who is online within ttl hops, and returns what has come
// after timeout; 0 is the default of either. See X0X_M_PRESENCE_FOAF.
func (a *Agent) PresenceFOAF(ctx context.Context, ttl int, timeout time.Duration) ([]PresenceEntry, error) {
	const op = "presence foaf"
	u, err := a.call(ctx, op, MPresenceFoaf, uint8(min(max(ttl, 0), 255)), millis(timeout))
	if err != nil {
		return nil, err
	}
	return presenceList(u, op)
}

// WatchPresence has RAgentOnline and RAgentOffline tell of an agent that is no contact.
func (a *Agent) WatchPresence(id ID) error { return a.do("watch presence", MWatchPresence, id) }

// UnwatchPresence ends it.
func (a *Agent) UnwatchPresence(id ID) error { return a.do("unwatch presence", MUnwatchPresence, id) }

func presenceList(u *unpacker, op string) ([]PresenceEntry, error) {
	var list []PresenceEntry
	for range u.array() {
		list = append(list, u.presence())
	}
	return result(u, op, list)
}

func (u *unpacker) presence() PresenceEntry {
	more := u.fields(6)
	e := PresenceEntry{Agent: u.id(), Machine: u.id()}
	for range u.array() {
		e.Addresses = append(e.Addresses, u.str())
	}
	e.LastSeen, e.Source, e.Online = seen(u.uint()), PresenceSource(u.uint()), u.bool()
	u.skip(more)
	return e
}
