package scenariotest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// value is text, which may name something of the running scenario ("@b", "$TMP"), or bytes
// described in one of three ways:
//
//	{"hex": "00ff"}   {"repeat": "ab", "times": 3}   {"random": 7, "size": 100}
type value struct {
	text  string
	bytes []byte // nil for text
}

func (v *value) UnmarshalJSON(raw []byte) error {
	if raw[0] == '"' {
		return json.Unmarshal(raw, &v.text)
	}
	var form struct {
		Hex    *string `json:"hex"`
		Repeat *string `json:"repeat"`
		Times  int     `json:"times"`
		Random *int    `json:"random"`
		Size   int     `json:"size"`
	}
	if err := strict(raw, &form); err != nil {
		return err
	}
	const most = 64 << 20 // of anything in the list; a typo must not take the memory
	switch {
	case form.Hex != nil:
		b, err := hex.DecodeString(*form.Hex)
		if err != nil {
			return err
		}
		v.bytes = b
	case form.Repeat != nil:
		if form.Times < 0 || form.Times > most/max(len(*form.Repeat), 1) {
			return fmt.Errorf("%d times %q is too much", form.Times, *form.Repeat)
		}
		v.bytes = bytes.Repeat([]byte(*form.Repeat), form.Times)
	case form.Random != nil:
		if form.Size < 0 || form.Size > most {
			return fmt.Errorf("%d random bytes are too many", form.Size)
		}
		v.bytes = random(*form.Random, form.Size)
	default:
		return fmt.Errorf("%s is neither text, hex, repeat nor random", raw)
	}
	if v.bytes == nil {
		v.bytes = []byte{}
	}
	return nil
}

// random makes the bytes that every runner makes from the same seed.
func random(seed, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(seed*31 + i*7 + (i>>8)*13)
	}
	return b
}

// raw returns the bytes that v describes.
func (v value) raw() []byte {
	if v.bytes != nil {
		return v.bytes
	}
	return []byte(v.text)
}

// numbered is the payload of message i of a series.
func (v value) numbered(i int) []byte {
	return strconv.AppendInt(append(bytes.Clone(v.raw()), '-'), int64(i), 10)
}

// id resolves "@b", "@b.machine", "$saved.field" and {"hex": …}.
func (r *run) id(v value) (ID, error) {
	if v.bytes != nil {
		if len(v.bytes) != len(ID{}) {
			return ID{}, fmt.Errorf("an id has 32 bytes, not %d", len(v.bytes))
		}
		return ID(v.bytes), nil
	}
	if name, ok := strings.CutPrefix(v.text, "$"); ok {
		saved, err := r.saved(name)
		id, ok := saved.(ID)
		if err == nil && !ok {
			err = fmt.Errorf("%s is no id", v.text)
		}
		return id, err
	}
	name, ok := strings.CutPrefix(v.text, "@")
	if !ok {
		return ID{}, fmt.Errorf("%q names no id", v.text)
	}
	name, machine := strings.CutSuffix(name, ".machine")
	a, err := r.actor(name)
	switch {
	case err != nil:
		return ID{}, err
	case machine:
		return a.machineID, nil
	}
	return a.agentID, nil
}

// saved returns a field of a saved result.
func (r *run) saved(name string) (any, error) {
	step, field, _ := strings.Cut(name, ".")
	v, ok := r.results[step][field]
	if !ok {
		return nil, fmt.Errorf("no result has been saved as $%s", name)
	}
	return v, nil
}

// text replaces "$TMP" and "$b.address" in an option.
func (r *run) text(s string) (string, error) {
	s = strings.ReplaceAll(s, "$TMP", r.home)
	name, ok := strings.CutPrefix(s, "$")
	if !ok {
		return s, nil
	}
	name, ok = strings.CutSuffix(name, ".address")
	if !ok {
		return "", fmt.Errorf("%q names nothing", s)
	}
	return r.address(name)
}

// address is the first local address of another agent of the scenario.
func (r *run) address(name string) (string, error) {
	a, err := r.actor(name)
	if err != nil {
		return "", err
	}
	list, err := a.LocalAddresses()
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", fmt.Errorf("agent %q has no local address", name)
	}
	return list[0], nil
}

// compare reports where a result differs from what a step expects.
func (r *run) compare(expect map[string]json.RawMessage, result Result) error {
	for field, raw := range expect {
		got, ok := result[field]
		if !ok {
			return fmt.Errorf("the result has no field %q: %v", field, result)
		}
		if err := r.compareOne(raw, got); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
	}
	return nil
}

func (r *run) compareOne(raw json.RawMessage, got any) error {
	switch got := got.(type) {
	case ID:
		want, err := parsed[value](raw)
		if err != nil {
			return err
		}
		id, err := r.id(want)
		if err == nil && id != got {
			err = fmt.Errorf("got %x, want %x", got, id)
		}
		return err
	case []byte:
		want, err := parsed[value](raw)
		if err == nil && !bytes.Equal(got, want.raw()) {
			err = fmt.Errorf("got %s, want %s", brief(got), brief(want.raw()))
		}
		return err
	case string:
		if raw[0] != '[' {
			raw = fmt.Appendf(nil, "[%s]", raw)
		}
		any, err := parsed[[]string](raw) // one of several
		if err != nil {
			return err
		}
		for _, want := range any {
			if got == want {
				return nil
			}
		}
		return fmt.Errorf("got %q, want one of %q", got, any)
	case bool:
		return same(raw, got)
	case uint64:
		return same(raw, got)
	}
	return fmt.Errorf("nothing to compare a %T with", got)
}

func same[T comparable](raw json.RawMessage, got T) error {
	want, err := parsed[T](raw)
	if err == nil && got != want {
		err = fmt.Errorf("got %v, want %v", got, want)
	}
	return err
}

func parsed[T any](raw json.RawMessage) (v T, err error) {
	err = json.Unmarshal(raw, &v)
	return v, err
}

// brief shows the beginning of a payload.
func brief(b []byte) string {
	const most = 40
	if len(b) <= most {
		return strconv.Quote(string(b))
	}
	return fmt.Sprintf("%q… (%d bytes)", b[:most], len(b))
}
