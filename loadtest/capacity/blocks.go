package capacity

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// enoughTogether is in how many rounds two levels have to be measured together so that these alone
// say what one gives as a multiple of the other.
const enoughTogether = 8

// shares estimates what levels give as multiples of one of them. Two levels that were hardly ever
// measured in the same rounds are compared by way of others.
func shares(levels []*level, of *level) []interval {
	all := make([]interval, len(levels))
	var through []interval
	for i, l := range levels {
		if x, _ := common(l, of); l == of || len(x) >= enoughTogether {
			all[i] = compare(l, of, reported)
			continue
		}
		if through == nil {
			through = indirect(levels, of)
		}
		all[i] = through[i]
	}
	return all
}

// indirect compares levels by all rounds together, which are blocks that hold some of the levels
// each: the logarithm of a throughput is taken to be that of its level plus that of its round plus
// an error. The least squares of the differences within rounds give the levels and their errors (F.
// Yates, "Incomplete randomized blocks", Annals of Eugenics 7(2), 1936).
func indirect(levels []*level, of *level) []interval {
	all := slices.Repeat([]interval{anything}, len(levels))
	blocks := together(levels)
	at := reach(blocks, slices.Index(levels, of))
	unknowns := len(at) - 1 // the first is what the others are multiples of
	rounds := make(map[int][]cell)
	for k, i := range at {
		for n, r := range blocks[i].rounds {
			if x := blocks[i].x[n]; x > 0 {
				rounds[r] = append(rounds[r], cell{k - 1, math.Log(x)})
			}
		}
	}
	if unknowns < 1 {
		return all
	}
	information := mat.NewSymDense(unknowns, nil)
	within := mat.NewVecDense(unknowns, nil)
	cells, blocksUsed := 0, 0
	for _, in := range rounds {
		if len(in) < 2 {
			continue
		}
		blocksUsed++
		cells += len(in)
		share := 1 / float64(len(in))
		mean := meanOf(in)
		for _, a := range in {
			if a.level < 0 {
				continue
			}
			within.SetVec(a.level, within.AtVec(a.level)+a.y-mean)
			for _, b := range in {
				if b.level < 0 || b.level > a.level {
					continue
				}
				v := information.At(a.level, b.level) - share
				if a.level == b.level {
					v++
				}
				information.SetSym(a.level, b.level, v)
			}
		}
	}
	freedom := cells - blocksUsed - unknowns
	var factor mat.Cholesky
	var effects mat.VecDense
	var covariance mat.SymDense
	if freedom < 1 || !factor.Factorize(information) || factor.SolveVecTo(&effects, within) != nil ||
		factor.InverseTo(&covariance) != nil {
		return all
	}
	effect := func(c cell) float64 {
		if c.level < 0 {
			return 0
		}
		return effects.AtVec(c.level)
	}
	squares := 0.0
	for _, in := range rounds {
		if len(in) < 2 {
			continue
		}
		mean, expected := meanOf(in), 0.0
		for _, c := range in {
			expected += effect(c) / float64(len(in))
		}
		for _, c := range in {
			d := c.y - mean - (effect(c) - expected)
			squares += d * d
		}
	}
	t := student(float64(freedom), confidence)
	for k, i := range at[1:] {
		half := t * math.Sqrt(squares/float64(freedom)*covariance.At(k, k))
		y := effects.AtVec(k)
		all[i] = interval{math.Exp(y), math.Exp(y - half), math.Exp(y + half)}
	}
	return all
}

// cell is a window in a round: the number of its level among the unknowns, -1 for that with which
// they are compared, and the logarithm of its throughput.
type cell struct {
	level int
	y     float64
}

func meanOf(cells []cell) (mean float64) {
	for _, c := range cells {
		mean += c.y / float64(len(cells))
	}
	return mean
}

// reach returns a level and all that are connected with it by rounds, by their numbers.
func reach(levels []*level, from int) []int {
	found := []int{from}
	for k := 0; k < len(found); k++ {
		for i, l := range levels {
			if slices.Contains(found, i) {
				continue
			}
			if x, _ := common(l, levels[found[k]]); len(x) > 0 {
				found = append(found, i)
			}
		}
	}
	return found
}

// together returns levels with only those rounds in which another one was measured, too.
func together(levels []*level) []*level {
	in := make(map[int]int)
	for _, l := range levels {
		for _, r := range l.rounds {
			in[r]++
		}
	}
	all := make([]*level, len(levels))
	for k, l := range levels {
		kept := &level{vus: l.vus}
		for i, r := range l.rounds {
			if in[r] > 1 {
				kept.rounds, kept.x = append(kept.rounds, r), append(kept.x, l.x[i])
			}
		}
		all[k] = kept
	}
	return all
}
