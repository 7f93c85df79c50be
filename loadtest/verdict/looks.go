package verdict

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// Looks are the numbers of pairs after which a comparison that is still going on is judged, and may end. Each look is
// another chance to err, so each gets less than alpha; see [Looks.Level]. What is planned must not depend on what was
// measured. To end early for another reason, without a verdict, is no harm.
type Looks struct {
	pairs []int
	least []float64 // the smallest P of all looks, for each simulated comparison in which nothing changed, sorted
}

// paths is the number of simulated comparisons: enough for three digits of a level, in a fraction of a second.
const paths = 1 << 18

// mostPairs is the longest comparison that fits a word.
const mostPairs = 64

// NewLooks plans looks after these numbers of pairs, which must grow and be 64 at most.
//
// It simulates, always with the same random numbers, because the joint distribution of rank statistics at several looks
// has no formula, and enumerating it takes 2 to the number of pairs. Where nothing changed, signs are fair coins and the
// place of each new difference among the old ones, by size, is uniform: so the comparison is a word whose bit i is the
// sign of the i-th smallest difference, and each pair inserts a bit at a random place. That holds for every distribution
// of the noise.
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
	l := &Looks{slices.Clone(pairs), make([]float64, paths)}
	tails := make([]func(int) float64, last+1)
	for _, n := range pairs {
		tails[n] = signedRank(n).tail
	}
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

// Level returns the one-sided level at which each look may test, all with the same (Pocock, Group sequential methods in
// the design and analysis of clinical trials, Biometrika 64, 1977): the chance that a test where nothing changed is
// significant at any of them is then at most alpha. It is the quantile of the smallest P of all looks, lowered by four
// standard errors of the simulation; and never less than alpha divided by the number of looks, which is safe without any
// simulation. By symmetry the same holds for a pass where the candidate is worse by as much as the margin.
//
// Equal levels and not ones that grow (O'Brien and Fleming), because clear cases should end at the first look.
func (l *Looks) Level(alpha float64) float64 {
	level := alpha / float64(len(l.pairs))
	// At most k of the paths may be significant: the largest with k + 4 sqrt(k) <= alpha * paths.
	root := math.Sqrt(alpha*paths+4) - 2
	k := min(int(root*root), paths-1)
	// P is discrete. A level that leaves out all paths which share their P with the k-th is the highest possible.
	if first, _ := slices.BinarySearch(l.least, l.least[k]); first > 0 {
		level = max(level, l.least[first-1])
	}
	return level
}
