package x0x

import (
	"reflect"
	"strings"
	"unicode"
)

// Stats returns every counter of the agent by name, as "room.counter". Counters only grow
// while the agent lives, except those that end in _now.
func (a *Agent) Stats() map[string]uint64 {
	s := map[string]uint64{
		"agent.operations_now":     uint64(max(a.operations.Load(), 0)),
		"agent.operations_refused": a.refused.Load(),
		"agent.events":             a.events.box.Pushed(),
		"agent.events_dropped":     a.events.box.Dropped(),
		"inbox.messages_now":       uint64(a.inbox.Len()),
		"inbox.bytes_now":          uint64(a.inbox.Bytes()),
		"topics.frames_refused":    a.links.refused.Load(),
		"topics.bytes_sent":        a.links.sent.Load(),
	}
	s["topics.line_messages_now"], s["topics.line_bytes_now"] = a.line.size()
	add := func(room string, counters map[string]uint64) {
		for name, v := range counters {
			s[room+"."+name] = v
		}
	}
	add("direct", counters(a.direct.Stats()))
	add("gossip", counters(a.gossip.Stats()))
	add("discovery", counters(a.cache.Stats()))
	policy := a.policy.Stats()
	s["trust.sends_blocked"] = policy.OutboundBlocked
	for _, p := range policy.Paths {
		s["trust."+p.Path.String()+"_refused"] = p.Refused
		for d, n := range p.Decisions {
			s["trust."+p.Path.String()+"_"+snake(d.String())] = n
		}
	}
	if n := a.net.Load(); n != nil {
		add("transport", counters(n.endpoint.Stats()))
		add("peers", counters(n.peers.Stats()))
		add("overlay", counters(n.overlay.stats()))
		add("revocations", counters(n.revocations.stats()))
		add("rendezvous", counters(n.rendezvous.stats()))
		add("presence", counters(n.presence.stats()))
		if l := n.lan.Load(); l != nil {
			add("lan", counters(l.Stats()))
		}
		s["overlay.frames_dropped"] = n.overlay.dropped.Load()
	}
	return s
}

// counters flattens the statistics of a room: unsigned fields are counters, signed ones are
// gauges and get the ending _now.
func counters(stats any) map[string]uint64 {
	m := map[string]uint64{}
	v := reflect.ValueOf(stats)
	for i := range v.NumField() {
		name, f := snake(v.Type().Field(i).Name), v.Field(i)
		switch {
		case f.CanUint():
			m[name] = f.Uint()
		case f.CanInt():
			m[name+"_now"] = uint64(max(f.Int(), 0))
		}
	}
	return m
}

// snake turns UnknownKinds into unknown_kinds.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 && !unicode.IsUpper(rune(name[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
