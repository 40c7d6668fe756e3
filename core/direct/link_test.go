package direct

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
)

var errCut = errors.New("link cut")

// memPipe is one direction of a stream in memory. It buffers up to limit bytes.
type memPipe struct {
	mu       sync.Mutex
	cond     *sync.Cond
	buf      []byte
	limit    int
	eof      bool
	err      error
	deadline time.Time
	budget   *atomic.Int64 // bytes until the link is cut; nil = never
	cut      func()
}

func newPipe(limit int) *memPipe {
	p := &memPipe{limit: limit}
	p.cond = sync.NewCond(&p.mu)
	return p
}

func (p *memPipe) fail(err error) {
	p.mu.Lock()
	if p.err == nil {
		p.err = err
	}
	p.cond.Broadcast()
	p.mu.Unlock()
}

// spend takes n bytes of the link's budget and returns how many are left to write.
func (p *memPipe) spend(n int) (allowed int, last bool) {
	if p.budget == nil {
		return n, false
	}
	left := p.budget.Add(-int64(n))
	if left > 0 {
		return n, false
	}
	return max(0, n+int(left)), true
}

func (p *memPipe) write(b []byte, block bool) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !block && p.err == nil && len(p.buf)+len(b) > p.limit {
		return 0, errors.New("would block")
	}
	written := 0
	for len(b) > 0 {
		for p.err == nil && len(p.buf) >= p.limit {
			p.cond.Wait()
		}
		if p.err != nil {
			return written, p.err
		}
		n, last := p.spend(min(len(b), p.limit-len(p.buf)))
		p.buf = append(p.buf, b[:n]...)
		b = b[n:]
		written += n
		p.cond.Broadcast()
		if last {
			p.mu.Unlock()
			p.cut()
			p.mu.Lock()
		}
	}
	return written, p.err
}

func (p *memPipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case len(p.buf) > 0 && p.err == nil:
			n := copy(b, p.buf)
			p.buf = p.buf[n:]
			if len(p.buf) == 0 {
				p.buf = nil
			}
			p.cond.Broadcast()
			return n, nil
		case p.err != nil:
			return 0, p.err
		case p.eof:
			return 0, io.EOF
		case !p.deadline.IsZero() && !time.Now().Before(p.deadline):
			return 0, os.ErrDeadlineExceeded
		}
		p.cond.Wait()
	}
}

type memSend struct{ *memPipe }

func (s memSend) Write(b []byte) (int, error)        { return s.write(b, true) }
func (s memSend) TryWriteAll(b []byte) error         { _, err := s.write(b, false); return err }
func (s memSend) Cancel(uint64)                      { s.fail(errors.New("reset")) }
func (s memSend) SetWriteDeadline(t time.Time) error { return nil }
func (s memSend) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eof = true
	s.cond.Broadcast()
	return s.err
}

type memReceive struct{ *memPipe }

func (s memReceive) Cancel(uint64) { s.fail(errors.New("stopped")) }
func (s memReceive) SetReadDeadline(t time.Time) error {
	return nil
}

// memLink is one side of a link in memory.
type memLink struct {
	id      [16]byte
	agent   identity.AgentID
	machine identity.MachineID
	other   *memLink
	to      *Manager // who handles the other side's streams
	limit   int
	state   *memState
	watches atomic.Int32
	failed  atomic.Pointer[string]
	hook    func(kind byte, s ReceiveStream) ReceiveStream
}

// memState is what both sides of a link share.
type memState struct {
	mu      sync.Mutex
	done    chan struct{}
	closed  bool
	pipes   []*memPipe
	readers sync.WaitGroup
	up      chan struct{} // closed when both sides know the link
	budget  *atomic.Int64
}

func (l *memLink) Agent() identity.AgentID     { return l.agent }
func (l *memLink) Machine() identity.MachineID { return l.machine }
func (l *memLink) ID() [16]byte                { return l.id }
func (l *memLink) RTT() time.Duration          { return time.Millisecond }
func (l *memLink) Path() string                { return "direct" }
func (l *memLink) Done() <-chan struct{}       { return l.state.done }
func (l *memLink) Fail(reason string)          { l.failed.Store(&reason); l.cut() }
func (l *memLink) Watch() func() {
	l.watches.Add(1)
	return func() { l.watches.Add(-1) }
}

func (l *memLink) cut() {
	s := l.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	close(s.done)
	for _, p := range s.pipes {
		p.fail(errCut)
	}
}

func (l *memLink) OpenUni(ctx context.Context, kind byte) (SendStream, error) {
	s := l.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errCut
	}
	p := newPipe(l.limit)
	p.budget, p.cut = s.budget, l.cut
	s.pipes = append(s.pipes, p)
	var r ReceiveStream = memReceive{p}
	if l.hook != nil {
		r = l.hook(kind, r)
	}
	s.readers.Add(1)
	go func() {
		defer s.readers.Done()
		<-s.up
		l.other.to.HandleStream(l.other, kind, r)
	}()
	return memSend{p}, nil
}

// connect links two managers. Each side's link is that to the other's agent.
func connect(a, b *Manager, budget int64) (la, lb *memLink) {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], linkCount.Add(1))
	st := &memState{done: make(chan struct{}), up: make(chan struct{})}
	if budget > 0 {
		st.budget = new(atomic.Int64)
		st.budget.Store(budget)
	}
	la = &memLink{id: id, agent: b.cfg.Self, machine: b.cfg.Machine, to: a, limit: 256 << 10, state: st}
	lb = &memLink{id: id, agent: a.cfg.Self, machine: a.cfg.Machine, to: b, limit: 256 << 10, state: st}
	la.other, lb.other = lb, la
	a.LinkUp(la)
	b.LinkUp(lb)
	close(st.up)
	return la, lb
}

var linkCount atomic.Uint64

// down cuts a link and tells both managers.
func down(l *memLink) {
	l.cut()
	l.state.readers.Wait()
	l.to.LinkDown(l, errCut)
	l.other.to.LinkDown(l.other, errCut)
}

func agentID(n byte) (id identity.AgentID) {
	id[0], id[31] = n, n
	return id
}

func machineID(n byte) (id identity.MachineID) {
	id[0], id[31] = n, 0xff
	return id
}

func newManager(t testing.TB, n byte, change func(*Config)) *Manager {
	cfg := Config{Self: agentID(n), Machine: machineID(n)}
	if change != nil {
		change(&cfg)
	}
	m := New(cfg)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		m.Close(ctx)
	})
	return m
}

// pair returns two linked managers, 1 and 2.
func pair(t testing.TB, change func(*Config)) (a, b *Manager, la *memLink) {
	a, b = newManager(t, 1, change), newManager(t, 2, change)
	la, _ = connect(a, b, 0)
	t.Cleanup(func() { la.cut(); la.state.readers.Wait() })
	return a, b, la
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func receive(t testing.TB, m *Manager) Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	e, err := m.Inbox().Pop(ctx)
	if err != nil {
		t.Fatalf("pop: %v\n%s", err, dump(m))
	}
	return e.Item
}
