package trust

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// reference is a file as the Rust x0x writes it (serde_json, to_string_pretty),
// with arrays on one line to be shorter here.
const reference = `{
  "contacts": [
    {
      "agent_id": [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255],
      "trust_level": "trusted",
      "label": "Ada",
      "added_at": 1767323045,
      "last_seen": 1767323046,
      "identity_type": "pinned",
      "machines": [
        {
          "machine_id": [10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
          "label": null,
          "first_seen": 1767323045,
          "last_seen": 1767323047,
          "pinned": true
        }
      ],
      "dm_capabilities": {"kem": [1, 2]}
    },
    {
      "agent_id": [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      "trust_level": "blocked",
      "label": null,
      "added_at": 1767323045,
      "last_seen": null
    }
  ],
  "revocations": [
    {
      "agent_id": [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      "reason": "stolen key",
      "timestamp": 1767323045,
      "revoker_id": null
    }
  ],
  "schema": 7
}`

func at(sec int64) time.Time { return time.Unix(sec, 0).UTC() }

func TestTheReferencesFileIsRead(t *testing.T) {
	ada := identity.AgentID{0: 1, 31: 255}
	image, err := parseContacts([]byte(reference))
	require.NoError(t, err)
	require.JSONEq(t, `{"dm_capabilities":{"kem":[1,2]}}`, string(image.contacts[0].extra))
	image.contacts[0].extra = nil
	require.Equal(t, []Contact{
		{AgentID: ada, Level: Trusted, Label: "Ada", AddedAt: at(1767323045), LastSeen: at(1767323046), IdentityType: IdentityPinned,
			Machines: []MachineRecord{{MachineID: laptop, FirstSeen: at(1767323045), LastSeen: at(1767323047), Pinned: true}}},
		{AgentID: bob, Level: Blocked, AddedAt: at(1767323045)},
	}, image.contacts)
	require.Equal(t, []RevocationRecord{{AgentID: identity.AgentID{3}, Reason: "stolen key", At: at(1767323045)}}, image.records)
}

// What the reference would see: ids as arrays of numbers, no field missing that
// its records need, and the fields that only it knows.
func TestTheReferenceCanReadOurFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "contacts.json")
	require.NoError(t, os.WriteFile(path, []byte(reference), 0o644))
	s, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, s.AddMachine(bob, phone, "phone"))
	require.NoError(t, s.Revoke(bob, "lost"))

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "contacts are nobody else's business")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	type machine struct {
		MachineID []int   `json:"machine_id"`
		Label     *string `json:"label"`
		FirstSeen uint64  `json:"first_seen"`
		LastSeen  uint64  `json:"last_seen"`
		Pinned    bool    `json:"pinned"`
	}
	var file struct {
		Contacts []struct {
			AgentID      []int          `json:"agent_id"`
			TrustLevel   string         `json:"trust_level"`
			Label        *string        `json:"label"`
			AddedAt      uint64         `json:"added_at"`
			LastSeen     *uint64        `json:"last_seen"`
			IdentityType string         `json:"identity_type"`
			Machines     []machine      `json:"machines"`
			DM           jsontext.Value `json:"dm_capabilities,omitzero"`
		} `json:"contacts"`
		Revocations []struct {
			AgentID   []int  `json:"agent_id"`
			Reason    string `json:"reason"`
			Timestamp uint64 `json:"timestamp"`
			RevokerID []int  `json:"revoker_id"`
		} `json:"revocations"`
		Schema int `json:"schema"`
	}
	require.NoError(t, json.Unmarshal(text, &file, json.RejectUnknownMembers(true)))
	require.Len(t, file.Contacts, 2)
	require.Len(t, file.Contacts[0].AgentID, 32)
	require.Equal(t, 255, file.Contacts[0].AgentID[31])
	require.JSONEq(t, `{"kem":[1,2]}`, string(file.Contacts[0].DM))
	require.Equal(t, "blocked", file.Contacts[1].TrustLevel)
	require.Equal(t, "anonymous", file.Contacts[1].IdentityType)
	require.Equal(t, "phone", *file.Contacts[1].Machines[0].Label)
	require.Len(t, file.Revocations, 2)
	require.Equal(t, "lost", file.Revocations[1].Reason)
	require.Equal(t, 7, file.Schema)
}

func TestOtherSpellings(t *testing.T) {
	hexID := strings.Repeat("aB", 32)
	image, err := parseContacts([]byte(`{"contacts":[
		{"agent_id":"` + hexID + `","trust_level":"Known","identity_type":"Trusted","added_at":0,"machines":[{"machine_id":"` + hexID + `"}]}]}`))
	require.NoError(t, err)
	id, err := identity.ParseAgentID(hexID)
	require.NoError(t, err)
	require.Equal(t, []Contact{{AgentID: id, Level: Known, IdentityType: IdentityTrusted,
		Machines: []MachineRecord{{MachineID: identity.MachineID(id)}}}}, image.contacts)
	require.Empty(t, image.records)

	long := strings.Repeat("é", 1000) // the Rust x0x has no limit
	image, err = parseContacts([]byte(`{"contacts":[{"agent_id":"` + hexID + `","trust_level":"blocked","label":"x` + long + `"}],
		"revocations":[{"agent_id":"` + hexID + `","reason":"` + long + `"}]}`))
	require.NoError(t, err)
	require.Equal(t, "x"+long[:2*(MaxLabelSize/2-1)], image.contacts[0].Label)
	require.Equal(t, long[:identity.MaxReasonSize], image.records[0].Reason)
}

// damaged files are refused whole: what cannot be read may be what blocks.
func damaged() map[string]string {
	const id = `"0100000000000000000000000000000000000000000000000000000000000000"`
	one := func(fields string) string { return `{"contacts":[{` + fields + `}],"revocations":[]}` }
	files := map[string]string{
		"empty":              "",
		"spaces":             " \n",
		"null":               "null",
		"list":               "[]",
		"no contacts":        "{}",
		"contacts null":      `{"contacts":null}`,
		"contacts object":    `{"contacts":{}}`,
		"two lists":          `{"contacts":[],"contacts":[]}`,
		"text behind":        `{"contacts":[]} x`,
		"second value":       `{"contacts":[]}{"contacts":[]}`,
		"comma":              `{"contacts":[],}`,
		"NUL bytes":          string(make([]byte, 512)),
		"key file":           string(make([]byte, 6000)),
		"broken UTF-8":       one(`"agent_id":` + id + `,"trust_level":"known","label":"` + "\xff" + `"`),
		"no id":              one(`"trust_level":"known"`),
		"no level":           one(`"agent_id":` + id),
		"level null":         one(`"agent_id":` + id + `,"trust_level":null`),
		"level nonsense":     one(`"agent_id":` + id + `,"trust_level":"admin"`),
		"level number":       one(`"agent_id":` + id + `,"trust_level":1`),
		"level twice":        one(`"agent_id":` + id + `,"trust_level":"blocked","trust_level":"trusted"`),
		"type nonsense":      one(`"agent_id":` + id + `,"trust_level":"known","identity_type":"root"`),
		"zero id":            one(`"agent_id":"` + strings.Repeat("0", 64) + `","trust_level":"known"`),
		"short id":           one(`"agent_id":"01","trust_level":"known"`),
		"id no hex":          one(`"agent_id":"` + strings.Repeat("g", 64) + `","trust_level":"known"`),
		"id of 31 numbers":   one(`"agent_id":[1` + strings.Repeat(",0", 30) + `],"trust_level":"known"`),
		"id of 33 numbers":   one(`"agent_id":[1` + strings.Repeat(",0", 32) + `],"trust_level":"known"`),
		"id above a byte":    one(`"agent_id":[256` + strings.Repeat(",0", 31) + `],"trust_level":"known"`),
		"id negative":        one(`"agent_id":[-1` + strings.Repeat(",0", 31) + `],"trust_level":"known"`),
		"id broken number":   one(`"agent_id":[1.5` + strings.Repeat(",0", 31) + `],"trust_level":"known"`),
		"id null":            one(`"agent_id":null,"trust_level":"known"`),
		"time negative":      one(`"agent_id":` + id + `,"trust_level":"known","added_at":-1`),
		"time beyond":        one(`"agent_id":` + id + `,"trust_level":"known","added_at":18446744073709551615`),
		"time text":          one(`"agent_id":` + id + `,"trust_level":"known","added_at":"now"`),
		"agent twice":        `{"contacts":[{"agent_id":` + id + `,"trust_level":"blocked"},{"agent_id":` + id + `,"trust_level":"trusted"}]}`,
		"machine twice":      one(`"agent_id":` + id + `,"trust_level":"known","machines":[{"machine_id":` + id + `},{"machine_id":` + id + `}]`),
		"machine without id": one(`"agent_id":` + id + `,"trust_level":"known","machines":[{}]`),
		"pinned maybe":       one(`"agent_id":` + id + `,"trust_level":"known","machines":[{"machine_id":` + id + `,"pinned":"maybe"}]`),
		"too many machines":  one(`"agent_id":` + id + `,"trust_level":"known","machines":[` + strings.Repeat(`{"machine_id":`+id+`},`, MaxMachines) + `{"machine_id":` + id + `}]`),
		"revocation of none": `{"contacts":[],"revocations":[{}]}`,
		"revocations text":   `{"contacts":[],"revocations":"none"}`,
		"very deep":          `{"contacts":[],"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`,
		"too many contacts":  `{"contacts":[` + strings.Repeat("{},", MaxContacts) + `{}]}`,
	}
	for _, n := range []int{1, 100, 700, len(reference) / 2, len(reference) - 2} {
		files["cut at "+reference[n-1:n]+string(rune('0'+n%10))] = reference[:n]
	}
	return files
}

func TestDamagedContactsAreRefusedAndLeft(t *testing.T) {
	for name, text := range damaged() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "contacts.json")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			s, err := Open(path)
			require.Nil(t, s)
			require.Equal(t, wire.KindCorrupt, wire.KindOf(err), "%v", err)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, "restore it from a backup")
			require.LessOrEqual(t, len(err.Error()), 1100)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, text, string(after))
		})
	}
}

func TestContactsThatAreTooLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "contacts.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"contacts":[]}`), 0o600))
	require.NoError(t, os.Truncate(path, MaxContactsFile+1))
	_, err := Open(path)
	require.Equal(t, wire.KindCorrupt, wire.KindOf(err))
	require.ErrorContains(t, err, "restore it from a backup")
}

// anyImage draws what a user may say.
func anyImage(t *rapid.T) contactsImage {
	id := func(label string) identity.AgentID {
		return identity.AgentID(rapid.SliceOfN(rapid.Byte(), 32, 32).Filter(func(b []byte) bool { return [32]byte(b) != [32]byte{} }).Draw(t, label))
	}
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		return wholeSeconds(time.Unix(rapid.Int64Range(0, maxUnix).Draw(t, "sec"), 0))
	})
	text := rapid.StringOfN(rapid.Rune(), 0, 64, MaxLabelSize)
	extra := rapid.SampledFrom([]jsontext.Value{nil, jsontext.Value(`{"x":1}`), jsontext.Value(`{"a":[{}],"b":"}"}`)})
	var image contactsImage
	for range rapid.IntRange(0, 5).Draw(t, "contacts") {
		c := Contact{
			AgentID: id("agent"), Level: Level(rapid.IntRange(0, 3).Draw(t, "level")), Label: text.Draw(t, "label"),
			AddedAt: moment.Draw(t, "added"), LastSeen: moment.Draw(t, "seen"),
			IdentityType: IdentityType(rapid.IntRange(0, 3).Draw(t, "type")), extra: extra.Draw(t, "extra"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "machines") {
			c.Machines = append(c.Machines, MachineRecord{
				MachineID: identity.MachineID(id("machine")), Label: text.Draw(t, "label"),
				FirstSeen: moment.Draw(t, "first"), LastSeen: moment.Draw(t, "last"), Pinned: rapid.Bool().Draw(t, "pinned"),
			})
		}
		image.contacts = append(image.contacts, c)
	}
	for range rapid.IntRange(0, 3).Draw(t, "records") {
		r := RevocationRecord{AgentID: id("revoked"), Reason: text.Draw(t, "reason"), At: moment.Draw(t, "at"), extra: extra.Draw(t, "extra")}
		if rapid.Bool().Draw(t, "revoker") {
			r.RevokerID = id("revoker")
		}
		image.records = append(image.records, r)
	}
	image.extra = extra.Draw(t, "extra")
	return image
}

func TestContactsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		image := anyImage(t)
		for _, c := range image.contacts {
			if c.validate("draw") != nil {
				t.Skip("an id twice")
			}
		}
		text, err := image.marshal()
		require.NoError(t, err)
		got, err := parseContacts(text)
		require.NoError(t, err, "%s", text)
		require.Equal(t, image, got)
		again, err := got.marshal()
		require.NoError(t, err)
		require.Equal(t, string(text), string(again), "one form for one state")
	})
}

func FuzzParseContacts(f *testing.F) {
	f.Add([]byte(reference))
	f.Add([]byte(`{"contacts":[],"revocations":[]}`))
	for _, text := range damaged() {
		if len(text) < 4096 {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		image, err := parseContacts(text)
		if err != nil {
			require.Equal(t, wire.KindCorrupt, wire.KindOf(err))
			require.Empty(t, image)
			return
		}
		ours, err := image.marshal()
		require.NoError(t, err)
		again, err := parseContacts(ours)
		require.NoError(t, err, "%s", ours)
		twice, err := again.marshal()
		require.NoError(t, err)
		require.Equal(t, string(ours), string(twice))
	})
}
