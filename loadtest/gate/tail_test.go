package gate

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/internal/race"
	"rampart/loadtest/verdict"
)

// poisson draws a count; Knuth's method is quick enough for small ones.
func poisson(r *rand.Rand, mean float64) (n int) {
	for p := r.Float64(); p > math.Exp(-mean); n++ {
		p *= r.Float64()
	}
	return n
}

// TestTailRates simulates duels in which a share of each side's requests is slow, and both sides
// have more of them in some blocks, as beside a neighbour. Looks and level are those of a duel of
// four units.
func TestTailRates(t *testing.T) {
	const unit, runs = "slow/op", 1000 / race.Slowness
	looks := []int{9, 12, 16, 24}
	plan, err := verdict.NewLooks(looks...)
	require.NoError(t, err)
	rule := verdict.Rule{Alpha: 0.05, Looks: plan}
	fraction, ok := verdict.UsualMargin(unit)
	require.True(t, ok)
	margin := verdict.Lower.Margin(fraction)
	compare := above(verdict.Floor(unit), rule.Pairs)
	random := rand.New(rand.NewPCG(5, 6))
	others := verdict.Row{Comparison: verdict.Comparison{P: 1, Lower: -1, Upper: -1}, Margin: margin} // of the other units

	duel := func(requests int, baseline, candidate float64) (verdict.Verdict, int) {
		var x, y []float64
		for _, n := range looks {
			for len(x) < n {
				weather := math.Exp(0.4 * random.NormFloat64())
				draw := func(share float64) float64 {
					mean := float64(requests) * share * weather * math.Exp(0.15*random.NormFloat64())
					return float64(poisson(random, mean)) / float64(requests)
				}
				x, y = append(x, draw(baseline)), append(y, draw(candidate))
			}
			c, err := compare(x, y, verdict.Lower)
			require.NoError(t, err)
			rows := []verdict.Row{{Comparison: c, Margin: margin}, others, others, others}
			if v, _ := rule.Judge(rows); v != verdict.Inconclusive {
				return v, n
			}
		}
		return verdict.Inconclusive, looks[len(looks)-1]
	}
	for _, tt := range []struct {
		name                       string
		requests                   int
		baseline, candidate        float64
		fewestPass, mostPass       float64
		fewestRegress, mostRegress float64
	}{
		{"equals", 2500, 0.008, 0.008, 0.95, 1, 0, 0.01},
		{"equals, few requests", 1000, 0.008, 0.008, 0.8, 1, 0, 0.01},
		{"equals that are hardly ever slow", 1000, 0.0002, 0.0002, 0.99, 1, 0, 0.01},
		{"half as many more and the floor", 2500, 0.008, 0.0125, 0, 0.05, 0.5, 1},
		{"half as many more and the floor, few requests", 1000, 0.008, 0.0125, 0, 0.05, 0.3, 1},
		{"every 200th more", 2500, 0.006, 0.011, 0, 0.01, 0.9, 1},
		{"every 200th more, of none", 1000, 0, 0.005, 0, 0.001, 0.99, 1},
		{"every 100th more", 1000, 0.008, 0.018, 0, 0.001, 0.99, 1},
		{"every 40th more", 1000, 0.008, 0.033, 0, 0.001, 0.999, 1},
		{"fewer", 2500, 0.012, 0.008, 0.999, 1, 0, 0.001},
	} {
		count, blocks := map[verdict.Verdict]int{}, 0
		for range runs {
			v, n := duel(tt.requests, tt.baseline, tt.candidate)
			count[v]++
			blocks += n
		}
		t.Logf("%s: %v, %.1f blocks", tt.name, count, float64(blocks)/runs)
		pass, regress := float64(count[verdict.Pass])/runs, float64(count[verdict.Regressed])/runs
		require.True(t, tt.fewestPass <= pass && pass <= tt.mostPass, "%s: pass %v", tt.name, pass)
		require.True(t, tt.fewestRegress <= regress && regress <= tt.mostRegress, "%s: regressed %v", tt.name, regress)
	}
}
