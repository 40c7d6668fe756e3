package scenariotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// Scenario is one entry of the list: agents, and what they do one step after the other.
type Scenario struct {
	Name   string `json:"name"`
	Why    string `json:"why"`
	Agents specs  `json:"agents"`
	Steps  []Step `json:"steps"`
}

// Step is one call of one agent and what must come of it.
type Step struct {
	Actor     string                     `json:"actor"`
	Call      string                     `json:"call"`
	Args      args                       `json:"args"`
	Expect    map[string]json.RawMessage `json:"expect"`     // fields of the result to compare; others are free
	Error     string                     `json:"error"`      // the kind with which the call must fail; "" is success
	TimeoutMS int                        `json:"timeout_ms"` // for the whole step; 0 is 20 s
	Save      string                     `json:"save"`       // name under which later steps find the result
}

// spec is one agent of a scenario and how it differs from a default one.
type spec struct {
	name string

	Open             *bool  `json:"open"`    // false: a step opens it
	Network          string `json:"network"` // suffix: an agent of another network
	Name             string `json:"name"`
	HomeDir          string `json:"home_dir"`
	IdentityDir      string `json:"identity_dir"`
	Bind             string `json:"bind"`
	Bootstrap        string `json:"bootstrap"`
	MachineKeyPath   string `json:"machine_key_path"`
	AgentKeyPath     string `json:"agent_key_path"`
	MachineKey       value  `json:"machine_key"`
	AgentKey         value  `json:"agent_key"`
	UserKeyPath      string `json:"user_key_path"`
	UserKey          value  `json:"user_key"`
	ContactsPath     string `json:"contacts_path"`
	DialTimeoutMS    uint32 `json:"dial_timeout_ms"`
	SendTimeoutMS    uint32 `json:"send_timeout_ms"`
	PeerTimeoutMS    uint32 `json:"peer_timeout_ms"`
	SessionTTLMS     uint32 `json:"session_ttl_ms"`
	CloseGraceMS     uint32 `json:"close_grace_ms"`
	AcceptFrom       string `json:"accept_from"`
	InboxMessages    uint32 `json:"inbox_messages"`
	InboxBytes       uint64 `json:"inbox_bytes"`
	MaxOperations    uint32 `json:"max_operations"`
	MaxPeers         uint32 `json:"max_peers"`
	ActivePeers      uint32 `json:"active_peers"`
	PassivePeers     uint32 `json:"passive_peers"`
	PeersPerAddress  int32  `json:"max_peers_per_address"`
	Visibility       string `json:"visibility"`
	PresenceEveryMS  uint32 `json:"presence_interval_ms"`
	PresenceWaitMS   uint32 `json:"presence_timeout_ms"`
	NoLocalDiscovery bool   `json:"no_local_discovery"`
	NoRelay          bool   `json:"no_relay"`
}

// args holds every argument of every call; each call reads its own.
type args struct {
	Agent            value  `json:"agent"`
	Machine          value  `json:"machine"`
	To               value  `json:"to"`
	Of               string `json:"of"`
	Address          string `json:"address"`
	Topic            value  `json:"topic"`
	Payload          value  `json:"payload"`
	Count            int    `json:"count"`
	First            int    `json:"first"`
	Sub              string `json:"sub"`
	As               string `json:"as"`
	Replay           *bool  `json:"replay"`
	MaxMessages      uint32 `json:"max_messages"`
	Policy           string `json:"policy"`
	Paused           bool   `json:"paused"`
	ForMS            int    `json:"for_ms"`
	TimeoutMS        int    `json:"timeout_ms"`
	Wait             *bool  `json:"wait"`
	Unordered        bool   `json:"unordered"`
	FailOnDisconnect bool   `json:"fail_on_disconnect"`
	Level            string `json:"level"`
	Label            string `json:"label"`
	Context          string `json:"context"`
	Signature        string `json:"signature"`
	Link             string `json:"link"`
	DisplayName      string `json:"display_name"`
	IncludeUser      bool   `json:"include_user"`
	HumanConsent     bool   `json:"human_consent"`
	IdentityType     string `json:"identity_type"`
	Priority         string `json:"priority"`
	TTL              int    `json:"ttl"`
	Name             string `json:"name"`
	Mask             uint32 `json:"mask"`
}

// Load reads a list. What it does not know is an error, so that a misspelt field cannot turn
// a check off.
func Load(path string) ([]Scenario, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(text)
}

// Parse is Load from memory.
func Parse(text []byte) ([]Scenario, error) {
	var list struct {
		Version   int        `json:"version"`
		Scenarios []Scenario `json:"scenarios"`
	}
	if err := strict(text, &list); err != nil {
		return nil, fmt.Errorf("scenario list: %w", err)
	}
	if list.Version != 1 {
		return nil, fmt.Errorf("scenario list: version %d, this runner reads 1", list.Version)
	}
	seen := map[string]bool{}
	for _, s := range list.Scenarios {
		if s.Name == "" || s.Why == "" || len(s.Agents) == 0 || len(s.Steps) == 0 {
			return nil, fmt.Errorf("scenario %q lacks a name, a why, agents or steps", s.Name)
		}
		if seen[s.Name] {
			return nil, fmt.Errorf("scenario %q is there twice", s.Name)
		}
		seen[s.Name] = true
		for i, step := range s.Steps {
			if s.Agents.find(step.Actor) == nil {
				return nil, fmt.Errorf("scenario %q, step %d: no agent %q", s.Name, i+1, step.Actor)
			}
			if _, ok := calls[step.Call]; !ok {
				return nil, fmt.Errorf("scenario %q, step %d: no call %q", s.Name, i+1, step.Call)
			}
			if step.Error != "" && step.Expect != nil {
				return nil, fmt.Errorf("scenario %q, step %d: a failure has no result to expect", s.Name, i+1)
			}
		}
	}
	return list.Scenarios, nil
}

func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// specs are the agents in the order of the file, in which they are opened; a Go map would
// lose it.
type specs []*spec

func (s specs) find(name string) *spec {
	for _, a := range s {
		if a.name == name {
			return a
		}
	}
	return nil
}

func (s *specs) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil { // the opening brace
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		a := &spec{}
		if err := strict(raw, a); err != nil {
			return err
		}
		a.name, _ = name.(string)
		if s.find(a.name) != nil {
			return fmt.Errorf("agent %q is there twice", a.name)
		}
		*s = append(*s, a)
	}
	return nil
}
