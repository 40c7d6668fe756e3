// Package task starts goroutines that have an owner.
//
// A [Group] starts goroutines, recovers what panics in them and waits for them
// to end; every goroutine of the core outside tests is started by one. Begin
// with [New] and [Group.Go]; the owner ends with [Group.Wait].
//
// A Group does not stop anything by itself: the functions it runs must watch a
// context, a closed connection or a closed queue of their owner. A Go fatal
// error (concurrent map write, out of memory) cannot be recovered and still
// ends the process.
//
// All methods may be called from any goroutine, but [Group.Wait] must not be
// called from a goroutine of the same group, which would wait for itself.
package task

import (
	"runtime/debug"
	"sync"
)

// Group owns goroutines. The zero value is ready; it must not be copied after
// first use.
type Group struct {
	// OnPanic receives the name of a function that panicked, the value of the
	// panic and the stack, once per panic, on the goroutine that panicked and
	// before Wait returns. It must not panic itself. If nil, the panic goes on
	// and ends the process, which is what a test wants. Set it before the first Go.
	OnPanic func(name string, value any, stack []byte)

	mu      sync.Mutex // guards closed, and orders Add before the Wait of running
	closed  bool
	running sync.WaitGroup
}

// New returns a Group that reports panics to onPanic, which may be nil.
func New(onPanic func(name string, value any, stack []byte)) *Group {
	return &Group{OnPanic: onPanic}
}

// Go runs fn in a new goroutine. The name says what it does ("accept loop") and
// is what OnPanic gets. Go reports false, and fn never runs, once Close or Wait
// has been called.
func (g *Group) Go(name string, fn func()) bool {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return false
	}
	g.running.Add(1)
	g.mu.Unlock()

	go g.run(name, fn)
	return true
}

func (g *Group) run(name string, fn func()) {
	// Deferred first, so that Wait returns after OnPanic has, and also when fn
	// ends by runtime.Goexit.
	defer g.running.Done()
	if g.OnPanic != nil {
		defer func() {
			if v := recover(); v != nil {
				g.OnPanic(name, v, debug.Stack())
			}
		}()
	}
	fn()
}

// Close lets no new goroutine start. It does not wait and may be called more
// than once.
func (g *Group) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
}

// Wait is Close, then a wait until every function that was started has returned.
// It may be called more than once and from several goroutines.
func (g *Group) Wait() {
	g.Close()
	g.running.Wait()
}
