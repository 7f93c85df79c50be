package verdict

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFewestHeads(t *testing.T) {
	// 1/2^9 = 0.00195, 10/2^9 = 0.0195, 46/2^9 = 0.0898.
	for alpha, want := range map[float64]int{0.001: 10, 0.002: 9, 1.0 / 512: 9, 0.0195: 9, 0.02: 8, 0.09: 7} {
		require.Equal(t, want, fewestHeads(9, alpha), alpha)
	}
	require.Equal(t, 32, fewestHeads(50, 0.0325)) // 0.0325 by tables
	require.Equal(t, 2, fewestHeads(1, 0.05))
}

func TestBelow(t *testing.T) {
	looks, err := NewLooks(9, 12, 16, 24)
	require.NoError(t, err)
	rule := Rule{Alpha: 0.05, Looks: looks}
	values := func(below, above int) (v []float64) {
		for i := range below {
			v = append(v, 1+float64(i)/100)
		}
		for i := range above {
			v = append(v, 3+float64(i)/100)
		}
		return v
	}
	for _, tt := range []struct {
		name         string
		below, above int
		together     bool
		limits       int
		want         Verdict
		outvoted     bool
	}{
		{"all below", 9, 0, true, 1, Pass, false},
		{"all below, of many limits", 9, 0, true, 20, Pass, false},
		{"one of nine is not", 8, 1, true, 1, Inconclusive, false},
		{"one of twelve is not", 11, 1, true, 1, Pass, false},
		{"one of twelve is far above", 11, 1, false, 1, Inconclusive, true},
		{"all above", 0, 9, false, 1, Regressed, false},
		{"all above, of six limits", 0, 9, false, 6, Regressed, false},
		{"all above, of twenty limits", 0, 9, false, 20, Inconclusive, false},
		{"all above, but by little", 0, 9, true, 1, Inconclusive, true},
		{"half of them", 12, 12, false, 1, Inconclusive, false},
		{"too few", 6, 0, true, 1, Inconclusive, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := rule.Below(values(tt.below, tt.above), 2, tt.together, tt.limits)
			require.NoError(t, err)
			require.Equal(t, tt.want, c.Verdict)
			require.Equal(t, tt.outvoted, c.Outvoted)
			require.LessOrEqual(t, c.Lower, c.Median)
			require.LessOrEqual(t, c.Median, c.Upper)
		})
	}
	c, err := rule.Below(values(0, 9), 3, false, 1)
	require.NoError(t, err)
	require.Equal(t, Regressed, c.Verdict, "the limit itself is not below it")
	_, err = rule.Below(nil, 1, true, 1)
	require.ErrorContains(t, err, "no blocks")
	_, err = Rule{}.Below(values(1, 1), 1, true, 1)
	require.ErrorContains(t, err, "alpha 0")
}

// TestBelowErrsRarely simulates duels of skewed values whose median is the limit itself, or just
// below it: neither verdict is wrong more often than alpha says, over all looks.
func TestBelowErrsRarely(t *testing.T) {
	looks, err := NewLooks(9, 12, 16, 24)
	require.NoError(t, err)
	rule := Rule{Alpha: 0.05, Looks: looks}
	random := rand.New(rand.NewPCG(5, 6))
	const duels = 4000
	passed, refuted := 0, 0
	for range duels {
		var values []float64
		for len(values) < 24 {
			values = append(values, random.ExpFloat64()/math.Ln2) // its median is 1, its mean 1.44
		}
		pass, regressed := false, false
		for _, n := range []int{9, 12, 16, 24} {
			// Whatever all together say: here they agree each time.
			at, err := rule.Below(values[:n], 1, true, 1)
			require.NoError(t, err)
			pass = pass || at.Verdict == Pass
			just, err := rule.Below(values[:n], math.Nextafter(1, 2), false, 1)
			require.NoError(t, err)
			regressed = regressed || just.Verdict == Regressed
		}
		if pass {
			passed++
		}
		if regressed {
			refuted++
		}
	}
	t.Logf("of %d: %d passed, %d regressed", duels, passed, refuted)
	require.LessOrEqual(t, passed, duels*5/100)
	require.LessOrEqual(t, refuted, duels*5/100)
}
