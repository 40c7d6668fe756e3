package direct

import "sync"

// batches are the buffers of writers; a peer at rest has none.
var batches = sync.Pool{New: func() any {
	b := make([]byte, 0, batchBytes+4<<10)
	return &b
}}

// pump has what is due written: by the caller, if it is little and the stream takes
// it without blocking, or else by the writer's goroutine. It never blocks.
func (p *peer) pump() {
	if p.alone {
		p.loop()
		return
	}
	if p.gate.enter() && !p.writeSmall() {
		p.startWriter()
	}
}

// startWriter passes the gate on to a new goroutine.
func (p *peer) startWriter() {
	if !p.m.spawn("direct writer", p.write) {
		p.gate.v.Store(gateOpen) // the owner of the goroutines has closed
	}
}

// writeSmall writes what is due, and leaves the gate, if that can be done without
// blocking. If not, the caller must start the writer.
func (p *peer) writeSmall() bool {
	for {
		p.lock()
		if p.link == nil || p.broken || !p.s.wants() {
			p.mu.Unlock()
			if p.gate.leave() {
				return true
			}
			continue
		}
		stream, ok := p.stream.(tryWriter)
		if !ok { // not opened yet, or not able to
			p.mu.Unlock()
			return false
		}
		b, more := p.s.produce(p.small[:0], inlineBytes)
		p.watch()
		p.carry, p.carryFor = b, p.stream
		p.mu.Unlock()
		if more {
			return false
		}
		if len(b) > 0 {
			if stream.TryWriteAll(b) != nil {
				return false // the writer finds out what is wrong
			}
			p.carry = nil
		}
		if p.gate.leave() {
			return true
		}
	}
}

// write is the writer's goroutine: it writes until nothing is due.
func (p *peer) write() {
	pooled := batches.Get().(*[]byte)
	defer batches.Put(pooled)
	b := append((*pooled)[:0], p.carry...)
	for {
		var stream SendStream
		b, stream = p.nextBatch(b)
		p.carry, p.carryFor = nil, nil
		if len(b) == 0 {
			if p.gate.leave() {
				return
			}
			continue
		}
		if _, err := stream.Write(b); err != nil {
			p.streamFailed(stream)
		}
		if cap(b) > 2*batchBytes {
			b = *pooled // it had grown for one large message
		}
		b = b[:0]
	}
}

// nextBatch opens the stream if need be and returns b, which holds frames that
// writeSmall could not write, with more frames behind it. Nothing is due if the
// result is empty.
func (p *peer) nextBatch(b []byte) ([]byte, SendStream) {
	p.lock()
	defer p.mu.Unlock()
	for {
		if p.link == nil || p.broken {
			return b[:0], nil
		}
		if p.stream != nil {
			break
		}
		if !p.s.wants() {
			return b[:0], nil
		}
		link := p.link
		p.mu.Unlock()
		stream, err := link.OpenUni(p.m.ctx, KindDirect)
		p.lock()
		switch {
		case p.link != link:
			if err == nil {
				stream.Cancel(codeStale)
			}
		case err != nil:
			p.broken = true // the link will be down soon
		default:
			p.stream = stream
		}
	}
	if p.carryFor != p.stream {
		b = b[:0] // frames for a stream that is gone; the session goes on elsewhere
	}
	b, _ = p.s.produce(b, batchBytes)
	p.watch()
	return b, p.stream
}

// streamFailed gives a stream up that could not be written: the peer refuses it, or
// the link is about to end.
func (p *peer) streamFailed(stream SendStream) {
	p.mu.Lock()
	if p.stream == stream {
		p.broken = true
	}
	p.mu.Unlock()
}
