package trust

import (
	"slices"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/store"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Open returns the contacts that are kept in the file at path, by custom
// contacts.json. Without a file there are none yet; the folder must exist.
//
//   - the file is damaged, truncated or too long: [wire.KindCorrupt]. It is left
//     as it is, and the text says how to recover. Starting without it would
//     unblock everyone who is blocked.
//   - others can write it: [wire.KindPolicy]
//   - the folder is missing: [wire.KindNotFound]; anything else of the disk:
//     [wire.KindIO]
//
// One process at a time may have the file open: see [store.Open].
func Open(path string) (*Store, error) {
	const op = "open contacts"
	file, err := store.Open(path, MaxContactsFile)
	if err != nil {
		return nil, err
	}
	s := NewStore()
	s.file = file
	text, err := file.Read()
	if wire.KindOf(err) == wire.KindNotFound {
		return s, nil
	}
	var image contactsImage
	if err == nil {
		image, err = parseContacts(text)
	}
	if wire.KindOf(err) == wire.KindCorrupt {
		return nil, wire.Errorf(wire.KindCorrupt, op, "%s is damaged and was left as it is: restore it from a backup or mend it, "+
			"or move it away to start without contacts, which also forgets who is blocked: %w", path, err)
	}
	if err != nil {
		return nil, err
	}
	for _, c := range image.contacts {
		s.contacts[c.AgentID] = &c
	}
	for _, r := range image.records {
		s.revoked[r.AgentID] = true
	}
	s.records, s.extra = image.records, image.extra
	return s, nil
}

// Flush writes what [Store.Touch] has noted since the last write. It does
// nothing when there is nothing to write, or no file.
func (s *Store) Flush() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.flush()
}

func (s *Store) flush() error {
	s.mu.RLock()
	dirty := s.dirty
	s.mu.RUnlock()
	if !dirty || s.file == nil {
		return nil
	}
	return s.write("flush contacts", s.records, unchanged)
}

// Close is [Store.Flush], and the end of changes: they fail with
// [wire.KindClosed] from now on, and what Touch notes stays in memory. Questions
// are answered as before. A second Close does nothing.
func (s *Store) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.flush()
}

// save puts on disk what the store will say after edit of its contacts, with
// these records of revocations. Nothing in memory changes, so a failed call
// leaves the store as it was. The caller holds s.writing.
func (s *Store) save(op string, records []RevocationRecord, edit func([]Contact) []Contact) error {
	if s.closed {
		return wire.Errorf(wire.KindClosed, op, "the contacts are closed")
	}
	if s.file == nil {
		return nil
	}
	return s.write(op, records, edit)
}

// unchanged, with and without are edits of a list ordered by id.
func unchanged(list []Contact) []Contact { return list }

func with(c Contact) func([]Contact) []Contact {
	return func(list []Contact) []Contact {
		i, found := position(list, c.AgentID)
		if found {
			list[i] = c
			return list
		}
		return slices.Insert(list, i, c)
	}
}

func without(agent identity.AgentID) func([]Contact) []Contact {
	return func(list []Contact) []Contact {
		if i, found := position(list, agent); found {
			return slices.Delete(list, i, i+1)
		}
		return list
	}
}

func position(list []Contact, agent identity.AgentID) (int, bool) {
	return slices.BinarySearchFunc(list, agent, func(c Contact, id identity.AgentID) int { return c.AgentID.Compare(id) })
}

// write replaces the file by the contacts as edit leaves them. The caller holds
// s.writing.
func (s *Store) write(op string, records []RevocationRecord, edit func([]Contact) []Contact) error {
	s.mu.Lock()
	list := s.listLocked()
	s.dirty = false // a Touch from here on is not in the list
	s.mu.Unlock()
	image := contactsImage{contacts: edit(list), records: records, extra: s.extra}
	text, err := image.marshal()
	if err == nil {
		err = s.file.Write(text)
	}
	if err != nil {
		s.mu.Lock()
		s.dirty = true // the file may even be the new one: write the old state again
		s.mu.Unlock()
		return wire.Errorf(wire.KindOf(err), op, "%w", err)
	}
	return nil
}
