package gobench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Build makes the test binaries of both sides from source: the baseline from a commit, the
// candidate from the working tree as it is.
type Build struct {
	Base     string   // commit, branch or tag of the baseline
	Packages []string // patterns, as of go test; nil: the package here
	Flags    []string // as of go build, such as -tags=x
	Args     []string // of the test binaries, such as -test.short
	Changed  bool     // leaves packages out whose test binaries are made of the same
	Seed     uint64   // of the arrangements of functions
	Dir      string   // from where it is done; empty: the working directory
}

// Built is what Build made.
type Built struct {
	Suites           []*Suite
	Base             string   // the commit, and what it says of itself
	Missing, Remarks []string // for [Duel]

	work string
}

// Remove takes away all that was made.
func (b *Built) Remove() error { return os.RemoveAll(b.work) }

// goPackage is what go list says of a package.
type goPackage struct {
	ImportPath, Dir           string
	TestGoFiles, XTestGoFiles []string
	Error                     *struct{ Err string }
	Deps                      []string
	BuildID                   string
}

// tree is where one side is built.
type tree struct {
	dir   string   // where the go command runs
	env   []string // beside what this process has
	flags []string
}

// Make checks the baseline out, into a folder of its own, and finds the packages that have
// benchmarks on both sides. It writes nothing into the repository. Binaries are linked when they
// are needed. Whatever it returns, [Built.Remove] has to be called.
func (b Build) Make(ctx context.Context) (built *Built, err error) {
	built = &Built{}
	if built.work, err = os.MkdirTemp("", "perfgate-bench-"); err != nil {
		return built, err
	}
	trees, err := b.trees(ctx, built)
	if err != nil {
		return built, err
	}
	patterns := b.Packages
	if len(patterns) == 0 {
		patterns = []string{"."}
	}
	var have [2]map[string]goPackage
	for side, t := range trees {
		if have[side], err = t.benchmarked(ctx, patterns, side == 1); err != nil {
			return built, sideError{side, err}
		}
	}
	var both []string
	for path := range have[0] {
		if _, ok := have[1][path]; ok {
			both = append(both, path)
		} else {
			built.Missing = append(built.Missing, path+" has benchmarks only in the baseline")
		}
	}
	for path := range have[1] {
		if _, ok := have[0][path]; !ok {
			built.Remarks = append(built.Remarks, path+" has benchmarks only in the candidate: nothing to compare them with")
		}
	}
	slices.Sort(both)
	slices.Sort(built.Missing)
	slices.Sort(built.Remarks)
	if b.Changed && len(both) > 0 {
		if both, err = changed(ctx, trees, have, both, built); err != nil {
			return built, err
		}
	}
	for i, path := range both {
		s := &Suite{Package: path}
		for side, t := range trees {
			out := filepath.Join(built.work, fmt.Sprintf("%d-%d", i, side))
			s.Sides[side] = &Source{Dir: have[side][path].Dir, Args: b.Args, Link: t.linker(path, out, b.Seed)}
		}
		built.Suites = append(built.Suites, s)
	}
	return built, nil
}

// git runs git and returns what it prints.
func (b Build) git(ctx context.Context, env []string, args ...string) (string, error) {
	out, err := outputOf(ctx, b.Dir, env, "git", args...)
	return strings.TrimSpace(string(out)), err
}

// outputOf runs a command and returns its standard output; the error has what it says on the other.
func outputOf(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if dir != "" {
		cmd.Env = append(cmd.Env, "PWD="+dir)
	}
	ownGroup(cmd)
	cmd.Cancel = func() error { kill(cmd); return nil }
	cmd.WaitDelay = lastWordsPatience
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("%s %s: %w\n%s", name, args[0], err, strings.TrimSpace(said.String()))
	}
	return out.Bytes(), nil
}

// trees checks the baseline out. With an index of its own git writes nothing into the repository,
// and a process that is killed leaves nothing there.
func (b Build) trees(ctx context.Context, built *Built) (trees [2]tree, err error) {
	top, err := b.git(ctx, nil, "rev-parse", "--show-toplevel")
	if err != nil {
		return trees, fmt.Errorf("-base %s: %w; two test binaries need no git: -baseline old.test -candidate new.test",
			b.Base, err)
	}
	prefix, err := b.git(ctx, nil, "rev-parse", "--show-prefix")
	if err != nil {
		return trees, err
	}
	commit, err := b.git(ctx, nil, "rev-parse", "--verify", "--quiet", b.Base+"^{commit}")
	if err != nil {
		return trees, fmt.Errorf("-base %s: it is no commit of this repository; fetch it first (on GitHub: fetch-depth: 0)",
			b.Base)
	}
	if built.Base, err = b.git(ctx, nil, "log", "-1", "--format=%h %s", commit); err != nil {
		return trees, err
	}
	root := filepath.Join(built.work, "tree")
	index := []string{"GIT_INDEX_FILE=" + filepath.Join(built.work, "index")}
	if _, err := b.git(ctx, index, "-C", top, "read-tree", commit); err != nil {
		return trees, err
	}
	if _, err := b.git(ctx, index, "-C", top, "checkout-index", "--all", "--prefix="+root+"/"); err != nil {
		return trees, err
	}
	if _, err := os.Stat(filepath.Join(root, ".gitmodules")); err == nil {
		built.Remarks = append(built.Remarks, "submodules of the baseline are not checked out")
	}
	here, err := filepath.Abs(b.Dir)
	if err != nil {
		return trees, err
	}
	trees = [2]tree{{dir: filepath.Join(root, prefix), flags: b.Flags}, {dir: here, flags: b.Flags}}
	if _, err := os.Stat(trees[0].dir); err != nil {
		return trees, fmt.Errorf("-base %s has no folder %s", b.Base, prefix)
	}
	trees[0].env, err = workspace(ctx, here, top, root, filepath.Join(built.work, "go.work"))
	return trees, err
}

// workspace returns the environment in which the baseline is built: where the candidate is in a
// workspace of modules, the baseline is in its own, of which the modules in the repository are
// those of its tree.
func workspace(ctx context.Context, here, top, root, file string) (env []string, err error) {
	out, err := outputOf(ctx, here, nil, "go", "env", "GOWORK")
	if err != nil {
		return nil, err
	}
	work := strings.TrimSpace(string(out))
	if work == "" || work == "off" {
		return []string{"GOWORK=" + work}, nil
	}
	inTree := func(path string) (string, bool) {
		rest, err := filepath.Rel(top, path)
		if err != nil || rest == ".." || strings.HasPrefix(rest, ".."+string(filepath.Separator)) {
			return path, false
		}
		return filepath.Join(root, rest), true
	}
	if real, err := filepath.EvalSymlinks(work); err == nil { // as git says the top
		work = real
	}
	if own, ok := inTree(work); ok {
		if _, err := os.Stat(own); err == nil {
			return []string{"GOWORK=" + own}, nil
		}
	}
	text, err := os.ReadFile(work)
	if err != nil {
		return nil, err
	}
	if out, err = outputOf(ctx, here, []string{"GOWORK=" + work}, "go", "work", "edit", "-json"); err != nil {
		return nil, err
	}
	var has struct{ Use []struct{ DiskPath string } }
	if err := json.Unmarshal(out, &has); err != nil {
		return nil, fmt.Errorf("go work edit -json: %w", err)
	}
	if err := os.WriteFile(file, text, 0o666); err != nil {
		return nil, err
	}
	if sum, err := os.ReadFile(strings.TrimSuffix(work, ".work") + ".work.sum"); err == nil {
		if err := os.WriteFile(file+".sum", sum, 0o666); err != nil {
			return nil, err
		}
	}
	edit := []string{"work", "edit"}
	for _, use := range has.Use {
		path := use.DiskPath
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(work), path)
		}
		path, _ = inTree(path)
		edit = append(edit, "-dropuse="+use.DiskPath)
		if _, err := os.Stat(path); err == nil { // a module that the baseline does not have yet
			edit = append(edit, "-use="+path)
		}
	}
	if _, err := outputOf(ctx, here, []string{"GOWORK=" + file}, "go", edit...); err != nil {
		return nil, err
	}
	return []string{"GOWORK=" + file}, nil
}

// golist runs go list, which prints a package after the other.
func (t tree) golist(ctx context.Context, args ...string) (all []goPackage, err error) {
	out, err := outputOf(ctx, t.dir, t.env, "go", append([]string{"list"}, args...)...)
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
}

// benchmarked lists packages whose tests have benchmarks. strict: each pattern has to be there, and
// each package in order.
func (t tree) benchmarked(ctx context.Context, patterns []string, strict bool) (map[string]goPackage, error) {
	args := append([]string{"-e", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles,Error"}, t.flags...)
	all, err := t.golist(ctx, append(append(args, "--"), patterns...)...)
	if err != nil {
		return nil, err
	}
	found := make(map[string]goPackage)
	for _, p := range all {
		if p.Error != nil {
			if strict {
				return nil, fmt.Errorf("%s: %s", p.ImportPath, strings.TrimSpace(p.Error.Err))
			}
			continue
		}
		for _, file := range append(p.TestGoFiles, p.XTestGoFiles...) {
			has, err := declaresBenchmark(filepath.Join(p.Dir, file))
			if err != nil {
				return nil, err
			}
			if has {
				found[p.ImportPath] = p
				break
			}
		}
	}
	return found, nil
}

// declaresBenchmark reports whether a line of a file begins as one of a benchmark does.
func declaresBenchmark(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadString('\n')
		if strings.HasPrefix(line, "func Benchmark") {
			return true, nil
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
}

// linker returns what makes a test binary.
func (t tree) linker(path, out string, seed uint64) func(context.Context, int) (string, error) {
	return func(ctx context.Context, layout int) (string, error) {
		to := out + "-" + strconv.Itoa(layout) + ".test"
		args := append([]string{"test", "-c", "-o", to}, t.flags...)
		if layout > 0 {
			flags, err := t.linkFlags(ctx)
			if err != nil {
				return "", err
			}
			drawn := rand.New(rand.NewPCG(seed, uint64(layout))).Uint32() | 1 // 0 draws none
			args = append(args, "-ldflags="+strings.TrimSpace(flags+" -randlayout="+strconv.FormatUint(uint64(drawn), 10)))
		}
		if _, err := outputOf(ctx, t.dir, t.env, "go", append(args, path)...); err != nil {
			return "", err
		}
		return to, nil
	}
}

// linkFlags are what the user tells the linker, which -randlayout is added to: on the command line,
// or else in GOFLAGS.
func (t tree) linkFlags(ctx context.Context) (string, error) {
	out, err := outputOf(ctx, t.dir, t.env, "go", "env", "GOFLAGS")
	if err != nil {
		return "", err
	}
	flags := ""
	for _, f := range append(strings.Fields(string(out)), t.flags...) {
		if v, ok := strings.CutPrefix(strings.TrimPrefix(f, "-"), "-ldflags="); ok {
			flags = v
		} else if v, ok := strings.CutPrefix(f, "-ldflags="); ok {
			flags = v
		}
	}
	return flags, nil
}

// changed leaves out the packages whose test binaries are made of the same on both sides: the
// content of each package in them has the same identifier, compiled with -trimpath so that it does
// not depend on where the source lies, and their folders testdata have the same files.
func changed(
	ctx context.Context, trees [2]tree, have [2]map[string]goPackage, all []string, built *Built,
) (left []string, err error) {
	var parts [2]map[string]string
	for side, t := range trees {
		if parts[side], err = t.parts(ctx, all); err != nil {
			return nil, sideError{side, err}
		}
	}
	same := 0
	for _, path := range all {
		var data [2]string
		for side := range data {
			if data[side], err = contentOf(filepath.Join(have[side][path].Dir, "testdata")); err != nil {
				return nil, err
			}
		}
		if parts[0][path] == parts[1][path] && data[0] == data[1] {
			same++
			continue
		}
		left = append(left, path)
	}
	if same > 0 {
		built.Remarks = append(built.Remarks, fmt.Sprintf(
			"%d of %d packages with benchmarks are the same on both sides, and were left out (-pkg-changed)", same, len(all)))
	}
	return left, nil
}

// parts returns of each package what its test binary is made of.
func (t tree) parts(ctx context.Context, packages []string) (map[string]string, error) {
	args := append([]string{"-trimpath", "-test", "-deps", "-export", "-json=ImportPath,Deps,BuildID"}, t.flags...)
	all, err := t.golist(ctx, append(append(args, "--"), packages...)...)
	if err != nil {
		return nil, err
	}
	content := make(map[string]string)
	for _, p := range all {
		content[p.ImportPath] = p.BuildID[strings.LastIndexByte(p.BuildID, '/')+1:]
	}
	parts := make(map[string]string)
	for _, p := range all {
		path, ok := strings.CutSuffix(p.ImportPath, ".test")
		if !ok || !slices.Contains(packages, path) {
			continue
		}
		var b strings.Builder
		for _, dep := range slices.Sorted(slices.Values(append(p.Deps, p.ImportPath))) {
			b.WriteString(dep + " " + content[dep] + "\n")
		}
		parts[path] = b.String()
	}
	return parts, nil
}

// contentOf is a hash of all files in a folder; empty: there is none.
func contentOf(dir string) (string, error) {
	h := sha256.New()
	some := false
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		some = true
		rest, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %d\n", rest, info.Size())
		_, err = io.Copy(h, f)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || !some && err == nil {
		return "", nil
	}
	return string(h.Sum(nil)), err
}
