//go:build unix && !darwin

package identity

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func TestPasswdHome(t *testing.T) {
	const passwd = `# a comment:x:1000:0::/wrong:/bin/sh

root:x:0:0:root:/root:/bin/bash
+nis:x:1000:0::/wrong:
-nis:x:1000:0::/wrong:
short:x:1000
alice:x:1000:1000:Alice,,,:/home/alice/:/bin/zsh
alias:x:1000:1000::/home/alias:/bin/sh
noshell:x:1001:1001::/srv/noshell
homeless:x:1002:1002:::/bin/sh
relative:x:1003:1003::home/relative:/bin/sh
  spaced:x:1004:1004::/home/spaced:/bin/sh  
last:x:1005:1005::/home/last:/bin/sh`
	for uid, want := range map[int]string{
		0: "/root", 1000: "/home/alice", 1001: "/srv/noshell", 1004: "/home/spaced", 1005: "/home/last",
	} {
		got, err := passwdHome(strings.NewReader(passwd), uid)
		require.NoError(t, err, uid)
		require.Equal(t, want, got)
	}
	for _, uid := range []int{1002, 1003, 4242, 100, -1} {
		_, err := passwdHome(strings.NewReader(passwd), uid)
		requireKind(t, wire.KindNotFound, err)
		require.ErrorContains(t, err, "set home_dir")
	}
	_, err := passwdHome(strings.NewReader(strings.Repeat("x", 1<<20)), 0)
	requireKind(t, wire.KindIO, err)
}
