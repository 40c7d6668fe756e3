package bridge

import (
	"context"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/record"
	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// presenceWalk reads the arguments of X0X_M_PRESENCE_FOAF and returns what it does. It ends by
// its own timeout, with what has come by then.
func (a *Agent) presenceWalk(args *record.Args) step {
	ttl := int(args.OptionalUint(255)) // the façade says which there are
	wait := finite(Timeout(uint32(args.OptionalUint(abi.NoTimeout)), 0))
	return func(ctx context.Context) ([]byte, error) {
		found, err := a.core.PresenceFOAF(ctx, ttl, wait)
		return appendPresence(nil, found), err
	}
}

// presenceChange reads the arguments of a method that changes who is watched and returns what
// it does; nil for other methods.
func (a *Agent) presenceChange(method uint32, args *record.Args) func() error {
	change := a.core.WatchPresence
	switch method {
	case abi.MWatchPresence:
	case abi.MUnwatchPresence:
		change = a.core.UnwatchPresence
	default:
		return nil
	}
	id := AgentID(args.ID())
	return func() error { return change(id) }
}

// appendPresence appends the result of X0X_M_PRESENCE and X0X_M_PRESENCE_FOAF.
func appendPresence(b []byte, entries []x0x.PresenceEntry) []byte {
	b = record.AppendArray(b, len(entries))
	for i := range entries {
		b = appendPresenceEntry(b, &entries[i])
	}
	return b
}

func appendPresenceEntry(b []byte, e *x0x.PresenceEntry) []byte {
	b = record.AppendArray(b, 6)
	b = record.AppendID(b, e.Agent)
	b = record.AppendID(b, e.Machine)
	b = record.AppendArray(b, len(e.Addresses))
	for _, addr := range e.Addresses {
		b = record.AppendString(b, addr.String())
	}
	b = record.AppendUint(b, unixMs(e.LastSeen))
	b = record.AppendUint(b, uint64(e.Source))
	return record.AppendBool(b, e.Online)
}
