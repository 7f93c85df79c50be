package verdict

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sort"
)

// Looks are the numbers of pairs after which a comparison that is still going on is judged, and may
// end. Each look is another chance to err, so each gets less than alpha; see [Looks.EachAlpha].
// What is planned must not depend on what was measured. Stopping early without a verdict does no
// harm.
type Looks struct {
	pairs []int
	least []float64 // the smallest P of all looks, for each simulated comparison in which nothing changed, sorted
	steps []float64 // every P that any of the looks can have, sorted: between two of them levels make no difference
}

// paths is the number of simulated comparisons: enough for three digits of a level, in a fraction
// of a second.
const paths = 1 << 18

// mostPairs is the longest comparison that fits a word.
const mostPairs = 64

// NewLooks plans looks after these numbers of pairs, which must grow and be 64 at most.
//
// What the looks have in common depends on how the sizes of the differences are ordered in time,
// and on nothing else: where nothing changed, signs are fair coins. Two orders are considered.
//
//   - Exchangeable: the place of each new difference among the old ones, by size, is uniform, as it
//     is where the noise stays the same, whatever its distribution. The comparison is a word whose
//     bit i is the sign of the i-th smallest difference, and each pair inserts a bit at a random
//     place. This is simulated, always with the same random numbers, because enumerating it takes 2
//     to the number of pairs.
//   - Growing: each new difference is larger than all before, as where a neighbour arrives or the
//     processor is throttled more and more. The last pairs then outweigh the first, and looks have
//     the least in common. This is computed exactly.
func NewLooks(pairs ...int) (*Looks, error) {
	last := 0
	for _, n := range pairs {
		if n <= last || n > mostPairs {
			return nil, fmt.Errorf("looks after %v pairs: want numbers that grow, from 1 to %d", pairs, mostPairs)
		}
		last = n
	}
	if last == 0 {
		return nil, fmt.Errorf("no looks: want the numbers of pairs after which to look")
	}
	l := &Looks{pairs: slices.Clone(pairs), least: make([]float64, paths)}
	tails := make([]func(int) float64, last+1)
	for _, n := range pairs {
		d := signedRank(n)
		tails[n] = d.tail
		for t := range d.max + 1 {
			l.steps = append(l.steps, d.tail(t))
		}
	}
	slices.Sort(l.steps)
	random := rand.New(rand.NewPCG(1945, 1977)) // any other seed would do
	for path := range l.least {
		p := 1.0
		var signs uint64
		for n := 1; n <= last; n++ {
			signs = insert(signs, random.IntN(n), random.Uint64()&1)
			if tails[n] != nil {
				p = min(p, tails[n](rankSumOf(signs)))
			}
		}
		l.least[path] = p
	}
	slices.Sort(l.least)
	return l, nil
}

// insert puts a bit at a place, and moves the ones from there up.
func insert(word uint64, place int, bit uint64) uint64 {
	above := word >> place << place
	return word&^above | bit<<place | above<<1
}

// rankSumOf adds the ranks of the bits that are set. The lowest bit has rank 1.
func rankSumOf(word uint64) (sum int) {
	for ; word != 0; word &= word - 1 {
		sum += bits.TrailingZeros64(word) + 1
	}
	return sum
}

// EachAlpha returns the one-sided alpha with which each look may test, all with the same (Pocock,
// Group sequential methods in the design and analysis of clinical trials, Biometrika 64, 1977): the
// chance that a test where nothing changed is significant at any of them is then at most alpha,
// both where the sizes of the differences are exchangeable and where they grow; see [NewLooks]. For
// the first it is the quantile of the smallest P of all looks, lowered by four standard errors of
// the simulation. It is never less than alpha divided by the number of looks, which is safe
// whatever the order of the sizes. By symmetry the same holds for a pass where the candidate is
// worse by as much as the margin.
//
// Equal levels and not ones that grow (O'Brien and Fleming), because clear cases should end at the
// first look.
func (l *Looks) EachAlpha(alpha float64) float64 {
	each := alpha / float64(len(l.pairs))
	// At most k of the paths may be significant: the largest with k + 4 sqrt(k) <= alpha * paths.
	root := math.Sqrt(alpha*paths+4) - 2
	k := min(int(root*root), paths-1)
	// P is discrete. A level that leaves out all paths which share their P with the k-th is the
	// highest possible.
	if first, _ := slices.BinarySearch(l.least, l.least[k]); first > 0 {
		each = max(each, l.least[first-1])
	}
	if l.errsGrowing(each) <= alpha*rounding {
		return each
	}
	steps, _ := slices.BinarySearch(l.steps, each)
	fits := sort.Search(steps, func(i int) bool { return l.errsGrowing(l.steps[i]) > alpha*rounding })
	if fits == 0 {
		return alpha / float64(len(l.pairs))
	}
	return max(alpha/float64(len(l.pairs)), l.steps[fits-1])
}

// errsGrowing is the chance that a test at this level, where nothing changed and each difference is
// larger than all before, is significant at any of the looks. The n-th difference then has rank n
// at every look, so the sum of the positive ranks is a walk: with equal chances it grows by n at
// the n-th pair, or not.
func (l *Looks) errsGrowing(each float64) (errs float64) {
	last := l.pairs[len(l.pairs)-1]
	walk := make([]float64, last*(last+1)/2+1) // the probability of each sum, not significant so far
	walk[0] = 1
	top, look := 0, 0
	for n := 1; n <= last; n++ {
		top += n
		for sum := top; sum >= 0; sum-- {
			walk[sum] /= 2
			if sum >= n {
				walk[sum] += walk[sum-n] / 2
			}
		}
		if n == l.pairs[look] {
			look++
			for sum := signedRank(n).critical(each); sum <= top; sum++ {
				errs += walk[sum]
				walk[sum] = 0
			}
		}
	}
	return errs
}
