package identity_test

import (
	"fmt"
	"os"
	"path/filepath"

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
