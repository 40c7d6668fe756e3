package direct

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// frameSeeds returns a frame of each type.
func frameSeeds() [][]byte {
	pos := positions{accepted: 3, window: 400, credit: 1 << 20, early: []uint64{5, 6, 900}}
	return [][]byte{
		appendOpen(nil, openFrame{session: sessionID{1}, link: [16]byte{2}}),
		appendState(nil, sessionID{2}, flagSame, 7, pos),
		appendState(nil, sessionID{2}, 0, 1, positions{accepted: 1, window: 9, credit: 9}),
		appendAck(nil, pos),
		appendAck(nil, positions{accepted: 1, window: 1, credit: 1}),
		appendData(nil, flagPush, 1, []byte("hello")),
		appendData(nil, flagUnordered, 300, nil),
		appendOffer(nil, flagUnordered|flagPush, 4, 16<<20),
		appendVoid(nil, 128),
		appendGrant(nil, 4, 1<<20),
		wire.AppendFrame(nil, frameFlush),
		wire.AppendFrame(nil, frameFlushed),
	}
}

// encode is the inverse of parseFrame.
func encode(f *frame) []byte {
	switch f.typ {
	case frameOpen:
		return appendOpen(nil, *f.open)
	case frameState:
		return appendState(nil, f.open.session, f.flags, f.seq, *f.pos)
	case frameAck:
		return appendAck(nil, *f.pos)
	case frameData:
		return appendData(nil, f.flags, f.seq, f.payload)
	case frameOffer:
		return appendOffer(nil, f.flags, f.seq, f.size)
	case frameVoid:
		return appendVoid(nil, f.seq)
	case frameGrant:
		return appendGrant(nil, f.seq, f.size)
	}
	return wire.AppendFrame(nil, f.typ)
}

// decode parses the one frame in b.
func decode(b []byte) (frame, error) {
	typ, body, err := wire.NewFrameReader(bytes.NewReader(b), maxFrame).Next()
	if err != nil {
		return frame{}, err
	}
	return parseFrame(typ, bytes.Clone(body))
}

func TestFramesTruncated(t *testing.T) {
	for _, seed := range frameSeeds() {
		f, err := decode(seed)
		if err != nil {
			t.Fatalf("%x: %v", seed, err)
		}
		if again := encode(&f); !bytes.Equal(again, seed) {
			t.Errorf("%x became %x", seed, again)
		}
		if f.typ == frameData {
			continue // a payload may have any length
		}
		body := seed[2:] // each of these is shorter than 128 bytes
		for n := range len(body) {
			if _, err := parseFrame(f.typ, body[:n]); wire.KindOf(err) != wire.KindCorrupt {
				t.Errorf("type %d cut at %d of %d: %v", f.typ, n, len(body), err)
			}
		}
		if _, err := parseFrame(f.typ, append(bytes.Clone(body), 0)); wire.KindOf(err) != wire.KindCorrupt {
			t.Errorf("type %d with a byte more: %v", f.typ, err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	for _, seed := range frameSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := decode(b)
		if err != nil {
			return
		}
		again := encode(&fr)
		if !bytes.HasPrefix(b, again) {
			t.Fatalf("%x was read as %x", b, again)
		}
	})
}

func FuzzBodyHeader(f *testing.F) {
	f.Add(appendBodyHeader(nil, bodyHeader{session: sessionID{1}, seq: 1, offset: 2, total: 3}))
	f.Add(make([]byte, bodyHeaderSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseBodyHeader(b)
		if err == nil && !bytes.Equal(appendBodyHeader(nil, h), b) {
			t.Fatalf("%x was read as %+v", b, h)
		}
	})
}

// fuzzLink is a link whose own streams lead nowhere.
type fuzzLink struct {
	memLink
	done chan struct{}
	once sync.Once
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error)      { return len(p), nil }
func (nowhere) TryWriteAll(p []byte) error       { return nil }
func (nowhere) Close() error                     { return nil }
func (nowhere) Cancel(uint64)                    {}
func (nowhere) SetWriteDeadline(time.Time) error { return nil }

func (l *fuzzLink) OpenUni(context.Context, byte) (SendStream, error) { return nowhere{}, nil }
func (l *fuzzLink) Done() <-chan struct{}                             { return l.done }
func (l *fuzzLink) Fail(string)                                       { l.once.Do(func() { close(l.done) }) }

type fuzzStream struct{ io.Reader }

func (fuzzStream) Cancel(uint64)                   {}
func (fuzzStream) SetReadDeadline(time.Time) error { return nil }

// FuzzHandleStream lets a peer write anything, on a message stream and then on a body
// stream, to a manager that has messages of its own under way.
func FuzzHandleStream(f *testing.F) {
	open := appendOpen(nil, openFrame{session: sessionID{9}})
	var all []byte
	for _, seed := range frameSeeds() {
		f.Add(append(bytes.Clone(open), seed...), []byte{})
		all = append(all, seed...)
	}
	f.Add(all, all)
	session := bytes.Repeat([]byte{7}, 16) // what the manager's own sessions are called here
	state := appendState(nil, sessionID(session), 0, 4, positions{accepted: 2, window: 4097, credit: 1 << 20})
	talk := append(append(bytes.Clone(open), state...), appendOffer(nil, flagPush, 1, 10)...)
	talk = append(talk, appendGrant(nil, 3, 5)...)
	talk = append(talk, appendVoid(nil, 2)...)
	body := append(appendBodyHeader(nil, bodyHeader{session: sessionID{9}, seq: 1, total: 10}), make([]byte, 10)...)
	f.Add(talk, body)
	f.Fuzz(func(t *testing.T, messages, bodies []byte) {
		m := New(Config{Self: agentID(1), Rand: bytes.NewReader(bytes.Repeat(session, 100)), BodyInline: 100})
		l := &fuzzLink{memLink: memLink{agent: agentID(2)}, done: make(chan struct{})}
		m.LinkUp(l)
		results := make(chan error, 8)
		sent := 0
		for _, n := range []int{0, 50, 1000} {
			if _, err := m.Send(agentID(2), make([]byte, n), SendOptions{}, func(_ Receipt, err error) { results <- err }); err == nil {
				sent++
			}
		}
		m.HandleStream(l, KindDirect, fuzzStream{bytes.NewReader(messages)})
		m.HandleStream(l, KindDirectBody, fuzzStream{bytes.NewReader(bodies)})
		if got := m.Inbox().Len(); got > len(messages) {
			t.Fatalf("%d messages out of %d bytes", got, len(messages))
		}
		m.LinkDown(l, nil)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		m.Close(ctx)
		if len(results) != sent {
			t.Fatalf("%d of %d sends completed", len(results), sent)
		}
		if n := m.room.used(); n != 0 {
			t.Fatalf("%d bytes of room are lost", n)
		}
	})
}
