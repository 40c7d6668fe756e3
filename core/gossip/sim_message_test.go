package gossip

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

// swarmMessage is one published message.
type swarmMessage struct {
	number  int
	at      place
	topic   string
	topicID TopicID
	by      int
	sent    time.Time
	reached int // nodes that it was delivered to, the publisher not counted
	// Of deliveries to those who had subscribed when it was sent:
	last   time.Duration // from sent until the last one
	delays []time.Duration
	hops   []uint8
}

// swarmMemory is what all swarms of a test process have in common.
var swarmMemory struct {
	sync.Mutex
	sealed  map[[32]byte][]byte // frames of messages, by what is signed and by whom
	genuine map[[32]byte]bool   // what is signed, with the signature and the key
}

// verifyOnce checks a signature, or remembers that it has.
func verifyOnce(raw []byte, env *envelope) bool {
	h := sha256.New()
	h.Write(raw)
	h.Write(env.signed)
	h.Write(env.signature)
	id := [32]byte(h.Sum(nil))
	swarmMemory.Lock()
	defer swarmMemory.Unlock()
	ok, known := swarmMemory.genuine[id]
	if !known {
		key, err := identity.CachedPublicKey(raw)
		ok = err == nil && env.verify(key, testNetwork)
		if swarmMemory.genuine == nil {
			swarmMemory.genuine = make(map[[32]byte]bool)
		}
		swarmMemory.genuine[id] = ok
	}
	return ok
}

// publish has a node publish one message of 1 KiB.
func (w *swarm) publish(n *swarmNode, topic string) *swarmMessage {
	now := w.net.Now()
	payload := make([]byte, swarmPayload)
	binary.BigEndian.PutUint64(payload, uint64(len(w.messages)))
	n.sequence++
	env := &envelope{
		sender: n.own, topic: n.topicID(topic), epoch: n.cfg.Epoch, first: n.sequence, time: n.cfg.Clock.Now(),
		payloads: [][]byte{payload},
	}
	m := &swarmMessage{
		number: len(w.messages), at: place{n.own, env.epoch, env.first}, topic: topic, topicID: env.topic, by: n.id, sent: now,
	}
	w.messages = append(w.messages, m)
	w.places[m.at] = m.number
	n.router.publish(topic, env, w.seal(n, env), now)
	n.pump(now)
	w.net.Wake(n.id)
	return m
}

// seal signs a message, or remembers the signature: it is different each time.
func (w *swarm) seal(n *swarmNode, env *envelope) []byte {
	h := sha256.New()
	h.Write(env.sender[:])
	h.Write(env.topic[:])
	h.Write(binary.BigEndian.AppendUint64(nil, env.epoch))
	h.Write(binary.BigEndian.AppendUint64(nil, env.first))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(env.time)))
	h.Write(env.payloads[0])
	id := [32]byte(h.Sum(nil))
	swarmMemory.Lock()
	defer swarmMemory.Unlock()
	frame := swarmMemory.sealed[id]
	if frame == nil {
		if n.key == nil {
			n.key = swarmKey(w.t, n.id)
		}
		var err error
		if frame, err = sealEnvelope(n.key, testNetwork, env); err != nil {
			w.t.Fatal(err)
		}
		if swarmMemory.sealed == nil {
			swarmMemory.sealed = make(map[[32]byte][]byte)
		}
		swarmMemory.sealed[id] = frame
	}
	return frame
}

// delivered notes that a subscription got a message.
func (w *swarm) delivered(n *swarmNode, at place, msg *Message, now time.Time) {
	i, known := w.places[at]
	if !known { // the router hands over what it publishes before publish returns
		w.t.Fatalf("%v: node %d got a message that nobody has published", w, n.id)
	}
	for len(n.got) <= i {
		n.got = append(n.got, 0)
	}
	m := w.messages[i]
	if number := binary.BigEndian.Uint64(msg.Payload); len(msg.Payload) != swarmPayload || number != uint64(i) || msg.Topic != m.topic {
		w.t.Errorf("%v: node %d got other bytes than those of message %d", w, n.id, i)
	}
	if n.got[i] != 0 {
		w.t.Errorf("%v: node %d got message %d of node %d twice, at %v and %v", w, n.id, i, m.by, n.got[i], w.since())
		return
	}
	n.got[i] = w.since()
	if n.id == m.by {
		return
	}
	m.reached++
	w.reached++
	if n.subs[m.topic].After(m.sent) {
		return // late for other reasons than the network
	}
	m.last = now.Sub(m.sent)
	m.delays = append(m.delays, m.last)
	if e := n.topics[m.topicID].index[at]; e != nil {
		m.hops = append(m.hops, e.hops)
	}
}
