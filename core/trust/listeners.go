package trust

import (
	"slices"
	"sync"
)

// listeners are functions that want to hear of changes.
type listeners[T any] struct {
	mu   sync.Mutex
	list []*func(T) // replaced, never changed in place
}

func (l *listeners[T]) add(fn func(T)) (cancel func()) {
	entry := &fn
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(slices.Clone(l.list), entry)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.list = slices.DeleteFunc(slices.Clone(l.list), func(other *func(T)) bool { return other == entry })
	}
}

// tell calls all of them, without a lock of ours held.
func (l *listeners[T]) tell(v T) {
	l.mu.Lock()
	list := l.list
	l.mu.Unlock()
	for _, fn := range list {
		(*fn)(v)
	}
}
