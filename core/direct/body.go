package direct

import (
	"context"
	"io"
	"time"
)

// bodyChunk is how much of a body is written at once. The last chunk decides
// whether a failure may still have been a delivery.
const bodyChunk = 1 << 20

// startBody sends the body of s, or lets the goroutine that is about it know that
// there is a new grant.
func (p *peer) startBody(s *Pending) {
	p.mu.Lock()
	if s.phase == done || !s.out.granted {
		p.mu.Unlock()
		return
	}
	if s.out.active {
		if s.out.stream != nil {
			s.out.stream.Cancel(codeStale) // granted anew, so it leads nowhere
		}
		p.mu.Unlock()
		return
	}
	s.out.active = true
	p.mu.Unlock()
	if !p.m.spawn("direct body", func() { p.sendBody(s) }) {
		p.bodySent(s)
	}
}

// sendBody sends the body of s for as long as there are grants.
func (p *peer) sendBody(s *Pending) {
	defer p.bodySent(s)
	for {
		ctx, cancel := context.WithCancel(p.m.ctx)
		p.mu.Lock()
		link := p.link
		if s.phase == done || !s.out.granted || link == nil {
			p.mu.Unlock()
			cancel()
			return
		}
		s.out.granted, s.out.cancel = false, cancel
		h := bodyHeader{session: p.s.local, seq: s.seq, offset: s.out.offset, total: uint64(len(s.payload))}
		p.mu.Unlock()

		stream, err := link.OpenUni(ctx, KindDirectBody)
		cancel()

		p.mu.Lock()
		s.out.cancel = nil
		if err == nil && (s.phase == done || p.link != link) {
			stream.Cancel(codeStale)
			err = errStale
		}
		if err != nil {
			p.mu.Unlock()
			continue // a new link brings a new grant
		}
		s.out.stream = stream
		p.mu.Unlock()

		if p.writeBody(stream, h, s) == nil {
			err = stream.Close()
		} else {
			stream.Cancel(codeStale)
		}
		p.mu.Lock()
		s.out.stream = nil
		p.mu.Unlock()
	}
}

func (p *peer) writeBody(stream SendStream, h bodyHeader, s *Pending) error {
	if _, err := stream.Write(appendBodyHeader(nil, h)); err != nil {
		return err
	}
	rest := s.payload[h.offset:]
	for len(rest) > 0 {
		n := min(len(rest), bodyChunk)
		if n == len(rest) {
			p.mu.Lock()
			s.out.whole = true
			p.mu.Unlock()
		}
		if _, err := stream.Write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// bodySent ends the use of the payload of s, which completes it if that was
// all that it waited for.
func (p *peer) bodySent(s *Pending) {
	var fx effects
	p.lock()
	s.out.active = false
	switch {
	case s.phase == done:
		fx.completed = append(fx.completed, s)
	case s.out.granted && p.link != nil:
		fx.send = append(fx.send, s) // between the last look and now
	}
	p.unlock(&fx)
}

// readBody reads a body stream of l.
func (p *peer) readBody(l Link, stream ReceiveStream) error {
	var head [bodyHeaderSize]byte
	if err := stream.SetReadDeadline(p.m.wall().Add(headerTime)); err != nil {
		return errStale
	}
	if _, err := io.ReadFull(stream, head[:]); err != nil {
		return errStale
	}
	h, err := parseBodyHeader(head[:])
	if err != nil {
		return err
	}
	p.mu.Lock()
	if p.link != l || p.s.in.blocked {
		p.mu.Unlock()
		return errStale
	}
	b, err := p.s.in.startBody(h)
	if err != nil {
		p.mu.Unlock()
		p.m.stats.staleBodies.Add(1)
		return errStale // its message may have been given up while it was on its way
	}
	b.stream = stream
	p.mu.Unlock()

	err = stream.SetReadDeadline(time.Time{})
	if err == nil {
		err = b.read(stream)
	}
	var fx effects
	d, deliver := p.judge(l.Machine())
	p.s.in.endBody(b, p.m.wall().UnixNano(), &fx)
	p.admit(deliver, &fx)
	p.deliver(d, false, &fx)
	p.s.in.due()
	p.unlock(&fx)
	p.pump()
	return err
}

// read reads what is missing of b. Room for it was granted, so that its size, though
// only the sender's word, is memory that is accounted for.
func (b *inBody) read(stream ReceiveStream) error {
	for b.have < b.size {
		if b.buf == nil {
			b.buf = make([]byte, b.size)
		}
		n, err := stream.Read(b.buf[b.have:])
		b.have += n
		b.got.Store(int64(b.have))
		if err == io.EOF && b.have < b.size {
			return protocolError("body of %d bytes ended at %d", b.size, b.have)
		}
		if err != nil && b.have < b.size {
			return errStale
		}
	}
	return nil
}
