package verdict

import (
	"math"
	"sort"
	"sync"

	"github.com/aclements/go-moremath/stats"
)

// null is the distribution of a rank statistic where nothing changed. Both statistics here are
// whole numbers from 0 to max, symmetric about max/2, and count comparisons that speak for "worse".
type null struct {
	max  int
	tail func(t int) float64 // the probability of t or more, for 0 <= t <= max
}

// rounding forgives a computed probability the error of its additions, so that 1/20 is no more than
// 0.05.
const rounding = 1 + 1e-9

// critical returns the smallest t whose tail is at most alpha; max+1 where there is none.
func (d null) critical(alpha float64) int {
	return sort.Search(d.max+1, func(t int) bool { return d.tail(t) <= alpha*rounding })
}

// The largest samples whose distributions are exact. Beyond them the normal approximation with
// continuity correction is within 1 % of the exact tail at 0.05, and above it, which is the safe
// side, at 0.0001: by up to 15 % for pairs and by a third for groups. The tests hold that.
const (
	exactPairs = 200
	exactGroup = 50 // as in golang.org/x/perf/benchmath
)

var signedRanks [exactPairs + 1]func() []float64

func init() {
	for n := range signedRanks {
		signedRanks[n] = sync.OnceValue(func() []float64 { return signedRankTail(n) })
	}
}

// signedRank is the distribution of Wilcoxon's signed-rank statistic T+, the sum of the ranks of
// the positive among n differences when all are ranked by size: each rank is in the sum or not,
// with equal chances (Wilcoxon, Individual comparisons by ranking methods, Biometrics Bulletin 1,
// 1945; moments: Hollander, Wolfe, Chicken, Nonparametric Statistical Methods, 3rd ed. 2014,
// section 3.1).
func signedRank(n int) null {
	size := float64(n)
	if n > exactPairs {
		return normal(n*(n+1)/2, size*(size+1)*(2*size+1)/24)
	}
	tail := signedRanks[n]()
	return null{len(tail) - 1, func(t int) float64 { return tail[t] }}
}

// signedRankTail adds one rank after the other: with rank r, a sum s is reached from s and from
// s-r.
func signedRankTail(n int) []float64 {
	p := make([]float64, n*(n+1)/2+1)
	p[0] = 1
	for r, top := 1, 0; r <= n; r++ {
		top += r
		for s := top; s >= 0; s-- {
			p[s] /= 2
			if s >= r {
				p[s] += p[s-r] / 2
			}
		}
	}
	for s := len(p) - 2; s >= 0; s-- {
		p[s] += p[s+1] // smallest first, which keeps the digits of small tails
	}
	return p
}

// rankSums keeps tails that were computed, by sizes and value: rows of a file ask for the same
// again and again.
var rankSums sync.Map

type rankSumKey struct{ n1, n2, u int }

// rankSum is the distribution of Mann and Whitney's U, the number of pairs of one out of each of
// two groups in which the second is worse (Mann, Whitney, On a test of whether one of two random
// variables is stochastically larger than the other, Annals of Mathematical Statistics 18, 1947).
func rankSum(n1, n2 int) null {
	if n1 > exactGroup || n2 > exactGroup {
		return normal(n1*n2, float64(n1)*float64(n2)*float64(n1+n2+1)/12)
	}
	return null{n1 * n2, func(u int) float64 {
		key := rankSumKey{n1, n2, u}
		if p, ok := rankSums.Load(key); ok {
			return p.(float64)
		}
		// By symmetry, and exact where 1-CDF would cancel.
		p := stats.UDist{N1: n1, N2: n2}.CDF(float64(n1*n2 - u))
		rankSums.Store(key, p)
		return p
	}}
}

func normal(max int, variance float64) null {
	return null{max, func(t int) float64 {
		return math.Erfc((float64(t)-0.5-float64(max)/2)/math.Sqrt(2*variance)) / 2
	}}
}
