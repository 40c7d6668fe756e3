//go:build unix && !darwin

package identity

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

// os/user is no help here: without cgo its lookup of the current user reads
// $HOME and $USER. Accounts that only a name service knows (LDAP) are not found.
func accountHome() (string, error) {
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return "", wire.Errorf(fileKind(err), "default home", "no account data: set home_dir: %w", err)
	}
	defer f.Close()
	return passwdHome(f, os.Geteuid())
}

// passwdHome finds the home of uid in passwd(5) lines:
//
//	name:password:uid:gid:comment:home:shell
//
// Comments, blank and NIS lines have no uid field that matches. As in getpwuid
// the first line of a uid counts.
func passwdHome(r io.Reader, uid int) (string, error) {
	const op = "default home"
	want := strconv.Itoa(uid)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		fields := strings.Split(line, ":")
		if len(fields) < 6 || fields[2] != want || strings.ContainsAny(line[:1], "#+-") {
			continue
		}
		if !filepath.IsAbs(fields[5]) {
			return "", wire.Errorf(wire.KindNotFound, op, "user %d has no home in /etc/passwd: set home_dir", uid)
		}
		return filepath.Clean(fields[5]), nil
	}
	if err := lines.Err(); err != nil {
		return "", wire.Errorf(wire.KindIO, op, "cannot read /etc/passwd: set home_dir: %w", err)
	}
	return "", wire.Errorf(wire.KindNotFound, op, "user %d is not in /etc/passwd: set home_dir", uid)
}
