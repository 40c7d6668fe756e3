package trust

import (
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// Add takes a revocation that somebody has sent, and keeps it if it proves
// itself ([identity.Revocation.Verify]). It reports whether it is new, which is
// when it is worth passing on; that holds with an error of [wire.KindIO] as
// well, for what was proven counts even if the disk refuses to keep it.
//
// Errors: [wire.KindAuth] if it does not prove itself, [wire.KindLimit] if there
// is room for no more (see [MaxRevocations]), [wire.KindClosed] after Close.
func (r *Revocations) Add(what *identity.Revocation, now time.Time) (isNew bool, err error) {
	said := newRevoked(what)
	if r.has(said.fact()) { // before the dear part
		return false, nil
	}
	if err := what.Verify(now); err != nil {
		return false, err
	}
	return r.add(said, what.Marshal(), false)
}

// Keep is Add for a revocation that the user has made or asked for: it is on
// disk when the call returns, and never evicted.
func (r *Revocations) Keep(what *identity.Revocation, now time.Time) (isNew bool, err error) {
	if err := what.Verify(now); err != nil {
		return false, err
	}
	return r.add(newRevoked(what), what.Marshal(), true)
}

func newRevoked(r *identity.Revocation) Revoked {
	return Revoked{Subject: r.Subject, ID: r.ID, Reason: r.Reason, At: r.At, Signer: r.Signer.Digest()}
}

// readProof reads and proves a signed form that was kept. It was dated right
// when it was kept, whatever the clock says today.
func readProof(proof []byte) (Revoked, error) {
	r, err := identity.ParseRevocation(proof)
	if err == nil {
		err = r.Verify(r.At)
	}
	if err != nil {
		return Revoked{}, wire.Errorf(wire.KindCorrupt, "", "%w", err)
	}
	return newRevoked(r), nil
}
