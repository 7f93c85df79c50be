// Package gate judges: did the candidate become worse than the baseline by more than allowed?
// [Judge] judges two files of benchmark results, [JudgeDuel] a duel; a duel and its two files are
// judged alike. Tables, JSON and exit codes follow from the [Report].
package gate

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchunit"

	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// benchmark identifies a benchmark in a file, by its name and by what else tells it from others:
// its package, and configuration that changes within a file. Configuration that differs only
// between the files, such as a commit, does not.
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

func (r Results) table(varying map[string]bool) table {
	t := table{lines: make(map[benchmark][]line), cores: make(map[benchmark]string)}
	keys, config := sortedKeys(varying), ""
	r.each(varying, func(l line, values map[string]string, changed bool) {
		if changed {
			var all []string
			for _, key := range keys {
				switch v := values[key]; {
				case v == "":
				case key == "pkg":
					all = append(all, v)
				default:
					all = append(all, key+": "+v)
				}
			}
			config = strings.Join(all, ", ")
		}
		b := benchmark{l.name, config}
		if t.lines[b] == nil {
			t.order = append(t.order, b)
			t.cores[b.withoutCores()] = b.name
		}
		t.lines[b] = append(t.lines[b], l)
	})
	return t
}

// units lists the units of lines in the order of their appearance.
func units(lines []line) (units []string) {
	seen := set{}
	for _, l := range lines {
		for _, v := range l.values {
			if seen.add(v.tidy) {
				units = append(units, v.tidy)
			}
		}
	}
	return units
}

// set is what was there already.
type set map[string]bool

// add reports whether s is new.
func (all set) add(s string) bool {
	if all[s] {
		return false
	}
	all[s] = true
	return true
}

// judge gathers a report.
type judge struct {
	chooser
	rule                verdict.Rule
	baseline, candidate Results
	report              Report
	rows                []verdict.Row   // of those in report.Rows that have one
	at                  []int           // where these are in report.Rows
	coarse              []bool          // whether their numbers were printed too coarsely
	ended               []bool          // whether their benchmark ended between its looks
	each                []time.Duration // how long a pair takes; 0: nobody knows
	failures            verdict.FailureComparison
	whys                []string // of all pairings, each once as in said
	said                struct{ problems, gaps, whys set }
	doubts              [2]doubts // of the baseline and the candidate
	asked               Options   // as the user says it
	plan                *plan     // of the duel that both files are of; nil: none
	void                bool      // marks contradict each other: nothing is judged
}

// Judge judges two files. An error says that a flag does not fit the files; what is wrong with the
// files is in the report.
func Judge(baseline, candidate Results, o Options) (Report, error) {
	j := judge{asked: o, baseline: baseline, candidate: candidate}
	j.said.problems, j.said.gaps, j.said.whys = set{}, set{}, set{}
	j.doubts = [2]doubts{index(baseline.doubts), index(candidate.doubts)}
	j.chooser = chooser{Options: o, better: map[string]verdict.Better{}, shown: map[string]string{}}
	j.report = Report{
		Version:   reportVersion,
		Baseline:  File{baseline.path, len(baseline.lines)},
		Candidate: File{candidate.path, len(candidate.lines)},
		Rows:      []Row{}, Problems: []string{}, Gaps: []string{}, NotGated: []NotGated{}, Notes: []string{},
	}
	for _, broken := range append(slices.Clone(baseline.broken), candidate.broken...) {
		j.problem("%s", broken)
	}
	j.directions()
	if err := j.check(); err != nil {
		return Report{}, err
	}
	j.planned()
	j.report.Alpha, j.report.AlphaEach = j.Alpha, j.rule.Needed(1)
	if !j.void {
		j.countFailures()
		j.countFailuresOfRequests()
		j.countStatuses()
		j.compareSettings()
		j.compareLimits()
		j.compare()
		j.omittedRequests()
		j.missingBlocks()
		for _, m := range append(slices.Clone(j.baseline.missing), j.candidate.missing...) {
			j.gap("%s", m)
		}
	}
	for _, note := range append(slices.Clone(j.baseline.notes), j.candidate.notes...) {
		if !slices.Contains(j.report.Notes, note) { // what concerns both is in both files
			j.note("%s", note)
		}
	}
	for _, gap := range append(slices.Clone(j.baseline.gaps), j.candidate.gaps...) {
		j.gap("%s", gap)
	}
	j.conclude()
	return j.report, nil
}

// countFailures compares the requests that failed in blocks that both files count. Where there are
// none, a benchmark that failed is a problem.
func (j *judge) countFailures() {
	var baseline, candidate []verdict.Count
	for _, b := range j.baseline.blocks {
		count, known := j.baseline.counts[b.block]
		if other, ok := j.candidate.counts[b.block]; ok && known {
			baseline, candidate = append(baseline, count), append(candidate, other)
		}
	}
	if len(baseline) == 0 {
		for _, failed := range append(slices.Clone(j.baseline.failed), j.candidate.failed...) {
			j.problem("%s", failed)
		}
		return
	}
	rule := j.rule
	if j.plan != nil && len(j.plan.Requests) > 0 {
		rule.Alpha /= 2 // the other half is that of single requests
	}
	j.failures = rule.CompareFailures(baseline, candidate)
	f := failureRow(j.failures)
	j.report.Failures = &f
}

func failureRow(c verdict.FailureComparison) FailureRow {
	f := FailureRow{
		Blocks:           c.Blocks,
		BaselineRequests: c.Baseline.Total(), BaselineFailed: c.Baseline.Failed,
		CandidateRequests: c.Candidate.Total(), CandidateFailed: c.Candidate.Failed,
		P: c.P, PNeeded: c.Needed, Verdict: c.Verdict,
	}
	if f.Verdict == verdict.Inconclusive {
		f.Reason = fmt.Sprintf("%s: not shown to be more often, p is %s and not %s or less, but no pass either", c,
			probability(f.P), probability(f.PNeeded))
	}
	return f
}

// directions finds out for each unit in which direction it is better.
func (j *judge) directions() {
	for _, r := range []Results{j.baseline, j.candidate} {
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
		for _, said := range []string{x, y} {
			if !slices.Contains([]string{"", "lower", "higher", "none"}, said) {
				j.problem("%s: better=%s says no direction: want lower, higher or none", j.shown[unit], said)
			}
		}
		switch {
		case x != "" && y != "" && x != y:
			j.problem("%s: the baseline says better=%s, the candidate better=%s", j.shown[unit], x, y)
		case (x == "" || y == "") && j.against(unit, x+y):
			j.problem("%s: only one file says better=%s, and the name says the opposite: put the line into both files, or into none",
				j.shown[unit], x+y)
		case x == "higher" || y == "higher":
			j.better[unit] = verdict.Higher
		case x == "lower" || y == "lower":
			j.better[unit] = verdict.Lower
		case x == "" && y == "":
			j.better[unit] = betterByName(unit)
		}
	}
}

// against reports whether a direction contradicts that of a name which says it without doubt.
func (j *judge) against(unit, better string) bool {
	is := map[string]verdict.Better{"higher": verdict.Higher, "lower": verdict.Lower}[better]
	return !guessed(unit) && is*betterByName(unit) < 0
}

func (j *judge) declared(r Results, unit string) string {
	if m := r.units.Get(unit, "better"); m != nil {
		return m.Value
	}
	return ""
}

// problem names a problem, once: a file against itself has each twice.
func (j *judge) problem(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); j.said.problems.add(text) {
		j.report.Problems = append(j.report.Problems, text)
	}
}

// gap names a gap, once.
func (j *judge) gap(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); j.said.gaps.add(text) {
		j.report.Gaps = append(j.report.Gaps, text)
	}
}

func (j *judge) note(format string, args ...any) {
	j.report.Notes = append(j.report.Notes, fmt.Sprintf(format, args...))
}

// compareSettings notes what was not the same for both files.
func (j *judge) compareSettings() {
	if j.baseline.content != nil && bytes.Equal(j.baseline.content, j.candidate.content) {
		j.note("both files have the same content")
	} else if j.sameResults() {
		j.note("both files have the same results")
	}
	if len(j.baseline.lines) == 0 || len(j.candidate.lines) == 0 {
		return
	}
	keys := configuration(j.baseline, j.candidate)
	for _, r := range []Results{j.baseline, j.candidate} {
		if text := r.output(keys); text != "" {
			j.note("%s", text)
		}
	}
	x, y := j.baseline.config(keys), j.candidate.config(keys)
	for _, key := range sortedKeys(x) {
		if v := y[key]; v != "" && x[key] != "" && v != x[key] {
			j.note("%s differs: %s in the baseline, %s in the candidate", key, x[key], v)
		}
	}
}

// compare makes a row for each benchmark and gated unit that both files have, and names the others.
func (j *judge) compare() {
	keys := configuration(j.baseline, j.candidate)
	varying := j.baseline.varying(keys)
	maps.Copy(varying, j.candidate.varying(keys))
	x, y := j.baseline.table(varying), j.candidate.table(varying)
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
			tell := j.note
			if j.strayed(b, x, y) {
				tell = j.gap
			}
			tell("%s is only in the candidate%s: nothing to compare it with", b, otherCores(b, x))
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

// strayed reports whether results that only the candidate has are missing elsewhere: under the same
// name, on other cores or with other configuration, it has fewer than the baseline. What it did not
// do as before may be what was worse.
func (j *judge) strayed(b benchmark, x, y table) bool {
	name := b.withoutCores().name
	return slices.ContainsFunc(x.order, func(other benchmark) bool {
		return other.withoutCores().name == name && y.lines[other] != nil && len(y.lines[other]) < len(x.lines[other])
	})
}

// withoutCores cuts off the number of cores that package testing appends to names, unless there is
// one only.
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
		Allowed: better.Change(better.Margin(fraction)) + 0, Verdict: Unjudged, Request: j.requestOf(b.name),
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
	for _, side := range []struct {
		file           string
		samples, lines int
	}{{"baseline", len(x), len(baseline)}, {"candidate", len(y), len(candidate)}} {
		if side.samples < side.lines { // what is not there may have been what was worse
			j.gap("%s: %s is in only %d of %d lines of the %s", b, row.Unit, side.samples, side.lines, side.file)
		}
	}
	if row.Reason == "" && row.Unit == result.BodySize {
		row.Reason = j.alike(&row, x, y)
	} else if row.Reason == "" {
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
		samples = append(samples, sample{
			value: v.value * v.factor, block: l.block, took: l.took, iterations: l.iterations, printed: v.value, factor: v.factor, step: v.step,
		})
	}
	return samples, bad
}

// test compares the samples of a row.
func (j *judge) test(row *Row, better verdict.Better, margin float64, b benchmark, x, y []sample) error {
	factor, unit := benchunit.Tidy(1, row.Unit)
	same := sameIterations(x, y)
	widen(x, unit, same)
	widen(y, unit, same)
	p, err := j.Pairing.match(x, y)
	if err != nil {
		return err
	}
	if j.exact(row, p, unit, better, margin) {
		if j.said.whys.add(p.why) {
			j.whys = append(j.whys, p.why)
		}
		return nil
	}
	compare := j.rule.Groups
	if p.paired {
		compare = j.rule.Pairs
	}
	if floor := verdict.Floor(unit); floor > 0 {
		compare = above(floor, compare)
	}
	c, coarse, err := p.compare(compare, unit, better, better.Margin(margin))
	if err != nil {
		return err
	}
	if j.said.whys.add(p.why) {
		j.whys = append(j.whys, p.why)
	}
	for _, left := range p.left {
		j.gap("%s: %s", b, left)
	}
	row.Comparison = c
	row.Paired, row.BaselineSamples, row.CandidateSamples = p.paired, c.Baseline, c.Candidate
	row.P, row.Change = &c.P, finite(better.Change(c.Estimate))
	row.ChangeLowest, row.ChangeHighest = finite(better.Change(c.Lower)), finite(better.Change(c.Upper))
	if better == verdict.Higher {
		row.ChangeLowest, row.ChangeHighest = row.ChangeHighest, row.ChangeLowest
	}
	if math.IsInf(c.Lower, 0) {
		row.ChangeLowest, row.ChangeHighest = nil, nil
	}
	before, after, beside := benchstat(values(p.baseline), values(p.candidate), j.baseline.units.GetAssumption(unit), better, c)
	row.BaselineMedian, row.CandidateMedian, row.Benchstat = finite(rounded(before/factor)), finite(rounded(after/factor)), &beside

	doubt, doubted := j.doubts[0].about(b.name)
	if !doubted {
		doubt, doubted = j.doubts[1].about(b.name)
	}
	ended := ""
	if p.paired {
		ended = j.early(c.Baseline)
	}
	if doubted {
		row.Reason = "in doubt: " + doubt
	} else if ended != "" {
		row.Reason = ended
	} else if coarse != "" {
		row.Reason = coarse
	}
	if coarse != "" && slices.ContainsFunc(p.baseline, func(s sample) bool { return s.between.low == 0 }) {
		row.Change = nil // nothing is known of how many times as much it is
	}
	j.rows = append(j.rows, verdict.Row{Comparison: c, Margin: better.Margin(margin), Doubted: doubted || ended != ""})
	j.coarse, j.ended = append(j.coarse, coarse != ""), append(j.ended, ended != "")
	var took time.Duration
	for _, l := range p.baseline {
		took += l.took
	}
	j.each = append(j.each, took/time.Duration(len(p.baseline)))
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
