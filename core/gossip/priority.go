package gossip

import "github.com/saorsa-labs/x0x-go/core/wire"

// Priority says which topics a node serves first. It is local: neighbours are
// not told, and every node has its own.
type Priority uint8

const (
	Normal Priority = iota // the default
	High                   // sent before all others, shed last
	Low                    // sent after all others, shed first
)

// A class is a priority in the order in which it is served.
const (
	classHigh = iota
	classNormal
	classLow
	classes
)

func (p Priority) class() int {
	switch p {
	case High:
		return classHigh
	case Low:
		return classLow
	}
	return classNormal
}

// maxPriorities bounds how many topics have a priority of their own.
const maxPriorities = 65536

// SetPriority says how this node serves a topic from now on: what it sends first
// to each neighbour, and what it drops last when the log is over MaxLogBytes.
// What is in the log already stays in its class. The order within a class stays
// in any case. Errors: KindInvalidArgument, KindLimit, KindClosed.
func (e *Engine) SetPriority(topic string, p Priority) error {
	const op = "set priority"
	if err := checkTopic(op, topic); err != nil {
		return err
	}
	if p > Low {
		return wire.Errorf(wire.KindInvalidArgument, op, "unknown priority %d", p)
	}
	full := false
	if !e.change(func(r *router) { full = !r.setPriority(r.topicID(topic), p) }) {
		return errClosed(op)
	}
	if full {
		return wire.Errorf(wire.KindLimit, op, "%d topics have priorities of their own", maxPriorities)
	}
	return nil
}

func (r *router) setPriority(id TopicID, p Priority) bool {
	switch {
	case p == Normal:
		delete(r.priorities, id)
	case len(r.priorities) >= maxPriorities && r.priorities[id] == Normal:
		return false
	default:
		r.priorities[id] = p
	}
	if t := r.topics[id]; t != nil {
		t.class = p.class()
	}
	return true
}

// shed makes the log fit its limit. What goes first: topics of low priority,
// then normal, then high; within a class the oldest, so what is only retained
// goes before what a neighbour still waits for.
func (r *router) shed() {
	for c := classes - 1; c >= 0 && r.log.bytes > r.cfg.MaxLogBytes; c-- {
		for r.log.bytes > r.cfg.MaxLogBytes && r.log.lanes[c].head != nil {
			oldest := r.log.lanes[c].head
			r.stats.Shed++
			if oldest.retained {
				r.unretain(oldest)
			}
			if !oldest.removed {
				r.remove(oldest)
			}
		}
	}
}
