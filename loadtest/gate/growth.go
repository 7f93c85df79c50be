package gate

import (
	"fmt"
	"math"
	"slices"

	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// leastGrowth is how many bytes more a server has to hold with each request than the other one so
// that it is said: less is a heap that is still finding its size.
const leastGrowth = 100

// growthGap says that the candidate holds more memory with each request, and the baseline does not;
// empty: it is not shown.
//
// A block is too short for a leak to be more than the margin of a large server. But it is in each
// block: the signed-rank test of how many bytes more each side holds per request, beside those of
// the units that are judged, finds it as rarely where nothing changed. That is no pass, nor is it a
// regression: what is held may be a cache that fills.
func growthGap(rule verdict.Rule, d result.Duel) string {
	if !slices.Contains(d.Plan.Units, result.MemorySize) {
		return ""
	}
	var grown [2][]float64
	most := 0.0
	for _, b := range d.Blocks {
		x, y := b.Sides[0].Growth(), b.Sides[1].Growth()
		if math.IsNaN(x) || math.IsNaN(y) {
			continue
		}
		grown[0], grown[1] = append(grown[0], x), append(grown[1], y)
		most = max(most, math.Abs(x), math.Abs(y))
	}
	if most == 0 {
		return ""
	}
	// Pairs compares by ratios, of which these are differences.
	scaled := func(values []float64) (all []float64) {
		for _, v := range values {
			all = append(all, math.Exp(v/most))
		}
		return all
	}
	c, err := rule.Pairs(scaled(grown[0]), scaled(grown[1]), verdict.Lower)
	if err != nil || c.P > rule.Needed(d.Plan.Rows()+1) || most*c.Estimate < leastGrowth {
		return ""
	}
	slices.Sort(grown[0])
	slices.Sort(grown[1])
	return fmt.Sprintf("memory that does not grow with each request: that of the candidate grows by %.0f B (median of "+
		"the blocks), and "+
		"that of the baseline by %.0f B; where that goes on it is a leak, so load both for longer, -side 10s, "+
		"and name the units to "+
		"be judged, -unit, without %s, if it is meant to be so", grown[1][len(grown[1])/2], grown[0][len(grown[0])/2],
		result.MemorySize)
}
