package mailbox_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/internal/mailbox"
)

// model is the box as its documentation has it, slow and plain: a list in which
// items and gaps stand in order.
type model struct {
	maxItems int
	maxBytes int64
	policy   mailbox.Policy
	list     []modelEntry
	pushed   uint64
	dropped  uint64
	refused  bool
	closed   bool
}

type modelEntry struct {
	item int
	size int64
	seq  uint64
	lag  *mailbox.Lag
}

func (m *model) count() (items int, bytes int64) {
	for _, e := range m.list {
		if e.lag == nil {
			items++
			bytes += e.size
		}
	}
	return items, bytes
}

func (m *model) fits(size int64) bool {
	items, bytes := m.count()
	return items == 0 || items < m.maxItems && (m.maxBytes <= 0 || bytes+size <= m.maxBytes)
}

func (m *model) push(item int, size int64, seq uint64) bool {
	if m.closed {
		return false
	}
	for !m.fits(size) {
		switch m.policy {
		case mailbox.Block:
			m.refused = true
			return false
		case mailbox.DropNewest:
			m.dropped++
			if n := len(m.list); n > 0 && m.list[n-1].lag != nil {
				m.list[n-1].lag.Count++
				m.list[n-1].lag.LastSeq = seq
			} else {
				m.list = append(m.list, modelEntry{lag: &mailbox.Lag{Count: 1, FirstSeq: seq, LastSeq: seq}})
			}
			return true
		case mailbox.DropOldest:
			m.dropped++
			lag := &mailbox.Lag{FirstSeq: m.list[0].seq}
			if m.list[0].lag != nil {
				lag = m.list[0].lag
				m.list = m.list[1:]
			}
			lag.Count++
			lag.LastSeq = m.list[0].seq
			m.list[0] = modelEntry{lag: lag}
		}
	}
	m.list = append(m.list, modelEntry{item: item, size: size, seq: seq})
	m.pushed++
	return true
}

func (m *model) pop(max int) []mailbox.Entry[int] {
	n := min(max, len(m.list))
	var out []mailbox.Entry[int]
	for _, e := range m.list[:n] {
		out = append(out, mailbox.Entry[int]{Item: e.item, Lagged: e.lag})
	}
	m.list = m.list[n:]
	return out
}

func (m *model) room() bool {
	items, bytes := m.count()
	if !m.refused || items > m.maxItems/2 || m.maxBytes > 0 && bytes > m.maxBytes/2 {
		return false
	}
	m.refused = false
	return true
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := mailbox.Options{
			MaxItems: rapid.IntRange(1, 40).Draw(t, "maxItems"),
			MaxBytes: rapid.Int64Range(0, 60).Draw(t, "maxBytes"),
			Policy:   rapid.SampledFrom([]mailbox.Policy{mailbox.Block, mailbox.DropOldest, mailbox.DropNewest}).Draw(t, "policy"),
		}
		box := mailbox.New[int](o)
		m := &model{maxItems: o.MaxItems, maxBytes: o.MaxBytes, policy: o.Policy}
		notified, roomed := 0, 0
		box.SetNotify(func() { notified++ })
		box.SetRoom(func() { roomed++ })
		wantNotified, wantRoomed := 0, 0
		seq := uint64(0)
		sizes := rapid.IntRange(0, 12)

		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				size := sizes.Draw(t, "size")
				wasEmpty := len(m.list) == 0
				seq++
				require.Equal(t, m.push(int(seq), int64(size), seq), box.Push(int(seq), size, seq))
				if wasEmpty && len(m.list) > 0 {
					wantNotified++
				}
			},
			"push batch": func(t *rapid.T) {
				all := rapid.SliceOfN(sizes, 0, 20).Draw(t, "sizes")
				base := seq + 1
				items := make([]int, len(all))
				wasEmpty := len(m.list) == 0
				want := 0
				for i := range all {
					items[i] = i
					if want == i && m.push(i, int64(all[i]), base+uint64(i)) {
						want++
					}
				}
				seq += uint64(len(all))
				got := box.PushBatch(items, func(i *int) int { return all[*i] }, func(i *int) uint64 { return base + uint64(*i) })
				require.Equal(t, want, got)
				if wasEmpty && len(m.list) > 0 {
					wantNotified++
				}
			},
			"pop": func(t *rapid.T) {
				max := rapid.IntRange(0, 10).Draw(t, "max")
				want := m.pop(max)
				if m.room() {
					wantRoomed++
				}
				require.Equal(t, want, box.TryPop(max, nil))
			},
			"pop waiting": func(t *rapid.T) {
				if len(m.list) == 0 {
					t.Skip("would wait")
				}
				want := m.pop(3)
				if m.room() {
					wantRoomed++
				}
				got, err := box.PopMany(t.Context(), 3, nil)
				require.NoError(t, err)
				require.Equal(t, want, got)
			},
			"close": func(t *rapid.T) {
				if m.closed || rapid.IntRange(0, 9).Draw(t, "die") > 0 {
					t.Skip("seldom")
				}
				m.closed = true
				wantNotified++
				if m.refused {
					wantRoomed++
				}
				box.Close()
			},
			"": func(t *rapid.T) {
				items, bytes := m.count()
				require.Equal(t, items, box.Len())
				require.Equal(t, bytes, box.Bytes())
				require.Equal(t, m.pushed, box.Pushed())
				require.Equal(t, m.dropped, box.Dropped())
				require.Equal(t, wantNotified, notified)
				if !m.closed {
					require.Equal(t, wantRoomed, roomed)
				}
				require.LessOrEqual(t, items, o.MaxItems)
			},
		})
	})
}
