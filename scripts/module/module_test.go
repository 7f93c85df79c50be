// Package module holds that the module can have another path, and that other modules can require
// it. It has only tests.
package module

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// TestRename renames a copy of the module. It must be whole afterwards, and nothing in it may know
// the old path.
func TestRename(t *testing.T) {
	if os.Getenv("SLOW") == "" {
		t.Skip("SKIPPED: it compiles everything under another path: make test SLOW=1")
	}
	t.Parallel()
	const path = "example.net/renamed/rampart"
	old := run(t, ".", nil, "go", "list", "-m")
	dir := copyTree(t)
	run(t, dir, []string{"MODULE=" + path}, "sh", "scripts/rename.sh")
	require.Equal(t, path, run(t, dir, nil, "go", "list", "-m"))

	quoted := regexp.QuoteMeta(old)
	known := regexp.MustCompile(`(^|[^\w./~-])` + quoted + `/(\.\.\.|\w\w+)|(== "|\w=)` + quoted + `["@=]`)
	files := 0
	walk(t, dir, func(name string) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		files++
		require.Empty(t, known.FindAllString(string(content), -1), name)
	})
	require.Greater(t, files, 100)
	require.Empty(t, run(t, dir, nil, "gofmt", "-l", "."))
	// Fails where an import leads nowhere. Nothing else can have become wrong for a compiler.
	run(t, dir, nil, "go", "list", "-deps", "-test", "-tags=load", "./...")
	run(t, dir, nil, "go", "test", "-run", "^TestImportDirections$", "./loadtest") // knows paths as text
}

// TestRenameRefuses holds that a path that is none changes nothing.
func TestRenameRefuses(t *testing.T) {
	t.Parallel()
	dir := copyTree(t)
	for _, path := range []string{"", "a b", "../x"} {
		cmd := exec.Command("sh", "scripts/rename.sh")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "MODULE="+path)
		out, err := cmd.CombinedOutput()
		require.Error(t, err, "%q: %s", path, out)
	}
	walk(t, dir, func(name string) {
		before, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		after, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, string(before), string(after), name)
	})
}

// TestFromAnotherModule runs the test that the page of load experiments shows, in a module of its
// own.
func TestFromAnotherModule(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "loadtest", "README.md"))
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "\n## In your own tests\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	_, code, found := strings.Cut(section, "\n    package shop_test\n")
	require.True(t, found)
	code, _, found = strings.Cut(code, "\n    }\n\n")
	require.True(t, found)
	code = strings.ReplaceAll("package shop_test\n"+code+"\n}\n", "\n    ", "\n")
	short := strings.Replace(code, "2 * time.Second", "50 * time.Millisecond", 1)
	require.NotEqual(t, code, short)

	dir, path := t.TempDir(), run(t, ".", nil, "go", "list", "-m")
	here, err := filepath.Abs(root)
	require.NoError(t, err)
	run(t, dir, nil, "go", "mod", "init", "example.net/shop")
	run(t, dir, nil, "go", "mod", "edit", "-require="+path+"@v0.0.0", "-replace="+path+"="+here)
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "shop_test.go"), []byte(short), 0o666))
	// Nothing but the module cache: what it has not, this module does not need either.
	offline := []string{"GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off"}
	run(t, dir, offline, "go", "vet", "./...")
	require.Contains(t, run(t, dir, offline, "go", "test", "-v", "./..."), " requests/s at ")
}

// run runs a command in dir and returns what it printed, without the space around it.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s: %s%s", cmd, out, &stderr)
	return strings.TrimSpace(string(out))
}

// copyTree is a copy of the files of this module.
func copyTree(t *testing.T) string {
	dir := t.TempDir()
	walk(t, root, func(name string) {
		from, to := filepath.Join(root, name), filepath.Join(dir, name)
		info, err := os.Stat(from)
		require.NoError(t, err)
		content, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o777))
		require.NoError(t, os.WriteFile(to, content, info.Mode()))
	})
	return dir
}

// walk calls f with the name of each file of a module, but for those that git, make and the
// experiments put there.
func walk(t *testing.T, dir string, f func(name string)) {
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".git" || name == "bin" || d.IsDir() && d.Name() == "results":
			if !d.IsDir() { // in a worktree of git
				return nil
			}
			return fs.SkipDir
		case d.Type().IsRegular():
			f(name)
		}
		return nil
	}))
}
