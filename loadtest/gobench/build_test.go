package gobench

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository makes a git repository with files, one line of text each "path: content".
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	write(t, dir, files)
	for _, args := range [][]string{
		{"init", "-q"}, {"add", "."}, {"-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "first"},
	} {
		out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	return dir
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for path, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(dir, path), []byte(text), 0o666))
	}
}

const aBenchmark = "package PKG\n\nimport \"testing\"\n\nfunc BenchmarkX(b *testing.B) {\n\tfor b.Loop() {\n\t}\n}\n"

func benchmarkIn(pkg string) string { return strings.ReplaceAll(aBenchmark, "PKG", pkg) }

func TestMake(t *testing.T) {
	dir := repository(t, map[string]string{
		"go.mod": "module example.org/m\n\ngo 1.24\n",
		"a/a.go": "package a\n", "a/a_test.go": benchmarkIn("a"), "a/testdata/in.txt": "old",
		"internal/b/b.go": "package b\n", "internal/b/b_test.go": benchmarkIn("b_test"),
		"gone/gone.go": "package gone\n", "gone/gone_test.go": benchmarkIn("gone"),
		"none/none.go": "package none\n", "none/none_test.go": "package none\n",
	})
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "gone")))
	write(t, dir, map[string]string{
		"a/testdata/in.txt": "new", "new/new.go": "package new\n", "new/new_test.go": benchmarkIn("new"),
	})
	before := status(t, dir)
	built, err := Build{Base: "HEAD", Packages: []string{"./..."}, Dir: dir}.Make(t.Context())
	require.NoError(t, err)
	var packages []string
	for _, s := range built.Suites {
		packages = append(packages, s.Package)
	}
	require.Equal(t, []string{"example.org/m/a", "example.org/m/internal/b"}, packages)
	require.Contains(t, built.Base, "first")
	require.Equal(t, []string{"example.org/m/gone has benchmarks only in the baseline"}, built.Missing)
	const alone = "example.org/m/new has benchmarks only in the candidate: nothing to compare them with"
	require.Equal(t, []string{alone}, built.Remarks)
	require.Equal(t, filepath.Join(dir, "a"), built.Suites[0].Sides[1].Dir)
	old, err := os.ReadFile(filepath.Join(built.Suites[0].Sides[0].Dir, "testdata", "in.txt"))
	require.NoError(t, err)
	require.Equal(t, "old", string(old))

	b, err := built.Suites[0].Sides[0].binary(t.Context(), 1)
	require.NoError(t, err)
	again, err := built.Suites[0].Sides[0].binary(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, b, again)
	require.NoError(t, exec.Command(b.Path, "-test.bench=X", "-test.benchtime=1x").Run())

	require.NoError(t, built.Remove())
	require.NoDirExists(t, built.work)
	require.Equal(t, before, status(t, dir), "nothing is left in the repository")
}

// status is all that git knows of a repository, its worktrees, too.
func status(t *testing.T, dir string) string {
	t.Helper()
	var all string
	for _, args := range [][]string{{"status", "--porcelain"}, {"worktree", "list"}, {"diff", "--cached", "--stat"}} {
		out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		all += string(out)
	}
	return all
}

func TestMakeOfChangedPackages(t *testing.T) {
	dir := repository(t, map[string]string{
		"go.mod": "module example.org/m\n\ngo 1.24\n",
		"a/a.go": "package a\n\nimport _ \"example.org/m/c\"\n", "a/a_test.go": benchmarkIn("a"),
		"b/b.go": "package b\n", "b/b_test.go": benchmarkIn("b"),
		"c/c.go": "package c\n\nfunc C() int { return 1 }\n",
		"d/d.go": "package d\n", "d/d_test.go": benchmarkIn("d"), "d/testdata/x": "1",
	})
	write(t, dir, map[string]string{"c/c.go": "package c\n\nfunc C() int { return 2 }\n", "d/testdata/x": "2"})
	built, err := Build{Base: "HEAD", Packages: []string{"./..."}, Changed: true, Dir: dir}.Make(t.Context())
	defer func() { require.NoError(t, built.Remove()) }()
	require.NoError(t, err)
	var packages []string
	for _, s := range built.Suites {
		packages = append(packages, s.Package)
	}
	require.Equal(t, []string{"example.org/m/a", "example.org/m/d"}, packages)
	const left = "1 of 3 packages with benchmarks are the same on both sides, and were left out (-pkg-changed)"
	require.Equal(t, []string{left}, built.Remarks)
}

// TestMakeInWorkspace holds that the baseline of one module sees the baseline of another one in the
// same repository.
func TestMakeInWorkspace(t *testing.T) {
	for _, tracked := range []bool{true, false} {
		files := map[string]string{
			"one/go.mod": "module example.org/one\n\ngo 1.24\n", "one/one.go": "package one\n\nconst Side = `baseline`\n",
			"two/go.mod": "module example.org/two\n\ngo 1.24\n\nrequire example.org/one v0.0.0\n",
			"two/two_test.go": "package two\n\nimport (\n\t\"fmt\"\n\t\"testing\"\n\n\t\"example.org/one\"\n)\n\n" +
				"func BenchmarkX(b *testing.B) { fmt.Println(one.Side) }\n",
			"two/two.go": "package two\n",
		}
		work := map[string]string{"go.work": "go 1.24\n\nuse ./one\nuse ./two\n"}
		if tracked {
			files["go.work"] = work["go.work"]
		}
		dir := repository(t, files)
		write(t, dir, work)
		write(t, dir, map[string]string{"one/one.go": "package one\n\nconst Side = `candidate`\n"})
		built := &Built{work: t.TempDir()}
		trees, err := Build{Base: "HEAD", Dir: filepath.Join(dir, "two")}.trees(t.Context(), built)
		require.NoError(t, err)
		for side, want := range []string{"baseline", "candidate"} {
			all, err := trees[side].golist(t.Context(), "-deps", "-test", "-json=ImportPath,Dir", ".")
			require.NoError(t, err)
			one := all[slices.IndexFunc(all, func(p goPackage) bool { return p.ImportPath == "example.org/one" })]
			text, err := os.ReadFile(filepath.Join(one.Dir, "one.go"))
			require.NoError(t, err)
			require.Contains(t, string(text), want)
		}
	}
}

func TestMakeRefuses(t *testing.T) {
	dir := repository(t, map[string]string{"go.mod": "module example.org/m\n\ngo 1.24\n", "a.go": "package m\n"})
	for _, c := range []struct {
		build Build
		want  string
	}{
		{Build{Base: "nowhere", Dir: dir}, "-base nowhere: it is no commit of this repository; fetch it first"},
		{Build{Base: "HEAD", Dir: t.TempDir()}, "-baseline old.test -candidate new.test"},
		{Build{Base: "HEAD", Dir: dir, Packages: []string{"./nowhere"}}, "the candidate: .*nowhere"},
	} {
		built, err := c.build.Make(t.Context())
		require.Error(t, err)
		require.Regexp(t, c.want, strings.ReplaceAll(err.Error(), "\n", " "))
		require.NoError(t, built.Remove())
	}
}

func TestLinkFlags(t *testing.T) {
	t.Setenv("GOFLAGS", "-ldflags=-s")
	for want, flags := range map[string][]string{"-s": nil, "-w -X=a=b": {"-tags=x", "-ldflags=-w -X=a=b"}} {
		got, err := tree{flags: flags}.linkFlags(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}
