package capacity

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// nonNegative solves a weighted least squares problem in a few unknowns, none of which may be
// negative: for each set of unknowns that are not zero it solves the unbounded problem, and of
// those that come out positive it takes the best. With k unknowns these are 2^k problems, which is
// why larger ones are solved in another way (C. L. Lawson and R. J. Hanson, "Solving Least Squares
// Problems", 1974, chapter 23).
func nonNegative(rows [][]float64, y, weights []float64) []float64 {
	k := len(rows[0])
	best, least := make([]float64, k), math.Inf(1)
	for set := range 1 << k {
		x, ok := solve(rows, y, weights, set)
		if !ok {
			continue
		}
		if rest := residual(rows, y, weights, x); rest < least {
			best, least = x, rest
		}
	}
	return best
}

// solve solves the normal equations in the unknowns of a set of bits. It reports whether there is
// one solution and nothing in it is negative.
func solve(rows [][]float64, y, weights []float64, set int) ([]float64, bool) {
	x := make([]float64, len(rows[0]))
	var free []int
	for i := range x {
		if set&(1<<i) != 0 {
			free = append(free, i)
		}
	}
	if len(free) == 0 {
		return x, true
	}
	a := mat.NewSymDense(len(free), nil)
	b := mat.NewVecDense(len(free), nil)
	for r, row := range rows {
		for i, p := range free {
			b.SetVec(i, b.AtVec(i)+weights[r]*row[p]*y[r])
			for j, q := range free[:i+1] {
				a.SetSym(i, j, a.At(i, j)+weights[r]*row[p]*row[q])
			}
		}
	}
	var factor mat.Cholesky
	if !factor.Factorize(a) {
		return nil, false
	}
	var solution mat.VecDense
	if factor.SolveVecTo(&solution, b) != nil {
		return nil, false
	}
	for i, p := range free {
		if x[p] = solution.AtVec(i); x[p] < 0 {
			return nil, false
		}
	}
	return x, true
}

func residual(rows [][]float64, y, weights, x []float64) float64 {
	sum := 0.0
	for r, row := range rows {
		d := y[r] - dot(row, x)
		sum += weights[r] * d * d
	}
	return sum
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
