package x0x

import (
	"sync"

	"github.com/saorsa-labs/x0x-go/core/gossip"
)

// copies turns the messages of subscribed topics into events, for listeners that want all of
// them in one place (EventsMessage). Each topic is copied once, however many subscriptions it
// has, through one more subscription that nobody else sees. While nobody listens there is none.
type copies struct {
	agent *Agent

	mu        sync.Mutex
	listening bool
	topics    map[string]*topicCopy
}

type topicCopy struct {
	subscriptions int
	sub           *gossip.Subscription // nil while nobody listens

	mu sync.Mutex // keeps the order when two goroutines deliver
}

func newCopies(a *Agent) *copies { return &copies{agent: a, topics: map[string]*topicCopy{}} }

// listen begins or ends copying all subscribed topics, from now on: what is retained is not
// news.
func (c *copies) listen(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listening = on
	for topic, t := range c.topics {
		c.apply(topic, t)
	}
}

func (c *copies) subscribed(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.topics[topic]
	if t == nil {
		t = &topicCopy{}
		c.topics[topic] = t
	}
	t.subscriptions++
	c.apply(topic, t)
}

func (c *copies) unsubscribed(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.topics[topic]
	if t.subscriptions--; t.subscriptions == 0 {
		delete(c.topics, topic)
	}
	c.apply(topic, t)
}

// apply opens or closes the subscription of a topic as its state asks for.
func (c *copies) apply(topic string, t *topicCopy) {
	want := c.listening && t.subscriptions > 0
	switch {
	case want && t.sub == nil:
		replay := false
		sub, err := c.agent.gossip.Subscribe(topic, gossip.SubscribeOptions{Replay: &replay})
		if err != nil {
			return // closed meanwhile: there will be nothing to copy
		}
		t.sub = sub
		sub.Box().SetNotify(func() { c.deliver(t, sub) })
		c.deliver(t, sub) // what came before the notice was set
	case !want && t.sub != nil:
		t.sub.Close()
		t.sub = nil
	}
}

// deliver moves what waits into the events, which drop the oldest when nobody reads them. A
// gap means that this goroutine was late by a whole queue; the event queue, as long as that
// one, then has a gap of its own.
func (c *copies) deliver(t *topicCopy, sub *gossip.Subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		batch := sub.Box().TryPop(64, nil)
		if len(batch) == 0 {
			return
		}
		for _, e := range batch {
			if e.Lagged == nil {
				c.agent.events.push(Event{Type: MessageEvent, Time: e.Item.Time, Agent: e.Item.Sender, Message: &e.Item})
			}
		}
	}
}
