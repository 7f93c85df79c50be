package verdict

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFinds holds the loss that is said to be found in 95 of 100 cases against simulated
// comparisons: a rank test on as few pairs has a little less power than its interval suggests.
func TestFinds(t *testing.T) {
	const pairs, noise, runs = 20, 0.02, 400
	rule := Rule{Alpha: 0.05}
	random := rand.New(rand.NewPCG(1, 2))
	compare := func(loss float64) Comparison {
		var sides [2][]float64
		for range pairs {
			sides[0] = append(sides[0], 100)
			sides[1] = append(sides[1], 100*(1+loss)*math.Exp(noise*random.NormFloat64()))
		}
		c, err := rule.Pairs(sides[0], sides[1], Lower)
		require.NoError(t, err)
		return c
	}
	mean := 0.0
	for range runs {
		loss, ok := rule.Finds(compare(0), 1)
		require.True(t, ok)
		mean += loss / runs
	}
	found := 0
	for range runs {
		if compare(mean).Lower > 0 {
			found++
		}
	}
	require.InDelta(t, 0.95, float64(found)/runs, 0.04)

	_, ok := rule.Finds(Comparison{Alpha: 0.05, Lower: math.Inf(-1), Upper: math.Inf(1)}, 1)
	require.False(t, ok, "too few samples")
	few, _ := rule.Finds(compare(0), 1)
	many, _ := rule.Finds(compare(0), 100)
	require.Greater(t, many, few)
}
