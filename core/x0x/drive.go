package x0x

import (
	"context"
	"sync"
	"time"
)

// machine is a pure state machine of a room: inputs and time go in, actions come out.
type machine[A any] interface {
	Tick(now time.Time)
	NextTick() time.Time // zero: never
	Take() []A           // what to do now, in order
}

// driver runs a state machine: it gives it inputs and time, one at a time, and has what comes
// out carried out, in order.
//
// There are two locks. acting is held from an input until its actions are carried out, so that
// the actions of one input are not overtaken by those of the next; mu only while the state is
// used, so that actions may ask the state, and a question waits for no action. Actions may
// change other rooms, whose state may ask this one.
type driver[A any, S machine[A]] struct {
	carryOut func(A)
	wake     chan struct{} // capacity 1: the next tick may be earlier

	acting sync.Mutex
	mu     sync.Mutex // guards state
	state  S
}

func newDriver[A any, S machine[A]](state S, carryOut func(A)) driver[A, S] {
	return driver[A, S]{state: state, carryOut: carryOut, wake: make(chan struct{}, 1)}
}

// change lets f change the state, and carries out what follows.
func (d *driver[A, S]) change(f func(s S, now time.Time)) {
	d.acting.Lock()
	defer d.acting.Unlock()
	d.apply(f)
}

// apply is change for who holds acting.
func (d *driver[A, S]) apply(f func(s S, now time.Time)) {
	d.mu.Lock()
	f(d.state, time.Now())
	actions := d.state.Take()
	d.mu.Unlock()
	for _, a := range actions {
		d.carryOut(a)
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// ask lets f read the state.
func (d *driver[A, S]) ask(f func(s S)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d.state)
}

// run is the clock of the state, until ctx ends.
func (d *driver[A, S]) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-timer.C:
			d.change(func(s S, now time.Time) { s.Tick(now) })
		}
		var at time.Time
		d.ask(func(s S) { at = s.NextTick() })
		if at.IsZero() {
			timer.Stop()
			continue
		}
		timer.Reset(time.Until(at))
	}
}
