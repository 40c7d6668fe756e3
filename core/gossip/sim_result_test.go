package gossip

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/membership"
)

// snapshot is what has been counted so far, by all nodes together.
type snapshot struct {
	at                   time.Time
	wire                 uint64
	copies, reached, ups uint64
	bytes                [256]uint64
	router               Stats
	members              membership.Stats
}

func (w *swarm) snapshot() snapshot {
	s := snapshot{
		at: w.net.Now(), wire: w.net.Stats().Total.Wire, copies: w.copies, reached: w.reached, ups: w.ups, bytes: w.bytes,
	}
	for _, n := range w.nodes {
		m := n.state.Stats()
		s.members.Suspected += m.Suspected
		s.members.Refuted += m.Refuted
		s.members.Evicted += m.Evicted
		s.members.NewsSent += m.NewsSent
		s.router.Pruned += n.stats.Pruned
		s.router.GraftsSent += n.stats.GraftsSent
		s.router.IWantSent += n.stats.IWantSent
		s.router.Repaired += n.stats.Repaired
		s.router.OptimisedLinks += n.stats.OptimisedLinks
		s.router.GapsGivenUp += n.stats.GapsGivenUp
		s.router.BadFrames += n.stats.BadFrames
	}
	return s
}

// simResult is what a run has measured.
type simResult struct {
	Scenario    string `json:"scenario"`
	Nodes       int    `json:"nodes"`
	Seed        uint64 `json:"seed"`
	Passed      bool   `json:"passed"`
	Survivors   int    `json:"survivors"`
	Subscribers int    `json:"subscribers"` // of them
	Messages    int    `json:"messages"`    // measured
	Lost        int    `json:"lost"`        // of them, that no survivor holds
	Deliveries  uint64 `json:"deliveries"`

	// Milliseconds from publishing to one delivery, and to the last of all; and
	// the longest that anybody waited for a message, from when it was published,
	// subscribed to, and nothing happened to the network any more.
	DeliveryP50 float64 `json:"delivery_ms_p50"`
	DeliveryP99 float64 `json:"delivery_ms_p99"`
	EveryoneP50 float64 `json:"everyone_ms_p50"`
	EveryoneP99 float64 `json:"everyone_ms_p99"`
	Recovery    float64 `json:"recovery_ms"`

	Copies       float64 `json:"copies_per_delivery"`
	BytesPerByte float64 `json:"bytes_per_delivered_byte"`   // on the interface, in all
	OwnPerByte   float64 `json:"topic_per_delivered_byte"`   // of these, what messages add to the traffic at rest
	Idle         float64 `json:"idle_bytes_per_node_second"` // on the interface, at rest
	HopsP50      int     `json:"hops_p50"`
	HopsMost     int     `json:"hops_most"`

	DegreeLeast  int `json:"degree_least"`
	DegreeMedian int `json:"degree_median"`
	DegreeMost   int `json:"degree_most"`
	OneSided     int `json:"one_sided_links"`
	Parts        int `json:"parts"`

	Pruned    uint64 `json:"pruned"`
	Grafts    uint64 `json:"grafts"`
	IWants    uint64 `json:"iwants"`
	Repaired  uint64 `json:"repaired"`
	Optimised uint64 `json:"optimised"`
	GivenUp   uint64 `json:"gaps_given_up"`

	// Bytes of frames: what the topic's messages and its other frames take for
	// each delivered byte, and the membership for each node and second.
	Payload    float64 `json:"payload_per_delivered_byte"`
	Control    float64 `json:"control_per_delivered_byte"`
	Membership float64 `json:"membership_bytes_per_node_second"`
	Suspected  uint64  `json:"suspected"`
	Refuted    uint64  `json:"refuted"`
	Evicted    uint64  `json:"evicted"`
	News       uint64  `json:"news"`
	LinksUp    uint64  `json:"links_up"` // neighbours that became so, at either end

	Virtual float64 `json:"virtual_s"`
	Wall    float64 `json:"wall_s"`
	Events  uint64  `json:"events"`
	HeapMB  float64 `json:"heap_mb"`
	Trace   string  `json:"trace"`
}

// measure fills in the result.
func (w *swarm) measure() {
	r, before, after := &w.trial.result, &w.trial.before, w.snapshot()
	r.Scenario, r.Seed = w.scenario, w.seed
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

	var delays, everyone []time.Duration
	var hops []uint8
	for _, m := range w.messages[w.trial.first:] {
		r.Messages++
		if !w.held(m) {
			r.Lost++
			continue
		}
		delays = append(delays, m.delays...)
		everyone = append(everyone, m.last)
		hops = append(hops, m.hops...)
	}
	var waited time.Duration
	for _, n := range w.alive() {
		r.Survivors++
		if n.subscribes(swarmTopic) {
			r.Subscribers++
			waited = max(waited, w.waited(n))
		}
	}
	r.Recovery = ms(waited)
	if waited > recovery {
		w.t.Errorf("%v: somebody waited %v for a message", w, waited)
	}
	r.DeliveryP50, r.DeliveryP99 = ms(quantile(delays, 0.5)), ms(quantile(delays, 0.99))
	r.EveryoneP50, r.EveryoneP99 = ms(quantile(everyone, 0.5)), ms(quantile(everyone, 0.99))
	r.HopsP50, r.HopsMost = int(quantile(hops, 0.5)), int(quantile(hops, 1))

	r.Deliveries = after.reached - before.reached
	bytes := float64(after.wire - before.wire)
	delivered := float64(r.Deliveries * swarmPayload)
	r.Copies = float64(after.copies-before.copies) / float64(r.Deliveries)
	r.BytesPerByte = bytes / delivered
	r.OwnPerByte = (bytes - w.trial.idle*after.at.Sub(before.at).Seconds()) / delivered
	r.Idle = w.trial.idle / float64(r.Nodes)

	r.DegreeLeast, r.DegreeMedian, r.DegreeMost = w.degrees()
	a, b := &after.router, &before.router
	r.Pruned, r.Grafts, r.IWants = a.Pruned-b.Pruned, a.GraftsSent-b.GraftsSent, a.IWantSent-b.IWantSent
	r.Repaired, r.Optimised, r.GivenUp = a.Repaired-b.Repaired, a.OptimisedLinks-b.OptimisedLinks, a.GapsGivenUp-b.GapsGivenUp

	var payload, control, members uint64
	for typ := range after.bytes {
		sent := after.bytes[typ] - before.bytes[typ]
		switch {
		case typ == int(frameEnvelope) || typ == int(frameRetained):
			payload += sent
		case typ < 0x20:
			control += sent
		default:
			members += sent
		}
	}
	r.Payload, r.Control = float64(payload)/delivered, float64(control)/delivered
	r.Membership = float64(members) / after.at.Sub(before.at).Seconds() / float64(r.Nodes)
	c, d := &after.members, &before.members
	r.Suspected, r.Refuted, r.Evicted, r.News = c.Suspected-d.Suspected, c.Refuted-d.Refuted, c.Evicted-d.Evicted, c.NewsSent-d.NewsSent
	r.LinksUp = after.ups - before.ups

	r.Virtual, r.Events = w.since().Seconds(), w.net.Stats().Events
	trace := w.net.Trace()
	r.Trace = fmt.Sprintf("%x", trace[:8])
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	r.HeapMB = float64(mem.HeapAlloc) / (1 << 20)
}

// waited is how long a node has waited for a message, at most, while nothing
// happened to the network.
func (w *swarm) waited(n *swarmNode) (most time.Duration) {
	from := n.subs[swarmTopic]
	if w.trial.calm.After(from) {
		from = w.trial.calm
	}
	for i, at := range n.got {
		if at > 0 && i >= w.trial.first {
			since := max(w.messages[i].sent.Sub(w.start), from.Sub(w.start))
			most = max(most, at-since)
		}
	}
	return most
}

// quantile sorts a list.
func quantile[T time.Duration | uint8](list []T, q float64) T {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[min(int(q*float64(len(list))), len(list)-1)]
}
