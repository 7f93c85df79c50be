package verdict

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Comparison is how one unit of the candidate compares with the baseline's.
type Comparison struct {
	Paired              bool
	Baseline, Candidate int // numbers of samples

	Alpha        float64 // of each bound
	Estimate     float64 // of d, after Hodges and Lehmann
	Lower, Upper float64 // bounds of d, each wrong with probability Alpha at most; infinite where samples are too few
	Together     float64 // d of the means of all samples; where higher is better, of harmonic means
	P            float64 // the probability to look as much worse as this, or more, where nothing changed
}

// Pairs compares samples that belong together: baseline[i] and candidate[i] were taken in turns. It
// is the exact one-sided signed-rank test of Wilcoxon; the estimate is the median of all averages
// of two differences (Hodges, Lehmann, Estimates of location based on rank tests, Annals of
// Mathematical Statistics 34, 1963), the bounds are order statistics of the same averages (Tukey;
// Hollander, Wolfe, Chicken 2014, section 3.3). All three are one family: the lower bound is above
// 0 exactly where the test is significant.
//
// A difference of zero, and two of equal size and opposite sign, count as not worse for the lower
// bound and as not better for the upper one: T+ is the number of averages strictly above the limit
// that is tested. That is the largest p of all ways to break the ties, so levels hold for any grid
// of values: break ties by a random amount that is too small to change anything else, then the test
// is exact, and significant whenever the one here is. Midranks with enumeration of signs, or
// Pratt's zeros, would be sharper on coarse grids; but there p need not grow with the limit, so
// bounds and test could disagree.
//
// A value must be finite and not negative. 0 counts as the smallest positive number: its ratio to
// anything else is beyond every margin, and to itself 1.
func (r Rule) Pairs(baseline, candidate []float64, better Better) (Comparison, error) {
	if len(baseline) != len(candidate) {
		return Comparison{}, fmt.Errorf("%d and %d samples are not pairs: want as many of the candidate as of the baseline",
			len(baseline), len(candidate))
	}
	x, y, err := r.badness(baseline, candidate, better)
	if err != nil {
		return Comparison{}, err
	}
	d := make([]int64, len(x))
	for i := range d {
		d[i] = grid(y[i] - x[i])
	}
	slices.Sort(d)
	c := r.compare(sums(d), signedRank(len(d)), 2)
	c.Together = logOfMean(y) - logOfMean(x)
	c.Paired, c.Baseline, c.Candidate = true, len(x), len(y)
	return c, nil
}

// Groups compares samples that do not belong together. It is the exact one-sided test of Mann and
// Whitney; estimate and bounds are the median and order statistics of all differences between one
// of each group (Hodges, Lehmann 1963; Moses; Hollander, Wolfe, Chicken 2014, sections 4.2 and
// 4.3). Ties are treated as in [Rule.Pairs], and so are values. It is the weaker test: what two
// samples share is noise to it.
func (r Rule) Groups(baseline, candidate []float64, better Better) (Comparison, error) {
	x, y, err := r.badness(baseline, candidate, better)
	if err != nil {
		return Comparison{}, err
	}
	sorted := func(values []float64) []int64 {
		g := make([]int64, len(values))
		for i, v := range values {
			g[i] = grid(v)
		}
		slices.Sort(g)
		return g
	}
	c := r.compare(differences(sorted(x), sorted(y)), rankSum(len(x), len(y)), 1)
	c.Together = logOfMean(y) - logOfMean(x)
	c.Baseline, c.Candidate = len(x), len(y)
	return c, nil
}

// compare does what is the same for both tests. A member of o is scale times a value of d on the
// grid.
func (r Rule) compare(o order, n null, scale int64) Comparison {
	c := Comparison{
		Alpha:    r.eachAlpha(r.Alpha),
		Estimate: ungrid(o.median(), 2*scale),
		Lower:    math.Inf(-1),
		Upper:    math.Inf(1),
		P:        n.tail(o.size - o.count(0)),
	}
	if k := n.critical(c.Alpha); k <= n.max {
		c.Lower, c.Upper = ungrid(o.largest(k), scale), ungrid(o.smallest(k), scale)
	}
	return c
}

// badness returns the logarithms of values, oriented so that more is worse.
func (r Rule) badness(baseline, candidate []float64, better Better) (x, y []float64, err error) {
	if err := r.check(); err != nil {
		return nil, nil, err
	}
	if better != Lower && better != Higher {
		return nil, nil, errors.New("no direction: want to know whether higher or lower is better")
	}
	if len(baseline) == 0 || len(candidate) == 0 {
		return nil, nil, errors.New("no samples: want at least one of the baseline and one of the candidate")
	}
	logs := func(values []float64) []float64 {
		l := make([]float64, len(values))
		for i, v := range values {
			if !(v >= 0 && v <= math.MaxFloat64) {
				err = fmt.Errorf("value %v: want a finite number that is not negative", v)
			}
			l[i] = -float64(better) * math.Log(max(v, math.SmallestNonzeroFloat64))
		}
		return l
	}
	x, y = logs(baseline), logs(candidate)
	return x, y, err // a return of the calls beside err may read it before they set it
}

// logOfMean returns the logarithm of the mean of numbers whose logarithms are given. The largest is
// taken out first, so that none overflows.
func logOfMean(logs []float64) float64 {
	most := slices.Max(logs)
	sum := 0.0
	for _, l := range logs {
		sum += math.Exp(l - most)
	}
	return most + math.Log(sum/float64(len(logs)))
}

// resolution is the finest difference of d that counts, far below what anybody measures. On a grid
// sums are exact, and ratios that are equal on paper (100/105 and 200/210) are equal in fact, which
// matters because ties count.
const resolution = 1.0 / (1 << 40)

func grid(d float64) int64 { return int64(math.Round(d / resolution)) }

func ungrid(g, scale int64) float64 { return float64(g) * resolution / float64(scale) }

// Least returns the smallest number of samples, of each side, with which a test can be significant
// at a level: the most extreme order of n pairs has probability 1/2^n, that of two groups of n
// 1/binomial(2n, n).
func Least(paired bool, alpha float64) int {
	n, p := 0, 1.0
	for p > alpha*rounding {
		n++
		if paired {
			p /= 2
		} else {
			p *= float64(n) / float64(2*(2*n-1))
		}
	}
	return n
}
