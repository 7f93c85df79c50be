package gate

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// The files of a duel of Go benchmarks have the same marks as those of a duel of servers, with two
// differences: their plan ends in of=benchmarks, and its blocks are all blocks in the file, those
// of one benchmark after those of another. Each benchmark has its own number of blocks, because
// what is clear ends early.
const ofBenchmarks = "benchmarks"

// Comments of such files: what should be judged and was not measured, and what failed.
const (
	missingPrefix = "# missing: "
	failedPrefix  = "# failed: "
)

// planOfBenchmarks is the plan of a duel of Go benchmarks after the blocks that it has.
func planOfBenchmarks(d result.BenchDuel) plan {
	p := plan{
		Plan: result.Plan{Looks: d.Plan.Looks, Alpha: d.Plan.Alpha, Units: d.Plan.Units, Margins: d.Plan.Margins,
			Require: d.Plan.Require},
		seed: d.Seed, started: d.Started.UTC().Format(time.RFC3339Nano), of: ofBenchmarks,
	}
	for _, b := range d.Benchmarks {
		p.blocks += len(b.Blocks)
	}
	p.id = checksum(p.text())
	return p
}

// BenchDuelFile is the file of one side of a duel of Go benchmarks, in the Go benchmark format: a
// line for each block, with what was measured and not what it is relative to the other side.
func BenchDuelFile(d result.BenchDuel, side int) []byte {
	var b bytes.Buffer
	p := planOfBenchmarks(d)
	fmt.Fprintf(&b, "# %s of a duel of Go benchmarks, by rampart %s: %s\n", result.SideNames[side], oneLine(d.Rampart),
		oneLine([2]string{d.Baseline, d.Candidate}[side]))
	fmt.Fprintf(&b, "%s id=%s\n", p.text(), p.id)
	for _, of := range []struct {
		prefix string
		lines  []string
	}{{failedPrefix, d.Failed}, {missingPrefix, d.Missing}, {NotePrefix, d.Notes}} {
		for _, l := range of.lines {
			b.WriteString(of.prefix + oneLine(l) + "\n")
		}
	}
	for _, unit := range slices.Sorted(maps.Keys(d.Better)) {
		fmt.Fprintf(&b, "Unit %s better=%s\n", unit, d.Better[unit])
	}
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\n", d.Machine.OS, d.Machine.Arch)
	if d.Machine.CPU != "" {
		fmt.Fprintf(&b, "cpu: %s\n", d.Machine.CPU)
	}
	pkg := ""
	for _, benchmark := range d.Benchmarks {
		if benchmark.Package != pkg {
			pkg = benchmark.Package
			fmt.Fprintf(&b, "pkg: %s\n", pkg)
		}
		for _, block := range benchmark.Blocks {
			fmt.Fprintf(&b, "%sseed=%d block=%d plan=%s took=%v\n", markPrefix, d.Seed, block.Number, p.id, block.Took)
			fmt.Fprintf(&b, "%s\t%d", benchmark.Name, benchmark.Iterations)
			for _, m := range block.Sides[side] {
				fmt.Fprintf(&b, "\t%s %s", exact(m.Value), m.Unit)
			}
			b.WriteString("\n")
		}
	}
	return b.Bytes()
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// JudgeBenchDuel judges a duel of Go benchmarks as [Judge] judges its two files.
func JudgeBenchDuel(d result.BenchDuel) Report {
	var sides [2]Results
	for side, path := range [2]string{d.Baseline, d.Candidate} {
		r, err := Parse(path, BenchDuelFile(d, side))
		if err != nil { // only of what is no text
			panic(err)
		}
		sides[side] = r
	}
	r, err := Judge(sides[0], sides[1], Options{})
	if err != nil { // only flags can be wrong, and there are none
		panic(err)
	}
	return r
}

// CheckBenchDuel says which units and margins of a plan a duel does not have, of which nobody would
// know that they are never judged.
func CheckBenchDuel(d result.BenchDuel) error {
	r, err := Parse(d.Baseline, BenchDuelFile(d, 0))
	if err != nil {
		return err
	}
	p := planOfBenchmarks(d)
	o := Options{Units: p.Units, Margins: map[string]float64{}, Require: p.Require}
	for unit, m := range p.Margins {
		o.Margins[Tidy(unit)] = m
	}
	_, err = Judge(r, r, o)
	return err
}

// checkBenchmarks returns what is wrong with the marks of a file of benchmarks.
func (r Results) checkBenchmarks(p planLine, bad func(at int, format string, args ...any) []string) []string {
	for _, b := range r.blocks {
		if b.seed != p.seed || b.plan != p.id {
			return bad(b.line, "block %d is not of the duel in line %d: judge each duel for itself", b.number, p.line)
		}
	}
	if n := len(r.blocks); n != p.blocks {
		return bad(p.line, "%d blocks of the duel's %d are in the file: it was cut", n, p.blocks)
	}
	for i, l := range r.lines {
		if i >= len(r.blocks) || l.block != r.blocks[i].block || l.at < r.blocks[i].line {
			return bad(l.at, "%s is no result of the duel in line %d: judge it for itself", l.name, p.line)
		}
		same := i > 0 && l.name == r.lines[i-1].name && l.settings == r.lines[i-1].settings
		if want := 1; l.block.number != want {
			if same {
				want = r.lines[i-1].block.number + 1
			}
			if l.block.number != want {
				return bad(l.at, "block %d of %s where block %d should be: use the files as they were written", l.block.number,
					l.name, want)
			}
		} else if same {
			return bad(l.at, "%s a second time: use the files as they were written", l.name)
		}
	}
	if n := len(r.blocks) - len(r.lines); n > 0 {
		return bad(p.line, "%s without a result: use the files as they were written", Plural(n, "block"))
	}
	return nil
}

// exact compares counts of which each side has the same in all samples: no chance is in them, so
// one more is more. In a duel of benchmarks that is what package testing counts. There, more than
// nothing is allowed only to who says so, but for the bytes, which also grow with what is none of
// the code's doing, such as the length of a path. Elsewhere, and of other counts, who allows
// nothing at all says that they are exact. Times and rates are none, however coarsely they are
// printed.
func (j *judge) exact(row *Row, p pairs, unit string, better verdict.Better, margin float64) bool {
	allowed, said := j.Margins[unit]
	counted := j.plan != nil && j.plan.of == ofBenchmarks && cut(unit) && p.paired
	strict := said && allowed == 0 && mayBeZero(unit)
	if !counted && !strict || !constant(p.baseline) || !constant(p.candidate) {
		return false
	}
	if !said && unit == "allocs/op" {
		margin = 0
	}
	before, after := p.baseline[0].value, p.candidate[0].value
	worse := after > before
	if better == verdict.Higher {
		worse = after < before
	}
	if !counted && after != before {
		// Printed numbers may be rounded or cut.
		x, y := p.baseline[0].between, p.candidate[0].between
		if x.low <= y.high && y.low <= x.high {
			return false
		}
	}
	row.Exact, row.Paired, row.Allowed = true, p.paired, better.Change(better.Margin(margin))+0
	row.Improved = !worse && after != before
	row.BaselineSamples, row.CandidateSamples = len(p.baseline), len(p.candidate)
	row.BaselineMedian, row.CandidateMedian = &before, &after
	change := 0.0
	if after != before {
		change = after/before - 1
	}
	row.Change = finite(change)
	row.ChangeLowest, row.ChangeHighest = row.Change, row.Change
	row.Verdict = verdict.Pass
	if worse && !(math.Abs(change) < margin) {
		row.Verdict = verdict.Regressed
	}
	return true
}

func constant(samples []sample) bool {
	for _, s := range samples {
		if s.value != samples[0].value {
			return false
		}
	}
	return len(samples) > 1
}

// early says why a benchmark that has so many pairs has no verdict; empty: it may have one.
func (j *judge) early(pairs int) string {
	if j.plan == nil || j.plan.of != ofBenchmarks || slices.Contains(j.plan.Looks, pairs) {
		return ""
	}
	return fmt.Sprintf("it ended after %s, between its looks (%s): all chances to err belong to these",
		Plural(pairs, "block"), numbers(j.plan.Looks))
}

// takes says how long some more pairs would take; empty: nobody knows.
func takes(samples int, each time.Duration) string {
	d := time.Duration(samples) * each
	switch {
	case d <= 0:
		return ""
	case d < time.Minute:
		d = max(d.Round(time.Second), time.Second)
	default:
		d = d.Round(time.Minute)
	}
	return ", some " + strings.TrimSuffix(d.String(), "m0s") + map[bool]string{true: "m"}[d >= time.Minute]
}

// power says which losses would have been found, as far as the scatter of the pairs tells; empty:
// it does not.
func (j *judge) power() string {
	if j.plan == nil || j.plan.of != ofBenchmarks {
		return ""
	}
	var losses []float64
	for _, row := range j.rows {
		if loss, ok := j.rule.Finds(row.Comparison, len(j.rows)); ok {
			losses = append(losses, loss)
		}
	}
	if len(losses) == 0 {
		return ""
	}
	slices.Sort(losses)
	at := func(share float64) string {
		return strconv.FormatFloat(100*losses[int(share*float64(len(losses)-1))], 'g', 2, 64)
	}
	if len(losses) == 1 {
		return fmt.Sprintf("power: a loss of about %s %% would have been found in 95 of 100 cases", at(1))
	}
	return fmt.Sprintf("power: in 95 of 100 cases a loss of about %s %% would have been found in half of the %d rows "+
		"that have noise, and of %s %% in nine of ten", at(0.5), len(losses), at(0.9))
}
