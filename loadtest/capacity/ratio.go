package capacity

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// confidence is that of an interval that is reported: each of both bounds errs in 2.5 % of cases. A
// decision about what to measure is made again and again, and needs more.
const (
	confidence = 0.95
	certainty  = 0.98
)

// batches is into how many parts rounds are put of which a standard error is computed. What follows
// each other soon is alike, so single rounds would make it too small; B. Schmeiser, "Batch Size
// Effects in the Analysis of Simulation Output" (Operations Research 30(3), 1982) finds that more
// than 10 to 30 parts gain next to nothing.
const batches = 16

// interval is an estimate with its bounds.
type interval struct{ mean, lower, upper float64 }

// anything is the interval of what nothing is known of.
var anything = interval{math.NaN(), math.Inf(-1), math.Inf(1)}

// ratio estimates the sum of x divided by the sum of y, which were measured in pairs, one pair
// after the other: the classical ratio estimator with the variance of its residuals (W. G. Cochran,
// "Sampling Techniques", 3rd ed., section 6.4), here over batch means.
func ratio(x, y []float64, students *[batches]float64) interval {
	var sumX, sumY float64
	for i := range x {
		sumX, sumY = sumX+x[i], sumY+y[i]
	}
	if len(x) == 0 || sumY == 0 {
		return anything
	}
	rho := sumX / sumY
	b := min(len(x), batches)
	if b < 2 {
		return interval{rho, math.Inf(-1), math.Inf(1)}
	}
	squares := 0.0
	for k := range b {
		from, to := k*len(x)/b, (k+1)*len(x)/b
		d := 0.0
		for i := from; i < to; i++ {
			d += x[i] - rho*y[i]
		}
		// The batches differ in length by at most one; each counts as that share of all.
		squares += d * d
	}
	se := math.Sqrt(squares*float64(b)/float64(b-1)) / sumY
	half := students[b-1] * se
	return interval{rho, rho - half, rho + half}
}

// compare estimates how much a gives as a multiple of b, from the rounds in which both were
// measured.
func compare(a, b *level, students *[batches]float64) interval {
	if a == b {
		return interval{1, 1, 1}
	}
	x, y := common(a, b)
	return ratio(x, y, students)
}

// once estimates the same where there may be no rounds in which both were measured. How far off
// that is cannot be known.
func once(a, b *level) interval {
	return interval{average(a.x) / average(b.x), math.Inf(-1), math.Inf(1)}
}

func average(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// The factors of a standard error that make half an interval of it, by the degrees of freedom: for
// what is reported, and for decisions.
var reported, decided = students(confidence), students(certainty)

func students(confidence float64) *[batches]float64 {
	var all [batches]float64
	for freedom := 1; freedom < batches; freedom++ {
		all[freedom] = student(float64(freedom), confidence)
	}
	return &all
}

func student(freedom, confidence float64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: freedom}.Quantile((1 + confidence) / 2)
}
