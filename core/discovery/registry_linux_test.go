package discovery

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func runtimeDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "x0x")
}

func options(dir string, n byte) RegistryOptions {
	return RegistryOptions{RuntimeDir: dir, Euid: os.Geteuid(), NetworkID: "test", Machine: machine(n), Port: 1000 + uint16(n), Refresh: time.Hour}
}

func open(t *testing.T, o RegistryOptions) *Registry {
	t.Helper()
	r, err := OpenRegistry(o)
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

// scanned returns the first byte of each machine found, which is how the tests
// name agents.
func scanned(t *testing.T, r *Registry) map[byte]bool {
	t.Helper()
	entries, err := r.Scan()
	require.NoError(t, err)
	got := map[byte]bool{}
	for _, e := range entries {
		require.False(t, got[e.Machine[0]], "machine %x twice", e.Machine[0])
		got[e.Machine[0]] = true
	}
	return got
}

func set(ns ...byte) map[byte]bool {
	m := map[byte]bool{}
	for _, n := range ns {
		m[n] = true
	}
	return m
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	des, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, d := range des {
		names = append(names, d.Name())
	}
	return names
}

func TestAgentsOfOneProcessFindEachOther(t *testing.T) {
	dir := runtimeDir(t)
	a, b, c := open(t, options(dir, 1)), open(t, options(dir, 2)), open(t, options(dir, 3))
	for range 3 { // a scan must not drop anybody's lock
		require.Equal(t, set(2, 3), scanned(t, a))
		require.Equal(t, set(1, 3), scanned(t, b))
		require.Equal(t, set(1, 2), scanned(t, c))
	}
	entries, err := a.Scan()
	require.NoError(t, err)
	for _, e := range entries {
		require.Len(t, e.Addrs, 2)
		require.Equal(t, fmt.Sprintf("127.0.0.1:%d", 1000+uint16(e.Machine[0])), e.Addrs[0].String())
		require.Equal(t, fmt.Sprintf("[::1]:%d", 1000+uint16(e.Machine[0])), e.Addrs[1].String())
	}

	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
	require.Equal(t, set(3), scanned(t, a))
	require.Len(t, files(t, dir), 2, "a clean exit leaves no file")
	_, err = b.Scan()
	require.Equal(t, wire.KindClosed, wire.KindOf(err))
}

func TestAgentsOfSeveralProcessesFindEachOther(t *testing.T) {
	dir := runtimeDir(t)
	a := open(t, options(dir, 1))
	p := start(t, dir, false)
	require.Equal(t, "ready 1 <nil>\n", p.line(t), "the other process sees us")
	require.Equal(t, set(0xAA), scanned(t, a))
	q := start(t, dir, false)
	require.Equal(t, "ready 2 <nil>\n", q.line(t), "our entry survives scans by others")

	p.stdin.Close()
	require.NoError(t, p.cmd.Wait())
	require.Len(t, files(t, dir), 2, "a clean exit leaves no file")
}

func TestKilledProcessIsSwept(t *testing.T) {
	dir := runtimeDir(t)
	a := open(t, options(dir, 1))
	p := start(t, dir, false)
	p.line(t)
	require.Equal(t, set(0xAA), scanned(t, a))
	require.NoError(t, p.cmd.Process.Kill())
	p.cmd.Wait()
	require.Len(t, files(t, dir), 2, "it had no chance to clean up")

	require.Empty(t, scanned(t, a))
	require.Len(t, files(t, dir), 1, "the entry of the dead is unlinked")
	require.EqualValues(t, 1, a.Stats().Swept)
}

// A child that inherited the descriptor of the entry must not keep the entry of
// its dead parent alive, as it would with flock or an open-file lock.
func TestLockDoesNotSurviveInAChild(t *testing.T) {
	dir := runtimeDir(t)
	a := open(t, options(dir, 1))
	p := start(t, dir, true)
	var child int
	_, err := fmt.Sscanf(p.line(t), "child %d", &child)
	require.NoError(t, err)
	require.Equal(t, "ready 1 <nil>\n", p.line(t))
	require.Equal(t, set(0xAA), scanned(t, a))

	require.NoError(t, p.cmd.Process.Kill())
	p.cmd.Process.Wait()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/3", child))
	require.NoError(t, err)
	require.Len(t, links, 1, "the child still holds the descriptor")
	require.Empty(t, scanned(t, a))
	require.Len(t, files(t, dir), 1)
	p.stdin.Close() // ends the child
}

func TestWatch(t *testing.T) {
	dir := runtimeDir(t)
	a := open(t, options(dir, 1))
	open(t, options(dir, 2))
	seen := make(chan byte, 16)
	a.Watch(func(e Entry) { seen <- e.Machine[0] })
	next := func() byte {
		t.Helper()
		select {
		case n := <-seen:
			return n
		case <-time.After(10 * time.Second):
			t.Fatal("nothing was reported")
			return 0
		}
	}
	require.Equal(t, byte(2), next(), "what is already there")
	require.False(t, a.Stats().Polling, "change notices are in use")

	// The refresh interval is an hour, so only a notice can bring these.
	c := open(t, options(dir, 3))
	require.Equal(t, byte(3), next(), "from this process")
	start(t, dir, false).line(t)
	require.Equal(t, byte(0xAA), next(), "from another process")

	// A restart is reported, an entry that stays is not reported again.
	require.NoError(t, c.Close())
	eventually(t, "the exit is noticed", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		_, there := a.watchers[0].seen[entryKey{machine(3), 1003}]
		return !there
	})
	open(t, options(dir, 3))
	require.Equal(t, byte(3), next())
	require.Empty(t, seen)
}

func TestWatchWithoutNotices(t *testing.T) {
	dir := runtimeDir(t)
	o := options(dir, 1)
	o.Refresh = 10 * time.Millisecond
	a := open(t, o)
	a.mu.Lock()
	a.notices.close() // as if the kernel had none left
	a.mu.Unlock()
	seen := make(chan byte, 16)
	a.Watch(func(e Entry) { seen <- e.Machine[0] })
	open(t, options(dir, 2))
	select {
	case n := <-seen:
		require.Equal(t, byte(2), n)
	case <-time.After(10 * time.Second):
		t.Fatal("the refresh did not find the new entry")
	}
}

func TestRefreshKeepsTheOwnEntry(t *testing.T) {
	dir := runtimeDir(t)
	now := time.Now()
	o := options(dir, 1)
	var mu sync.Mutex
	o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	a := open(t, o)
	name := files(t, dir)[0]
	st, err := os.Stat(filepath.Join(dir, name))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), st.Mode())

	t.Run("touched", func(t *testing.T) {
		mu.Lock()
		now = now.Add(time.Hour).Truncate(time.Second)
		mu.Unlock()
		a.refresh()
		st, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.True(t, st.ModTime().Equal(now), "got %v, want %v", st.ModTime(), now)
	})
	t.Run("written again when unlinked", func(t *testing.T) {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
		eventually(t, "the notice brings it back", func() bool { return len(files(t, dir)) == 1 })
		require.NotEqual(t, name, files(t, dir)[0], "names are never used twice")
		require.EqualValues(t, 1, a.Stats().Restored)
	})
	t.Run("folder removed", func(t *testing.T) {
		require.NoError(t, os.RemoveAll(dir))
		eventually(t, "folder and entry are back", func() bool {
			m, _ := filepath.Glob(filepath.Join(dir, "*"+entrySuffix))
			return len(m) == 1
		})
		st, err := os.Stat(dir)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), st.Mode().Perm())
		b := open(t, options(dir, 2))
		require.Equal(t, set(1), scanned(t, b))
	})
	t.Run("folder exchanged", func(t *testing.T) {
		require.NoError(t, os.Rename(dir, dir+".old"))
		require.NoError(t, os.Mkdir(dir, 0o700))
		a.refresh()
		b := open(t, options(dir, 2))
		require.Equal(t, set(1), scanned(t, b))
		require.Equal(t, set(2), scanned(t, a))
	})
	t.Run("folder opened to others is left", func(t *testing.T) {
		require.NoError(t, os.Chmod(dir, 0o755))
		a.refresh()
		_, err := a.Scan()
		require.Equal(t, wire.KindIO, wire.KindOf(err))
		require.NoError(t, os.Chmod(dir, 0o700))
		a.refresh()
		_, err = a.Scan()
		require.NoError(t, err)
	})
}

func TestFolders(t *testing.T) {
	open := func(dir string) error {
		r, err := OpenRegistry(options(dir, 1))
		if err == nil {
			r.Close()
		}
		return err
	}
	base := t.TempDir()
	at := func(name string) string { return filepath.Join(base, name) }

	require.NoError(t, open(at("new")))
	st, err := os.Stat(at("new"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), st.Mode().Perm())

	require.NoError(t, os.Mkdir(at("lax"), 0o755))
	err = open(at("lax"))
	require.Equal(t, wire.KindIO, wire.KindOf(err))
	require.ErrorContains(t, err, "0755")
	st, err = os.Stat(at("lax"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), st.Mode().Perm(), "a folder that was there is not changed")

	require.NoError(t, os.Symlink(at("new"), at("link")))
	require.Error(t, open(at("link")))
	require.NoError(t, os.WriteFile(at("file"), nil, 0o600))
	require.Error(t, open(at("file")))
	require.Error(t, open(at("missing/parent")))
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(open("relative")))
	require.Equal(t, wire.KindInvalidArgument, wire.KindOf(func() error {
		o := options(at("new"), 1)
		o.NetworkID = strings.Repeat("n", maxNetworkID+1)
		_, err := OpenRegistry(o)
		return err
	}()))

	o := options(at("new"), 1)
	o.Euid++
	_, err = OpenRegistry(o)
	require.ErrorContains(t, err, "belongs to user")
}

func TestDefaultRuntimeDirs(t *testing.T) {
	require.Equal(t, []string{"/run/user/1234/x0x", "/tmp/x0x-1234"}, DefaultRuntimeDirs(1234))
}

// Two processes of one user may not have the same folders; it is enough to
// share one. Both see each other once, however many they share.
func TestSeveralFolders(t *testing.T) {
	base := t.TempDir()
	one, two := filepath.Join(base, "one"), filepath.Join(base, "two")
	multi := func(n byte, dirs ...string) *Registry {
		r := open(t, options(dirs[0], n))
		r.mu.Lock()
		for _, d := range dirs[1:] {
			r.folders = append(r.folders, &folder{path: d, uid: os.Geteuid()})
		}
		require.NoError(t, r.maintain())
		r.mu.Unlock()
		return r
	}
	both, first, second := multi(1, one, two), multi(2, one), multi(3, two)
	require.Equal(t, set(2, 3), scanned(t, both))
	require.Equal(t, set(1), scanned(t, first))
	require.Equal(t, set(1), scanned(t, second))

	again := multi(4, one, two)
	require.Equal(t, set(1, 2, 3), scanned(t, again), "each once")

	// A bind mount would do the same as this path through "..".
	same := multi(5, one, filepath.Join(base, "two")+"/../one")
	require.Equal(t, set(1, 2, 4), scanned(t, same))
	n := 0
	same.mu.Lock()
	for _, f := range same.folders {
		if f.isOpen() {
			n++
		}
	}
	same.mu.Unlock()
	require.Equal(t, 1, n, "one folder by two names is one folder")

	// One bad candidate does not spoil the good one.
	require.NoError(t, os.Mkdir(filepath.Join(base, "bad"), 0o777))
	require.NoError(t, os.Chmod(filepath.Join(base, "bad"), 0o777))
	mixed := multi(6, one, filepath.Join(base, "bad"))
	require.Equal(t, set(1, 2, 4, 5), scanned(t, mixed))
}

// plant writes a file as a process that is gone would have left it.
func plant(t *testing.T, dir, name string, rec *record) string {
	t.Helper()
	data, err := rec.marshal()
	require.NoError(t, err)
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func TestHostileFiles(t *testing.T) {
	dir := runtimeDir(t)
	a := open(t, options(dir, 1))
	good := func() *record {
		return &record{Network: "test", Port: 9, Boot: a.host.boot, NetNS: a.host.netns, machine: machine(9)}
	}
	exists := func(p string) bool { _, err := os.Lstat(p); return err == nil }
	at := func(name string) string { return filepath.Join(dir, name+entrySuffix) }
	scan := func() Stats {
		t.Helper()
		before := a.Stats()
		require.Empty(t, scanned(t, a))
		after := a.Stats()
		return Stats{Ignored: after.Ignored - before.Ignored, Foreign: after.Foreign - before.Foreign, Swept: after.Swept - before.Swept}
	}
	outside := plant(t, t.TempDir(), "outside", good())

	t.Run("stale entry is unlinked", func(t *testing.T) {
		p := plant(t, dir, "stale"+entrySuffix, good())
		require.Equal(t, Stats{Swept: 1}, scan())
		require.False(t, exists(p))
	})
	t.Run("entry of another network is ignored while alive", func(t *testing.T) {
		o := options(dir, 7)
		o.NetworkID = "other"
		other := open(t, o)
		require.Equal(t, Stats{Foreign: 1}, scan())
		require.Empty(t, scanned(t, other))
		other.Close()
	})
	t.Run("another boot", func(t *testing.T) {
		rec := good()
		rec.Boot = "00000000-0000-0000-0000-000000000000"
		p := plant(t, dir, "boot"+entrySuffix, rec)
		require.Equal(t, Stats{Foreign: 1}, scan())
		require.True(t, exists(p), "its owner may be alive somewhere else")
		old := time.Now().Add(-2 * abandonedAfter)
		require.NoError(t, os.Chtimes(p, old, old))
		require.Equal(t, Stats{Swept: 1}, scan())
		require.False(t, exists(p), "nobody touched it for a day")
	})
	t.Run("another network namespace", func(t *testing.T) {
		rec := good()
		rec.NetNS++
		p := plant(t, dir, "netns"+entrySuffix, rec)
		require.Equal(t, Stats{Foreign: 1}, scan())
		require.True(t, exists(p))
		os.Remove(p)
	})
	t.Run("half-written file", func(t *testing.T) {
		p := at("half") + temporarySuffix
		require.NoError(t, os.WriteFile(p, []byte("{"), 0o600))
		require.Equal(t, Stats{}, scan())
		require.True(t, exists(p), "its writer may be about to lock it")
		old := time.Now().Add(-2 * abandonedAfter)
		require.NoError(t, os.Chtimes(p, old, old))
		require.Equal(t, Stats{Swept: 1}, scan())
		require.False(t, exists(p))
	})

	for name, make := range map[string]func(p string) error{
		"symlink":        func(p string) error { return os.Symlink(outside, p) },
		"dangling link":  func(p string) error { return os.Symlink("/nonexistent", p) },
		"pipe":           func(p string) error { return unix.Mkfifo(p, 0o600) },
		"folder":         func(p string) error { return os.Mkdir(p, 0o700) },
		"socket":         func(p string) error { return unix.Mknod(p, unix.S_IFSOCK|0o600, 0) },
		"sparse giant":   func(p string) error { os.WriteFile(p, nil, 0o600); return os.Truncate(p, 1<<40) },
		"just too large": func(p string) error { return os.WriteFile(p, make([]byte, maxRecord+1), 0o600) },
		"empty":          func(p string) error { return os.WriteFile(p, nil, 0o600) },
		"binary":         func(p string) error { return os.WriteFile(p, []byte{0, 1, 0xff}, 0o600) },
		"unreadable":     func(p string) error { return os.WriteFile(p, []byte("x"), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			p := at("hostile")
			require.NoError(t, make(p))
			require.Equal(t, Stats{Ignored: 1}, scan())
			require.True(t, exists(p), "what is not an entry is not ours to delete")
			require.NoError(t, os.Remove(p))
		})
	}
	require.True(t, exists(outside), "a link is never followed")

	t.Run("owner", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Log("only root can give a file away; the check of the folder's owner runs in TestFolders")
			return
		}
		p := plant(t, dir, "foreign"+entrySuffix, good())
		require.NoError(t, os.Chown(p, 65534, 65534))
		require.Equal(t, Stats{Ignored: 1}, scan())
		require.True(t, exists(p))
		require.NoError(t, os.Remove(p))
	})
	t.Run("hard link to an own file", func(t *testing.T) {
		b := open(t, options(dir, 2))
		own := filepath.Join(dir, b.folders[0].own.name)
		require.NoError(t, os.Link(own, at("hardlink")))
		require.Equal(t, set(2), scanned(t, a))
		p := start(t, dir, false)
		require.Equal(t, "ready 2 <nil>\n", p.line(t), "both of this process are still locked")
	})
}

func TestScanIsBounded(t *testing.T) {
	dir := runtimeDir(t)
	a := open(t, options(dir, 1))
	for i := range maxFiles + 100 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d%s", i, entrySuffix)), nil, 0o600))
	}
	before := a.Stats().Ignored
	require.Empty(t, scanned(t, a))
	require.LessOrEqual(t, a.Stats().Ignored-before, uint64(maxFiles))
}

func TestListenOnly(t *testing.T) {
	dir := runtimeDir(t)
	o := options(dir, 1)
	o.Port = 0
	a := open(t, o)
	require.Empty(t, files(t, dir))
	open(t, options(dir, 2))
	require.Equal(t, set(2), scanned(t, a))
}

func TestConcurrentUse(t *testing.T) {
	dir := runtimeDir(t)
	var wg sync.WaitGroup
	for n := range byte(8) {
		wg.Go(func() {
			for range 20 {
				r, err := OpenRegistry(options(dir, n+1))
				if err != nil {
					t.Error(err)
					return
				}
				r.Watch(func(Entry) {})
				if _, err := r.Scan(); err != nil {
					t.Error(err)
				}
				r.Close()
			}
		})
	}
	wg.Wait()
	require.Empty(t, files(t, dir))
	written.Lock()
	defer written.Unlock()
	for id, f := range written.files {
		t.Errorf("%s (%v) is still in the table", f.name, id)
	}
}

func TestPanicInAWatcherIsReported(t *testing.T) {
	dir := runtimeDir(t)
	o := options(dir, 1)
	panics := make(chan any, 1)
	o.OnPanic = func(_ string, v any, _ []byte) { panics <- v }
	a := open(t, o)
	open(t, options(dir, 2))
	a.Watch(func(Entry) { panic("watcher") })
	select {
	case v := <-panics:
		require.Equal(t, "watcher", v)
	case <-time.After(10 * time.Second):
		t.Fatal("the panic was not reported")
	}
}
