package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"

	"rampart/loadtest/inject"
	"rampart/loadtest/verdict"
)

// SideNames are the names of the sides of a duel, by their place in a [Block].
var SideNames = [2]string{"baseline", "candidate"}

// Duel is what a duel found.
type Duel struct {
	Version             string // of rampart
	Started             time.Time
	Elapsed             time.Duration
	Baseline, Candidate string // how they were started, or where they run
	Target              string // what they were asked
	Settings            []Setting
	Machine             Machine // that injected
	Seed                uint64
	VUs                 int
	Slice               time.Duration
	Blocks              []Block // finished ones, in the order in which they ran
	Rows                []DuelRow
	Failures            verdict.Failures // of all blocks
	Verdict             verdict.Verdict
}

// Block is one fresh start of both sides with all its slices of load.
type Block struct {
	Number         int // from 1
	CandidateFirst bool
	Sides          [2]Side // baseline and candidate
}

// Side is what one side did in a block.
type Side struct {
	inject.Measurement              // of all slices; Requests and what is said of them are of their timed parts
	Kept               inject.Slice // sum of the slices that were not disturbed
	ServerCPU          *CPU         // over the whole block; nil: could not be known
	Output             string       // the last that the server said in a block in which requests of it failed; empty: it is not ours
}

// DuelRow is how one unit of the sides compares.
type DuelRow struct {
	Unit   string
	Better verdict.Better
	verdict.Row
	verdict.Judgement
}

// duelUnit is a unit of a duel. A side that lacks it has NaN.
type duelUnit struct {
	unit   string
	better verdict.Better
	value  func(Side) float64
}

var duelUnits = []duelUnit{
	{"req/s", verdict.Higher, func(s Side) float64 { return s.Kept.Throughput(s.VUs) }},
	{"server-cpu-ns/op", verdict.Lower, func(s Side) float64 {
		if s.ServerCPU == nil || s.ServerCPU.Used == 0 {
			return math.NaN()
		}
		return float64(s.ServerCPU.Used) / float64(s.Completed)
	}},
	{"p50-ns", verdict.Lower, func(s Side) float64 { return float64(s.Quantile(0.50)) }},
	{"p99-ns", verdict.Lower, func(s Side) float64 { return float64(s.Quantile(0.99)) }},
}

// whole reports whether both sides of a block served every request.
func (b Block) whole() bool {
	for _, s := range b.Sides {
		if s.Failures.Total() > 0 || s.Requests == 0 {
			return false
		}
	}
	return true
}

// injectorBusy is the share of its time that an event loop may be busy. Beyond, the injector is a part of what both sides
// are measured by, and hides a part of what they differ by.
const injectorBusy = 0.9

// doubt says why a side is not to be trusted; empty: nothing is known against it.
func (s Side) doubt() string {
	if s.Strain.Busy > injectorBusy {
		return fmt.Sprintf("the injector was busy for %.0f %% of the slices: it may have measured itself", 100*s.Strain.Busy)
	}
	return ""
}

// doubted reports whether a block is in doubt.
func (d *Duel) doubted() bool {
	for _, b := range d.Blocks {
		for _, s := range b.Sides {
			if s.doubt() != "" {
				return true
			}
		}
	}
	return false
}

// whole are the blocks in which every request was served.
func (d *Duel) whole() []Block {
	return slices.DeleteFunc(slices.Clone(d.Blocks), func(b Block) bool { return !b.whole() })
}

// samples are what a unit is of each side, in each whole block.
func (d *Duel) samples(value func(Side) float64) (sides [2][]float64) {
	for _, b := range d.whole() {
		for side := range sides {
			sides[side] = append(sides[side], value(b.Sides[side]))
		}
	}
	return sides
}

// DuelUnits are the units that a duel measures.
func DuelUnits() []string {
	var all []string
	for _, u := range duelUnits {
		all = append(all, u.unit)
	}
	return all
}

// Judge makes the verdict from the blocks that there are, on failures and on units (nil: all), with other margins than the
// usual for some. A block in which requests failed counts for failures only: what failed took no usual time.
func (d *Duel) Judge(rule verdict.Rule, units []string, margins map[string]float64) {
	d.Rows = nil
	var rows []verdict.Row
	for _, u := range duelUnits {
		if units != nil && !slices.Contains(units, u.unit) {
			continue
		}
		sides := d.samples(u.value)
		if len(sides[0]) == 0 || slices.ContainsFunc(slices.Concat(sides[0], sides[1]), math.IsNaN) {
			continue
		}
		fraction, ok := margins[u.unit]
		if !ok {
			fraction, _ = verdict.UsualMargin(u.unit)
		}
		c, err := rule.Pairs(sides[0], sides[1], u.better)
		if err != nil {
			continue // nothing that is measured is negative
		}
		row := verdict.Row{Comparison: c, Margin: u.better.Margin(fraction), Doubted: d.doubted()}
		rows = append(rows, row)
		d.Rows = append(d.Rows, DuelRow{Unit: u.unit, Better: u.better, Row: row})
	}
	var judgements []verdict.Judgement
	d.Verdict, judgements = rule.Judge(rows)
	for i, j := range judgements {
		d.Rows[i].Judgement = j
	}
	var counts [2][]verdict.Count
	for _, b := range d.Blocks {
		for side, s := range b.Sides {
			counts[side] = append(counts[side], s.count())
		}
	}
	d.Failures = rule.Failures(counts[0], counts[1])
	switch {
	case d.Failures.Verdict == verdict.Regressed:
		d.Verdict = verdict.Regressed
	case d.Verdict == verdict.Pass && d.failed():
		d.Verdict = verdict.Inconclusive
	}
}

// count is how many requests of the side succeeded and failed.
func (s Side) count() verdict.Count {
	return verdict.Count{Succeeded: s.Completed, Failed: s.Failures.Total()}
}

// failed reports whether a request failed.
func (d *Duel) failed() bool { return len(d.whole()) < len(d.Blocks) }

// DuelBench writes one side of a duel in the Go benchmark format: a line for each block, in the order in which they ran,
// with what was measured and not what it is relative to the other side. The comment before it says which line of the
// other side's file belongs to it, and how many requests succeeded and failed.
func DuelBench(w io.Writer, d Duel, side int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# rampart %s, %s: the %s of a duel\n# contender: %s\n# target: %s\n", d.Version,
		d.Started.UTC().Format(time.RFC3339), SideNames[side], [2]string{d.Baseline, d.Candidate}[side], d.Target)
	fmt.Fprintf(&b, "# injector: %s, %s/%s, %d CPUs, %s\n", d.Machine.Host, d.Machine.OS, d.Machine.Arch, d.Machine.CPUs,
		d.Machine.CPU)
	fmt.Fprintf(&b, "# slices of %v\n", d.Slice)
	if err := Units(&b); err != nil {
		return err
	}
	bw := benchfmt.NewWriter(&b)
	for _, block := range d.Blocks {
		s := block.Sides[side]
		n := s.Failures.Total()
		fmt.Fprintf(&b, "# rampart duel seed=%d block=%d requests=%d failures=%d\n", d.Seed, block.Number, s.Completed, n)
		if n > 0 || s.Requests == 0 {
			fmt.Fprintf(&b, "# block %d: %d requests failed: %s\n--- FAIL: BenchmarkDuel/vus=%d\n", block.Number, n, failures(s.Failures), d.VUs)
			continue
		}
		if text := s.doubt(); text != "" {
			fmt.Fprintf(&b, "# doubt at vus=%d: %s\n", d.VUs, text)
		}
		var metrics []Metric
		for _, u := range duelUnits {
			if x := u.value(s); !math.IsNaN(x) {
				metrics = append(metrics, Metric{x, u.unit})
			}
		}
		metrics = append([]Metric{{1e9 / metrics[0].Value, "ns/op"}}, metrics...)
		if err := bw.Write(benchmark(fmt.Sprintf("Duel/vus=%d", d.VUs), int(s.Requests), metrics)); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String says how the unit changed, as a person wants to read it: the estimate and its interval in per cent of the baseline.
func (r DuelRow) String() string {
	low, high := r.Better.Change(r.Row.Lower), r.Better.Change(r.Upper)
	if low > high {
		low, high = high, low
	}
	if math.IsInf(r.Row.Lower, 0) || math.IsInf(r.Upper, 0) { // too few blocks for an interval
		return fmt.Sprintf("%s %+.1f %%", r.Unit, 100*r.Better.Change(r.Estimate))
	}
	return fmt.Sprintf("%s %+.1f %% (%+.1f to %+.1f)", r.Unit, 100*r.Better.Change(r.Estimate), 100*low, 100*high)
}

// DuelLine says in one line what is known after the last block.
func DuelLine(d Duel) string {
	var rows []string
	for _, r := range d.Rows {
		rows = append(rows, r.String())
	}
	last := d.Blocks[len(d.Blocks)-1]
	for side, s := range last.Sides {
		if n := s.Failures.Total(); n > 0 {
			rows = append(rows, fmt.Sprintf("%s: %d requests failed (%s)", SideNames[side], n, failures(s.Failures)))
		}
	}
	return fmt.Sprintf("block %d: %s", last.Number, strings.Join(rows, ", "))
}

// DuelOutput returns what those servers said last whose first failed requests are in the last block; empty: nothing.
func DuelOutput(d Duel) string {
	last := len(d.Blocks) - 1
	var b strings.Builder
	for side, name := range SideNames {
		output := d.Blocks[last].Sides[side].Output
		failedBefore := slices.ContainsFunc(d.Blocks[:last], func(b Block) bool { return b.Sides[side].Failures.Total() > 0 })
		if output != "" && !failedBefore {
			fmt.Fprintf(&b, "requests failed; the last words of the %s:\n%s\n", name, strings.TrimRight(output, "\n"))
		}
	}
	return b.String()
}
