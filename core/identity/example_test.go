package identity_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/saorsa-labs/x0x-go/core/identity"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

func ExampleLoadOrCreateKey() {
	folder, _ := os.MkdirTemp("", "x0x-example-")
	defer os.RemoveAll(folder)

	key, err := identity.LoadOrCreateKey(filepath.Join(folder, identity.AgentKeyFile), false)
	if err != nil {
		fmt.Println(err)
		return
	}
	message := wire.SignedBytes(identity.DomainHello, []byte("one field"), []byte("another"))
	signature, _ := key.Sign(message, []byte(identity.DomainHello))

	// The other side has the 1,952 bytes of the public key.
	public, _ := identity.CachedPublicKey(key.Public().Bytes())
	fmt.Println(public.Verify(message, []byte(identity.DomainHello), signature))
	fmt.Println(public.AgentID() == key.Public().AgentID())
	// Output:
	// true
	// true
}

func ExampleOpenDir() {
	home, _ := os.MkdirTemp("", "x0x-example-")
	defer os.RemoveAll(home)

	path, _ := identity.InstanceDir(home, "alice")
	dir, err := identity.OpenDir(path, true)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dir.Close()
	_, err = identity.OpenDir(path, true)
	fmt.Println(wire.KindOf(err), filepath.Base(dir.Path()))
	// Output: busy .x0x-alice
}

func ExampleIssueCertificate() {
	user, _ := identity.GenerateKey()
	agent, _ := identity.GenerateKey()
	now := time.Now()

	certificate, _ := identity.IssueCertificate(user, agent.Public().AgentID(), now, now.AddDate(1, 0, 0))
	certificate, _ = certificate.Accept(agent) // so that the user can revoke the agent

	// Another process, years later: the agent was stolen.
	later := now.AddDate(5, 0, 0)
	received, _ := identity.ParseCertificate(certificate.Marshal())
	fmt.Println(errors.Is(received.Verify(later), identity.ErrExpired))
	revocation, _ := identity.NewUserRevocation(user, received, "stolen", later)
	fmt.Println(revocation.Verify(later))
	// Output:
	// true
	// <nil>
}

func ExampleSignStatement() {
	agent, _ := identity.GenerateKey()
	signature, _ := identity.SignStatement(agent, "example.org/vote/v1", []byte("yes"))

	id := agent.Public().AgentID()
	fmt.Println(identity.VerifyStatement(id, "example.org/vote/v1", []byte("yes"), signature))
	err := identity.VerifyStatement(id, "example.org/vote/v1", []byte("no"), signature)
	fmt.Println(errors.Is(err, identity.ErrSignature), wire.KindOf(err))
	// Output:
	// <nil>
	// true auth
}
