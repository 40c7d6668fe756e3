package archtest

// room is a package and what it may import beside the standard library. Imports
// are other rooms, by their path below core, and modules, by their name in
// modules; both separated by spaces.
//
// What belongs to a room is part of it: packages below room/internal, and its
// test kits, whose names end in "test".
type room struct {
	path    string
	imports string
	why     string

	tests      string // what its tests may import beside that and testLibraries
	command    bool   // a program: it may read the environment, start processes and exit
	goroutines int    // how many go statements it may have; all others use internal/task
	cgo        bool
}

// rooms are in layers: each imports only rooms above it in this list, and
// neighbours do not import each other. Who needs a neighbour declares a small
// interface, and the façade connects the two.
var rooms = []room{
	{path: "core/wire",
		imports: "msgpack",
		why:     "bytes and errors that every room agrees on; it knows nobody"},
	{path: "core/internal/task",
		why:        "goroutines with an owner; std alone, so that every room can use it",
		goroutines: 1},
	{path: "core/internal/mailbox",
		imports: "wire",
		why:     "the bounded queue between rooms; wire for its errors"},
	{path: "core/internal/simnet",
		imports: "internal/task internal/mailbox",
		why:     "a network in memory; it carries bytes and knows no protocol"},
	{path: "core/internal/netns",
		imports:    "wire sys",
		why:        "network namespaces for tests and benchmarks; sys for their interfaces, wire for its errors. Its goroutine is a thread that must end, and its caller waits for it",
		goroutines: 1},
	{path: "core/store",
		imports: "wire internal/task internal/mailbox bbolt",
		why:     "durable bytes; it must not know what they mean; wire for its errors"},
	{path: "core/identity",
		imports: "store wire internal/task internal/mailbox circl sys diceware",
		why:     "keys and ids; circl signs faster than std and loads expanded keys, sys locks files, diceware has the words that people compare ids by, store keeps certificates"},
	{path: "core/trust",
		imports: "store identity wire internal/task internal/mailbox",
		why:     "the policy that every inbound path asks, about ids only; store to keep what the user said"},
	{path: "core/membership",
		imports: "identity wire internal/task internal/mailbox",
		why:     "a pure state machine: a message or tick in, messages out"},
	{path: "core/gossip",
		imports: "membership trust identity wire internal/task internal/mailbox",
		why:     "signed topics over any Sender; it must not know what carries them. trust for the level that a message shows, the policy itself is asked through a function"},
	{path: "core/crdt",
		imports: "identity wire internal/task internal/mailbox",
		why:     "values in, values out; no I/O and no clock of its own"},
	{path: "core/mls",
		imports: "identity wire internal/task internal/mailbox circl",
		why:     "RFC 9420 as values; circl for ML-DSA, the rest of its cryptography is std"},
	{path: "core/transport",
		imports: "identity wire internal/task internal/mailbox quic-go sys net",
		why:     "authenticated QUIC between machines; the one room with sockets; net for the batched reads of quic-go's interface"},
	{path: "core/direct",
		imports: "transport trust identity wire internal/task internal/mailbox",
		why:     "messages between two agents over transport, asking trust; its benchmarks stand beside a raw stream",
		tests:   "quic-go"},
	{path: "core/discovery",
		imports: "gossip identity trust wire internal/task internal/mailbox sys",
		why:     "who exists and where; sys for notices of the folder"},
	{path: "core/lan",
		imports: "identity wire internal/task net sys",
		why:     "who is on this LAN; net for DNS messages and multicast groups, sys for a socket bound to the group",
		tests:   "internal/netns"},
	{path: "core/presence",
		imports: "trust identity wire internal/task internal/mailbox",
		why:     "who is online: a pure state machine; trust for the level of a contact",
		tests:   "membership"},
	{path: "core/rendezvous",
		imports: "discovery identity wire internal/task internal/mailbox",
		why:     "a pure state machine: announcements are kept by the agents nearest to their key, and found there",
		tests:   "membership"},
	{path: "core/revocation",
		imports: "identity wire internal/task internal/mailbox",
		why:     "a pure state machine that spreads what core/trust keeps"},
	{path: "core/x0x",
		imports: "wire internal/task internal/mailbox identity trust membership gossip crdt mls store transport direct discovery lan presence rendezvous revocation",
		why:     "the façade: one Agent that owns the rest and wires neighbours together",
		tests:   "internal/simnet internal/netns"},
	{path: "core/daemon",
		imports: "x0x wire internal/task internal/mailbox websocket toml",
		why:     "the REST, SSE and WebSocket API of an agent; all that it does, the façade can"},
	{path: "core/cmd/x0x",
		imports: "daemon x0x wire toml",
		why:     "the command line",
		command: true},
	{path: "core/cmd/x0xd",
		imports: "daemon x0x wire toml",
		why:     "the daemon as a process",
		command: true},
	{path: "core/internal/headergen",
		why: "reads x0x.h and writes the tables of the languages; it knows the header only"},
	{path: "core/internal/cmd/x0xheader",
		imports: "internal/headergen",
		why:     "headergen as a program",
		command: true},
	{path: "core/internal/cmd/x0xbench",
		imports: "wire internal/task internal/mailbox internal/simnet identity trust membership gossip crdt mls store transport direct discovery presence x0x internal/netns quic-go circl",
		why:     "measures every room, beside the raw layer below it; its goroutines end with their process",
		command: true, goroutines: 6},
	{path: "core/internal/cmd/x0xdemo",
		imports: "x0x wire internal/task internal/mailbox",
		why:     "shows the façade at work",
		command: true},
	{path: "capi",
		imports: "x0x wire msgpack",
		why:     "exports of the façade to C, no thought of its own; it cannot reach internal/task, so it starts goroutines at one place of its own",
		cgo:     true, goroutines: 1},
	{path: "bindings",
		imports: "purego msgpack",
		why:     "a client of the C ABI: it must see what C sees, and so nothing of the core",
		tests:   "x0x wire", goroutines: 1},
}

// modules are the third-party modules that a room may import.
var modules = map[string]string{
	"bbolt":     "go.etcd.io/bbolt",
	"circl":     "github.com/cloudflare/circl",
	"diceware":  "github.com/sethvargo/go-diceware",
	"msgpack":   "github.com/vmihailenco/msgpack/v5",
	"net":       "golang.org/x/net",
	"purego":    "github.com/ebitengine/purego",
	"quic-go":   "github.com/quic-go/quic-go",
	"sys":       "golang.org/x/sys",
	"toml":      "github.com/pelletier/go-toml/v2",
	"websocket": "github.com/coder/websocket",

	"goleak":  "go.uber.org/goleak",
	"rapid":   "pgregory.net/rapid",
	"testify": "github.com/stretchr/testify",
}

// testLibraries is what every test may import; msgpack to see what is written.
const testLibraries = "testify rapid goleak msgpack internal/simnet"

// forbiddenImports are for programs and tests only.
var forbiddenImports = map[string]string{
	"os/signal": "signals belong to the program that uses the library",
	"os/exec":   "a library does not start processes",
	"plugin":    "a library does not load code",
}

// forbiddenCalls are for programs and tests only.
var forbiddenCalls = map[string]string{
	"os.Exit":      "ending the process is the program's decision: return an error",
	"log.Fatal":    "ending the process is the program's decision: return an error",
	"log.Fatalf":   "ending the process is the program's decision: return an error",
	"log.Fatalln":  "ending the process is the program's decision: return an error",
	"os.Getenv":    "everything is an option: programs and wrappers read the environment",
	"os.LookupEnv": "everything is an option: programs and wrappers read the environment",
	"os.Environ":   "everything is an option: programs and wrappers read the environment",
	"os.ExpandEnv": "everything is an option: programs and wrappers read the environment",
	"os.Setenv":    "the environment belongs to the program",
	"os.Unsetenv":  "the environment belongs to the program",
	"os.Clearenv":  "the environment belongs to the program",

	// These read HOME and the like.
	"os.UserHomeDir":   "it reads the environment: use identity.DefaultHome",
	"os.UserConfigDir": "it reads the environment",
	"os.UserCacheDir":  "it reads the environment",
	"syscall.Getenv":   "everything is an option: programs and wrappers read the environment",
	"syscall.Exit":     "ending the process is the program's decision: return an error",
	"syscall.Environ":  "everything is an option: programs and wrappers read the environment",
}
