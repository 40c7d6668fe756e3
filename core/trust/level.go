package trust

import (
	"strconv"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Level is how far the user trusts an agent. Levels are ordered. The zero value
// is Blocked, so that a record somebody forgot to fill fails closed.
type Level uint8

const (
	Blocked Level = iota // nothing of this agent is delivered
	Unknown              // no opinion: a stranger
	Known                // the user knows this agent
	Trusted              // the user relies on this agent
)

var levelNames = [...]string{Blocked: "blocked", Unknown: "unknown", Known: "known", Trusted: "trusted"}

// String returns the lower-case name.
func (l Level) String() string { return nameOf(levelNames[:], uint8(l)) }

// ParseLevel reads what String writes; [wire.KindInvalidArgument] otherwise.
func ParseLevel(s string) (Level, error) { return parse[Level]("trust level", levelNames[:], s) }

// MarshalText implements [encoding.TextMarshaler].
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. It leaves l unchanged on
// error.
func (l *Level) UnmarshalText(text []byte) error { return unmarshal(l, text, ParseLevel) }

func (l Level) valid() bool { return int(l) < len(levelNames) }

// IdentityType is how the user knows that an agent is who it is.
type IdentityType uint8

const (
	IdentityAnonymous IdentityType = iota // by its id only
	IdentityKnown                         // met before
	IdentityTrusted                       // checked by the user
	IdentityPinned                        // only on machines that the user pinned
)

var identityTypeNames = [...]string{"anonymous", "known", "trusted", "pinned"}

// String returns the lower-case name.
func (t IdentityType) String() string { return nameOf(identityTypeNames[:], uint8(t)) }

// ParseIdentityType reads what String writes; [wire.KindInvalidArgument] otherwise.
func ParseIdentityType(s string) (IdentityType, error) {
	return parse[IdentityType]("identity type", identityTypeNames[:], s)
}

// MarshalText implements [encoding.TextMarshaler].
func (t IdentityType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. It leaves t unchanged on
// error.
func (t *IdentityType) UnmarshalText(text []byte) error { return unmarshal(t, text, ParseIdentityType) }

func (t IdentityType) valid() bool { return int(t) < len(identityTypeNames) }

// Decision is what the contacts say about an arrival from an agent on a machine.
type Decision uint8

const (
	DecisionUnknown       Decision = iota // a stranger: delivered, marked so
	Accept                                // delivered
	AcceptWithFlag                        // delivered, known but not trusted
	RejectBlocked                         // not delivered: the user blocked the agent, or it was revoked
	RejectMachineMismatch                 // not delivered: pinned to other machines

	decisions // how many there are
)

var decisionNames = [decisions]string{"Unknown", "Accept", "AcceptWithFlag", "RejectBlocked", "RejectMachineMismatch"}

// String returns the name as users know it, e.g. "AcceptWithFlag".
func (d Decision) String() string { return nameOf(decisionNames[:], uint8(d)) }

// Delivered reports whether an arrival with this decision goes to the
// application, as far as the contacts are concerned.
func (d Decision) Delivered() bool { return d <= AcceptWithFlag }

// MarshalText implements [encoding.TextMarshaler].
func (d Decision) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func nameOf(names []string, v uint8) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "invalid(" + strconv.Itoa(int(v)) + ")"
}

func parse[T ~uint8](what string, names []string, s string) (T, error) {
	for i, name := range names {
		if s == name {
			return T(i), nil
		}
	}
	return 0, wire.Errorf(wire.KindInvalidArgument, "parse "+what, "%.32q is none of %q", s, names)
}

func unmarshal[T any](dst *T, text []byte, parse func(string) (T, error)) error {
	v, err := parse(string(text))
	if err == nil {
		*dst = v
	}
	return err
}
