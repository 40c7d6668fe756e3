package x0x

import (
	"time"

	"github.com/saorsa-labs/x0x-go/core/presence"
)

// SetTrust says what this agent thinks of another. It takes effect at once, also on open
// connections and subscriptions. Blocking is silent: the other side sees what it would see
// from an agent that does not read. Setting a level makes a contact record.
func (a *Agent) SetTrust(id AgentID, level TrustLevel) error {
	if err := a.usable("set trust"); err != nil {
		return err
	}
	return a.trust.SetTrust(id, level)
}

// Block is SetTrust with TrustBlocked.
func (a *Agent) Block(id AgentID) error { return a.SetTrust(id, TrustBlocked) }

// Trust returns the level of an agent, TrustUnknown without a contact record.
func (a *Agent) Trust(id AgentID) TrustLevel { return a.trust.Trust(id) }

// Contacts returns all contact records. They live in memory in this version.
func (a *Agent) Contacts() []Contact { return a.trust.List() }

// RemoveContact forgets an opinion, and reports whether there was one.
func (a *Agent) RemoveContact(id AgentID) bool { return a.trust.Remove(id) }

// trustChanged carries a change to what is open already; topics ask for each message. Of two
// changes at once, the slower goroutine may have read the older opinion: it looks again.
func (a *Agent) trustChanged(id AgentID) {
	for seen := a.opinions.Add(1); ; {
		a.direct.PolicyChanged(id)
		if n := a.net.Load(); n != nil {
			n.presence.change(func(s *presence.State, now time.Time) { s.TrustChanged(id, now) })
		}
		now := a.opinions.Load()
		if now == seen {
			return
		}
		seen = now
	}
}
