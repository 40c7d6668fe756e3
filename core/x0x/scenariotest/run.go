package scenariotest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// stepTimeout bounds every step that does not say otherwise: far above what any needs, since
// the machine may be busy.
const stepTimeout = 20 * time.Second

// Count says what became of a list.
type Count struct{ Passed, Failed, Skipped int }

func (c Count) String() string {
	return fmt.Sprintf("%d scenarios passed, %d failed, %d skipped", c.Passed, c.Failed, c.Skipped)
}

// Run runs the list as subtests, prints a line for each scenario and the count at the end, and
// fails t if any scenario failed or was skipped.
func Run(t *testing.T, list []Scenario, s System) Count {
	var c Count
	ran := 0
	for _, sc := range list {
		t.Run(sc.Name, func(t *testing.T) {
			ran++
			runOne(t, sc, s)
			if !t.Failed() {
				c.Passed++
				fmt.Printf("scenario %s ok\n", sc.Name)
			}
		})
	}
	c.Failed, c.Skipped = ran-c.Passed, len(list)-ran
	fmt.Println(c)
	if c.Skipped > 0 {
		t.Errorf("%d scenarios were skipped: a skipped scenario shows nothing", c.Skipped)
	}
	return c
}

// networks makes network ids that no other scenario on this machine has.
var networks atomic.Uint64

// run is one running scenario.
type run struct {
	scenario Scenario
	system   System
	network  string
	runtime  string // the registry of its agents
	home     string // $TMP
	actors   map[string]*actor
	results  map[string]Result
	kept     map[string][]byte // signatures and links of earlier steps, by name
}

// actor is one open agent.
type actor struct {
	Agent
	agentID, machineID ID
	subs               map[string]Subscription
	events             []Event // read while waiting for something else
	closed             bool
}

func runOne(t *testing.T, sc Scenario, s System) {
	dir := t.TempDir()
	r := &run{scenario: sc, system: s, actors: map[string]*actor{}, results: map[string]Result{}, kept: map[string][]byte{},
		network: fmt.Sprintf("scenario-%d-%d", os.Getpid(), networks.Add(1)),
		runtime: filepath.Join(dir, "runtime"), home: filepath.Join(dir, "home")}
	for _, d := range []string{r.runtime, r.home} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		if err := r.close(); err != nil {
			t.Errorf("closing: %v", err)
		}
		if err := s.Leaks(); err != nil {
			t.Errorf("after closing: %v", err)
		}
	}()
	for _, a := range sc.Agents {
		if a.Open == nil || *a.Open {
			if err := r.open(a); err != nil {
				t.Fatalf("opening %s: %v", a.name, err)
			}
		}
	}
	for i, step := range sc.Steps {
		if err := r.step(step); err != nil {
			t.Fatalf("step %d, %s.%s: %v", i+1, step.Actor, step.Call, err)
		}
	}
}

// close closes what is still open, all of it whatever fails.
func (r *run) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	var errs []error
	for _, a := range r.actors {
		if !a.closed {
			errs = append(errs, a.Close(ctx))
		}
	}
	return errors.Join(errs...)
}

// step makes one call and judges what comes of it.
func (r *run) step(s Step) error {
	timeout := stepTimeout
	if s.TimeoutMS > 0 {
		timeout = time.Duration(s.TimeoutMS) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	result, err := r.call(ctx, s)
	var broken *scriptError
	switch {
	case errors.As(err, &broken):
		return err
	case s.Error != "" && err == nil:
		return fmt.Errorf("it succeeded with %v, want the error %s", result, s.Error)
	case s.Error != "":
		if kind := r.system.Kind(err); kind != s.Error {
			return fmt.Errorf("it failed with %s (%w), want %s", kind, err, s.Error)
		}
		return nil
	case err != nil:
		return fmt.Errorf("it failed with %s: %w", r.system.Kind(err), err)
	}
	if s.Save != "" {
		r.results[s.Save] = result
	}
	return r.compare(s.Expect, result)
}

// scriptError is a fault that no expected error covers: a scenario that cannot be run as it
// is written, or a wrong series of messages.
type scriptError struct{ err error }

func (e *scriptError) Error() string { return e.err.Error() }
func (e *scriptError) Unwrap() error { return e.err }

func scriptf(format string, args ...any) error { return &scriptError{fmt.Errorf(format, args...)} }

// actor returns an agent of the scenario that has been opened.
func (r *run) actor(name string) (*actor, error) {
	if a := r.actors[name]; a != nil {
		return a, nil
	}
	return nil, scriptf("agent %q has not been opened", name)
}

func (r *run) call(ctx context.Context, s Step) (Result, error) {
	if s.Call == "open" {
		return nil, r.open(r.scenario.Agents.find(s.Actor))
	}
	a, err := r.actor(s.Actor)
	if err != nil {
		return nil, err
	}
	return calls[s.Call](ctx, r, a, s.Args)
}

// open opens an agent with what the scenario says of it.
func (r *run) open(s *spec) error {
	ms := func(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }
	o := Options{
		NetworkID: r.network, RuntimeDir: r.runtime, AcceptFrom: s.AcceptFrom,
		MachineKey: s.MachineKey.bytes, AgentKey: s.AgentKey.bytes, UserKey: s.UserKey.bytes,
		DialTimeout: ms(s.DialTimeoutMS), SendTimeout: ms(s.SendTimeoutMS), PeerTimeout: ms(s.PeerTimeoutMS),
		SessionTTL: ms(s.SessionTTLMS), CloseGrace: ms(s.CloseGraceMS),
		InboxMessages: s.InboxMessages, InboxBytes: s.InboxBytes, MaxOperations: s.MaxOperations, MaxPeers: s.MaxPeers,
		ActivePeers: s.ActivePeers, PassivePeers: s.PassivePeers, MaxPeersPerAddress: s.PeersPerAddress,
		Visibility: s.Visibility, PresenceInterval: ms(s.PresenceEveryMS), PresenceTimeout: ms(s.PresenceWaitMS),
		NoLocalDiscovery: s.NoLocalDiscovery, NoRelay: s.NoRelay,
	}
	if s.Network != "" {
		o.NetworkID += "-" + s.Network
	}
	var bootstrap string
	for _, option := range []struct {
		from string
		to   *string
	}{
		{s.Name, &o.Name}, {s.HomeDir, &o.HomeDir}, {s.IdentityDir, &o.IdentityDir}, {s.Bind, &o.Bind},
		{s.MachineKeyPath, &o.MachineKeyPath}, {s.AgentKeyPath, &o.AgentKeyPath},
		{s.UserKeyPath, &o.UserKeyPath}, {s.ContactsPath, &o.ContactsPath}, {s.Bootstrap, &bootstrap},
	} {
		text, err := r.text(option.from)
		if err != nil {
			return &scriptError{err}
		}
		*option.to = text
	}
	if bootstrap != "" {
		o.Bootstrap = []string{bootstrap}
	}
	agent, err := r.system.Open(o)
	if err != nil {
		return err
	}
	a := &actor{Agent: agent, subs: map[string]Subscription{}}
	r.actors[s.name] = a
	a.agentID, a.machineID, err = agent.Identity()
	return err
}
