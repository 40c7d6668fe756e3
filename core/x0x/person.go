package x0x

import (
	"errors"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/trust"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Certificate is the word of a person that an agent is theirs, for a time.
type Certificate = identity.Certificate

const (
	// certificateLifetime is how long a certificate that is issued here holds: a year is as
	// long as a lost user key can go on to speak for its owner.
	certificateLifetime = 365 * 24 * time.Hour
	// certificateRenewal is how long before its end a certificate is issued anew, so that
	// others see the new one long before the old one ends.
	certificateRenewal = 90 * 24 * time.Hour
)

// person is whose agent this is: a user key, a certificate that one has signed, or nobody.
type person struct {
	key, agent *identity.Key // key is nil where only a certificate is here
	path       string        // of the certificate, "" for memory

	mu   sync.Mutex
	cert *Certificate
}

// Names of files in the identity folder, beside the keys.
const (
	contactsFile    = "contacts.json"
	revocationsFile = "revocations.dat"
)

// open reads what else a persistent identity holds: whose it is, its contacts, and who is
// revoked. A damaged file is an error and left as it is: to start without it would unblock
// everyone.
func (k *keys) open(o Options) (*person, *trust.Store, *trust.Revocations, error) {
	p := &person{key: k.user, agent: k.agent, path: k.file(identity.CertificateFile)}
	if err := p.load(time.Now()); err != nil {
		return nil, nil, nil, err
	}
	path := o.ContactsPath
	if path == "" {
		path = k.file(contactsFile)
	}
	contacts := trust.NewStore()
	if path != "" {
		var err error
		if contacts, err = trust.Open(path); err != nil {
			return nil, nil, nil, err
		}
	}
	if k.dir == nil {
		return p, contacts, trust.NewRevocations(contacts), nil
	}
	revocations, err := trust.OpenRevocations(k.file(revocationsFile), contacts)
	return p, contacts, revocations, err
}

// load reads the certificate of the folder, and issues one if there is a user key to do so.
func (p *person) load(now time.Time) error {
	if p.path != "" {
		if err := p.read(now); err != nil && wire.KindOf(err) != wire.KindNotFound {
			return err
		}
	}
	_, err := p.certificate(now)
	return err
}

// read fails for a certificate that is damaged or says something else than the options, which
// is never overwritten.
func (p *person) read(now time.Time) error {
	var err error
	if p.cert, err = identity.LoadCertificate(p.path); err != nil {
		return err
	}
	if err := p.fits(now); err != nil {
		return wire.Errorf(wire.KindAuth, "load certificate", "%s was left as it is: move it away to do without: %w", p.path, err)
	}
	return nil
}

// fits says why the certificate of the folder cannot be this agent's. That it has ended is no
// such reason.
func (p *person) fits(now time.Time) error {
	if p.cert.Agent != p.agent.Public().AgentID() {
		return wire.Errorf(wire.KindAuth, "", "it is for agent %s", p.cert.Agent.Short())
	}
	if p.key != nil && p.cert.UserID() != p.key.Public().UserID() {
		return wire.Errorf(wire.KindAuth, "", "it is of user %s, the key of %s", p.cert.UserID().Short(), p.key.Public().UserID().Short())
	}
	if err := p.cert.Verify(now); err != nil && !errors.Is(err, identity.ErrExpired) {
		return err
	}
	return nil
}

// certificate returns the one that holds at now, nil if there is none. With a user key it is
// renewed in time.
func (p *person) certificate(now time.Time) (*Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.cert; c != nil && now.Before(c.ExpiresAt) && (p.key == nil || now.Before(c.ExpiresAt.Add(-certificateRenewal))) {
		return c, nil
	}
	if p.key == nil {
		return nil, nil
	}
	c, err := identity.IssueCertificate(p.key, p.agent.Public().AgentID(), now, now.Add(certificateLifetime))
	if err != nil {
		return nil, err
	}
	if c, err = c.Accept(p.agent); err != nil {
		return nil, err
	}
	if p.path != "" {
		if err := identity.SaveCertificate(p.path, c); err != nil {
			return nil, err
		}
	}
	p.cert = c
	return c, nil
}

// UserID returns the person behind the agent, by the user key or a certificate that holds;
// false if there is none. Nobody else learns it unless it is put into a card.
func (a *Agent) UserID() (UserID, bool) {
	if a.person.key != nil {
		return a.person.key.Public().UserID(), true
	}
	if c, err := a.person.certificate(time.Now()); err == nil && c != nil {
		return c.UserID(), true
	}
	return UserID{}, false
}

// Certificate returns the certificate by which the person behind the agent says that it is
// theirs; nil if there is none. It is issued when the agent is made with a user key, kept as
// agent.cert in the folder of a persistent identity, and renewed in time where the user key is.
// An agent whose folder holds only the certificate needs no user key, which can stay offline.
func (a *Agent) Certificate() (*Certificate, error) {
	if err := a.usable("certificate"); err != nil {
		return nil, err
	}
	return a.person.certificate(time.Now())
}

// discloseUser returns the certificate that shows the person behind the agent, if that person
// agrees: ErrPolicy without consent, ErrNotFound without a user.
func (a *Agent) discloseUser(op string, humanConsent bool) (*Certificate, error) {
	if !humanConsent {
		return nil, wire.Errorf(wire.KindPolicy, op, "human identity disclosure requires explicit human consent — set human_consent: true")
	}
	c, err := a.Certificate()
	if err == nil && c == nil {
		err = wire.Errorf(wire.KindNotFound, op, "human identity disclosure requested but no user identity is configured — set user_key_path")
	}
	return c, err
}
