// Package verdict decides from samples of two servers whether the candidate is worse than the
// baseline. It holds pure functions: samples in, verdict out, no clock and no I/O.
//
// A sample is one measured value of one unit. Two samples are compared by d, the natural logarithm
// of their ratio, which is oriented so that positive is worse: ln(baseline/candidate) where more is
// better, ln(candidate/baseline) where less is. [Rule.Pairs] compares samples that were taken in
// turns and belong together two by two, [Rule.Groups] such that do not; each gives an estimate of d
// with bounds. [Rule.Judge] makes the verdict of all units together.
//
// The tests use ranks only, so that neither the shape of the noise nor an outlier matters. What
// they do need: pairs must have been taken in an order drawn anew for each pair, then nothing that
// both of a pair share (drift of the machine, dependence of one pair on the one before) can raise
// the rate of false alarms. Groups must have been taken in an order drawn for all samples together;
// from two runs one after the other they also compare what else the machine did, and no arithmetic
// can tell.
package verdict

import (
	"fmt"
	"math"
)

// Verdict is what can be said about a candidate. The zero value is none.
type Verdict string

// The verdicts.
const (
	Pass         Verdict = "pass"         // worse by less than the margin, if it is worse at all
	Regressed    Verdict = "regressed"    // worse, and not shown to be within the margin
	Inconclusive Verdict = "inconclusive" // the samples do not suffice for either
)

// Better says in which direction a unit is better. The zero value says that nobody knows, and
// nothing compares it.
type Better int

// The directions.
const (
	Lower  Better = -1
	Higher Better = 1
)

// Margin converts the change for the worse that is still allowed, a fraction of the baseline, to a
// limit on d. It is what lets 3 % mean a throughput 3 % lower and a latency 3 % higher, though
// these are different ratios.
func (b Better) Margin(fraction float64) float64 {
	if b == Higher {
		return -math.Log1p(-fraction)
	}
	return math.Log1p(fraction)
}

// Change is the reverse: the fraction of the baseline by which the candidate is more or less, for
// some d.
func (b Better) Change(d float64) float64 { return math.Expm1(-float64(b) * d) }

// Rule is how verdicts are made.
type Rule struct {
	// Alpha is the highest allowed probability of each of two mistakes: the verdict regressed where
	// nothing changed, and pass where the candidate is worse by as much as the margin or more.
	// Between 0 and 0.5.
	Alpha float64
	// Looks are the numbers of samples after which the verdict is asked for while samples are still
	// being added. Nil: it is asked for once.
	Looks *Looks
}

// eachAlpha is the one-sided alpha of a single test, whose chance to err at any of the looks is
// then at most alpha.
func (r Rule) eachAlpha(alpha float64) float64 {
	if r.Looks == nil {
		return alpha
	}
	return r.Looks.EachAlpha(alpha)
}

func (r Rule) check() error {
	if !(r.Alpha > 0 && r.Alpha < 0.5) {
		return fmt.Errorf("alpha %v: want more than 0 and less than 0.5", r.Alpha)
	}
	return nil
}
