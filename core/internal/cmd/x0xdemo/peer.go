package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/saorsa-labs/x0x-go/core/internal/task"
	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// peerMain is the Go peer of the demo: one agent that greets on a topic and answers each
// greeting with a direct message. Its exit codes are those of the other three.
func peerMain(args []string) int {
	flags := flag.NewFlagSet("peer NAME", flag.ExitOnError)
	network := flags.String("network", "", "network id")
	runtimeDir := flags.String("runtime-dir", "", "folder of the local registry")
	peers := flags.Int("peers", 3, "how many others there are")
	timeout := flags.Int("timeout", 30, "seconds for everything")
	if len(args) == 0 {
		flags.Usage()
		return 1
	}
	name := args[0]
	flags.Parse(args[1:])
	if err := peer(name, *network, *runtimeDir, *peers, time.Duration(*timeout)*time.Second); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		return 2
	}
	return 0
}

func peer(name, network, runtimeDir string, peers int, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var tasks task.Group
	defer tasks.Wait() // they end when the agent closes
	agent, err := x0x.New(x0x.Options{NetworkID: network, RuntimeDir: runtimeDir})
	if err != nil {
		return err
	}
	defer agent.Close(ctx)
	greetings, err := agent.Subscribe("demo/greetings", x0x.SubscribeOptions{})
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	say := func(event map[string]any) { out.Encode(event) }
	say(map[string]any{"event": "open", "name": name, "id": agent.AgentID()})
	stdin := bufio.NewScanner(os.Stdin)
	if !stdin.Scan() {
		os.Exit(3) // told to go before it began
	}
	if err := agent.JoinNetwork(ctx); err != nil {
		return err
	}
	hello, _ := json.Marshal(map[string]string{"name": name})
	if err := agent.Publish(ctx, "demo/greetings", hello); err != nil {
		return err
	}

	received := make(chan error, 1)
	lines := make(chan map[string]any, 3*peers) // all there will be
	tasks.Go("receive", func() {                // direct messages of the others
		for range peers {
			m, err := agent.RecvDirect(ctx)
			if err != nil {
				received <- err
				return
			}
			var body struct{ Text string }
			if err := json.Unmarshal(m.Payload, &body); err != nil {
				received <- err
				return
			}
			lines <- map[string]any{"event": "received", "from": m.Sender, "text": body.Text}
		}
		received <- nil
	})
	greeted := make(chan error, 1)
	tasks.Go("greet", func() { // greetings of the others, each answered with a direct message
		seen := map[x0x.AgentID]bool{agent.AgentID(): true}
		for len(seen) <= peers {
			m, err := greetings.Recv(ctx)
			if err != nil {
				greeted <- err
				return
			}
			if seen[m.Sender] {
				continue
			}
			seen[m.Sender] = true
			var other struct{ Name string }
			if err := json.Unmarshal(m.Payload, &other); err != nil {
				greeted <- err
				return
			}
			lines <- map[string]any{"event": "greeting", "from": m.Sender, "name": other.Name}
			text, _ := json.Marshal(map[string]string{"text": "hello " + other.Name + ", this is " + name})
			receipt, err := agent.SendDirect(ctx, m.Sender, text, x0x.SendOptions{Timeout: timeout})
			if err != nil {
				greeted <- err
				return
			}
			lines <- map[string]any{"event": "sent", "to": m.Sender, "name": other.Name, "path": receipt.Path, "rtt_us": receipt.RTT.Microseconds()}
		}
		greeted <- nil
	})
	for open := 2; open > 0; {
		select {
		case line := <-lines:
			say(line)
		case err := <-received:
			if err != nil {
				return fmt.Errorf("receiving: %w", err)
			}
			open, received = open-1, nil
		case err := <-greeted:
			if err != nil {
				return fmt.Errorf("greeting: %w", err)
			}
			open, greeted = open-1, nil
		}
	}
	for len(lines) > 0 {
		say(<-lines)
	}
	say(map[string]any{"event": "done"})
	stdin.Scan() // end of input: the others are done, too
	return nil
}
