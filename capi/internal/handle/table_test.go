package handle

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func open[T any](table *Table[T], object *T) (h uint64, err error) {
	err = table.Open(object, &h)
	return h, err
}

func TestHandlesAreNumbersThatJavaScriptCanHold(t *testing.T) {
	table := New[int](MaxKind)
	for i := range 3 * chunkSize {
		h, err := open(table, &i)
		require.NoError(t, err)
		require.NotZero(t, h)
		require.Less(t, h, uint64(1)<<53)
		require.Equal(t, MaxKind, KindOf(h))
	}
	require.Equal(t, 3*chunkSize, table.Live())
}

func TestMisuse(t *testing.T) {
	table := New[int](2)
	v := 7
	h, err := open(table, &v)
	require.NoError(t, err)
	other, err := open(New[int](3), &v)
	require.NoError(t, err)
	stale, err := open(table, &v)
	require.NoError(t, err)
	_, err = table.Close(stale)
	require.NoError(t, err)

	for name, tt := range map[string]struct {
		h    uint64
		want error
	}{
		"zero":                 {0, ErrBad},
		"all bits":             {1<<64 - 1, ErrBad},
		"above 53 bits":        {h | 1<<60, ErrBad},
		"of another kind":      {other, ErrBad},
		"generation to come":   {h + 1<<indexBits, ErrBad},
		"generation zero":      {h - 1<<indexBits, ErrBad},
		"index to come":        {h + 2, ErrBad},
		"index far away":       {h | maxIndex, ErrBad},
		"closed":               {stale, ErrClosed},
		"closed, next to come": {stale + 1<<indexBits, ErrBad},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := table.Get(tt.h)
			require.Nil(t, got)
			require.Equal(t, tt.want, err)
			_, err = table.Close(tt.h)
			require.Equal(t, tt.want, err)
		})
	}
	require.Zero(t, KindOf(1<<64-1))
	got, err := table.Get(h)
	require.NoError(t, err)
	require.Same(t, &v, got)
}

// A slot whose generations are used up is never opened again.
func TestASlotRetires(t *testing.T) {
	table := New[int](1)
	v := 0
	last := uint64(0)
	for range maxGeneration {
		h, err := open(table, &v)
		require.NoError(t, err)
		if h&maxIndex != 0 {
			t.Fatal("a second slot was used while the first had generations left")
		}
		if h <= last {
			t.Fatal("a handle was given out twice")
		}
		last = h
		_, err = table.Close(h)
		require.NoError(t, err)
	}
	h, err := open(table, &v)
	require.NoError(t, err)
	require.Equal(t, uint64(1), h&maxIndex)
}

// Any sequence of opening and closing agrees with a map.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := New[int](4)
		live := map[uint64]*int{}
		var all []uint64
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				v := new(int)
				h, err := open(table, v)
				require.NoError(t, err)
				require.NotContains(t, all, h)
				live[h] = v
				all = append(all, h)
			},
			"close": func(t *rapid.T) {
				if len(all) == 0 {
					t.Skip("nothing was opened")
				}
				h := rapid.SampledFrom(all).Draw(t, "handle")
				got, err := table.Close(h)
				if want, ok := live[h]; ok {
					require.NoError(t, err)
					require.Same(t, want, got)
					delete(live, h)
				} else {
					require.Equal(t, ErrClosed, err)
				}
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(live), table.Live())
				for _, h := range all {
					got, err := table.Get(h)
					if want, ok := live[h]; ok {
						require.NoError(t, err)
						require.Same(t, want, got)
					} else {
						require.Equal(t, ErrClosed, err)
					}
				}
			},
		})
	})
}

// Get never returns an object that its handle was not opened for.
func TestRacesWithClosing(t *testing.T) {
	type object struct{ h uint64 }
	table := New[object](1)
	handles := make(chan uint64, 16)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for h := range handles {
				if o, err := table.Get(h); err == nil && o.h != h {
					t.Errorf("handle %x gave the object of %x", h, o.h)
				}
			}
		})
	}
	for range 5000 {
		o := &object{}
		require.NoError(t, table.Open(o, &o.h))
		handles <- o.h
		_, err := table.Close(o.h)
		require.NoError(t, err)
		handles <- o.h
	}
	close(handles)
	wg.Wait()
	require.Zero(t, table.Live())
}

func BenchmarkGet(b *testing.B) {
	table := New[int](1)
	v := 0
	h, _ := open(table, &v)
	for b.Loop() {
		if _, err := table.Get(h); err != nil {
			b.Fatal(err)
		}
	}
}
