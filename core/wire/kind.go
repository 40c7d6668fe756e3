package wire

import "strconv"

// Kind says what went wrong, coarsely enough for a caller to branch on. There
// is one table for every language; the numbers are the C statuses X0X_E_* of
// include/x0x.h and never change their meaning.
type Kind int32

// The hundreds group the kinds: 1 the call itself, 2 its fate in time, 3 the
// network, 4 authenticity and storage, 5 rules and limits, 9 our own faults.
const (
	KindInvalidArgument Kind = -101 // an argument is outside what the call documents
	KindBadHandle       Kind = -102 // a handle that is not, or no longer, in use
	KindWrongKind       Kind = -103 // a handle of another kind of object
	KindTooSmall        Kind = -104 // a buffer of the caller is too small
	KindUnsupported     Kind = -105 // not on this platform, or not in this version

	KindClosed    Kind = -201 // the object was closed by this side
	KindBusy      Kind = -202 // in use, or too much in flight: try again later
	KindCancelled Kind = -203 // cancelled by the caller
	KindTimeout   Kind = -204 // the time given has passed

	KindNotFound        Kind = -301 // no such thing
	KindUnreachable     Kind = -302 // no path to the peer was found
	KindDisconnected    Kind = -303 // the connection to the peer was lost
	KindNetworkMismatch Kind = -304 // the peer belongs to another network

	KindAuth    Kind = -401 // a signature, proof or pinned id does not hold
	KindCorrupt Kind = -402 // bytes that break their format
	KindIO      Kind = -403 // the operating system refused

	KindBlocked  Kind = -501 // this side has blocked that agent
	KindPolicy   Kind = -502 // a rule of this or the other side refuses
	KindTooLarge Kind = -503 // over a documented size
	KindLimit    Kind = -504 // a bounded resource is used up
	KindLagged   Kind = -505 // the reader was too slow and records were dropped

	KindPanic    Kind = -901 // a fault of this library, recovered
	KindPoisoned Kind = -902 // the object saw a panic and refuses work
	KindForked   Kind = -903 // used in a child after fork
)

// kinds is the table in the order of the header.
var kinds = [...]struct {
	kind         Kind
	name, symbol string
}{
	{KindInvalidArgument, "invalid_argument", "X0X_E_INVALID_ARGUMENT"},
	{KindBadHandle, "bad_handle", "X0X_E_BAD_HANDLE"},
	{KindWrongKind, "wrong_kind", "X0X_E_WRONG_KIND"},
	{KindTooSmall, "too_small", "X0X_E_TOO_SMALL"},
	{KindUnsupported, "unsupported", "X0X_E_UNSUPPORTED"},
	{KindClosed, "closed", "X0X_E_CLOSED"},
	{KindBusy, "busy", "X0X_E_BUSY"},
	{KindCancelled, "cancelled", "X0X_E_CANCELLED"},
	{KindTimeout, "timeout", "X0X_E_TIMEOUT"},
	{KindNotFound, "not_found", "X0X_E_NOT_FOUND"},
	{KindUnreachable, "unreachable", "X0X_E_UNREACHABLE"},
	{KindDisconnected, "disconnected", "X0X_E_DISCONNECTED"},
	{KindNetworkMismatch, "network_mismatch", "X0X_E_NETWORK_MISMATCH"},
	{KindAuth, "auth", "X0X_E_AUTH"},
	{KindCorrupt, "corrupt", "X0X_E_CORRUPT"},
	{KindIO, "io", "X0X_E_IO"},
	{KindBlocked, "blocked", "X0X_E_BLOCKED"},
	{KindPolicy, "policy", "X0X_E_POLICY"},
	{KindTooLarge, "too_large", "X0X_E_TOO_LARGE"},
	{KindLimit, "limit", "X0X_E_LIMIT"},
	{KindLagged, "lagged", "X0X_E_LAGGED"},
	{KindPanic, "panic", "X0X_E_PANIC"},
	{KindPoisoned, "poisoned", "X0X_E_POISONED"},
	{KindForked, "forked", "X0X_E_FORKED"},
}

// Kinds returns every kind, in the order of the header.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i := range kinds {
		all[i] = kinds[i].kind
	}
	return all
}

// String returns the name of the kind, such as "timeout"; "ok" for 0 and
// "kind(N)" for a number outside the table.
func (k Kind) String() string {
	if k == 0 {
		return "ok"
	}
	for i := range kinds {
		if kinds[i].kind == k {
			return kinds[i].name
		}
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Symbol returns the name of the kind in C and the code of the error in Python
// and Node, such as "X0X_E_TIMEOUT"; "X0X_OK" for 0 and "" for a number outside
// the table.
func (k Kind) Symbol() string {
	if k == 0 {
		return "X0X_OK"
	}
	for i := range kinds {
		if kinds[i].kind == k {
			return kinds[i].symbol
		}
	}
	return ""
}
