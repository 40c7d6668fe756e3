package bridge

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/handle"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Random calls from several goroutines over random handles, stale and wrong ones among
// them. Whatever happens: every operation that was accepted completes once, every handle
// that was opened ends, nothing comes after a closing record, and nothing races.
func TestSpin(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	b := newBench(t)
	s := &spinner{bench: b, handles: []uint64{0, 1, 1<<64 - 1, b.queue.handle}, owed: map[uint64]bool{}, failed: map[uint64]error{}, closed: map[uint64]bool{}}
	stop := make(chan struct{})
	var drainer, callers sync.WaitGroup
	drainer.Go(func() {
		for {
			if _, err := b.queue.Wait(time.Millisecond); err != nil {
				t.Error(err)
				return
			}
			s.drain(b.queue)
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for worker := range 4 {
		r := rand.New(rand.NewPCG(seed, uint64(worker)))
		callers.Go(func() {
			for i := range 3000 {
				s.step(r, uint64(worker)<<32|uint64(i))
			}
		})
	}
	callers.Wait()
	for _, a := range b.library.agents.All() {
		_, err := b.library.CloseAgent(a.handle, time.Millisecond)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		b.library.mu.Lock()
		defer b.library.mu.Unlock()
		return len(b.library.closing) == 0
	}, soon, time.Millisecond)
	close(stop)
	drainer.Wait()
	for s.drain(b.queue) {
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Empty(t, s.owed, "operations that never completed")
	require.Zero(t, b.library.Live(abi.KindOperation))
	require.Zero(t, b.library.Live(abi.KindAgent))
	require.Zero(t, b.library.Live(abi.KindSubscription))
	require.Zero(t, b.library.Live(abi.KindInbox))
	require.Greater(t, s.completed, 100)
	t.Logf("%d operations completed", s.completed)
}

type spinner struct {
	*bench
	reading   sync.Mutex
	mu        sync.Mutex
	handles   []uint64
	ids       []AgentID
	owed      map[uint64]bool  // tokens
	closed    map[uint64]bool  // handles whose closing record came
	failed    map[uint64]error // tokens whose call failed
	completed int
}

// pick returns a handle: usually a late one of the kind that fits, else any.
func (s *spinner) pick(r *rand.Rand, kind int) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.IntN(8) > 0 {
		for i, tries := len(s.handles)-1, 0; i >= 0 && tries < 200; i, tries = i-1, tries+1 {
			if handle.KindOf(s.handles[i]) == kind && r.IntN(3) == 0 {
				return s.handles[i]
			}
		}
	}
	return s.handles[r.IntN(len(s.handles))]
}

func (s *spinner) keep(h uint64, err error) {
	if err == nil {
		s.mu.Lock()
		s.handles = append(s.handles, h)
		s.mu.Unlock()
	}
}

// owe notes a token before the call, and takes it back if the call failed.
func (s *spinner) owe(token uint64, call func(op *uint64) error, withHandle bool) {
	s.mu.Lock()
	s.owed[token] = true
	s.mu.Unlock()
	var op uint64
	err := error(nil)
	if withHandle {
		err = call(&op)
		s.keep(op, err)
	} else {
		err = call(nil)
	}
	if err != nil {
		s.mu.Lock()
		if !s.owed[token] {
			s.t.Errorf("token %x completed although its call failed: %v", token, err)
		}
		delete(s.owed, token)
		s.failed[token] = err
		s.mu.Unlock()
	}
}

func (s *spinner) step(r *rand.Rand, token uint64) {
	l := s.library
	agent := func() uint64 { return s.pick(r, abi.KindAgent) }
	anything := func() uint64 { return s.pick(r, 1+r.IntN(5)) }
	topic := []byte(fmt.Sprint("t", r.IntN(3)))
	payload := make([]byte, r.IntN(300))
	switch r.IntN(20) {
	case 0:
		a, err := l.OpenAgent(Options{MaxOperations: 1 + r.IntN(50)}, s.pick(r, abi.KindQueue))
		if id, err := l.ID(a); err == nil {
			s.mu.Lock()
			s.ids = append(s.ids, id)
			s.mu.Unlock()
		}
		s.keep(a, err)
	case 1:
		s.keep(l.Subscribe(agent(), string(topic), SubscribeOptions{MaxMessages: 1 + r.IntN(20)}, r.Uint32N(3)))
	case 2:
		s.keep(l.OpenInbox(agent(), r.Uint32N(2)))
	case 3:
		if h := s.pick(r, 3+r.IntN(3)); h != s.queue.handle && (handle.KindOf(h) != abi.KindAgent || r.IntN(4) == 0) {
			_ = l.Close(h)
		}
	case 4:
		if r.IntN(10) == 0 {
			_, _ = l.CloseAgentWait(agent(), time.Duration(r.IntN(3))*time.Millisecond)
		}
	case 5, 6, 7, 8:
		s.owe(token, func(op *uint64) error { return l.Publish(agent(), topic, payload, 0, token, op) }, r.IntN(2) == 0)
	case 9, 10, 11:
		s.mu.Lock()
		to := AgentID{}
		if len(s.ids) > 0 {
			to = s.ids[r.IntN(len(s.ids))]
		}
		s.mu.Unlock()
		s.owe(token, func(op *uint64) error {
			return l.Send(agent(), to, payload, SendOptions{Timeout: time.Duration(1+r.IntN(50)) * time.Millisecond}, token, op)
		}, r.IntN(2) == 0)
	case 12, 13:
		s.owe(token, func(op *uint64) error {
			return l.Call(agent(), 1+r.Uint32N(6), args(s.t, make([]byte, 32), 1+r.IntN(20)), token, op)
		}, r.IntN(2) == 0)
	case 14:
		_ = l.CancelOperation(s.pick(r, abi.KindOperation))
	case 15:
		_ = l.AddCredit(s.pick(r, abi.KindSubscription+r.IntN(2)), r.Uint32N(10))
	case 16:
		_, _ = l.CallNow(anything(), 101+r.Uint32N(12), nil, 1<<16)
	case 17:
		if q, err := l.Queue(s.pick(r, abi.KindQueue)); err == nil {
			_ = q.SetWake([]func() bool{nil, func() bool { return true }, func() bool { return false }}[r.IntN(3)])
			_, _ = q.FD()
		}
	case 18:
		if q, err := l.Queue(s.pick(r, abi.KindQueue)); err == nil {
			s.drain(q)
			_, _ = q.Wait(0)
		}
	case 19:
		if a, err := l.agents.Get(agent()); err == nil && r.IntN(20) == 0 {
			a.core.(*fakeAgent).explode.Store(true)
		}
	}
}

// drain reports whether there was anything.
func (s *spinner) drain(q *Queue) bool {
	if r := &s.reading; r.TryLock() { // what was drained first must be looked at first
		defer r.Unlock()
	} else {
		_, _ = q.Drain(nil)
		return true
	}
	buf := make([]byte, 4096)
	d, err := q.Drain(buf)
	if err != nil {
		if wire.KindOf(err) != wire.KindBusy {
			s.t.Error(err)
		}
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rec := range parseRecords(s.t, buf[:d.Bytes]) {
		if rec.Kind == abi.RCompletion {
			if !s.owed[rec.ID] {
				s.t.Errorf("token %x completed twice, or was never accepted (%v): %v", rec.ID, s.failed[rec.ID], rec.meta)
			}
			delete(s.owed, rec.ID)
			s.completed++
			continue
		}
		if s.closed[rec.ID] {
			s.t.Errorf("record of kind %d after the closing record of %x", rec.Kind, rec.ID)
		}
		if rec.Kind == abi.RClosed {
			s.closed[rec.ID] = true
		}
	}
	return d.Records > 0
}
