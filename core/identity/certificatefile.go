package identity

import (
	"errors"
	"io"

	"github.com/saorsa-labs/x0x-go/core/store"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

// SaveCertificate writes the binary form of c to a file of mode 0600 in an
// existing folder, in place of an older one, and returns when it is on disk. A
// crash leaves the old file or the new one, and perhaps a temporary file that
// nothing reads. Errors: [wire.KindNotFound] for a missing folder, [wire.KindIO],
// and [wire.KindInvalidArgument] for an empty path.
func SaveCertificate(path string, c *Certificate) error {
	return store.WriteFile(path, c.Marshal())
}

// LoadCertificate reads what SaveCertificate wrote. Whether it still holds is for
// [Certificate.Verify] to say, but its signatures are checked: a damaged file is
// [wire.KindCorrupt], and left as it is. Other errors are [wire.KindNotFound],
// [wire.KindIO], and [wire.KindInvalidArgument] for an empty path.
func LoadCertificate(path string) (*Certificate, error) {
	const op = "load certificate"
	f, _, err := openFile(op, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// One byte more than the longest, so that a longer file shows.
	var buf [AcceptedCertificateSize + 1]byte
	n, err := io.ReadFull(f, buf[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, wire.Errorf(wire.KindIO, op, "cannot read %s: %w", path, err)
	}
	c, err := ParseCertificate(buf[:n])
	if err == nil {
		err = c.verifySignatures()
	}
	if err != nil {
		return nil, wire.Errorf(wire.KindCorrupt, op,
			"%s is not intact and is left as it is; remove it to have a new one issued: %w", path, err)
	}
	return c, nil
}
