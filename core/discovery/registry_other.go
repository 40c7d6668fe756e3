//go:build !linux

package discovery

import (
	"strings"
	"time"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// The registry needs boot ids and network namespaces to know that loopback
// means the same place for reader and writer. Where those do not exist it is
// refused at the door; what follows only satisfies the compiler.

func thisHost() (hostID, error) {
	return hostID{}, wire.Errorf(wire.KindUnsupported, "open registry", "the local registry is supported on Linux only")
}

type ownFile struct{ rec *record }

type found struct {
	own    *ownFile
	data   []byte
	locked bool
	mtime  time.Time
	err    error
}

type folder struct {
	path string
	uid  int
	own  *ownFile
	lost bool
}

func (f *folder) open() (bool, error)               { return false, nil }
func (f *folder) isOpen() bool                      { return false }
func (f *folder) sameAsOneOf(others []*folder) bool { return false }
func (f *folder) close()                            {}
func (f *folder) touchOwn(now time.Time) bool       { return false }
func (f *folder) writeOwn(rec *record) error        { return nil }
func (f *folder) names(limit int) ([]string, error) { return nil, nil }
func (f *folder) read(name string) found            { return found{} }
func (f *folder) sweep(name string)                 {}
func isTemporary(name string) bool                  { return strings.HasSuffix(name, ".tmp") }

type notices struct{}

func openNotices() *notices           { return nil }
func (n *notices) add(f *folder)      {}
func (n *notices) run(changed func()) {}
func (n *notices) close()             {}
