package bindings

import (
	"fmt"
	"time"
)

// Sign signs payload in the name of the agent for the purpose that context names.
func (a *Agent) Sign(context string, payload []byte) ([]byte, error) {
	u, err := a.queue.callNow("sign", a.Handle(), MSign, context, given(payload))
	if err != nil {
		return nil, err
	}
	u.fields(1)
	return result(u, "sign", u.raw())
}

// Verify is nil if the agent has signed payload under context.
func (a *Agent) Verify(agent ID, context string, payload, signature []byte) error {
	return a.do("verify", MVerify, agent, context, given(payload), given(signature))
}

// given makes no bytes empty ones: nil is another thing in MessagePack.
func given(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// IdentityWords returns four words by which people compare an id.
func (a *Agent) IdentityWords(id ID) (string, error) {
	u, err := a.queue.callNow("identity words", a.Handle(), MIdentityWords, id)
	if err != nil {
		return "", err
	}
	u.fields(1)
	return result(u, "identity words", u.str())
}

// Named is a group or a store on a card: its name, and the invitation or topic.
type Named struct{ Name, Value string }

// CardOptions are the contents of a card.
type CardOptions struct {
	DisplayName               string
	Addresses                 []string // nil: where the agent listens
	Groups, Stores            []Named
	Lifetime                  time.Duration // in whole seconds; 0 is 30 days
	IncludeUser, HumanConsent bool
}

// Card makes a signed link in which the agent describes itself.
func (a *Agent) Card(o CardOptions) (link string, err error) {
	pairs := func(list []Named) [][]string {
		out := [][]string{}
		for _, n := range list {
			out = append(out, []string{n.Name, n.Value})
		}
		return out
	}
	u, err := a.queue.callNow("card", a.Handle(), MCard, o.DisplayName, o.Addresses, pairs(o.Groups), pairs(o.Stores),
		uint32(o.Lifetime/time.Second), o.IncludeUser, o.HumanConsent)
	if err != nil {
		return "", err
	}
	u.fields(1)
	return result(u, "card", u.str())
}

// ImportedCard is a card and what became of it.
type ImportedCard struct {
	Agent            ID
	Added            bool
	Level            TrustLevel
	DisplayName      string
	Machine, User    ID // zero for none
	Addresses        []string
	Groups, Stores   []Named
	Created, Expires time.Time
}

// ImportCard verifies a card and makes its agent a contact, unless it is one already.
func (a *Agent) ImportCard(link string, level TrustLevel) (c ImportedCard, err error) {
	u, err := a.queue.callNow("import card", a.Handle(), MImportCard, link, uint8(level))
	if err != nil {
		return c, err
	}
	pairs := func() (list []Named) {
		for range u.array() {
			u.fields(2)
			list = append(list, Named{u.str(), u.str()})
		}
		return list
	}
	u.fields(11)
	c = ImportedCard{Agent: u.id(), Added: u.bool(), Level: TrustLevel(u.uint()), DisplayName: u.str(), Machine: u.optionalID(), User: u.optionalID()}
	for range u.array() {
		c.Addresses = append(c.Addresses, u.str())
	}
	c.Groups, c.Stores = pairs(), pairs()
	c.Created, c.Expires = time.Unix(int64(u.uint()), 0), time.Unix(int64(u.uint()), 0)
	return result(u, "import card", c)
}

func (u *unpacker) optionalID() (id ID) {
	if u.null() {
		return id
	}
	return u.id()
}

// Certificate is the word of a person that an agent is theirs.
type Certificate struct {
	Bytes           []byte
	User            ID
	Issued, Expires time.Time
}

// Certificate returns the one of this agent; ok is false if there is none.
func (a *Agent) Certificate() (c Certificate, ok bool, err error) {
	u, err := a.queue.callNow("certificate", a.Handle(), MCertificate)
	if err != nil {
		return c, false, err
	}
	u.fields(4)
	if u.null() {
		return c, false, nil
	}
	c = Certificate{Bytes: u.raw(), User: u.id(), Issued: unixMilli(u.uint()), Expires: unixMilli(u.uint())}
	c, err = result(u, "certificate", c)
	return c, err == nil, err
}

// UserID returns the person behind the agent; ok is false if there is none.
func (a *Agent) UserID() (id ID, ok bool, err error) {
	u, err := a.queue.callNow("identity", a.Handle(), MIdentity)
	if err != nil {
		return id, false, err
	}
	u.fields(3)
	u.id()
	u.id()
	id = u.optionalID()
	if u.err != nil {
		return ID{}, false, fmt.Errorf("identity: %w", u.err)
	}
	return id, id != (ID{}), nil
}
