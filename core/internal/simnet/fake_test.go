package simnet

import (
	"fmt"
	"time"
)

// host is a Node that writes down what happens to it and does what its test
// says.
type host struct {
	net *Net
	id  int
	log []string // "up 1", "down 1", "failed 1", "ready 1", "1:text"
	at  []time.Duration

	onUp, onDown, onFailed, onReady func(peer int)
	onReceive                       func(peer int, frame []byte)
	onTick                          func()
	next                            time.Time
}

func (h *host) note(now time.Time, format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf(format, args...))
	h.at = append(h.at, now.Sub(h.net.cfg.Start))
}

func (h *host) Up(peer int, now time.Time) {
	h.note(now, "up %d", peer)
	if h.onUp != nil {
		h.onUp(peer)
	}
}

func (h *host) Down(peer int, now time.Time) {
	h.note(now, "down %d", peer)
	if h.onDown != nil {
		h.onDown(peer)
	}
}

func (h *host) DialFailed(peer int, now time.Time) {
	h.note(now, "failed %d", peer)
	if h.onFailed != nil {
		h.onFailed(peer)
	}
}

func (h *host) Ready(peer int, now time.Time) {
	h.note(now, "ready %d", peer)
	if h.onReady != nil {
		h.onReady(peer)
	}
}

func (h *host) Receive(peer int, frame []byte, now time.Time) {
	text := string(frame)
	if len(text) > 16 {
		text = fmt.Sprintf("%.8s…%d", text, len(text))
	}
	h.note(now, "%d:%s", peer, text)
	if h.onReceive != nil {
		h.onReceive(peer, frame)
	}
}

func (h *host) Tick(now time.Time) {
	h.next = time.Time{}
	h.note(now, "tick")
	if h.onTick != nil {
		h.onTick()
	}
}

func (h *host) NextTick() time.Time { return h.next }

// when says at what time since the start the entry was noted, or -1.
func (h *host) when(entry string) time.Duration {
	for i, e := range h.log {
		if e == entry {
			return h.at[i]
		}
	}
	return -1
}

// add starts k hosts with the ids 0 to k-1.
func add(n *Net, k int) []*host {
	hosts := make([]*host, k)
	for id := range hosts {
		hosts[id] = &host{net: n, id: id}
		n.Add(id, hosts[id])
	}
	return hosts
}

// pair is two hosts that are connected, from second 1 on.
func pair(cfg Config) (*Net, *host, *host) {
	n := New(cfg)
	h := add(n, 2)
	n.Dial(0, 1)
	n.run(time.Second)
	for _, h := range h {
		h.log, h.at = nil, nil
	}
	return n, h[0], h[1]
}

// run runs for d.
func (n *Net) run(d time.Duration) { n.RunUntil(n.Now().Add(d)) }
