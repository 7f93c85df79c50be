package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"

	"rampart/loadtest/gobench"
	"rampart/loadtest/verdict"
	"rampart/scripts/proof"
)

// packages are those whose benchmarks are compared. All but ours are in every installation of Go.
var packages = []string{"bytes", "encoding/json", "regexp", "sort", "strconv", ours}

// outcome is what a comparison found.
type outcome struct {
	trial
	Verdict  string  // of the duel; of the usual way: regressed or pass, by benchstat's rule
	Plain    string  `json:",omitempty"` // of the usual way: regressed or pass, by a limit of 5 % on the change
	Estimate float64 // of the change of ns/op, a fraction
	Low      float64 // its interval
	High     float64
	Blocks   int
	Seconds  float64 // without linking, which all blocks and benchmarks of a package share
}

func (o outcome) String() string {
	return fmt.Sprintf("%s: %s, %+.2f %% (%+.2f to %+.2f), %d blocks, %.1f s", o.trial, o.Verdict, 100*o.Estimate,
		100*o.Low, 100*o.High, o.Blocks, o.Seconds)
}

// lab runs trials.
type lab struct {
	dir string
}

// layouts are linked of each package.
const layouts = 9

// newLab links all that is needed: both sides of a comparison are the same programs, built twice
// only in name.
func newLab(ctx context.Context, dir string, stderr io.Writer) (*lab, error) {
	l := &lab{dir: dir}
	for _, pkg := range packages {
		fmt.Fprintf(stderr, "link %s\n", pkg)
		for layout := range layouts + 1 {
			args := []string{"test", "-c", "-o", l.program(pkg, layout)}
			if layout > 0 {
				args = append(args, "-ldflags=-randlayout="+strconv.Itoa(layout))
			}
			cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("go test -c %s: %w\n%s", pkg, err, out)
			}
		}
	}
	return l, nil
}

func (l *lab) program(pkg string, layout int) string {
	return filepath.Join(l.dir, strings.ReplaceAll(pkg, "/", "-")+"-"+strconv.Itoa(layout)+".test")
}

// folder is where the tests of a package run.
func folder(ctx context.Context, pkg string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		return "", fmt.Errorf("go list %s: %w", pkg, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// duel is that of a package with itself, where the candidate does so much more work.
func (l *lab) duel(ctx context.Context, pkg string, more float64) (gobench.Duel, error) {
	dir, err := folder(ctx, pkg)
	if err != nil {
		return gobench.Duel{}, err
	}
	suite := gobench.Suite{Package: pkg}
	for side := range suite.Sides {
		suite.Sides[side] = &gobench.Source{Dir: dir, Link: func(_ context.Context, layout int) (string, error) {
			return l.program(pkg, layout), nil
		}}
	}
	if more > 0 {
		suite.Sides[1].Args = arguments(more)
	}
	return gobench.Duel{
		Suites: []*gobench.Suite{&suite}, Baseline: pkg, Candidate: fmt.Sprintf("%s, %g %% more work", pkg, more),
		Layouts: layouts, For: time.Hour,
	}, nil
}

func arguments(more float64) []string {
	return []string{"-more=" + strconv.FormatFloat(more, 'g', -1, 64)}
}

// names lists all benchmarks.
func (l *lab) names(ctx context.Context) (all []name, err error) {
	for _, pkg := range packages {
		d, err := l.duel(ctx, pkg, 0)
		if err != nil {
			return nil, err
		}
		listed, err := d.List(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range listed {
			all = append(all, name{pkg, b})
		}
	}
	return all, nil
}

// run runs one trial.
func (l *lab) run(ctx context.Context, t trial, seed uint64) (o outcome, err error) {
	if t.Neighbour {
		n, failed := proof.StartNeighbour()
		if failed != nil {
			return o, failed
		}
		defer func() { err = errors.Join(err, n.Stop()) }()
	}
	begun := time.Now()
	if t.Usual {
		o, err = l.usual(ctx, t)
	} else {
		o, err = l.compare(ctx, t, seed)
	}
	o.trial, o.Seconds = t, time.Since(begun).Seconds()
	return o, err
}

// compare runs a duel.
func (l *lab) compare(ctx context.Context, t trial, seed uint64) (o outcome, err error) {
	d, err := l.duel(ctx, t.Package, t.More)
	if err != nil {
		return o, err
	}
	d.Bench, d.Seed = gobench.Exactly(t.Benchmark), seed
	r, err := d.Run(ctx)
	if err != nil {
		return o, err
	}
	o.Verdict = string(r.Report.Verdict)
	for _, row := range r.Report.Rows {
		if row.Unit == "ns/op" && row.Change != nil && row.ChangeLowest != nil && row.ChangeHighest != nil {
			o.Estimate, o.Low, o.High = *row.Change, *row.ChangeLowest, *row.ChangeHighest
		}
	}
	for _, b := range r.Benchmarks {
		o.Blocks += len(b.Blocks)
	}
	return o, nil
}

// usual measures ten times the old and then ten times the new one, as go test -count 10 does, in
// about the time that a duel of nine blocks takes.
func (l *lab) usual(ctx context.Context, t trial) (o outcome, err error) {
	dir, err := folder(ctx, t.Package)
	if err != nil {
		return o, err
	}
	var sides [2][]float64
	for side := range sides {
		args := []string{
			"-test.run=^$", "-test.bench=" + gobench.Exactly(t.Benchmark), "-test.count=10", "-test.benchtime=150ms",
		}
		if side == 1 && t.More > 0 {
			args = append(args, arguments(t.More)...)
		}
		cmd := exec.CommandContext(ctx, l.program(t.Package, 0), args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			return o, fmt.Errorf("%s: %w\n%s", t, err, out)
		}
		for r := benchfmt.NewReader(bytes.NewReader(out), t.Package); r.Scan(); {
			if line, ok := r.Result().(*benchfmt.Result); ok {
				if seconds, ok := line.Value("sec/op"); ok {
					sides[side] = append(sides[side], seconds)
				}
			}
		}
		if len(sides[side]) == 0 {
			return o, fmt.Errorf("%s: no result:\n%s", t, out)
		}
	}
	before := benchmath.NewSample(sides[0], &benchmath.DefaultThresholds)
	after := benchmath.NewSample(sides[1], &benchmath.DefaultThresholds)
	change := benchmath.AssumeNothing.Summary(after, 0.95).Center/benchmath.AssumeNothing.Summary(before, 0.95).Center - 1
	o = outcome{Verdict: string(verdict.Pass), Plain: string(verdict.Pass), Estimate: change, Low: change, High: change}
	if c := benchmath.AssumeNothing.Compare(before, after); c.P < c.Alpha && change > 0 {
		o.Verdict = string(verdict.Regressed)
	}
	if change > 0.05 {
		o.Plain = string(verdict.Regressed)
	}
	return o, nil
}
