package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/saorsa-labs/x0x-go"

// root is the top of the module, as seen from the folder of this test.
const root = "../../.."

func TestTheHouseKeepsItsRules(t *testing.T) {
	files, err := readTree(root)
	require.NoError(t, err)
	require.Greater(t, len(files), 10, "the tree was not found")
	for _, fault := range check(files) {
		t.Error(fault)
	}
}

// The map itself is checked, for it is what people read.
func TestTheMapIsInLayers(t *testing.T) {
	above := map[string]bool{}
	for _, r := range rooms {
		require.False(t, above[r.path], "%s is there twice", r.path)
		require.NotEmpty(t, r.why, "%s does not say why", r.path)
		for _, name := range strings.Fields(r.imports) {
			if _, ok := modules[name]; !ok {
				require.True(t, above["core/"+name], "%s: %q is neither a room above it nor a module", r.path, name)
			}
		}
		above[r.path] = true
	}
}

// source is one Go file and where it stands.
type source struct {
	dir  string // from the root, with slashes
	name string
	file *ast.File
	fset *token.FileSet
}

func (s source) isTest() bool {
	return strings.HasSuffix(s.name, "_test.go") || strings.HasSuffix(s.dir, "test")
}

func (s source) at(pos token.Pos) string {
	return fmt.Sprintf("%s/%s:%d", s.dir, s.name, s.fset.Position(pos).Line)
}

// readTree parses all Go files of the rooms, for whatever platform they are.
func readTree(root string) ([]source, error) {
	var files []source
	for _, top := range []string{"core", "capi", "bindings"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(p string, d fs.DirEntry, err error) error {
			switch {
			case os.IsNotExist(err):
				return nil
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")):
				return filepath.SkipDir
			case d.IsDir() || filepath.Ext(p) != ".go":
				return nil
			}
			text, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, p)
			if err != nil {
				return err
			}
			s, err := parse(path.Dir(filepath.ToSlash(rel)), filepath.Base(p), string(text))
			files = append(files, s)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

func parse(dir, name, text string) (source, error) {
	s := source{dir: dir, name: name, fset: token.NewFileSet()}
	var err error
	s.file, err = parser.ParseFile(s.fset, dir+"/"+name, text, parser.SkipObjectResolution)
	return s, err
}

// check returns what breaks the rules, one line each.
func check(files []source) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	missing := map[string]bool{}
	goroutines := map[string][]string{}
	for _, s := range files {
		r := roomOf(s.dir)
		if r == nil {
			if !missing[s.dir] {
				fault("%s is not in the map of rooms_test.go: add it there and say what it may import and why", s.dir)
			}
			missing[s.dir] = true
			continue
		}
		checkImports(s, r, fault)
		if s.isTest() {
			continue
		}
		if !r.command {
			checkCalls(s, fault)
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if startsGoroutine(n) {
				goroutines[r.path] = append(goroutines[r.path], s.at(n.Pos()))
			}
			return true
		})
	}
	for i := range rooms {
		r := &rooms[i]
		if at := goroutines[r.path]; len(at) > r.goroutines {
			fault("%s starts goroutines at %s: they need an owner that recovers and waits, start them with internal/task (allowed here: %d)",
				r.path, strings.Join(at, ", "), r.goroutines)
		}
	}
	return faults
}

// roomOf returns the room that dir is or belongs to, or nil.
func roomOf(dir string) *room {
	for i := range rooms {
		r := &rooms[i]
		rest, below := strings.CutPrefix(dir, r.path+"/")
		if dir == r.path || below && (strings.HasPrefix(rest, "internal/") || !strings.Contains(rest, "/") && strings.HasSuffix(rest, "test")) {
			return r
		}
	}
	if dir == "core/internal/archtest" {
		return &room{path: dir}
	}
	return nil
}

func checkImports(s source, r *room, fault func(string, ...any)) {
	allowed := r.imports
	if s.isTest() {
		allowed += " " + r.tests + " " + testLibraries
	}
	for _, spec := range s.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			fault("%s: %v", s.at(spec.Pos()), err)
			continue
		}
		if why, forbidden := forbiddenImports[imported]; forbidden && !s.isTest() && !r.command {
			fault("%s imports %s: %s", s.at(spec.Pos()), imported, why)
		}
		if imported == "C" && !r.cgo {
			fault("%s uses cgo: only capi may, the core compiles without a C compiler", s.at(spec.Pos()))
		}
		if !mayImport(imported, r, allowed) {
			fault("%s imports %s, which the map does not allow to %s: declare a small interface here and let the façade connect it, or change the map and say why",
				s.at(spec.Pos()), imported, r.path)
		}
	}
}

func mayImport(imported string, r *room, allowed string) bool {
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return true // the standard library
	}
	if dir, ours := strings.CutPrefix(imported, module+"/"); ours {
		to := roomOf(dir)
		if to == nil {
			return false
		}
		if to.path == r.path {
			return true
		}
		for _, name := range strings.Fields(allowed) {
			if to.path == "core/"+name {
				return true
			}
		}
		return false
	}
	for _, name := range strings.Fields(allowed) {
		if m := modules[name]; m != "" && (imported == m || strings.HasPrefix(imported, m+"/")) {
			return true
		}
	}
	return false
}

// checkCalls finds uses of forbidden functions, also as values, under whatever
// name their package is imported.
func checkCalls(s source, fault func(string, ...any)) {
	names := map[string]string{} // local name → package path
	for _, spec := range s.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // reported by checkImports
		}
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = imported
		if name == "." {
			fault("%s: a dot import hides what is called", s.at(spec.Pos()))
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok {
			if why, forbidden := forbiddenCalls[names[x.Name]+"."+sel.Sel.Name]; forbidden {
				fault("%s uses %s.%s: %s", s.at(sel.Pos()), names[x.Name], sel.Sel.Name, why)
			}
		}
		return true
	})
}

// startsGoroutine reports a go statement, or the call of a method Go with one
// argument, as sync.WaitGroup and errgroup have it: those do not recover.
// task.Group's takes a name as well.
func startsGoroutine(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		return true
	case *ast.CallExpr:
		sel, ok := n.Fun.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Go" && len(n.Args) == 1
	}
	return false
}

// The rules must be able to fail.
func TestRulesFindWhatTheyLookFor(t *testing.T) {
	const imports = "package x\nimport _ %q\n"
	tests := []struct {
		name, dir, file, text string
		want                  string // part of the only fault; "" for none
	}{
		{"std", "core/wire", "a.go", fmt.Sprintf(imports, "net/http"), ""},
		{"a room below", "core/trust", "a.go", fmt.Sprintf(imports, module+"/core/identity"), ""},
		{"a room above", "core/identity", "a.go", fmt.Sprintf(imports, module+"/core/trust"), "does not allow"},
		{"a neighbour", "core/gossip", "a.go", fmt.Sprintf(imports, module+"/core/crdt"), "does not allow"},
		{"the façade from capi", "capi", "a.go", fmt.Sprintf(imports, module+"/core/x0x"), ""},
		{"past the façade", "capi", "a.go", fmt.Sprintf(imports, module+"/core/gossip"), "does not allow"},
		{"a kit of its own", "core/transport", "a_test.go", fmt.Sprintf(imports, module+"/core/transport/transporttest"), ""},
		{"an allowed module", "core/transport", "a.go", fmt.Sprintf(imports, "github.com/quic-go/quic-go/quicvarint"), ""},
		{"a module of another room", "core/gossip", "a.go", fmt.Sprintf(imports, "github.com/quic-go/quic-go"), "does not allow"},
		{"a module with the same beginning", "core/transport", "a.go", fmt.Sprintf(imports, "github.com/quic-go/quic-gone"), "does not allow"},
		{"an unknown module", "core/gossip", "a_test.go", fmt.Sprintf(imports, "example.com/left/pad"), "does not allow"},
		{"testify in a test", "core/gossip", "a_test.go", fmt.Sprintf(imports, "github.com/stretchr/testify/require"), ""},
		{"testify outside", "core/gossip", "a.go", fmt.Sprintf(imports, "github.com/stretchr/testify/require"), "does not allow"},
		{"a missing room", "core/util", "a.go", "package x", "not in the map"},
		{"a package inside a room", "core/gossip/cache", "a.go", "package x", "not in the map"},
		{"internal to a room", "core/gossip/internal/cache", "a.go", fmt.Sprintf(imports, module+"/core/identity"), ""},
		{"cgo", "core/gossip", "a.go", fmt.Sprintf(imports, "C"), "cgo"},
		{"cgo in capi", "capi", "a.go", fmt.Sprintf(imports, "C"), ""},
		{"signals", "core/gossip", "a.go", fmt.Sprintf(imports, "os/signal"), "signals"},
		{"processes", "core/gossip", "a.go", fmt.Sprintf(imports, "os/exec"), "processes"},
		{"processes in a test", "core/gossip", "a_test.go", fmt.Sprintf(imports, "os/exec"), ""},
		{"processes in a program", "core/internal/cmd/x0xdemo", "main.go", fmt.Sprintf(imports, "os/exec"), ""},
		{"exit", "core/gossip", "a.go", "package x\nimport \"os\"\nfunc f() { os.Exit(1) }", "os.Exit"},
		{"exit in a program", "core/internal/cmd/x0xdemo", "a.go", "package main\nimport \"os\"\nfunc f() { os.Exit(1) }", ""},
		{"exit renamed", "core/gossip", "a.go", "package x\nimport sys \"os\"\nfunc f() { sys.Exit(1) }", "os.Exit"},
		{"exit as a value", "core/gossip", "a.go", "package x\nimport \"os\"\nvar die = os.Exit", "os.Exit"},
		{"a method of that name", "core/gossip", "a.go", "package x\nfunc f(os interface{ Exit(int) }) { os.Exit(1) }", ""},
		{"fatal", "core/gossip", "a.go", "package x\nimport \"log\"\nfunc f() { log.Fatalf(\"\") }", "log.Fatalf"},
		{"environment", "core/gossip", "a.go", "package x\nimport \"os\"\nvar home = os.Getenv(\"HOME\")", "os.Getenv"},
		{"a dot import", "core/gossip", "a.go", "package x\nimport . \"os\"\nfunc f() { Exit(1) }", "dot import"},
		{"go", "core/gossip", "a.go", "package x\nfunc f() { go f() }", "goroutines"},
		{"go in a test", "core/gossip", "a_test.go", "package x\nfunc f() { go f() }", ""},
		{"go in a kit", "core/transport/transporttest", "a.go", "package x\nfunc f() { go f() }", ""},
		{"go in a program", "core/internal/cmd/x0xdemo", "a.go", "package main\nfunc f() { go f() }", "goroutines"},
		{"the one go of task", "core/internal/task", "a.go", "package x\nfunc f() { go f() }", ""},
		{"a second one", "core/internal/task", "a.go", "package x\nfunc f() { go f(); go f() }", "goroutines"},
		{"a WaitGroup", "core/gossip", "a.go", "package x\nimport \"sync\"\nfunc f(wg *sync.WaitGroup) { wg.Go(func() {}) }", "goroutines"},
		{"a Group", "core/gossip", "a.go", "package x\nfunc f(g interface{ Go(string, func()) bool }) { g.Go(\"f\", func() {}) }", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parse(tt.dir, tt.file, tt.text)
			require.NoError(t, err)
			faults := check([]source{s})
			if tt.want == "" {
				require.Empty(t, faults)
				return
			}
			require.Len(t, faults, 1)
			require.Contains(t, faults[0], tt.want)
		})
	}
}
