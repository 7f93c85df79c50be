package main

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchunit"

	"rampart/loadtest/verdict"
)

// benchmark identifies a benchmark in a file, by its name and by what else tells it from others: its package, and
// configuration that changes within a file. Configuration that differs only between the files, such as a commit, does not.
type benchmark struct{ name, config string }

func (b benchmark) String() string {
	if b.config == "" {
		return b.name
	}
	return b.name + " (" + b.config + ")"
}

// table is the lines of a file by benchmark.
type table struct {
	order []benchmark
	lines map[benchmark][]line
	cores map[benchmark]string // a full name, by the benchmark whose name lacks the number of cores
}

func (r results) table(keys []string) table {
	t := table{lines: make(map[benchmark][]line), cores: make(map[benchmark]string)}
	for _, l := range r.lines {
		var config []string
		for _, key := range keys {
			switch v := l.config[key]; {
			case v == "":
			case key == "pkg":
				config = append(config, v)
			default:
				config = append(config, key+": "+v)
			}
		}
		b := benchmark{l.name, strings.Join(config, ", ")}
		if t.lines[b] == nil {
			t.order = append(t.order, b)
			t.cores[b.withoutCores()] = b.name
		}
		t.lines[b] = append(t.lines[b], l)
	}
	return t
}

// units lists the units of lines in the order of their appearance.
func units(lines []line) (units []string) {
	for _, l := range lines {
		for _, v := range l.values {
			if !slices.Contains(units, v.tidy) {
				units = append(units, v.tidy)
			}
		}
	}
	return units
}

// judge gathers a report.
type judge struct {
	chooser
	rule                verdict.Rule
	baseline, candidate results
	report              Report
	rows                []verdict.Row // of those in report.Rows that have one
	at                  []int         // where these are in report.Rows
	failures            verdict.Failures
	whys                []string // of all pairings
}

// gate judges two files. An error says that a flag does not fit the files; what is wrong with the files is in the report.
func gate(baseline, candidate results, o options) (Report, error) {
	j := judge{rule: verdict.Rule{Alpha: o.alpha, Looks: o.looks}, baseline: baseline, candidate: candidate}
	j.chooser = chooser{o, map[string]verdict.Better{}, map[string]string{}}
	j.report = Report{
		Version: reportVersion, Alpha: o.alpha,
		Baseline:  File{baseline.path, len(baseline.lines)},
		Candidate: File{candidate.path, len(candidate.lines)},
		Rows:      []Row{}, Problems: []string{}, Gaps: []string{}, NotGated: []NotGated{}, Notes: []string{},
	}
	for _, broken := range append(slices.Clone(baseline.broken), candidate.broken...) {
		if !slices.Contains(j.report.Problems, broken) { // a file against itself
			j.problem("%s", broken)
		}
	}
	j.countFailures()
	j.directions()
	if err := j.check(); err != nil {
		return Report{}, err
	}
	j.compareSettings()
	j.compare()
	j.conclude()
	return j.report, nil
}

// countFailures compares the requests that failed in blocks that both files count. Where there are none, a benchmark that failed is a
// problem.
func (j *judge) countFailures() {
	var baseline, candidate []verdict.Count
	for b, count := range j.baseline.counts {
		if other, ok := j.candidate.counts[b]; ok {
			baseline, candidate = append(baseline, count), append(candidate, other)
		}
	}
	if len(baseline) == 0 {
		for _, failed := range append(slices.Clone(j.baseline.failed), j.candidate.failed...) {
			j.problem("%s", failed)
		}
		return
	}
	j.failures = j.rule.Failures(baseline, candidate)
	f := &Failures{
		Blocks:           j.failures.Blocks,
		BaselineRequests: j.failures.Baseline.Total(), BaselineFailed: j.failures.Baseline.Failed,
		CandidateRequests: j.failures.Candidate.Total(), CandidateFailed: j.failures.Candidate.Failed,
		P: j.failures.P, PNeeded: j.failures.Needed, Verdict: j.failures.Verdict,
	}
	if f.Verdict == verdict.Inconclusive {
		f.Reason = fmt.Sprintf("%s: not shown to be more often, p is %s and not %s or less, but no pass either", j.failures,
			probability(f.P), probability(f.PNeeded))
	}
	j.report.Failures = f
}

// directions finds out for each unit in which direction it is better.
func (j *judge) directions() {
	for _, r := range []results{j.baseline, j.candidate} {
		for _, l := range r.lines {
			for _, v := range l.values {
				if _, ok := j.shown[v.tidy]; !ok {
					j.shown[v.tidy] = v.unit
				}
			}
		}
	}
	for _, unit := range sortedKeys(j.shown) {
		x, y := j.declared(j.baseline, unit), j.declared(j.candidate, unit)
		switch {
		case x != "" && y != "" && x != y:
			j.problem("%s: the baseline says better=%s, the candidate better=%s", j.shown[unit], x, y)
		case x == "higher" || y == "higher":
			j.better[unit] = verdict.Higher
		case x == "lower" || y == "lower":
			j.better[unit] = verdict.Lower
		case x == "" && y == "":
			j.better[unit] = betterByName(unit)
		}
	}
}

func (j *judge) declared(r results, unit string) string {
	if m := r.units.Get(unit, "better"); m != nil {
		return m.Value
	}
	return ""
}

func (j *judge) problem(format string, args ...any) {
	j.report.Problems = append(j.report.Problems, fmt.Sprintf(format, args...))
}
func (j *judge) gap(format string, args ...any) {
	j.report.Gaps = append(j.report.Gaps, fmt.Sprintf(format, args...))
}
func (j *judge) note(format string, args ...any) {
	j.report.Notes = append(j.report.Notes, fmt.Sprintf(format, args...))
}

// compareSettings notes what was not the same for both files.
func (j *judge) compareSettings() {
	if bytes.Equal(j.baseline.content, j.candidate.content) {
		j.note("both files have the same content")
	}
	if len(j.baseline.lines) == 0 || len(j.candidate.lines) == 0 {
		return
	}
	x, y := j.baseline.lines[0].config, j.candidate.lines[0].config
	for _, key := range sortedKeys(x) {
		if v, ok := y[key]; ok && v != x[key] {
			j.note("%s differs: %s in the baseline, %s in the candidate", key, x[key], v)
		}
	}
}

// compare makes a row for each benchmark and gated unit that both files have, and names the others.
func (j *judge) compare() {
	varying := j.baseline.varying()
	maps.Copy(varying, j.candidate.varying())
	keys := sortedKeys(varying)
	x, y := j.baseline.table(keys), j.candidate.table(keys)
	notGated := map[[2]string]int{}
	for _, b := range x.order {
		if y.lines[b] == nil {
			tell := j.note // what would not have been gated is not missed
			if all := units(x.lines[b]); slices.ContainsFunc(all, func(u string) bool { return j.why(u, all, x.lines[b]) == "" }) {
				tell = j.gap
			}
			tell("%s is only in the baseline%s", b, otherCores(b, y))
			continue
		}
		lines := append(slices.Clone(x.lines[b]), y.lines[b]...)
		all := units(lines)
		for _, unit := range all {
			if why := j.why(unit, all, lines); why != "" {
				if why := [2]string{j.shown[unit], why}; notGated[why] == 0 {
					j.report.NotGated = append(j.report.NotGated, NotGated{Unit: why[0], Why: why[1]})
				}
				notGated[[2]string{j.shown[unit], why}]++
				continue
			}
			j.row(b, unit, x.lines[b], y.lines[b])
		}
	}
	for i := range j.report.NotGated {
		n := &j.report.NotGated[i]
		n.Benchmarks = notGated[[2]string{n.Unit, n.Why}]
	}
	for _, b := range y.order {
		if x.lines[b] == nil {
			j.note("%s is only in the candidate%s: nothing to compare it with", b, otherCores(b, x))
		}
	}
	for _, unit := range sortedKeys(j.shown) {
		if guessed(unit) && j.declared(j.baseline, unit) == "" && j.declared(j.candidate, unit) == "" &&
			slices.ContainsFunc(j.report.Rows, func(r Row) bool { return r.Unit == j.shown[unit] }) {
			j.note("higher %s are taken to be better, because of the name: a line \"Unit %[1]s better=lower\" in the files would say otherwise",
				j.shown[unit])
		}
	}
}

// withoutCores cuts off the number of cores that package testing appends to names, unless there is one only.
func (b benchmark) withoutCores() benchmark {
	if _, parts := benchfmt.Name(b.name).Parts(); len(parts) > 0 && parts[len(parts)-1][0] == '-' {
		b.name = strings.TrimSuffix(b.name, string(parts[len(parts)-1]))
	}
	return b
}

// otherCores explains a benchmark that is missing although one of the same name is there.
func otherCores(b benchmark, in table) string {
	if other := in.cores[b.withoutCores()]; other != "" {
		return fmt.Sprintf(" (the other file has %s, the same on another number of cores, which compares with nothing)", other)
	}
	return ""
}

// row judges one unit of a benchmark that both files have, as far as it can be judged alone.
func (j *judge) row(b benchmark, unit string, baseline, candidate []line) {
	better := j.better[unit]
	fraction, _ := j.margin(unit)
	row := Row{
		Benchmark: b.name, Config: b.config, Unit: j.shown[unit],
		Better: map[verdict.Better]string{verdict.Higher: "higher", verdict.Lower: "lower"}[better], From: "file",
		Allowed: better.Change(better.Margin(fraction)), Verdict: unjudged,
	}
	if j.declared(j.baseline, unit) == "" && j.declared(j.candidate, unit) == "" {
		row.From = "name"
	}
	x, badX := j.samples(j.baseline.path, unit, baseline)
	y, badY := j.samples(j.candidate.path, unit, candidate)
	switch {
	case len(x) == 0:
		j.note("%s: %s is only in the candidate: nothing to compare it with", b, row.Unit)
		return
	case len(y) == 0:
		j.gap("%s: %s is only in the baseline", b, row.Unit)
		return
	case badX != "" || badY != "":
		row.Reason = strings.Trim(badX+"; "+badY, "; ")
	}
	row.BaselineSamples, row.CandidateSamples = len(x), len(y)
	if row.Reason == "" {
		if err := j.test(&row, better, fraction, b, x, y); err != nil {
			row.Reason = err.Error()
		}
	}
	j.report.Rows = append(j.report.Rows, row)
}

// samples gathers the values of a unit. bad names the first that cannot be a measurement.
func (j *judge) samples(path, unit string, lines []line) (samples []sample, bad string) {
	for _, l := range lines {
		v, ok := l.find(unit)
		switch {
		case !ok:
			continue
		case bad != "":
		case math.IsNaN(v.value) || math.IsInf(v.value, 0) || v.value < 0 || v.value == 0 && !mayBeZero(unit):
			bad = fmt.Sprintf("%s:%d: %v %s is no measurement", path, l.at, v.value, v.unit)
		}
		samples = append(samples, sample{v.value * v.factor, l.block})
	}
	return samples, bad
}

// test compares the samples of a row.
func (j *judge) test(row *Row, better verdict.Better, margin float64, b benchmark, x, y []sample) error {
	p, err := j.pairing.match(x, y)
	if err != nil {
		return err
	}
	compare := j.rule.Groups
	if p.paired {
		compare = j.rule.Pairs
	}
	c, err := compare(p.baseline, p.candidate, better)
	if err != nil {
		return err
	}
	if !slices.Contains(j.whys, p.why) {
		j.whys = append(j.whys, p.why)
	}
	for _, left := range p.left {
		if gap := fmt.Sprintf("%s: %s", b, left); !slices.Contains(j.report.Gaps, gap) {
			j.gap("%s", gap)
		}
	}
	row.Paired, row.BaselineSamples, row.CandidateSamples = p.paired, c.Baseline, c.Candidate
	row.P, row.Change = &c.P, finite(better.Change(c.Estimate))
	row.ChangeLowest, row.ChangeHighest = finite(better.Change(c.Lower)), finite(better.Change(c.Upper))
	if better == verdict.Higher {
		row.ChangeLowest, row.ChangeHighest = row.ChangeHighest, row.ChangeLowest
	}
	if math.IsInf(c.Lower, 0) {
		row.ChangeLowest, row.ChangeHighest = nil, nil
	}
	factor, unit := benchunit.Tidy(1, row.Unit)
	before, after, beside := benchstat(p.baseline, p.candidate, j.baseline.units.GetAssumption(unit), better, c)
	row.BaselineMedian, row.CandidateMedian, row.Benchstat = finite(rounded(before/factor)), finite(rounded(after/factor)), &beside

	doubts := append(j.baseline.doubtsAbout(b.name), j.candidate.doubtsAbout(b.name)...)
	if len(doubts) > 0 {
		row.Reason = "in doubt: " + doubts[0]
	}
	j.rows = append(j.rows, verdict.Row{Comparison: c, Margin: better.Margin(margin), Doubted: len(doubts) > 0})
	j.at = append(j.at, len(j.report.Rows))
	return nil
}

// finite returns nil for what JSON cannot say.
func finite(x float64) *float64 {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return nil
	}
	return &x
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func sortedValues(m map[string]string) []string { return slices.Sorted(maps.Values(m)) }
