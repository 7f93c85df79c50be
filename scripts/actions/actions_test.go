//go:build unix

// Package actions has the tests of what runs on GitHub and GitLab: each step is executed here, in a
// shell.
package actions

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// workflow is what the tests read of a workflow, or of an action.
type workflow struct {
	On          yaml.Node
	Permissions map[string]string
	Jobs        map[string]struct {
		Timeout int `yaml:"timeout-minutes"`
		Steps   []step
	}
	Inputs map[string]struct{ Default string }
	Runs   struct{ Steps []step }
}

type step struct {
	ID, Uses, Run, If string
	With, Env         map[string]string
}

// steps are all steps, of a workflow or of an action.
func (w workflow) steps() []step {
	all := w.Runs.Steps
	for _, name := range slices.Sorted(maps.Keys(w.Jobs)) {
		all = append(all, w.Jobs[name].Steps...)
	}
	return all
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	return dir
}

func parse(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), path))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into), path)
}

func read(t *testing.T, path string) (w workflow) {
	t.Helper()
	parse(t, path, &w)
	return w
}

// runStep returns the step of a file that runs what contains a text.
func runStep(t *testing.T, path, contains string) step {
	t.Helper()
	for _, s := range read(t, path).steps() {
		if strings.Contains(s.Run, contains) {
			return s
		}
	}
	require.Failf(t, "no such step", "%s: %s", path, contains)
	return step{}
}

func TestWorkflowsAreCautious(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^(\./|[\w-]+/[\w/-]+@v\d+$)`)
	for _, path := range []string{
		".github/workflows/test.yml", ".github/workflows/gate.yml", ".github/workflows/comment.yml",
		".github/workflows/release.yml", ".github/actions/gate/action.yml",
	} {
		w := read(t, path)
		if len(w.Jobs) > 0 {
			require.NotEmpty(t, w.Permissions, "%s: a token may do what the repository's settings say", path)
		}
		for name, job := range w.Jobs {
			require.NotZero(t, job.Timeout, "%s: job %s may hang for six hours", path, name)
		}
		require.NotEmpty(t, w.steps(), path)
		for _, s := range w.steps() {
			require.NotContains(t, s.Run, "${{", "%s: what a stranger may have named becomes shell text", path)
			if s.Uses != "" {
				require.Regexp(t, pinned, s.Uses, path)
			}
		}
	}
	comment := read(t, ".github/workflows/comment.yml")
	for _, s := range comment.steps() {
		require.Empty(t, s.With["ref"], "the workflow that may write runs code of the main branch only")
	}
	require.Equal(t, map[string]string{"contents": "read"}, read(t, ".github/workflows/gate.yml").Permissions)
}

// Each input of the action gets into the script, under the name that the script reads.
func TestInputsReachTheScript(t *testing.T) {
	t.Parallel()
	action := read(t, ".github/actions/gate/action.yml")
	text, err := os.ReadFile(filepath.Join(root(t), ".github/actions/gate/duel.sh"))
	require.NoError(t, err)
	env := runStep(t, ".github/actions/gate/action.yml", "duel.sh").Env
	require.Len(t, env, len(action.Inputs))
	for name := range action.Inputs {
		variable := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		require.Equal(t, fmt.Sprintf("${{ inputs.%s }}", name), env[variable])
		require.Regexp(t, `\$\{?`+variable+`\b`, string(text))
	}
	docs, err := os.ReadFile(filepath.Join(root(t), "scripts/perfgate/README.md"))
	require.NoError(t, err)
	for name := range action.Inputs {
		require.Contains(t, string(docs), "`"+name+"`")
	}
}

// shell runs a script as GitHub does, in a folder, with nothing but the path of this environment.
func shell(t *testing.T, dir, script string, env map[string]string) (string, int) {
	t.Helper()
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
	for _, name := range slices.Sorted(maps.Keys(env)) { // the last of a name counts
		cmd.Env = append(cmd.Env, name+"="+env[name])
	}
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); err != nil {
		require.ErrorAs(t, err, &exit, "%s", out)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), mode))
}

// repository has two commits: what says old is tagged base, and what says new is checked out.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, version := range []string{"old", "new"} {
		write(t, filepath.Join(dir, "version"), version+"\n", 0o644)
		out, code := shell(t, dir, `
			git init -q . && git add -A
			git -c user.name=nobody -c user.email=nobody@example.org commit -qm x
			[ "$(cat version)" = new ] || git tag base`, nil)
		require.Zero(t, code, out)
	}
	return dir
}

// standIn is a program of a name that writes its arguments, a line each, and then does something.
func standIn(t *testing.T, dir, name, does string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	write(t, path, "#!/usr/bin/env bash\nprintf '%s\\n' \"$@\" >>\"$0.args\"\n"+does+"\n", 0o755)
	return path
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// judged is what a step says of a duel that was run.
func judged(verdict string, exit int) string {
	return fmt.Sprintf("verdict=%s\nexit-code=%d\ncomment=perfgate-results/comment.md\n", verdict, exit)
}

func TestGate(t *testing.T) {
	t.Parallel()
	const path = ".github/actions/gate/action.yml"
	built := map[string]string{"BASE": "base", "BUILD": `cp version "$OUT/it"`, "COMMAND": "serve $OUT/it {addr}"}
	for name, c := range map[string]struct {
		env    map[string]string
		exit   int // of perfgate
		code   int
		output string // of the step
		says   string
	}{
		"pass":                     {built, 0, 0, judged("pass", 0), ""},
		"regressed":                {built, 1, 1, judged("regressed", 1), "::error::"},
		"unjudged":                 {built, 2, 2, judged("unjudged", 2), "::error::"},
		"killed":                   {built, 137, 137, judged("unjudged", 137), "::error::"},
		"inconclusive":             {built, 3, 0, judged("inconclusive", 3), "::warning::"},
		"inconclusive fails":       {with(built, "FAIL_ON", "inconclusive"), 3, 3, judged("inconclusive", 3), "::error::"},
		"fail on what":             {with(built, "FAIL_ON", "never"), 0, 2, "", "want regressed or inconclusive"},
		"nothing":                  {map[string]string{}, 0, 2, "", "want one of"},
		"two ways":                 {with(built, "BENCH", "./..."), 0, 2, "", "want one of"},
		"no command":               {with(built, "COMMAND", ""), 0, 2, "", "build and command: want both"},
		"no candidate":             {map[string]string{"BASELINE": "x {addr}"}, 0, 2, "", "candidate: want both"},
		"no base":                  {with(built, "BASE", ""), 0, 2, "", "base: want a commit"},
		"unknown base":             {with(built, "BASE", "$(touch pwned)"), 0, 2, "", "no commit of this checkout"},
		"base like a flag":         {with(built, "BASE", "--all"), 0, 2, "", "no commit of this checkout"},
		"build fails at the base":  {with(built, "BUILD", "grep new version"), 0, 2, "", "build of the baseline failed"},
		"build fails at the other": {with(built, "BUILD", "grep old version"), 0, 2, "", "build of the candidate failed"},
		"build fails in a pipe":    {with(built, "BUILD", "false | cat"), 0, 2, "", "build of the baseline failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, bin := repository(t), t.TempDir()
			perfgate := standIn(t, bin, "perfgate", fmt.Sprintf(`echo verdict >perfgate-results/comment.md; exit %d`, c.exit))
			env := map[string]string{
				"GITHUB_ACTION_PATH": filepath.Join(root(t), ".github/actions/gate"), "GITHUB_OUTPUT": filepath.Join(bin, "output"),
				"PERFGATE": perfgate, "RESULTS": read(t, path).Inputs["results"].Default,
			}
			maps.Copy(env, c.env)
			write(t, env["GITHUB_OUTPUT"], "", 0o644)
			out, code := shell(t, dir, runStep(t, path, "duel.sh").Run, env)
			require.Equal(t, c.code, code, out)
			require.Contains(t, out, c.says)
			got, err := os.ReadFile(env["GITHUB_OUTPUT"])
			require.NoError(t, err)
			require.Equal(t, c.output, string(got))
			require.NoFileExists(t, filepath.Join(dir, "pwned"))
			trees, _ := shell(t, dir, "git worktree list", nil)
			require.Equal(t, 1, strings.Count(trees, "\n"), "the tree of the base is gone: %s", trees)
		})
	}
}

func with(m map[string]string, name, value string) map[string]string {
	m = maps.Clone(m)
	m[name] = value
	return m
}

// What perfgate is told: both sides' programs are those of their own commit, and words stay whole.
func TestGateTellsPerfgate(t *testing.T) {
	t.Parallel()
	dir, bin := repository(t), t.TempDir()
	// It starts both commands as perfgate does.
	perfgate := standIn(t, bin, "perfgate", `
		while [ $# -gt 0 ]; do
			case $1 in -baseline | -candidate) sh -c "$2" >>"$0.served" ;; esac
			shift
		done`)
	env := map[string]string{
		"GITHUB_ACTION_PATH": filepath.Join(root(t), ".github/actions/gate"), "GITHUB_OUTPUT": filepath.Join(bin, "output"),
		"PERFGATE": perfgate, "RESULTS": "some results", "URI": "/search?q=a b&c", "FLAGS": "-vus 4  -margin req/s=5%",
		"BASE": "base", "BUILD": `cp version "$OUT/it"`, "COMMAND": `cat "$OUT/it" version`,
	}
	out, code := shell(t, dir, `"$GITHUB_ACTION_PATH/duel.sh"`, env)
	require.Zero(t, code, out)
	require.Equal(t, []string{"old", "old", "new", "new"}, lines(t, perfgate+".served"))
	told := lines(t, perfgate+".args")
	require.Empty(t, cmp.Diff([]string{
		"-md", "-comment", "some results/comment.md", "-results", "some results", "-uri", "/search?q=a b&c",
		"-vus", "4", "-margin", "req/s=5%",
	}, told[slices.Index(told, "-md"):]))

	env = with(with(with(env, "BENCH", "./a ./b"), "BUILD", ""), "COMMAND", "")
	require.NoError(t, os.Remove(perfgate+".args"))
	out, code = shell(t, dir, `"$GITHUB_ACTION_PATH/duel.sh"`, env)
	require.Zero(t, code, out)
	told = lines(t, perfgate+".args")
	require.Equal(t, "bench", told[0])
	require.Equal(t, []string{"-vus", "4", "-margin", "req/s=5%", "./a", "./b"}, told[len(told)-6:])
}

func TestComment(t *testing.T) {
	t.Parallel()
	s := runStep(t, ".github/workflows/comment.yml", "comment.sh")
	for _, name := range []string{"REPOSITORY", "HEAD_OWNER", "HEAD_BRANCH", "HEAD_SHA", "GH_TOKEN"} {
		require.Contains(t, s.Env, name)
	}
	for name, c := range map[string]struct {
		text  string // of the verdict; empty: there is no file
		pulls string // that have the commit
		old   string // comments of ours
		calls []string
		body  []string // that it holds
		not   []string // that it does not
	}{
		"first": {
			"## perfgate: pass\n", "7", "",
			[]string{"--method POST repos/o/n/issues/7/comments"},
			[]string{"<!-- performance gate -->\n## perfgate: pass", "Commit abc"}, nil,
		},
		"again": {
			"## perfgate: pass\n", "7", "11\n12",
			[]string{"--method PATCH repos/o/n/issues/comments/11"}, []string{"pass"}, nil,
		},
		"a newer commit": {"## perfgate: pass\n", "", "", nil, nil, nil},
		"two pull requests": {
			"x", "7\n8", "",
			[]string{"--method POST repos/o/n/issues/7/comments", "--method POST repos/o/n/issues/8/comments"}, nil, nil,
		},
		"not judged": {
			"", "7", "11",
			[]string{"--method PATCH repos/o/n/issues/comments/11"}, []string{"not judged", "Commit abc"}, []string{"pass"},
		},
		"hostile": {
			"@everybody <script> ![x](y) \xff" + strings.Repeat("ä", 100_000), "7", "",
			[]string{"--method POST repos/o/n/issues/7/comments"},
			[]string{"&#64;everybody &lt;script>", "Commit abc"}, []string{"@", "![", "\xff"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bin := t.TempDir()
			gh := standIn(t, bin, "gh", fmt.Sprintf(`
				case "$*" in
				*/pulls*) printf '%%s' '%s' ;;
				*--paginate*) printf '%%s' '%s' ;;
				*)
					echo "$2 $3 $4" >>"$0.calls"
					for last; do case $last in body=@*) cat "${last#body=@}" >"$0.body" ;; esac; done ;;
				esac`, c.pulls+ending(c.pulls), c.old+ending(c.old)))
			temp := t.TempDir()
			if c.text != "" {
				write(t, filepath.Join(temp, "gate", "comment.md"), c.text, 0o644)
			}
			out, code := shell(t, root(t), s.Run, map[string]string{
				"PATH": bin + ":" + os.Getenv("PATH"), "RUNNER_TEMP": temp, "REPOSITORY": "o/n", "HEAD_OWNER": "someone",
				"HEAD_BRANCH": "$(id)", "HEAD_SHA": "abc", "GH_TOKEN": "secret",
			})
			require.Zero(t, code, out)
			require.NotContains(t, out, "secret")
			if c.calls == nil {
				require.NoFileExists(t, gh+".calls")
				return
			}
			require.Equal(t, c.calls, lines(t, gh+".calls"))
			body, err := os.ReadFile(gh + ".body")
			require.NoError(t, err)
			require.Less(t, len(body), 65_536)
			for _, holds := range c.body {
				require.Contains(t, string(body), holds)
			}
			for _, not := range c.not {
				require.NotContains(t, string(body), not)
			}
			require.Contains(t, lines(t, gh+".args"), "head=someone:$(id)")
		})
	}
}

func ending(s string) string {
	if s == "" {
		return ""
	}
	return "\n"
}

// A call that fails is no success of the step.
func TestCommentFails(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	standIn(t, bin, "gh", "echo 'HTTP 403' >&2; exit 1")
	_, code := shell(t, root(t), runStep(t, ".github/workflows/comment.yml", "comment.sh").Run, map[string]string{
		"PATH": bin + ":" + os.Getenv("PATH"), "RUNNER_TEMP": t.TempDir(), "REPOSITORY": "o/n", "HEAD_OWNER": "x",
		"HEAD_BRANCH": "x", "HEAD_SHA": "x",
	})
	require.NotZero(t, code)
}

func TestRelease(t *testing.T) {
	t.Parallel()
	const path = ".github/workflows/release.yml"
	dir, bin := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "bin/release/SHA256SUMS"), "", 0o644)
	gh, docker := standIn(t, bin, "gh", ""), standIn(t, bin, "docker", `[ "$1" != login ] || cat >"$0.in"`)
	env := map[string]string{
		"PATH": bin + ":" + os.Getenv("PATH"), "GITHUB_REF_NAME": "v1.2.3", "REGISTRY": "registry.example.org/team",
		"REGISTRY_USER": "me", "REGISTRY_PASSWORD": "secret",
	}
	for _, contains := range []string{"gh release", "docker login"} {
		out, code := shell(t, dir, runStep(t, path, contains).Run, env)
		require.Zero(t, code, out)
	}
	require.Equal(t, []string{"release", "create", "v1.2.3", "bin/release/SHA256SUMS", "--verify-tag", "--generate-notes"},
		lines(t, gh+".args"))
	require.Equal(t, []string{"secret"}, lines(t, docker+".in"), "a password is no argument, which everybody sees")
	told := strings.Join(lines(t, docker+".args"), " ")
	require.NotContains(t, told, "secret")
	require.Contains(t, told, "login --username me --password-stdin registry.example.org ")
	for _, part := range []string{"server", "loadtest"} {
		require.Contains(t, told,
			fmt.Sprintf("-f %s/Dockerfile --push -t registry.example.org/team/rampart-%[1]s:v1.2.3 .", part))
		require.FileExists(t, filepath.Join(root(t), part, "Dockerfile"))
	}
}

func TestGitLab(t *testing.T) {
	t.Parallel()
	var file map[string]struct {
		Script []string
		Allow  struct {
			Codes []int `yaml:"exit_codes"`
		} `yaml:"allow_failure"`
	}
	parse(t, "scripts/perfgate/gitlab-ci.yml", &file)
	job := file["performance gate"]
	require.Equal(t, []int{3}, job.Allow.Codes)
	for _, exit := range []int{0, 1, 3} {
		dir, bin := repository(t), t.TempDir()
		standIn(t, bin, "curl", fmt.Sprintf(`printf '#!/bin/sh\necho "$*" >told; exit %d\n' >"$2"`, exit))
		standIn(t, bin, "go", `cp version "$3"`)
		out, code := shell(t, dir, strings.Join(job.Script, "\n"), map[string]string{
			"PATH": bin + ":" + os.Getenv("PATH"), "PERFGATE": "https://example.org/perfgate",
			"CI_MERGE_REQUEST_DIFF_BASE_SHA": "base",
		})
		require.Equal(t, exit, code, out)
		require.Equal(t, []string{"old"}, lines(t, filepath.Join(dir, "old")))
		require.Equal(t, []string{"new"}, lines(t, filepath.Join(dir, "new")))
		require.Contains(t, lines(t, filepath.Join(dir, "told"))[0],
			"run -baseline exec ./old -addr {addr} -candidate exec ./new -addr {addr}")
	}
}

// TestForReal runs what takes minutes: the action builds perfgate and lets two real servers duel,
// and a release is built for both architectures.
func TestForReal(t *testing.T) {
	if os.Getenv("ACTIONS") == "" {
		t.Skip("SKIPPED: a real duel by the action and the programs of a release take minutes; make actions runs them")
	}
	const server = `package main

import (
	"net/http"
	"os"
	"time"
)

func main() {
	panic(http.ListenAndServe(os.Args[1], http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		for begun := time.Now(); time.Since(begun) < %s; {
		}
	})))
}
`
	dir := repository(t)
	write(t, filepath.Join(dir, "go.mod"), "module example.org/server\n\ngo 1.21\n", 0o644)
	write(t, filepath.Join(dir, "main.go"), fmt.Sprintf(server, "time.Millisecond"), 0o644)
	out, code := shell(t, dir, `
		git add -A && git -c user.name=x -c user.email=x@example.org commit -qm server && git tag server`, nil)
	require.Zero(t, code, out)
	cache, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	require.NoError(t, err)
	caches := strings.Fields(string(cache))
	env := map[string]string{
		"GITHUB_ACTION_PATH": filepath.Join(root(t), ".github/actions/gate"), "GITHUB_OUTPUT": filepath.Join(dir, "output"),
		"GITHUB_STEP_SUMMARY": filepath.Join(dir, "summary"), "RESULTS": "perfgate-results",
		"GOCACHE": caches[0], "GOMODCACHE": caches[1], "BASE": "server", "URI": "/",
		"BUILD": `go build -buildvcs=false -o "$OUT/server" .`, "COMMAND": "exec $OUT/server {addr}",
	}
	write(t, filepath.Join(dir, "main.go"), fmt.Sprintf(server, "2*time.Millisecond"), 0o644)
	out, code = shell(t, dir, runStep(t, ".github/actions/gate/action.yml", "duel.sh").Run, env)
	require.Equal(t, 1, code, out)
	for _, name := range []string{"summary", "perfgate-results/comment.md"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Contains(t, string(text), "## perfgate: regressed")
	}
	require.FileExists(t, filepath.Join(dir, "perfgate-results/latest/duel.html"))

	out, code = shell(t, root(t), runStep(t, ".github/workflows/release.yml", "make release").Run,
		map[string]string{"GOCACHE": caches[0], "GOMODCACHE": caches[1], "BIN": t.TempDir()})
	require.Zero(t, code, out)
	for _, arch := range []string{"amd64", "arm64"} {
		for _, program := range []string{"perfgate", "rampart-server", "rampart-client"} {
			require.Contains(t, out, fmt.Sprintf("%s-linux-%s\n", program, arch))
		}
	}
}
