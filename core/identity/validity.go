package identity

import (
	"encoding/binary"
	"errors"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Why something signed does not count. Each comes wrapped in an error of
// [wire.KindAuth]; errors.Is tells them apart.
var (
	ErrExpired     = errors.New("it has expired")
	ErrFutureDated = errors.New("it is dated in the future")
	ErrSignature   = errors.New("the signature does not hold")
	ErrWrongSigner = errors.New("the signer may not say this")
)

// MaxClockSkew is how far ahead of the own clock a signed time may be. Later
// ones are refused: a thief of a key could otherwise date a statement so that it
// outlives whatever its owner says next.
const MaxClockSkew = 60 * time.Second

// maxUnixMilli is the end of the year 9999, the last one that RFC 3339 can write.
const maxUnixMilli = 253402300799999

// checkWindow holds the times of something signed against the clock.
func checkWindow(op string, issued, expires, now time.Time) error {
	if err := checkNotFuture(op, issued, now); err != nil {
		return err
	}
	if !now.Before(expires) {
		return wire.Errorf(wire.KindAuth, op, "%w (%s)", ErrExpired, expires.UTC().Format(time.RFC3339))
	}
	return nil
}

func checkNotFuture(op string, at, now time.Time) error {
	if at.After(now.Add(MaxClockSkew)) {
		return wire.Errorf(wire.KindAuth, op, "%w (%s)", ErrFutureDated, at.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkLifetime refuses times that cannot be written, an empty window, and one
// longer than max.
func checkLifetime(issued, expires time.Time, max time.Duration) error {
	switch {
	case issued.UnixMilli() < 0 || expires.UnixMilli() > maxUnixMilli:
		return errors.New("times must lie between 1970 and 9999")
	case !issued.Before(expires):
		return errors.New("it expires before it is issued")
	case expires.Sub(issued) > max:
		return errors.New("it lives longer than " + max.String())
	}
	return nil
}

// takeTime reads 8 bytes of Unix milliseconds, big-endian.
func takeTime(p *wire.Parser) time.Time {
	ms := p.U64()
	if ms > maxUnixMilli {
		p.Failf("time is after the year 9999")
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

func timeBytes(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.UnixMilli()))
}

// takeVersion reads the version byte of a format of which there is one version.
// Older and newer ones are [wire.KindUnsupported].
func takeVersion(op string, p *wire.Parser, want uint8) error {
	got := p.U8()
	if err := p.Err(); err != nil {
		return err
	}
	if got != want {
		return wire.Errorf(wire.KindUnsupported, op, "version %d of the format is not supported, only %d", got, want)
	}
	return nil
}

// takePublicKey reads 1,952 bytes through the cache of parsed keys.
func takePublicKey(p *wire.Parser) *PublicKey {
	b := p.Fixed(PublicKeySize)
	if b == nil {
		return nil
	}
	k, err := CachedPublicKey(b)
	if err != nil {
		p.Failf("%w", err)
	}
	return k
}

// checkText allows one line of at most max bytes of UTF-8. Control characters
// are refused, since such texts are shown to people and could forge what a
// terminal shows around them.
func checkText(what, s string, max int) error {
	switch {
	case len(s) > max:
		return errors.New(what + " is too long")
	case !utf8.ValidString(s):
		return errors.New(what + " is not UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return errors.New(what + " holds a control character")
		}
	}
	return nil
}
