package prove

import (
	"math"
	"math/rand/v2"
	"slices"

	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// Noise is how a unit of equals scatters on a machine, and what that supports.
type Noise struct {
	Unit   string  `json:"unit"`
	SD     float64 `json:"block_sd"` // of the logarithm of candidate/baseline, from block to block of a duel
	Margin float64 `json:"margin"`   // that is in force, a fraction
	// Supported is the smallest margin at which nine of ten duels of equals pass in this unit, at
	// one of their looks; a fraction. 0: not known.
	Supported float64 `json:"margin_supported,omitempty"`
}

// Resampling: enough for two digits of a margin, in a fraction of a second.
const (
	resamples   = 500
	passingMost = 0.9 // of duels
)

// noiseOf computes the noise of a unit from duels of equals, which were judged at looks, each with
// a chance to err of each. ok is false where there are no two blocks of a duel.
func noiseOf(unit string, duels []Values, looks []int, each float64) (n Noise, ok bool) {
	better := directionOf(unit)
	var squares float64
	var freedom int
	var deviations [][]float64
	for _, v := range duels {
		if len(v[0]) != len(v[1]) || len(v[0]) < 2 {
			continue
		}
		d := logRatios(v, verdict.Floor(unit))
		blocks := float64(len(d))
		mean := 0.0
		for _, x := range d {
			mean += x / blocks
		}
		for i, x := range d {
			squares += (x - mean) * (x - mean)
			d[i] = (x - mean) * math.Sqrt(blocks/(blocks-1)) // as wide as where the mean is known
		}
		freedom += len(d) - 1
		deviations = append(deviations, d)
	}
	if freedom == 0 || better == 0 {
		return Noise{}, false
	}
	n = Noise{Unit: unit, SD: math.Sqrt(squares / float64(freedom))}
	n.Supported = supported(deviations, better, looks, each)
	return n, true
}

// logRatios are the logarithms of candidate/baseline, by block, with floor added to both.
func logRatios(v Values, floor float64) []float64 {
	d := make([]float64, len(v[0]))
	for i := range d {
		positive := func(side int) float64 { return max(v[side][i]+floor, math.SmallestNonzeroFloat64) }
		d[i] = math.Log(positive(1) / positive(0))
	}
	return d
}

// directionOf is the direction of a unit of a duel; 0: it has none.
func directionOf(unit string) verdict.Better {
	for _, u := range result.Units() {
		switch {
		case u.Name != unit:
		case u.Better == "higher":
			return verdict.Higher
		default:
			return verdict.Lower
		}
	}
	return 0
}

// supported draws duels from those that were measured, one of them for each, with its blocks drawn
// with replacement (bootstrap; Efron, Annals of Statistics 7, 1979), and asks each at which margin
// it would have passed at one of its looks. So the weather of a whole duel stays together. What is
// drawn are deviations from the mean of a duel: that equals are equal is known, and the mean of
// some blocks is not. 0: nothing passes.
func supported(deviations [][]float64, better verdict.Better, looks []int, each float64) float64 {
	random := rand.New(rand.NewPCG(1979, 7)) // any other seed would do
	rule := verdict.Rule{Alpha: each}
	baseline := slices.Repeat([]float64{1}, looks[len(looks)-1])
	candidate := make([]float64, len(baseline))
	least := make([]float64, resamples)
	for i := range least {
		from := deviations[random.IntN(len(deviations))]
		for block := range candidate {
			candidate[block] = math.Exp(from[random.IntN(len(from))])
		}
		least[i] = math.Inf(1)
		for _, n := range looks {
			c, err := rule.Pairs(baseline[:n], candidate[:n], better)
			if err != nil {
				return 0 // a value that is no measurement
			}
			least[i] = min(least[i], max(c.Upper, c.Together))
		}
	}
	slices.Sort(least)
	d := least[int(math.Ceil(passingMost*resamples))-1]
	if math.IsInf(d, 0) {
		return 0
	}
	return max(math.Abs(better.Change(max(d, 0))), 0.0005) // no finer than what is printed
}
