package verdict

import (
	"errors"
	"math"
	"slices"
)

// LimitComparison is how something compares with a limit that it has to stay below.
type LimitComparison struct {
	Blocks       int
	Median       float64 // of the values of all blocks
	Lower, Upper float64 // bounds of the median, each as rarely wrong as a verdict; infinite where blocks are too few
	Outvoted     bool    // most blocks say one thing, and all together another
	Verdict      Verdict
}

// Below judges whether something stays below a limit, by its value in each block, and by whether it
// does in all blocks together. The verdict is pass where the upper bound of the median is below the
// limit, regressed where the lower bound is not, and all blocks together have to say the same: a
// few in which it is far above the limit are not outvoted. Else it is inconclusive.
//
// The test is that of signs, which is exact and asks for no shape: a block is below the limit with
// a chance of a half at most where the median is not (Hollander, Wolfe, Chicken 2014, section 3.4).
// The chance of pass where the median is not below the limit is alpha at most, and so is that of
// regressed for any of so many limits whose medians all are. Each look has its part of alpha: what
// several looks have in common is known of pairs only.
func (r Rule) Below(values []float64, limit float64, together bool, limits int) (LimitComparison, error) {
	if err := r.check(); err != nil {
		return LimitComparison{}, err
	}
	if len(values) == 0 {
		return LimitComparison{}, errors.New("no blocks: want at least one")
	}
	n := len(values)
	sorted := slices.Sorted(slices.Values(values))
	c := LimitComparison{
		Blocks: n, Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Lower: math.Inf(-1), Upper: math.Inf(1),
		Verdict: Inconclusive,
	}
	alpha := r.Alpha
	if r.Looks != nil {
		alpha /= float64(len(r.Looks.pairs))
	}
	if k := fewestHeads(n, alpha); k <= n {
		c.Upper = sorted[k-1] // so many are below the limit exactly where this one is
	}
	if k := fewestHeads(n, alpha/float64(limits)); k <= n {
		c.Lower = sorted[n-k]
	}
	switch {
	case c.Upper < limit && together:
		c.Verdict = Pass
	case c.Lower >= limit && !together:
		c.Verdict = Regressed
	case c.Upper < limit, c.Lower >= limit:
		c.Outvoted = true
	}
	return c, nil
}

// fewestHeads is how many of n fair coins show heads at least with a chance of at most alpha; n+1:
// all of them do so more often.
func fewestHeads(n int, alpha float64) int {
	tail := 0.0
	for k := n; k >= 0; k-- {
		lg, _ := math.Lgamma(float64(n + 1))
		a, _ := math.Lgamma(float64(k + 1))
		b, _ := math.Lgamma(float64(n - k + 1))
		if tail += math.Exp(lg - a - b - float64(n)*math.Ln2); tail > alpha*rounding {
			return k + 1
		}
	}
	return 0
}
