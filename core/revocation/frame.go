package revocation

import (
	"crypto/sha256"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// frameType is the first byte of a frame.
type frameType byte

const (
	frameSummary    frameType = 0x70 // the hash of all that the sender has
	frameHave       frameType = 0x71 // names of some that the sender has
	frameWant       frameType = 0x72 // names of some that the sender asks for
	frameRevocation frameType = 0x73 // one revocation
)

// IsFrame says whether a first byte is of a frame of this package, also of one
// that only a later version knows.
func IsFrame(first byte) bool { return 0x70 <= first && first < 0x80 }

// Name is the SHA-256 of an encoded revocation.
type Name [sha256.Size]byte

// NameOf returns the name of an encoded revocation.
func NameOf(revocation []byte) Name { return sha256.Sum256(revocation) }

const (
	// MaxSize bounds one encoded revocation: two keys, two signatures, a reason.
	MaxSize = 16 << 10
	// maxNames is how many names one frame has: with 32 bytes each, 16 KB.
	maxNames = 512
)

// summaryFrame: 0x70 | SHA-256 of all names, sorted | more: 0 or 1
//
// With more set, the sender asks for the names if the hashes differ; without, it
// has named its own already.
func summaryFrame(hash Name, ask bool) []byte {
	b := wire.NewBuilder([]byte{byte(frameSummary)}).Fixed(hash[:])
	if ask {
		return b.U8(1).Build()
	}
	return b.U8(0).Build()
}

func parseSummary(body []byte) (hash Name, ask bool, err error) {
	p := wire.NewParser("parse summary of revocations", body)
	p.Into(hash[:])
	v := p.U8()
	if v > 1 {
		p.Failf("flag %d", v)
	}
	return hash, v == 1, p.Done()
}

// nameFrames: 0x71 or 0x72 | names, 32 bytes each, in as many frames as it takes
func nameFrames(typ frameType, names []Name) (frames [][]byte) {
	for len(names) > 0 {
		n := min(len(names), maxNames)
		b := wire.NewBuilder([]byte{byte(typ)})
		for i := range names[:n] {
			b.Fixed(names[i][:])
		}
		frames = append(frames, b.Build())
		names = names[n:]
	}
	return frames
}

func parseNames(body []byte) ([]Name, error) {
	p := wire.NewParser("parse names of revocations", body)
	if n := p.Len(); n > maxNames*sha256.Size || n == 0 {
		p.Failf("%d bytes of names", n)
	}
	var names []Name
	for p.Err() == nil && p.Len() > 0 {
		var name Name
		p.Into(name[:])
		names = append(names, name)
	}
	return names, p.Done()
}

// revocationFrame: 0x73 | the revocation, as identity encodes it
func revocationFrame(revocation []byte) []byte {
	return append([]byte{byte(frameRevocation)}, revocation...)
}
