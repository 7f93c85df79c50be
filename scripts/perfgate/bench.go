package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rampart/loadtest"
	"rampart/loadtest/gate"
	"rampart/loadtest/gobench"
	"rampart/loadtest/lab"
	"rampart/loadtest/report"
)

const benchHelp = `perfgate bench measures Go benchmarks of two versions in turns: is the candidate slower?

	perfgate bench -base REF [flags] [packages]                        a commit against the working tree
	perfgate bench -baseline OLD.test -candidate NEW.test [flags]      two test binaries (go test -c)

The benchmarks need no change. Both versions are compiled; a block starts a fresh process of each, in random order,
linked with another order of functions, and lets both take turns in slices of some milliseconds on the same processors.
After 9, 12, 16, 24, 36 and 54 blocks perfgate looks at the verdict of a benchmark, and goes on to the next one when
there is one. A benchmark that is clear takes some seconds.

Flags, beside -margin, -unit, -require-better, -alpha, -md, -json and -comment (perfgate -h):
	-base REF             the commit, branch or tag of the baseline; the candidate is the working tree
	-baseline FILE        or: the test binary of the baseline
	-candidate FILE       and that of the candidate; both run in the working directory
	-bench REGEXP         which benchmarks, as of go test (default ".")
	-for DURATION         how long all may take, with building (default 5m)
	-timeout DURATION     a single measurement that takes longer is ended, and has failed (default 1m)
	-cpu N,...            GOMAXPROCS, as of go test (default: all processors)
	-layouts N            how many orders of functions each side is linked in (default: as many as a third of the time
	                      allows, up to 9); 1: the linker's own, so that luck with alignment is in no interval
	-pkg-changed          leave packages out whose test binaries are made of the same on both sides, by build ID
	-blocks N,...         after how many blocks to look (default 9,12,16,24,36,54)
	-seed N               of all that is drawn (default: drawn, and printed)
	-results FOLDER       where baseline.txt, candidate.txt, duel.json and duel.html go, in a folder of their own
	                      (default results)
	-short                as of go test
	-args ARGUMENT ...    at the end: the rest goes to the test binaries, as of go test
	-tags -ldflags -gcflags -asmflags -mod -modfile -overlay -pgo -race -msan -asan -trimpath
	                      as of go build

Units. ns/op, B/op, allocs/op, and others whose direction is known by their name or by a line "Unit name better=lower"
that TestMain prints. A count that is the same in all blocks of a side is compared as it is: one allocation more is a
regression, unless -margin allocs/op=5% allows it.

Ctrl-C ends it with exit code 2; the files hold what was measured.

Examples:
	perfgate bench -base main ./...
	perfgate bench -base HEAD~1 -bench 'Sort|Parse' -for 1m -margin ns/op=5% ./internal/...
	perfgate bench -baseline old.test -candidate new.test
`

// benchOptions is what a user says of a duel of benchmarks.
type benchOptions struct {
	options
	duel     gobench.Duel
	build    gobench.Build
	binaries [2]string
	results  string
}

// buildFlags are passed on to the go command.
var buildFlags = struct{ values, switches []string }{
	[]string{"tags", "ldflags", "gcflags", "asmflags", "mod", "modfile", "overlay", "pgo"},
	[]string{"race", "msan", "asan", "trimpath"},
}

func parseBench(args []string) (o benchOptions, err error) {
	if i := slices.IndexFunc(args, func(a string) bool { return a == "-args" || a == "--args" }); i >= 0 {
		o.build.Args, args = slices.Clone(args[i+1:]), args[:i]
	}
	flags := flag.NewFlagSet("perfgate bench", flag.ContinueOnError)
	o.define(flags)
	flags.StringVar(&o.build.Base, "base", "", "")
	flags.StringVar(&o.binaries[0], "baseline", "", "")
	flags.StringVar(&o.binaries[1], "candidate", "", "")
	flags.StringVar(&o.duel.Bench, "bench", ".", "")
	flags.DurationVar(&o.duel.For, "for", gobench.DefaultFor, "")
	flags.DurationVar(&o.duel.Timeout, "timeout", gobench.DefaultTimeout, "")
	flags.IntVar(&o.duel.Layouts, "layouts", 0, "")
	flags.BoolVar(&o.build.Changed, "pkg-changed", false, "")
	flags.Uint64Var(&o.duel.Seed, "seed", 0, "")
	flags.StringVar(&o.results, "results", "results", "")
	blocks := flags.String("blocks", "", "")
	cpu := flags.String("cpu", "", "")
	short := flags.Bool("short", false, "")
	for _, name := range buildFlags.values {
		flags.Func(name, "", func(s string) error {
			o.build.Flags = append(o.build.Flags, "-"+name+"="+s)
			return nil
		})
	}
	for _, name := range buildFlags.switches {
		flags.BoolFunc(name, "", func(s string) error {
			o.build.Flags = append(o.build.Flags, "-"+name+"="+s)
			return nil
		})
	}
	if err := o.parse(flags, args); err != nil {
		return o, err
	}
	if *short {
		o.build.Args = append([]string{"-test.short"}, o.build.Args...)
	}
	o.build.Packages = flags.Args()
	if err := o.checkSides(); err != nil {
		return o, err
	}
	switch {
	case o.duel.For <= 0:
		return o, fmt.Errorf("-for %v: want a duration such as 5m", o.duel.For)
	case o.duel.Timeout <= 0:
		return o, fmt.Errorf("-timeout %v: want a duration such as 1m", o.duel.Timeout)
	case o.duel.Layouts < 0:
		return o, fmt.Errorf("-layouts %d: want 1 or more, or 0 for as many as there is time for", o.duel.Layouts)
	}
	if *cpu != "" {
		for part := range strings.SplitSeq(*cpu, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(part))
			if err != nil || n < 1 || slices.Contains(o.duel.Procs, n) {
				return o, fmt.Errorf("-cpu %q: want different numbers such as 1,2,4", *cpu)
			}
			o.duel.Procs = append(o.duel.Procs, n)
		}
	}
	o.duel.Looks = gobench.DefaultLooks()
	if *blocks != "" {
		if o.duel.Looks, err = parseBlocks(*blocks); err != nil {
			return o, fmt.Errorf("-blocks %w", err)
		}
	}
	o.duel.Seed = loadtest.DrawSeed(o.duel.Seed)
	o.build.Seed = o.duel.Seed
	o.duel.Alpha, o.duel.Units, o.duel.Version = o.Alpha, o.Units, loadtest.Version()
	o.duel.Margins, o.duel.Require = o.Margins, o.Require
	return o, nil
}

// checkSides says which flags do not name two sides.
func (o benchOptions) checkSides() error {
	given := o.binaries[0] != "" || o.binaries[1] != ""
	switch {
	case o.build.Base != "" && given:
		return errors.New("-base and -baseline or -candidate: want a commit, or two test binaries")
	case o.build.Base != "":
		return nil
	case !given:
		return errors.New("nothing to compare: want -base REF, such as -base main, or -baseline old.test -candidate new.test")
	case o.binaries[0] == "" || o.binaries[1] == "":
		return errors.New("one test binary: want both -baseline old.test and -candidate new.test")
	case len(o.build.Packages) > 0:
		return fmt.Errorf("%q: two test binaries have their package already; packages go with -base", o.build.Packages[0])
	case len(o.build.Flags) > 0:
		return fmt.Errorf("%s: two test binaries are built already; flags of go build go with -base", o.build.Flags[0])
	case o.build.Changed:
		return errors.New("-pkg-changed: two test binaries have one package; it goes with -base")
	}
	return nil
}

// suites makes what is to be measured. remove takes away what was made for it.
func (o *benchOptions) suites(ctx context.Context) (remove func() error, err error) {
	remove = func() error { return nil }
	if o.build.Base == "" {
		var sides [2]*gobench.Source
		for i, path := range o.binaries {
			if path, err = filepath.Abs(path); err != nil {
				return remove, err
			}
			if info, err := os.Stat(path); err != nil {
				return remove, err
			} else if info.IsDir() || info.Mode()&0o111 == 0 {
				return remove, fmt.Errorf("%s is no program: want a test binary, as go test -c makes it", path)
			}
			sides[i] = gobench.Prebuilt(path, "", o.build.Args...)
		}
		o.duel.Suites = []*gobench.Suite{{Sides: sides}}
		o.duel.Baseline, o.duel.Candidate = o.binaries[0], o.binaries[1]
		o.duel.Layouts = 1
		return remove, nil
	}
	built, err := o.build.Make(ctx)
	if err != nil {
		return built.Remove, err
	}
	o.duel.Suites, o.duel.Missing, o.duel.Remarks = built.Suites, built.Missing, built.Remarks
	o.duel.Baseline, o.duel.Candidate = fmt.Sprintf("%s (%s)", o.build.Base, built.Base), "the working tree"
	return built.Remove, nil
}

// benchmarks runs a duel of Go benchmarks, and writes its verdict. Progress goes to stderr.
func benchmarks(args []string, summary string, stdout, stderr io.Writer) (code int, err error) {
	o, err := parseBench(args)
	if err != nil {
		return 0, err
	}
	if err := o.checkOutput(summary); err != nil {
		return 0, err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, cancel) // a second Ctrl-C ends the process at once
	begun := time.Now()
	remove, err := o.suites(ctx)
	defer func() { err = errors.Join(err, remove()) }()
	if err != nil {
		return 0, err
	}
	if len(o.duel.Suites) == 0 && len(o.duel.Missing) == 0 {
		for _, remark := range o.duel.Remarks {
			fmt.Fprintln(stderr, remark)
		}
		if o.build.Changed {
			const nothing = "no package with benchmarks is different on both sides: there is nothing to measure"
			fmt.Fprintln(stderr, nothing)
			return gate.ExitPass, o.comments([]byte("## perfgate: pass\n\n" + nothing + "\n"))
		}
		return 0, errors.New("no package that has benchmarks on both sides; want packages, as with ./... for all")
	}
	files, err := lab.NewFiles(o.results, time.Now())
	if err != nil {
		return 0, err
	}
	if unlinked := files.Unlinked(); unlinked != nil {
		fmt.Fprintf(stderr, "perfgate: warning: %v\n", unlinked)
	}
	terminal := lab.OpenTerminal()
	defer terminal.Close()
	o.duel.For = max((o.duel.For - time.Since(begun)).Round(time.Second), time.Second)
	o.duel.OnStatus = func(s gobench.Status) { terminal.Say(statusLine(s)) }
	written := time.Now()
	o.duel.OnLook = func(l gobench.Look) {
		terminal.End()
		fmt.Fprintf(stderr, "%s (%s)\n", report.BenchDuelLine(l.Benchmark, l.Report), statusLine(l.Status))
		if time.Since(written) > writeInterval {
			err = errors.Join(err, files.WriteBenchDuel(l.Result.BenchDuel, gate.JudgeBenchDuel(l.Result.BenchDuel)))
			written = time.Now()
		}
	}
	fmt.Fprintf(stderr, "baseline %s, candidate %s; seed %d, files in %s\n", o.duel.Baseline, o.duel.Candidate,
		o.duel.Seed, files.Dir())
	result, failed := o.duel.Run(ctx)
	terminal.Close()
	err = errors.Join(err, files.WriteBenchDuel(result.BenchDuel, result.Report))
	switch {
	case failed != nil:
		return 0, fmt.Errorf("%w\nwhat was measured is in %s", failed, files.Dir())
	case err != nil:
		return 0, err
	}
	judged := result.Report
	judged.Baseline.Path, judged.Candidate.Path = files.DuelPath(0), files.DuelPath(1)
	return judged.Exit, o.write(stdout, summary, judged)
}

// writeInterval is how often files are written while the duel goes on: judging all takes a while.
const writeInterval = 15 * time.Second

func statusLine(s gobench.Status) string {
	line := s.What
	if s.Of > 0 {
		line = fmt.Sprintf("%d of %d done", s.Done, s.Of)
		if s.Left > 0 {
			line += fmt.Sprintf(", about %v left", max(s.Left.Round(time.Second), time.Second))
		}
	}
	return line
}
