//go:build !load

package loadtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pkg is what go list says of a package.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
	Deps                               []string
}

// TestImportDirections holds the layout of the repository: which room may know of which.
func TestImportDirections(t *testing.T) {
	packages := list(t, "-tags=load", "rampart/...")
	for path, p := range list(t, "rampart/...") {
		both := packages[path]
		both.TestImports = append(both.TestImports, p.TestImports...)
		packages[path] = both
	}
	require.Contains(t, packages, "rampart/loadtest/capacity")

	io := []string{"bufio", "io", "io/fs", "log", "log/slog", "net", "net/http", "os", "os/exec", "os/signal", "path/filepath",
		"runtime", "syscall"}
	for _, rule := range []struct {
		from, why string // from: an import path, or a tree of them that ends in /...
		tests     bool   // holds for tests as well
		never     []string
	}{
		{"rampart/server/...", "the server must not know what measures it", true, []string{"rampart/loadtest/...", "rampart/scripts/..."}},
		{"rampart/loadtest/...", "the tool must not learn to measure only our server", true, []string{"rampart/server/...", "rampart/scripts/..."}},
		{"rampart/server/app", "the application knows no processes", false, []string{"os/exec", "rampart/server/prefork"}},
		{"rampart/server/prefork", "the supervisor knows no workload", true, []string{"rampart/server/app"}},
		{"rampart/loadtest/inject", "parts do not know the whole", true,
			[]string{"rampart/loadtest", "rampart/loadtest/capacity", "rampart/loadtest/report", "rampart/loadtest/verdict"}},
		{"rampart/loadtest/k6", "parts do not know the whole", true, []string{"rampart/loadtest", "rampart/loadtest/report"}},
		{"rampart/loadtest/report", "parts do not know the whole", true, []string{"rampart/loadtest"}},
		{"rampart/loadtest/capacity", "decisions need no clock and no I/O", false, append(io, "time", "rampart/...")},
		{"rampart/loadtest/verdict", "verdicts need no I/O", false, append(io, "rampart/...")},
		{"rampart/scripts/perfgate", "the gate must not favour our server", true, []string{"rampart/server/..."}},
	} {
		for path, p := range packages {
			if !matches(rule.from, path) {
				continue
			}
			// Our own packages may not be reached in a roundabout way either.
			imports := append(p.Imports, slices.DeleteFunc(slices.Clone(p.Deps), func(d string) bool {
				return !strings.HasPrefix(d, "rampart/")
			})...)
			if rule.tests {
				imports = append(append(imports, p.TestImports...), p.XTestImports...)
			}
			for _, i := range imports {
				for _, never := range rule.never {
					require.False(t, matches(never, i), "%s imports %s: %s", path, i, rule.why)
				}
			}
		}
	}
}

// matches reports whether an import path is the pattern, or below it where it ends in /...
func matches(pattern, path string) bool {
	if root, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == root || strings.HasPrefix(path, root+"/")
	}
	return path == pattern
}

func list(t *testing.T, args ...string) map[string]pkg {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Imports,TestImports,XTestImports,Deps"},
		args...)...).Output()
	require.NoError(t, err)
	packages := make(map[string]pkg)
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else {
			require.NoError(t, err)
		}
		packages[p.ImportPath] = p
	}
}
