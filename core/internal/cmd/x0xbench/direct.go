package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// pair is an agent here, an echo agent in a child, and a raw server in another.
type pair struct {
	network, dir string
	agent        *x0x.Agent
	to           x0x.AgentID
	echo, raw    *process
}

func newPair() (*pair, error) {
	p := &pair{network: "bench-" + strconv.Itoa(os.Getpid())}
	var err error
	if p.dir, err = os.MkdirTemp("", "x0x-bench-"); err != nil {
		return nil, err
	}
	fail := func(err error) (*pair, error) { p.Close(); return nil, err }
	if p.raw, err = startChild("raw"); err != nil {
		return fail(err)
	}
	if p.echo, err = startChild("echo", "-network", p.network, "-runtime-dir", p.dir); err != nil {
		return fail(err)
	}
	if p.to, err = x0x.ParseAgentID(p.echo.hello.Agent); err != nil {
		return fail(err)
	}
	if p.agent, err = openAgent(p.network, p.dir); err != nil {
		return fail(err)
	}
	if _, err = p.agent.SendDirect(context.Background(), p.to, []byte("s"), x0x.SendOptions{}); err != nil {
		return fail(err)
	}
	return p, nil
}

func (p *pair) Close() {
	if p.agent != nil {
		p.agent.Close(context.Background())
	}
	for _, c := range []*process{p.echo, p.raw} {
		if c != nil {
			c.Close()
		}
	}
	os.RemoveAll(p.dir)
}

// directRTT is 64 bytes there and back.
func directRTT(b *bench) error {
	p, err := newPair()
	if err != nil {
		return err
	}
	defer p.Close()
	s, stop, err := rawClient(p.raw.hello.Addr, 'e')
	if err != nil {
		return err
	}
	defer stop()
	const n = 1500
	buf := make([]byte, 64)
	buf[0] = 'e'
	raw := func() (float64, error) {
		return perOp(n, func() error {
			if _, err := s.Write(buf); err != nil {
				return err
			}
			_, err := io.ReadFull(s, buf)
			return err
		})
	}
	ctx := context.Background()
	ours := func() (float64, error) {
		return perOp(n, func() error {
			if _, err := p.agent.SendAsync(p.to, buf, x0x.SendOptions{}, func(x0x.Receipt, error) {}); err != nil {
				return err
			}
			_, err := p.agent.RecvDirect(ctx)
			return err
		})
	}
	v, r, ratio, err := compare(2*b.rounds, raw, ours)
	if err != nil {
		return err
	}
	b.keep("raw_rtt_us", r)
	b.add(row{Row: "direct_rtt_64", Lang: "go", Value: v, Unit: "us", Raw: r, RawWhat: "quic-go stream", Ratio: ratio}.most(1.15))
	awaited, err := perOp(n, func() error {
		_, err := p.agent.SendDirect(ctx, p.to, buf[:1:1], x0x.SendOptions{})
		if err == nil {
			_, err = p.agent.RecvDirect(ctx)
		}
		return err
	})
	if err != nil {
		return err
	}
	b.add(row{Row: "direct_rtt_1_awaited", Lang: "go", Value: awaited, Unit: "us", Note: "the sender also waits for the acknowledgement before it receives"})
	return nil
}

// perOp returns microseconds per call.
func perOp(n int, op func() error) (float64, error) {
	start := time.Now()
	for range n {
		if err := op(); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(start).Microseconds()) / float64(n), nil
}

// directOneWay is 100-byte messages as fast as they go, acknowledged and in order.
func directOneWay(b *bench) error {
	p, err := newPair()
	if err != nil {
		return err
	}
	defer p.Close()
	s, stop, err := rawClient(p.raw.hello.Addr, 's')
	if err != nil {
		return err
	}
	defer stop()
	const n = 200_000
	payload := make([]byte, 100)
	payload[0] = 's'
	raw := func() (float64, error) {
		start := time.Now()
		w := bufio.NewWriterSize(s, 64<<10)
		head := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
		for range n {
			w.Write(head)
			if _, err := w.Write(payload); err != nil {
				return 0, err
			}
		}
		w.Write(make([]byte, 4))
		if err := w.Flush(); err != nil {
			return 0, err
		}
		_, err := io.ReadFull(s, head[:1])
		return n / time.Since(start).Seconds(), err
	}
	ctx := context.Background()
	ours := func() (float64, error) {
		start := time.Now()
		if err := pour(ctx, p.agent, p.to, n, payload); err != nil {
			return 0, err
		}
		rate := n / time.Since(start).Seconds()
		if _, err := p.agent.SendDirect(ctx, p.to, []byte("f"), x0x.SendOptions{}); err != nil {
			return 0, err
		}
		m, err := p.agent.RecvDirect(ctx)
		if err != nil {
			return 0, err
		}
		var got int
		if fmt.Sscanf(string(m.Payload), "f %d", &got); got < n {
			return 0, fmt.Errorf("%d of %d messages arrived", got, n)
		}
		return rate, nil
	}
	v, r, ratio, err := compare(b.rounds, raw, ours)
	if err != nil {
		return err
	}
	b.keep("oneway_per_s", v)
	b.add(row{Row: "direct_oneway_100", Lang: "go", Value: v, Unit: "msg/s", Raw: r, RawWhat: "buffered frames on a quic-go stream", Ratio: ratio}.least(0.5))
	return nil
}

// bulk is bodies of 16 MiB.
func bulk(b *bench) error {
	p, err := newPair()
	if err != nil {
		return err
	}
	defer p.Close()
	s, stop, err := rawClient(p.raw.hello.Addr, 'b')
	if err != nil {
		return err
	}
	defer stop()
	const bodies = 8
	body := make([]byte, x0x.MaxDirectPayload)
	body[0] = 's'
	raw := func() (float64, error) { return rawBulk(s, body, bodies) }
	ours := func() (float64, error) {
		start := time.Now()
		const inFlight = 3 // an agent takes 64 MiB for one peer
		results := make(chan error, bodies)
		for i := range bodies {
			if i >= inFlight {
				if err := <-results; err != nil {
					return 0, err
				}
			}
			if _, err := p.agent.SendAsync(p.to, body, x0x.SendOptions{Timeout: time.Minute}, func(_ x0x.Receipt, err error) { results <- err }); err != nil {
				return 0, err
			}
		}
		for range inFlight {
			if err := <-results; err != nil {
				return 0, err
			}
		}
		return bodies * float64(len(body)) / time.Since(start).Seconds() / 1e6, nil
	}
	v, r, ratio, err := compare(b.rounds, raw, ours)
	if err != nil {
		return err
	}
	b.add(row{Row: "bulk_16m", Lang: "go", Value: v, Unit: "MB/s", Raw: r, RawWhat: "the same bytes on one quic-go stream", Ratio: ratio}.least(0.9))
	return nil
}

func rawBulk(s *quic.Stream, body []byte, bodies int) (float64, error) {
	start := time.Now()
	head := binary.BigEndian.AppendUint64(nil, uint64(bodies*len(body)))
	if _, err := s.Write(head); err != nil {
		return 0, err
	}
	for range bodies {
		if _, err := s.Write(body); err != nil {
			return 0, err
		}
	}
	_, err := io.ReadFull(s, head[:1])
	return float64(bodies*len(body)) / time.Since(start).Seconds() / 1e6, err
}
