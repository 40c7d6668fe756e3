package bridge

import (
	"net/netip"
	"time"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/record"
	"github.com/saorsa-labs/x0x-go/core/wire"
	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// maxCardEntries bounds the lists of a card here; the core has bounds of its own below it.
const maxCardEntries = 64

// callIdentity runs the methods about who an agent is and what it says in its name; mine is
// false for other methods.
func (a *Agent) callIdentity(method uint32, args *record.Args, room int) (b []byte, mine bool, err error) {
	var run func() ([]byte, error)
	switch method {
	case abi.MSign:
		context, payload := args.String(), args.Bytes()
		run = func() ([]byte, error) {
			signature, err := a.core.Sign(context, payload)
			return record.AppendBytes(record.AppendArray(nil, 1), signature), err
		}
	case abi.MVerify:
		id, context, payload, signature := AgentID(args.ID()), args.String(), args.Bytes(), args.Bytes()
		run = func() ([]byte, error) {
			return record.AppendNil(nil), x0x.Verify(id, context, payload, signature)
		}
	case abi.MIdentityWords:
		id := AgentID(args.ID())
		run = func() ([]byte, error) {
			return record.AppendString(record.AppendArray(nil, 1), x0x.IdentityWords(id)), nil
		}
	case abi.MCard:
		o, err := cardOptions(args)
		if err != nil {
			return nil, true, err
		}
		run = func() ([]byte, error) {
			card, err := a.core.Card(o)
			if err != nil {
				return nil, err
			}
			return record.AppendString(record.AppendArray(nil, 1), card.Link()), nil
		}
	case abi.MImportCard:
		link, level := args.String(), TrustLevel(abi.TrustKnown)
		if args.More() {
			level = TrustLevel(args.Uint(abi.TrustTrusted))
		}
		run = func() ([]byte, error) {
			if room < len(link)+sizeImported {
				// The result may not fit, and importing twice would say that nothing was added.
				return make([]byte, len(link)+sizeImported), nil
			}
			done, err := a.core.ImportCard(link, level)
			if err != nil {
				return nil, err
			}
			return appendImported(nil, &done), nil
		}
	case abi.MCertificate:
		run = func() ([]byte, error) {
			c, err := a.core.Certificate()
			if err != nil {
				return nil, err
			}
			return appendCertificate(nil, c), nil
		}
	default:
		return nil, false, nil
	}
	if err := args.Done(); err != nil {
		return nil, true, err
	}
	b, err = run()
	if err != nil {
		return nil, true, err
	}
	return b, true, nil
}

func cardOptions(args *record.Args) (x0x.CardOptions, error) {
	o := x0x.CardOptions{DisplayName: args.OptionalString()}
	texts := args.OptionalStrings(maxCardEntries)
	if texts != nil {
		o.Addresses = []netip.AddrPort{}
	}
	for i, text := range texts {
		addr, err := netip.ParseAddrPort(text)
		if err != nil {
			return o, wire.Errorf(wire.KindInvalidArgument, "card", "address %d is not IP:port", i+1)
		}
		o.Addresses = append(o.Addresses, addr)
	}
	for _, g := range args.OptionalPairs(maxCardEntries) {
		o.Groups = append(o.Groups, x0x.CardGroup{Name: g[0], InviteLink: g[1]})
	}
	for _, s := range args.OptionalPairs(maxCardEntries) {
		o.Stores = append(o.Stores, x0x.CardStore{Name: s[0], Topic: s[1]})
	}
	o.Lifetime = time.Duration(args.OptionalUint(1<<32-1)) * time.Second
	o.IncludeUser, o.HumanConsent = args.OptionalBool(), args.OptionalBool()
	return o, nil
}

// sizeImported is more than what a result has besides the texts of the card, which are shorter
// than its link.
const sizeImported = 4096

func appendImported(b []byte, done *x0x.ImportedCard) []byte {
	c := done.Card
	b = record.AppendArray(b, 11)
	b = record.AppendID(b, c.AgentID)
	b = record.AppendBool(b, done.Added)
	b = record.AppendUint(b, uint64(done.Level))
	b = record.AppendString(b, c.DisplayName)
	if c.MachineID.IsZero() {
		b = record.AppendNil(b)
	} else {
		b = record.AppendID(b, c.MachineID)
	}
	if c.UserID.IsZero() {
		b = record.AppendNil(b)
	} else {
		b = record.AppendID(b, c.UserID)
	}
	b = record.AppendArray(b, len(c.Addresses))
	for _, addr := range c.Addresses {
		b = record.AppendString(b, addr.String())
	}
	b = record.AppendArray(b, len(c.Groups))
	for _, g := range c.Groups {
		b = record.AppendString(record.AppendString(record.AppendArray(b, 2), g.Name), g.InviteLink)
	}
	b = record.AppendArray(b, len(c.Stores))
	for _, s := range c.Stores {
		b = record.AppendString(record.AppendString(record.AppendArray(b, 2), s.Name), s.Topic)
	}
	b = record.AppendUint(b, uint64(max(c.CreatedAt.Unix(), 0)))
	return record.AppendUint(b, uint64(max(c.ExpiresAt.Unix(), 0)))
}

func appendCertificate(b []byte, c *x0x.Certificate) []byte {
	b = record.AppendArray(b, 4)
	if c == nil {
		b = record.AppendNil(record.AppendNil(b))
		return record.AppendUint(record.AppendUint(b, 0), 0)
	}
	b = record.AppendBytes(b, c.Marshal())
	b = record.AppendID(b, c.UserID())
	b = record.AppendUint(b, unixMs(c.IssuedAt))
	return record.AppendUint(b, unixMs(c.ExpiresAt))
}
