//go:build ignore

// Writes msgpack.json: what the Go side encodes, for the reader and writer of lib/msgpack.js.
//
//	go run node/test/data/vectors.go > node/test/data/msgpack.json
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

type vector struct {
	Name  string `json:"name"`
	Value any    `json:"value"` // integers beyond 2^53 as {"bigint": "…"}, bytes as {"bytes": "hex"}, long text as {"repeat", "times"}
	Hex   string `json:"hex"`
}

type big struct {
	Big string `json:"bigint"`
}
type bin struct {
	Bytes string `json:"bytes"`
}
type repeat struct {
	Repeat string `json:"repeat"`
	Times  int    `json:"times"`
}

func main() {
	var out []vector
	add := func(name string, shown, value any) {
		var b bytes.Buffer
		e := msgpack.NewEncoder(&b)
		e.UseCompactInts(true)
		e.SetSortMapKeys(true)
		if err := e.Encode(value); err != nil {
			panic(err)
		}
		out = append(out, vector{name, shown, hex.EncodeToString(b.Bytes())})
	}
	add("nil", nil, nil)
	add("true", true, true)
	add("false", false, false)
	for _, n := range []int64{0, 1, 127, 128, 255, 256, 65535, 65536, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<53 - 1,
		-1, -32, -33, -128, -129, -32768, -32769, -1 << 31, -1<<31 - 1, -(1<<53 - 1)} {
		add("integer", n, n)
	}
	add("uint64 max", big{"18446744073709551615"}, uint64(math.MaxUint64))
	add("int64 min", big{"-9223372036854775808"}, int64(math.MinInt64))
	add("2^53", big{"9007199254740992"}, int64(1)<<53)
	add("float", 1.5, 1.5)
	add("float, small", 1e-300, 1e-300)
	add("text", "", "")
	add("text", "hello", "hello")
	add("text", "grüße 你好 🙂", "grüße 你好 🙂")
	for _, n := range []int{31, 32, 255, 256, 65536} {
		add("text by length", repeat{"s", n}, strings.Repeat("s", n))
	}
	add("bytes", bin{""}, []byte{})
	add("bytes", bin{"00ff00"}, []byte{0, 255, 0})
	for _, n := range []int{32, 255, 256} {
		b := bytes.Repeat([]byte{7}, n)
		add("bytes by length", bin{hex.EncodeToString(b)}, b)
	}
	add("array", []any{}, []any{})
	add("array", []any{1, "a", nil, []any{true}}, []any{1, "a", nil, []any{true}})
	for _, n := range []int{15, 16, 300} {
		a := make([]any, n)
		for i := range a {
			a[i] = i
		}
		add("array by length", a, a)
	}
	add("map", map[string]any{}, map[string]any{})
	add("map", map[string]any{"a": 1, "b": []any{2}}, map[string]any{"a": 1, "b": []any{2}})
	m := map[string]any{}
	for i := range 20 {
		m["key"+string(rune('a'+i))] = i
	}
	add("map by length", m, m)
	id := bytes.Repeat([]byte{0xab}, 32)
	add("meta of a direct message", []any{bin{hex.EncodeToString(id)}, bin{hex.EncodeToString(id)}, 1}, []any{id, id, uint8(1)})

	os.Stdout.WriteString("[\n")
	for i, v := range out {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		os.Stdout.Write(b)
		if i < len(out)-1 {
			os.Stdout.WriteString(",")
		}
		os.Stdout.WriteString("\n")
	}
	os.Stdout.WriteString("]\n")
}
