package transport

import (
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// watched is the part of a connection that the watcher looks at.
//
// Watch and its release are called for every message, so in the steady state
// each is one atomic addition: the connection stays on the watcher's list for a
// while after the last release.
type watched struct {
	holders atomic.Int32
	listed  atomic.Bool

	// Only the watcher's goroutine uses the rest.
	packets uint64    // received when last looked
	heard   time.Time // when that number last changed; zero while nobody holds
	probed  time.Time
	resting int // looks in a row without a holder
}

func (w *watched) leave() {
	if w.holders.Add(-1) < 0 {
		panic("transport: a watch was released twice")
	}
}

// Watch gives the connection up once it has heard nothing for the endpoint's
// PeerTimeout, for as long as anybody holds a watch. "Nothing" is no packet of any
// kind: a silent peer is probed, so a peer that has nothing to say, or an
// application that does not read, is not silence.
//
// Call release exactly once; it may be called from any goroutine.
func (c *Conn) Watch() (release func()) {
	if c.watch.holders.Add(1) == 1 && !c.watch.listed.Load() {
		c.endpoint.watcher.add(c)
	}
	return c.unwatch
}

// How finely the watcher looks, as parts of PeerTimeout: a connection is given up
// between 1 and 1 + 1/8 of it.
const (
	watchTick  = 8
	watchProbe = 3
	watchRest  = 32 // looks without a holder before a connection leaves the list
)

// watcher looks at the watched connections of one endpoint, from one goroutine
// that sleeps while there are none.
type watcher struct {
	timeout time.Duration
	added   chan *Conn
	quit    <-chan struct{}
}

func newWatcher(timeout time.Duration, quit <-chan struct{}) *watcher {
	return &watcher{timeout: timeout, added: make(chan *Conn), quit: quit}
}

func (w *watcher) add(c *Conn) {
	if !c.watch.listed.CompareAndSwap(false, true) {
		return
	}
	select {
	case w.added <- c:
	case <-c.Done():
	case <-w.quit:
	}
}

func (w *watcher) run() {
	var list []*Conn
	tick := max(w.timeout/watchTick, time.Millisecond)
	timer := time.NewTimer(tick)
	timer.Stop()
	defer timer.Stop()
	last := time.Now()
	for {
		select {
		case <-w.quit:
			return
		case c := <-w.added:
			if len(list) == 0 {
				last = time.Now()
				timer.Reset(tick)
			}
			c.watch.packets, c.watch.heard, c.watch.resting = 0, time.Time{}, 0
			list = append(list, c)
			continue
		case <-timer.C:
		}
		now := time.Now()
		// We did not run either: a stopped process, a suspended machine. What
		// arrived meanwhile is still in the socket, so nothing can be concluded.
		blind := now.Sub(last) > w.timeout/2
		last = now
		kept := list[:0]
		for _, c := range list {
			if w.look(c, now, blind) {
				kept = append(kept, c)
			}
		}
		clear(list[len(kept):])
		if list = kept; len(list) > 0 {
			timer.Reset(tick)
		}
	}
}

// look reports whether the connection stays on the list.
func (w *watcher) look(c *Conn, now time.Time, blind bool) bool {
	s := &c.watch
	if c.quic.Context().Err() != nil {
		return false
	}
	packets := c.quic.ConnectionStats().PacketsReceived
	if s.holders.Load() == 0 {
		s.packets, s.heard = packets, time.Time{}
		if s.resting++; s.resting < watchRest {
			return true
		}
		s.listed.Store(false)
		// A holder that came before the store found listed true.
		return s.holders.Load() > 0 && s.listed.CompareAndSwap(false, true)
	}
	s.resting = 0
	if blind || packets != s.packets || s.heard.IsZero() {
		s.packets, s.heard = packets, now
		return true
	}
	silence := now.Sub(s.heard)
	switch {
	case silence >= w.timeout:
		c.endpoint.stats.givenUp.Add(1)
		err := wire.Errorf(wire.KindDisconnected, "connection", "heard nothing for %v", silence.Round(time.Millisecond))
		// Closing takes a lock of the connection's; the list must not wait for it.
		c.endpoint.tasks.Go("give up", func() { c.closeWith(CloseSilent, err, "heard nothing") })
		return false
	case silence >= w.timeout/watchProbe && now.Sub(s.probed) >= w.timeout/watchProbe:
		s.probed = now
		// A datagram is acknowledged by the peer's QUIC and by nobody above, and
		// no flow-control window holds it up. The peer drops those that it does
		// not read. The error is that of a connection that has just ended.
		_ = c.quic.SendDatagram([]byte{0})
	}
	return true
}
