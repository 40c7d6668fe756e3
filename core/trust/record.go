package trust

import (
	"encoding/json/jsontext"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// RevocationRecord is a revocation by the user's own word: it needs no proof
// and tells nobody. Those that others can check are in [Revocations].
type RevocationRecord struct {
	AgentID   identity.AgentID
	Reason    string
	At        time.Time
	RevokerID identity.AgentID // zero: the user

	extra jsontext.Value // fields of the file that nobody here knows
}

func (r *RevocationRecord) validate(op string) error {
	if r.AgentID.IsZero() {
		return wire.Errorf(wire.KindInvalidArgument, op, "the agent id is zero")
	}
	if len(r.Reason) > identity.MaxReasonSize || !utf8.ValidString(r.Reason) {
		return wire.Errorf(wire.KindInvalidArgument, op, "a reason is UTF-8 of at most %d bytes", identity.MaxReasonSize)
	}
	return nil
}

// Revoke blocks an agent for ever: [Store.SetTrust] and [Store.Put] cannot lift
// it, and [Store.Remove] does not. A second revocation of an agent changes
// nothing. The agent need not be a contact.
func (s *Store) Revoke(agent identity.AgentID, reason string) error {
	added, err := s.revokeOne(agent, reason)
	if added {
		s.changes.tell(agent)
	}
	return err
}

func (s *Store) revokeOne(agent identity.AgentID, reason string) (added bool, err error) {
	const op = "revoke"
	s.writing.Lock()
	defer s.writing.Unlock()
	r := RevocationRecord{AgentID: agent, Reason: reason, At: s.now()}
	if err := r.validate(op); err != nil {
		return false, err
	}
	if s.recorded(agent) {
		return false, nil
	}
	if len(s.records) >= MaxContacts {
		return false, wire.Errorf(wire.KindLimit, op, "there are %d revocations", MaxContacts)
	}
	records := append(slices.Clip(s.records), r)
	if err := s.save(op, records, unchanged); err != nil {
		return false, err
	}
	s.mu.Lock()
	s.records = records
	s.revoked[agent] = true
	s.mu.Unlock()
	return true, nil
}

// RevocationRecords returns the revocations by the user's word, oldest first.
func (s *Store) RevocationRecords() []RevocationRecord {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.records)
}

func (s *Store) recorded(agent identity.AgentID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.revoked[agent]
}
