package direct

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not in time", what)
		}
	}
}

// A reader that has stopped costs its library what the limits say, and its sender
// feels it; nothing is lost when it reads again.
func TestStoppedReader(t *testing.T) {
	a, b, _ := pair(t, func(c *Config) {
		c.Inbox = Options{Messages: 64, Bytes: 1 << 20}
		c.SendQueue = Options{Messages: 6000, Bytes: 8 << 20}
		c.Timeout = time.Minute
	})
	var acked atomic.Int64
	sent := 0
	payload := make([]byte, 1000)
	for {
		_, err := a.Send(b.cfg.Self, payload, SendOptions{}, func(_ Receipt, err error) {
			if err == nil {
				acked.Add(1)
			}
		})
		if wire.KindOf(err) == wire.KindBusy {
			s := b.Stats()
			if s.InboxItems == 64 && sent-64 >= 6000 {
				break // what is not acknowledged fills the queue
			}
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		sent++
	}
	s := b.Stats()
	if s.RoomInline > windowBytes || s.InboxBytes > 1<<20 {
		t.Errorf("the receiver holds %d and %d bytes", s.InboxBytes, s.RoomInline)
	}
	if n := acked.Load(); n > 64 {
		t.Errorf("%d messages acknowledged with room for 64", n)
	}
	for i := range sent {
		if m := receive(t, b); m.Sequence != uint64(i+1) {
			t.Fatalf("message %d in place of %d", m.Sequence, i+1)
		}
	}
	eventually(t, "acknowledgements", func() bool { return acked.Load() == int64(sent) })
}

// SendWait waits for room instead of failing.
func TestSendWaitBackPressure(t *testing.T) {
	a, b, _ := pair(t, func(c *Config) {
		c.Inbox = Options{Messages: 2}
		c.SendQueue = Options{Messages: 4}
	})
	const senders, each = 20, 50
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for range each {
				if _, err := a.SendWait(testContext(t), b.cfg.Self, []byte{1}, SendOptions{}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range senders * each {
		if m := receive(t, b); m.Sequence != uint64(i+1) {
			t.Fatalf("message %d in place of %d", m.Sequence, i+1)
		}
	}
	wg.Wait()
}

// A sender whose context ends while it waits for room leaves nothing behind.
func TestSendWaitForRoomCancelled(t *testing.T) {
	a := newManager(t, 1, func(c *Config) { c.SendQueue = Options{Messages: 1} })
	if _, err := a.Send(agentID(2), nil, SendOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	go func() {
		_, err := a.SendWait(ctx, agentID(2), nil, SendOptions{})
		failed <- err
	}()
	eventually(t, "waiting", func() bool {
		q := &a.lookup(agentID(2)).submit
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.waiters.len() == 1
	})
	cancel()
	if err := <-failed; wire.KindOf(err) != wire.KindCancelled {
		t.Errorf("got %v", err)
	}
	if _, err := a.SendWait(context.Background(), agentID(2), nil, SendOptions{Timeout: time.Millisecond}); wire.KindOf(err) != wire.KindTimeout {
		t.Errorf("got %v", err)
	}
}

func errorOf(err error) *wire.Error {
	e, _ := err.(*wire.Error)
	if e == nil {
		e = new(wire.Error)
	}
	return e
}

func TestTimeouts(t *testing.T) {
	var dialled atomic.Int32
	a := newManager(t, 1, func(c *Config) { c.Dial = func(identity.AgentID) { dialled.Add(1) } })
	_, err := a.SendWait(testContext(t), agentID(2), []byte("x"), SendOptions{Timeout: 20 * time.Millisecond})
	if e := errorOf(err); e.Kind != wire.KindTimeout || e.Delivered != wire.DeliveredNo || !e.Retryable {
		t.Errorf("never linked: %#v", err)
	}
	if dialled.Load() == 0 {
		t.Error("nobody was asked to dial")
	}
	b := newManager(t, 2, func(c *Config) { c.Inbox = Options{Messages: 1} })
	la, _ := connect(a, b, 0)
	defer down(la)
	if _, err := a.SendWait(testContext(t), agentID(2), []byte("fills the inbox"), SendOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = a.SendWait(testContext(t), agentID(2), []byte("waits in the room"), SendOptions{Timeout: 50 * time.Millisecond})
	if e := errorOf(err); e.Kind != wire.KindTimeout || e.Delivered != wire.DeliveredUnknown {
		t.Errorf("not read: %#v", err)
	}
	// The message that was given up must not stop the next.
	done := make(chan error, 1)
	if _, err := a.Send(agentID(2), []byte("next"), SendOptions{}, func(_ Receipt, err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, b); string(m.Payload) != "fills the inbox" {
		t.Errorf("got %q", m.Payload)
	}
	m := receive(t, b)
	if string(m.Payload) == "waits in the room" { // VOID came too late
		m = receive(t, b)
	}
	if string(m.Payload) != "next" {
		t.Errorf("got %q", m.Payload)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestErrorsAtOnce(t *testing.T) {
	blocked := &wire.Error{Kind: wire.KindBlocked}
	a := newManager(t, 1, func(c *Config) {
		c.MaxBody = 100
		c.Outbound = func(id identity.AgentID) error {
			if id == agentID(3) {
				return blocked
			}
			return nil
		}
		c.SendQueue = Options{Messages: 1}
		c.MaxSessions = 1
	})
	if _, err := a.Send(agentID(2), make([]byte, 101), SendOptions{}, nil); wire.KindOf(err) != wire.KindTooLarge {
		t.Errorf("too large: %v", err)
	}
	if _, err := a.Send(agentID(3), nil, SendOptions{}, nil); errorOf(err).Kind != wire.KindBlocked || errorOf(err).Delivered != wire.DeliveredNo {
		t.Errorf("blocked: %#v", err)
	}
	done := make(chan error, 1)
	p, err := a.Send(agentID(2), nil, SendOptions{}, func(_ Receipt, err error) { done <- err })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Send(agentID(2), nil, SendOptions{}, nil); wire.KindOf(err) != wire.KindBusy {
		t.Errorf("busy: %v", err)
	}
	if _, err := a.Send(agentID(4), nil, SendOptions{}, nil); wire.KindOf(err) != wire.KindLimit {
		t.Errorf("sessions: %v", err)
	}
	p.Cancel()
	p.Cancel()
	if e := errorOf(<-done); e.Kind != wire.KindCancelled || e.Delivered != wire.DeliveredNo {
		t.Errorf("cancelled: %#v", e)
	}
	a.Close(testContext(t))
	if _, err := a.Send(agentID(2), nil, SendOptions{}, nil); wire.KindOf(err) != wire.KindClosed {
		t.Errorf("closed: %v", err)
	}
}

// Messages are cancelled and time out while they are acknowledged, links come and go:
// each completes once.
func TestCompletesOnce(t *testing.T) {
	a, b := newManager(t, 1, nil), newManager(t, 2, func(c *Config) { c.Inbox = Options{Messages: 50} })
	const total = 5000
	var completions [total]atomic.Int32
	var open sync.WaitGroup
	stop, links, reads := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(links)
		for i := int64(1); ; i++ {
			la, _ := connect(a, b, 2000+i*7919%60000)
			select {
			case <-la.Done():
				down(la)
			case <-stop:
				down(la)
				return
			}
		}
	}()
	go func() {
		defer close(reads)
		last := uint64(0)
		for {
			e, err := b.Inbox().Pop(context.Background())
			if err != nil {
				return
			}
			if e.Item.Sequence <= last {
				t.Errorf("message %d after %d", e.Item.Sequence, last)
			}
			last = e.Item.Sequence
		}
	}()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range total {
		n := r.IntN(300)
		if i%500 == 0 {
			n = maxInline + 1 + r.IntN(100<<10)
		}
		open.Add(1)
		o := SendOptions{Timeout: time.Duration(1+r.IntN(40)) * time.Millisecond}
		var p *Pending
		for {
			var err error
			if p, err = a.Send(b.cfg.Self, make([]byte, n), o, func(Receipt, error) {
				if completions[i].Add(1) == 1 {
					open.Done()
				}
			}); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		switch r.IntN(4) {
		case 0:
			p.Cancel()
		case 1:
			go p.Cancel()
		}
	}
	open.Wait()
	close(stop)
	<-links
	b.Close(testContext(t))
	<-reads
	for i := range completions {
		if n := completions[i].Load(); n != 1 {
			t.Errorf("message %d completed %d times", i, n)
		}
	}
	eventually(t, "room", func() bool { return b.Stats().RoomBodies == 0 && b.Stats().RoomInline == 0 })
}

// policy is one that can be changed.
type policy struct{ blocked atomic.Bool }

func (p *policy) decide(identity.AgentID, identity.MachineID) (trust.Decision, bool, bool) {
	if p.blocked.Load() {
		return trust.RejectBlocked, false, false
	}
	return trust.Accept, true, false
}

// A blocked sender sees only timeouts; what it sends goes nowhere until it is
// unblocked, and then what still waits arrives in order.
func TestBlockedSender(t *testing.T) {
	var pol policy
	a, b := newManager(t, 1, nil), newManager(t, 2, func(c *Config) { c.Policy = pol.decide })
	la, lb := connect(a, b, 0)
	defer down(la)
	if _, err := a.SendWait(testContext(t), b.cfg.Self, []byte("before"), SendOptions{}); err != nil {
		t.Fatal(err)
	}
	pol.blocked.Store(true)
	b.PolicyChanged(a.cfg.Self)
	_, err := a.SendWait(testContext(t), b.cfg.Self, []byte("blocked"), SendOptions{Timeout: 30 * time.Millisecond})
	if e := errorOf(err); e.Kind != wire.KindTimeout || e.Delivered != wire.DeliveredUnknown {
		t.Errorf("small: %#v", err)
	}
	_, err = a.SendWait(testContext(t), b.cfg.Self, make([]byte, 1<<20), SendOptions{Timeout: 30 * time.Millisecond})
	if wire.KindOf(err) != wire.KindTimeout {
		t.Errorf("large: %#v", err)
	}
	done := make(chan error, 2)
	for _, text := range []string{"one", "two"} {
		if _, err := a.Send(b.cfg.Self, []byte(text), SendOptions{}, func(_ Receipt, err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
	}
	if s := b.Stats(); s.Dropped == 0 || la.failed.Load() != nil || lb.failed.Load() != nil {
		t.Errorf("dropped %d, links failed: %v", s.Dropped, la.failed.Load() != nil)
	}
	pol.blocked.Store(false)
	b.PolicyChanged(a.cfg.Self)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for _, want := range []string{"before", "one", "two"} {
		if m := receive(t, b); string(m.Payload) != want || m.Decision != trust.Accept {
			t.Errorf("got %q, want %q", m.Payload, want)
		}
	}
}

// A large body goes on where it stopped, over many links.
func TestBodyResumes(t *testing.T) {
	a, b := newManager(t, 1, nil), newManager(t, 2, nil)
	body := make([]byte, 8<<20)
	for i := range body {
		body[i] = byte(i * 7 >> 3)
	}
	done := make(chan error, 1)
	if _, err := a.Send(b.cfg.Self, body, SendOptions{Timeout: time.Minute}, func(_ Receipt, err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	cuts := 0
	for finished := false; !finished; {
		la, _ := connect(a, b, 1<<20) // each carries an eighth
		select {
		case <-la.Done():
			cuts++
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			finished = true
		}
		down(la)
	}
	if m := receive(t, b); !bytes.Equal(m.Payload, body) {
		t.Error("the body is damaged")
	}
	if cuts < 7 || cuts > 12 {
		t.Errorf("%d links for 8 times the bytes of one", cuts)
	}
}

// Small messages overtake a large body only if they may.
func TestUnordered(t *testing.T) {
	a, b := newManager(t, 1, nil), newManager(t, 2, nil)
	hold := make(chan struct{})
	la, _ := connect(a, b, 0)
	defer down(la)
	la.hook = func(kind byte, s ReceiveStream) ReceiveStream {
		if kind == KindDirectBody {
			return heldStream{s, hold}
		}
		return s
	}
	done := make(chan error, 3)
	send := func(p []byte, o SendOptions) {
		t.Helper()
		if _, err := a.Send(b.cfg.Self, p, o, func(_ Receipt, err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
	}
	send(make([]byte, 1<<20), SendOptions{})
	send([]byte("after"), SendOptions{})
	send([]byte("overtakes"), SendOptions{Unordered: true})
	if m := receive(t, b); string(m.Payload) != "overtakes" || m.Sequence != 3 {
		t.Errorf("got %q", m.Payload)
	}
	if err := <-done; err != nil { // and is acknowledged before the others
		t.Error(err)
	}
	close(hold)
	if m := receive(t, b); len(m.Payload) != 1<<20 {
		t.Errorf("got %d bytes", len(m.Payload))
	}
	if m := receive(t, b); string(m.Payload) != "after" {
		t.Errorf("got %q", m.Payload)
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

type heldStream struct {
	ReceiveStream
	hold chan struct{}
}

func (s heldStream) Read(p []byte) (int, error) {
	<-s.hold
	return s.ReceiveStream.Read(p)
}

// A new process on the other side is a new session: what it may have taken fails as
// unknown, what was never written reaches it.
func TestPeerRestarts(t *testing.T) {
	resets := make(chan Event, 10)
	a := newManager(t, 1, func(c *Config) { c.OnEvent = func(e Event) { resets <- e } })
	b := newManager(t, 2, func(c *Config) { c.Inbox = Options{Messages: 1} })
	la, _ := connect(a, b, 0)
	if _, err := a.SendWait(testContext(t), b.cfg.Self, []byte("1"), SendOptions{}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 2)
	a.Send(b.cfg.Self, []byte("2"), SendOptions{}, func(_ Receipt, err error) { done <- err })
	eventually(t, "written", func() bool { return a.Sessions()[0].Unanswered == 1 })
	down(la)
	a.Send(b.cfg.Self, []byte("3"), SendOptions{}, func(_ Receipt, err error) { done <- err })
	b2 := newManager(t, 2, nil)
	la, _ = connect(a, b2, 0)
	defer down(la)
	if e := errorOf(<-done); e.Kind != wire.KindDisconnected || e.Delivered != wire.DeliveredUnknown {
		t.Errorf("got %#v", e)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if m := receive(t, b2); string(m.Payload) != "3" || m.Sequence != 1 {
		t.Errorf("got %q, sequence %d", m.Payload, m.Sequence)
	}
	if e := <-resets; e.Type != SessionReset || e.Agent != b2.cfg.Self {
		t.Errorf("got %+v", e)
	}
}

// Sends that asked for it fail when the peer is disconnected; others wait.
func TestDisconnected(t *testing.T) {
	a, b := newManager(t, 1, nil), newManager(t, 2, nil)
	fast, slow := make(chan error, 1), make(chan error, 1)
	a.Send(b.cfg.Self, nil, SendOptions{OnDisconnectFail: true}, func(_ Receipt, err error) { fast <- err })
	a.Send(b.cfg.Self, nil, SendOptions{}, func(_ Receipt, err error) { slow <- err })
	a.Disconnected(b.cfg.Self)
	if e := errorOf(<-fast); e.Kind != wire.KindDisconnected || e.Delivered != wire.DeliveredNo {
		t.Errorf("got %#v", e)
	}
	la, _ := connect(a, b, 0)
	defer down(la)
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

// A session that has had no link for its time is forgotten on both sides.
func TestSessionExpires(t *testing.T) {
	a, b, la := pair(t, func(c *Config) { c.SessionTTL = 20 * time.Millisecond })
	if _, err := a.SendWait(testContext(t), b.cfg.Self, nil, SendOptions{}); err != nil {
		t.Fatal(err)
	}
	down(la)
	eventually(t, "forgotten", func() bool { return a.Stats().Sessions == 0 && b.Stats().Sessions == 0 })
	la, _ = connect(a, b, 0)
	defer down(la)
	if r, err := a.SendWait(testContext(t), b.cfg.Self, nil, SendOptions{}); err != nil || r.Sequence != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Peers that hold room for bodies and send nothing lose it to those that wait.
func TestStalledBodyLosesItsRoom(t *testing.T) {
	change := func(c *Config) {
		c.Policy = func(identity.AgentID, identity.MachineID) (trust.Decision, bool, bool) {
			return trust.Accept, true, false
		}
		c.MaxBody, c.RoomAgent, c.RoomPeer = 1<<20, 2<<20, 2<<20
		c.BodyStall = 20 * time.Millisecond
	}
	b := newManager(t, 2, change)
	slow, quick := newManager(t, 1, change), newManager(t, 3, change)
	hold := make(chan struct{})
	ls, _ := connect(slow, b, 0)
	ls.hook = func(kind byte, s ReceiveStream) ReceiveStream {
		if kind == KindDirectBody {
			return heldStream{s, hold}
		}
		return s
	}
	for range 2 {
		if _, err := slow.Send(b.cfg.Self, make([]byte, 1<<20), SendOptions{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "room is taken", func() bool { return b.Stats().RoomBodies == 2<<20 })
	lq, _ := connect(quick, b, 0)
	sent := make(chan error, 1)
	go func() {
		_, err := quick.SendWait(testContext(t), b.cfg.Self, make([]byte, 1<<20), SendOptions{})
		sent <- err
	}()
	// The held streams end when their room is taken back, as far as the peer is concerned;
	// their readers are let go here, as a real stream would let them.
	eventually(t, "revoked", func() bool { return b.Stats().Revoked > 0 })
	close(hold)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	for range 3 {
		if m := receive(t, b); len(m.Payload) != 1<<20 {
			t.Errorf("got %d bytes", len(m.Payload))
		}
	}
	down(ls)
	down(lq)
}

// A peer that breaks the protocol loses its link; one too many streams does, too.
func TestProtocolErrors(t *testing.T) {
	for name, b := range map[string][]byte{
		"no OPEN":       appendData(nil, 0, 1, nil),
		"gap":           appendData(appendOpen(nil, openFrame{session: sessionID{1}}), 0, 2, nil),
		"unknown frame": wire.AppendFrame(nil, 99),
		"body too big":  appendOffer(appendOpen(nil, openFrame{session: sessionID{1}}), 0, 1, 17<<20),
		"frame too big": {0xff, 0xff, 0xff, 0x7f, 4},
		"lying ack":     appendAck(appendState(appendOpen(nil, openFrame{session: sessionID{1}}), sessionID{}, 0, 1, positions{accepted: 1}), positions{accepted: 9}),
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, 1, nil)
			l := &fuzzLink{memLink: memLink{agent: agentID(2)}, done: make(chan struct{})}
			m.LinkUp(l)
			m.HandleStream(l, KindDirect, fuzzStream{bytes.NewReader(b)})
			select {
			case <-l.done:
			default:
				t.Error("the link lives on")
			}
			if n := m.Stats().ProtocolErrors; n != 1 {
				t.Errorf("%d counted", n)
			}
			m.LinkDown(l, nil)
		})
	}
}

// The number of strangers with a session is bounded; contacts do not count.
func TestStrangers(t *testing.T) {
	b := newManager(t, 1, func(c *Config) {
		c.Strangers = 1
		c.Policy = func(id identity.AgentID, _ identity.MachineID) (trust.Decision, bool, bool) {
			return trust.DecisionUnknown, true, id != agentID(4)
		}
	})
	for n, want := range map[byte]wire.Kind{2: 0, 4: 0} {
		m := newManager(t, n, nil)
		la, _ := connect(m, b, 0)
		defer down(la)
		if _, err := m.SendWait(testContext(t), b.cfg.Self, nil, SendOptions{}); wire.KindOf(err) != want {
			t.Errorf("agent %d: %v", n, err)
		}
	}
	m := newManager(t, 3, nil)
	la, _ := connect(m, b, 0)
	defer down(la)
	if _, err := m.SendWait(testContext(t), b.cfg.Self, nil, SendOptions{Timeout: 30 * time.Millisecond}); wire.KindOf(err) != wire.KindTimeout {
		t.Errorf("one stranger too many: %v", err)
	}
	if s := b.Stats(); s.Strangers != 1 || s.Refused == 0 {
		t.Errorf("%+v", s)
	}
}
