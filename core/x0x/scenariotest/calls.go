package scenariotest

import (
	"bytes"
	"context"
	"slices"
	"time"
)

// Result is what a call gave, by the field names of the list. Values are ID, []byte, string,
// bool and uint64.
type Result map[string]any

// call is the meaning of one word of the list.
type call func(ctx context.Context, r *run, a *actor, x args) (Result, error)

// calls are all words. "open" is here to be known; it runs before there is an agent.
var calls map[string]call

func init() { // not in the declaration: Parse asks for the names, and the calls parse
	calls = map[string]call{
		"open": nil,
		"identity": func(_ context.Context, _ *run, a *actor, _ args) (Result, error) {
			agent, machine, err := a.Identity()
			return Result{"agent_id": agent, "machine_id": machine}, err
		},
		"join":  func(ctx context.Context, _ *run, a *actor, _ args) (Result, error) { return nil, a.Join(ctx) },
		"leave": func(ctx context.Context, _ *run, a *actor, _ args) (Result, error) { return nil, a.Leave(ctx) },
		"close": func(ctx context.Context, _ *run, a *actor, _ args) (Result, error) {
			a.closed = true
			return nil, a.Close(ctx)
		},

		"is_connected": func(_ context.Context, _ *run, a *actor, _ args) (Result, error) {
			yes, err := a.IsConnected()
			return Result{"connected": yes}, err
		},
		"is_agent_connected": withID(func(x args) value { return x.Agent }, func(_ context.Context, a *actor, id ID, _ args) (Result, error) {
			yes, err := a.IsAgentConnected(id)
			return Result{"connected": yes}, err
		}),
		"connect_agent": withID(func(x args) value { return x.Agent }, func(ctx context.Context, a *actor, id ID, _ args) (Result, error) {
			outcome, err := a.ConnectAgent(ctx, id)
			return Result{"outcome": outcome}, err
		}),
		"connect_machine": withID(func(x args) value { return x.Machine }, func(ctx context.Context, a *actor, id ID, _ args) (Result, error) {
			outcome, err := a.ConnectMachine(ctx, id)
			return Result{"outcome": outcome}, err
		}),
		"connect_address": connectAddress,
		"add_peer":        addPeer,
		"peers": func(_ context.Context, _ *run, a *actor, _ args) (Result, error) {
			n, err := a.Peers()
			return Result{"count": uint64(n)}, err
		},
		"wait_peers": waitPeers,

		"publish":     publish,
		"subscribe":   subscribe,
		"unsubscribe": withSub(func(_ context.Context, s Subscription, _ args) (Result, error) { return nil, s.Close() }),
		"next":        withSub(next),
		"next_many":   withSub(nextMany),
		"no_message":  withSub(noMessage),
		"subscription_info": withSub(func(_ context.Context, s Subscription, _ args) (Result, error) {
			topic, pending, dropped, err := s.Info()
			return Result{"topic": topic, "pending": pending, "dropped": dropped}, err
		}),

		"send":      withID(func(x args) value { return x.To }, send),
		"recv":      recv,
		"recv_many": recvMany,
		"no_direct": noDirect,
		"inbox_info": func(_ context.Context, _ *run, a *actor, _ args) (Result, error) {
			n, err := a.InboxPending()
			return Result{"pending": n}, err
		},

		"set_trust": withID(func(x args) value { return x.Agent }, func(_ context.Context, a *actor, id ID, x args) (Result, error) {
			return nil, a.SetTrust(id, x.Level)
		}),
		"trust": withID(func(x args) value { return x.Agent }, func(_ context.Context, a *actor, id ID, _ args) (Result, error) {
			level, err := a.Trust(id)
			return Result{"level": level}, err
		}),
		"contacts": func(_ context.Context, _ *run, a *actor, _ args) (Result, error) {
			n, err := a.Contacts()
			return Result{"count": uint64(n)}, err
		},
		"contact": withID(func(x args) value { return x.Agent }, func(_ context.Context, a *actor, id ID, _ args) (Result, error) {
			c, err := a.Contact(id)
			return Result{"exists": c.Exists, "level": c.Level, "label": c.Label, "identity_type": c.IdentityType,
				"machines": uint64(c.Machines), "pinned": uint64(c.Pinned)}, err
		}),
		"add_contact": withID(func(x args) value { return x.Agent }, func(_ context.Context, a *actor, id ID, x args) (Result, error) {
			return nil, a.AddContact(id, x.Level, x.Label)
		}),
		"set_label": withID(func(x args) value { return x.Agent }, func(_ context.Context, a *actor, id ID, x args) (Result, error) {
			return nil, a.SetLabel(id, x.Label)
		}),
		"set_identity_type": withID(func(x args) value { return x.Agent }, func(_ context.Context, a *actor, id ID, x args) (Result, error) {
			return nil, a.SetIdentityType(id, x.IdentityType)
		}),
		"add_machine":    withMachine(func(a *actor, id, machine ID, x args) (Result, error) { return nil, a.AddMachine(id, machine, x.Label) }),
		"remove_machine": withMachine(func(a *actor, id, machine ID, _ args) (Result, error) { return nil, a.RemoveMachine(id, machine) }),
		"pin_machine":    withMachine(func(a *actor, id, machine ID, _ args) (Result, error) { return nil, a.PinMachine(id, machine) }),
		"unpin_machine":  withMachine(func(a *actor, id, machine ID, _ args) (Result, error) { return nil, a.UnpinMachine(id, machine) }),
		"evaluate_trust": withMachine(func(a *actor, id, machine ID, _ args) (Result, error) {
			decision, err := a.EvaluateTrust(id, machine)
			return Result{"decision": decision}, err
		}),
		"sign": func(_ context.Context, r *run, a *actor, x args) (Result, error) {
			signature, err := a.Sign(x.Context, x.Payload.raw())
			r.kept[x.As] = signature
			return Result{"size": uint64(len(signature))}, err
		},
		"verify": withAgent(func(r *run, a *actor, id ID, x args) (Result, error) {
			return nil, a.Verify(id, x.Context, x.Payload.raw(), r.keptOr(x.Signature))
		}),
		"identity_words": withAgent(func(_ *run, a *actor, id ID, _ args) (Result, error) {
			words, err := a.IdentityWords(id)
			return Result{"words": words}, err
		}),
		"card": func(_ context.Context, r *run, a *actor, x args) (Result, error) {
			link, err := a.Card(x.DisplayName, x.IncludeUser, x.HumanConsent)
			r.kept[x.As] = []byte(link)
			return nil, err
		},
		"import_card": func(_ context.Context, r *run, a *actor, x args) (Result, error) {
			c, err := a.ImportCard(string(r.keptOr(x.Link)), x.Level)
			return Result{"agent": c.Agent, "added": c.Added, "level": c.Level, "display_name": c.DisplayName, "user": c.User,
				"addresses": uint64(c.Addresses), "groups": uint64(c.Groups), "stores": uint64(c.Stores)}, err
		},
		"certificate": func(_ context.Context, _ *run, a *actor, _ args) (Result, error) {
			yes, err := a.HasCertificate()
			return Result{"exists": yes}, err
		},
		"remove_contact": withID(func(x args) value { return x.Agent }, func(_ context.Context, a *actor, id ID, _ args) (Result, error) {
			existed, err := a.RemoveContact(id)
			return Result{"existed": existed}, err
		}),

		"presence": func(_ context.Context, _ *run, a *actor, _ args) (Result, error) {
			list, err := a.Presence()
			return Result{"count": uint64(len(list))}, err
		},
		"wait_presence": func(ctx context.Context, _ *run, a *actor, x args) (Result, error) {
			return a.until(ctx, func() (Result, bool, error) {
				list, err := a.Presence()
				return Result{"count": uint64(len(list))}, len(list) == x.Count, err
			})
		},
		"presence_status": withID(func(x args) value { return x.Agent }, func(_ context.Context, a *actor, id ID, _ args) (Result, error) {
			p, err := a.PresenceStatus(id)
			return Result{"exists": p.Exists, "online": p.Online, "machine_id": p.Machine, "source": p.Source}, err
		}),
		"presence_foaf": func(ctx context.Context, _ *run, a *actor, x args) (Result, error) {
			list, err := a.PresenceFOAF(ctx, x.TTL, x.timeout())
			return Result{"count": uint64(len(list))}, err
		},
		"find_presence": withID(func(x args) value { return x.Agent }, findPresence),
		"watch_presence": withID(func(x args) value { return x.Agent }, func(_ context.Context, a *actor, id ID, _ args) (Result, error) {
			return nil, a.WatchPresence(id)
		}),
		"unwatch_presence": withID(func(x args) value { return x.Agent }, func(_ context.Context, a *actor, id ID, _ args) (Result, error) {
			return nil, a.UnwatchPresence(id)
		}),

		"set_topic_priority": func(_ context.Context, _ *run, a *actor, x args) (Result, error) {
			return nil, a.SetTopicPriority(string(x.Topic.raw()), x.Priority)
		},
		"neighbors": func(_ context.Context, _ *run, a *actor, _ args) (Result, error) {
			list, err := a.Neighbors()
			return Result{"count": uint64(len(list))}, err
		},
		"wait_neighbor": withID(func(x args) value { return x.Agent }, waitNeighbor),
		"known_peers": func(_ context.Context, _ *run, a *actor, _ args) (Result, error) {
			n, err := a.KnownPeers()
			return Result{"count": uint64(n)}, err
		},
		"wait_link": withID(func(x args) value { return x.Agent }, waitLink),

		"event":        event,
		"set_events":   func(_ context.Context, _ *run, a *actor, x args) (Result, error) { return nil, a.SetEvents(x.Mask) },
		"stats":        counter(""),
		"gossip_stats": counter("gossip."),
	}
}

// counter reads one counter, whose name begins with the prefix.
func counter(prefix string) call {
	return func(_ context.Context, _ *run, a *actor, x args) (Result, error) {
		all, err := a.Stats()
		v, ok := all[prefix+x.Name]
		if err == nil && !ok {
			err = scriptf("there is no counter %q", prefix+x.Name)
		}
		return Result{"value": v}, err
	}
}

// withID resolves the agent or machine that a call is about.
func withID(which func(args) value, f func(context.Context, *actor, ID, args) (Result, error)) call {
	return func(ctx context.Context, r *run, a *actor, x args) (Result, error) {
		id, err := r.id(which(x))
		if err != nil {
			return nil, &scriptError{err}
		}
		return f(ctx, a, id, x)
	}
}

// withAgent is withID for the agent of a call that also needs the scenario.
func withAgent(f func(r *run, a *actor, id ID, x args) (Result, error)) call {
	return func(_ context.Context, r *run, a *actor, x args) (Result, error) {
		id, err := r.id(x.Agent)
		if err != nil {
			return nil, &scriptError{err}
		}
		return f(r, a, id, x)
	}
}

// keptOr returns the signature or link that a step has kept under this name, or else the text.
func (r *run) keptOr(name string) []byte {
	if b, ok := r.kept[name]; ok {
		return b
	}
	return []byte(name)
}

// withMachine resolves the agent that a call is about, and its machine; none is zero.
func withMachine(f func(a *actor, id, machine ID, x args) (Result, error)) call {
	return func(_ context.Context, r *run, a *actor, x args) (Result, error) {
		id, err := r.id(x.Agent)
		var machine ID
		if err == nil && (x.Machine.text != "" || x.Machine.bytes != nil) {
			machine, err = r.id(x.Machine)
		}
		if err != nil {
			return nil, &scriptError{err}
		}
		return f(a, id, machine, x)
	}
}

// withSub finds the subscription that a call is about.
func withSub(f func(context.Context, Subscription, args) (Result, error)) call {
	return func(ctx context.Context, _ *run, a *actor, x args) (Result, error) {
		s := a.subs[x.Sub]
		if s == nil {
			return nil, scriptf("no subscription %q", x.Sub)
		}
		return f(ctx, s, x)
	}
}

func connectAddress(ctx context.Context, r *run, a *actor, x args) (Result, error) {
	address := x.Address
	if x.Of != "" {
		var err error
		if address, err = r.address(x.Of); err != nil {
			return nil, &scriptError{err}
		}
	}
	id, err := a.ConnectAddress(ctx, address)
	return Result{"agent_id": id}, err
}

func addPeer(_ context.Context, r *run, a *actor, x args) (Result, error) {
	b, err := r.actor(x.Of)
	if err != nil {
		return nil, err
	}
	addresses, err := b.LocalAddresses()
	if err != nil {
		return nil, &scriptError{err}
	}
	return nil, a.AddPeer(b.machineID, b.agentID, addresses)
}

// waitPeers waits for that many peers.
func waitPeers(ctx context.Context, _ *run, a *actor, x args) (Result, error) {
	return a.until(ctx, func() (Result, bool, error) {
		n, err := a.Peers()
		return Result{"count": uint64(n)}, n >= x.Count, err
	})
}

// findPresence walks until a walk finds that agent. Each is short: what is not known yet to the
// friends may be a moment later.
func findPresence(ctx context.Context, a *actor, id ID, x args) (Result, error) {
	return a.until(ctx, func() (Result, bool, error) {
		list, err := a.PresenceFOAF(ctx, x.TTL, x.timeout())
		return nil, slices.Contains(list, id), err
	})
}

// waitNeighbor waits until topics go through that agent.
func waitNeighbor(ctx context.Context, a *actor, id ID, _ args) (Result, error) {
	return a.until(ctx, func() (Result, bool, error) {
		list, err := a.Neighbors()
		return Result{"count": uint64(len(list))}, slices.Contains(list, id), err
	})
}

// waitLink waits until it is known that somebody behind that neighbour subscribes to the topic.
func waitLink(ctx context.Context, a *actor, id ID, x args) (Result, error) {
	return a.until(ctx, func() (Result, bool, error) {
		links, err := a.TopicLinks(string(x.Topic.raw()))
		l, ok := links[id]
		return Result{"eager": l.Eager, "carries": l.Carries, "distance": l.Distance,
			"priority": l.Priority, "subscriptions": l.Subscriptions}, ok, err
	})
}

// until looks again and again. Events only say when to: they are kept for the steps that wait
// for them.
func (a *actor) until(ctx context.Context, look func() (r Result, done bool, err error)) (Result, error) {
	for {
		r, done, err := look()
		if done || err != nil {
			return r, err
		}
		wait, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		e, err := a.NextEvent(wait)
		cancel()
		if err == nil {
			a.events = append(a.events, e)
		} else if ctx.Err() != nil {
			return nil, err
		}
	}
}

func event(ctx context.Context, _ *run, a *actor, x args) (Result, error) {
	for {
		var e Event
		if len(a.events) > 0 {
			e, a.events = a.events[0], a.events[1:]
		} else {
			var err error
			if e, err = a.NextEvent(ctx); err != nil {
				return nil, err
			}
		}
		if e.Name == x.Name {
			return Result{"agent": e.Agent, "machine_id": e.Machine, "payload": e.Payload, "topic": e.Topic}, nil
		}
	}
}

// payloads are the messages of a step: one, or with a count a numbered series.
func (x args) payloads() [][]byte {
	if x.Count == 0 {
		return [][]byte{x.Payload.raw()}
	}
	list := make([][]byte, x.Count)
	for i := range list {
		list[i] = x.Payload.numbered(x.First + i)
	}
	return list
}

func (x args) timeout() time.Duration { return time.Duration(x.TimeoutMS) * time.Millisecond }

func publish(ctx context.Context, _ *run, a *actor, x args) (Result, error) {
	return nil, a.Publish(ctx, string(x.Topic.raw()), x.payloads(), PublishOptions{Timeout: x.timeout(), NoWait: x.Wait != nil && !*x.Wait})
}

func subscribe(_ context.Context, _ *run, a *actor, x args) (Result, error) {
	o := SubscribeOptions{NoReplay: x.Replay != nil && !*x.Replay, MaxMessages: x.MaxMessages, Paused: x.Paused}
	switch x.Policy {
	case "", "drop_oldest":
	case "drop_newest":
		o.DropNewest = true
	default:
		return nil, scriptf("no policy %q", x.Policy)
	}
	s, err := a.Subscribe(string(x.Topic.raw()), o)
	if err == nil {
		a.subs[x.As] = s
	}
	return nil, err
}

func next(ctx context.Context, s Subscription, _ args) (Result, error) {
	m, err := s.Next(ctx)
	if m.Lagged > 0 {
		return Result{"lagged": m.Lagged}, err
	}
	return Result{"payload": m.Payload, "sender": m.Sender, "topic": m.Topic, "sequence": m.Sequence, "trust_level": m.TrustLevel}, err
}

func nextMany(ctx context.Context, s Subscription, x args) (Result, error) {
	for i, want := range x.payloads() {
		m, err := s.Next(ctx)
		if err != nil {
			return nil, err
		}
		if m.Lagged > 0 || !bytes.Equal(m.Payload, want) {
			return nil, scriptf("message %d is %s (lagged %d), want %s", i, brief(m.Payload), m.Lagged, brief(want))
		}
	}
	return nil, nil
}

// noMessage succeeds when nothing comes in a while; nothing else may end the wait.
func noMessage(ctx context.Context, s Subscription, x args) (Result, error) {
	wait, cancel := context.WithTimeout(ctx, time.Duration(x.ForMS)*time.Millisecond)
	defer cancel()
	m, err := s.Next(wait)
	if err == nil {
		return nil, scriptf("%s came (lagged %d), want nothing", brief(m.Payload), m.Lagged)
	}
	return nil, unlessEnded(wait, err)
}

func noDirect(ctx context.Context, _ *run, a *actor, x args) (Result, error) {
	wait, cancel := context.WithTimeout(ctx, time.Duration(x.ForMS)*time.Millisecond)
	defer cancel()
	m, err := a.Recv(wait)
	if err == nil {
		return nil, scriptf("%s came, want nothing", brief(m.Payload))
	}
	return nil, unlessEnded(wait, err)
}

func unlessEnded(wait context.Context, err error) error {
	if wait.Err() != nil {
		return nil
	}
	return err
}

func send(ctx context.Context, a *actor, to ID, x args) (Result, error) {
	path, err := a.Send(ctx, to, x.payloads(), SendOptions{Timeout: x.timeout(), Unordered: x.Unordered, FailOnDisconnect: x.FailOnDisconnect})
	return Result{"path": path}, err
}

func recv(ctx context.Context, _ *run, a *actor, _ args) (Result, error) {
	m, err := a.Recv(ctx)
	return Result{"payload": m.Payload, "sender": m.Sender, "machine_id": m.Machine, "sequence": m.Sequence, "trust_decision": m.Decision}, err
}

func recvMany(ctx context.Context, _ *run, a *actor, x args) (Result, error) {
	for i, want := range x.payloads() {
		m, err := a.Recv(ctx)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(m.Payload, want) {
			return nil, scriptf("message %d is %s, want %s", i, brief(m.Payload), brief(want))
		}
	}
	return nil, nil
}
