package discovery

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/internal/task"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	// defaultRefresh is how long a deleted entry can stay unnoticed where the
	// kernel does not report it.
	defaultRefresh = 30 * time.Second
	// pollInterval replaces change notices where inotify is not available
	// (its instances are limited per user): a new agent is seen in a second.
	pollInterval = time.Second
	// scanGap is the least time between two scans, so that a folder in which
	// files come and go all the time does not become a busy loop.
	scanGap = 50 * time.Millisecond
	// maxFiles bounds one scan of one folder.
	maxFiles = 4096
)

// RegistryOptions says what to register and where.
type RegistryOptions struct {
	// RuntimeDir, if not empty, is the only folder used. It is created if
	// missing (its parent is not) and refused if others can enter it.
	RuntimeDir string
	// Euid is the effective user id whose files are believed. It also names
	// the default folders.
	Euid int
	// NetworkID separates networks: entries of another one are ignored.
	NetworkID string
	// Machine and Port are what this agent's entry says. With Port 0 nothing
	// is written: the registry only listens.
	Machine identity.MachineID
	Port    uint16
	// Refresh is the interval of rule 5; if zero, 30 seconds.
	Refresh time.Duration
	// Now gives the time for ages of files; if nil, time.Now.
	Now func() time.Time
	// OnPanic receives a panic of the registry's goroutines; if nil, it is
	// raised again.
	OnPanic func(name string, value any, stack []byte)
}

// Stats counts what scans met, since the registry was opened.
type Stats struct {
	Scans    uint64 // passes over all folders
	Ignored  uint64 // files that are not readable entries: links, pipes, foreign owners, bad content
	Foreign  uint64 // entries of another network, boot or network namespace
	Swept    uint64 // entries of dead processes that were unlinked
	Restored uint64 // times that the own entry had to be written again
	Polling  bool   // true where changes are found by scanning every second
}

// Registry is this agent's place in the runtime folders. Create it with
// [OpenRegistry]; it owns goroutines until [Registry.Close].
type Registry struct {
	opts  RegistryOptions
	host  hostID
	tasks *task.Group

	wake chan struct{} // capacity 1: something may have changed
	stop chan struct{}

	closing sync.Once

	mu       sync.Mutex // guards what follows, and is held while folders are touched
	folders  []*folder  // one per candidate; open ones are valid
	watchers []*watcher
	notices  *notices // nil where change notices are not available
	stats    Stats
	closed   bool
}

type watcher struct {
	fn   func(Entry)
	seen map[entryKey]struct{} // what the last scan found: an entry that left and came back is new
}

type entryKey struct {
	machine identity.MachineID
	port    uint16
}

// DefaultRuntimeDirs is the one place that knows where agents of a user meet.
// It reads no environment.
func DefaultRuntimeDirs(euid int) []string {
	return []string{
		fmt.Sprintf("/run/user/%d/x0x", euid),
		fmt.Sprintf("/tmp/x0x-%d", euid),
	}
}

// OpenRegistry writes this agent's entry into every valid candidate folder and
// keeps it there. It fails only if no candidate is usable: KindInvalidArgument
// for options that cannot work, KindUnsupported off Linux, KindIO otherwise,
// with the reason for each folder.
func OpenRegistry(o RegistryOptions) (*Registry, error) {
	const op = "open registry"
	if len(o.NetworkID) > maxNetworkID {
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "the network id has more than %d bytes", maxNetworkID)
	}
	if o.RuntimeDir != "" && !filepath.IsAbs(o.RuntimeDir) {
		// A relative folder would move with the working directory.
		return nil, wire.Errorf(wire.KindInvalidArgument, op, "the runtime folder %q is not an absolute path", o.RuntimeDir)
	}
	if o.Refresh <= 0 {
		o.Refresh = defaultRefresh
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	host, err := thisHost()
	if err != nil {
		return nil, err
	}
	dirs := []string{filepath.Clean(o.RuntimeDir)}
	if o.RuntimeDir == "" {
		dirs = DefaultRuntimeDirs(o.Euid)
	}
	r := &Registry{
		opts:  o,
		host:  host,
		tasks: task.New(o.OnPanic),
		wake:  make(chan struct{}, 1),
		stop:  make(chan struct{}),
	}
	for _, d := range dirs {
		r.folders = append(r.folders, &folder{path: d, uid: o.Euid})
	}
	r.notices = openNotices()
	r.stats.Polling = r.notices == nil

	r.mu.Lock()
	err = r.maintain()
	r.mu.Unlock()
	if err != nil {
		r.Close()
		return nil, err
	}
	if n := r.notices; n != nil {
		r.tasks.Go("discovery: registry notices", func() { n.run(r.poke) })
	}
	r.tasks.Go("discovery: registry", r.run)
	return r, nil
}

// Scan returns the live entries of the same network, without this registry's
// own. Entries of dead processes are unlinked on the way. An error means that
// no folder could be read; a KindClosed error that the registry is closed.
func (r *Registry) Scan() ([]Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, wire.Errorf(wire.KindClosed, "scan registry", "the registry is closed")
	}
	records, err := r.scan()
	entries := make([]Entry, 0, len(records))
	for _, rec := range records {
		entries = append(entries, rec.entry())
	}
	return entries, err
}

// Watch calls fn once for every entry that is there and for each that appears
// later, normally within milliseconds. Calls come one at a time from a
// goroutine of the registry; fn must not block and must not call Close.
func (r *Registry) Watch(fn func(Entry)) {
	r.mu.Lock()
	r.watchers = append(r.watchers, &watcher{fn: fn})
	r.mu.Unlock()
	r.poke()
}

// Stats returns the counters.
func (r *Registry) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Close unlinks the own entry and waits for the registry's goroutines: when it
// returns no watcher runs. Idempotent.
func (r *Registry) Close() error {
	r.closing.Do(func() {
		close(r.stop)
		if r.notices != nil {
			r.notices.close()
		}
		r.tasks.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.closed = true
		for _, f := range r.folders {
			f.close()
		}
	})
	return nil
}

// poke asks for a scan soon. It never blocks: one pending wish is enough.
func (r *Registry) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *Registry) run() {
	interval := r.opts.Refresh
	if r.notices == nil {
		interval = min(interval, pollInterval)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	gap := time.NewTimer(0)
	defer gap.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-tick.C:
		case <-r.wake:
		}
		r.refresh()
		gap.Reset(scanGap)
		select {
		case <-r.stop:
			return
		case <-gap.C:
		}
	}
}

// refresh keeps the own entries alive and tells the watchers what is new.
func (r *Registry) refresh() {
	type call struct {
		fn func(Entry)
		e  Entry
	}
	var calls []call
	r.mu.Lock()
	// A folder that is unusable now may be usable at the next refresh: what
	// failed is tried again, so there is nobody to report this to.
	_ = r.maintain()
	if len(r.watchers) > 0 {
		records, _ := r.scan()
		for _, w := range r.watchers {
			now := make(map[entryKey]struct{}, len(records))
			for _, rec := range records {
				k := entryKey{rec.machine, rec.Port}
				if _, known := w.seen[k]; !known {
					calls = append(calls, call{w.fn, rec.entry()})
				}
				now[k] = struct{}{}
			}
			w.seen = now
		}
	}
	r.mu.Unlock()
	for _, c := range calls {
		c.fn(c.e)
	}
}

// maintain opens every candidate folder that can be used, and makes sure that
// the own entry is in each. Called with r.mu held.
func (r *Registry) maintain() error {
	var problems []error
	valid := 0
	for i, f := range r.folders {
		opened, err := f.open()
		if err == nil && f.sameAsOneOf(r.folders[:i]) {
			f.close() // two names of one folder
			continue
		}
		if err == nil && opened && r.notices != nil {
			r.notices.add(f)
		}
		if err == nil {
			err = r.keep(f)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		valid++
	}
	if valid == 0 {
		return wire.Errorf(wire.KindIO, "open registry", "no usable runtime folder: %w", errors.Join(problems...))
	}
	return nil
}

// keep is rule 5 for one folder.
func (r *Registry) keep(f *folder) error {
	if r.opts.Port == 0 || f.touchOwn(r.opts.Now()) {
		return nil
	}
	rec := &record{
		Network: r.opts.NetworkID,
		Port:    r.opts.Port,
		Boot:    r.host.boot,
		NetNS:   r.host.netns,
		machine: r.opts.Machine,
	}
	if f.lost {
		r.stats.Restored++
	}
	return f.writeOwn(rec)
}

// scan reads every open folder. Called with r.mu held.
func (r *Registry) scan() ([]*record, error) {
	r.stats.Scans++
	seen := make(map[entryKey]struct{})
	var (
		out      []*record
		problems []error
		read     int
	)
	for _, f := range r.folders {
		if !f.isOpen() {
			continue
		}
		names, err := f.names(maxFiles)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		read++
		for _, name := range names {
			rec := r.examine(f, name)
			if rec == nil {
				continue
			}
			k := entryKey{rec.machine, rec.Port}
			if _, dup := seen[k]; dup { // the same agent in a second folder
				continue
			}
			seen[k] = struct{}{}
			out = append(out, rec)
		}
	}
	if read == 0 {
		return nil, wire.Errorf(wire.KindIO, "scan registry", "no readable runtime folder: %w", errors.Join(problems...))
	}
	return out, nil
}

// abandonedAfter is the age at which an unlocked file that this host cannot
// judge (half-written, or of an earlier boot) is litter: its writer would have
// touched it thousands of times.
const abandonedAfter = 24 * time.Hour

// examine is rule 4 for one file: a live entry of this network, or nil.
func (r *Registry) examine(f *folder, name string) *record {
	got := f.read(name)
	switch {
	case got.own == f.own && got.own != nil:
		return nil
	case got.own != nil: // another agent of this process: alive, and known without reading
		if got.own.rec.Network != r.opts.NetworkID || !r.host.matches(got.own.rec) {
			r.stats.Foreign++
			return nil
		}
		return got.own.rec
	case got.err != nil:
		r.stats.Ignored++
		return nil
	}
	old := r.opts.Now().Sub(got.mtime) > abandonedAfter
	if isTemporary(name) {
		if !got.locked && old {
			f.sweep(name)
			r.stats.Swept++
		}
		return nil
	}
	rec, err := parseRecord(got.data)
	if err != nil {
		r.stats.Ignored++
		return nil
	}
	here := r.host.matches(rec)
	if !got.locked && (here || old) {
		f.sweep(name)
		r.stats.Swept++
		return nil
	}
	if !here || rec.Network != r.opts.NetworkID {
		r.stats.Foreign++
		return nil
	}
	return rec
}

// hostID says which running network stack an entry belongs to: loopback of
// another boot or another network namespace is somewhere else.
type hostID struct {
	boot  string
	netns uint64
}

func (h hostID) matches(r *record) bool { return r.Boot == h.boot && r.NetNS == h.netns }
