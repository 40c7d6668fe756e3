//go:build ignore

// Writes msgpack_vectors.json: what vmihailenco/msgpack, which the library encodes with, makes
// of values, for the Python reader and writer to be compared with.
//
//	go run python/tests/msgpack_vectors.go > python/tests/msgpack_vectors.json
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
)

// vector is one value in JSON, where bytes are {"hex": "..."}, large numbers {"int": "..."} and
// long runs {"text": n} or {"bytes": n}, of which only what stands before the run is written.
type vector struct {
	Value   any    `json:"value"`
	Encoded string `json:"encoded"`
}

type run struct {
	kind string
	n    int
}

func (r run) MarshalJSON() ([]byte, error) { return json.Marshal(map[string]int{r.kind: r.n}) }

type blob []byte

func (b blob) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"hex": hex.EncodeToString(b)})
}

type number string // a decimal integer that JSON readers might round

func (n number) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"int": string(n)})
}

func main() {
	type pair struct{ plain, shown any }
	same := func(v any) pair { return pair{v, v} }
	values := []pair{same(nil), same(true), same(false)}
	for _, n := range []int64{0, 1, 127, 128, 255, 256, 65535, 65536, math.MaxInt32, -1, -32, -33, -128, -129, -32768, -32769, math.MinInt32} {
		values = append(values, pair{n, n})
	}
	values = append(values,
		pair{uint64(math.MaxUint32), number("4294967295")},
		pair{uint64(1) << 32, number("4294967296")},
		pair{uint64(math.MaxUint64), number("18446744073709551615")},
		pair{int64(math.MinInt64), number("-9223372036854775808")},
	)
	for _, n := range []int{0, 1, 31, 32, 255, 256, 65535, 65536} {
		values = append(values,
			pair{strings.Repeat("x", n), run{"text", n}},
			pair{bytes.Repeat([]byte("x"), n), run{"bytes", n}})
	}
	values = append(values, same("žluťoučký kůň 🐎"))
	for _, n := range []int{0, 1, 15, 16, 300} {
		list := make([]any, n)
		for i := range list {
			list[i] = int64(i % 100)
		}
		values = append(values, same(list))
	}
	nested := []any{"a", []any{[]byte("b"), []any{nil, []any{true}}}, map[string]any{"k": int64(1)}}
	shown := []any{"a", []any{blob("b"), []any{nil, []any{true}}}, map[string]any{"k": int64(1)}}
	values = append(values, pair{nested, shown})

	var out []vector
	for _, v := range values {
		var b bytes.Buffer
		enc := msgpack.NewEncoder(&b)
		enc.UseCompactInts(true)
		if err := enc.Encode(v.plain); err != nil {
			panic(err)
		}
		encoded := b.Bytes()
		if r, ok := v.shown.(run); ok {
			encoded = encoded[:len(encoded)-r.n]
		}
		out = append(out, vector{v.shown, hex.EncodeToString(encoded)})
	}
	enc := json.NewEncoder(os.Stdout)
	if err := enc.Encode(out); err != nil {
		panic(err)
	}
}
