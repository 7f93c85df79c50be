package gate

import (
	"cmp"
	"slices"

	"golang.org/x/perf/benchmath"

	"rampart/loadtest/verdict"
)

// Says is how the verdict's test and benchstat's relate.
type Says string

// The ways in which they relate.
const (
	Agrees      Says = "AGREES"      // both see a difference, the same
	Silent      Says = "SILENT"      // at least one of them sees none
	Contradicts Says = "CONTRADICTS" // each sees the opposite of the other
)

// benchstat computes what benchstat prints for these samples, with the package that benchstat
// computes with: medians, their difference, and a two-sided Mann-Whitney test at 0.05 that knows no
// pairs.
func benchstat(baseline, candidate []float64, assume benchmath.Assumption, better verdict.Better,
	ours verdict.Comparison) (
	before, after float64, b Benchstat) {
	// NewSample sorts what it gets, which would end all pairs.
	x := benchmath.NewSample(slices.Clone(baseline), &benchmath.DefaultThresholds)
	y := benchmath.NewSample(slices.Clone(candidate), &benchmath.DefaultThresholds)
	const confidence = 0.95 // benchstat's; of intervals that are not used here
	before, after = assume.Summary(x, confidence).Center, assume.Summary(y, confidence).Center
	c := assume.Compare(x, y)
	worse := 0
	if c.P <= c.Alpha {
		worse = cmp.Compare(before, after) * int(better)
	}
	return before, after, Benchstat{c.FormatDelta(before, after), c.P, relate(ours, worse)}
}

// relate compares a comparison with what another test sees: 1 worse, -1 better, 0 no difference.
func relate(ours verdict.Comparison, worse int) Says {
	sees := 0
	switch {
	case ours.Lower > 0:
		sees = 1
	case ours.Upper < 0:
		sees = -1
	}
	switch sees * worse {
	case 1:
		return Agrees
	case -1:
		return Contradicts
	}
	return Silent
}
