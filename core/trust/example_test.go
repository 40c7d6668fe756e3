package trust_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/trust"
)

func Example() {
	agent, machine := identity.AgentID{1}, identity.MachineID{2} // as the connection proved them
	contacts := trust.NewStore()
	policy := trust.NewPolicy(contacts, trust.Unknown)

	fmt.Println(policy.Inbound(trust.PathDirect, agent, machine))
	_ = contacts.SetTrust(agent, trust.Trusted)
	fmt.Println(policy.Inbound(trust.PathDirect, agent, machine))
	_ = contacts.SetTrust(agent, trust.Blocked)
	fmt.Println(policy.Inbound(trust.PathDirect, agent, machine))
	fmt.Println(policy.Outbound(agent))
	// Output:
	// Unknown true
	// Accept true
	// RejectBlocked false
	// send: you have blocked agent 0100000000000000
}

// Contacts and revocations as an agent keeps them, beside its keys.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "x0x-trust-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	contacts, err := trust.Open(filepath.Join(dir, "contacts.json"))
	if err != nil {
		fmt.Println(err)
		return
	}
	revocations, err := trust.OpenRevocations(filepath.Join(dir, "revocations.dat"), contacts)
	if err != nil {
		fmt.Println(err)
		return
	}
	key, _ := identity.GenerateKey()
	agent := key.Public().AgentID()
	fmt.Println(contacts.SetTrust(agent, trust.Trusted), contacts.Trust(agent))

	stolen, _ := identity.NewAgentRevocation(key, "stolen", time.Now()) // as a peer sends it
	fmt.Println(revocations.Add(stolen, time.Now()))
	fmt.Println(contacts.Trust(agent))
	fmt.Println(revocations.Close(), contacts.Close())
	// Output:
	// <nil> trusted
	// true <nil>
	// blocked
	// <nil> <nil>
}
