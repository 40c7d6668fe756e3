package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// gossipTwo is two agents and one topic. Reported only: nothing raw stands below it.
func gossipTwo(b *bench) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "x0x-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	network := "bench-gossip-" + strconv.Itoa(os.Getpid())
	from, err := openAgent(network, dir)
	if err != nil {
		return err
	}
	defer from.Close(ctx)
	to, err := openAgent(network, dir)
	if err != nil {
		return err
	}
	defer to.Close(ctx)
	const n = 50_000
	sub, err := to.Subscribe("bench", x0x.SubscribeOptions{MaxMessages: n, MaxBytes: 1 << 30})
	if err != nil {
		return err
	}
	payload := make([]byte, 100)
	deliver := func() (float64, error) {
		start := time.Now()
		if err := from.Publish(ctx, "bench", payload); err != nil {
			return 0, err
		}
		_, err := sub.Recv(ctx)
		return float64(time.Since(start).Microseconds()), err
	}
	if _, err := medianOf(50, deliver); err != nil { // until subscription and keys have spread
		return err
	}
	p50, err := medianOf(500, deliver)
	if err != nil {
		return err
	}
	b.add(row{Row: "gossip_2nodes_p50", Lang: "go", Value: p50, Unit: "us", Note: "publish to delivery, both agents in one process; target 600"})

	start := time.Now()
	go func() {
		for i := range n {
			binary.BigEndian.PutUint64(payload, uint64(i))
			for {
				_, err := from.PublishAsync("bench", append([]byte(nil), payload...), 0, func(error) {})
				if x0x.KindOf(err) != x0x.ErrBusy.Kind {
					break
				}
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	for i := range n {
		m, err := sub.Recv(ctx)
		if err != nil {
			return err
		}
		if got := binary.BigEndian.Uint64(m.Payload); got != uint64(i) {
			return fmt.Errorf("message %d came in place of %d", got, i)
		}
	}
	b.add(row{Row: "gossip_2nodes_rate", Lang: "go", Value: n / time.Since(start).Seconds(), Unit: "msg/s", Note: "100 B, signed, none lost, both agents in one process; target 50,000"})
	return nil
}
