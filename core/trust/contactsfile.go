package trust

import (
	"bytes"
	"encoding/hex"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// MaxContactsFile bounds the file of contacts in bytes: what is longer is not
// read, and a change that would make it longer fails with [wire.KindLimit].
const MaxContactsFile = 64 << 20

// contactsFile is the file of contacts, in the schema of the Rust x0x, which
// can read what is written here and the other way round:
//
//	{
//	  "contacts": [
//	    {"agent_id":[1,2,…32 numbers],"trust_level":"known","label":"Ada" or null,
//	     "added_at":1767323045,"last_seen":1767323045 or null,"identity_type":"pinned",
//	     "machines":[{"machine_id":[…],"label":null,"first_seen":1767323045,"last_seen":0,"pinned":true}]},
//	    … one line each, ordered by id
//	  ],
//	  "revocations": [
//	    {"agent_id":[…],"reason":"stolen","timestamp":1767323045,"revoker_id":[…] or null}
//	  ]
//	}
//
// Times are seconds since 1970; 0 and null are never. Read are also ids as 64
// hexadecimal digits, names of either case, and records without identity_type
// or machines, as older versions wrote them; longer texts are cut to what is
// allowed here. Other fields of the file, of a
// contact and of a revocation are kept as they are. A field that is there
// twice, or an agent, makes the file corrupt: there is no telling which is meant.
type contactsFile struct {
	Contacts    []fileContact  `json:"contacts"`
	Revocations []fileRecord   `json:"revocations"`
	Extra       jsontext.Value `json:",embed"`
}

type fileContact struct {
	AgentID      fileID         `json:"agent_id"`
	TrustLevel   string         `json:"trust_level"`
	Label        *string        `json:"label"`
	AddedAt      fileTime       `json:"added_at"`
	LastSeen     *fileTime      `json:"last_seen"`
	IdentityType string         `json:"identity_type"`
	Machines     []fileMachine  `json:"machines"`
	Extra        jsontext.Value `json:",embed"`
}

type fileMachine struct {
	MachineID fileID   `json:"machine_id"`
	Label     *string  `json:"label"`
	FirstSeen fileTime `json:"first_seen"`
	LastSeen  fileTime `json:"last_seen"`
	Pinned    bool     `json:"pinned"`
}

type fileRecord struct {
	AgentID   fileID         `json:"agent_id"`
	Reason    string         `json:"reason"`
	Timestamp fileTime       `json:"timestamp"`
	RevokerID *fileID        `json:"revoker_id"`
	Extra     jsontext.Value `json:",embed"`
}

// contactsImage is what a file of contacts says.
type contactsImage struct {
	contacts []Contact
	records  []RevocationRecord
	extra    jsontext.Value // fields of the file that nobody here knows
}

// parseContacts reads a file of contacts, all of it or nothing: a record that
// was skipped might be one that blocks. Its errors are [wire.KindCorrupt].
func parseContacts(text []byte) (contactsImage, error) {
	const op = "parse contacts"
	var image contactsImage
	var file contactsFile
	if err := json.Unmarshal(text, &file); err != nil {
		return image, wire.Errorf(wire.KindCorrupt, op, "%w", err)
	}
	if file.Contacts == nil {
		return image, wire.Errorf(wire.KindCorrupt, op, "there is no list of contacts")
	}
	if len(file.Contacts) > MaxContacts || len(file.Revocations) > MaxContacts {
		return image, wire.Errorf(wire.KindCorrupt, op, "more than %d contacts or revocations", MaxContacts)
	}
	image.extra = file.Extra
	seen := make(map[identity.AgentID]bool, len(file.Contacts))
	for i := range file.Contacts {
		c, err := file.Contacts[i].contact()
		if err == nil {
			err = c.validate(op)
		}
		if err == nil && seen[c.AgentID] {
			err = wire.Errorf(wire.KindCorrupt, op, "the agent is there twice")
		}
		if err != nil {
			return contactsImage{}, wire.Errorf(wire.KindCorrupt, op, "contact %d: %w", i+1, err)
		}
		seen[c.AgentID] = true
		image.contacts = append(image.contacts, c)
	}
	for i := range file.Revocations {
		r := file.Revocations[i].record()
		if err := r.validate(op); err != nil {
			return contactsImage{}, wire.Errorf(wire.KindCorrupt, op, "revocation %d: %w", i+1, err)
		}
		image.records = append(image.records, r)
	}
	return image, nil
}

// marshal writes what parseContacts reads.
func (image contactsImage) marshal() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{\n  \"contacts\": [")
	if err := writeLines(&b, image.contacts, newFileContact); err != nil {
		return nil, err
	}
	b.WriteString("],\n  \"revocations\": [")
	if err := writeLines(&b, image.records, newFileRecord); err != nil {
		return nil, err
	}
	b.WriteByte(']')
	if fields := bytes.TrimSuffix(bytes.TrimPrefix(image.extra, []byte("{")), []byte("}")); len(bytes.TrimSpace(fields)) > 0 {
		b.WriteString(",\n  ")
		b.Write(bytes.TrimSpace(fields))
	}
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}

// writeLines writes the elements of a list, one line each.
func writeLines[T, F any](b *bytes.Buffer, list []T, form func(*T) F) error {
	for i := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    ")
		if err := json.MarshalWrite(b, form(&list[i])); err != nil {
			return wire.Errorf(wire.KindInvalidArgument, "write contacts", "%w", err)
		}
	}
	if len(list) > 0 {
		b.WriteString("\n  ")
	}
	return nil
}

func newFileContact(c *Contact) fileContact {
	f := fileContact{
		AgentID: fileID(c.AgentID), TrustLevel: c.Level.String(), Label: fileLabel(c.Label),
		AddedAt: fileTime(c.AddedAt), IdentityType: c.IdentityType.String(),
		Machines: make([]fileMachine, 0, len(c.Machines)), Extra: c.extra,
	}
	if !c.LastSeen.IsZero() {
		f.LastSeen = (*fileTime)(&c.LastSeen)
	}
	for _, m := range c.Machines {
		f.Machines = append(f.Machines, fileMachine{
			MachineID: fileID(m.MachineID), Label: fileLabel(m.Label),
			FirstSeen: fileTime(m.FirstSeen), LastSeen: fileTime(m.LastSeen), Pinned: m.Pinned,
		})
	}
	return f
}

func (f *fileContact) contact() (c Contact, err error) {
	c = Contact{
		AgentID: identity.AgentID(f.AgentID), Label: label(f.Label),
		AddedAt: time.Time(f.AddedAt), extra: slices.Clone(f.Extra),
	}
	if f.LastSeen != nil {
		c.LastSeen = time.Time(*f.LastSeen)
	}
	if c.Level, err = ParseLevel(strings.ToLower(f.TrustLevel)); err != nil {
		return c, err
	}
	if f.IdentityType != "" { // older versions knew no types
		if c.IdentityType, err = ParseIdentityType(strings.ToLower(f.IdentityType)); err != nil {
			return c, err
		}
	}
	for _, m := range f.Machines {
		c.Machines = append(c.Machines, MachineRecord{
			MachineID: identity.MachineID(m.MachineID), Label: label(m.Label),
			FirstSeen: time.Time(m.FirstSeen), LastSeen: time.Time(m.LastSeen), Pinned: m.Pinned,
		})
	}
	return c, nil
}

func newFileRecord(r *RevocationRecord) fileRecord {
	f := fileRecord{AgentID: fileID(r.AgentID), Reason: r.Reason, Timestamp: fileTime(r.At), Extra: r.extra}
	if !r.RevokerID.IsZero() {
		f.RevokerID = (*fileID)(&r.RevokerID)
	}
	return f
}

func (f *fileRecord) record() RevocationRecord {
	r := RevocationRecord{
		AgentID: identity.AgentID(f.AgentID), Reason: cut(f.Reason, identity.MaxReasonSize), At: time.Time(f.Timestamp), extra: slices.Clone(f.Extra),
	}
	if f.RevokerID != nil {
		r.RevokerID = identity.AgentID(*f.RevokerID)
	}
	return r
}

func fileLabel(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func label(s *string) string {
	if s == nil {
		return ""
	}
	return cut(*s, MaxLabelSize)
}

// cut returns the first max bytes of a text, or fewer so as not to break a character.
func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max]
}

// fileID is an id in the file: 32 numbers, or 64 hexadecimal digits.
type fileID [identity.IDSize]byte

func (id fileID) MarshalJSONTo(enc *jsontext.Encoder) error {
	var numbers [identity.IDSize]uint16 // of bytes a string would come
	for i, b := range id {
		numbers[i] = uint16(b)
	}
	return json.MarshalEncode(enc, numbers)
}

func (id *fileID) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		var digits string
		if err := json.UnmarshalDecode(dec, &digits); err != nil {
			return err
		}
		if len(digits) != hex.EncodedLen(len(id)) {
			return errFileID
		}
		_, err := hex.Decode(id[:], []byte(digits))
		return err
	}
	var numbers [identity.IDSize]uint16 // of exactly this length
	if err := json.UnmarshalDecode(dec, &numbers); err != nil {
		return err
	}
	for i, n := range numbers {
		if n > 0xff {
			return errFileID
		}
		id[i] = byte(n)
	}
	return nil
}

var errFileID = wire.Errorf(wire.KindCorrupt, "parse id", "an id is %d numbers below 256, or %d hexadecimal digits", identity.IDSize, 2*identity.IDSize)

// fileTime is a time in the file: whole seconds since 1970, 0 is never.
type fileTime time.Time

func (t fileTime) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteToken(jsontext.Int(max(0, time.Time(t).Unix())))
}

func (t *fileTime) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	var sec uint64
	if err := json.UnmarshalDecode(dec, &sec); err != nil {
		return err
	}
	if sec > maxUnix {
		return wire.Errorf(wire.KindCorrupt, "parse time", "%d is after the year 9999", sec)
	}
	*t = fileTime(wholeSeconds(time.Unix(int64(sec), 0)))
	return nil
}

// maxUnix is the last second that other languages can show.
const maxUnix = 253402300799

// wholeSeconds is t as the file keeps it; what it cannot keep is never.
func wholeSeconds(t time.Time) time.Time {
	if sec := t.Unix(); sec > 0 && sec <= maxUnix {
		return time.Unix(sec, 0).UTC()
	}
	return time.Time{}
}
