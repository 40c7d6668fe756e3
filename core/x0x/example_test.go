package x0x_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// The whole of x0x in a dozen lines: one agent sends another a private message. They are of
// one user on one machine, so they find each other with no configuration.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	options, done := example()
	defer done()

	agent, err := x0x.New(options) // x0x.Options{} outside of a test
	check(err)
	defer agent.Close(ctx)
	check(agent.JoinNetwork(ctx))

	// Elsewhere, another process or another agent of this one:
	friend, err := x0x.New(options)
	check(err)
	defer friend.Close(ctx)
	check(friend.JoinNetwork(ctx))

	receipt, err := agent.SendDirect(ctx, friend.AgentID(), []byte("hello"), x0x.SendOptions{})
	check(err)
	fmt.Println("accepted by the other side, path", receipt.Path)

	message, err := friend.RecvDirect(ctx)
	check(err)
	fmt.Printf("%s, from the agent that it says it is from: %v\n", message.Payload, message.Sender == agent.AgentID())
	// Output:
	// accepted by the other side, path direct
	// hello, from the agent that it says it is from: true
}

// New without options makes an agent with a fresh identity that lives in memory. It opens no
// socket before JoinNetwork, but already delivers what it says to itself.
func ExampleNew() {
	ctx := context.Background()
	agent, err := x0x.New(x0x.Options{})
	check(err)
	defer agent.Close(ctx)

	notes, err := agent.Subscribe("notes", x0x.SubscribeOptions{})
	check(err)
	check(agent.Publish(ctx, "notes", []byte("remember the milk")))
	note, err := notes.Recv(ctx)
	check(err)
	fmt.Printf("%s: %s\n", note.Topic, note.Payload)
	fmt.Println(len(agent.AgentID().String()), "hexadecimal digits of identity")
	// Output:
	// notes: remember the milk
	// 64 hexadecimal digits of identity
}

// A topic reaches everybody who subscribes to it, also those who come a little later.
func ExampleAgent_Publish() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	alice, bob, done := pair(ctx)
	defer done()

	check(alice.Publish(ctx, "weather/bern", []byte("sun")))
	check(alice.Publish(ctx, "weather/bern", []byte("rain")))

	weather, err := bob.Subscribe("weather/bern", x0x.SubscribeOptions{})
	check(err)
	for report, err := range weather.All(ctx) {
		check(err)
		fmt.Printf("%d: %s, signed by alice: %v\n", report.Sequence, report.Payload, report.Sender == alice.AgentID())
		if report.Sequence == 2 {
			break
		}
	}
	// Output:
	// 1: sun, signed by alice: true
	// 2: rain, signed by alice: true
}

// Direct messages are private, acknowledged and in order. SendDirect returns when the
// recipient's library has accepted the message, and its error says what became of one that
// was not.
func ExampleAgent_SendDirect() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	alice, bob, done := pair(ctx)
	defer done()

	for _, text := range []string{"one", "two", "three"} {
		receipt, err := alice.SendDirect(ctx, bob.AgentID(), []byte(text), x0x.SendOptions{Timeout: 5 * time.Second})
		check(err)
		fmt.Println("accepted as message", receipt.Sequence)
	}
	for range 3 {
		message, err := bob.RecvDirect(ctx)
		check(err)
		fmt.Printf("%s\n", message.Payload)
	}

	var nobody x0x.AgentID
	nobody[0] = 1
	_, err := alice.SendDirect(ctx, nobody, []byte("hello?"), x0x.SendOptions{})
	fmt.Println("not found:", errors.Is(err, x0x.ErrNotFound))
	// Output:
	// accepted as message 1
	// accepted as message 2
	// accepted as message 3
	// one
	// two
	// three
	// not found: true
}

// Trust is personal and silent: whom bob blocks, he does not hear, and the other side sees
// only that nobody reads.
func ExampleAgent_SetTrust() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	alice, bob, done := pair(ctx)
	defer done()

	check(bob.SetTrust(alice.AgentID(), x0x.TrustTrusted))
	_, err := alice.SendDirect(ctx, bob.AgentID(), []byte("hello"), x0x.SendOptions{})
	check(err)
	message, err := bob.RecvDirect(ctx)
	check(err)
	fmt.Println("decision:", message.Decision)

	check(bob.SetTrust(alice.AgentID(), x0x.TrustBlocked))
	_, err = alice.SendDirect(ctx, bob.AgentID(), []byte("hello again"), x0x.SendOptions{Timeout: 300 * time.Millisecond})
	fmt.Println("alice sees a timeout:", errors.Is(err, x0x.ErrTimeout))
	_, err = bob.SendDirect(ctx, alice.AgentID(), []byte("hm"), x0x.SendOptions{})
	fmt.Println("bob is told at once:", errors.Is(err, x0x.ErrBlocked))
	// Output:
	// decision: Accept
	// alice sees a timeout: true
	// bob is told at once: true
}

// Events tell what happens outside of any call.
func ExampleAgent_Events() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	alice, bob, done := pair(ctx)
	defer done()
	check(bob.LeaveNetwork(ctx))

	names := map[x0x.EventType]string{x0x.PeerJoined: "joined", x0x.Connected: "connected", x0x.Disconnected: "disconnected"}
	seen := map[x0x.EventType]bool{}
	for !seen[x0x.Disconnected] {
		entry, err := alice.Events().Recv(ctx)
		check(err)
		if entry.Lagged == nil && entry.Item.Agent == bob.AgentID() {
			seen[entry.Item.Type] = true
		}
	}
	for _, t := range []x0x.EventType{x0x.PeerJoined, x0x.Connected, x0x.Disconnected} {
		fmt.Println("bob", names[t], seen[t])
	}
	// Output:
	// bob joined true
	// bob connected true
	// bob disconnected true
}

// pair returns two agents that are connected, and what closes them.
func pair(ctx context.Context) (alice, bob *x0x.Agent, done func()) {
	options, remove := example()
	alice, err := x0x.New(options)
	check(err)
	bob, err = x0x.New(options)
	check(err)
	check(alice.JoinNetwork(ctx))
	check(bob.JoinNetwork(ctx))
	result, err := alice.ConnectToAgent(ctx, bob.AgentID())
	check(err)
	if result.Outcome == x0x.NotFound || result.Outcome == x0x.Unreachable {
		panic(result.Outcome)
	}
	return alice, bob, func() {
		alice.Close(ctx)
		bob.Close(ctx)
		remove()
	}
}

// example keeps the examples apart from the agents of whoever runs them: a registry folder
// and a network of their own.
func example() (options x0x.Options, remove func()) {
	dir, err := os.MkdirTemp("", "x0x-example-")
	check(err)
	options = x0x.Options{RuntimeDir: dir, NetworkID: dir}
	return options, func() { os.RemoveAll(dir) }
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// Contacts are what the user says about other agents; nothing that arrives changes them. An
// agent that is pinned is heard from its own machines alone, so that its stolen key is not
// enough to speak for it.
func ExampleAgent_PinMachine() {
	ctx := context.Background()
	agent, err := x0x.New(x0x.Options{})
	check(err)
	defer agent.Close(ctx)
	friend, desk, elsewhere := x0x.AgentID{1}, x0x.MachineID{2}, x0x.MachineID{3}

	fmt.Println(agent.EvaluateTrust(friend, desk))
	check(agent.AddContact(friend, x0x.TrustKnown, "Ada"))
	fmt.Println(agent.EvaluateTrust(friend, elsewhere))
	check(agent.PinMachine(friend, desk))
	fmt.Println(agent.EvaluateTrust(friend, desk), agent.EvaluateTrust(friend, elsewhere))
	check(agent.Block(friend))
	fmt.Println(agent.EvaluateTrust(friend, desk))
	// Output:
	// Unknown
	// AcceptWithFlag
	// Accept RejectMachineMismatch
	// RejectBlocked
}

// A card is a signed link by which an agent is introduced: in a mail, on a page, as a code to
// scan. Importing it makes a contact and says where to look for the agent.
func ExampleAgent_ImportCard() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	options, done := example()
	defer done()
	options.NoLocalDiscovery = true // they know nothing of each other
	ada, err := x0x.New(options)
	check(err)
	defer ada.Close(ctx)
	ben, err := x0x.New(options)
	check(err)
	defer ben.Close(ctx)
	check(ada.JoinNetwork(ctx))
	check(ben.JoinNetwork(ctx))

	card, err := ada.Card(x0x.CardOptions{DisplayName: "Ada"})
	check(err)
	link := card.Link() // x0x://agent/…

	imported, err := ben.ImportCard(link, x0x.TrustKnown)
	check(err)
	contact, _ := ben.Contact(imported.AgentID)
	fmt.Println(contact.Label, contact.Level)
	_, err = ben.SendDirect(ctx, imported.AgentID, []byte("hello Ada"), x0x.SendOptions{})
	check(err)
	message, err := ada.RecvDirect(ctx)
	check(err)
	fmt.Printf("%s\n", message.Payload)
	// Output:
	// Ada known
	// hello Ada
}

// What an agent signs for an application stands alone: whoever has it can tell who said it, and
// for which purpose.
func ExampleAgent_Sign() {
	agent, err := x0x.New(x0x.Options{})
	check(err)
	defer agent.Close(context.Background())
	signature, err := agent.Sign("example.org/vote/v1", []byte("yes"))
	check(err)
	fmt.Println(x0x.Verify(agent.AgentID(), "example.org/vote/v1", []byte("yes"), signature) == nil)
	fmt.Println(errors.Is(x0x.Verify(agent.AgentID(), "example.org/vote/v1", []byte("no"), signature), x0x.ErrAuth))
	// Output:
	// true
	// true
}
