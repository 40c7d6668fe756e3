package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/saorsa-labs/x0x-go/core/internal/netns"
	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// swarmReport is what the child that runs a swarm prints at its end.
type swarmReport struct {
	Neighbors          int     // of the agents, median
	P50, P99           float64 // µs from publish until the last agent has it
	Alone, Burst       float64 // bytes on the interface per delivered payload byte, 1 KiB
	AloneSmall         float64 // the same for 100 bytes
	BurstCopies        float64 // payload copies of the burst, by envelope, for each delivery
	Copies             float64 // envelopes received per envelope delivered, 1 for none too many
	Rate               float64 // msg/s of the burst until all have it
	LinkAlone          float64 // UDP payload bytes that one message of 64 bytes takes on one link, forward
	LinkAloneBoth      float64 // and with the way back
	LinkBurstPerMesage float64 // overhead of each of 1,000 messages of 64 bytes sent at once, forward
}

// gossipSwarm is 32 agents in one process, in a network namespace of its own.
func gossipSwarm(b *bench) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "child", "swarm", "-network", fmt.Sprint("bench-swarm-", os.Getpid()))
	if cmd.SysProcAttr, err = netns.Own(); err != nil {
		return err
	}
	p, err := start(cmd)
	if err != nil {
		return err
	}
	defer p.Close()
	var r swarmReport
	if err := p.line(&r); err != nil {
		return err
	}
	what := fmt.Sprintf("32 agents in one process, %d neighbours each", r.Neighbors)
	b.add(row{Row: "gossip_32nodes_p50", Lang: "go", Value: r.P50, Unit: "us", Note: what + "; publish until the last has it; target 8,000"})
	b.add(row{Row: "gossip_32nodes_p99", Lang: "go", Value: r.P99, Unit: "us", Note: "target 20,000"})
	b.add(row{Row: "gossip_32nodes_burst_rate", Lang: "go", Value: r.Rate, Unit: "msg/s", Note: "1,000 messages of 1 KiB at once, until all have all"})
	b.add(row{Row: "gossip_32nodes_copies", Lang: "go", Value: r.Copies, Unit: "copies", Ratio: r.Copies, Note: "envelopes received per envelope delivered"}.most(1.3))
	b.add(row{Row: "gossip_bytes_1k_alone", Lang: "go", Value: r.Alone, Unit: "B/B", Ratio: r.Alone, Note: "bytes on the interface per delivered byte"}.most(5.2))
	b.add(row{Row: "gossip_bytes_1k_burst", Lang: "go", Value: r.Burst, Unit: "B/B", Ratio: r.Burst, Note: fmt.Sprintf("%.2f copies for each delivery", r.BurstCopies)}.most(2.6))
	b.add(row{Row: "gossip_bytes_100_alone", Lang: "go", Value: r.AloneSmall, Unit: "B/B", Note: "one signature has 3,309 bytes"})
	b.add(row{Row: "gossip_link_64_alone", Lang: "go", Value: r.LinkAlone, Unit: "B", Ratio: r.LinkAlone / 3600, RawWhat: "3,600 bytes", Raw: 3600, Note: fmt.Sprintf("UDP payload forward; with the way back %.0f", r.LinkAloneBoth)}.most(1))
	b.add(row{Row: "gossip_link_64_burst", Lang: "go", Value: r.LinkBurstPerMesage, Unit: "B", Ratio: r.LinkBurstPerMesage / 100, RawWhat: "100 bytes", Raw: 100, Note: "overhead of each of 1,000 messages at once, forward"}.most(1))
	return nil
}

// swarm is the child.
func swarm(args []string) error {
	network, _, _, err := where(args)
	if err != nil {
		return err
	}
	if err := netns.Loopback(netip.Prefix{}); err != nil {
		return err
	}
	say(hello{})
	ctx, cancel := context.WithTimeout(untilInputEnds(), 3*time.Minute)
	defer cancel()
	var r swarmReport
	if err := onOneLink(ctx, network+"-pair", &r); err != nil {
		return err
	}
	if err := among(ctx, network, 32, &r); err != nil {
		return err
	}
	return say(r)
}

// members opens agents that subscribe to one topic and know each other.
func members(ctx context.Context, network string, n int) (agents []*x0x.Agent, subs []*x0x.Subscription, end func(), err error) {
	dir, err := os.MkdirTemp("", "x0x-bench-")
	if err != nil {
		return nil, nil, nil, err
	}
	end = func() {
		for _, a := range agents {
			a.Close(context.Background())
		}
		os.RemoveAll(dir)
	}
	for range n {
		a, err := openAgent(network, dir)
		if err != nil {
			return agents, subs, end, err
		}
		agents = append(agents, a)
		sub, err := a.Subscribe("bench", x0x.SubscribeOptions{MaxMessages: 1 << 20, MaxBytes: 1 << 30})
		if err != nil {
			return agents, subs, end, err
		}
		subs = append(subs, sub)
	}
	return agents, subs, end, nil
}

// everybody waits until each subscription has got n messages.
func everybody(ctx context.Context, subs []*x0x.Subscription, n int) error {
	for i, sub := range subs {
		for j := range n {
			if _, err := sub.Recv(ctx); err != nil {
				return fmt.Errorf("agent %d has %d of %d: %w", i, j, n, err)
			}
		}
	}
	return nil
}

// atOnce publishes n messages as fast as the queue takes them.
func atOnce(a *x0x.Agent, n, size int) error {
	for i := range n {
		payload := make([]byte, size)
		binary.BigEndian.PutUint64(payload, uint64(i))
		for {
			_, err := a.PublishAsync("bench", payload, 0, func(error) {})
			if err == nil {
				break
			}
			if x0x.KindOf(err) != x0x.ErrBusy.Kind {
				return err
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	return nil
}

const quiet = 300 * time.Millisecond // until announcements and acknowledgements are over

func onOneLink(ctx context.Context, network string, r *swarmReport) error {
	agents, subs, end, err := members(ctx, network, 2)
	if err != nil {
		return err
	}
	defer end()
	from := agents[0]
	bytes := func() (sent, received float64) {
		s := from.Stats()
		return float64(s["transport.bytes_sent"]), float64(s["transport.bytes_received"])
	}
	const alone, burst, size = 50, 1000, 64
	one := func() error {
		if err := from.Publish(ctx, "bench", make([]byte, size)); err != nil {
			return err
		}
		if err := everybody(ctx, subs, 1); err != nil {
			return err
		}
		time.Sleep(quiet / 10)
		return nil
	}
	for range 10 { // keys, interest, windows
		if err := one(); err != nil {
			return err
		}
	}
	time.Sleep(quiet)
	sent, received := bytes()
	for range alone {
		if err := one(); err != nil {
			return err
		}
	}
	s, v := bytes()
	r.LinkAlone, r.LinkAloneBoth = (s-sent)/alone, (s-sent+v-received)/alone
	sent, _ = bytes()
	if err := atOnce(from, burst, size); err != nil {
		return err
	}
	if err := everybody(ctx, subs, burst); err != nil {
		return err
	}
	time.Sleep(quiet)
	s, _ = bytes()
	r.LinkBurstPerMesage = (s-sent)/burst - size
	return nil
}

func among(ctx context.Context, network string, n int, r *swarmReport) error {
	agents, subs, end, err := members(ctx, network, n)
	if err != nil {
		return err
	}
	defer end()
	for i := range 60 { // the tree settles while messages come from all sides
		if err := agents[i%n].Publish(ctx, "bench", make([]byte, 100)); err != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := everybody(ctx, subs, 60); err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // overlay and digests
	var neighbors []int
	for _, a := range agents {
		neighbors = append(neighbors, len(a.Neighbors()))
	}
	slices.Sort(neighbors)
	r.Neighbors = neighbors[len(neighbors)/2]

	copies := func() (received, duplicates float64) {
		for _, a := range agents {
			s := a.GossipStats()
			received += float64(s.Received)
			duplicates += float64(s.Duplicates)
		}
		return
	}
	received, duplicates := copies()
	// alone returns interface bytes per delivered byte, and how long each took to reach all.
	alone := func(count, size int) (perByte float64, took []float64, err error) {
		before, err := interfaceBytes()
		if err != nil {
			return 0, nil, err
		}
		for i := range count {
			start := time.Now()
			if err := agents[i%n].Publish(ctx, "bench", make([]byte, size)); err != nil {
				return 0, nil, err
			}
			if err := everybody(ctx, subs, 1); err != nil {
				return 0, nil, err
			}
			took = append(took, float64(time.Since(start).Microseconds()))
			time.Sleep(quiet / 3)
		}
		after, err := interfaceBytes()
		return float64(after-before) / float64(count*size*(n-1)), took, err
	}
	small, _, err := alone(100, 100)
	if err != nil {
		return err
	}
	perByte, took, err := alone(100, 1024)
	if err != nil {
		return err
	}
	v, d := copies()
	r.Copies = 1 + (d-duplicates)/(v-received)
	r.Alone, r.AloneSmall = perByte, small
	slices.Sort(took)
	r.P50, r.P99 = took[len(took)/2], took[len(took)*99/100]

	const burst = 1000
	envelopes := func() (fresh, duplicates float64) {
		for _, a := range agents {
			s := a.GossipStats()
			fresh += float64(s.Retained) + float64(s.Expired)
			duplicates += float64(s.Duplicates)
		}
		return
	}
	fresh, again := envelopes()
	before, err := interfaceBytes()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := atOnce(agents[0], burst, 1024); err != nil {
		return err
	}
	if err := everybody(ctx, subs, burst); err != nil {
		return err
	}
	r.Rate = burst / time.Since(start).Seconds()
	time.Sleep(quiet)
	after, err := interfaceBytes()
	f, a := envelopes()
	r.BurstCopies = 1 + (a-again)/(f-fresh)
	r.Burst = float64(after-before) / (burst * 1024 * float64(n-1))
	return err
}
