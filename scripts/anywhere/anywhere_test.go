//go:build linux

// Package anywhere has the test that the repository builds wherever its files are: in a checkout of
// another user, whom git does not trust, without git, without a repository, and where nothing can
// be written.
package anywhere

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// place is a copy of the sources, and how commands run there.
type place struct {
	dir string
	env []string // beyond that of this process
	ro  bool     // the file system of dir is read-only
}

// run runs a command line of sh as if the user had set no flags of Go but -trimpath, without which
// everything would be compiled anew for each folder. The output is that of both streams.
func (p place) run(t *testing.T, line string) (string, error) {
	t.Helper()
	cmd := exec.Command("sh", "-c", line)
	if p.ro {
		line = `mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && ` + line
		cmd = exec.Command("unshare", "-m", "sh", "-c", line, p.dir)
	}
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-trimpath", "GOENV=off", "SERVER=", "CI=true",
		"DURATION=50ms", "WARMUP=0s", "VUS=1", "MAX_VUS=1",
		"COUNT=1", "BASE=", "BIN=", "MAKEFLAGS=", "RESULTS="+t.TempDir())
	cmd.Env = append(cmd.Env, p.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p place) works(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		out, err := p.run(t, line)
		require.NoError(t, err, "%s:\n%s", line, out)
	}
}

// copied copies what the repository holds, without what was built or measured, and makes a
// repository of it.
func copied(t *testing.T, repository bool) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case slices.Contains([]string{".git", "bin", "results"}, d.Name()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil // the .git of a worktree
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, name), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), content, info.Mode().Perm())
	}))
	if repository {
		needs(t, "git")
		for _, line := range [][]string{
			{"init", "-q"}, {"add", "-A"},
			{"-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "commit", "-qm", "all"},
		} {
			cmd := exec.Command("git", line...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
	}
	return dir
}

func needs(t *testing.T, command string) {
	t.Helper()
	if _, err := exec.LookPath(command); err != nil {
		t.Skipf("%s is not installed", command)
	}
}

// revision is the commit that a program names.
func revision(t *testing.T, path string) string {
	t.Helper()
	info, err := buildinfo.ReadFile(path)
	require.NoError(t, err)
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// TestOwnCheckout has programs name their commit, also where the user's flags are against it, and
// the client in its results.
func TestOwnCheckout(t *testing.T) {
	p := place{dir: copied(t, true)}
	head, err := p.run(t, "git rev-parse HEAD")
	require.NoError(t, err)
	head = strings.TrimSpace(head)
	for _, flags := range []string{"GOFLAGS=-trimpath", "GOFLAGS=-trimpath -buildvcs=false"} {
		p.env = []string{flags}
		p.works(t, "make build")
		for _, program := range []string{"server", "client", "perfgate"} {
			require.Equal(t, head, revision(t, filepath.Join(p.dir, "bin", program)), "%s with %s", program, flags)
		}
	}
	p.env = []string{"OUTPUT=json"}
	out, err := p.run(t, "make load")
	require.NoError(t, err, "%s", out)
	require.Contains(t, out, head, "the result names the version")
}

// TestWorktree has programs name the commit of a worktree, where Go would name that of the
// repository around it, and say where that is not all that they were built from.
func TestWorktree(t *testing.T) {
	p := place{dir: copied(t, true), env: []string{"OUTPUT=json"}}
	p.works(t, "git worktree add -q tree && cd tree && git commit -q --amend -m other --author 'a <a@example.org>'")
	head, err := p.run(t, "cd tree && git rev-parse HEAD")
	require.NoError(t, err)
	head = strings.TrimSpace(head)
	out, err := p.run(t, "cd tree && make load && make build && bin/server -version")
	require.NoError(t, err, "%s", out)
	require.Equal(t, 2, strings.Count(out, head+`","`)+strings.Count(out, head+" go"), "client and server:\n%s", out)
	out, err = p.run(t, "cd tree && echo >>README.md && make load")
	require.NoError(t, err)
	require.Contains(t, out, head+"-dirty")
}

// TestCheckoutOfAnotherUser has files of one user built by another, as in a container that mounts a
// checkout. Go's default is to ask git for the commit and to fail where git does not answer.
func TestCheckoutOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files to another user")
	}
	needs(t, "git")
	p := place{dir: copied(t, true)}
	const nobody = 65534
	require.NoError(t, filepath.WalkDir(p.dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	}))
	if out, err := p.run(t, "git status"); err == nil {
		t.Skipf("git is told to trust every folder: %s", out)
	}
	out, err := p.run(t, "go build -o /dev/null ./server")
	require.Error(t, err, "what this test is about does not happen: %s", out)

	p.works(t, "make build", "make load", "make bench", "go run ./scripts/perfgate -h")
	require.Empty(t, revision(t, filepath.Join(p.dir, "bin", "client")))
	blames(t, p, "dubious ownership", "safe.directory")
}

// blames has the gate say why it has no baseline; that BASE is no commit would be wrong.
func blames(t *testing.T, p place, words ...string) {
	t.Helper()
	for _, line := range []string{"BASE=HEAD scripts/gate.sh", "make gate BASE=HEAD"} {
		out, err := p.run(t, line)
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%s", out)
		require.Equal(t, 2, exit.ExitCode(), "%s", out)
		for _, word := range append(words,
			"git cannot say what BASE=HEAD is", "perfgate run compares two servers without git") {
			require.Contains(t, out, word)
		}
		require.NotContains(t, out, "no commit of this repository")
	}
}

// withoutGit returns a PATH that has all programs of the present one but git.
var withoutGit = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rampart-path-")
	if err != nil {
		return "", err
	}
	for _, from := range filepath.SplitList(os.Getenv("PATH")) {
		programs, err := os.ReadDir(from)
		if err != nil {
			continue // PATH may name folders that are not there
		}
		for _, p := range programs {
			if p.Name() != "git" {
				_ = os.Symlink(filepath.Join(from, p.Name()), filepath.Join(dir, p.Name())) // the first of a name counts
			}
		}
	}
	return "PATH=" + dir, nil
})

func TestMain(m *testing.M) {
	if os.Getenv("ANYWHERE") == "" {
		fmt.Println("SKIPPED: it compiles everything several times, for minutes: make anywhere")
		return
	}
	code := m.Run()
	if path, err := withoutGit(); err == nil {
		os.RemoveAll(strings.TrimPrefix(path, "PATH="))
	}
	os.Exit(code)
}

// TestWithoutGit has a repository, but no git to ask; and then no repository either, as in an
// archive.
func TestWithoutGit(t *testing.T) {
	path, err := withoutGit()
	require.NoError(t, err)
	p := place{dir: copied(t, true), env: []string{path}}
	p.works(t, "make build", "make load", "make bench")
	require.Empty(t, revision(t, filepath.Join(p.dir, "bin", "server")))
	blames(t, p, "git: not found")

	require.NoError(t, os.RemoveAll(filepath.Join(p.dir, ".git")))
	p.works(t, "make build", "make load")
	blames(t, p, "git: not found")
	p.env = nil
	p.works(t, "make build", "make load")
	blames(t, p, "not a git repository")
}

// TestReadOnlySources names the setting where something would have to be written, and needs no more
// than that. The gate takes its baseline from git without writing into the repository.
func TestReadOnlySources(t *testing.T) {
	if os.Getuid() != 0 || exec.Command("unshare", "-m", "true").Run() != nil {
		t.Skip("only root can make a file system read-only, in a mount namespace of its own")
	}
	p := place{dir: copied(t, true), ro: true}
	for _, verb := range []string{"make build", "make load"} {
		out, err := p.run(t, verb)
		require.Error(t, err)
		require.Contains(t, out, "programs cannot be put into bin: set BIN to a folder that can be written")
	}
	p.env = []string{"BIN=" + t.TempDir()}
	p.works(t, "make build", "make load", "make bench")
	out, err := p.run(t, "RESULTS= make load")
	require.Error(t, err)
	require.Contains(t, out, "set RESULTS to one that can be written")

	p.env = append(p.env, "GATE_FLAGS=-blocks 1 -looks 1 -slices 1")
	out, err = p.run(t, "BASE=HEAD scripts/gate.sh")
	require.NotContains(t, out, "ead-only file system", "%v", err)
	require.Contains(t, out, "gate: baseline ")
}

// TestGateOfTheCommit has the gate build what is at BASE, and not what the working tree has by now.
func TestGateOfTheCommit(t *testing.T) {
	p := place{dir: copied(t, true)}
	path := filepath.Join(p.dir, "server", "main.go")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	content = bytes.Replace(content, []byte("\nfunc main() {"), []byte("\nfunc main() { broken"), 1)
	require.NoError(t, os.WriteFile(path, content, 0o644))
	out, err := p.run(t, "BASE=HEAD scripts/gate.sh")
	require.Error(t, err)
	require.Equal(t, 1, strings.Count(out, "# rampart/server\n"), "only the candidate does not compile:\n%s", out)
	require.NotContains(t, out, "Duel")
}
