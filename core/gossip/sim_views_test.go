package gossip

import (
	"slices"
	"time"
)

// agree demands that the network is whole, and that no link is for longer than
// a handshake takes one that only one end knows of.
func (w *swarm) agree() {
	r := &w.trial.result
	w.run(5 * time.Second)
	disputed := w.oneSided()
	for range int(oneSidedFor / time.Second) {
		if len(disputed) == 0 {
			break
		}
		w.run(time.Second)
		now := w.oneSided()
		disputed = slices.DeleteFunc(disputed, func(l [2]int) bool { return !slices.Contains(now, l) })
	}
	r.OneSided = len(disputed)
	if r.OneSided > 0 {
		w.t.Errorf("%v: for %v node %d has held node %d to be its neighbour, which does not know of it, and so on, %d times",
			w, oneSidedFor, disputed[0][0], disputed[0][1], len(disputed))
	}
	if r.Parts = w.parts(); r.Parts > 1 {
		w.t.Errorf("%v: the network is in %d parts", w, r.Parts)
	}
}

// oneSidedFor is longer than an answer may take.
const oneSidedFor = 5 * time.Second

// views are the active views of the living.
func (w *swarm) views() [][]int {
	list := make([][]int, len(w.nodes))
	for i, n := range w.nodes {
		if !n.dead {
			for _, a := range n.state.ActiveView() {
				list[i] = append(list[i], w.index[a])
			}
		}
	}
	return list
}

// oneSided lists links that one end knows of and the other does not.
func (w *swarm) oneSided() (list [][2]int) {
	views := w.views()
	for i, view := range views {
		for _, o := range view {
			if !slices.Contains(views[o], i) {
				list = append(list, [2]int{i, o})
			}
		}
	}
	return list
}

// parts counts the parts of the network between which there is no link.
func (w *swarm) parts() (parts int) {
	views := w.views()
	seen := make([]bool, len(views))
	for i, n := range w.nodes {
		if n.dead || seen[i] {
			continue
		}
		parts++
		seen[i] = true
		for todo := []int{i}; len(todo) > 0; todo = todo[1:] {
			for _, o := range views[todo[0]] {
				if !seen[o] && slices.Contains(views[o], todo[0]) {
					seen[o] = true
					todo = append(todo, o)
				}
			}
		}
	}
	return parts
}

// degrees says in how many active views the living are.
func (w *swarm) degrees() (least, median, most int) {
	in := make([]int, len(w.nodes))
	for _, view := range w.views() {
		for _, o := range view {
			in[o]++
		}
	}
	var list []int
	for i, n := range w.nodes {
		if !n.dead {
			list = append(list, in[i])
		}
	}
	slices.Sort(list)
	return list[0], list[len(list)/2], list[len(list)-1]
}
