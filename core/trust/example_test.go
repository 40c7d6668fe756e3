package trust_test

import (
	"fmt"

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
