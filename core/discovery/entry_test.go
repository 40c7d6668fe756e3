package discovery

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

func machine(n byte) (m identity.MachineID) {
	for i := range m {
		m[i] = n
	}
	return m
}

func sample() *record {
	return &record{Network: "x0x.prod", Port: 40123, Boot: "b7c3", NetNS: 4026531840, machine: machine(0xAB)}
}

// Other processes, of other versions, read what we write.
func TestRecordFormatIsStable(t *testing.T) {
	b, err := sample().marshal()
	require.NoError(t, err)
	require.Equal(t, `{"version":1,"network":"x0x.prod","machine":"`+strings.Repeat("ab", 32)+`","port":40123,"boot":"b7c3","netns":4026531840}`+"\n", string(b))
	got, err := parseRecord(b)
	require.NoError(t, err)
	require.Equal(t, sample().entry(), got.entry())
}

func TestParseRecordRefuses(t *testing.T) {
	valid := func(old, replacement string) string {
		b, _ := sample().marshal()
		s := strings.Replace(string(b), old, replacement, 1)
		if s == string(b) && old != replacement {
			t.Fatalf("%q is not in the sample", old)
		}
		return s
	}
	id := strings.Repeat("ab", 32)
	for name, tc := range map[string]struct {
		text string
		kind wire.Kind
	}{
		"empty":            {"", wire.KindCorrupt},
		"truncated":        {valid("}", ""), wire.KindCorrupt},
		"two values":       {valid("}", "}{}"), wire.KindCorrupt},
		"array":            {"[1]", wire.KindCorrupt},
		"null":             {"null", wire.KindUnsupported},
		"version 2":        {valid(`"version":1`, `"version":2`), wire.KindUnsupported},
		"no version":       {valid(`"version":1,`, ``), wire.KindUnsupported},
		"port 0":           {valid("40123", "0"), wire.KindCorrupt},
		"port 65536":       {valid("40123", "65536"), wire.KindCorrupt},
		"negative port":    {valid("40123", "-1"), wire.KindCorrupt},
		"short machine id": {valid(id, id[2:]), wire.KindCorrupt},
		"long machine id":  {valid(id, id+"00"), wire.KindCorrupt},
		"machine not hex":  {valid(id, strings.Repeat("zz", 32)), wire.KindCorrupt},
		"long network":     {valid("x0x.prod", strings.Repeat("n", maxNetworkID+1)), wire.KindCorrupt},
		"too large":        {valid("}", "}"+strings.Repeat(" ", maxRecord)), wire.KindTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseRecord([]byte(tc.text))
			require.Equal(t, tc.kind, wire.KindOf(err), "%v", err)
		})
	}
	_, err := parseRecord([]byte(valid(`"version":1`, `"later":{"x":[1]},"version":1`)))
	require.NoError(t, err, "members of later versions are ignored")
}

func FuzzParseRecord(f *testing.F) {
	b, _ := sample().marshal()
	f.Add(b)
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(strings.Repeat("[", 4096)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		again, err := r.marshal()
		if err != nil {
			t.Fatal(err)
		}
		r2, err := parseRecord(again)
		if err != nil {
			t.Fatalf("what was accepted is not accepted when written again: %v\n%s", err, again)
		}
		if r2.machine != r.machine || r2.Port != r.Port || r2.Network != r.Network || r2.Boot != r.Boot || r2.NetNS != r.NetNS {
			t.Fatalf("got %+v, want %+v", r2, r)
		}
	})
}
