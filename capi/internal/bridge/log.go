package bridge

import (
	"context"
	"encoding"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/record"
)

// logTarget is the queue that gets the log records of the process.
type logTarget struct {
	queue *Queue
	level slog.Level
}

// LogTo sends log records at level and above to a queue, in place of an earlier
// choice; abi.LogOff stops.
func (l *Library) LogTo(queue uint64, level int32) error {
	q, err := l.Queue(queue)
	if err != nil {
		return err
	}
	if level == abi.LogOff {
		l.logTo.Store(nil)
		return nil
	}
	l.logTo.Store(&logTarget{queue: q, level: slog.Level(level)})
	return nil
}

// forgetLogs is called when q is closed.
func (l *Library) forgetLogs(q *Queue) {
	if t := l.logTo.Load(); t != nil && t.queue == q {
		l.logTo.CompareAndSwap(t, nil)
	}
}

// Logger writes to the queue that LogTo chose last.
func (l *Library) Logger() *slog.Logger { return l.logger }

// logHandler encodes log records when they are logged: what they name may change
// until they are drained.
type logHandler struct {
	library *Library
	attrs   []byte // of WithAttrs, as MessagePack pairs
	pairs   int
	prefix  string // of WithGroup, "group."
}

func (h logHandler) Enabled(_ context.Context, level slog.Level) bool {
	t := h.library.logTo.Load()
	return t != nil && level >= t.level
}

func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	t := h.library.logTo.Load()
	if t == nil {
		return nil
	}
	attrs, pairs := append([]byte(nil), h.attrs...), h.pairs
	r.Attrs(func(attr slog.Attr) bool {
		attrs, pairs = appendAttr(attrs, pairs, h.prefix, attr)
		return true
	})
	b := record.AppendArray(nil, 3)
	b = record.AppendInt(b, int64(r.Level))
	b = record.AppendString(b, text(r.Message))
	b = record.AppendMap(b, pairs)
	t.queue.logs.push(t.queue, logRecord{unixMs: uint64(r.Time.UnixMilli()), meta: append(b, attrs...)})
	return nil
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = append([]byte(nil), h.attrs...)
	for _, attr := range attrs {
		h.attrs, h.pairs = appendAttr(h.attrs, h.pairs, h.prefix, attr)
	}
	return h
}

func (h logHandler) WithGroup(name string) slog.Handler {
	if name != "" {
		h.prefix += name + "."
	}
	return h
}

// appendAttr appends one pair, and those of a group with its name before theirs.
func appendAttr(b []byte, pairs int, prefix string, attr slog.Attr) ([]byte, int) {
	v := attr.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if attr.Key != "" {
			prefix += attr.Key + "."
		}
		for _, inner := range v.Group() {
			b, pairs = appendAttr(b, pairs, prefix, inner)
		}
		return b, pairs
	}
	if attr.Key == "" {
		return b, pairs
	}
	b = record.AppendString(b, text(prefix+attr.Key))
	switch v.Kind() {
	case slog.KindBool:
		b = record.AppendBool(b, v.Bool())
	case slog.KindInt64:
		b = record.AppendInt(b, v.Int64())
	case slog.KindUint64:
		b = record.AppendUint(b, v.Uint64())
	case slog.KindFloat64:
		b = record.AppendFloat(b, v.Float64())
	case slog.KindTime:
		b = record.AppendString(b, v.Time().Format(time.RFC3339Nano))
	case slog.KindAny:
		b = record.AppendString(b, text(anyText(v.Any())))
	default:
		b = record.AppendString(b, text(v.String()))
	}
	return b, pairs + 1
}

func anyText(v any) string {
	if m, ok := v.(encoding.TextMarshaler); ok {
		if b, err := m.MarshalText(); err == nil {
			return string(b)
		}
	}
	return fmt.Sprint(v)
}

// maxLogText bounds one text of a log record in bytes; a stack fits.
const maxLogText = 16 << 10

// text makes a text fit for MessagePack.
func text(s string) string {
	if len(s) > maxLogText {
		s = s[:maxLogText] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

type logRecord struct {
	unixMs uint64
	meta   []byte
}

// logSource holds the log records of a queue, the newest ones.
type logSource struct {
	node
	limit int

	mu      sync.Mutex
	records ring[logRecord]
	seq     uint64 // of the newest record
	lag     Lag
}

func (s *logSource) push(q *Queue, r logRecord) {
	s.mu.Lock()
	s.seq++
	if s.records.len() >= s.limit {
		oldest := s.seq - uint64(s.records.len())
		s.records.advance(1)
		if s.lag.Count == 0 {
			s.lag.FirstSeq = oldest
		}
		s.lag.Count++
		s.lag.LastSeq = oldest
	}
	s.records.push(r)
	s.mu.Unlock()
	q.notify(s)
}

func (s *logSource) pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records.len() > 0
}

func (s *logSource) fill(q *Queue, w *record.Writer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lag.Count > 0 {
		if !putLag(w, q.handle, &s.lag) {
			return false
		}
		s.lag = Lag{}
	}
	for n := 0; n < turn && s.records.len() > 0; n++ {
		r := &s.records.front(1)[0]
		if !w.Put(record.Header{Kind: abi.RLog, ID: q.handle, UnixMs: r.unixMs}, append(w.Meta(), r.meta...), nil) {
			return false
		}
		s.records.advance(1)
	}
	return true
}
