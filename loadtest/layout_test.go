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

	io := []string{"bufio", "io", "io/fs", "log", "log/slog", "net", "net/http", "os", "os/exec", "os/signal",
		"path/filepath",
		"runtime", "syscall"}
	for _, rule := range []struct {
		from, why string // from: an import path, or a tree of them that ends in /...
		tests     bool   // holds for tests as well
		never     []string
	}{
		{"rampart/server/...", "the server must not know what measures it", true,
			[]string{"rampart/loadtest/...", "rampart/scripts/..."}},
		{"rampart/loadtest/...", "the tool must not learn to measure only our server", true,
			[]string{"rampart/server/...", "rampart/scripts/..."}},
		{"rampart/server/app", "the application knows no processes", false, []string{"os/exec", "rampart/server/prefork"}},
		{"rampart/server/prefork", "the supervisor knows no workload", true, []string{"rampart/server/app"}},
		{"rampart/loadtest/inject", "parts do not know the whole", true,
			[]string{"rampart/loadtest", "rampart/loadtest/capacity", "rampart/loadtest/gate", "rampart/loadtest/report",
				"rampart/loadtest/result", "rampart/loadtest/verdict"}},
		{"rampart/loadtest/request", "what a user says is for all who ask", true,
			[]string{"rampart/loadtest", "rampart/loadtest/gate", "rampart/loadtest/k6", "rampart/loadtest/report",
				"rampart/loadtest/result", "rampart/loadtest/verdict"}},
		{"rampart/loadtest/host", "what the system is asked knows of no experiment", true, []string{"rampart/..."}},
		{"rampart/loadtest/child", "starting a process is for all", true, []string{"rampart/..."}},
		{"rampart/loadtest/...", "what measures needs nothing of the command", false, []string{"rampart/loadtest/lab"}},
		{"rampart/loadtest/k6", "parts do not know the whole", true,
			[]string{"rampart/loadtest", "rampart/loadtest/gate", "rampart/loadtest/report", "rampart/loadtest/result"}},
		{"rampart/loadtest/result", "what was measured is neither judged nor drawn", true,
			[]string{"rampart/loadtest", "rampart/loadtest/gate", "rampart/loadtest/report", "rampart/loadtest/verdict",
				"html/template"}},
		{"rampart/loadtest/gate", "who judges does not draw", false, []string{"rampart/loadtest", "rampart/loadtest/report"}},
		{"rampart/loadtest/report/chart", "a chart knows not what it shows", false, []string{"rampart/..."}},
		{"rampart/loadtest/report", "parts do not know the whole", true,
			[]string{"rampart/loadtest", "rampart/loadtest/gobench"}},
		{"rampart/loadtest/gobench", "Go benchmarks are no servers", true,
			[]string{"rampart/loadtest", "rampart/loadtest/k6", "rampart/loadtest/report"}},
		{"rampart/loadtest", "who measures servers needs no Go benchmarks", false, []string{"rampart/loadtest/gobench"}},
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
				tests := append(slices.Clone(p.TestImports), p.XTestImports...)
				// A constant that says how slow the race detector makes a test knows nothing else.
				imports = append(imports, slices.DeleteFunc(tests, func(i string) bool {
					return i == "rampart/loadtest/internal/race"
				})...)
			}
			for _, i := range imports {
				for _, never := range rule.never {
					require.False(t, matches(never, i), "%s imports %s: %s", path, i, rule.why)
				}
			}
		}
	}
}

// TestLibraryIsLight holds what a program that imports package loadtest need not compile.
func TestLibraryIsLight(t *testing.T) {
	packages := list(t, "rampart/loadtest")
	require.Contains(t, packages, "rampart/loadtest/inject")
	for path := range packages {
		for _, never := range []string{
			"codeberg.org/...", "git.sr.ht/...", "golang.org/x/image/...", "gonum.org/v1/plot/...", "image/...", // plots, fonts
			"github.com/schollz/...", "github.com/mitchellh/...", "github.com/rivo/...", // a progress bar
			"github.com/prometheus/...", "google.golang.org/...",
			"rampart/loadtest/lab", "rampart/loadtest/report/...", "html/template", "golang.org/x/term", // the command's
			"rampart/scripts/...", "rampart/server/...",
		} {
			require.False(t, matches(never, path), "%s is among what package loadtest needs", path)
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
	out, err := exec.Command("go",
		append([]string{"list", "-buildvcs=false", "-deps", "-json=ImportPath,Imports,TestImports,XTestImports,Deps"},
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
