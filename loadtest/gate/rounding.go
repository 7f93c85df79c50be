package gate

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"rampart/loadtest/verdict"
)

// between is the range in which a measured value was before it was printed.
type between struct{ low, high float64 }

// cut reports whether package testing divides whole numbers for a unit, so that 9 is anything from
// 9 to 10.
func cut(unit string) bool { return unit == "B/op" || unit == "allocs/op" }

// widen sets the ranges of samples from the digits that were printed. A number that was printed
// with fewer digits than another of its size is taken to have lost zeros, as many programs print
// it; so the last digit is that of the finest. same is the number of iterations that all samples of
// both sides have, or 0. Where it is the same, a count that is cut was less than its next by one in
// so many; else the next may come from the number of iterations alone.
func widen(samples []sample, unit string, same int) {
	finest := map[int]float64{}
	for _, s := range samples {
		d := decade(s.printed)
		if have, ok := finest[d]; !ok || s.step < have {
			finest[d] = s.step
		}
	}
	for i := range samples {
		s := &samples[i]
		step := s.step
		for d, finer := range finest {
			if d >= decade(s.printed) {
				step = min(step, finer)
			}
		}
		down, up := step/2, step/2
		if cut(unit) && s.printed == math.Trunc(s.printed) && step == 1 {
			down, up = 0, 1
			if same > 0 {
				up = 1 - 1/float64(same)
			}
		}
		s.between = between{max(0, s.printed-down) * s.factor, (s.printed + up) * s.factor}
		if step == 0 {
			s.between = between{s.value, s.value}
		}
	}
}

func decade(x float64) int {
	if x == 0 {
		return math.MinInt32
	}
	return int(math.Floor(math.Log10(math.Abs(x))))
}

// sameIterations returns the number of iterations of all samples, or 0.
func sameIterations(x, y []sample) int {
	same := 0
	for _, samples := range [][]sample{x, y} {
		for _, s := range samples {
			if same != 0 && s.iterations != same {
				return 0
			}
			same = s.iterations
		}
	}
	return same
}

// ends returns the ends of ranges: the better ones of one side and the worse ones of the other say
// what is possible at most.
func ends(samples []sample, high bool) []float64 {
	v := make([]float64, len(samples))
	for i, s := range samples {
		v[i] = s.between.low
		if high {
			v[i] = s.between.high
		}
	}
	return v
}

// comparing is [verdict.Rule.Pairs] or [verdict.Rule.Groups].
type comparing func(baseline, candidate []float64, better verdict.Better) (verdict.Comparison, error)

// above compares values that are more by a constant.
func above(floor float64, compare comparing) comparing {
	return func(baseline, candidate []float64, better verdict.Better) (verdict.Comparison, error) {
		more := func(values []float64) []float64 {
			all := slices.Clone(values)
			for i := range all {
				all[i] += floor
			}
			return all
		}
		return compare(more(baseline), more(candidate), better)
	}
}

// compare compares samples of which no more is known than their ranges. The lower bound and p are
// those of the best case for the candidate, the upper bound is that of the worst; the estimate is
// that of the printed numbers. coarse says that printed numbers alone would have other bounds on
// the other side of 0 or the margin.
//
// Counts that are cut, and shown not to be higher as printed, are taken not to be higher: 9 and 9
// are the same, as they mostly are, and so are nine times 0 and one 1 beside ten times 0.
func (p pairs) compare(compare comparing, unit string, better verdict.Better, margin float64) (c verdict.Comparison,
	coarse string, err error) {
	c, err = compare(values(p.baseline), values(p.candidate), better)
	if err != nil || !inexact(p.baseline) && !inexact(p.candidate) {
		return c, "", err
	}
	high := better == verdict.Lower
	best, err := compare(ends(p.baseline, high), ends(p.candidate, !high), better)
	if err != nil {
		return c, "", err
	}
	if cut(unit) && c.Upper <= 0 {
		c.Together = best.Together
	}
	if cut(unit) && c.Lower == 0 && c.Upper == 0 {
		return c, "", nil
	}
	worst, err := compare(ends(p.baseline, !high), ends(p.candidate, high), better)
	if err != nil {
		return c, "", err
	}
	printed := c
	c.Lower, c.P = best.Lower, best.P
	if !(cut(unit) && printed.Upper <= 0) {
		c.Upper = worst.Upper
	}
	var what []string
	if printed.Lower > 0 && c.Lower <= 0 {
		what = append(what, "whether it is worse")
	}
	if printed.Upper < margin && c.Upper >= margin {
		what = append(what, "whether it is within the margin")
	}
	if len(what) > 0 {
		coarse = fmt.Sprintf("printed too coarsely to tell %s: %s", strings.Join(what, " or "), advice(unit))
	}
	return c, coarse, nil
}

func advice(unit string) string {
	if cut(unit) {
		return "whole numbers are cut, 9 may be 9.99; with the same number of iterations on both sides (-benchtime=10000x) " +
			"one more is one more"
	}
	return "print more digits, or report it in a smaller unit"
}

func inexact(samples []sample) bool {
	for _, s := range samples {
		if s.between.low != s.between.high {
			return true
		}
	}
	return false
}
